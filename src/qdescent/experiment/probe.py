"""Whether the code that goes on with a job is the code that began it: outputs and loss on one batch
show it where weights and data are the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from qdescent._checks import argument_error
from qdescent.learning.batches import tensors_of
from qdescent.learning.task import Task

# How far outputs and loss of one code may be apart: another order; on a GPU, another algorithm.
SAME_PROBE = {"cpu": 1e-6, "cuda": 1e-3}


def probe_of(task: Task) -> list[float]:
    """The length of the outputs, and the loss, on one batch."""
    weights = {name: weight.detach() for name, weight in task.network.named_parameters()}
    outputs = [x.detach().double().flatten() for _, x in tensors_of(task.outputs_with(weights))]
    return [float(torch.linalg.vector_norm(torch.cat(outputs))), float(task.loss_with(weights))]


def check_probe(now: Sequence[float], then: Sequence[float], device: str) -> None:
    """Refuse to go on with code that computes something else.

    Args:
        now: of this process.
        then: of the start.
        device: "cpu" or "cuda".

    Raises:
        ArgumentError: they differ by more than rounding.
    """
    here, there = (torch.tensor(each, dtype=torch.float64, device="cpu") for each in (now, then))
    same = here.shape == there.shape and bool(
        torch.isclose(here, there, SAME_PROBE[device], 0.0, equal_nan=True).all()
    )
    if not same:
        must = "be resumed with a network and a loss that compute what they computed at the start"
        raise argument_error(
            "out", must, f"given others (outputs and loss {now} instead of {then})"
        )
