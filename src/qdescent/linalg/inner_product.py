"""Inner products in float64: a float32 sum of 10^7 terms is wrong in the third digit."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from qdescent._checks import argument_error

# Entries that are taken to float64 at a time. On a CPU 512 kB: they stay in the cache, and below
# the size from which the allocator asks the system for fresh pages (2^18 entries were ten times
# slower for that); on a GPU as few launches as memory allows.
PIECE = {"cpu": 2**16, "cuda": 2**24}
# Over the largest eigenvalue, what products leave on one at 0: some eight units of float32; more of
# float64, as a sum of millions of terms has lost digits.
ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-13}
# what single precision leaves on an inner product of millions of numbers, relative
OF_SINGLE_PRECISION = 1e-4


def in_double(*vectors: Tensor) -> Iterator[list[Tensor]]:
    """Vectors (n,) piece by piece in float64, each in the same memory again, since asking for it
    anew is what takes time. Of a vector that is float64 itself the pieces are views.

    Example:
        >>> [[part.tolist() for part in parts] for parts in in_double(torch.ones(2))]
        [[[1.0, 1.0]]]
    """
    piece = PIECE.get(vectors[0].device.type, 2**16)
    rooms = [
        None if x.dtype == torch.float64 else x.new_empty(min(piece, len(x)), dtype=torch.float64)
        for x in vectors
    ]
    for parts in zip(*(x.split(piece) for x in vectors), strict=True):
        yield [
            part if room is None else room[: len(part)].copy_(part)
            for part, room in zip(parts, rooms, strict=True)
        ]


def dot(x: Tensor, y: Tensor) -> Tensor:
    """<x, y> of two real vectors (n,), a float64 scalar on their device."""
    found = in_double(x, y) if y is not x else ([a, a] for (a,) in in_double(x))
    return torch.stack([torch.dot(a, b) for a, b in found]).sum()


def norm(x: Tensor) -> float:
    """||x|| of a real vector (n,), by float64."""
    return float(dot(x, x)) ** 0.5


def power_of_two(size: Tensor) -> Tensor:
    """The power of two next below each size, float64: to divide by it changes no digit. 1 for 0,
    infinity and NaN.

    Example:
        >>> power_of_two(torch.tensor([5.0, 0.3, 0.0], dtype=torch.float64)).tolist()
        [4.0, 0.25, 1.0]
    """
    known = (size > 0) & size.isfinite()
    exponent = torch.frexp(torch.where(known, size, 1.0)).exponent
    return torch.ldexp(torch.ones_like(size), exponent.to(size) - 1)


def check_inner_products(name: str, gram: Tensor) -> None:
    """Check that matrices may be of inner products, single precision allowed for.

    Args:
        name: of the argument.
        gram: <u_k, u_l>, (..., N, N), finite, float64.

    Raises:
        ArgumentError: not symmetric, or |<u, v>| > ||u|| ||v|| somewhere.
    """
    lengths = gram.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()
    allowed = lengths[..., :, None] * lengths[..., None, :]
    slack = OF_SINGLE_PRECISION * allowed + torch.finfo(torch.float64).tiny
    skew, beyond = (gram - gram.mT).abs() > slack, gram.abs() > allowed + slack
    if bool(skew.any()) or bool(beyond.any()):
        must = "hold inner products, <u, v> = <v, u> and |<u, v>| <= ||u|| ||v||"
        raise argument_error(name, must, "of numbers that are none")
