"""One segment: the series' steps from a pivot, measured against true descent, and where it ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.solvers.series import series_steps
from qdescent.training.descent import displacements
from qdescent.training.residual import CarriedError, error_from_residual, finite_norm, step_residual
from qdescent.training.schedule import AdaptiveSchedule, Schedule
from qdescent.training.tail import Tail
from qdescent.training.tail_estimate import estimate_tail


@dataclass(frozen=True)
class Step:
    """One emulated step of order N.

    Args:
        loss: L on the step's batch after it.
        truncation: ||u_N(t) - u_GD(t)|| / ||u_GD(t)||, measured.
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
        terms: u_1 ... u_N at the end, (N, n).
        steps: what was seen after each of the K steps.
        end: why it is not longer; empty: it has all the steps it was allowed.
        velocity: v_1 ... v_N at the end, (N, n); None without momentum.
    """

    order: int
    terms: Tensor = field(repr=False)
    steps: tuple[Step, ...]
    end: str
    velocity: Tensor | None = field(repr=False)


@dataclass(frozen=True)
class _Followed:
    """One order on the way: its terms, what was seen after each step, and its velocity."""

    order: int
    terms: Tensor
    steps: tuple[Step, ...]
    velocity: Tensor | None

    def ended(self, why: str) -> Segment:
        """The segment that it has become."""
        return Segment(
            order=self.order,
            terms=self.terms,
            steps=self.steps,
            end=why,
            velocity=self.velocity,
        )


def run_segment(
    task: Task | Sequence[Task],
    space: ParameterSpace,
    theta: Tensor,
    schedule: Schedule | AdaptiveSchedule,
    longest: int,
    on_step: Callable[[], None] | None = None,
    velocity: Tensor | None = None,
    check: bool = True,
) -> Segment:
    """The segment from the pivot theta, of the length and order that the schedule asks for.

    All orders allowed are followed at once, for the terms of a lower order are the first of a
    higher one. An order drops out at the first step where its estimate passes the tolerance; the
    search ends when none is left, or when none that is left could still become cheaper than the
    cheapest that dropped out.

    Args:
        task: network, loss and the round's fixed batch; or a task for each of the `longest` steps.
        space: the kept weights.
        theta: the pivot, (n,).
        schedule: a fixed one (`longest` steps of its order), or an adaptive one.
        longest: the most steps.
        on_step: called once for each step of the segment, as soon as it is certain to belong to it.
        velocity: at the pivot, (n,), where the schedule has momentum; None: zero.
        check: compare the series with the loss moved in float64, as `series_descent` does.

    Returns:
        Segment, of a single step where the second was refused (one step is plain descent, exact at
        any order).

    Cost: N(N+3)/2 + 1 gradients of the highest order followed for each step tried, two for each
    order allowed, which look at its end and carry its error on, and one for true descent beside it.
    """
    rate, momentum = schedule.learning_rate, schedule.momentum
    series = series_steps(
        task, space, theta, schedule.followed, rate, momentum, velocity=velocity, check=check
    )
    reference = displacements(task, space, theta, rate, momentum, velocity)
    alive = {
        order: _Followed(order, theta.new_zeros(order, space.n), (), None)
        for order in schedule.orders
    }
    ended: list[Segment] = []
    looks = {order: _Look(space, theta, schedule, order, velocity) for order in schedule.orders}
    certain = 0

    def work(segment: Segment) -> float:
        """Infinite where a single step is all: that is plain descent, which needs no series."""
        steps = len(segment.steps)
        return schedule.work(segment.order, steps) if steps >= min(2, longest) else math.inf

    for t in range(1, longest + 1):
        terms = next(series)
        gram = terms.double() @ terms.double().T
        batch = task if isinstance(task, Task) else task[t - 1]
        tails = {order: estimate_tail(gram, order) for order in alive}
        for order, tail in tails.items():
            if schedule.accepts(tail) or math.isnan(tail.growth):
                speed = (
                    series.velocity[:order] if momentum and series.velocity is not None else None
                )
                tails[order] = tail = looks[order].at_end(batch, terms[:order], speed, tail)
            if not schedule.accepts(tail):
                ended.append(alive.pop(order).ended(_sentence(order, tail, t)))
        cheapest = min(map(work, ended), default=math.inf)
        if all(schedule.work(order, longest) >= cheapest for order in alive):
            break  # what is alive, if anything is, would be too dear at any length
        truth = next(reference)[1]
        for order, segment in alive.items():
            step = _step(
                batch, space, theta, terms[:order], truth, gram[:order, :order], tails[order]
            )
            speed = series.velocity[:order] if momentum and series.velocity is not None else None
            alive[order] = _Followed(order, terms[:order], (*segment.steps, step), speed)
        if not ended:
            certain = _announce(on_step, certain, t)
    else:
        ended += [each.ended("") for each in alive.values()]
    found = min(reversed(ended), key=work)  # where all are refused, the last to be so
    _announce(on_step, certain, len(found.steps))
    return found


class _Look:
    """What one order's segment misses, step by step; the largest error so far stands, whatever
    cancels later.
    """

    def __init__(
        self,
        space: ParameterSpace,
        theta: Tensor,
        schedule: Schedule | AdaptiveSchedule,
        order: int,
        velocity: Tensor | None,
    ) -> None:
        self._space, self._theta, self._schedule, self._order = space, theta, schedule, order
        self._last, self._velocity = torch.zeros_like(theta), velocity
        self._steps, self._error, self._carried = 0, 0.0, CarriedError.nothing(theta)

    def at_end(self, task: Task, terms: Tensor, velocity: Tensor | None, tail: Tail) -> Tail:
        """The larger of both estimates after one more step, whose terms these are; the look alone
        where there is one term.
        """
        rate, momentum = self._schedule.learning_rate, self._schedule.momentum
        step = self._last, terms.sum(0)
        self._steps += 1
        if self._steps > 1:  # the first step is that of descent
            missed = step_residual(
                task, self._space, self._theta, step, self._velocity, rate, momentum
            )
            self._carried = self._carried.after(
                task, self._space, self._theta + self._last, missed, rate, momentum
            )
            error = error_from_residual(finite_norm(missed[0]), self._steps, self._order, momentum)
            self._error = max(self._error, error, self._carried.norm)
        self._last, self._velocity = step[1], None if velocity is None else velocity.sum(0)
        size = _norm(step[1])
        seen = 0.0 if self._error == 0 else self._error / size if size else math.inf
        return replace(tail, error=seen if math.isnan(tail.growth) else max(tail.error, seen))


def _step(
    task: Task,
    space: ParameterSpace,
    theta: Tensor,
    terms: Tensor,
    truth: Tensor,
    gram: Tensor,
    tail: Tail,
) -> Step:
    displacement = terms.sum(0)
    with torch.no_grad():
        loss = float(task.loss_at(space, theta + displacement))
    size, gap = _norm(truth), _norm(displacement - truth)
    return Step(
        loss=loss,
        truncation=gap / size if size else float(gap > 0),
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
