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
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.fft import dct
from scipy.special import erfc, erfcinv

from qdescent._arrays import Floats
from qdescent.linalg.chebyshev import chebyshev_value
from qdescent.quantum.algorithms.sharpening import WASTED

ROUNDING = 2e-15  # of a coefficient, over the sum of all
FIRST_POINTS = 128  # of a cosine transform; doubled until the last quarter is rounding
FINER = 16  # points of a supremum for each degree: the bound is then 0.5 % above it
BLOCK = 256  # powers of y that one matrix product takes
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


def powers(weights: Floats, y: Floats) -> Floats:
    """sum_t w_t y^t for each row of weights, (R, T) -> (R, points): blocks of powers by one product
    each, the blocks by Horner's rule; weights that are all one number by the closed form.

    Example:
        >>> powers(np.ones((1, 3)), np.array([2.0])).tolist()
        [[7.0]]
    """
    rows, count = weights.shape
    if count > BLOCK and not np.ptp(weights):
        return np.broadcast_to(weights[0, 0] * _geometric(y, count), (rows, len(y)))
    size = min(BLOCK, count)
    padded = np.zeros((rows, -(-count // size) * size))
    padded[:, :count] = weights
    table, known = np.ones((size, len(y))), 1
    while known < size:  # by doubling: few roundings, and no logarithms
        more = min(known, size - known)
        table[known : known + more] = table[:more] * y**known
        known += more
    parts = padded.reshape(rows, -1, size) @ table
    total, factor = np.zeros((rows, len(y))), y**size
    for k in reversed(range(parts.shape[1])):
        total = total * factor + parts[:, k]
    return total


def _geometric(y: Floats, count: int) -> Floats:
    """sum_{t<T} y^t = (y^T - 1)/(y - 1), near y = 1 by d = y - 1 alone."""
    d = y - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = np.where(y > 0.5, np.expm1(count * np.log1p(d)), y**count - 1)
        return np.where(d == 0, float(count), grown / d)


def chebyshev_series(weights: Floats, shift: float, scale: float) -> Floats:
    """Chebyshev coefficients in s of sum_t w_t (c + a s)^t, of each row of weights, (R, T) -> (R,
    N): all that are not rounding.

    Args:
        weights: w, (R, T).
        shift: c.
        scale: a.

    Raises:
        OverflowError: (c + a)^T is beyond every float.

    Example:
        >>> chebyshev_series(np.array([[0.0, 0.0, 1.0]]), 0.0, 1.0).round(12).tolist()  # s^2
        [[0.5, 0.0, 0.5]]
    """
    count = weights.shape[1]
    points = min(count, FIRST_POINTS)
    while True:
        s = np.cos(np.pi * (np.arange(points) + 0.5) / points)
        with np.errstate(over="ignore", invalid="ignore"):
            found = dct(powers(weights, shift + scale * s), type=2, axis=1) / points
        found[:, 0] /= 2
        sizes = np.abs(found).sum(1, keepdims=True)
        if not np.isfinite(sizes).all():
            raise OverflowError
        if points == count or bool((np.abs(found[:, 3 * points // 4 :]) <= ROUNDING * sizes).all()):
            return found
        points = min(count, 2 * points)


def divided(coefficients: Floats, floor: float) -> Floats:
    """Chebyshev coefficients of q/g, g(s) = 1 - (1 - floor)(1 - s)/2, from those of q, (N,): all
    that are not rounding.

    Raises:
        OverflowError: a floor so low that no series of q/g is at hand.

    Example:
        >>> divided(np.array([0.75, 0.25]), floor=0.5)[:2].round(12).tolist()
        [1.0, 0.0]
    """
    if floor == 1:
        return coefficients

    def values(s: Floats) -> Floats:
        padded = np.zeros(len(s))
        padded[: len(coefficients)] = coefficients
        padded[0] *= 2
        return dct(padded, type=3) / 2

    found = _quotient_series(values, max(FIRST_POINTS, 2 * len(coefficients)), floor)
    if found is None:
        raise OverflowError
    return found


def _quotient_series(
    values: Callable[[Floats], Floats], points: int, floor: float
) -> Floats | None:
    """Chebyshev coefficients of q/g from q's values at the roots s of the polynomials, all that are
    not rounding; None where too many points were needed.
    """
    while points <= MOST_POINTS:
        s = np.cos(np.pi * (np.arange(points) + 0.5) / points)
        found = dct(values(s) / (1 - (1 - floor) * (1 - s) / 2), type=2) / points
        found[0] /= 2
        sizes = np.abs(found)
        if bool((sizes[3 * points // 4 :] <= ROUNDING / floor * sizes.sum()).all()):
            return found
        points *= 2
    return None


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
    found: list[BoundedPolynomial] = []
    try:
        series = divided(chebyshev_series(weights[None], shift, scale)[0], floor)
        found.append(cut(series, tolerance, floor))
    except OverflowError:
        if window is None:
            raise
    if window is None or not weights.any():
        return found[0]
    largest = _largest(weights, shift, scale, window, floor)
    if found and found[0].norm <= WASTED * largest:
        return found[0]
    end = max(abs(y) for y in window)
    low = -end if scale - shift > end else -math.inf
    delta = min(0.25, tolerance / (2 * largest)) / (2 if math.isfinite(low) else 1)
    horizon = int(np.flatnonzero(weights)[-1]) + 1
    for distance in DISTANCES:
        ends = low, window[1]
        whole = _let_down(weights, shift, scale, ends, distance / horizon, delta, floor)
        if whole is not None:
            lost = delta * largest * (2 if math.isfinite(low) else 1)
            part = cut(whole, tolerance - lost, floor)
            found.append(BoundedPolynomial(part.coefficients, part.error + lost))
    if not found:
        raise OverflowError
    return min(found, key=lambda p: p.degree * p.norm)


def _largest(
    weights: Floats, shift: float, scale: float, window: tuple[float, float], floor: float
) -> float:
    """A bound on |q/g| over the window: cell by cell, the sum of moduli at the larger |y| over g at
    the lower end.
    """
    cells = CELLS if floor < 1 else 1
    y = np.linspace(*window, cells + 1)
    farther = np.maximum(np.abs(y[:-1]), np.abs(y[1:]))
    lower = np.clip((y[:-1] - shift) / scale, -1, 1)
    sums = powers(np.abs(weights)[None], farther)[0]
    return float((sums / (1 - (1 - floor) * (1 - lower) / 2)).max())


def _let_down(
    weights: Floats,
    shift: float,
    scale: float,
    ends: tuple[float, float],
    distance: float,
    delta: float,
    floor: float,
) -> Floats | None:
    """Chebyshev coefficients of q/g times a step beyond each end; None where too steep."""
    width = distance / float(erfcinv(2 * delta))

    def values(s: Floats) -> Floats:
        y = shift + scale * s
        above, below = (y - ends[1] - distance) / width, (ends[0] - distance - y) / width
        # beyond, powers may overflow
        found, here = np.zeros(len(s)), (above < FAR) & (below < FAR)
        steps = erfc(above[here]) * erfc(below[here]) / 4
        found[here] = powers(weights[None], y[here])[0] * steps
        return found

    return _quotient_series(values, 4 * FIRST_POINTS, floor)
