"""What random vectors promise about norms: upper bounds that fail with a stated probability."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from qdescent._arrays import Floats
from qdescent._checks import argument_error, check_integer, check_interval

MOST_FACTORS = 64
GRID = 0.05  # in ln: the trapezoidal rule's error is then far below rounding
# ln of a squared normal number: below it 1e-16 of the probability lies, above it none that a float
# could hold
LOWEST, HIGHEST = -74.0, 8.0


def lanczos_extremes(
    lowest: float, highest: float, steps: int, size: int, failure: float
) -> tuple[float, float]:
    """An interval that holds the whole spectrum of a symmetric matrix, from the extreme Ritz values
    of k Lanczos steps from one normal random vector.

    If the Ritz values all lie below b (lambda_min = 0), the polynomial p with sqrt(b - x) p(x) =
    sqrt(b) T_{2k-1}(sqrt(1 - x/b)) says that the start vector has a part c of the top eigenvector
    with c^2 sinh^2((2k - 1) atanh sqrt(1 - b/lambda_max)) < 1 - c^2, which happens with probability
    delta at most for b = lambda_max / C,

        C = cosh^2(L / (2k - 1)),   sinh L = sqrt(2 n/pi) / delta.

    So lambda_max <= lambda_min + C (theta_max - lambda_min), the same from below, and both together
    give lambda_max <= theta_max + (C - 1)/(2 - C) (theta_max - theta_min).

    Args:
        lowest, highest: theta_min and theta_max.
        steps: k.
        size: n.
        failure: probability that one of both ends lies outside, in (0, 1): delta for each half.

    Returns:
        (low, high); infinite where k is too small to say anything (C >= 2).

    References:
        After Kuczynski and Wozniakowski, SIAM J. Matrix Anal. Appl. 13, 1094 (1992), whose
        1.648 sqrt(n) e^{-sqrt(eps) (2k-1)} this sharpens; docs/mathematics.md.

    Example:
        >>> [round(end, 3) for end in lanczos_extremes(-0.4, 12.0, 64, 10**6, 0.01)]
        [-0.525, 12.125]
    """
    lowest = check_interval("lowest", lowest, "(-inf, inf)")
    highest = check_interval("highest", highest, "(-inf, inf)")
    if lowest > highest:
        raise argument_error("lowest", f"be at most highest = {highest!r}", lowest)
    steps, size = check_integer("steps", steps, 1), check_integer("size", size, 1)
    failure = check_interval("failure", failure, "(0, 1)")
    if steps >= size:  # the Krylov space is everything
        return lowest, highest
    reach = math.asinh(math.sqrt(2 * size / math.pi) / (failure / 2)) / (2 * steps - 1)
    C = math.cosh(reach) ** 2 if reach < 100 else math.inf
    if C >= 2:
        return -math.inf, math.inf
    margin = (C - 1) / (2 - C) * (highest - lowest)
    return lowest - margin, highest + margin


def chain_factor(factors: int, samples: int, failure: float) -> float:
    """c such that the mean of s samples of a chain of m normal random vectors lies below c times
    its expectation with probability delta at most.

    A chain is a number Y >= 0 that is a quadratic form in the first vector, whose trace is a
    quadratic form in the second, and so on: ||A_1(a_1) ... A_m(a_m)||^2 for linear A_i. With
    weights w_i >= 0, prod (1 + 2 t w_i) >= 1 + 2 t sum w_i, so that E e^{-tY} is largest where
    every form has rank one, Y = E Y g_1^2 ... g_m^2, and Markov's inequality for e^{-tY} gives

        P(mean <= c E Y) <= (e^{tc} E e^{-t g_1^2 ... g_m^2})^s   for every t > 0.

    Args:
        factors: m.
        samples: s.
        failure: delta.

    Example:
        >>> [round(chain_factor(m, 12, 0.01), 4) for m in (1, 3)]
        [0.2108, 0.0215]
    """
    factors = check_integer("factors", factors, 1, MOST_FACTORS)
    samples = check_integer("samples", samples, 1)
    failure = check_interval("failure", failure, "(0, 1)")
    points, log_mgf = _log_transform(factors)
    best = float(((-log_mgf + math.log(failure) / samples) / np.exp(points)).max())
    return max(best, 0.0)


@cache
def _log_transform(factors: int) -> tuple[Floats, Floats]:
    """ln E exp(-t g_1^2 ... g_m^2) at ln t on a grid: phi_1(t) = (1 + 2t)^{-1/2}, phi_{m+1}(t) = E
    phi_m(t g^2), each an integral over ln g^2.
    """
    logs = np.arange(LOWEST, HIGHEST, GRID)
    density = GRID * np.exp(logs / 2 - np.exp(logs) / 2) / math.sqrt(2 * math.pi)
    missing = max(0.0, 1 - float(density.sum()))  # counted as 1, the largest that phi is
    low, high = -20.0, 20.0 + 8.0 * factors
    # each convolution takes the reach of the density off both ends
    below, above = (factors - 1) * LOWEST, (factors - 1) * HIGHEST
    points = low + below + GRID * np.arange(math.ceil((high + above - low - below) / GRID))
    phi = 1 / np.sqrt(1 + 2 * np.exp(points))
    for _ in range(factors - 1):
        phi = np.convolve(phi, density[::-1], mode="valid") + missing
        points = points[: len(phi)] - LOWEST
    return points.astype(np.float64), np.log(np.minimum(phi, 1.0)).astype(np.float64)
