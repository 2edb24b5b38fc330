"""Polynomials of one step that stand for many, cut where they may be: power series in y = c + a s
as Chebyshev series in s, bounded on all of [-1, 1].

    q(y) = sum_t w_t y^t,   y = c + a s,   |s| <= 1.

With w_t >= 0 and c, a >= 0 every Chebyshev coefficient is at least 0 (a product T_i T_j is the mean
of two T_k), so that they add up to q(c + a), which bounds the series wherever it is cut. Where that
is far above |q| on the eigenvalues, because the encoding allows y that none of them has, q is let
down to 0 above the largest of them by a smooth step, and what is cut is the product. On a start
that was sharpened by g(s) = 1 - (1 - floor)(1 - s)/2 it is q/g that acts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.fft import dct
from scipy.special import erfc, erfcinv

from qdescent._arrays import Floats, Ints
from qdescent.linalg.chebyshev import chebyshev_value
from qdescent.quantum.algorithms.power_sums import (
    FIRST_POINTS,
    ROUNDING,
    PowerSums,
    coefficients_of,
    powers,
    roots,
)
from qdescent.quantum.algorithms.sharpening import WASTED

FINER = 16  # points of a supremum for each degree: the bound is then 0.5 % above it
# how far from the largest eigenvalue the middle of a step is that is tried, over 1/T: q grows
# e-fold on 1/T, and the degree as the inverse
DISTANCES = (1.0, 2.0)
FAR = 6.0  # from there on erfc is rounding
CELLS = 64  # of the window, in which q/g is bounded
MOST_POINTS = 2**15


@dataclass(frozen=True, eq=False)
class BoundedPolynomial:
    """p(s) = sum_k c_k T_k(s), and how far it is from the function it was cut from.

    Args:
        coefficients: c, shape (d + 1,).
        error: a bound on the distance, on all of [-1, 1], or on the window it was made for.
    """

    coefficients: Floats = field(repr=False)
    error: float

    @property
    def degree(self) -> int:
        """d."""
        return len(self.coefficients) - 1

    @cached_property
    def halves(self) -> tuple[Floats, Floats]:
        """The coefficients of the even and of the odd part, each of the full length."""
        odd = np.arange(len(self.coefficients)) % 2
        return np.where(odd, 0.0, self.coefficients), np.where(odd, self.coefficients, 0.0)

    @cached_property
    def norms(self) -> tuple[float, float]:
        """Bounds on the suprema of the even and of the odd part on [-1, 1]."""
        even, odd = (supremum(half) for half in self.halves)
        return even, odd

    @property
    def norm(self) -> float:
        """A bound on the supremum: that of the even part and that of the odd part."""
        return sum(self.norms)

    @property
    def lipschitz(self) -> float:
        """sum |c_k| k^2: ||p(A) - p(B)|| <= this ||A - B|| for all contractions A, B."""
        return float(np.abs(self.coefficients) @ np.arange(len(self.coefficients)) ** 2.0)

    def __call__(self, s: Floats) -> Floats:
        """p(s), for s of any shape."""
        return chebyshev_value(self.coefficients, s)


def supremum(coefficients: Floats) -> float:
    """A bound on max |p| over [-1, 1]: the sum of |c_k|, or the values at N + 1 = 16 d + 1 extrema
    of T_N over cos(pi d/2N), whichever is less.

    References:
        Ehlich, Zeller, Math. Z. 86, 41 (1964).

    Example:
        >>> round(supremum(np.array([0.0, 0.0, 1.0])), 3), round(supremum(np.array([1.0, 1.0])), 3)
        (1.0, 2.0)
    """
    whole = float(np.abs(coefficients).sum())
    degree = len(coefficients) - 1
    if degree == 0 or whole == 0:
        return whole
    N = FINER * degree
    padded = np.zeros(N + 1)
    padded[: degree + 1] = coefficients
    padded[1:-1] /= 2
    values = dct(padded, type=1)  # sum_k c_k cos(pi j k/N)
    return min(whole, float(np.abs(values).max()) / math.cos(math.pi * degree / (2 * N)))


def cut(coefficients: Floats, tolerance: float, floor: float = 1.0) -> BoundedPolynomial:
    """The shortest beginning of a series whose dropped coefficients add up to at most the
    tolerance; at least of degree 1.

    Args:
        coefficients: of the whole series, (N,).
        tolerance: absolute; below rounding it is rounding.
        floor: of the g by which it was divided, and its roundings.

    Example:
        >>> cut(np.array([1.0, 0.5, 0.01, 0.001]), tolerance=0.02).degree
        1
    """
    sizes = np.abs(coefficients)
    tails = np.append(np.cumsum(sizes[::-1])[::-1], 0.0)  # of what is dropped from place k on
    rounding = ROUNDING / floor * float(sizes.sum()) * math.sqrt(len(sizes))
    length = max(2, int(np.argmax(tails <= max(tolerance - rounding, 0.0))))
    kept = np.zeros(length)
    kept[: len(coefficients)] = coefficients[:length]
    return BoundedPolynomial(kept, float(tails[min(length, len(sizes))]) + rounding)


@dataclass(frozen=True, eq=False)
class Shape:
    """What is asked of polynomials beside their sums.

    Args:
        window: the least and the largest y that matters; None: all of them.
        floor: g at s = -1 of a start that was sharpened by g(s) = 1 - (1 - floor)(1 - s)/2, over
            which they are divided; 1: a start as it is.
    """

    window: tuple[float, float] | None = None
    floor: float = 1.0

    def kept(self, s: Floats) -> Floats:
        """g(s)."""
        return 1 - (1 - self.floor) * (1 - s) / 2


def bounded(
    weights: Floats,
    shift: float,
    scale: float,
    tolerance: float,
    window: tuple[float, float] | None = None,
    floor: float = 1.0,
) -> BoundedPolynomial:
    """sum_t w_t (c + a s)^t / g(s) within the tolerance wherever y = c + a s lies in the window, at
    the least degree times supremum of two ways: the cut series, good on all of [-1, 1]; and that of

        q(y)/g erfc((y - top - r) L/r) / 2,   erfc(L)/2 = delta,

    top the window's end, which loses delta |q/g| in it, is at most about e^{rT} |q(top)| beyond,
    and nothing from a few r on. Where y may be more negative than any modulus in the window, the
    same on that side.

    Args:
        weights: w, (T,).
        shift: c.
        scale: a.
        tolerance: absolute.
        window: the least and the largest y that matters; None: all of them.
        floor: g at s = -1, g = 1 - (1 - floor)(1 - s)/2; 1: g = 1.

    Raises:
        OverflowError: no series is within floats.

    Example:
        >>> wide, narrow = (
        ...     bounded(np.ones(100), 0.5, 0.6, 1e-3, window) for window in (None, (0.5, 1.0))
        ... )
        >>> round(wide.norm / 1e3), narrow.norm < 200, wide.degree, narrow.degree
        (138, True, 41, 287)
    """
    sums, shape = PowerSums(weights[None], shift, scale), Shape(window, floor)
    allowed = np.array([tolerance])
    found: list[BoundedPolynomial] = []
    try:
        found += cut_series(sums, allowed, floor)
    except OverflowError:
        if window is None:
            raise
    if window is None or not weights.any():
        return found[0]
    if not found or found[0].norm > WASTED * largest(sums, shape)[0]:
        for distance in DISTANCES:
            found += [p for p in let_down(sums, allowed, shape, distance) if p is not None]
    if not found:
        raise OverflowError
    return min(found, key=lambda p: p.degree * p.norm)


def cut_series(sums: PowerSums, tolerances: Floats, floor: float = 1.0) -> list[BoundedPolynomial]:
    """The cut series of q/g of each row, each within its tolerance on all of [-1, 1].

    Raises:
        OverflowError: no series is within floats, or none of q/g is at hand.
    """
    series: Sequence[Floats | None] = list(sums.series)
    if floor < 1:
        points = max(FIRST_POINTS, 2 * sums.series.shape[1])
        series = _quotients(lambda rows, s: sums.values(len(s))[rows], len(series), points, floor)
    found = [
        cut(row, tolerance, floor)
        for row, tolerance in zip(series, tolerances.tolist(), strict=True)
        if row is not None
    ]
    if len(found) < len(series):
        raise OverflowError
    return found


def let_down(
    sums: PowerSums, tolerances: Floats, shape: Shape, distance: float
) -> list[BoundedPolynomial | None]:
    """q/g times a step beyond the ends of the window, of each row; None where too steep.

    Args:
        sums: q; a row of zeros has none.
        tolerances: of each, (R,).
        shape: g and the window.
        distance: r, of the step's middle from the window's end, over 1/T: q grows e-fold on 1/T,
            and the degree as the inverse.
    """
    assert shape.window is not None
    sizes, steps = largest(sums, shape), sums.weights.shape[1]
    end, top = max(abs(y) for y in shape.window), shape.window[1]
    low = -end if sums.scale - sums.shift > end else -math.inf
    sides = 2 if math.isfinite(low) else 1
    with np.errstate(divide="ignore", invalid="ignore"):
        delta = np.minimum(0.25, tolerances / (2 * sizes)) / sides
    horizon = steps - np.argmax(sums.weights[:, ::-1] != 0, axis=1)
    far = (distance / horizon)[:, None]
    width = far / erfcinv(2 * delta)[:, None]

    def values(rows: Ints, s: Floats) -> Floats:
        y = sums.shift + sums.scale * s
        above = (y - top - far[rows]) / width[rows]
        below = (low - far[rows] - y) / width[rows]
        # beyond, powers may overflow
        here = (above < FAR) & (below < FAR)
        found = np.zeros(here.shape)
        found[here] = sums.values(len(s))[rows][here] * erfc(above[here]) * erfc(below[here]) / 4
        return found

    made: list[BoundedPolynomial | None] = []
    lost = sides * delta * sizes
    whole = _quotients(values, len(sizes), 4 * FIRST_POINTS, shape.floor)
    for row, off, tolerance in zip(whole, lost.tolist(), tolerances.tolist(), strict=True):
        if row is None:
            made.append(None)
            continue
        part = cut(row, tolerance - off, shape.floor)
        made.append(BoundedPolynomial(part.coefficients, part.error + off))
    return made


def largest(sums: PowerSums, shape: Shape) -> Floats:
    """Bounds on |q/g| over the window, (R,): cell by cell, the sum of moduli at the larger |y| over
    g at the lower end.
    """
    assert shape.window is not None
    y = np.linspace(*shape.window, (CELLS if shape.floor < 1 else 1) + 1)
    farther = np.maximum(np.abs(y[:-1]), np.abs(y[1:]))
    lower = np.clip((y[:-1] - sums.shift) / sums.scale, -1, 1)
    found: Floats = (powers(np.abs(sums.weights), farther) / shape.kept(lower)).max(1)
    return found


def _quotients(
    values: Callable[[Ints, Floats], Floats], count: int, points: int, floor: float
) -> list[Floats | None]:
    """Chebyshev coefficients of q/g from values of q's rows at the roots s of the polynomials, all
    that are not rounding; None where too many points were needed.
    """
    found: list[Floats | None] = [None] * count
    left = np.arange(count)
    while len(left) and points <= MOST_POINTS:
        s = roots(points)
        rows = coefficients_of(values(left, s) / Shape(floor=floor).kept(s))
        sizes = np.abs(rows)
        rounding = ROUNDING / floor * sizes.sum(1)
        # zeros where no point fell between the ends
        done = (sizes[:, 3 * points // 4 :].max(1) <= rounding) & (rounding > 0)
        for place, row in zip(left[done], rows[done], strict=True):
            found[place] = row
        left, points = left[~done], 2 * points
    return found
