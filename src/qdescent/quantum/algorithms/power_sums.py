"""Sums of powers of one step, y = c + a s, |s| <= 1: their values, and their series in s."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
from scipy.fft import dct

from qdescent._arrays import Floats

ROUNDING = 2e-15  # of a coefficient, over the sum of all
FIRST_POINTS = 128  # of a cosine transform; doubled until the last quarter is rounding
BLOCK = 256  # powers of y that one matrix product takes


@dataclass(frozen=True, eq=False)
class PowerSums:
    """q(y) = sum_t w_t y^t, y = c + a s, of each row of weights.

    Args:
        weights: w, (R, T).
        shift: c.
        scale: a.
    """

    weights: Floats = field(repr=False)
    shift: float
    scale: float
    _known: dict[int, Floats] = field(default_factory=dict, repr=False)

    def values(self, points: int) -> Floats:
        """At the roots of T_points, (R, points); computed once, for floors and ends share them."""
        if points not in self._known:
            with np.errstate(over="ignore", invalid="ignore"):
                y = self.shift + self.scale * roots(points)
                self._known[points] = powers(self.weights, y)
        return self._known[points]

    @cached_property
    def series(self) -> Floats:
        """Chebyshev coefficients in s, (R, N): all that are not rounding.

        Raises:
            OverflowError: (c + a)^T is beyond every float.

        Example:
            >>> PowerSums(np.array([[0.0, 0.0, 1.0]]), 0.0, 1.0).series.round(12).tolist()  # s^2
            [[0.5, 0.0, 0.5]]
        """
        count = self.weights.shape[1]
        points = min(count, FIRST_POINTS)
        while True:
            found = coefficients_of(self.values(points))
            sizes = np.abs(found).sum(1, keepdims=True)
            if not np.isfinite(sizes).all():
                raise OverflowError
            rest = np.abs(found[:, 3 * points // 4 :])
            if points == count or bool((rest <= ROUNDING * sizes).all()):
                return found
            points = min(count, 2 * points)


@lru_cache(maxsize=64)
def roots(points: int) -> Floats:
    """Of T_points, from the largest on."""
    found: Floats = np.cos(np.pi * (np.arange(points) + 0.5) / points)
    return found


def coefficients_of(values: Floats) -> Floats:
    """Chebyshev coefficients from the values at as many roots, row by row."""
    found: Floats = dct(values, type=2, axis=1) / values.shape[1]
    found[:, 0] /= 2
    return found


def powers(weights: Floats, y: Floats) -> Floats:
    """sum_t w_t y^t for each row of weights, (R, T) -> (R, points): blocks of powers by one product
    each, the blocks by Horner's rule; weights that are all one number by the closed form.

    Example:
        >>> powers(np.ones((1, 3)), np.array([2.0])).tolist()
        [[7.0]]
    """
    rows, count = weights.shape
    if count > BLOCK and not np.ptp(weights):
        return np.broadcast_to(weights[0, 0] * geometric_sums(y, count), (rows, len(y)))
    size = min(BLOCK, count)
    padded = np.zeros((rows, -(-count // size) * size))
    padded[:, :count] = weights
    table, known = np.ones((size, len(y))), 1
    while known < size:  # by doubling: few roundings, and no logarithms
        more = min(known, size - known)
        table[known : known + more] = table[:more] * y**known
        known += more
    parts = padded.reshape(rows, padded.shape[1] // size, size) @ table
    total, factor = np.zeros((rows, len(y))), y**size
    for k in reversed(range(parts.shape[1])):
        total = total * factor + parts[:, k]
    return total


def geometric_sums(y: Floats, count: int) -> Floats:
    """sum_{t<T} y^t = (y^T - 1)/(y - 1), for any T, infinite beyond floats; near y = 1 by d = y - 1
    alone: a transform would take what is rounded there for modes.
    """
    d, T = y - 1, float(count)
    with np.errstate(all="ignore"):
        grown = np.where(y > 0.5, np.expm1(T * np.log1p(d)), y**T - 1)
        return np.where(d == 0, T, grown / d)
