"""The mask of a network that `torch.nn.utils.prune` has pruned."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from qdescent._checks import check_instance
from qdescent.learning.masks import Mask, full_mask


def mask_from_prune(network: nn.Module) -> Mask:
    """The mask of a network that `torch.nn.utils.prune` has pruned: each `weight_orig` is kept
    where its `weight_mask` is not 0.

    The network is used as it stands: its parameters are the `..._orig`, which its own hooks
    multiply by the masks. Parameters that were not pruned are kept whole; a tied weight is kept
    where any of its uses keeps it. `ParameterSpace(network)` asks this function, so that pruned
    places are never coordinates.

    Args:
        network: any module, also one that is not pruned at all.

    Raises:
        ArgumentError: the masks keep nothing.

    Example:
        >>> from torch.nn.utils import prune
        >>> layer = prune.l1_unstructured(nn.Linear(4, 1), "weight", amount=3)
        >>> mask = mask_from_prune(layer)
        >>> mask.kept, mask.total, sorted(mask.keep)
        (2, 5, ['bias', 'weight_orig'])
    """
    check_instance("network", network, nn.Module, called="a torch.nn.Module")
    masks: dict[int, list[Tensor]] = {
        id(module._parameters[f"{stem}_orig"]): [] for module, stem in _pruned(network)
    }
    # every use of a pruned weight: one without a mask needs it whole
    for module in network.modules():
        for key, weight in module._parameters.items():
            if weight is not None and id(weight) in masks:
                mask = module._buffers.get(f"{key.removesuffix('_orig')}_mask")
                masks[id(weight)].append(torch.ones_like(weight) if mask is None else mask)
    keep = dict(full_mask(network).keep)
    for name, weight in network.named_parameters():
        if id(weight) in masks:
            keep[name] = torch.stack([mask != 0 for mask in masks[id(weight)]]).any(0)
    return Mask(keep)


def _pruned(network: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """(module, "weight" or the like) of each pruned weight."""
    for module in network.modules():
        for key in list(module._parameters.keys()):  # of a scripted module no iterator
            stem = key.removesuffix("_orig")
            if stem != key and isinstance(module._buffers.get(f"{stem}_mask"), torch.Tensor):
                yield module, stem
