"""A vision transformer for 32x32 images, of operations with a Taylor rule alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qdescent._checks import argument_error, check_integer
from qdescent.learning.networks.small_cnn import (
    MOST_CHANNELS,
    MOST_CLASSES,
    MOST_DEPTH,
    with_weights,
)
from qdescent.learning.networks.smooth_norms import SmoothLayerNorm


class Attention(nn.Module):
    """softmax(Q K^T / sqrt(d)) V for each head, by explicit products: the fused kernels have no
    double backward.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) -> the same shape."""
        samples, tokens, width = x.shape
        parts = (
            self.project_in(x)
            .reshape(samples, tokens, 3, self.heads, width // self.heads)
            .permute(2, 0, 3, 1, 4)
        )
        q, k, v = parts[0], parts[1], parts[2]
        share = torch.softmax((q * (width // self.heads) ** -0.5) @ k.transpose(-2, -1), dim=-1)
        return self.project_out((share @ v).permute(0, 2, 1, 3).reshape(samples, tokens, width))


class TransformerBlock(nn.Module):
    """x + attention(norm(x)), then x + W_2 gelu(W_1 norm(x)) with four times the width inside."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = SmoothLayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp_norm = SmoothLayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) -> the same shape."""
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class Tokens(nn.Module):
    """Patches as vectors: a convolution whose stride is its size, plus a learnt vector a place."""

    def __init__(self, channels: int, width: int, patch: int, count: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, width, patch, patch)
        self.position = nn.Parameter(torch.zeros(1, count, width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, size, size) -> (batch, tokens, width)."""
        return self.embed(x).flatten(2).transpose(1, 2) + self.position


class MeanOverTokens(nn.Module):
    """(batch, tokens, width) -> (batch, width); as good as a class token at this size (Beyer et
    al., arXiv:2205.01580).
    """

    def forward(self, x: Tensor) -> Tensor:
        """The mean over the second dimension."""
        return x.mean(1)


def vision_transformer(
    width: int = 256,
    depth: int = 9,
    heads: int = 8,
    patch: int = 4,
    size: int = 32,
    classes: int = 100,
    channels: int = 3,
    seed: int = 0,
) -> nn.Module:
    """A pre-norm ViT: 7,162,980 weights, 99,395,428 at `width=768, depth=14, heads=12`.

    depth (12 width^2 + 13 width) weights in the blocks; GELU, elementary LayerNorm, attention by
    explicit products, no dropout.

    Args:
        width: numbers of a token.
        depth: blocks. 9 at width 256 have the 7 million weights of the paper's smaller network, 14
            at ViT-B's width 768 about 100.
        heads: heads of the attention; they must divide the width. 8 give 32 numbers a head.
        patch: side of a patch in pixels; 4 makes 64 tokens of a 32x32 image.
        size: side of the images in pixels, a multiple of the patch.
        classes: outputs; 100, as in CIFAR-100.
        channels: channels of the images.
        seed: seed of the initial weights.

    Returns:
        torch.nn.Module: (batch, channels, size, size) -> (batch, classes).

    Raises:
        ArgumentError: heads that do not divide the width, a patch that does not divide the size.

    Cost: tokens x depth x 2 (6 width^2 + tokens x width) multiply-adds an image: 4.7e8 at the
        defaults.

    References:
        Dosovitskiy et al., arXiv:2010.11929.

    Example:
        >>> with torch.device("meta"):
        ...     sum(weight.numel() for weight in vision_transformer().parameters())
        7162980
    """
    named = {
        "width": width,
        "depth": depth,
        "heads": heads,
        "patch": patch,
        "size": size,
        "classes": classes,
        "channels": channels,
    }
    most = {"depth": MOST_DEPTH, "classes": MOST_CLASSES}
    width, depth, heads, patch, size, classes, channels = (
        check_integer(name, value, 1, most.get(name, MOST_CHANNELS))
        for name, value in named.items()
    )
    if width % heads:
        raise argument_error("heads", f"divide the width {width}", heads)
    if size % patch:
        raise argument_error("patch", f"divide the image size {size}", patch)
    # no memory and no random numbers until `with_weights` draws them by name
    with torch.device("meta"):
        network = nn.Sequential(
            Tokens(channels, width, patch, (size // patch) ** 2),
            *(TransformerBlock(width, heads) for _ in range(depth)),
            SmoothLayerNorm(width),
            MeanOverTokens(),
            nn.Linear(width, classes),
        )
    return with_weights(network, seed)
