"""The classical run beside a hybrid one: the same start, the same batches, the same rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import check_interval, check_sequence
from qdescent.learning.descent.sgd import SGD
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.training.descent import walk


@dataclass(frozen=True)
class Classical:
    """A classical run at the end of a round.

    Args:
        theta: its weights, (n,).
        velocity: its velocity, (n,); None without momentum, and before the first step.
        loss: before each of the round's steps and at its end, on the step's batch, (K + 1,).
        gradients: that the round took.
    """

    theta: Tensor = field(repr=False)
    velocity: Tensor | None = field(default=None, repr=False)
    loss: tuple[float, ...] = ()
    gradients: float = 0.0

    def __post_init__(self) -> None:
        theta = check_tensor("theta", self.theta, (None,))
        if self.velocity is not None:
            check_tensor("velocity", self.velocity, tuple(theta.shape))
        check_sequence("loss", self.loss, float, called="a number for each step", empty=True)
        check_interval("gradients", self.gradients, "[0, inf)")


def go_on(before: Classical, tasks: Sequence[Task], space: ParameterSpace, rule: SGD) -> Classical:
    """The run after one more round, a step for each of the tasks.

    Raises:
        DivergedError: its loss is no longer finite.
    """
    seen = list(walk(tasks, space, before.theta, rule, before.velocity))
    _, u, velocity = seen[-1]
    theta = before.theta + u
    with torch.no_grad():
        end = float(tasks[-1].loss_at(space, theta))
    return Classical(theta, velocity, (*(loss for loss, _, _ in seen), end), float(len(tasks)))
