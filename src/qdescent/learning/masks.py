"""Which weights are kept: masks by magnitude, at random, or of what is not exactly 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from qdescent._array_checks import check_finite, check_tensor
from qdescent._checks import argument_error, check_choice, check_instance, check_interval
from qdescent._random import named_generator


@dataclass(frozen=True)
class Mask:
    """The support of a pruned network: for each parameter a boolean tensor, True where the weight
    is kept.

    Args:
        keep: parameter name -> boolean tensor of the parameter's shape, for every parameter of the
            network.

    Raises:
        ArgumentError: nothing is kept.
    """

    keep: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        check_instance("keep", self.keep, Mapping, called="tensors by name")
        for name, keep in self.keep.items():
            check_instance(
                f"keep[{name!r}]", keep, Tensor, called="a tensor (torch.as_tensor makes one)"
            )
            if keep.dtype != torch.bool:
                raise argument_error(f"keep[{name!r}]", "be boolean", f"of type {keep.dtype}")
        if self.kept == 0:
            raise argument_error("mask", "keep at least one weight", "empty")

    @property
    def kept(self) -> int:
        """n, the number of kept weights."""
        return sum(int(keep.sum()) for keep in self.keep.values())

    @property
    def total(self) -> int:
        """P, the number of all weights."""
        return sum(keep.numel() for keep in self.keep.values())

    @property
    def density(self) -> float:
        """n / P."""
        return self.kept / self.total


def full_mask(network: nn.Module) -> Mask:
    """The mask that keeps every weight."""
    check_instance("network", network, nn.Module, called="a torch.nn.Module")
    return Mask(
        {
            name: torch.ones_like(weight, dtype=torch.bool)
            for name, weight in network.named_parameters()
        }
    )


def magnitude_mask(network: nn.Module, density: float = 0.1, scope: str = "global") -> Mask:
    """Keep the largest weights by absolute value.

    Only tensors of two or more dimensions (convolution kernels, linear matrices) are pruned; biases
    and the scales of norms, which are few and carry the signal's level, are kept, as in the
    experiments of Liu et al. (2024). Kept whole are also frozen parameters (without
    `requires_grad`), which no training changes, and what a parametrization
    (`torch.nn.utils.parametrize`) computes a weight from, where 0 does not remove the weight.

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
        for name, w in _prunable(network).items()
    }
    return mask_from_scores(network, scores, density, scope)


def random_mask(
    network: nn.Module, density: float = 0.1, scope: str = "global", seed: int = 0
) -> Mask:
    """Keep weights at random: the baseline that any pruning rule must beat. Arguments as in
    `magnitude_mask`.
    """
    generator = named_generator(seed, "random mask")
    scores = {
        name: torch.rand(weight.shape, generator=generator)
        for name, weight in _prunable(network).items()
    }
    return mask_from_scores(network, scores, density, scope)


def nonzero_mask(network: nn.Module) -> Mask:
    """Keep what is not exactly 0: for weights whose pruning left zeros and no mask.

    To be asked for, never assumed: a zero may as well be an initial value (the B of LoRA, a last
    layer, a padding token), and is then a weight like any other. A tensor that is 0 throughout is
    taken for such a one and kept whole, as are the tensors that `magnitude_mask` does not prune.

    Args:
        network: any module.

    Example:
        >>> layers = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 2))
        >>> with torch.no_grad():
        ...     _ = layers[0].weight.copy_(torch.tensor([[0.0, 3.0]])), layers[1].weight.zero_()
        >>> nonzero_mask(layers).keep["0.weight"].tolist(), nonzero_mask(layers).kept
        ([[False, True]], 6)
    """
    found = {name: weight.detach() != 0 for name, weight in _prunable(network).items()}
    return Mask(
        {
            **full_mask(network).keep,
            **{name: keep for name, keep in found.items() if bool(keep.any())},
        }
    )


def mask_from_scores(
    network: nn.Module, scores: Mapping[str, Tensor], density: float, scope: str = "global"
) -> Mask:
    """Keep the weights with the highest scores: the way to add a pruning rule of one's own.

    Args:
        scores: parameter name -> tensor of the parameter's shape; parameters without a score are
            kept whole.
        density, scope: as in `magnitude_mask`.
    """
    check_instance("network", network, nn.Module, called="a torch.nn.Module")
    density = check_interval("density", density, "(0, 1]")
    check_choice("scope", scope, ["global", "layer"])
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
    for group in groups:
        flat = torch.cat([scores[name].flatten() for name in group])
        count = max(1, round(density * len(flat)))
        chosen = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
        chosen[torch.sort(flat, descending=True, stable=True).indices[:count]] = True
        parts = chosen.split([scores[name].numel() for name in group])
        keep.update(
            {name: part.view_as(scores[name]) for name, part in zip(group, parts, strict=True)}
        )
    return Mask(keep)


def _prunable(network: nn.Module) -> dict[str, nn.Parameter]:
    check_instance("network", network, nn.Module, called="a torch.nn.Module")
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
    if not weights:
        must = "have a weight tensor of two or more dimensions that is trained and not parametrized"
        raise argument_error("network", must, "without one")
    return weights
