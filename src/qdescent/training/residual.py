"""A look at the true gradient: what a segment's equations miss at its end, and the error that follows from it.

The series' own terms are blind to what they do not hold: where derivatives of the loss vanish (even and odd losses), a term is
zero and the next ones are not. One gradient at the segment's end sees all orders at once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task


def step_residual(
    task: Task,
    space: ParameterSpace,
    theta: Tensor,
    step: tuple[Tensor, Tensor],
    velocity: Tensor | None,
    learning_rate: float,
    momentum: float = 0.0,
) -> float:
    """||u' - u + eta (beta v + grad L(theta + u))||: by how much a step of the truncated series is none of descent.

    Args:
        task: the step's batch.
        space: the kept weights.
        theta: the pivot, (n,).
        step: u and u', the truncated displacements before and after it, (n,) each.
        velocity: v before it, truncated alike, (n,); None: zero.
        learning_rate: eta.
        momentum: beta.

    Cost: one gradient.
    """
    before, after = step
    _, rate = task.loss_and_gradient(space, theta + before)
    if momentum and velocity is not None:
        rate = rate + momentum * velocity
    found = float(torch.linalg.vector_norm(after - before + learning_rate * rate))
    return found if math.isfinite(found) else math.inf


def error_from_residual(residual: float, steps: int, order: int, momentum: float = 0.0) -> float:
    """The displacement's error after t steps, from the residual r of the last of them.

    r sum_{s=1}^{t-1} (s/(t-1))^{N+1} (1 - beta^{t-s}) / (1 - beta): the residual of step s + 1 goes with s^{N+1} or with a higher
    power, since u_{N+1} goes with t^{N+2} (see `estimate_tail`), and with momentum each goes on in the velocity. The curvature
    acts on the error, too: that is left out, so it is an estimate and no bound.

    Args:
        residual: r.
        steps: t. The first step is that of descent, without an error.
        order: N.
        momentum: beta.

    Example:
        >>> error_from_residual(1.0, steps=2, order=2), error_from_residual(1.0, steps=3, order=2)
        (1.0, 1.125)
    """
    last = max(steps - 1, 1)
    weights = ((s / last) ** (order + 1) * (1 - momentum ** (steps - s)) / (1 - momentum) for s in range(1, steps))
    return residual * sum(weights) if residual else 0.0
