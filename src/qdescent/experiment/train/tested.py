"""What a set of weights does on the test samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from qdescent.learning.batches import picked, samples_of
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task

AT_ONCE = 256  # samples in memory


def tested(
    task: Task, space: ParameterSpace, theta: Tensor, test: tuple[Any, Any], classified: bool
) -> dict[str, float]:
    """Mean loss over the test samples and, of class labels, the share that was named correctly.

    Args:
        task: the network and its loss.
        space: the kept weights.
        theta: the point, (n,).
        test: (inputs, targets).
        classified: whether the targets are class labels.

    Returns:
        dict: `test_loss`, and `test_accuracy` where there are labels.
    """
    total, loss, right = samples_of(test), 0.0, 0.0
    weights = space.unpack(theta)
    for places in torch.arange(total).split(AT_ONCE):
        inputs, targets = (picked(part, places, total) for part in test)
        outputs = task.outputs_at(space, theta, inputs)
        with torch.no_grad():
            loss += float(task.loss_of(outputs, weights, targets=targets)) * len(places)
        if classified:
            right += float((outputs.argmax(1) == targets).double().mean()) * len(places)
    found = {"test_loss": loss / total}
    return found | ({"test_accuracy": right / total} if classified else {})
