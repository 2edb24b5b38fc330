"""The a-posteriori check by true gradients: what a segment's equations miss at its end, and the
error that follows from it.

The series' own terms are blind to what they do not hold: where derivatives of the loss vanish (even
and odd losses), a term is zero and the next ones are not. One gradient at the segment's end sees
all orders at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from qdescent.learning.descent.sgd import SGD, step_change
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task


def step_residual(
    task: Task,
    space: ParameterSpace,
    theta: Tensor,
    step: tuple[Tensor, Tensor],
    velocity: Tensor | None,
    rule: SGD,
) -> tuple[Tensor, Tensor]:
    """u' - u - (what the rule makes of grad L(theta + u)): by how much a step of the truncated
    series is none of descent.

    Args:
        task: the step's batch.
        space: the kept weights.
        theta: the pivot, (n,).
        step: u and u', the truncated displacements before and after it, (n,) each.
        velocity: v before it, truncated alike, (n,); None: there was no step yet.
        rule: of the descent.

    Returns:
        That, (n,), and the gradient at theta + u, (n,).

    Cost: one gradient.
    """
    before, after = step
    _, gradient = task.loss_and_gradient(space, theta + before)
    change, _ = step_change(rule, gradient.clone(), before, theta, velocity)
    return after - before - change, gradient


@dataclass(frozen=True, eq=False)
class CarriedError:
    """What the residuals of all steps so far have grown to: e' = e + r + (what the rule makes of
    grad L(u) - grad L(u - e) and of the velocity's error).

    A residual is small where it is made; a mode that grows, a loss bent the more the further it is
    from the pivot, makes more of it in the steps after. u - e is where descent would be, as far as
    the residuals say.

    Args:
        error: e, (n,).
        speed: the velocity's error, (n,): what of e goes on by momentum.

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
        rule: SGD,
    ) -> CarriedError:
        """One step on.

        Args:
            task: the step's batch.
            space: the kept weights.
            theta: where the truncated series stood before the step, pivot and displacement, (n,).
            seen: r of the step and the gradient at theta, as `step_residual` gives them, (n,) each.
            rule: of the descent.

        Cost: one gradient where there is an error to carry.
        """
        residual, gradient = seen
        excess = torch.zeros_like(gradient)
        if bool(self.error.any()):
            excess = gradient - task.loss_and_gradient(space, theta - self.error)[1]
        nowhere = torch.zeros_like(self.error)
        change, speed = step_change(rule, excess, self.error, nowhere, self.speed)
        if speed is None:  # nothing goes on
            return CarriedError(self.error + (residual + change), self.speed)
        # The residual is a gradient that was missed: it is in the velocity, too. Nesterov's step
        # holds it once more, beta-fold.
        missed = residual / (rule.learning_rate * (1 + rule.momentum * rule.nesterov))
        return CarriedError(self.error + (residual + change), speed - missed)


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
