"""A look at the true gradient: what a segment's equations miss at its end, and the error that
follows from it.

The series' own terms are blind to what they do not hold: where derivatives of the loss vanish (even
and odd losses), a term is zero and the next ones are not. One gradient at the segment's end sees
all orders at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
) -> tuple[Tensor, Tensor]:
    """u' - u + eta (beta v + grad L(theta + u)): by how much a step of the truncated series is none
    of descent.

    Args:
        task: the step's batch.
        space: the kept weights.
        theta: the pivot, (n,).
        step: u and u', the truncated displacements before and after it, (n,) each.
        velocity: v before it, truncated alike, (n,); None: zero.
        learning_rate: eta.
        momentum: beta.

    Returns:
        That, (n,), and the gradient at theta + u, (n,).

    Cost: one gradient.
    """
    before, after = step
    _, gradient = task.loss_and_gradient(space, theta + before)
    rate = gradient
    if momentum and velocity is not None:
        rate = rate + momentum * velocity
    return after - before + learning_rate * rate, gradient


@dataclass(frozen=True)
class CarriedError:
    """What the residuals of all steps so far have grown to: e' = e + w', w' = beta w - eta (grad
    L(u) - grad L(u - e)) + r.

    A residual is small where it is made; a mode that grows, a loss bent the more the further it is
    from the pivot, makes more of it in the steps after. u - e is where descent would be, as far as
    the residuals say.

    Args:
        error: e, (n,).
        speed: w, (n,): what of it goes on by momentum.

    Example:
        >>> carried = CarriedError.nothing(torch.zeros(1))
        >>> carried.norm
        0.0
    """

    error: Tensor
    speed: Tensor

    @classmethod
    def nothing(cls, like: Tensor) -> CarriedError:
        """No error yet, as before the first step."""
        return cls(torch.zeros_like(like), torch.zeros_like(like))

    @property
    def norm(self) -> float:
        """||e||; infinite where it overflowed."""
        return finite_norm(self.error)

    def after(
        self,
        task: Task,
        space: ParameterSpace,
        theta: Tensor,
        seen: tuple[Tensor, Tensor],
        learning_rate: float,
        momentum: float = 0.0,
    ) -> CarriedError:
        """One step on.

        Args:
            task: the step's batch.
            space: the kept weights.
            theta: where the truncated series stood before the step, pivot and displacement, (n,).
            seen: r of the step and the gradient at theta, as `step_residual` gives them, (n,) each.
            learning_rate: eta.
            momentum: beta.

        Cost: one gradient where there is an error to carry.
        """
        residual, gradient = seen
        speed = momentum * self.speed + residual
        if bool(self.error.any()):
            meant = task.loss_and_gradient(space, theta - self.error)[1]
            speed = speed - learning_rate * (gradient - meant)
        return CarriedError(self.error + speed, speed)


def finite_norm(x: Tensor) -> float:
    """||x||, infinite where x is not finite."""
    found = float(torch.linalg.vector_norm(x))
    return found if math.isfinite(found) else math.inf


def error_from_residual(residual: float, steps: int, order: int, momentum: float = 0.0) -> float:
    """The displacement's error after t steps, from the residual r of the last of them.

    r sum_{s=1}^{t-1} (s/(t-1))^{N+1} (1 - beta^{t-s}) / (1 - beta): the residual of step s + 1 goes
    with s^{N+1} or with a higher power, since u_{N+1} goes with t^{N+2} (see `estimate_tail`), and
    with momentum each goes on in the velocity. What curvature makes of the error is left out:
    `CarriedError` holds it.

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
    weights = (
        (s / last) ** (order + 1) * (1 - momentum ** (steps - s)) / (1 - momentum)
        for s in range(1, steps)
    )
    return residual * sum(weights) if residual else 0.0
