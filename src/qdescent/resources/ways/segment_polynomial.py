"""The polynomials of a fast-forwarded segment, as a circuit plans them: their degrees and suprema.

sum_{t<T} y^t,   y = c + a s,   |s| <= 1 on the encoding
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qdescent.quantum.algorithms.power_sums import (
    ROUNDING,
    coefficients_of,
    geometric_sums,
    roots,
)

_POINTS = 64  # of a cosine transform; doubled until the last quarter is rounding
_EXACT_STEPS = 10**6  # beyond, the degree is that of the bound on the tail


@dataclass(frozen=True)
class SegmentPolynomial:
    """sum_{t<T} (c + a s)^t, cut.

    Args:
        shift, scale: c, a.
        degree: d.
        supremum: on [-1, 1], of the whole series: all its coefficients are positive.
    """

    shift: float
    scale: float
    degree: int
    supremum: float


@lru_cache(maxsize=4096)
def segment_polynomial(
    steps: int, shift: float, scale: float, tolerance: float
) -> SegmentPolynomial:
    """The least degree at which the dropped Chebyshev coefficients add up to the tolerance.

    Args:
        steps: T.
        shift: c.
        scale: a.
        tolerance: absolute.

    Cost: a cosine transform of some d points. Beyond 10^6 steps d is the bound
        sqrt(2 T v ln(2 p(1)/tolerance)), v = a/(c + a): the coefficients are the chances of a
        random walk of T steps of variance v.

    Example:
        >>> [segment_polynomial(T, 0.0, 1.0, 1e-3 * T).degree for T in (100, 400, 1600)]
        [27, 55, 110]
    """
    return segment_polynomials(steps, (shift,), (scale,), tolerance)[0]


def segment_polynomials(
    steps: int, shifts: Sequence[float], scales: Sequence[float], tolerance: float
) -> list[SegmentPolynomial]:
    """`segment_polynomial` of several shifts, with their transforms at once."""
    both = list(zip(shifts, scales, strict=True))
    c, a = np.array(shifts)[:, None], np.array(scales)[:, None]
    suprema = geometric_sums((c + a)[:, 0], steps)
    degrees = np.full(len(both), steps)  # where a sum overflows
    open_ = np.flatnonzero(np.isfinite(suprema))
    if steps > _EXACT_STEPS:
        for i in open_:
            variance = both[i][1] / sum(both[i])
            reach = math.sqrt(2 * steps * variance * math.log(2 * suprema[i] / tolerance))
            degrees[i] = max(1, min(math.ceil(reach), steps - 1))
        open_ = open_[:0]
    points = _POINTS
    while len(open_):
        values = geometric_sums(c[open_] + a[open_] * roots(points), steps)
        found = np.abs(coefficients_of(values))
        rounding = ROUNDING * suprema[open_]
        done = found[:, 3 * points // 4 :].max(axis=1) <= rounding
        done |= points >= 2 * steps
        tails = np.cumsum(found[done, ::-1], axis=1)[:, ::-1]
        kept = tails > np.maximum(tolerance, rounding[done] * math.sqrt(points))[:, None]
        # 0 ... the last that is kept: the tails fall
        degrees[open_[done]] = np.clip(kept.sum(axis=1) - 1, 1, steps - 1 or 1)
        open_, points = open_[~done], 2 * points
    return [
        SegmentPolynomial(*each, int(degree), float(supremum))
        for each, degree, supremum in zip(both, degrees, suprema, strict=True)
    ]
