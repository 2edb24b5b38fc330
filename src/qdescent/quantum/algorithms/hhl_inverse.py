"""What phase estimation computes in the place of 1/x, and what its circuit takes; no Qualtran is
imported here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.fft import dct, irfft, rfft

from qdescent._arrays import Floats
from qdescent._checks import check_integer, check_interval
from qdescent.linalg.jacobi_anger import jacobi_anger_order

# tau: the eigenvalue 1 stays a twentieth of a turn away from -1, so that no estimate wraps around
TURN = 0.9 * math.pi
# max g/kappa: g turns over smoothly just below 1/kappa, or the error would fall with K only
PEAK = 4 / 3 * math.sqrt(2 / 3)
SERIES_ERROR = 1e-9  # of each e^{i H 2^j tau}: far below epsilon, for half a dozen orders more
TRUNCATED = 1e-14  # of the largest Chebyshev coefficient: rounding


@dataclass(frozen=True, eq=False)
class PhaseEstimationInverse:
    """The function that phase estimation puts in the place of 1/x: f(x) = 2 sum_m s_m sin(m tau x).

    Args:
        sines: s_1, ..., s_{K-1}, shape (K - 1,), K = 2^clock bits.
        coefficients: the same as an odd Chebyshev series on [-1, 1], shape (degree + 1,).
        error: a bound on |x f(x) - 1| on [1/kappa, 1].
    """

    sines: Floats = field(repr=False)
    coefficients: Floats = field(repr=False)
    error: float

    @property
    def degree(self) -> int:
        """The degree of the series, close to K tau."""
        return len(self.coefficients) - 1


def rotated(estimate: Floats, kappa: float) -> Floats:
    """g at positive estimates of an eigenvalue: 1/x beyond 1/kappa, 2 kappa^2 x - kappa^4 x^3
    below; it is odd.

    Example:
        >>> rotated(np.array([0.125, 0.5]), kappa=4.0).tolist()
        [3.5, 2.0]
    """
    scaled = kappa * estimate
    return np.where(scaled >= 1, 1 / estimate, kappa * (2 * scaled - scaled**3))


def clock_window(size: int) -> Floats:
    """The amplitudes of the clock: sqrt(2/K) sin(pi (t + 1/2)/K), shape (K,).

    Example:
        >>> clock_window(4).round(3).tolist()
        [0.271, 0.653, 0.653, 0.271]
    """
    return math.sqrt(2 / size) * np.sin(math.pi * (np.arange(size) + 0.5) / size)


@lru_cache(maxsize=64)
def evolution_queries(clock_bits: int) -> int:
    """Queries of the circuit: forth and back, 3 sequences (amplification) of `jacobi_anger_order`
    for each bit of the clock.

    Example:
        >>> evolution_queries(4)
        648
    """
    return 6 * sum(jacobi_anger_order(2**j * TURN, SERIES_ERROR) for j in range(clock_bits))


def least_epsilon(kappa: float, queries: int) -> float:
    """The least epsilon that a circuit of at most so many queries promises; infinite where none.

    Half of epsilon is the clock's, and a clock coarser than 1/kappa cannot tell 1/kappa from 0.

    Args:
        kappa: above 1.
        queries: of one run, without amplification.

    Example:
        >>> round(least_epsilon(5.0, 2000), 4), least_epsilon(1e6, 2000)
        (0.0258, inf)
    """
    bits = 2
    while evolution_queries(bits + 1) <= queries:
        bits += 1
    if evolution_queries(bits) > queries or bits < math.floor(math.log2(kappa)):
        return math.inf
    return 2 * phase_estimation_inverse(kappa, bits).error


def phase_estimation_inverse(kappa: float, clock_bits: int) -> PhaseEstimationInverse:
    """What HHL computes of an eigenvalue x: the mean of g over the outcomes of phase estimation.

        f(x) = sum_k |a_k(x)|^2 g(x_k),  a_k(x) = (sqrt2/K) sum_t sin(pi (t + 1/2)/K) e^{i t (tau x
        - 2 pi k/K)}, x_k = 2 pi k/(K tau),  k = -K/2 .. K/2 - 1,  g(x) = 1/x beyond 1/kappa and 2
        kappa^2 x - kappa^4 x^3 below.

    The clock is uncomputed, so that its outcomes add as probabilities: f is a Fourier series in tau
    x whose coefficients are those of g times the autocorrelation of the clock's sine window.

    Args:
        kappa: above 1; the rotation of the flag has the amplitude g/(1.09 kappa), 1.09 kappa being
            max g.
        clock_bits: of the clock register.

    Cost: O(K^2).

    References:
        Harrow, Hassidim, Lloyd, arXiv:0811.3171, equation 3 and appendix A (window), here with a
        cubic g below 1/kappa.

    Example:
        >>> f = phase_estimation_inverse(5.0, clock_bits=7)
        >>> f.degree, f.error < 0.0025
        (409, True)
    """
    kappa = check_interval("kappa", kappa, "(1, inf)")
    size = 2 ** check_integer("clock_bits", clock_bits, 2)
    # k > 0; g is odd, and 0 at k = -K/2
    estimate = 2 * math.pi * np.arange(1, size // 2) / (size * TURN)
    g = rotated(estimate, kappa)
    correlation = irfft(np.abs(rfft(clock_window(size), 2 * size)) ** 2, 2 * size)[1:size]
    odd = np.zeros(size)
    odd[1 : size // 2], odd[size // 2 + 1 :] = g, -g[::-1]
    spectrum = -np.fft.fft(odd).imag / size  # (1/K) sum_k g_k sin(2 pi m k/K)
    sines = correlation * spectrum[1:size]

    # beyond K tau by a tenth and 60: the series has ended
    most = 2 * math.ceil(0.55 * size * TURN) + 60
    x = np.cos(np.pi * (np.arange(most) + 0.5) / most)
    coefficients = dct(_sine_series(sines, x), type=2) / most
    coefficients[::2] = 0
    kept = np.flatnonzero(np.abs(coefficients) > TRUNCATED * np.abs(coefficients).max())[-1] + 1
    dropped = float(np.abs(coefficients[kept:]).sum())
    # x f - 1 is a polynomial in x^2 of degree (d + 1)/2: its values at 2 (d + 1) Chebyshev points
    # of [1/kappa^2, 1] bound it.
    degree, points = kept // 2, 2 * kept
    square = (1 + kappa**-2) / 2 + (1 - kappa**-2) / 2 * np.cos(
        np.pi * (np.arange(points) + 0.5) / points
    )
    left = np.abs(np.sqrt(square) * _sine_series(sines, np.sqrt(square)) - 1).max()
    error = float(left) / math.cos(math.pi * degree / (2 * points)) + dropped
    return PhaseEstimationInverse(sines, coefficients[:kept], error)


def _sine_series(sines: Floats, x: Floats) -> Floats:
    """2 sum_m s_m sin(m tau x) by Clenshaw's recurrence."""
    twice_cosine = 2 * np.cos(TURN * x)
    now, after = np.zeros_like(x), np.zeros_like(x)
    for s in sines[::-1].tolist():
        now, after = s + twice_cosine * now - after, now
    return 2 * np.sin(TURN * x) * now
