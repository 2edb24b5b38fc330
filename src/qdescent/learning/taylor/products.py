"""Bilinear operations on truncated power series: products and linear layers.

y_k = sum_{i+j=k} x_i * w_j. The coefficients x_0 ... x_{N-j} that meet w_j lie next to each other
in memory and go through one call as one large batch; so do all pairs (x_i, ybar_j) of one degree in
a weight's adjoint, where the batch is what is summed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from qdescent.learning.taylor.tape import Node, Terms, lead, reduce, stacked, with_value


class Form(Protocol):
    """A bilinear operation; x, y and their adjoints come with a leading axis, w without."""

    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        """(M, ...), (...) -> (M, ...)."""

    def back(self, y: Tensor, w: Tensor) -> Tensor:
        """The adjoint of x: (M, ...), (...) -> (M, ...)."""

    def weigh(self, x: Tensor, y: Tensor, degree: int) -> Tensor:
        """sum_{i+j=degree} of the adjoint of w from x_i and ybar_j."""


class Product:
    """y = form(x, w), either of which may be a constant.

    Args:
        form: the operation.
        x, w: its arguments.
        laid: memory format in which w and its coefficients are kept; None: as they are.
    """

    def __init__(
        self,
        form: Form,
        x: Node | Tensor,
        w: Node | Tensor,
        laid: torch.memory_format | None = None,
    ) -> None:
        self._form, self._x, self._w, self._laid = form, x, w, laid
        self.inputs = tuple(node for node in (x, w) if isinstance(node, Node))
        self._terms: list[Tensor] | None = None  # of w, from forward to backward
        self._x0: Tensor = x.value if isinstance(x, Node) else x  # type: ignore[assignment]
        self._w0: Tensor = self._kept(w.value if isinstance(w, Node) else w)  # type: ignore[arg-type]
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
            return self._form.apply(stacked(self._x.coefficients()), self._w0)  # type: ignore[union-attr]
        terms = [self._kept(w) for w in self._w.coefficients()]
        if not isinstance(self._x, Node):
            return torch.cat([self._form.apply(self._x0[None], w) for w in terms])
        terms = terms[: self._w.moving]  # along a line w has one: what meets the others is 0
        self._terms = terms if self._w.fetch is None else None
        self._all = self._x.joined(self._x0)
        self._x0 = self._all[0]  # held once meanwhile
        y = self._form.apply(self._all[1:], self._w0)
        for j, w in enumerate(terms, start=1):
            # not `+=`, which copies the part onto itself besides
            y[j - 1 :].add_(self._form.apply(self._all[: len(self._all) - j], w))
        return y

    def pull(self, adjoint: Tensor) -> Sequence[Terms | Iterator[Tensor]]:
        if not isinstance(self._w, Node):
            return [self._form.back(adjoint, self._w0)]
        found: list[Terms | Iterator[Tensor]] = []
        y = with_value(self._adjoint, adjoint)
        x = self._all if isinstance(self._x, Node) else self._x0[None]
        if isinstance(self._x, Node):
            below = self._form.back(y[1:], self._w0)
            terms = self._terms
            if terms is None:
                terms = [self._kept(w) for w in self._w.coefficients()][: self._w.moving]
            for j, w in enumerate(terms, start=1):
                below[j - 1 :].add_(self._form.back(y[: len(y) - j], w))
            found.append(below)
            self._x0 = self._x0.clone()
            del self._all, terms
        self._terms = None  # views of the whole curve
        found.append(self._form.weigh(x, y, degree) for degree in range(1, len(y)))
        return found

    def _kept(self, w: Tensor) -> Tensor:
        return w if self._laid is None else w.contiguous(memory_format=self._laid)


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


class Contraction:
    """einsum of two, every letter of each in the other one or in what is found.

    Args:
        x, w, y: the letters of either and of what is found.
    """

    def __init__(self, x: str, w: str, y: str) -> None:
        self._x, self._w, self._y = x, w, y
        self._free = next(
            letter for letter in "abcdefghijklmnopqrstuvwxyzABC" if letter not in x + w
        )

    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        degree = self._free
        return torch.einsum(f"{degree}{self._x},{self._w}->{degree}{self._y}", x, w)

    def back(self, y: Tensor, w: Tensor) -> Tensor:
        degree = self._free
        return torch.einsum(f"{degree}{self._y},{self._w}->{degree}{self._x}", y, w)

    def weigh(self, x: Tensor, y: Tensor, degree: int) -> Tensor:
        pairs = [(x[i], y[degree - i]) for i in range(min(degree + 1, len(x)))]
        parts = [torch.einsum(f"{self._x},{self._y}->{self._w}", *pair) for pair in pairs]
        return sum(parts[1:], parts[0])


class LinearLayer:
    """x W^T over the last dimension."""

    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        return F.linear(x, w)

    def back(self, y: Tensor, w: Tensor) -> Tensor:
        return y @ w

    def weigh(self, x: Tensor, y: Tensor, degree: int) -> Tensor:
        x, y = paired(x, y, degree)
        return y.reshape(-1, y.shape[-1]).T @ x.reshape(-1, x.shape[-1])


def paired(x: Tensor, y: Tensor, degree: int) -> tuple[Tensor, Tensor]:
    """x_0 ... x_degree next to y_degree ... y_0; a constant x meets y_degree alone."""
    count = min(degree + 1, len(x))
    if count == 1:
        return x[:1], y[degree : degree + 1]
    return x[:count], torch.cat([y[degree - i] for i in range(count)]).unflatten(
        0, (count, y.shape[1])
    )
