"""A convolution over few places as one matrix product a tap, that is a place of its kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# One thread of an x86 processor, float32: up to 4 x 4 outputs these products beat oneDNN's weight
# gradient two to three times,
FEW_PLACES = 16
# and its forward and its input gradient where of all taps and outputs this share at most meets an
# input (3 x 3 taps over 2 x 2 places: 16 of 36), for it multiplies by the padding, too.
FEW_MET = 0.5

Places = tuple[slice, slice]  # rows and columns


@dataclass(frozen=True)
class Tap:
    """A place of the kernel.

    Args:
        row, column: where it is.
        outputs, inputs: the outputs that meet an input there, and these inputs.
    """

    row: int
    column: int
    outputs: Places
    inputs: Places


@dataclass(frozen=True)
class Taps:
    """A convolution over two dimensions, taken apart. Images are (batch, channels, rows, columns),
    best laid channels-last.

    Args:
        taps: those that meet an input.
        inputs, outputs, kernel: rows and columns of each.
        share: of taps and outputs, that which meets an input.
    """

    taps: tuple[Tap, ...]
    inputs: tuple[int, int]
    outputs: tuple[int, int]
    kernel: tuple[int, int]
    share: float

    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        """The convolution of images x with the kernel w."""
        x, y = _channels_last(x), x.new_zeros(len(x), *self.outputs, w.shape[0])
        for tap in self.taps:
            y[:, *tap.outputs].add_(_times(x[:, *tap.inputs], w[:, :, tap.row, tap.column].T))
        return y.permute(0, 3, 1, 2)

    def back(self, y: Tensor, w: Tensor) -> Tensor:
        """The adjoint of the images x, from that of the outputs."""
        y, x = _channels_last(y), y.new_zeros(len(y), *self.inputs, w.shape[1])
        for tap in self.taps:
            x[:, *tap.inputs].add_(_times(y[:, *tap.outputs], w[:, :, tap.row, tap.column]))
        return x.permute(0, 3, 1, 2)

    def weigh(self, x: Tensor, y: Tensor) -> Tensor:
        """The adjoint of the kernel w, from that of the outputs."""
        x, y = _channels_last(x), _channels_last(y)
        found = x.new_zeros(*self.kernel, y.shape[3], x.shape[3])
        for tap in self.taps:
            here, there = y[:, *tap.outputs].flatten(0, 2), x[:, *tap.inputs].flatten(0, 2)
            torch.mm(here.T, there, out=found[tap.row, tap.column])
        return found.permute(2, 3, 0, 1)


def taps_of(
    inputs: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> Taps | None:
    """The taps of a convolution without dilation and groups; None beyond 16 outputs. Rows and
    columns of each:

    Example:
        >>> taps = taps_of((2, 2), (3, 3), (1, 1), (1, 1))
        >>> len(taps.taps), taps.outputs, round(36 * taps.share)
        (9, (2, 2), 16)
    """
    axes = list(zip(inputs, kernel, stride, padding, strict=True))
    rows, columns = ((size + 2 * pad - width) // step + 1 for size, width, step, pad in axes)
    if rows * columns > FEW_PLACES:
        return None
    across, down = (
        [_met(tap, size, count, step, pad) for tap in range(width)]
        for count, (size, width, step, pad) in zip((rows, columns), axes, strict=True)
    )
    taps = tuple(
        Tap(a, b, (row[0], column[0]), (row[1], column[1]))
        for a, row in enumerate(across)
        for b, column in enumerate(down)
        if _length(row[0]) > 0 and _length(column[0]) > 0
    )
    met = sum(_length(tap.outputs[0]) * _length(tap.outputs[1]) for tap in taps)
    share = met / (kernel[0] * kernel[1] * rows * columns)
    return Taps(taps, (inputs[0], inputs[1]), (rows, columns), (kernel[0], kernel[1]), share)


def _met(tap: int, inputs: int, outputs: int, step: int, padding: int) -> Places:
    """Along one axis: the outputs that meet an input at this tap, and those inputs."""
    shift = tap - padding
    first = max(0, -(shift // step))
    end = min(outputs, (inputs - 1 - shift) // step + 1)
    return slice(first, end), slice(first * step + shift, (end - 1) * step + shift + 1, step)


def _length(part: slice) -> int:
    return int(part.stop - part.start)


def _times(part: Tensor, matrix: Tensor) -> Tensor:
    """part @ matrix as one product: `matmul` may take an image's rows one by one."""
    return (part.flatten(0, 2) @ matrix).unflatten(0, part.shape[:3])


def _channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)
