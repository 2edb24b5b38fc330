"""Residual networks for 32x32 images: the paper authors' family with BatchNorm and ReLU, and its
smooth twin.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from qdescent._checks import argument_error, check_boolean, check_integer
from qdescent.learning.networks.small_cnn import (
    MOST_CHANNELS,
    MOST_CLASSES,
    MOST_DEPTH,
    checked_widths,
    with_weights,
)
from qdescent.learning.networks.smooth_norms import SmoothGroupNorm


class BasicBlock(nn.Module):
    """y = f(N(W_2 f(N(W_1 x))) + shortcut(x)): two 3x3 convolutions beside a shortcut, f the
    activation, N the norm.

    The shortcut is the identity, or where the shape changes a 1x1 convolution and a norm (option B
    of He et al. 2016).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        norm: Callable[[int], nn.Module],
        activation: nn.Module,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.first_norm = norm(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = norm(outputs)
        if stride == 1 and inputs == outputs:
            self.shortcut: nn.Module = nn.Identity()
        else:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) -> (batch, outputs, height / stride, width / stride)."""
        inner = self.activation(self.first_norm(self.first(x)))
        return self.activation(self.second_norm(self.second(inner)) + self.shortcut(x))


def resnet(
    depth: int = 32,
    width: int = 64,
    classes: int = 100,
    channels: int = 3,
    smooth: bool = False,
    seed: int = 0,
) -> nn.Module:
    """The CIFAR ResNet of the paper's authors: 7,451,044 weights, 102,664,018 at width 238.

    A 3x3 stem, three stages of (depth - 2) / 6 basic blocks with width, 2 width, 4 width channels
    (32x32, 16x16, 8x8 places), the mean over places, a linear layer.

    Args:
        depth: 6 k + 2 for k blocks a stage; the authors' 32.
        width: channels of the first stage; the authors' 64 ("widen factor 4" over 16).
        classes: outputs; 100, as in CIFAR-100.
        channels: channels of the images; 3, or 1 for grey ones.
        smooth: False: BatchNorm and ReLU, as the authors have it. Train it, load weights, or pass
            some batches through it in training mode, and call `eval()` before a `Task`: fresh
            running statistics (0 and 1) normalise nothing. True: GELU and `SmoothGroupNorm` with as
            many weights: the one we recommend, as a Taylor series of its loss exists and kinks do
            not cap its accuracy.
        seed: seed of the initial weights.

    Returns:
        torch.nn.Module: (batch, channels, 32, 32) -> (batch, classes); other image sizes work too.

    Raises:
        ArgumentError: a depth that is not 8, 14, 20, ...

    Cost: 1.1e9 multiply-adds a 32x32 image at the defaults.

    References:
        He, Zhang, Ren, Sun (2016), section 4.2; Liu et al. (2024), experiment code.

    Example:
        >>> with torch.device("meta"):
        ...     sum(weight.numel() for weight in resnet().parameters())
        7451044
    """
    depth = check_integer("depth", depth, 8, MOST_DEPTH)
    if depth % 6 != 2:
        raise argument_error("depth", "be 6 k + 2 (8, 14, 20, 26, 32, ...)", depth)
    width = check_integer("width", width, 1, MOST_CHANNELS)
    return _residual(
        (width, 2 * width, 4 * width), (depth - 2) // 6, 1, classes, channels, smooth, seed
    )


def resnet18(
    widths: Sequence[int] = (48, 96, 208, 400),
    classes: int = 100,
    channels: int = 3,
    smooth: bool = True,
    seed: int = 0,
) -> nn.Module:
    """A ResNet-18 for small machines: 6,946,580 weights as it stands, 103,044,260 at widths (192,
    384, 784, 1552).

    The stem has stride 2, then four stages of two basic blocks on 16x16, 8x8, 4x4, 2x2 places: a
    thirteenth of the work of `resnet` with about as many weights.

    Args:
        widths: channels of the four stages.
        classes, channels, smooth, seed: as in `resnet`; smooth by default, as nobody's published
            network is reproduced here.

    Returns:
        torch.nn.Module: (batch, channels, 32, 32) -> (batch, classes); other image sizes work too.

    References:
        He, Zhang, Ren, Sun (2016), table 1, with another stem.

    Example:
        >>> with torch.device("meta"):
        ...     sum(weight.numel() for weight in resnet18().parameters())
        6946580
    """
    return _residual(checked_widths(widths, 4), 2, 2, classes, channels, smooth, seed)


def _residual(
    widths: tuple[int, ...],
    blocks: int,
    stem_stride: int,
    classes: int,
    channels: int,
    smooth: bool,
    seed: int,
) -> nn.Module:
    classes = check_integer("classes", classes, 1, MOST_CLASSES)
    channels = check_integer("channels", channels, 1, MOST_CHANNELS)
    smooth = check_boolean("smooth", smooth)
    norm = SmoothGroupNorm if smooth else nn.BatchNorm2d
    activation = nn.GELU() if smooth else nn.ReLU()
    # no memory and no random numbers until `with_weights` draws them by name
    with torch.device("meta"):
        parts: list[tuple[str, nn.Module]] = [
            ("stem", nn.Conv2d(channels, widths[0], 3, stem_stride, padding=1, bias=False)),
            ("norm", norm(widths[0])),
            ("activation", activation),
        ]
        inputs = widths[0]
        for stage, outputs in enumerate(widths):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                parts.append(
                    (
                        f"stage{stage + 1}_{block + 1}",
                        BasicBlock(inputs, outputs, stride, norm, activation),
                    )
                )
                inputs = outputs
        parts += [
            ("mean", nn.AdaptiveAvgPool2d(1)),
            ("flatten", nn.Flatten()),
            ("head", nn.Linear(inputs, classes)),
        ]
        network = nn.Sequential(OrderedDict(parts))
    return with_weights(network, seed)
