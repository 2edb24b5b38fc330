"""Some samples of a large batch: what they show of a network's derivatives, its others do, too."""

from __future__ import annotations

import torch

from qdescent.learning.batches import picked
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task, on_samples

FEW = 4
LARGE = 3e7  # weights times samples: there a gradient in float64 takes as long as ten in float32


def few_samples(task: Task, space: ParameterSpace) -> Task | None:
    """The same network and loss on 4 samples, spread over the batch; None where the batch is not
    large (weights times samples below 3e7), or is no list of samples.

    Args:
        task: with one batch.
        space: of its network.

    Example:
        >>> network = torch.nn.Linear(1000, 1000)
        >>> data = torch.zeros(64, 1000), torch.zeros(64, 1000)
        >>> task = Task(network, torch.nn.functional.mse_loss, data)
        >>> few = few_samples(task, ParameterSpace(network))
        >>> task.batch, few.batch
        (64, 4)
    """
    if type(task) is not Task or task.batch < 2 * FEW or space.total * task.batch < LARGE:
        return None
    return on_few(task)


def on_few(task: Task) -> Task | None:
    """The same on up to 4 samples, spread over the batch, whatever its size; None where it is no
    list of samples.
    """
    places = torch.linspace(0, task.batch - 1, min(FEW, task.batch), device="cpu").round().long()
    try:
        inputs, targets = (picked(part, places, task.batch) for part in task.data)
        return on_samples(task, (inputs, targets))
    except Exception:  # whatever a stranger's containers raise
        return None
