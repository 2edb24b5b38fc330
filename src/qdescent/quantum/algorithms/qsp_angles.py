"""From a polynomial to the angles of quantum signal processing, by the inverse non-linear fast
Fourier transform.

The sequence e^{i psi_0 Z} W(x) e^{i psi_1 Z} W(x) ... W(x) e^{i psi_d Z}, W(x) = exp(i arccos(x)
X), has a polynomial of degree d as its top left entry; for a real target p of definite parity with
|p| < 1 there are real angles with Im <0|.|0> = p.

On z = e^{2 i theta}, x = cos theta, the target is b(z) = z^{d/2} p(x), a polynomial in z. With R_k
the rotation by psi_k and D = diag(1, z), (a, b) = R_0 D R_1 D ... R_d (1, 0), where |a|^2 + |b|^2 =
1. A product of n layers, R D ... R, is fixed by its first column (alpha, beta): its second is (-rev
beta, rev alpha), rev the reversal of n coefficients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft, next_fast_len, rfft

from qdescent._array_checks import check_array
from qdescent._arrays import Floats
from qdescent._checks import argument_error, check_integer, check_interval

MOST_OVERSAMPLING = 2**16  # points a coefficient: 0.5 MB each
LEAF = 48  # layers stripped one by one; below it a loop over short arrays beats transforms


@dataclass(frozen=True, eq=False)
class QSPAngles:
    """Angles psi with Im <0|sequence(x)|0> = sum_j c_j T_j(x).

    Args:
        psi: shape (degree + 1,), radians.
        certificate: a bound on |Im <0|sequence(x)|0> - p(x)| over all of [-1, 1], from `qsp_error`.
    """

    psi: Floats = field(repr=False)
    certificate: float

    @property
    def degree(self) -> int:
        """The number of calls to the signal."""
        return len(self.psi) - 1


def qsp_angles(
    coefficients: ArrayLike, *, tolerance: float = 1e-9, oversampling: int = 64
) -> QSPAngles:
    """The angles of a real polynomial of definite parity.

    The outer complement a = exp(P log(1 - |b|^2)/2), P the analytic projection, makes the layers
    unique; one is stripped by f = b_0/a_0, psi = arctan f, (a, b) <- (a + f b, (b - f a)/z)/sqrt(1
    + f^2). The first n angles need the first n coefficients only, so that one half is stripped,
    undone on the whole by a product, and then the other half is stripped. The angles of a real
    target are symmetric, psi_k = psi_{d-k}: half of them are computed.

    Args:
        coefficients: Chebyshev coefficients c of p, shape (d + 1,); every second one must be zero.
        tolerance: the certificate above which the angles are refused; 1e-9 leaves room for 10^5
            roundings.
        oversampling: FFT points per coefficient; 64 resolves log(1 - |b|^2) as long as max |p| <=
            .99.

    Returns:
        QSPAngles: with their certificate.

    Raises:
        ArgumentError: mixed parity, max |p| >= 1, or a certificate above the tolerance.

    Cost: one FFT of length oversampling * (d + 1), and O(d log^2 d) for the layers; degree 10^5
        takes seconds.

    References:
        Alexis, Mnatsakanyan, Thiele, arXiv:2308.13423; Ni, Ying, arXiv:2410.06409 (Weiss completion
        and layer stripping); Ni, Sarkar, Ying, Lin, arXiv:2505.12615 (half-splitting, and its
        stability for an outer a).

    Example:
        >>> found = qsp_angles([0, 0.5, 0, 0.25])
        >>> found.degree, found.certificate < 1e-12
        (3, True)
    """
    tolerance = check_interval("tolerance", tolerance, "(0, inf)")
    oversampling = check_integer("oversampling", oversampling, 2, MOST_OVERSAMPLING)
    b = _on_the_circle(coefficients)
    d = len(b) - 1
    half = d // 2 + 1
    a = _outer_complement(b, oversampling)
    first, _, _ = _strip(a[:half], b[:half])
    psi = np.concatenate([first, first[: d + 1 - half][::-1]])
    certificate = qsp_error(psi, coefficients)
    if not certificate <= tolerance:
        raise argument_error(
            "coefficients",
            f"give angles with a certificate within {tolerance:g}",
            f"off by {certificate:g}",
        )
    return QSPAngles(psi, certificate)


def qsp_value(psi: ArrayLike, x: ArrayLike) -> NDArray[np.complex128]:
    """<0| e^{i psi_0 Z} prod_k W(x) e^{i psi_k Z} |0> at points x (k,), from 2 x 2 products.

    Example:
        >>> value = qsp_value([0.0, 0.0, 0.0], [0.5])  # all angles zero: T_2
        >>> bool(abs(value[0] - (-0.5)) < 1e-15)
        True
    """
    angles = check_array("psi", psi, (None,))
    points = np.atleast_1d(check_array("x", x))
    if (np.abs(points) > 1).any():
        raise argument_error("x", "be in [-1, 1]", f"up to {np.abs(points).max():.6g} in size")
    side = 1j * np.sqrt(1 - points**2)
    phases = np.exp(1j * angles)
    # the row <0|, multiplied from the right
    top, bottom = phases[0] * np.ones_like(side), np.zeros_like(side)
    for phase in phases[1:]:
        top, bottom = (
            (top * points + bottom * side) * phase,
            (top * side + bottom * points) * phase.conjugate(),
        )
    return top


def qsp_error(psi: ArrayLike, coefficients: ArrayLike) -> float:
    """A bound on max over [-1, 1] of |Im <0|sequence(x)|0> - p(x)|.

    The difference is a polynomial of degree d: on m > d equally spaced angles over a half turn its
    largest value is at least cos(pi d/(2 m)) of its maximum. Here m >= 2 (d + 1), so that at most
    sqrt 2 is lost. On top of it comes 4 eps (d + 1), the rounding of d + 1 products of 2 x 2
    matrices to first order.

    Args:
        psi: angles, shape (d + 1,).
        coefficients: Chebyshev coefficients of p, shape (d + 1,), every second one zero.

    Cost: O(d log^2 d), by a tree of products.

    References:
        Ehlich, Zeller, Math. Z. 86, 41 (1964), "Schwankung von Polynomen zwischen Gitterpunkten".

    Example:
        >>> # zero angles give i^0 T_1: the imaginary part is 0
        >>> exact = qsp_error([0.0, 0.0], [0.0, 0.0])
        >>> exact < 1e-14, bool(qsp_error([0.1, 0.0], [0.0, 0.0]) >= np.sin(0.1))
        (True, True)
    """
    angles = check_array("psi", psi, (None,))
    target = _on_the_circle(coefficients)
    if angles.shape != target.shape:
        raise argument_error("psi", f"have shape {target.shape}", f"of shape {angles.shape}")
    d = len(angles) - 1
    _, rebuilt = _layers_product(angles)
    difference = rebuilt - target
    difference = (difference + difference[::-1]) / 2  # Im <0|.|0> is the real part of z^{-d/2} b(z)
    points = next_fast_len(2 * (d + 1), real=True)
    largest = float(np.abs(rfft(difference, points)).max())
    return largest / math.cos(math.pi * d / (2 * points)) + 4 * float(np.finfo(np.float64).eps) * (
        d + 1
    )


def _on_the_circle(coefficients: ArrayLike) -> Floats:
    """b of b(z) = z^{d/2} p: a T_j splits into z^{(d+j)/2} and z^{(d-j)/2}, half each."""
    c = check_array("coefficients", coefficients, (None,))
    d = len(c) - 1
    if np.abs(c[d - 1 :: -2] if d else c[:0]).max(initial=0) > 1e-14:
        raise argument_error(
            "coefficients",
            "have the parity of the degree (every second one zero)",
            "of mixed parity",
        )
    b = np.zeros(d + 1)
    j = np.arange(d % 2, d + 1, 2)
    b[(d + j) // 2] += c[j] / 2
    b[(d - j) // 2] += c[j] / 2
    return b


def _outer_complement(b: Floats, oversampling: int) -> Floats:
    points = 1 << (oversampling * len(b) - 1).bit_length()
    power = np.abs(rfft(b, points)) ** 2
    if power.max() >= 1 - 1e-12:
        raise argument_error(
            "coefficients",
            "have max |p| < 1 on [-1, 1]",
            f"with max |p| of {np.sqrt(power.max()):.6g}",
        )
    half_log = irfft(0.5 * np.log1p(-power), points)
    half_log[1 : points // 2] *= 2
    half_log[points // 2 + 1 :] = 0
    return irfft(np.exp(rfft(half_log)), points)[: len(b)]


def _strip(a: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    """As many angles as coefficients, and (alpha, beta) of the product of these layers."""
    if len(a) <= LEAF:
        return _strip_one_by_one(a, b)
    size, n = len(a), len(a) // 2
    psi, alpha, beta = _strip(a[:n], b[:n])
    # (a, b) <- D^-1 (R D ... R)^-1 (a, b). Of the products only entries n - 1 to size - 1 are read,
    # which a cyclic one has right.
    points = next_fast_len(size, real=True)
    of_a, of_b, of_alpha, of_beta = (rfft(x, points) for x in (a, b, alpha, beta))
    of_rev_alpha, of_rev_beta = rfft(alpha[::-1], points), rfft(beta[::-1], points)
    rest_a = irfft(of_rev_alpha * of_a + of_rev_beta * of_b, points)[n - 1 : size - 1]
    rest_b = irfft(of_alpha * of_b - of_beta * of_a, points)[n:size]
    more, alpha_2, beta_2 = _strip(rest_a, rest_b)
    return np.concatenate([psi, more]), *_join(alpha, beta, alpha_2, beta_2)


def _strip_one_by_one(a: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    psi = np.empty(len(b))
    alpha, beta = np.ones(0), np.ones(0)
    for k in range(len(b)):
        psi[k] = math.atan2(b[0], a[0])
        cosine, sine = math.cos(psi[k]), math.sin(psi[k])
        a, b = (cosine * a + sine * b)[:-1], (cosine * b - sine * a)[1:]
        grown = np.zeros((2, k + 1))
        if k == 0:
            grown[:, 0] = cosine, sine
        else:  # one more layer D R on the right
            grown[0, :-1], grown[1, :-1] = cosine * alpha, cosine * beta
            grown[0, 1:] -= sine * beta[::-1]
            grown[1, 1:] += sine * alpha[::-1]
        alpha, beta = grown
    return psi, alpha, beta


def _join(alpha: Floats, beta: Floats, alpha_2: Floats, beta_2: Floats) -> tuple[Floats, Floats]:
    """(alpha, beta) of two products of layers one after the other, on the last axis: alpha alpha_2
    - z rev(beta) beta_2, ...
    """
    size = alpha.shape[-1] + alpha_2.shape[-1]
    points = next_fast_len(size, real=True)
    first = [rfft(x, points) for x in (alpha, beta, alpha[..., ::-1], beta[..., ::-1])]
    second = [rfft(x, points) for x in (alpha_2, beta_2)]
    z = np.exp(-2j * np.pi * np.arange(points // 2 + 1) / points)
    return (
        irfft(first[0] * second[0] - z * first[3] * second[1], points)[..., :size],
        irfft(first[1] * second[0] + z * first[2] * second[1], points)[..., :size],
    )


def _layers_product(psi: Floats) -> tuple[Floats, Floats]:
    """(a, b) = R_0 D R_1 D ... R_d (1, 0) from the angles, by a tree of products; layers of angle 0
    at the end change nothing.
    """
    padded = np.zeros(1 << (len(psi) - 1).bit_length())
    padded[: len(psi)] = psi
    alpha, beta = np.cos(padded)[:, None], np.sin(padded)[:, None]
    while len(alpha) > 1:
        alpha, beta = _join(alpha[::2], beta[::2], alpha[1::2], beta[1::2])
    return alpha[0, : len(psi)], beta[0, : len(psi)]
