"""Chebyshev series, and the odd polynomials that stand for 1/x on [1/kappa, 1]."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial.chebyshev import chebval
from numpy.typing import ArrayLike
from scipy.fft import dct
from scipy.special import bdtrc

from qdescent._array_checks import check_array
from qdescent._arrays import Floats
from qdescent._checks import argument_error, check_integer, check_interval

LARGEST_KAPPA, LEAST_EPSILON = 1e100, 1e-300  # squares and reciprocals of them are still numbers
MOST_COEFFICIENTS = 10**8  # of one polynomial: 800 MB, and as many products to apply it


@dataclass(frozen=True, eq=False)
class InversePolynomial:
    """An odd polynomial q(x) close to 1/x on [1/kappa, 1].

    Args:
        coefficients: c of q = sum_j c_j T_j, shape (degree + 1,); the even ones are zero.
        kappa: the reciprocal of the left end of the interval.
        error: a bound on |x q(x) - 1| on the interval (a relative error of the inverse).
        supremum: max |q| on [-1, 1].
    """

    coefficients: Floats = field(repr=False)
    kappa: float
    error: float
    supremum: float

    @property
    def degree(self) -> int:
        """The degree of q, an odd number."""
        return len(self.coefficients) - 1


def chebyshev_value(coefficients: ArrayLike, x: ArrayLike) -> Floats:
    """sum_j c_j T_j(x) by Clenshaw's recurrence; x of any shape, in [-1, 1].

    Example:
        >>> float(chebyshev_value([0, 0, 1], 0.5))  # T_2 = 2 x^2 - 1
        -0.5
    """
    return np.asarray(
        chebval(check_array("x", x), check_array("coefficients", coefficients, (None,)))
    )


def inverse_degree(kappa: float, epsilon: float) -> int:
    """The degree 2m - 1 of `minimax_inverse`: m the least integer with 1/T_m(y0) <= epsilon, y0 =
    (kappa^2 + 1)/(kappa^2 - 1).

    It is close to kappa ln(2/epsilon).

    Example:
        >>> inverse_degree(100.0, 1e-4)
        991
    """
    kappa, epsilon = _checked(kappa, epsilon)
    return 2 * math.ceil(math.acosh(1 / epsilon) / _angle_beyond_one(2 / (kappa**2 - 1))) - 1


def minimax_inverse(kappa: float, epsilon: float) -> InversePolynomial:
    """The odd polynomial q of least degree with |x q(x) - 1| <= epsilon on [1/kappa, 1].

        q(x) = (1 - T_m(y)/T_m(y0))/x,  y = (1 + c - 2 x^2)/(1 - c),  y0 = (1 + c)/(1 - c),  c =
        1/kappa^2.

    1 - x q = T_m(y)/T_m(y0) is the smallest even polynomial of its degree on the interval that is 1
    at x = 0.

    Args:
        kappa: above 1.
        epsilon: the relative error of the inverse, in (0, 1).

    Returns:
        InversePolynomial: of degree `inverse_degree(kappa, epsilon)`.

    Raises:
        ArgumentError: kappa not above 1 (any epsilon-close polynomial needs an interval), epsilon
            outside (0, 1).

    Cost: one cosine transform of length degree + 1.

    References:
        Chebyshev's extremal property; Gribling, Kerenidis, Szilagyi, arXiv:2109.04248, section 3.

    Example:
        >>> q = minimax_inverse(10.0, 1e-3)
        >>> q.degree, bool(abs(0.25 * chebyshev_value(q.coefficients, 0.25) - 1) <= 1e-3)
        (75, True)
    """
    kappa, epsilon = _checked(kappa, epsilon)
    degree = _held(inverse_degree(kappa, epsilon), kappa)
    m = (degree + 1) // 2
    # an even number of nodes: none of them is 0
    x = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    coefficients = dct((1 - _residual(x, m, kappa)) / x, type=2) / (degree + 1)
    coefficients[::2] = 0  # the constant, and every even term, vanish by symmetry
    # The maximum lies at x = O(1/kappa), where q varies on the scale 1/kappa: sample that region
    # densely.
    near = np.linspace(0, min(1.0, 4 / kappa), 2001)[1:]
    supremum = float(np.abs((1 - _residual(near, m, kappa)) / near).max())
    return InversePolynomial(
        coefficients, kappa, 1 / math.cosh(m * _angle_beyond_one(2 / (kappa**2 - 1))), supremum
    )


@dataclass(frozen=True, eq=False)
class KernelFilter:
    """An even polynomial R that is 1 at 0 and small on [1/kappa, 1].

    Args:
        coefficients: c of R = sum_j c_j T_j, shape (degree + 1,); the odd ones are zero.
        kappa: the reciprocal of the left end of the interval.
        error: max |R| on the interval; |R| <= 1 on [-1, 1].
    """

    coefficients: Floats = field(repr=False)
    kappa: float
    error: float

    @property
    def degree(self) -> int:
        """The degree of R, an even number."""
        return len(self.coefficients) - 1


def kernel_filter(kappa: float, epsilon: float) -> KernelFilter:
    """The even polynomial of least degree with R(0) = 1 and |R| <= epsilon on [1/kappa, 1]: R = 1 -
    x q, q the minimax inverse.

        R(x) = T_l(y)/T_l(y0),  y = (1 + c - 2 x^2)/(1 - c),  y0 = (1 + c)/(1 - c),  c = 1/kappa^2.

    Raises:
        ArgumentError: kappa not above 1, epsilon outside (0, 1).

    Cost: one cosine transform; the degree 2 l is close to kappa ln(2/epsilon).

    References:
        Lin, Tong, arXiv:1910.14596, lemma 2 (eigenstate filtering).

    Example:
        >>> R = kernel_filter(10.0, 1e-3)
        >>> R.degree, round(float(chebyshev_value(R.coefficients, 0.0)), 12), R.error <= 1e-3
        (76, 1.0, True)
    """
    kappa, epsilon = _checked(kappa, epsilon)
    degree = _held(inverse_degree(kappa, epsilon), kappa) + 1
    x = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    coefficients = dct(_residual(x, degree // 2, kappa), type=2) / (degree + 1)
    coefficients[0] /= 2
    coefficients[1::2] = 0  # by symmetry
    return KernelFilter(
        coefficients, kappa, 1 / math.cosh(degree // 2 * _angle_beyond_one(2 / (kappa**2 - 1)))
    )


def filter_value(kappa: float, degree: int, x: ArrayLike) -> Floats:
    """R(x) of the `kernel_filter` of this degree, which is 1 - x q(x) of the `minimax_inverse` of
    one degree less; x in [-1, 1].

    Below 1/kappa it grows to 1 at 0: what an error in the singular values may cost.

    Example:
        >>> float(filter_value(10.0, 76, 0.0)), float(filter_value(10.0, 76, 0.1)) < 1e-3
        (1.0, True)
    """
    kappa, _ = _checked(kappa, 0.5)
    half = check_integer("degree", degree, 0, MOST_COEFFICIENTS) // 2
    given = check_array("x", x)
    if (np.abs(given) > 1).any():
        raise argument_error("x", "be in [-1, 1]", f"up to {np.abs(given).max():.6g} in size")
    return np.asarray(_residual(np.atleast_1d(given), half, kappa).reshape(given.shape))


def childs_kothari_somma_inverse(kappa: float, epsilon: float) -> InversePolynomial:
    """The published 1/x series of Childs, Kothari and Somma, for comparison: |q(x) - 1/x| <=
    epsilon on [1/kappa, 1].

        q = 4 sum_{j=0..j0} (-1)^j [2^{-2b} sum_{i=j+1..b} C(2b, b+i)] T_{2j+1},

    b = floor(kappa^2 ln(kappa/epsilon)), j0 = floor(sqrt(b ln(4b/epsilon))): with floors, as
    implementations have it, the published degrees 83, 185, 3031 come out.

    References:
        Childs, Kothari, Somma, SIAM J. Comput. 46, 1920 (2017), arXiv:1511.02306, lemmas 17 to 19.

    Example:
        >>> childs_kothari_somma_inverse(5.0, 0.01).degree
        83
    """
    kappa, epsilon = _checked(kappa, epsilon)
    b = math.floor(kappa**2 * math.log(kappa / epsilon))
    j = np.arange(_held(math.floor(math.sqrt(b * math.log(4 * b / epsilon))), kappa) + 1)
    coefficients = np.zeros(2 * len(j))
    coefficients[1::2] = 4 * (-1.0) ** j * bdtrc(b + j, 2 * b, 0.5)
    near = np.linspace(0, min(1.0, 4 / kappa), 2001)
    return InversePolynomial(
        coefficients, kappa, epsilon, float(np.abs(chebyshev_value(coefficients, near)).max())
    )


def _checked(kappa: float, epsilon: float) -> tuple[float, float]:
    kappa, epsilon = (
        check_interval("kappa", kappa, "(1, inf)"),
        check_interval("epsilon", epsilon, "(0, 1)"),
    )
    if kappa > LARGEST_KAPPA:
        raise argument_error("kappa", f"be at most {LARGEST_KAPPA:g}", kappa)
    if epsilon < LEAST_EPSILON:
        raise argument_error("epsilon", f"be at least {LEAST_EPSILON:g}", epsilon)
    return kappa, epsilon


def _held(degree: int, kappa: float) -> int:
    if degree > MOST_COEFFICIENTS:
        raise argument_error(
            "kappa",
            f"leave the polynomial at most {MOST_COEFFICIENTS:.0e} coefficients",
            f"{kappa:.3g}",
        )
    return degree


def _angle_beyond_one(excess: Floats | float) -> Floats | float:
    """arccosh(1 + excess) without the cancellation of forming 1 + excess."""
    result = np.log1p(excess + np.sqrt(excess * (2 + excess)))
    return float(result) if np.ndim(result) == 0 else result


def _residual(x: Floats, m: int, kappa: float) -> Floats:
    """T_m(y)/T_m(y0) at x in [-1, 1], stable where both are astronomically large."""
    c = kappa**-2
    beyond = x**2 < c
    result = np.empty_like(x)
    inside = np.clip((1 + c - 2 * x[~beyond] ** 2) / (1 - c), -1, 1)
    top = m * _angle_beyond_one(2 * c / (1 - c))
    scale = 2 * np.exp(-top) / (1 + np.exp(-2 * top))  # 1/cosh(top)
    result[~beyond] = np.cos(m * np.arccos(inside)) * scale
    angle = m * np.asarray(_angle_beyond_one(2 * (c - x[beyond] ** 2) / (1 - c)))
    result[beyond] = np.exp(angle - top) * (1 + np.exp(-2 * angle)) / (1 + np.exp(-2 * top))
    return result
