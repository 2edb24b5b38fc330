"""What bytes mean to a network: the pixels of images, or token ids."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from qdescent.learning.untouched import untouched


def as_network_input(inputs: Any, network: nn.Module | None = None) -> Any:
    """Bytes as float32 in [0, 1], images with their channels first, or unchanged where they are
    token ids.

    Example:
        >>> as_network_input(torch.tensor([[0, 51]], dtype=torch.uint8)).tolist()
        [[0.0, 0.20000000298023224]]
        >>> as_network_input(torch.tensor([[0, 1]], dtype=torch.uint8), nn.Embedding(2, 1)).tolist()
        [[0, 1]]
    """
    if (
        not isinstance(inputs, Tensor)
        or inputs.dtype != torch.uint8
        or (network is not None and _are_ids(network, inputs))
    ):
        return inputs
    if inputs.ndim == 3:
        inputs = inputs[:, None]
    elif inputs.ndim == 4 and inputs.shape[3] in (1, 3) and inputs.shape[1] not in (1, 3):
        inputs = inputs.movedim(3, 1)
    return inputs.float().div_(255).contiguous()


def _are_ids(network: nn.Module, inputs: Tensor) -> bool:
    """Whether bytes are token ids: rows of them where the network has an embedding; others where it
    takes no numbers.
    """
    weight = next(network.parameters())
    pixels = as_network_input(inputs[:1]).to(weight)
    tries = [inputs[:1].long().to(weight.device), pixels]
    holds = any(isinstance(module, (nn.Embedding, nn.EmbeddingBag)) for module in network.modules())
    for one in tries if holds and inputs.ndim <= 2 else tries[::-1]:
        try:
            with untouched(network):
                network(one)
        # whatever a stranger's forward raises: the other way, or the sentence of `check_fit`
        except Exception:
            continue
        return one is tries[0]
    return False
