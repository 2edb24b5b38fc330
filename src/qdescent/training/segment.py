"""One segment: an engine's steps from a pivot, measured against true descent, and where it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from qdescent.learning.descent.diverged import DivergedError
from qdescent.learning.task import Task
from qdescent.training.descent import displacements
from qdescent.training.engines.choices import ENGINES
from qdescent.training.engines.path import End, Path, Upload
from qdescent.training.residual import CarriedError, error_from_residual, finite_norm, step_residual
from qdescent.training.schedule import AdaptiveSchedule, Schedule
from qdescent.training.tail import Tail
from qdescent.training.tail_estimate import estimate_tail

UNRESOLVED = "the engine does not resolve more steps within `engine_tolerance`"


@dataclass(frozen=True)
class Step:
    """One emulated step of order N.

    Args:
        loss: L on the step's batch after it; NaN where it was not looked at.
        truncation: ||u_N(t) - u_GD(t)|| / ||u_GD(t)||, measured; NaN likewise.
        estimate: the same, estimated without true descent, from the terms and from true gradients
            at the end; None where they cannot tell.
        gram: <u_k(t), u_l(t)>, (N, N).
    """

    loss: float
    truncation: float
    estimate: float | None
    gram: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Segment:
    """The accepted steps of one order.

    Args:
        order: N.
        steps: what was seen after each of the K steps.
        why: why it is not longer; empty: it has all the steps it was allowed.
        end: the engine's answer.
        last_term: ||u_N|| / ||u|| at the end.
        gradients: what the engine, and the looks that decide, took (a cost model).
    """

    order: int
    steps: tuple[Step, ...]
    why: str
    end: End
    last_term: float
    gradients: float


@dataclass(frozen=True)
class _Followed:
    """One order on the way: its terms, what was seen of its steps, its velocity, why it ended."""

    order: int
    terms: Tensor = field(repr=False)
    steps: tuple[Step, ...] = ()
    velocity: Tensor | None = field(default=None, repr=False)
    why: str = ""


def run_segment(
    upload: Upload,
    schedule: Schedule | AdaptiveSchedule,
    on_step: Callable[[], None] | None = None,
    watch: bool = True,
) -> Segment:
    """The segment from the upload's pivot, of the length and order that the schedule asks for.

    All orders allowed are followed at once, for the terms of a lower order are the first of a
    higher one. An order drops out at the first step where its estimate passes the tolerance; the
    search ends when none is left, or when none that is left could still become cheaper than the
    cheapest that dropped out.

    Args:
        upload: network, batch, pivot and rule; `longest` steps at most.
        schedule: a fixed one (`longest` steps of its order), or an adaptive one.
        on_step: called once for each step of the segment, as soon as it is certain to belong to it.
        watch: measure loss and truncation after each step; False: neither, and of a fixed schedule
            the estimate at the end alone.

    Returns:
        Segment, of a single step where the second was refused (one step is plain descent, exact at
        any order).

    Cost: what the engine takes; two gradients a step for each order allowed, which look at its end
        and carry its error on; and where it is watched one for true descent beside it.
    """
    allowed = upload.longest
    path, upload = _follow(schedule, upload)
    longest, rule, velocity = upload.longest, upload.rule, upload.velocity
    reference = displacements(
        upload.task, upload.space, upload.theta, velocity=velocity, **vars(rule)
    )
    alive = {
        order: _Followed(order, upload.theta.new_zeros(order, upload.space.n))
        for order in schedule.orders
    }
    ended: list[_Followed] = []
    looks = {order: _Look(upload, order) for order in schedule.orders}
    certain, adaptive = 0, isinstance(schedule, AdaptiveSchedule)

    def work(segment: _Followed) -> float:
        """Infinite where a single step is all: that is plain descent, which needs no series."""
        steps = len(segment.steps)
        return schedule.work(segment.order, steps) if steps >= min(2, longest) else math.inf

    first = 1 if watch or adaptive else longest
    if first > 1:  # the look at the end starts from the step before it
        looks[schedule.orders[-1]].start(longest - 1, *path.at(longest - 1))
    for t in range(first, longest + 1):
        terms, speeds = path.at(t)
        gram = terms.double() @ terms.double().T
        batch = upload.task if isinstance(upload.task, Task) else upload.task[t - 1]
        tails = {order: estimate_tail(gram, order) for order in alive}
        for order, tail in tails.items():
            if schedule.accepts(tail) or math.isnan(tail.growth):
                speed = None if speeds is None else speeds[:order]
                tails[order] = tail = looks[order].at_end(batch, terms[:order], speed, tail)
            if not schedule.accepts(tail):
                ended.append(replace(alive.pop(order), why=_sentence(order, tail, t)))
        cheapest = min(map(work, ended), default=math.inf)
        if all(schedule.work(order, longest) >= cheapest for order in alive):
            break  # what is alive, if anything is, would be too dear at any length
        truth = next(reference)[1] if watch else None
        for order, segment in alive.items():
            inner = gram[:order, :order]
            step = _step(upload, batch, terms[:order], truth, inner, tails[order])
            unlooked = (Step(math.nan, math.nan, None, ()),) * (t - 1 - len(segment.steps))
            alive[order] = _Followed(
                order,
                terms[:order],
                (*segment.steps, *unlooked, step),
                None if speeds is None else speeds[:order],
            )
        if not ended:
            certain = _announce(on_step, certain, t)
    else:
        why = UNRESOLVED if longest < allowed else ""
        ended += [replace(each, why=why) for each in alive.values()]
    found = min(reversed(ended), key=work)  # where all are refused, the last to be so
    _announce(on_step, certain, len(found.steps))
    end = End(found.terms.sum(0), found.velocity, 0.0)  # of no step
    if found.steps:
        end = path.end(len(found.steps), found.terms, found.velocity)
    size = _norm(end.displacement)
    return Segment(
        order=found.order,
        steps=found.steps,
        why=found.why,
        end=end,
        last_term=_norm(found.terms[-1]) / (size or 1.0),
        gradients=path.gradients + sum(look.gradients for look in looks.values()) * adaptive,
    )


def _follow(schedule: Schedule | AdaptiveSchedule, upload: Upload) -> tuple[Path, Upload]:
    """The engine's path; of an adaptive schedule half as long where it resolves no more."""
    engine = ENGINES[schedule.engine]
    while True:
        try:
            return engine.follow(upload), upload
        except DivergedError:
            if isinstance(schedule, Schedule) or upload.longest <= 2:
                raise
        upload = replace(upload, longest=max(2, upload.longest // 2))


class _Look:
    """What one order's segment misses, step by step; the largest error so far stands, whatever
    cancels later.
    """

    def __init__(self, upload: Upload, order: int) -> None:
        self._upload, self._order = upload, order
        self._last, self._velocity = torch.zeros_like(upload.theta), upload.velocity
        self._steps, self._error = 0, 0.0
        self._carried = CarriedError.nothing(upload.theta)
        self.gradients = 0.0

    def start(self, steps: int, terms: Tensor, velocity: Tensor | None) -> None:
        """Begin after so many steps, whose terms these are."""
        self._steps, self._last = steps, terms.sum(0)
        self._velocity = None if velocity is None else velocity.sum(0)

    def at_end(self, task: Task, terms: Tensor, velocity: Tensor | None, tail: Tail) -> Tail:
        """The larger of both estimates after one more step, whose terms these are; the look alone
        where there is one term.
        """
        upload, rule = self._upload, self._upload.rule
        step = self._last, terms.sum(0)
        self._steps += 1
        if self._steps > 1:  # the first step is that of descent
            missed = step_residual(task, upload.space, upload.theta, step, self._velocity, rule)
            self.gradients += 1 + bool(self._carried.error.any())
            self._carried = self._carried.after(
                task, upload.space, upload.theta + self._last, missed, rule
            )
            residual = finite_norm(missed[0])
            error = error_from_residual(residual, self._steps, self._order, rule.momentum)
            self._error = max(self._error, error, self._carried.norm)
        self._last, self._velocity = step[1], None if velocity is None else velocity.sum(0)
        size = _norm(step[1])
        seen = 0.0 if self._error == 0 else self._error / size if size else math.inf
        return replace(tail, error=seen if math.isnan(tail.growth) else max(tail.error, seen))


def _step(
    upload: Upload, task: Task, terms: Tensor, truth: Tensor | None, gram: Tensor, tail: Tail
) -> Step:
    """What is seen of a step; without the truth, what its terms say."""
    loss = truncation = math.nan
    if truth is not None:
        displacement = terms.sum(0)
        with torch.no_grad():
            loss = float(task.loss_at(upload.space, upload.theta + displacement))
        size, gap = _norm(truth), _norm(displacement - truth)
        truncation = gap / size if size else float(gap > 0)
    return Step(
        loss=loss,
        truncation=truncation,
        estimate=tail.error if tail.known else None,
        gram=tuple(map(tuple, gram.tolist())),
    )


def _sentence(order: int, tail: Tail, t: int) -> str:
    if tail.growth >= 1:
        return (
            f"step {t} at order {order} is past the radius of convergence (the series' terms grow"
            f" by {tail.growth:.3g} an order)"
        )
    return f"the truncation error of step {t} at order {order} would be about {tail.error:.2g}"


def _announce(on_step: Callable[[], None] | None, done: int, steps: int) -> int:
    for _ in range(steps - done if on_step is not None else 0):
        on_step()  # type: ignore[misc]
    return steps


def _norm(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x))
