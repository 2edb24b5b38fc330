"""Images whose bytes were made floating-point numbers, and not scaled."""

from __future__ import annotations

from typing import Any

from qdescent.learning.batches import tensors_of

LEAST = 32  # numbers a sample: an icon of 6 x 6; a table of ages and counts has fewer
BRIGHT = 128  # some pixel of a batch is that bright; grey levels of 0 to 16 are no bytes


def unscaled(inputs: Any) -> str:
    """A sentence where inputs look like bytes of images, 0 to 255; empty: they do not.

    A network whose first layer is not made for them has a curvature there that grows with their
    square.

    Example:
        >>> import torch
        >>> pixels = torch.arange(256.0).reshape(4, 64)
        >>> unscaled(pixels)[:58], unscaled(pixels / 255)
        ('The inputs are whole numbers up to 255, as bytes of images', '')
    """
    for _, tensor in tensors_of(inputs):
        if not tensor.is_floating_point() or tensor.ndim < 2 or tensor[0].numel() < LEAST:
            continue
        low, high = (float(end) for end in tensor.aminmax())
        if low >= 0 and BRIGHT <= high <= 255 and bool((tensor == tensor.round()).all()):
            return (
                f"The inputs are whole numbers up to {high:g}, as bytes of images are: unless the"
                " network scales them itself, the curvature is that of inputs 255 times as large"
                " as usual (inputs / 255)."
            )
    return ""
