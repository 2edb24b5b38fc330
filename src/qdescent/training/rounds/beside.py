"""The classical run beside a hybrid one: the same start, the same batches, the same rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import check_field, check_interval, check_sequence
from qdescent.learning.descent.sgd import SGD
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.training.descent import walk
from qdescent.training.rounds.pruning import Weights


@dataclass(frozen=True, kw_only=True, eq=False)
class Classical:
    """A classical run at the end of a round.

    Args:
        theta: its weights, (n,).
        velocity: its velocity, (n,); None without momentum, and before the first step.
        loss: before each of the round's steps and at its end, on the step's batch, (K + 1,).
        gradients: that the round took.
        kept: where it is not pruned, (n,), boolean; None: everywhere.
    """

    theta: Tensor = field(repr=False)
    velocity: Tensor | None = field(repr=False)
    loss: tuple[float, ...]
    gradients: float
    kept: Tensor | None = field(repr=False)

    def __post_init__(self) -> None:
        theta = check_tensor("theta", self.theta, (None,))
        if self.kept is not None:
            check_tensor("kept", self.kept, tuple(theta.shape), "boolean")
        if self.velocity is not None:
            check_tensor("velocity", self.velocity, tuple(theta.shape))
        loss = check_sequence("loss", self.loss, float, called="a number for each step", empty=True)
        object.__setattr__(self, "loss", loss)
        check_field(self, "gradients", check_interval, "[0, inf)")

    @classmethod
    def start(cls, theta: Tensor, kept: Tensor | None) -> Classical:
        """Before the first round."""
        return cls(theta=theta, velocity=None, loss=(), gradients=0.0, kept=kept)

    @property
    def weights(self) -> Weights:
        """Where it stands."""
        return Weights(self.theta, self.velocity, self.kept)


def go_on(
    before: Classical,
    tasks: Sequence[Task],
    space: ParameterSpace,
    rule: SGD,
    between: Callable[[Weights], Weights] | None = None,
) -> Classical:
    """The run after one more round, a step for each of the tasks.

    Args:
        before: where it stands.
        tasks: the round's batches.
        space: all weights that may be kept.
        rule: of the round.
        between: what happens to the weights after a round; None: nothing.

    Raises:
        DivergedError: its loss is no longer finite.
    """
    inner, theta, velocity = before.weights.within(space)
    seen = list(walk(tasks, inner, theta, rule, velocity))
    _, u, velocity = seen[-1]
    with torch.no_grad():
        end = float(tasks[-1].loss_at(inner, theta + u))
    weights = before.weights.moved(u, velocity)
    if between is not None:
        weights = between(weights)
    losses = (*(loss for loss, _, _ in seen), end)
    return Classical(
        theta=weights.theta,
        velocity=weights.velocity,
        loss=losses,
        gradients=float(len(tasks)),
        kept=weights.kept,
    )
