"""How far the order-N Carleman solution is from true descent, and for how many steps it is near."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row
from qdescent.learning.descent.diverged import DivergedError
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.rows import names
from qdescent.solvers.series import SeriesSteps
from qdescent.training.descent import displacements

NEAR = 0.01  # relative error of a segment: that of a readout, so that more would be wasted on it
LOST = 0.5  # from here on nothing is left to be measured


@dataclass(frozen=True)
class Rule:
    """A rule of descent: v <- beta v + grad L(theta) + omega theta, theta <- theta - eta v.

    Args:
        name: in the rows: "eta-0.02".
        rate: eta.
        momentum: beta.
        decay: omega, weight decay.
    """

    name: str
    rate: float
    momentum: float = 0.0
    decay: float = 0.0

    def __str__(self) -> str:
        more = f", beta = {self.momentum:g}" if self.momentum else ""
        return f"eta = {self.rate:g}{more}" + (f", omega = {self.decay:g}" if self.decay else "")


def truth(
    tasks: Task | Sequence[Task], space: ParameterSpace, theta: Tensor, rule: Rule
) -> Iterator[tuple[float, Tensor]]:
    """(loss before the step, displacement after it) of true descent, up to where it diverges."""
    walk = displacements(tasks, space, theta, rule.rate, rule.momentum, weight_decay=rule.decay)
    with suppress(DivergedError):
        yield from walk


def end_of(task: Task, space: ParameterSpace, theta: Tensor, rule: Rule, steps: int) -> Tensor:
    """u after so many steps of true descent, float64.

    Raises:
        DivergedError: descent itself diverges before.
    """
    found = next(islice(truth(task, space, theta, rule), steps - 1, None), None)
    if found is None or not bool(torch.isfinite(found[1]).all()):
        must = f"keep {steps} steps of descent finite"
        raise DivergedError("learning_rate", must, rule.rate)
    return found[1].double()


def truncation_rows(
    tasks: Task | Sequence[Task],
    space: ParameterSpace,
    theta: Tensor,
    rule: Rule,
    where: str,
    order: int,
    steps: int,
    on_step: Callable[[], None] = lambda: None,
) -> list[Row]:
    """||u_series(K) - u(K)|| / ||u(K)|| for K = 1, 2, ... and every order up to `order`, from one
    walk: the terms of a lower order are the first ones of a higher.

    It ends where no order is within `LOST` of true descent.

    Args:
        tasks: one batch for all steps, or one for each.
        where: part of the rows' names: "step-0".
        steps: the largest K.
    """
    walk = SeriesSteps(
        tasks, space, theta, order, rule.rate, rule.momentum, rule.decay, check=False
    )
    errors: list[list[float]] = [[] for _ in range(order)]
    moved, losses = [], []
    for (loss, u), _ in zip(truth(tasks, space, theta, rule), range(steps), strict=False):
        terms = next(walk).double()
        true = u.double()
        size = float(torch.linalg.vector_norm(true))
        for k in range(order):
            gap = float(torch.linalg.vector_norm(terms[: k + 1].sum(0) - true))
            errors[k].append(gap / size if size else float(gap > 0))
        moved.append(size)
        losses.append(loss)
        on_step()
        if not min(each[-1] for each in errors) < LOST:
            break
    one = isinstance(tasks, Task)
    batch = tasks.batch if isinstance(tasks, Task) else tasks[0].batch
    how = f"{rule}; {'one batch' if one else 'a fresh batch each step'} of {batch}; K = 1, 2, ..."
    place = f"{where}/{rule.name}"
    rows = [
        Row(f"truncation/{place}/moved", moved, "1", Evidence.EXACT, f"||u(K)||; {how}"),
        Row(f"truncation/{place}/loss", losses, "nats", Evidence.EXACT, f"before step K; {how}"),
    ]
    for k, error in enumerate(errors, 1):
        source = f"||u_series(K) - u(K)|| / ||u(K)|| at order {k}; {how}"
        rows += [
            Row(f"truncation/{place}/order_{k}", error, "1", Evidence.EXACT, source),
            Row(
                f"window/true/{place}/order_{k}",
                window(error),
                "steps",
                Evidence.EXACT,
                f"the last K up to which the error at order {k} stays below {NEAR:g}, of"
                f" {len(error)} steps measured; {how}",
            ),
        ]
    return rows


def refused(place: str, error: ArgumentError) -> Row:
    """What could not be measured on this network, and why."""
    return Row(names.REFUSED + place, str(error), "", Evidence.EXACT, "it has no meaning here")


def window(errors: Sequence[float], near: float = NEAR) -> int:
    """The last K up to which all errors are below `near`; 0: none.

    Example:
        >>> window([0.0, 0.001, 0.02, 0.001])
        2
    """
    return next((k for k, error in enumerate(errors) if not error < near), len(errors))


def reupload_rows(
    task: Task,
    space: ParameterSpace,
    theta: Tensor,
    rule: Rule,
    where: str,
    order: int,
    steps: int,
    segments: Sequence[int],
    on_step: Callable[[], None] = lambda: None,
) -> list[Row]:
    """The distance to true descent after T steps where the state is uploaded anew every K steps.

    Args:
        steps: T.
        segments: K, each a divisor of T.
    """
    end = end_of(task, space, theta, rule, steps)
    found = []
    for segment in segments:
        u = torch.zeros_like(theta)
        for _ in range(steps // segment):
            if not bool(torch.isfinite(u).all()):
                break  # lost for good: its error is infinite
            walk = SeriesSteps(
                task, space, theta + u, order, rule.rate, weight_decay=rule.decay, check=False
            )
            for _ in range(segment):
                terms = next(walk)
                on_step()
            u = u + terms.sum(0)
        gap = torch.linalg.vector_norm(u.double() - end) / torch.linalg.vector_norm(end)
        found.append(float(gap) if bool(torch.isfinite(gap)) else math.inf)
    how = f"{rule}; T = {steps}, order {order}, one batch of {task.batch}"
    place = f"reupload/{where}/{rule.name}/order_{order}"
    return [
        Row(f"{place}/segment", list(segments), "steps", Evidence.EXACT, "K, steps of a segment"),
        Row(
            f"{place}/error",
            found,
            "1",
            Evidence.EXACT,
            f"||u - u_true|| / ||u_true|| after T steps, uploaded anew every K steps; {how}",
        ),
    ]
