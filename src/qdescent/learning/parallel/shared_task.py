"""A batch that several processes share."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import cached_property

import torch
from torch import Tensor

from qdescent._checks import check_instance
from qdescent.learning.parallel.operators import weighted_over
from qdescent.learning.parallel.ranks import Ranks
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task


@dataclass(frozen=True)
class SharedTask(Task):
    """This process's share of a batch: its loss and its gradient are those of the whole batch.

    Every process must ask for the same at the same time; each then has the same numbers.

    Args:
        network, loss, data: as of `Task`; the data are this process's own samples.
        ranks: the processes.

    Attributes:
        own: the same as a `Task` that knows nothing of the others.
        share: weight of its samples in the whole.

    Raises:
        ArgumentError: in every process, where one of them has data that do not fit.

    Example:
        >>> network = torch.nn.Linear(2, 1, bias=False)
        >>> data = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1)
        >>> loss, space = torch.nn.functional.mse_loss, ParameterSpace(network)
        >>> task, alone = SharedTask(network, loss, data), Task(network, loss, data)
        >>> bool(task.loss_at(space, space.theta) == alone.loss_at(space, space.theta))
        True
    """

    ranks: Ranks = field(default_factory=Ranks, repr=False)

    def __post_init__(self) -> None:
        check_instance("ranks", self.ranks, Ranks)
        self.ranks.together(super().__post_init__)

    @cached_property
    def own(self) -> Task:
        """A plain task of this process's samples."""
        twin = copy.copy(self)
        object.__setattr__(twin, "__class__", Task)
        kept = {each.name for each in fields(Task)}
        for name in set(vars(twin)) - kept:
            del vars(twin)[name]
        return twin

    @cached_property
    def share(self) -> float:
        """In [0, 1]; all of them together are 1."""
        ((_, weight),) = weighted_over([self.own], self.ranks)
        return weight

    def loss_at(self, space: ParameterSpace, theta: Tensor) -> Tensor:
        """L of the whole batch, without a graph."""
        return self._whole(self.own.loss_at(space, theta))

    def loss_and_gradient(
        self, space: ParameterSpace, theta: Tensor, dtype: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor]:
        """L and its gradient of the whole batch."""
        loss, gradient = self.own.loss_and_gradient(space, theta, dtype)
        return self._whole(loss), self._whole(gradient)

    def _whole(self, part: Tensor) -> Tensor:
        return self.ranks.total(part.detach() * self.share)


def ranks_of(task: Task | Iterable[Task]) -> Ranks:
    """The processes that share the batches of a task, or of several; of a stream, of which nothing
    is taken beforehand, none are known.
    """
    first = task[0] if isinstance(task, (list, tuple)) and task else task
    return first.ranks if isinstance(first, SharedTask) else Ranks()
