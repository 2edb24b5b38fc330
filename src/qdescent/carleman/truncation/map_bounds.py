"""What a truncated Carleman linearisation of a map u <- F_0 + F_1 u + F_2 (u (x) u) + ... may lose,
from the norms of the F_k.

All of them replace the map by f(z) = a_0 + a_1 z + a_2 z^2 + ... with a_k >= ||F_k||, in any norm
with ||x (x) y|| = ||x|| ||y|| (l_1, l_2, l_inf, or ||S u||_2: `norms.map_coordinates`).

Homogenised form: it returns the terms of degree 1..N in eps of u(t; eps), where u(0) and F_0 carry
one eps each. By induction over t, with the triangle inequality and the product norm, the term of
degree k has norm at most c_k(t), where

    sum_k c_k(t) eps^k = g_t(eps), g_0 = ||u_0|| eps,
    g_{t+1} = a_0 eps + a_1 g_t + a_2 g_t^2 + ...      (*)

u(t; eps) is a polynomial in eps, so the error is its terms above N: at most sum_{k>N} c_k(t). For
F_0 = 0, g_t = f o ... o f.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qdescent._array_checks import check_array
from qdescent._arrays import Floats
from qdescent._checks import argument_error, check_choice, check_integer, check_interval

MOST_ORDER, MOST_ENTRIES = 1000, 100_000_000  # orders; numbers in the result, 800 MB
MOST_UNSETTLED, PATIENCE = 100_000, 20_000  # steps: some 40 and 8 s
# radii that `uniform_error_bounds` tries where F_0 acts: each gives a bound, and they are .05 % of
# the widest apart
GRID = 2000


def map_error_bounds(
    norms: ArrayLike, start_norm: float, steps: int, order: int, form: str = "homogenised"
) -> Floats:
    """||u_t - u_N(t)|| <= sum_{k>N} c_k(t) for every t and N at once: the composed norm series (*)
    of this module.

    The tails are carried along as numbers, never found by subtraction, so small bounds keep their
    digits.

    Args:
        norms: a_k >= ||F_k||, k = 0, 1, ..., (degree + 1,), or (T, degree + 1) for a map that
            changes from step to step (SGD).
        start_norm: ||u_0||.
        steps: T.
        order: the largest N.
        form: "homogenised", or "plain": there e_j(t+1) <= sum_{m<=N} B_jm e_m(t) + sum_{m>N} B_jm
            v_t^m bounds the error in block j, B_jm the coefficient of z^m in f(z)^j and v_t =
            f(v_{t-1}) >= ||u_t||. For F_0 = 0 the forms and their bounds agree.

    Returns:
        (T + 1, order): bounds for t = 0..T and N = 1..order, infinite where they overflow.

    Raises:
        ArgumentError: more than 100,000 steps of one map whose bounds do not come to rest.

    Cost: T degree N^2 for all orders (homogenised), T degree N^4 (plain); of one map that contracts
        no step beyond those that still change a bit.

    References:
        Derived here; f o ... o f of a norm series is the method of majorants.

    Example:
        >>> # the very errors of .9 x + .1 x^2
        >>> map_error_bounds([0, 0.9, 0.1], 0.5, steps=10, order=4)[-1].round(8).tolist()
        [0.09225776, 0.02917393, 0.00883506, 0.00259581]
    """
    form = check_choice("form", form, ["homogenised", "plain"])
    start_norm = check_interval("start_norm", start_norm, "[0, inf)")
    order = check_integer("order", order, 1, MOST_ORDER)
    steps = check_integer("steps", steps, 0, MOST_ENTRIES // order)
    each = _checked_norms(norms, steps)
    with np.errstate(over="ignore", invalid="ignore"):
        bounds = (
            _homogenised(each, start_norm, order)
            if form == "homogenised"
            else _plain(each, start_norm, order)
        )
    bounds[~np.isfinite(bounds)] = np.inf
    return bounds


def _homogenised(norms: Floats, start_norm: float, order: int) -> Floats:
    bounds = np.zeros((len(norms) + 1, order))
    same = bool((norms == norms[:1]).all())
    # g_t(1): its terms of degree 0..order, and the sum of those above
    low, tail = np.zeros(order + 1), 0.0
    low[1] = start_norm
    bounds[0, :-1] = _sums_above(low)
    for t, a in enumerate(norms, start=1):
        value, rest = np.zeros(order + 1), 0.0
        for k in range(len(a) - 1, 0, -1):  # Horner
            value[0] += a[k]
            product = np.convolve(value, low)
            rest = product[order + 1 :].sum() + value.sum() * tail + rest * (low.sum() + tail)
            value = product[: order + 1]
        value[1] += a[0]
        bounds[t] = rest
        bounds[t, :-1] += _sums_above(value)
        if same and _settled(t, len(norms), (low, tail), (value, rest)):
            bounds[t + 1 :] = bounds[t]
            break
        low, tail = value, rest
    return bounds


def _settled(t: int, steps: int, before: tuple[Any, ...], after: tuple[Any, ...]) -> bool:
    """Whether one map repeated changes nothing more, to the last bit or beyond all numbers.

    Raises:
        ArgumentError: after 20,000 steps of more than 100,000 it still does.
    """
    if all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=True)):
        return True
    if t >= PATIENCE and steps > MOST_UNSETTLED:
        must = f"be at most {MOST_UNSETTLED:,} where the bounds do not come to rest"
        raise argument_error("steps", must, f"{steps:,}, and after {t:,} they have not")
    return False


def _sums_above(low: Floats) -> Floats:
    """sum_{k=N+1}^{order} low_k for N = 1..order - 1."""
    return low[:1:-1].cumsum()[::-1]


def _plain(norms: Floats, start_norm: float, order: int) -> Floats:
    bounds = np.zeros((len(norms) + 1, order))
    size, same = start_norm, bool((norms == norms[:1]).all())
    errors = [np.zeros(N) for N in range(1, order + 1)]
    for t, a in enumerate(norms, start=1):
        powers = np.zeros((order + 1, order * (len(a) - 1) + 1))  # B_jm, j = 0..order
        powers[0, 0] = 1.0
        for j in range(1, order + 1):
            product = np.convolve(powers[j - 1], a)
            powers[j] = product[: powers.shape[1]]
        sizes, before = size ** np.arange(powers.shape[1]), (size, *errors)
        for N in range(1, order + 1):
            B = powers[1 : N + 1]
            errors[N - 1] = B[:, 1 : N + 1] @ errors[N - 1] + B[:, N + 1 :] @ sizes[N + 1 :]
            bounds[t, N - 1] = errors[N - 1][0]
        size = float(np.polynomial.polynomial.polyval(size, a))
        if same and _settled(t, len(norms), before, (size, *errors)):
            bounds[t + 1 :] = bounds[t]
            break
    return bounds


def map_number(norms: ArrayLike, start_norm: float) -> float:
    """R_d, the R-number of a map: below 1 the homogenised linearisation converges like R_d^N,
    however many the steps.

    R_d = min over w of max(||u_0||/w, a_0/(w - a_1 w - a_2 w^2 - ...)). Without F_0 it is ||u_0||/w
    for the fixed point w > 0 of f. For a quadratic map that is ||F_2|| ||u_0|| / (1 - ||F_1||), and
    for gradient descent `descent_number` at any learning rate.

    Args:
        norms: a_k >= ||F_k||, (degree + 1,).
        start_norm: ||u_0||.

    Returns:
        R_d; infinite for ||F_1|| >= 1 with anything to cut, zero for a linear map, which is exact.

    Example:
        >>> round(map_number([0, 0.9, 0.1], 0.5), 12)
        0.5
    """
    radii, numbers = _radii(
        _checked_norms(norms, 1)[0], check_interval("start_norm", start_norm, "[0, inf)")
    )
    return float(numbers.min()) if len(radii) else math.inf


def uniform_error_bounds(norms: ArrayLike, start_norm: float, order: int) -> Floats:
    """||u_t - u_N(t)|| <= w R^{N+1} at all times t, for the best w > 0; R = max(||u_0||/w, a_0/(w -
    a_1 w - a_2 w^2 - ...)) <= 1.

    Proof: put eps = 1/R in (*). Then g_0 <= w, and g_t <= w gives g_{t+1} <= a_0/R + a_1 w + a_2
    w^2 + ... <= w. As c_k(t) >= 0, sum_{k>N} c_k(t) <= R^{N+1} sum_k c_k(t) R^-k <= w R^{N+1} for R
    <= 1. Without F_0 it is ||u_0|| R_d^N.

    Args:
        norms: a_k >= ||F_k||, (degree + 1,).
        start_norm: ||u_0||.
        order: the largest N.

    Returns:
        (order,): bounds for N = 1..order; infinite where R_d > 1 (`map_number`).

    Example:
        >>> uniform_error_bounds([0, 0.9, 0.1], 0.5, order=3).round(6).tolist()
        [0.25, 0.125, 0.0625]
    """
    order = check_integer("order", order, 1, MOST_ORDER)
    start_norm = check_interval("start_norm", start_norm, "[0, inf)")
    a = _checked_norms(norms, 1)[0]
    if not a[2:].any():
        return np.zeros(order)
    radii, numbers = _radii(a, start_norm)
    radii, numbers = radii[numbers <= 1], numbers[numbers <= 1]
    if len(radii) == 0:
        return np.full(order, np.inf)
    return (radii * numbers ** np.arange(2, order + 2)[:, None]).min(1)


def _radii(a: Floats, start_norm: float) -> tuple[Floats, Floats]:
    """Trial radii w with f(w) - a_0 <= w, and R of each."""
    if not a[2:].any():
        return np.ones(1), np.zeros(1)
    if a[1] >= 1:
        return np.empty(0), np.empty(0)

    def growth(w: float) -> float:  # (f(w) - a_0)/w, growing with w: it passes 1 once
        value = 0.0
        for coefficient in above:
            value = value * w + coefficient
        return value

    above = a[:0:-1].tolist()
    low, high = 0.0, 1.0
    while growth(high) < 1:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if growth(middle) <= 1 else (low, middle)
    if a[0] == 0:
        return np.array([low]), np.array([start_norm / low])
    radii = low * (np.arange(GRID) + 0.5) / GRID
    room = radii * (1 - np.polynomial.polynomial.polyval(radii, a[1:]))
    with np.errstate(
        divide="ignore"
    ):  # for ||F_1|| a rounding below 1 there is none: R is infinite
        return radii, np.maximum(start_norm / radii, a[0] / np.maximum(room, 0.0))


def descent_number(lambda_min: float, third_norm: float, start_norm: float) -> float:
    """R_d = ||T_3|| ||u_0|| / (2 lambda_min), of gradient descent from u_0 around a minimum, T_3
    the third derivative of the loss.

    Below 1 the error is at most ||u_0|| R_d^N at all times, for a cubic loss, 0 < eta lambda <= 1
    for every mode and a gradient of zero at the pivot: then ||F_1|| = 1 - eta lambda_min, ||F_2|| =
    eta ||T_3||/2, and eta cancels in `map_number`.

    Args:
        lambda_min: the smallest curvature.
        third_norm: ||T_3|| of the (n, n^2) matrix.
        start_norm: ||u_0||.

    Returns:
        R_d; infinite with a zero or a negative mode.

    References:
        Derived here (`uniform_error_bounds`); the analogue of R in Liu et al., arXiv:2011.03185.

    Example:
        >>> descent_number(lambda_min=0.5, third_norm=1.0, start_norm=0.25)
        0.25
    """
    lambda_min = check_interval("lambda_min", lambda_min, "(-inf, inf)")
    third_norm = check_interval("third_norm", third_norm, "[0, inf)")
    start_norm = check_interval("start_norm", start_norm, "[0, inf)")
    if third_norm * start_norm == 0:
        return 0.0
    return third_norm * start_norm / (2 * lambda_min) if lambda_min > 0 else math.inf


def _checked_norms(norms: ArrayLike, steps: int) -> Floats:
    """(T, degree + 1)."""
    a = check_array("norms", norms)
    if a.ndim == 1:
        a = np.tile(a, (steps, 1)) if steps else a[None][:0]
    if a.ndim != 2 or a.shape[0] != steps or a.shape[1] < 2:
        must = f"have shape (degree + 1,) or ({steps}, degree + 1), the degree at least 1"
        raise argument_error("norms", must, f"of shape {np.shape(norms)}")
    if not (a >= 0).all():
        raise argument_error("norms", "be finite and not negative", norms)
    return a
