"""What a hybrid training has done: its rounds, and the classical runs beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    check_field,
    check_instance,
    check_integer,
    check_interval,
    check_sequence,
    check_text,
)
from qdescent._evidence import Evidence, Row
from qdescent.rows import names
from qdescent.training.rounds.beside import Classical
from qdescent.training.rounds.pruning import Weights
from qdescent.training.rounds.window import Window, window_of
from qdescent.training.schedule import AdaptiveSchedule, Schedule
from qdescent.training.tail_estimate import TAIL_EVIDENCE, TAIL_SOURCE


@dataclass(frozen=True, kw_only=True, eq=False)
class Round:
    """One upload, segment of K steps, and download.

    Args:
        theta: the weights after the readout, (n,).
        loss: L on the step's batch at the pivot and after each of the K emulated steps (before
            readout), (K + 1,); NaN where a step was not watched.
        truncation: ||u_N(t) - u_GD(t)|| / ||u_GD(t)|| for t = 1..K, measured against true descent
            from the same pivot, (K,); NaN likewise.
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
        kept: where the weights are not pruned at the next upload, (n,), boolean; None: everywhere.
        solver_error: what the engine missed of the order-N solution, relative to ||u||.
        gradients: what the engine and the checks that decide took, in gradients (a cost model).
        engine: the name of the engine; empty: a single classical step.
        shots: of the readout, for magnitudes and signs together; 0 where it is perfect.
        sparse: masked descent from the same start over the same batches, as far as this round; None
            where it does not run beside.
        dense: descent of all weights, likewise.
        settings: what its numbers depend on besides network, data and pivot, (name, value) each: a
            run that goes on from it must have the same (`train_hybrid(done=)`).
    """

    theta: Tensor = field(repr=False)
    loss: tuple[float, ...]
    truncation: tuple[float, ...]
    estimate: tuple[float | None, ...]
    last_term: float
    readout_error: float
    gram: tuple[tuple[tuple[float, ...], ...], ...]
    order: int
    end: str
    velocity: Tensor | None = field(repr=False)
    readout_expected: float
    entry_share: float
    missing_share: float
    solver_error: float
    gradients: float
    engine: str
    shots: int
    kept: Tensor | None = field(repr=False)
    sparse: Classical | None = field(repr=False)
    dense: Classical | None = field(repr=False)
    settings: tuple[tuple[str, Any], ...] = field(repr=False)

    def __post_init__(self) -> None:
        theta = check_tensor("theta", self.theta, (None,))
        check_sequence("settings", self.settings, tuple, called="pairs", empty=True)
        for name in ("loss", "truncation", "estimate", "gram"):
            check_sequence(name, getattr(self, name), object, called="a number for each step")
        check_field(self, "order", check_integer, 1)
        check_field(self, "shots", check_integer, 0)
        for name in ("end", "engine"):
            check_text(name, getattr(self, name), empty=True)
        if self.velocity is not None:
            check_tensor("velocity", self.velocity, tuple(theta.shape))
        if self.kept is not None:
            check_tensor("kept", self.kept, tuple(theta.shape), "boolean")
        check_field(self, "readout_expected", check_interval, "[0, inf)")
        for name in ("entry_share", "missing_share"):
            check_field(self, name, check_interval, "[0, 1]")
        check_field(self, "solver_error", check_interval, "[0, inf]")
        check_field(self, "gradients", check_interval, "[0, inf)")
        for name in ("sparse", "dense"):
            check_instance(name, getattr(self, name), Classical, optional=True)

    @property
    def weights(self) -> Weights:
        """Where the next round begins."""
        return Weights(self.theta, self.velocity, self.kept)

    @property
    def steps(self) -> int:
        """K, the steps of the segment."""
        return len(self.truncation)


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A whole hybrid training.

    Args:
        theta: the final weights, (n,).
        rounds: record of each round.
        schedule: the settings.
        stopped: reason why the run ended before all its steps; empty: it did not.
    """

    theta: Tensor = field(repr=False)
    rounds: tuple[Round, ...]
    schedule: Schedule | AdaptiveSchedule
    stopped: str

    def __post_init__(self) -> None:
        check_tensor("theta", self.theta, (None,))
        check_sequence("rounds", self.rounds, Round, called="a sequence of `Round`s", empty=True)
        check_instance("schedule", self.schedule, Schedule, AdaptiveSchedule)
        check_text("stopped", self.stopped, empty=True)

    @property
    def window(self) -> Window:
        """Where segments longer than a step were worth it."""
        return window_of(self.rounds, self.schedule, self.stopped)

    @property
    def budget(self) -> tuple[Row, ...]:
        """Each round's error by its origins, and the gradients spent so far, of this run and of
        those beside it.
        """
        modelled, measured = Evidence.MODELLED, Evidence.MEASURED
        ends = [each.estimate[-1] for each in self.rounds]
        noise = [
            math.sqrt(max(0.0, each.readout_expected**2 - each.missing_share))
            for each in self.rounds
        ]
        rows = [
            Row(
                names.BUDGET_TRUNCATION,
                [math.inf if end is None else end for end in ends],
                "1",
                TAIL_EVIDENCE,
                TAIL_SOURCE,
            ),
            Row(
                names.BUDGET_SOLVER,
                [each.solver_error for each in self.rounds],
                "1",
                modelled,
                "what the engine misses of the order-N solution: its own estimate, of a circuit"
                " the measured distance",
            ),
            Row(
                names.BUDGET_SHOT_NOISE,
                noise,
                "1",
                modelled,
                "expected error of the readout without what was not read",
            ),
            Row(
                names.BUDGET_UNREAD,
                [math.sqrt(each.missing_share) for each in self.rounds],
                "1",
                measured,
                "norm of what was not read, from counts",
            ),
        ]
        spent = {"hybrid": [each.gradients for each in self.rounds]}
        for name in ("sparse", "dense"):
            runs = [getattr(each, name) for each in self.rounds]
            if runs and None not in runs:
                spent[name] = [each.gradients for each in runs]
        source = "a step of classical descent is one; engines by their counts of products"
        return (
            *rows,
            *(
                Row(
                    names.gradients_of(name),
                    list(accumulate(values)),
                    "gradients",
                    modelled,
                    source,
                )
                for name, values in spent.items()
            ),
        )

    @property
    def rows(self) -> tuple[Row, ...]:
        """Each round's order, length and truncation error, estimated and measured; and where shots
        have a price, what it costs.
        """
        exact, ends = Evidence.EXACT, [each.estimate[-1] for each in self.rounds]
        return (
            Row(
                "schedule/order_by_round",
                [r.order for r in self.rounds],
                "1",
                exact,
                "order N of each segment",
            ),
            Row(
                names.SEGMENT_BY_ROUND,
                [r.steps for r in self.rounds],
                "steps",
                exact,
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
                exact,
                "why the run ended before all its steps; empty: it did not",
            ),
            *self._rates,
            *self._prices,
        )

    @property
    def _rates(self) -> tuple[Row, ...]:
        rates = rates_of(self.schedule, self.rounds)
        if len(set(rates)) < 2:
            return ()
        source = "settings `learning_rate` and `rate_schedule`, at each upload"
        return (Row(names.RATE_BY_ROUND, rates, "1", Evidence.ASSUMED, source),)

    @property
    def _prices(self) -> tuple[Row, ...]:
        schedule = self.schedule
        if not isinstance(schedule, AdaptiveSchedule) or schedule.shot_cost is None:
            return ()
        prices = [
            each.steps * schedule.work(each.order, each.steps, each.shots)
            if each.engine
            else each.gradients
            for each in self.rounds
        ]
        source = "K N(N+3)/2 + round_cost + shot_cost S; of a classical step what it took"
        return (Row(names.PRICE_BY_ROUND, prices, "gradients", Evidence.MODELLED, source),)


def rates_of(schedule: Schedule | AdaptiveSchedule, rounds: Sequence[Round]) -> list[float]:
    """The learning rate of each round, as the schedule has it for the steps before."""
    before = accumulate((each.steps for each in rounds), initial=0)
    return [
        schedule.rule(place, done).learning_rate
        for place, done in zip(range(len(rounds)), before, strict=False)
    ]
