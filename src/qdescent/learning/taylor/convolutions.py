"""Convolutions and transposed convolutions, as bilinear operations on truncated power series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qdescent.learning.taylor.products import paired

FEW_PLACES = (
    # up to 4 x 4 places, one matrix product a kernel place beats oneDNN's weight gradient two to
    # three times (measured)
    16
)


class Convolution:
    """A convolution or a transposed one over one to three dimensions, of samples with a batch axis.

    Two dimensions: everything is kept channels-last, in which oneDNN's forward and input-gradient
    are up to twice as fast here.

    Attributes:
        format: in which the kernel is to be laid.
    """

    def __init__(
        self,
        x: torch.Size,
        w: torch.Size,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        output_padding: Any = None,
    ) -> None:
        places = len(w) - 2

        def each(value: Any) -> tuple[int, ...]:
            return (value,) * places if isinstance(value, int) else tuple(value)

        self._inputs, self._kernel, self._groups = x, w, groups
        self._stride, self._dilation = each(stride), each(dilation)
        self._padding = (
            each(padding) if not isinstance(padding, str) else _named(padding, w, self._dilation)
        )
        # of a transposed convolution; None: it is none
        self._output_padding = None if output_padding is None else each(output_padding)
        self.format = torch.channels_last if places == 2 else torch.contiguous_format

    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        transposed = self._output_padding is not None
        y = torch.convolution(
            self._flat(x),
            w,
            None,
            self._stride,
            self._padding,
            self._dilation,
            transposed,
            self._output_padding or (0,) * len(self._stride),
            self._groups,
        )
        return y.unflatten(0, x.shape[:2])

    def back(self, y: Tensor, w: Tensor) -> Tensor:
        shape = (y.shape[0] * y.shape[1], *self._inputs[1:])
        return self._backward(y, y.new_empty(1).expand(shape), w, 0).unflatten(0, y.shape[:2])

    def weigh(self, x: Tensor, y: Tensor, degree: int) -> Tensor:
        x, y = paired(x, y, degree)
        if (
            len(self._kernel) == 4
            and self._groups == 1
            and y.shape[-2:].numel() <= FEW_PLACES
            and set(self._dilation) == {1}
            and self._output_padding is None
        ):
            return self._weigh_by_places(self._flat(x), self._flat(y))
        return self._backward(y, self._flat(x), x.new_empty(1).expand(self._kernel), 1)

    def _backward(self, y: Tensor, x: Tensor, w: Tensor, which: int) -> Tensor:
        wanted = [which == 0, which == 1, False]
        transposed = self._output_padding is not None
        more = self._output_padding or (0,) * len(self._stride)
        settings = (
            *(self._stride, self._padding, self._dilation),
            *(transposed, more, self._groups, wanted),
        )
        return torch.ops.aten.convolution_backward(self._flat(y), x, w, None, *settings)[which]

    def _weigh_by_places(self, x: Tensor, y: Tensor) -> Tensor:
        """One matrix product for each place of the kernel, over those of the image it meets."""
        height, width = self._kernel[2:]
        found = x.new_zeros(height, width, y.shape[1], x.shape[1])
        x, y = x.permute(0, 2, 3, 1), y.permute(0, 2, 3, 1)
        for a in range(height):
            rows, above = _met(a, 0, x.shape[1], y.shape[1], self)
            for b in range(width):
                columns, left = _met(b, 1, x.shape[2], y.shape[2], self)
                if rows.stop > rows.start and columns.stop > columns.start:
                    here, there = y[:, rows, columns], x[:, above, left]
                    torch.mm(
                        here.reshape(-1, y.shape[3]).T,
                        there.reshape(-1, x.shape[3]),
                        out=found[a, b],
                    )
        return found.permute(2, 3, 0, 1)

    def _flat(self, x: Tensor) -> Tensor:
        return x.flatten(0, 1).contiguous(memory_format=self.format)


def _met(tap: int, axis: int, inputs: int, outputs: int, form: Convolution) -> tuple[slice, slice]:
    """The outputs that meet an input at this place of the kernel, and those inputs."""
    step, shift = form._stride[axis], tap - form._padding[axis]
    first = max(0, -(shift // step))
    end = min(outputs, (inputs - 1 - shift) // step + 1)
    return slice(first, end), slice(first * step + shift, (end - 1) * step + shift + 1, step)


def _named(padding: str, w: torch.Size, dilation: Sequence[int]) -> tuple[int, ...]:
    if padding == "valid":
        return (0,) * len(dilation)
    widths = [d * (size - 1) for size, d in zip(w[2:], dilation, strict=True)]
    return tuple(width // 2 for width in widths)
