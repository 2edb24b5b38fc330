"""Quantum-emulated training: upload, a segment of Carleman steps as one linear system, readout,
download, again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile

import torch
from torch import Tensor

from qdescent._checks import (
    ArgumentError,
    argument_error,
    check_boolean,
    check_callable,
    check_instance,
    check_integer,
    check_sequence,
)
from qdescent._random import derived_seed
from qdescent.learning.descent.diverged import DivergedError
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.training.a_posteriori.check import Segment
from qdescent.training.descent import walk
from qdescent.training.engines.path import Upload
from qdescent.training.rounds.beside import Classical, go_on
from qdescent.training.rounds.download import download, entries_of
from qdescent.training.rounds.pruning import Pruning, Weights, after_download, pruned
from qdescent.training.rounds.record import Round, Run
from qdescent.training.rounds.resumed import check_begun, check_settings, settings_of
from qdescent.training.schedule import AdaptiveSchedule, Schedule
from qdescent.training.segment import run_segment

EXPLODED = 1e3  # times the loss before, or 1: no step of descent that is worth its name


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
    watch: bool = True,
    beside: bool = True,
    dense: ParameterSpace | None = None,
    pruning: Pruning | None = None,
) -> Run:
    """Rounds of upload, segment, readout and download, until all steps of the schedule are done.

    The segments are emulated by the schedule's engine. True descent runs beside them from the same
    pivots, only to measure the truncation error: the quantum algorithm would not have it, and
    nothing is decided by it. An adaptive segment's end is decided by its terms and by two true
    gradients at the end of each step, where the series stands and where descent would as far as the
    earlier ones say: a classical machine can compute them after a readout, at the price of a
    readout a step.

    A classical run goes beside the hybrid one: masked descent from the same start, over the same
    batches, by the same rule.

    Args:
        tasks: the same network and loss, each with a round's batch; round r takes the r-th, and
            they start again after the last. With a fixed schedule, one task or as many as rounds.
            With `fresh_batches` each is the batch of a step.
        space: the kept weights.
        schedule: `Schedule` for segments of one length, `AdaptiveSchedule` for segments that a
            tolerance ends.
        theta: the first pivot, (n,); None: the network's own weights,
            which must be those that the space was made with.
        seed: round r reads out with the generator named ("round", r): a resumed run draws the same
            shots.
        done: rounds of an earlier, interrupted call with the same settings; the run goes on to the
            same numbers as one that was not interrupted.
        on_round: function called after each round, e.g. to save it.
        on_step: function called once for each step that a segment keeps.
        check: comparison of the first segment's series with the loss moved in float64, as
            `series_descent` does.
        watch: measure loss, truncation and estimate after each step; False: the loss at each
            segment's ends and the estimate at its end, which a fixed schedule's engine needs not.
        beside: run masked descent beside, one gradient a step: `Round.sparse`.
        dense: all weights of the same network, whose `theta` is where descent without a mask
            starts, likewise: `Round.dense`; None: it is not run.
        pruning: prune at the first upload or little by little, and let weights grow back
            (`Pruning`); `space` then holds all weights that may be kept, and the run beside is
            pruned by the same rule. None: the weights of `space` are kept.

    Returns:
        Run. It ends early, keeps the rounds before and says why in `stopped`, where a segment or a
        readout makes the loss infinite or a thousand times larger, and an adaptive one at a pivot
        from which not even two steps meet the tolerance (and `patience` single steps did not lead
        out).

    Raises:
        ArgumentError: the same in the very first round (one step is plain descent at any order); in
            a fixed schedule, the series left its radius of convergence so far that its numbers
            overflowed.

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
    seed = check_integer("seed", seed, 0)
    done = check_sequence("done", done, Round, called="rounds of an earlier call", empty=True)
    check_callable("on_round", on_round, "a function of the round", optional=True)
    check_callable("on_step", on_step, optional=True)
    for name, value in (("check", check), ("watch", watch), ("beside", beside)):
        check_boolean(name, value)
    check_instance("dense", dense, ParameterSpace, optional=True)
    check_instance("pruning", pruning, Pruning, optional=True)
    fixed = schedule if isinstance(schedule, Schedule) else None
    by_round = fixed.rounds if fixed and not fixed.fresh_batches else None
    if not tasks or (by_round and len(tasks) not in (1, by_round)):
        must = (
            f"hold 1 task or {by_round}, one for each round" if by_round else "hold at least 1 task"
        )
        raise argument_error("tasks", must, f"{len(tasks)} of them")
    check_instance("space", space, ParameterSpace)
    entries_of(schedule.largest, space.n * (2 if schedule.momentum else 1))
    theta = None if theta is None else space.point(theta)
    check_settings(done, schedule, seed, tasks, pruning)
    rounds, left = list(done), schedule.steps - sum(each.steps for each in done)
    first = space.theta if theta is None else theta
    weights = Weights(first if rounds else space.pivot(theta, tasks[0].network))
    if pruning is not None:
        weights = pruned(weights, pruning, 0, tasks[0], space, seed)
    if rounds:
        inner, pivot, _ = weights.within(space)
        check_begun(rounds[0], float(tasks[0].loss_at(inner, pivot)))
        weights = rounds[-1].weights
    starts = (
        Classical.start(weights.theta, weights.kept) if beside else None,
        Classical.start(dense.theta, None) if dense else None,
    )
    stopped = ""
    while left > 0:
        r, longest = len(rounds), min(schedule.longest, left)
        batches = [tasks[(schedule.steps - left + t) % len(tasks)] for t in range(longest)]
        task = batches if schedule.fresh_batches else tasks[r % len(tasks)]
        inner, pivot, velocity = weights.within(space)
        try:
            rule = schedule.rule(r, schedule.steps - left)
        except ArgumentError as error:  # of a function of the user's: the rounds before stay
            stopped = str(error)
            break
        upload = Upload(
            task,
            inner,
            pivot,
            rule,
            schedule.followed,
            longest,
            velocity,
            schedule.engine_tolerance,
            check and r == len(done),
            schedule.most_seconds,
        )
        try:
            expected = rounds[-1].steps if rounds else 0
            segment = run_segment(upload, schedule, on_step, watch, expected)
            if fixed and len(segment.steps) < longest:
                must = "stay within the series' radius of convergence (shorten it, or lower eta)"
                raise DivergedError("segment", must, longest)
            single = len(segment.steps) < min(2, longest)
            if single and _single_steps(rounds) >= schedule.patience:
                return _no_segment(rounds, weights, schedule, upload, segment)
            found = 1 if single else len(segment.steps)
            taken = [task] * found if isinstance(task, Task) else task[:found]
            between = partial(
                after_download, pruning=pruning, round_index=r, task=taken[-1], space=space,
                rule=upload.rule, seed=seed,
            )  # fmt: skip
            if single:
                each = _single_step(segment, upload, weights, between)
            else:
                shots = derived_seed(seed, "round", r)
                each = _downloaded(segment, upload, schedule, shots, weights, between)
            sparse, whole = (rounds[-1].sparse, rounds[-1].dense) if rounds else starts
            each = replace(
                each,
                gradients=each.gradients + (pruning.regrow if pruning else 0),
                sparse=go_on(sparse, taken, space, upload.rule, between) if sparse else None,
                dense=go_on(whole, taken, dense, upload.rule) if whole and dense else None,
                settings=settings_of(schedule, upload.rule, seed, tasks, pruning, r),
            )
        except DivergedError as outcome:
            if not rounds:
                raise
            stopped = str(outcome)
            break
        rounds.append(each)
        weights, left = each.weights, left - found
        if on_round is not None:
            on_round(each)
    return Run(theta=weights.theta, rounds=tuple(rounds), schedule=schedule, stopped=stopped)


def _single_steps(rounds: Sequence[Round]) -> int:
    """How many rounds in a row, up to the last, were a single step."""
    return len(list(takewhile(lambda each: each.steps == 1, reversed(rounds))))


def _no_segment(
    rounds: Sequence[Round],
    weights: Weights,
    schedule: Schedule | AdaptiveSchedule,
    upload: Upload,
    segment: Segment,
) -> Run:
    """The run as it is, at a pivot from which no segment meets the tolerance.

    Raises:
        ArgumentError: it is the first pivot.
    """
    if rounds:
        return Run(
            theta=weights.theta, rounds=tuple(rounds), schedule=schedule, stopped=segment.why
        )
    must = (
        "let at least two steps meet the tolerance (lower it, raise the tolerance, or allow a"
        " higher order)"
    )
    raise argument_error("learning_rate", must, f"{upload.rule.learning_rate}: {segment.why}")


def _single_step(
    segment: Segment, upload: Upload, weights: Weights, between: Callable[[Weights], Weights]
) -> Round:
    """A step of descent as a round of its own: classical, so that nothing is read out."""
    task = upload.task if isinstance(upload.task, Task) else upload.task[0]
    (seen,) = walk([task], upload.space, upload.theta, upload.rule, upload.velocity)
    after = between(weights.moved(*seen[1:]))
    squared = float(torch.linalg.vector_norm(seen[1])) ** 2
    return Round(
        theta=after.theta,
        loss=(seen[0], _loss(task, upload, seen[1])),
        truncation=(0.0,),
        estimate=(0.0,),
        last_term=1.0,
        readout_error=0.0,
        gram=(((squared,),),),
        order=1,
        end=segment.why,
        velocity=after.velocity,
        kept=after.kept,
        readout_expected=0.0,
        entry_share=1.0,
        missing_share=0.0,
        solver_error=0.0,
        gradients=segment.gradients + 1,
        engine="",
        shots=0,
        sparse=None,
        dense=None,
        settings=(),
    )


def _downloaded(
    segment: Segment,
    upload: Upload,
    schedule: Schedule | AdaptiveSchedule,
    seed: int,
    weights: Weights,
    between: Callable[[Weights], Weights],
) -> Round:
    """The round that the engine's answer makes, read out; what explodes is none.

    Raises:
        DivergedError: the loss at the segment's end, or after the readout, is not finite or has
            exploded.
    """
    displacement, eta = segment.end.displacement, upload.rule.learning_rate
    state, speed = displacement, segment.end.velocity
    if speed is not None:
        state = torch.cat([displacement, eta * speed])
    found = download(state, len(displacement), schedule, seed, segment.read_error)
    size, read = _norm(displacement), found.vector[: len(displacement)]
    tasks = upload.task
    first = tasks if isinstance(tasks, Task) else tasks[0]
    last = tasks if isinstance(tasks, Task) else tasks[len(segment.steps) - 1]
    start = _loss(first, upload, torch.zeros_like(displacement))
    losses = [start, *(step.loss for step in segment.steps)]
    if math.isnan(losses[-1]):  # of an overflow, too
        losses[-1] = _loss(last, upload, displacement)
    limit = EXPLODED * max(1.0, abs(start))
    if not abs(losses[-1] - start) <= limit:
        must = "keep the loss from exploding (take fewer steps, a lower rate or a higher order)"
        actual = f"{len(segment.steps)}: {start:.3g} -> {losses[-1]:.3g}"
        raise DivergedError("segment", must, actual)
    read_loss = start if schedule.shots is None else _loss(last, upload, read)
    if not abs(read_loss - start) <= limit:
        must = "keep the loss from exploding at the readout (take a hundred times as many)"
        actual = f"{schedule.shots}: {losses[-1]:.3g} -> {read_loss:.3g}"
        raise DivergedError("shots", must, actual)
    speed = None if speed is None else found.vector[len(displacement) :] / eta
    after = between(weights.moved(read, speed))
    return Round(
        theta=after.theta,
        loss=tuple(losses),
        truncation=tuple(step.truncation for step in segment.steps),
        estimate=tuple(step.estimate for step in segment.steps),
        last_term=segment.last_term,
        readout_error=_norm(read - displacement) / size if size else 0.0,
        gram=tuple(step.gram for step in segment.steps),
        order=segment.order,
        end=segment.why,
        velocity=after.velocity,
        kept=after.kept,
        readout_expected=found.expected,
        entry_share=found.entry_share,
        missing_share=found.missing_share,
        solver_error=segment.end.error,
        gradients=segment.gradients,
        engine=segment.engine,
        shots=found.shots,
        sparse=None,
        dense=None,
        settings=(),
    )


def _loss(task: Task, upload: Upload, displacement: Tensor) -> float:
    with torch.no_grad():
        return float(task.loss_at(upload.space, upload.theta + displacement))


def _norm(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x))
