"""The largest weights: of the whole network, or of each layer."""

from __future__ import annotations

import torch
from torch import nn

from qdescent._array_checks import check_finite
from qdescent.learning.masks import Mask
from qdescent.learning.pruning.scores import mask_from_scores, prunable
from qdescent.learning.task import Task
from qdescent.learning.untouched import alone


@alone
def magnitude_mask(network: nn.Module, density: float = 0.1, scope: str = "global") -> Mask:
    """Keep the largest weights by absolute value.

    Only trained tensors of two or more dimensions (convolution kernels, linear matrices) are
    pruned; biases and the scales of norms are kept, as are frozen parameters and what a
    parametrization computes a weight from.

    Args:
        network: any module.
        density: the kept fraction of the *prunable* weights, in (0, 1]. 0.1 is the paper's main
            setting (90 % pruned).
        scope: "global" ranks all prunable weights together (the paper's one-shot pruning); "layer"
            keeps the same fraction of each tensor.

    Returns:
        Mask: exactly round(density * count) weights are kept (at least one), ties broken by
            position.

    Raises:
        ArgumentError: density outside (0, 1], NaN weights.

    Example:
        >>> import torch
        >>> layer = torch.nn.Linear(3, 1, bias=False)
        >>> with torch.no_grad():
        ...     _ = layer.weight.copy_(torch.tensor([[0.1, -2.0, 0.5]]))
        >>> magnitude_mask(layer, density=1 / 3).keep["weight"].tolist()
        [[False, True, False]]
    """
    scores = {
        name: check_finite(f"weights[{name!r}]", w.detach()).abs()
        for name, w in prunable(network).items()
    }
    return mask_from_scores(network, scores, density, scope)


def magnitude(
    network: nn.Module, task: Task | None, density: float, generator: torch.Generator | None
) -> Mask:
    """The largest |w| of the network: the paper's one-shot pruning."""
    return magnitude_mask(network, density)


def layerwise_magnitude(
    network: nn.Module, task: Task | None, density: float, generator: torch.Generator | None
) -> Mask:
    """The largest |w| of each layer, the same share of every one: no layer is cut off.

    References:
        Han et al. (2015), arXiv:1506.02626, prune by a threshold a layer; Gale et al. (2019),
        arXiv:1902.09574, call the same share in each layer uniform.
    """
    return magnitude_mask(network, density, "layer")
