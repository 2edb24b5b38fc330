"""The mask of weights whose pruning left zeros and no mask."""

from __future__ import annotations

from torch import nn

from qdescent.learning.masks import Mask, full_mask
from qdescent.learning.pruning.scores import prunable


def nonzero_mask(network: nn.Module) -> Mask:
    """Keep what is not exactly 0: for weights whose pruning left zeros and no mask.

    To be asked for, never assumed: a zero may as well be an initial value (the B of LoRA, a last
    layer, a padding token), and is then a weight like any other. A tensor that is 0 throughout is
    taken for such a one and kept whole, as are the tensors that no criterion prunes.

    Args:
        network: any module.

    Returns:
        Mask: True where the weight is not 0, or its tensor is kept whole.

    Example:
        >>> import torch
        >>> layers = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 2))
        >>> with torch.no_grad():
        ...     _ = layers[0].weight.copy_(torch.tensor([[0.0, 3.0]])), layers[1].weight.zero_()
        >>> nonzero_mask(layers).keep["0.weight"].tolist(), nonzero_mask(layers).kept
        ([[False, True]], 6)
    """
    found = {name: weight.detach() != 0 for name, weight in prunable(network).items()}
    return Mask(
        {
            **full_mask(network).keep,
            **{name: keep for name, keep in found.items() if bool(keep.any())},
        }
    )
