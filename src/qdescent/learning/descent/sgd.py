"""The update rule of a training, as `torch.optim.SGD` has it, for true and truncated gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qdescent._checks import argument_error, check_boolean, check_field, check_interval

if TYPE_CHECKING:  # settings are checked without the seconds that torch takes
    from torch import Tensor


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum and weight decay, as `torch.optim.SGD` has it.

        g = grad L(theta) + lambda theta                 (lambda here: coupled)
        v <- g at the first step, then beta v + (1 - d) g
        theta <- theta - eta (v, or g + beta v: Nesterov) - eta lambda theta  (there: decoupled)

    It is linear in gradient, velocity and weights. So it takes the coefficients of a power series,
    (N, n), as it takes a vector, (n,): weight decay changes F_1 and F_0 of the map alone.

    Args:
        learning_rate: eta.
        momentum: beta in [0, 1).
        weight_decay: lambda; of weights on which the loss does not depend, too, whose gradient is 0
            (`torch.optim.SGD` passes by those that have none).
        dampening: d in [0, 1).
        nesterov: the gradient is that of where the velocity leads; needs momentum, and no
            dampening.
        decoupled: the decay shrinks the weights beside the gradient and does not enter the
            velocity (SGDW; AdamW's way). Without momentum both are the same.

    Raises:
        ArgumentError: a number outside its range; Nesterov without momentum or with dampening.

    References:
        Loshchilov and Hutter, arXiv:1711.05101 (decoupled decay); Sutskever, Martens, Dahl, Hinton,
        ICML 2013 (Nesterov's form).

    Example:
        >>> import torch
        >>> rule = SGD(learning_rate=0.1, weight_decay=0.5)
        >>> u, theta = torch.zeros(1), torch.ones(1)
        >>> change, velocity = step_change(rule, torch.tensor([2.0]), u, theta, None)
        >>> round(float(change), 6), velocity  # -eta (2 + .5)
        (-0.25, None)
    """

    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    decoupled: bool = False

    def __post_init__(self) -> None:
        for name, interval in (
            ("learning_rate", "(0, inf)"),
            ("momentum", "[0, 1)"),
            ("weight_decay", "[0, inf)"),
            ("dampening", "[0, 1)"),
        ):
            object.__setattr__(self, name, check_interval(name, getattr(self, name), interval))
        check_field(self, "decoupled", check_boolean)
        check_field(self, "nesterov", check_boolean)
        if self.nesterov and (self.dampening or not self.momentum):
            must = "be False without momentum or with dampening, as in torch.optim.SGD"
            raise argument_error("nesterov", must, self.nesterov)

    @property
    def decay_apart(self) -> float:
        """The decay that acts beside gradient and velocity; 0 without momentum, where coupled and
        decoupled are the same.
        """
        return self.weight_decay if self.decoupled and self.momentum else 0.0

    @property
    def decay_within(self) -> float:
        """The decay that is a linear term of the gradient."""
        return self.weight_decay - self.decay_apart


def step_change(
    rule: SGD, gradient: Tensor, u: Tensor, theta: Tensor, velocity: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """What a step adds to u, and the velocity after it.

    Args:
        rule: the rule.
        gradient: grad L(theta + u), (n,) or its terms (N, n); overwritten: at 100 million weights
            each copy counts.
        u: the displacement from theta, likewise.
        theta: (n,); it belongs to the term of degree 1.
        velocity: v, likewise; None: there was no step yet.
    """
    if rule.weight_decay and not rule.decoupled:
        _add_decay(gradient, u, theta, rule.weight_decay)
    direction = gradient
    if rule.momentum:
        aside = gradient.clone() if rule.nesterov else None
        if velocity is not None:
            if rule.dampening:
                gradient.mul_(1 - rule.dampening)
            gradient.add_(velocity, alpha=rule.momentum)
        velocity = gradient
        direction = velocity.clone() if aside is None else aside
        if rule.nesterov:
            direction.add_(velocity, alpha=rule.momentum)
    if rule.weight_decay and rule.decoupled:
        _add_decay(direction, u, theta, rule.weight_decay)
    return direction.mul_(-rule.learning_rate), velocity if rule.momentum else None


def _add_decay(rate: Tensor, u: Tensor, theta: Tensor, decay: float) -> None:
    rate.add_(u, alpha=decay)
    (rate[0] if rate.ndim == 2 else rate).add_(theta, alpha=decay)
