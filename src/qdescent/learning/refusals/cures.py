"""What would help where a network or a loss does not take the data that it was given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qdescent.learning.batches import taken, tensors_of, written
from qdescent.learning.refusals.raised import raised


def data_must(network: nn.Module, inputs: Any) -> str:
    """Completes "Argument `data` must ..." where the network refuses its inputs."""
    weight = next((w for w in network.parameters() if w.is_floating_point()), None)
    held = [x for _, x in tensors_of(inputs)]
    if weight is not None and any(x.device != weight.device for x in held):
        return f"fit the network (inputs.to({str(weight.device)!r}), where its weights are)"
    types = {x.dtype for x in held if x.is_floating_point()}
    if weight is not None and types and weight.dtype not in types:
        cure = f"torch.as_tensor(inputs).to({weight.dtype})"
        return f"fit the network ({cure}, the type of its weights)"
    known = taken(network, inputs) if isinstance(inputs, Mapping) else {}
    left = ", ".join(repr(name) for name in inputs if name not in known) if known else ""
    if left:
        cure = "(leave it out, or put it with the targets)"
        return f"fit the network, whose forward has no argument {left} {cure}"
    if any(x.dtype == torch.uint8 for x in held):
        return "fit the network (bytes of images: inputs.float() / 255)"
    return "fit the network"


def loss_must(outputs: Any, targets: Any, cause: Exception) -> str:
    """Completes "Argument `loss` must ..." where the loss refuses outputs and targets so."""
    must = "take the network's outputs and the targets"
    if isinstance(targets, Mapping):
        cure = "a dict goes to it whole: give (inputs, targets), or lambda outputs, batch: ..."
        return f"{must} ({cure})"
    floating = isinstance(targets, Tensor) and targets.is_floating_point()
    if floating and "Long" in str(cause):
        return f"{must} (class labels are integers: targets.long())"
    paths = [path for path, _ in tensors_of(outputs)]
    if paths and not isinstance(outputs, Tensor):
        cure = f"loss=lambda outputs, targets: ..., where outputs{written(paths[0])} is a tensor"
        return f"{must} ({cure})"
    return must


def not_taken(error: Exception) -> str:
    """Completes "but is ..." where a stranger's code raised this."""
    return f"not ({raised(error)})"
