"""Quantum-emulated training: upload, a segment of Carleman steps as one linear system, readout,
download, again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_boolean,
    check_callable,
    check_instance,
    check_integer,
    check_interval,
    check_sequence,
    check_text,
)
from qdescent._evidence import Evidence, Row
from qdescent._random import derived_seed
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.quantum.readout.expected import expected_part
from qdescent.quantum.readout.tomography import read_out
from qdescent.rows import names
from qdescent.training.schedule import AdaptiveSchedule, Schedule
from qdescent.training.segment import Segment, run_segment
from qdescent.training.tail_estimate import TAIL_EVIDENCE, TAIL_SOURCE


@dataclass(frozen=True)
class Round:
    """One upload, segment of K steps, and download.

    Args:
        theta: the weights after the readout, (n,).
        loss: L on the step's batch at the pivot and after each of the K emulated steps (before
            readout), (K + 1,).
        truncation: ||u_N(t) - u_GD(t)|| / ||u_GD(t)|| for t = 1..K, measured against true descent
            from the same pivot, (K,).
        estimate: the same, estimated from the series terms (`estimate_tail`) and true gradients at
            the end of each length (`error_from_residual`, `CarriedError`), (K,); None past the
            radius of convergence.
        last_term: ||u_N|| / ||u|| at the end, close to the truncation error of order N - 1:
            pessimistic, without reference.
        readout_error: ||read - u|| / ||u||, measured.
        readout_expected: the same, as `expected_error` has it for u; 0 where it is read perfectly.
        entry_share: share of the entries that were read.
        missing_share: share of ||u||^2 (with momentum: of the state's) that was not, estimated from
            counts.
        gram: <u_k(t), u_l(t)> of the series terms for t = 1..K, (K, N, N): what the lifted state's
            norms follow from (without momentum, whose velocity is not in it).
        order: N.
        end: why the segment is not longer; empty: it has all the steps it was allowed.
        velocity: as read out, (n,), which goes on in the next round; None without momentum.
    """

    theta: Tensor = field(repr=False)
    loss: tuple[float, ...]
    truncation: tuple[float, ...]
    estimate: tuple[float | None, ...]
    last_term: float
    readout_error: float
    gram: tuple[tuple[tuple[float, ...], ...], ...]
    order: int
    end: str = ""
    velocity: Tensor | None = field(default=None, repr=False)
    readout_expected: float = 0.0
    entry_share: float = 1.0
    missing_share: float = 0.0

    def __post_init__(self) -> None:
        theta = check_tensor("theta", self.theta, (None,))
        check_interval("readout_expected", self.readout_expected, "[0, inf)")
        for name in ("entry_share", "missing_share"):
            check_interval(name, getattr(self, name), "[0, 1]")
        for name in ("loss", "truncation", "estimate", "gram"):
            check_sequence(name, getattr(self, name), object, called="a number for each step")
        check_integer("order", self.order, 1)
        check_text("end", self.end, empty=True)
        if self.velocity is not None:
            check_tensor("velocity", self.velocity, tuple(theta.shape))

    @property
    def steps(self) -> int:
        """K, the steps of the segment."""
        return len(self.truncation)


@dataclass(frozen=True)
class Run:
    """A whole hybrid training.

    Args:
        theta: the final weights, (n,).
        rounds: record of each round.
        schedule: the settings.
        stopped: reason why an adaptive run ended before all its steps; empty: it did not.
    """

    theta: Tensor = field(repr=False)
    rounds: tuple[Round, ...]
    schedule: Schedule | AdaptiveSchedule
    stopped: str = ""

    def __post_init__(self) -> None:
        check_tensor("theta", self.theta, (None,))
        check_sequence("rounds", self.rounds, Round, called="a sequence of `Round`s", empty=True)
        check_instance("schedule", self.schedule, Schedule, AdaptiveSchedule)
        check_text("stopped", self.stopped, empty=True)

    @property
    def rows(self) -> tuple[Row, ...]:
        """Each round's order, length and truncation error, estimated and measured."""
        ends = [each.estimate[-1] for each in self.rounds]
        return (
            Row(
                "schedule/order_by_round",
                [r.order for r in self.rounds],
                "1",
                Evidence.EXACT,
                "order N of each segment",
            ),
            Row(
                names.SEGMENT_BY_ROUND,
                [r.steps for r in self.rounds],
                "steps",
                Evidence.EXACT,
                "length K of each segment",
            ),
            Row(
                names.TRUNCATION_TAIL_BY_ROUND,
                [math.inf if end is None else end for end in ends],
                "1",
                TAIL_EVIDENCE,
                TAIL_SOURCE + "; infinite where the terms cannot tell",
            ),
            Row(
                names.TRUNCATION_BY_ROUND,
                [r.truncation[-1] for r in self.rounds],
                "1",
                Evidence.MEASURED,
                "||u_N - u_GD|| / ||u_GD|| at each segment's end, against true descent from the"
                " same pivot",
            ),
            Row(
                names.STOPPED,
                self.stopped,
                "",
                Evidence.EXACT,
                "why the run ended before all its steps; empty: it did not",
            ),
        )


def train_hybrid(
    tasks: Sequence[Task],
    space: ParameterSpace,
    schedule: Schedule | AdaptiveSchedule,
    theta: Tensor | None = None,
    seed: int = 0,
    done: Sequence[Round] = (),
    on_round: Callable[[Round], None] | None = None,
    on_step: Callable[[], None] | None = None,
    check: bool = True,
) -> Run:
    """Rounds of upload, segment, readout and download, until all steps of the schedule are done.

    The segments are emulated exactly by the series form. True descent runs beside them from the
    same pivots, only to measure the truncation error: the quantum algorithm would not have it, and
    nothing is decided by it. An adaptive segment's end is decided by its terms and by two true
    gradients at the end of each step, where the series stands and where descent would as far as the
    earlier ones say: a classical machine can compute them after a readout, at the price of a
    readout a step.

    Args:
        tasks: the same network and loss, each with a round's batch; round r takes the r-th, and
            they start again after the last. With a fixed schedule, one task or as many as rounds.
            With `fresh_batches` each is the batch of a step.
        space: the kept weights.
        schedule: `Schedule` for segments of one length, `AdaptiveSchedule` for segments that a
            tolerance ends.
        theta: the first pivot, (n,); None: the network's own weights.
        seed: round r reads out with the generator named ("round", r): a resumed run draws the same
            shots.
        done: rounds of an earlier, interrupted call; the run goes on to the same numbers as one
            that was not interrupted.
        on_round: function called after each round, e.g. to save it.
        on_step: function called once for each step that a segment keeps.
        check: comparison of the first segment's series with the loss moved in float64, as
            `series_descent` does.

    Returns:
        Run. An adaptive run ends early, and says why in `stopped`, at a pivot from which not even
        two steps meet the tolerance.

    Raises:
        ArgumentError: from the very first pivot not even two steps meet the tolerance (one step is
            plain descent at any order); in a fixed schedule, the series left its radius of
            convergence so far that its numbers overflowed.

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(1, 1, bias=False).double()
        >>> data = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        >>> task, space = Task(network, torch.nn.functional.mse_loss, data), ParameterSpace(network)
        >>> schedule = Schedule(order=1, segment=2, rounds=2, learning_rate=0.1, shots=None)
        >>> run = train_hybrid([task], space, schedule, theta=torch.ones(1, dtype=torch.float64))
        >>> round(float(run.theta), 6)  # a quadratic loss is exact at order 1: 0.8^4
        0.4096
        >>> schedule = AdaptiveSchedule(steps=4, learning_rate=0.1, shots=None)
        >>> # nothing ends the segment
        >>> [(each.order, each.steps) for each in train_hybrid([task], space, schedule).rounds]
        [(2, 4)]
    """
    tasks = check_sequence("tasks", tasks, Task, called="tasks", empty=True)
    check_instance("schedule", schedule, Schedule, AdaptiveSchedule)
    check_integer("seed", seed, 0)
    done = check_sequence("done", done, Round, called="rounds of an earlier call", empty=True)
    check_callable("on_round", on_round, "a function of the round", optional=True)
    check_callable("on_step", on_step, optional=True)
    check_boolean("check", check)
    fixed = schedule if isinstance(schedule, Schedule) else None
    by_round = fixed.rounds if fixed and not fixed.fresh_batches else None
    if not tasks or (by_round and len(tasks) not in (1, by_round)):
        must = (
            f"hold 1 task or {by_round}, one for each round" if by_round else "hold at least 1 task"
        )
        raise argument_error("tasks", must, f"{len(tasks)} of them")
    check_instance("space", space, ParameterSpace)
    theta = None if theta is None else space.point(theta)
    left = schedule.steps - sum(each.steps for each in done)
    if left < 0:
        raise argument_error(
            "done",
            f"hold at most the schedule's {schedule.steps} steps",
            f"{schedule.steps - left} of them",
        )
    rounds = list(done)
    if schedule.momentum and rounds and rounds[-1].velocity is None:
        raise argument_error(
            "done",
            "hold rounds that were made with momentum, as the schedule has it",
            "without a velocity",
        )
    theta = rounds[-1].theta if rounds else space.theta if theta is None else theta
    while left > 0:
        r, longest = len(rounds), min(schedule.longest, left)
        batches = [tasks[(schedule.steps - left + t) % len(tasks)] for t in range(longest)]
        task = batches if schedule.fresh_batches else tasks[r % len(tasks)]
        velocity = rounds[-1].velocity if rounds else None
        segment = run_segment(
            task, space, theta, schedule, longest, on_step, velocity, check and r == len(done)
        )
        found = len(segment.steps)
        if fixed and found < longest:
            must = "stay within the series' radius of convergence (shorten it, or lower eta)"
            raise argument_error("segment", must, longest)
        if found < min(2, longest) and not rounds:
            must = (
                "let at least two steps meet the tolerance (lower it, raise the tolerance, or allow"
                " a higher order)"
            )
            raise argument_error("learning_rate", must, f"{schedule.learning_rate}: {segment.end}")
        if found < min(2, longest):
            return Run(theta, tuple(rounds), schedule, stopped=segment.end)
        start = float((task if isinstance(task, Task) else task[0]).loss_at(space, theta).detach())
        rounds.append(_download(segment, theta, start, schedule, derived_seed(seed, "round", r)))
        theta, left = rounds[-1].theta, left - found
        if on_round is not None:
            on_round(rounds[-1])
    return Run(theta, tuple(rounds), schedule)


def _download(
    segment: Segment, theta: Tensor, loss: float, schedule: Schedule | AdaptiveSchedule, seed: int
) -> Round:
    displacement, eta = segment.terms.sum(0), schedule.learning_rate
    state = (
        displacement
        if segment.velocity is None
        else torch.cat([displacement, eta * segment.velocity.sum(0)])
    )
    readout = None if schedule.shots is None else read_out(state, schedule.shots, seed)
    found = state if readout is None else readout.vector
    size, read = _norm(displacement), found[: len(theta)]
    return Round(
        theta=theta + read,
        loss=(loss, *(step.loss for step in segment.steps)),
        truncation=tuple(step.truncation for step in segment.steps),
        estimate=tuple(step.estimate for step in segment.steps),
        last_term=_norm(segment.terms[-1]) / (size or 1.0),
        readout_error=_norm(read - displacement) / size if size else 0.0,
        gram=tuple(step.gram for step in segment.steps),
        order=segment.order,
        end=segment.end,
        velocity=None if segment.velocity is None else found[len(theta) :] / eta,
        readout_expected=0.0
        if schedule.shots is None
        else expected_part(state, len(theta), schedule.shots),
        entry_share=1.0 if readout is None else readout.support / len(state),
        missing_share=0.0 if readout is None else readout.missing_share,
    )


def _norm(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x))
