"""The polynomials of a fast-forwarded segment, as a circuit plans them: their degrees and suprema.

sum_{t<T} y^t,   y = c + a s,   |s| <= 1 on the encoding
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.fft import dct
from scipy.special import erfc, erfcinv

from qdescent._arrays import Floats

_POINTS = 64  # of a cosine transform; doubled until the last quarter is rounding
_MOST_TRANSFORMED = 2**14  # beyond so many no polynomial is let down
_EXACT_STEPS = 10**6  # beyond, the degree is that of the bound on the tail
_TINY = 2e-15  # a Chebyshev coefficient below it is rounding
_FINER = 16  # points of a supremum for each degree
_FAR = 6.0  # from there on erfc is rounding
_DISTANCES = (1.0, 2.0)  # of a step's middle from the largest eigenvalue, over 1/T


@dataclass(frozen=True)
class SegmentPolynomial:
    """sum_{t<T} (c + a s)^t, cut; let down beyond the spectrum, or over g, where asked for.

    Args:
        shift, scale: c, a.
        degree: d.
        supremum: on [-1, 1]: of the whole series, where all its coefficients are positive.
    """

    shift: float
    scale: float
    degree: int
    supremum: float


@dataclass(frozen=True)
class Shape:
    """What is asked of a polynomial beside its steps.

    Args:
        window: the least and the largest eigenvalue, beyond which it is let down; None: a series.
        floor: g at s = -1 of a start that was sharpened by g(s) = 1 - (1 - floor)(1 - s)/2, over
            which it is divided; 1: a start as it is.
    """

    window: tuple[float, float] | None = None
    floor: float = 1.0

    def kept(self, s: Floats) -> Floats:
        """g(s)."""
        return 1 - (1 - self.floor) * (1 - s) / 2


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
        values = geometric_sums(c[open_] + a[open_] * _cosines(points), steps)
        found = np.abs(dct(values, type=2) / points)
        found[:, 0] /= 2
        rounding = _TINY * suprema[open_]
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


@lru_cache(maxsize=64)
def _cosines(points: int) -> Floats:
    found: Floats = np.cos(np.pi * (np.arange(points) + 0.5) / points)
    return found


def geometric_sums(y: Floats, steps: int) -> Floats:
    """sum_{t<T} y^t = (y^T - 1)/(y - 1), for any T; near y = 1 by y - 1 alone: a transform would
    take what is rounded there for modes.
    """
    d, count = y - 1, float(steps)
    with np.errstate(all="ignore"):
        near = np.expm1(count * np.log1p(d))
        far = np.sign(y) ** (steps % 2) * np.exp(count * np.log(np.abs(y))) - 1
        return np.where(d == 0, count, np.where(y > 0.5, near, far) / d)


def shaped_polynomial(
    steps: int, shift: float, scale: float, tolerance: float, shape: Shape
) -> SegmentPolynomial | None:
    """q/g within the tolerance on the window, at the least degree times supremum of the series and
    of those that a smooth step lets down beyond it, as circuits have them; None where that takes
    too many points.

        q(y)/g erfc((y - top - r) L/r)/2,   erfc(L)/2 = delta,   r = 1/T or 2/T
    """
    if shape == Shape():
        return segment_polynomial(steps, shift, scale, tolerance)
    found = [_transformed(steps, shift, scale, tolerance, shape.floor, None)]
    if shape.window is not None:
        y = np.linspace(*shape.window, 65)
        g = shape.kept(np.clip((y - shift) / scale, -1, 1))
        largest = float((geometric_sums(np.abs(y), steps) / g).max())
        low = max(map(abs, shape.window))  # beyond it on the side of negative y, too
        sides = 2 if scale - shift > low else 1
        delta = min(0.25, tolerance / (2 * largest)) / sides
        for distance in _DISTANCES:
            width = distance / steps / float(erfcinv(2 * delta))
            ends = (-low if sides > 1 else -math.inf, shape.window[1], distance / steps, width)
            left = tolerance - sides * delta * largest
            found.append(_transformed(steps, shift, scale, left, shape.floor, ends))
    possible = [each for each in found if each is not None]
    return min(possible, key=lambda each: each.degree * each.supremum, default=None)


def _transformed(
    steps: int, shift: float, scale: float, tolerance: float, floor: float,
    ends: tuple[float, float, float, float] | None,
) -> SegmentPolynomial | None:  # fmt: skip
    """By a cosine transform; ends: where it is let down, how far behind, and how fast."""
    points = 2 * _POINTS
    if ends is not None:  # enough for the step
        points = max(points, 1 << math.ceil(math.log2(max(1.0, 4 * scale / ends[3]))))
    while points <= _MOST_TRANSFORMED:
        s = _cosines(points)
        y = shift + scale * s
        with np.errstate(all="ignore"):
            values = geometric_sums(y, steps) / Shape(floor=floor).kept(s)
        if ends is not None:
            low, top, distance, width = ends
            above, below = (y - top - distance) / width, (low - distance - y) / width
            here = (above < _FAR) & (below < _FAR)
            turned = np.zeros(points)
            turned[here] = values[here] * erfc(above[here]) * erfc(below[here]) / 4
            values = turned
        if not np.isfinite(values).all():
            return None
        found = dct(values, type=2) / points
        found[0] /= 2
        sizes = np.abs(found)
        rounding = _TINY / floor * float(sizes.sum())
        if points >= 2 * steps and floor == 1 and ends is None:
            break
        if sizes[3 * points // 4 :].max() <= rounding:
            break
        points *= 2
    else:
        return None
    tails = np.cumsum(sizes[::-1])[::-1]
    kept = int((tails > max(tolerance, rounding * math.sqrt(points))).sum())
    degree = max(1, kept - 1)
    return SegmentPolynomial(shift, scale, degree, _supremum(found[: degree + 1]))


def _supremum(coefficients: Floats) -> float:
    """On [-1, 1], of the even part and of the odd part: the sum of their sizes, or what the extrema
    of a polynomial of 16 times the degree show (Ehlich and Zeller 1964).
    """
    degree, total = len(coefficients) - 1, 0.0
    for parity in (0, 1):
        half = np.where(np.arange(degree + 1) % 2 == parity, coefficients, 0.0)
        padded = np.zeros(_FINER * degree + 1)
        padded[: degree + 1] = half
        padded[1:-1] /= 2
        seen = float(np.abs(dct(padded, type=1)).max()) / math.cos(math.pi / (2 * _FINER))
        total += min(float(np.abs(half).sum()), seen)
    return total
