"""What rounding leaves of numbers whose terms cancel, as seen a few roundings away."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from qdescent._random import named_generator

# times how far the same number moves between points a few roundings apart: what is less is noise
SPREAD, NEARBY = 10.0, 4
ROUNDING = 100.0  # the noise of a pass through many layers, in units of its type's precision
TERMS = 20.0  # what terms that cancel leave, in units of their type's precision
NEARER = (0.8, 0.5, 0.2, 0.05)  # of theta
EPS = torch.finfo(torch.float64).eps


def loss_scale(loss: Callable[[Tensor], float], point: Tensor) -> float:
    """The size of a loss's terms: its larger value of those at a point and at weights of 0."""
    values = (abs(loss(x)) for x in (point, torch.zeros_like(point)))
    return max((value for value in values if math.isfinite(value)), default=0.0)


def is_noise(found: Iterable[Tensor]) -> bool:
    """Whether the same number at points a few roundings apart is nothing but rounding: it moves
    about as much as there is of it.
    """
    here, *there = found
    size, *apart = (float(torch.linalg.vector_norm(x)) for x in (here, *(here - x for x in there)))
    return size <= SPREAD * max(apart)


def rounded(point: Tensor) -> Iterator[Tensor]:
    """The point, and others with each number changed by up to four roundings; zeros, at which
    activations may stand exactly at their kinks, stay.
    """
    yield point
    eps = torch.finfo(point.dtype).eps
    for place in range(NEARBY):
        yield point * (1 + eps * drawn(point, place, "rounding").clamp(-4, 4))


def elsewhere(point: Tensor) -> Iterator[Tensor]:
    """Points at which terms that cancel at this one (of a saturated softmax) do not, and are as
    large: nearer to weights of 0, and half-way to random ones.
    """
    for factor in NEARER:
        yield factor * point
    size = float(torch.linalg.vector_norm(point)) / len(point) ** 0.5
    yield (point + size * drawn(point, 0, "aside")) / 2**0.5


def drawn(like: Tensor, seed: int, name: str) -> Tensor:
    """Entries of variance 1, the same on every device and in every precision; single precision is
    drawn several times faster.
    """
    drawn = torch.randn(
        len(like),
        generator=named_generator(seed, "curvature check", name),
        dtype=torch.float32,
        device="cpu",
    )
    return drawn.to(like)
