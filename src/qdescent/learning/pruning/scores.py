"""From a score for each weight to a mask: which weights are ranked, and how many are kept."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from qdescent._array_checks import check_tensor
from qdescent._checks import argument_error, check_choice, check_instance, check_interval
from qdescent.learning.masks import Mask, full_mask
from qdescent.learning.torch_prune import mask_from_prune
from qdescent.learning.untouched import check_shaped


def mask_from_scores(
    network: nn.Module, scores: Mapping[str, Tensor], density: float, scope: str = "global"
) -> Mask:
    """Keep the weights with the highest scores: what every pruning criterion ends in.

    Args:
        network: any module.
        scores: parameter name -> tensor of the parameter's shape; parameters without a score are
            kept whole.
        density: the kept fraction of the scored weights, in (0, 1].
        scope: "global" ranks all of them together; "layer" keeps the same fraction of each tensor.

    Returns:
        Mask: exactly round(density * count) weights are kept (at least one), ties broken by
            position. What `torch.nn.utils.prune` has removed is chosen last.

    Raises:
        ArgumentError: density outside (0, 1]; no scores, NaN among them, or a name or shape that
            no parameter has.

    Example:
        >>> import torch
        >>> layer = torch.nn.Linear(4, 1, bias=False)
        >>> scores = {"weight": torch.tensor([[3.0, 1.0, 4.0, 1.0]])}
        >>> mask_from_scores(layer, scores, density=0.5).keep["weight"].tolist()
        [[True, False, True, False]]
    """
    check_instance("network", network, nn.Module, called="a torch.nn.Module")
    density = check_interval("density", density, "(0, 1]")
    scope = check_choice("scope", scope, ["global", "layer"])
    check_instance("scores", scores, Mapping, called="tensors by the name of their parameter")
    if not scores:
        raise argument_error("scores", "hold at least one tensor", "empty")
    weights = dict(network.named_parameters())
    for name in scores:
        check_choice("scores", name, weights)
    scores = {
        name: check_tensor(f"scores[{name!r}]", score, tuple(weights[name].shape))
        for name, score in scores.items()
    }
    groups = [list(scores)] if scope == "global" else [[name] for name in scores]
    keep = dict(full_mask(network).keep)
    left = mask_from_prune(network).keep
    for group in groups:
        flat = torch.cat([scores[name].flatten() for name in group])
        count = max(1, round(density * len(flat)))
        ranked = torch.sort(flat, descending=True, stable=True).indices
        # those that are still there before those that torch.nn.utils.prune has removed
        there = torch.cat([left[name].flatten().to(flat.device) for name in group])[ranked]
        ranked = torch.cat([ranked[there], ranked[~there]])
        chosen = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
        chosen[ranked[:count]] = True
        parts = chosen.split([scores[name].numel() for name in group])
        keep.update(
            {name: part.view_as(scores[name]) for name, part in zip(group, parts, strict=True)}
        )
    return Mask(keep)


def prunable(network: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that a criterion ranks, by name: trained tensors of two or more dimensions.

    Kept whole are biases and the scales of norms, which are few and carry the signal's level, as in
    the experiments of Liu et al. (2024); frozen parameters (without `requires_grad`), which no
    training changes; and what a parametrization (`torch.nn.utils.parametrize`) computes a weight
    from, where 0 does not remove the weight.

    Raises:
        ArgumentError: there are none.
    """
    check_instance("network", network, nn.Module, called="a torch.nn.Module")
    check_shaped(network)
    parametrized = {
        id(weight)
        for module in network.modules()
        if isinstance(module, ParametrizationList)
        for weight in module.parameters()
    }
    weights = {
        name: weight
        for name, weight in network.named_parameters()
        if weight.ndim >= 2 and weight.requires_grad and id(weight) not in parametrized
    }
    for name, weight in weights.items():
        if weight.is_meta:
            must = "have weights that hold numbers"
            raise argument_error("network", must, f"on the device meta at {name!r}")
    if not weights:
        must = "have a weight tensor of two or more dimensions that is trained and not parametrized"
        raise argument_error("network", must, "without one")
    return weights
