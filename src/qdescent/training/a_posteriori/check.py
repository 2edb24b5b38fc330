"""What is seen of a segment: its steps, and the error that its end is judged by."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qdescent.learning.parallel.spread import Curve
from qdescent.learning.task import Task
from qdescent.training.a_posteriori.residual import (
    CarriedError,
    error_from_residual,
    finite_norm,
    step_residual,
)
from qdescent.training.engines.path import End, Upload
from qdescent.training.tail import Tail


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
        engine: the name of the engine.
        steps: what was seen after each of the K steps.
        why: why it is not longer; empty: it has all the steps it was allowed.
        end: the engine's answer.
        last_term: ||u_N|| / ||u|| at the end.
        gradients: what the engine, and the checks that decide, took (a cost model).
        read_error: relative error of the state that is left to its readout; None: the schedule's.
    """

    order: int
    engine: str
    steps: tuple[Step, ...]
    why: str
    end: End
    last_term: float
    gradients: float
    read_error: float | None = None


class Check:
    """The a-posteriori check: what one order's segment misses, step by step; the largest error so
    far stands, whatever cancels later.
    """

    def __init__(self, upload: Upload, order: int) -> None:
        self._upload, self._order = upload, order
        self._last, self._velocity = torch.zeros_like(upload.theta), upload.velocity
        self._steps, self._error = 0, 0.0
        self._carried = CarriedError.nothing(upload.theta)
        self.gradients = 0.0

    def start(self, steps: int, terms: Curve, velocity: Curve | None) -> None:
        """Begin after so many steps, whose terms these are."""
        self._steps, self._last = steps, terms.end
        self._velocity = None if velocity is None else velocity.end

    def at_end(self, task: Task, terms: Curve, velocity: Curve | None, tail: Tail) -> Tail:
        """The larger of both estimates after one more step, whose terms these are; the check alone
        where there is one term.
        """
        upload, rule = self._upload, self._upload.rule
        step = self._last, terms.end
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
        self._last, self._velocity = step[1], None if velocity is None else velocity.end
        size = _norm(step[1])
        seen = 0.0 if self._error == 0 else self._error / size if size else math.inf
        return replace(tail, error=seen if math.isnan(tail.growth) else max(tail.error, seen))


def step_seen(
    upload: Upload, task: Task | None, terms: Curve, truth: Tensor | None, tail: Tail
) -> Step:
    """What is seen of a step; without the truth, what its terms say.

    Args:
        upload: where the segment started.
        task: the step's batch; None where there is no truth.
        terms: u_1 ... u_N after the step.
        truth: the displacement of true descent, (n,); None: it was not run.
        tail: the estimated error.
    """
    loss = truncation = math.nan
    if truth is not None and task is not None:
        displacement = terms.end
        with torch.no_grad():
            loss = float(task.loss_at(upload.space, upload.theta + displacement))
        size, gap = _norm(truth), _norm(displacement - truth)
        truncation = gap / size if size else float(gap > 0)
    return Step(
        loss=loss,
        truncation=truncation,
        estimate=tail.error if tail.known else None,
        gram=tuple(map(tuple, terms.gram.tolist())),
    )


def refused(order: int, tail: Tail, t: int) -> str:
    """Why a segment of an order does not hold step t, in words."""
    if tail.growth >= 1:
        return (
            f"step {t} at order {order} is past the radius of convergence (the series' terms grow"
            f" by {tail.growth:.3g} an order)"
        )
    return f"the truncation error of step {t} at order {order} would be about {tail.error:.2g}"


def _norm(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x))
