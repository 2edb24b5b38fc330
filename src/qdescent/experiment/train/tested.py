"""What a set of weights does on the test samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from qdescent.learning.batches import picked, samples_of
from qdescent.learning.parallel.ranks import Ranks
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.training.samples import named_correctly

AT_ONCE = 256  # samples in memory


def tested(
    task: Task,
    space: ParameterSpace,
    theta: Tensor,
    test: tuple[Any, Any],
    classified: bool,
    ranks: Ranks,
) -> dict[str, float]:
    """Mean loss over the test samples and, of class labels, the share that was named correctly.

    Args:
        task: the network and its loss.
        space: the kept weights.
        theta: the point, (n,).
        test: (inputs, targets).
        classified: whether the targets are class labels.
        ranks: the processes, to which the samples are dealt.

    Returns:
        dict: `test_loss`, and `test_accuracy` where there are labels (see `named_correctly`).
    """
    total, sums = samples_of(test), torch.zeros(3, dtype=torch.float64, device=theta.device)
    weights = space.unpack(theta)
    for places in ranks.deal(torch.arange(total, device="cpu").split(AT_ONCE)):
        inputs, targets = (picked(part, places, total) for part in test)
        outputs = task.outputs_at(space, theta, inputs)
        with torch.no_grad():
            loss = task.loss_of(outputs, weights, targets=targets).double()
        named = named_correctly(outputs, targets) if classified else None
        share = 0.0 if named is None else named.numel() / targets.numel()  # that is counted
        right = named.double().mean() if named is not None and share else torch.zeros_like(loss)
        sums += len(places) * torch.stack([loss, share * right, torch.full_like(loss, share)])
    loss, right, counted = ranks.total(sums).tolist()
    return {"test_loss": loss / total} | ({"test_accuracy": right / counted} if counted else {})
