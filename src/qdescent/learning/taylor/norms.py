"""Standardisation as one operation of a tape: about half the passes over the activations that its
elementary steps would take.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from qdescent.learning.taylor.tape import Node, Terms, reduce, stacked


class Standardise:
    """y = g s with g = x - mean(x), s = w r and r = (mean(g^2) + epsilon)^(-1/2), means over the
    last `dims` axes.

    s is the same over the places of a channel: its series and its adjoint are small tensors.

    Args:
        x: the quantity, (..., *group).
        weight: w, (..., channels, 1, ...), one for each first axis of a group; None: 1.
        dims: how many axes a group has.
        epsilon: added to the variance.
    """

    def __init__(self, x: Node, weight: Node | None, dims: int, epsilon: float) -> None:
        assert x.value is not None
        self.inputs: tuple[Node, ...] = (x,) if weight is None else (x, weight)
        self._group = tuple(range(-dims, 0))
        self._places = self._group if weight is None else self._group[1:]
        self._count = x.value.shape[-dims:].numel()
        self._g0 = x.value - x.value.mean(self._group, keepdim=True)
        self._variance = self._g0.square().mean(self._group, keepdim=True)[None] + epsilon
        self._root = self._variance.rsqrt()
        self._weight = None if weight is None else weight.value[None]  # type: ignore[index]
        self._scale = self._root if self._weight is None else self._root * self._weight
        self.output = Node(self._g0 * self._scale[0])

    def push(self) -> Tensor:
        x = stacked(self.inputs[0].coefficients())
        self._g = x - x.mean(self._group, keepdim=True)
        half = self._g * self._g0
        if len(half) > 1:
            half[1:].add_(_below(self._g, self._g), alpha=0.5)
        square = half.mean(self._group, keepdim=True).mul_(2)
        self._variance = torch.cat([self._variance[:1], square])
        self._root = inverse_root(self._root[:1], self._variance)
        if self._weight is None:
            self._scale = self._root
        else:
            self._weight = torch.cat([self._weight[:1], stacked(self.inputs[1].coefficients())])
            self._scale = product(self._root, self._weight)
        return _mixed(self._g0, self._g, self._scale[0], self._scale[1:])

    def pull_value(self, adjoint: Tensor) -> Sequence[Tensor]:
        self._adjoint = adjoint
        self._total = (adjoint * self._g0).sum(self._places, keepdim=True)[None]
        self._sum = adjoint.sum(self._places, keepdim=True)[None]
        bend, shift, found = self._small()
        x = torch.addcmul(-shift[0], adjoint, self._scale[0]).addcmul_(self._g0, bend[0])
        return [x, *(part[0] for part in found)]

    def pull(self, adjoint: Tensor) -> Sequence[Terms]:
        total = _mixed(self._g0, self._g, self._adjoint, adjoint).sum(self._places, keepdim=True)
        self._total = torch.cat([self._total[:1], total])
        self._sum = torch.cat([self._sum[:1], adjoint.sum(self._places, keepdim=True)])
        bend, shift, found = self._small()
        x = torch.addcmul(-shift[1:], adjoint, self._scale[0]).addcmul_(
            self._adjoint, self._scale[1:]
        )
        x.addcmul_(self._g, bend[0]).addcmul_(self._g0, bend[1:])
        if len(x) > 1:
            x[1:].add_(_below(adjoint, self._scale[1:]).add_(_below(self._g, bend[1:])))
        del self._g
        return [x, *(part[1:] for part in found)]

    def _small(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """2/count times the variance's adjoint; the mean of g's; w's."""
        shift = product(self._sum, self._scale).sum(self._group, keepdim=True) / self._count
        cube = product(self._root, product(self._root, self._root))  # dr/dvariance = -r^3 / 2
        if self._weight is None:
            return product(self._total, cube) / -self._count, shift, []
        of_root = product(self._total, self._weight).sum(self._group, keepdim=True)
        of_weight = reduce(product(self._total, self._root), self._weight.shape[1:])
        return product(of_root, cube) / -self._count, shift, [of_weight]


def product(a: Tensor, b: Tensor) -> Tensor:
    """The Cauchy product of two short series of small tensors, degrees on the first axis."""
    first, *others = b.unbind()
    c = a * first
    for j, each in enumerate(others, 1):
        c[j:].addcmul_(a[:-j], each)
    return c


def inverse_root(start: Tensor, x: Tensor) -> Tensor:
    """x^(-1/2): k x_0 r_k = sum_{i=1..k} (-i/2 - (k - i)) x_i r_{k-i}."""
    r, (x0, *others) = [start[0]], x.unbind()
    for k in range(1, len(others) + 1):
        total = (0.5 / k - 1) * others[0] * r[k - 1]
        for i in range(2, k + 1):
            total.addcmul_(others[i - 1], r[k - i], value=i / 2 / k - 1)
        r.append(total.div_(x0))
    return torch.stack(r)


def _mixed(a0: Tensor, a: Tensor, b0: Tensor, b: Tensor) -> Tensor:
    """Degrees 1 ... N of a product of series, from their degree 0 and their degrees 1 ... N."""
    c = (a * b0).addcmul_(a0, b)
    if len(a) > 1:
        c[1:].add_(_below(a, b))
    return c


def _below(a: Tensor, b: Tensor) -> Tensor:
    """sum_{i+j=k} a_i b_j for i, j >= 1 and k = 2 ... N."""
    c = a[:-1] * b[0]
    for j in range(1, len(a) - 1):
        c[j:].addcmul_(a[: -1 - j], b[j])
    return c
