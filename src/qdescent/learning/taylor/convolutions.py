"""Convolutions and transposed convolutions, as bilinear operations on truncated power series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qdescent.learning.taylor.products import paired
from qdescent.learning.taylor.taps import FEW_MET, taps_of


class Convolution:
    """A convolution or a transposed one over one to three dimensions, of samples with a batch axis.

    Two dimensions: everything is kept channels-last, in which oneDNN's forward and input-gradient
    are up to twice as fast here; over few places a processor takes the taps one by one (`taps.py`).

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
        plain = output_padding is None and groups == 1 and set(self._dilation) == {1}
        self._taps = (
            taps_of(x[-2:], w[-2:], self._stride, self._padding) if plain and places == 2 else None
        )
        # A kernel of one place meets every s-th input alone. oneDNN's weight gradient of strided
        # ones writes beyond its memory on a processor (PyTorch 2.13: of 2 to 7 channels, stride 2,
        # channels-last), so that these inputs are taken out first.
        one_place = plain and set(w[2:]) == {1} and set(self._padding) == {0}
        strided = one_place and set(self._stride) != {1}
        self._met: tuple[Any, ...] | None = None
        if strided:
            self._met = (..., *(slice(None, None, step) for step in self._stride))
        # both ways of an image; a kernel's adjoint goes by its taps wherever there are any
        self._by_taps = None if self._taps is None or self._taps.share > FEW_MET else self._taps

    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        if self._by_taps is not None and x.is_cpu:
            return self._by_taps.apply(self._flat(x), w).unflatten(0, x.shape[:2])
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
        if self._by_taps is not None and y.is_cpu:
            return self._by_taps.back(self._flat(y), w).unflatten(0, y.shape[:2])
        shape = (y.shape[0] * y.shape[1], *self._inputs[1:])
        return self._backward(y, y.new_empty(1).expand(shape), w, 0).unflatten(0, y.shape[:2])

    def weigh(self, x: Tensor, y: Tensor, degree: int) -> Tensor:
        x, y = paired(x, y, degree)
        if self._taps is not None and x.is_cpu:
            return self._taps.weigh(self._flat(x), self._flat(y))
        stride = self._stride
        if self._met is not None and x.is_cpu:
            x, stride = x[self._met], (1,) * len(stride)
        whole = x.new_empty(1).expand(self._kernel)
        return self._backward(y, self._flat(x), whole, 1, stride)

    def _backward(
        self, y: Tensor, x: Tensor, w: Tensor, which: int, stride: Sequence[int] | None = None
    ) -> Tensor:
        wanted = [which == 0, which == 1, False]
        transposed = self._output_padding is not None
        more = self._output_padding or (0,) * len(self._stride)
        settings = (
            *(stride or self._stride, self._padding, self._dilation),
            *(transposed, more, self._groups, wanted),
        )
        return torch.ops.aten.convolution_backward(self._flat(y), x, w, None, *settings)[which]

    def _flat(self, x: Tensor) -> Tensor:
        return x.flatten(0, 1).contiguous(memory_format=self.format)


def _named(padding: str, w: torch.Size, dilation: Sequence[int]) -> tuple[int, ...]:
    if padding == "valid":
        return (0,) * len(dilation)
    widths = [d * (size - 1) for size, d in zip(w[2:], dilation, strict=True)]
    return tuple(width // 2 for width in widths)
