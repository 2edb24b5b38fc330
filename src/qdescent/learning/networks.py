"""Networks that the package brings along: smooth, without BatchNorm, so that a Taylor series of the loss exists."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qdescent._random import derived_seed
from qdescent.learning.masks import Mask


def fashion_cnn(widths: tuple[int, int, int] = (16, 32, 64), hidden: int = 80, classes: int = 10, seed: int = 0) -> nn.Module:
    """A GELU CNN for 28x28 grey images: 106,106 weights at the default widths.

    Three 3x3 convolutions of stride 2 (28 -> 14 -> 7 -> 4, in place of max-pooling, which has kinks) and two linear layers.

    Args:
        widths: channels of the three convolutions.
        hidden: units of the hidden linear layer.
        classes: outputs.
        seed: of the initial weights (PyTorch's default initialisation).

    Example:
        >>> sum(weight.numel() for weight in fashion_cnn().parameters())
        106106
    """
    first, second, third = widths
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "network"))
        return nn.Sequential(
            nn.Conv2d(1, first, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(second, third, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(third * 16, hidden),
            nn.GELU(),
            nn.Linear(hidden, classes),
        )


def multiply_adds(network: nn.Module, sample: Tensor, mask: Mask | None = None) -> int:
    """Multiply-adds of one sample's forward pass through the convolutions and linear layers, kept weights only.

    A weight is used once for each place of the layer's output: count = sum over layers of (kept weights) x (places).

    Args:
        network: any module.
        sample: one input with its batch dimension, (1, ...).
        mask: which weights count (None: all).

    Example:
        >>> multiply_adds(nn.Linear(3, 2), torch.zeros(1, 3))
        6
    """
    total = 0
    names = {module: name for name, module in network.named_modules()}

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight = weights[module]
        name = f"{names[module]}.weight".lstrip(".")
        kept = weight.numel() if mask is None else int(mask.keep[name].sum())
        total += kept * (output.numel() // weight.shape[0])

    layers = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    weights: dict[nn.Module, Tensor] = {module: module.weight for module in network.modules() if isinstance(module, layers)}
    hooks = [layer.register_forward_hook(count) for layer in weights]
    try:
        with torch.no_grad():
            network(sample)
    finally:
        for hook in hooks:
            hook.remove()
    return total
