"""The small network that the package brings along, and what all its networks share: initial weights
and a count of work.

`fashion_cnn` is smooth and without BatchNorm, so that a Taylor series of its loss exists; the
larger ones stand in residual.py and transformer.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from qdescent._checks import argument_error, check_instance, check_integer, check_sequence, shown
from qdescent._random import derived_seed, named_generator
from qdescent.learning.masks import Mask

MOST_CHANNELS, MOST_CLASSES, MOST_DEPTH = 2**16, 10**6, 10_000  # of one layer; layers
MOST_WEIGHTS = 2 * 10**10  # 80 GB in float32


def fashion_cnn(
    widths: tuple[int, int, int] = (16, 32, 64), hidden: int = 80, classes: int = 10, seed: int = 0
) -> nn.Module:
    """A GELU CNN for 28x28 grey images: 106,106 weights at the default widths.

    Three 3x3 convolutions of stride 2 (28 -> 14 -> 7 -> 4, in place of max-pooling, which has
    kinks) and two linear layers.

    Args:
        widths: channels of the three convolutions.
        hidden: units of the hidden linear layer.
        classes: outputs.
        seed: seed of the initial weights (PyTorch's default initialisation).

    Example:
        >>> sum(weight.numel() for weight in fashion_cnn().parameters())
        106106
    """
    first, second, third = checked_widths(widths, 3)
    hidden = check_integer("hidden", hidden, 1, MOST_CHANNELS)
    classes = check_integer("classes", classes, 1, MOST_CLASSES)
    with torch.random.fork_rng(devices=[]):
        # the CPU's alone: fork_rng brings back no other here
        torch.default_generator.manual_seed(derived_seed(seed, "network"))
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


def checked_widths(widths: Sequence[int], count: int) -> tuple[int, ...]:
    """So many channels, one number for each stage."""
    found = check_sequence("widths", widths, object, called=f"{count} integers, one for each stage")
    if len(found) != count:
        raise argument_error("widths", f"hold {count} numbers, one for each stage", shown(widths))
    return tuple(check_integer("widths", width, 1, MOST_CHANNELS) for width in found)  # type: ignore[arg-type]


def with_weights(network: nn.Module, seed: int) -> nn.Module:
    """A network built on the meta device, brought to the default device with its initial weights;
    no global generator is touched.

    Kernels: normal, variance 2 / fan-in (He et al. 2015, what a half-wave activation asks for);
    matrices: normal, variance 1 / fan-in; positions: standard deviation 0.02 (Dosovitskiy et al.
    2020); scales 1, biases 0. Each weight draws from a generator of its own name. Under
    `torch.device("meta")` the network stays without memory, e.g. to count its weights.

    Args:
        network: built under `torch.device("meta")`.
        seed: of the weights.
    """
    device = torch.empty(0).device
    count = sum(weight.numel() for weight in network.parameters())
    if device.type != "meta" and count > MOST_WEIGHTS:
        must = (
            f"have at most {MOST_WEIGHTS:.0e} weights (inside `with torch.device('meta')` any"
            " number can be counted)"
        )
        raise argument_error("network", must, f"one of {count:.3g}")
    network = network.to_empty(device=device)
    if device.type == "meta":
        return network
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim == 1:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
                continue
            spread = (
                0.02
                if weight.ndim == 3
                else ((2 if weight.ndim == 4 else 1) / weight[0].numel()) ** 0.5
            )
            generator = named_generator(seed, "network", name)
            weight.copy_(
                spread
                * torch.randn(weight.shape, generator=generator, dtype=weight.dtype, device="cpu")
            )
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
    return network


def multiply_adds(network: nn.Module, sample: Tensor, mask: Mask | None = None) -> int:
    """Multiply-adds of one sample's forward pass through the convolutions and linear layers, kept
    weights only.

    A weight is used once for each place of the layer's output: count = sum over layers of (kept
    weights) x (places).

    Args:
        network: any module.
        sample: one input with its batch dimension, (1, ...).
        mask: which weights count (None: all).

    Example:
        >>> multiply_adds(nn.Linear(3, 2), torch.zeros(1, 3))
        6
    """
    check_instance("network", network, nn.Module, called="a torch.nn.Module")
    check_instance("mask", mask, Mask, optional=True)
    check_instance("sample", sample, Tensor, called="a tensor (one on the meta device will do)")
    total = 0
    names = {module: name for name, module in network.named_modules()}

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight = weights[module]
        name = f"{names[module]}.weight".lstrip(".")
        kept = weight.numel() if mask is None else int(mask.keep[name].sum())
        total += kept * (output.numel() // weight.shape[0])

    layers = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    weights: dict[nn.Module, Tensor] = {
        module: module.weight for module in network.modules() if isinstance(module, layers)
    }
    hooks = [layer.register_forward_hook(count) for layer in weights]
    try:
        with torch.no_grad():
            network(sample)
    except (RuntimeError, TypeError, ValueError, IndexError) as problem:
        raise argument_error(
            "sample", "be one input that the network takes", f"not ({problem})"
        ) from None
    finally:
        for hook in hooks:
            hook.remove()
    return total
