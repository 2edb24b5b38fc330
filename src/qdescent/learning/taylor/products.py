"""Bilinear operations on truncated power series: products, linear layers, convolutions.

y_k = sum_{i+j=k} x_i * w_j. The coefficients x_0 ... x_{N-j} that meet w_j lie next to each other
in memory and go through one call as one large batch; so do all pairs (x_i, ybar_j) of one degree in
a weight's adjoint, where the batch is what is summed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.learning.taylor.tape import Node, Terms, lead, reduce, stacked, with_value

FEW_PLACES = (
    # up to 4 x 4 places, one matrix product a kernel place beats oneDNN's weight gradient two to
    # three times (measured)
    16
)


class Form(Protocol):
    """A bilinear operation; x, y and their adjoints come with a leading axis, w without."""

    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        """(M, ...), (...) -> (M, ...)."""

    def back(self, y: Tensor, w: Tensor) -> Tensor:
        """The adjoint of x: (M, ...), (...) -> (M, ...)."""

    def weigh(self, x: Tensor, y: Tensor, degree: int) -> Tensor:
        """sum_{i+j=degree} of the adjoint of w from x_i and ybar_j."""


class Product:
    """y = form(x, w), either of which may be a constant."""

    def __init__(self, form: Form, x: Node | Tensor, w: Node | Tensor) -> None:
        self._form, self._x, self._w = form, x, w
        self.inputs = tuple(node for node in (x, w) if isinstance(node, Node))
        self._x0: Tensor = x.value if isinstance(x, Node) else x  # type: ignore[assignment]
        self._w0: Tensor = w.value if isinstance(w, Node) else w  # type: ignore[assignment]
        self.output = Node(form.apply(self._x0[None], self._w0)[0])

    def pull_value(self, adjoint: Tensor) -> Sequence[Tensor]:
        self._adjoint = adjoint
        found = []
        if isinstance(self._x, Node):
            found.append(self._form.back(adjoint[None], self._w0)[0])
        if isinstance(self._w, Node):
            found.append(self._form.weigh(self._x0[None], adjoint[None], 0))
        return found

    def push(self) -> Tensor:
        if not isinstance(self._w, Node):
            return self._form.apply(stacked(self._x.terms), self._w0)  # type: ignore[union-attr, arg-type]
        self._terms = self._w.terms
        assert self._terms is not None
        if not isinstance(self._x, Node):
            return torch.cat([self._form.apply(self._x0[None], w) for w in self._terms])
        self._all = self._x.joined(self._x0)
        self._x0 = self._all[0]  # held once meanwhile
        y = self._form.apply(self._all[1:], self._w0)
        for j, w in enumerate(self._terms, start=1):
            y[j - 1 :] += self._form.apply(self._all[: len(self._all) - j], w)
        return y

    def pull(self, adjoint: Tensor) -> Sequence[Terms | Iterator[Tensor]]:
        if not isinstance(self._w, Node):
            return [self._form.back(adjoint, self._w0)]
        found: list[Terms | Iterator[Tensor]] = []
        y = with_value(self._adjoint, adjoint)
        x = self._all if isinstance(self._x, Node) else self._x0[None]
        if isinstance(self._x, Node):
            below = self._form.back(y[1:], self._w0)
            for j, w in enumerate(self._terms, start=1):  # type: ignore[arg-type]
                below[j - 1 :] += self._form.back(y[: len(y) - j], w)
            found.append(below)
            self._x0 = self._x0.clone()
            del self._all
        del self._terms  # views of the whole curve
        found.append(self._form.weigh(x, y, degree) for degree in range(1, len(y)))
        return found


class Elementwise:
    """x * w with broadcasting."""

    def __init__(self, x: torch.Size, w: torch.Size) -> None:
        self._from, self._weight, self._dimensions = x, w, max(len(x), len(w))

    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        return lead(x, self._dimensions) * w

    def back(self, y: Tensor, w: Tensor) -> Tensor:
        return reduce(y * w, self._from)

    def weigh(self, x: Tensor, y: Tensor, degree: int) -> Tensor:
        x, total = lead(x, self._dimensions), None
        for i in range(min(degree + 1, len(x))):
            total = x[i] * y[degree - i] if total is None else total.addcmul_(x[i], y[degree - i])
        return reduce(total[None], self._weight)[0]  # type: ignore[index]


class MatrixProduct:
    """x @ w with broadcasting, both of at least two dimensions."""

    def __init__(self, x: torch.Size, w: torch.Size) -> None:
        self._from, self._weight, self._dimensions = x, w, max(len(x), len(w))

    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        return lead(x, self._dimensions) @ w

    def back(self, y: Tensor, w: Tensor) -> Tensor:
        return reduce(y @ w.mT, self._from)

    def weigh(self, x: Tensor, y: Tensor, degree: int) -> Tensor:
        x = lead(x, self._dimensions)
        products = [x[i].mT @ y[degree - i] for i in range(min(degree + 1, len(x)))]
        return reduce(sum(products[1:], products[0])[None], self._weight)[0]


class LinearLayer:
    """x W^T over the last dimension."""

    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        return F.linear(x, w)

    def back(self, y: Tensor, w: Tensor) -> Tensor:
        return y @ w

    def weigh(self, x: Tensor, y: Tensor, degree: int) -> Tensor:
        x, y = paired(x, y, degree)
        return y.reshape(-1, y.shape[-1]).T @ x.reshape(-1, x.shape[-1])


class Convolution:
    """A convolution over one or two dimensions, of samples with a batch axis.

    Two dimensions: everything is kept channels-last, in which oneDNN's forward and input-gradient
    are up to twice as fast here.
    """

    def __init__(
        self, x: torch.Size, w: torch.Size, stride: Any, padding: Any, dilation: Any, groups: int
    ) -> None:
        places = len(w) - 2

        def each(value: Any) -> tuple[int, ...]:
            return (value,) * places if isinstance(value, int) else tuple(value)

        self._inputs, self._kernel, self._groups = x, w, groups
        self._stride, self._dilation = each(stride), each(dilation)
        self._padding = (
            each(padding) if not isinstance(padding, str) else _named(padding, w, self._dilation)
        )
        self._format = torch.channels_last if places == 2 else torch.contiguous_format

    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        function = F.conv2d if len(self._kernel) == 4 else F.conv1d
        y = function(
            self._flat(x),
            self._laid(w),
            None,
            self._stride,
            self._padding,
            self._dilation,
            self._groups,
        )
        return y.unflatten(0, x.shape[:2])

    def back(self, y: Tensor, w: Tensor) -> Tensor:
        shape = (y.shape[0] * y.shape[1], *self._inputs[1:])
        return self._backward(y, y.new_empty(1).expand(shape), self._laid(w), 0).unflatten(
            0, y.shape[:2]
        )

    def weigh(self, x: Tensor, y: Tensor, degree: int) -> Tensor:
        x, y = paired(x, y, degree)
        if (
            len(self._kernel) == 4
            and self._groups == 1
            and y.shape[-2:].numel() <= FEW_PLACES
            and set(self._dilation) == {1}
        ):
            return self._weigh_by_places(self._flat(x), self._flat(y))
        return self._backward(y, self._flat(x), x.new_empty(1).expand(self._kernel), 1)

    def _backward(self, y: Tensor, x: Tensor, w: Tensor, which: int) -> Tensor:
        wanted = [which == 0, which == 1, False]
        none = (0,) * len(self._stride)
        settings = (self._stride, self._padding, self._dilation, False, none, self._groups, wanted)
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
        return x.flatten(0, 1).contiguous(memory_format=self._format)

    def _laid(self, w: Tensor) -> Tensor:
        return w.contiguous(memory_format=self._format)


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
    if any(width % 2 for width in widths):
        raise argument_error(
            "padding",
            "be the same on both sides (pad by torch.nn.functional.pad)",
            f"'same' for a kernel {tuple(w[2:])}",
        )
    return tuple(width // 2 for width in widths)


def paired(x: Tensor, y: Tensor, degree: int) -> tuple[Tensor, Tensor]:
    """x_0 ... x_degree next to y_degree ... y_0; a constant x meets y_degree alone."""
    count = min(degree + 1, len(x))
    if count == 1:
        return x[:1], y[degree : degree + 1]
    return x[:count], torch.cat([y[degree - i] for i in range(count)]).unflatten(
        0, (count, y.shape[1])
    )
