"""e^{i t x} on [-1, 1] as Chebyshev series of its real and imaginary parts (Jacobi and Anger)."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import jv

from qdescent._arrays import Floats
from qdescent._checks import check_interval


def jacobi_anger_order(time: float, error: float) -> int:
    """The least odd r with 2 sum_{j > r} |J_j(t)| <= error: the degree of a series of e^{i t x}
    within that error.

    Args:
        time: t >= 0.
        error: above 0.

    Example:
        >>> jacobi_anger_order(10.0, 1e-6)
        23
    """
    time = check_interval("time", time, "[0, inf)")
    error = check_interval("error", error, "(0, inf)")
    orders = np.arange(math.ceil(1.1 * time) + 80)
    tails = 2 * np.cumsum(np.abs(jv(orders, time))[::-1])[::-1]  # from order j on
    return (max(0, int(np.argmax(tails <= error)) - 1) // 2) * 2 + 1


def jacobi_anger(time: float, order: int) -> tuple[Floats, Floats]:
    """Chebyshev coefficients of cos(t x) to degree r - 1 and of sin(t x) to degree r.

        cos(t x) = J_0(t) + 2 sum_k (-1)^k J_{2k}(t) T_{2k}(x),
        sin(t x) = 2 sum_k (-1)^k J_{2k+1}(t) T_{2k+1}(x).

    Args:
        time: t.
        order: r, odd.

    Returns:
        (shape (r,), shape (r + 1,)).

    References:
        Gilyen, Su, Low, Wiebe, arXiv:1806.01838, lemma 57.

    Example:
        >>> from qdescent.linalg.chebyshev import chebyshev_value
        >>> cosine, sine = jacobi_anger(3.0, order=25)
        >>> bool(
        ...     abs(chebyshev_value(cosine, 0.3) + 1j * chebyshev_value(sine, 0.3) - np.exp(0.9j))
        ...     < 1e-14
        ... )
        True
    """
    j = np.arange(order + 1)
    series = 2 * (-1.0) ** (j // 2) * jv(j, time)
    series[0] /= 2
    return np.where(j % 2, 0, series)[:-1], np.where(j % 2, series, 0)
