"""From a polynomial to the angles of quantum signal processing, by the non-linear Fourier transform.

The sequence e^{i psi_0 Z} W(x) e^{i psi_1 Z} W(x) ... W(x) e^{i psi_d Z}, W(x) = exp(i arccos(x) X), has a polynomial of
degree d as its top left entry; for a real target p of definite parity with |p| < 1 there are real angles with Im <0|.|0> = p.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qdescent._checks import argument_error, check_interval
from qdescent._random import named_numpy_generator
from qdescent.linalg.chebyshev import chebyshev_value

Floats = NDArray[np.float64]

CERTIFICATE_POINTS = 64  # a wrong angle moves the polynomial almost everywhere: a few random points see it


@dataclass(frozen=True)
class QSPAngles:
    """Angles psi with Im <0|sequence(x)|0> = sum_j c_j T_j(x).

    Args:
        psi: shape (degree + 1,), radians.
        certificate: the largest difference between the target and the polynomial rebuilt from `psi`, at random points.
    """

    psi: Floats = field(repr=False)
    certificate: float

    @property
    def degree(self) -> int:
        """The number of calls to the signal."""
        return len(self.psi) - 1


def qsp_angles(coefficients: ArrayLike, *, tolerance: float = 1e-9, oversampling: int = 64) -> QSPAngles:
    """The angles of a real polynomial of definite parity.

    On z = e^{2 i theta}, x = cos theta, the target becomes b(z) = z^{d/2} p(x), a polynomial in z. Its outer complement
    a = exp(P log(1 - |b|^2)/2), P the analytic projection, satisfies |a|^2 + |b|^2 = 1; one layer is stripped by
    f = b_0/a_0, psi = arctan f, (a, b) <- (a + f b, (b - f a)/z)/sqrt(1 + f^2).

    Args:
        coefficients: Chebyshev coefficients c of p, shape (d + 1,); every second one must be zero.
        tolerance: the certificate above which the angles are refused; 1e-9 leaves room for 10^5 roundings.
        oversampling: FFT points per coefficient; 64 resolves log(1 - |b|^2) as long as max |p| <= .99.

    Returns:
        QSPAngles: with the certificate that was measured.

    Raises:
        ArgumentError: mixed parity, max |p| >= 1, or a certificate above the tolerance.

    Cost: one FFT of length oversampling * (d + 1), and O(d^2) operations for the layers.

    References:
        Alexis, Mnatsakanyan, Thiele, arXiv:2308.13423; Ni, Ying, arXiv:2410.06409 (Weiss completion and layer stripping).

    Example:
        >>> found = qsp_angles([0, 0.5, 0, 0.25])
        >>> found.degree, found.certificate < 1e-12
        (3, True)
    """
    check_interval("tolerance", tolerance, "(0, inf)")
    c = np.asarray(coefficients, dtype=np.float64)
    if c.ndim != 1 or not len(c) or not np.isfinite(c).all():
        raise argument_error("coefficients", "be a finite vector of shape (degree + 1,)", f"of shape {c.shape}")
    d = len(c) - 1
    if np.abs(c[d - 1 :: -2] if d else c[:0]).max(initial=0) > 1e-14:
        raise argument_error("coefficients", "have the parity of the degree (every second one zero)", "of mixed parity")
    b = np.zeros(d + 1)
    j = np.arange(d % 2, d + 1, 2)
    np.add.at(b, (d + j) // 2, c[j] / 2)
    np.add.at(b, (d - j) // 2, c[j] / 2)
    a = _outer_complement(b, oversampling)
    psi = _strip_layers(a, b)
    certificate = qsp_error(psi, c)
    if not certificate <= tolerance:
        raise argument_error("coefficients", f"give angles with a certificate within {tolerance:g}", f"off by {certificate:g}")
    return QSPAngles(psi, certificate)


def qsp_value(psi: ArrayLike, x: ArrayLike) -> NDArray[np.complex128]:
    """<0| e^{i psi_0 Z} prod_k W(x) e^{i psi_k Z} |0> at points x of shape (k,), from 2 x 2 products.

    Example:
        >>> value = qsp_value([0.0, 0.0, 0.0], [0.5])  # all angles zero: T_2
        >>> bool(abs(value[0] - (-0.5)) < 1e-15)
        True
    """
    angles = np.asarray(psi, dtype=np.float64)
    points = np.atleast_1d(np.asarray(x, dtype=np.float64))
    side = 1j * np.sqrt(1 - points**2)
    phases = np.exp(1j * angles)
    top, bottom = phases[0] * np.ones_like(side), np.zeros_like(side)  # the row <0|, multiplied from the right
    for phase in phases[1:]:
        top, bottom = (top * points + bottom * side) * phase, (top * side + bottom * points) * phase.conjugate()
    return top


def qsp_error(psi: ArrayLike, coefficients: ArrayLike, seed: int = 0) -> float:
    """The certificate: max |Im qsp_value(psi, x) - p(x)| over random points (uniform angles arccos x)."""
    x = np.cos(named_numpy_generator(seed, "angles-certificate").uniform(0, np.pi, CERTIFICATE_POINTS))
    return float(np.abs(qsp_value(psi, x).imag - chebyshev_value(coefficients, x)).max())


def _outer_complement(b: Floats, oversampling: int) -> Floats:
    points = 1 << (oversampling * len(b) - 1).bit_length()
    power = np.abs(np.fft.fft(b, points)) ** 2
    if power.max() >= 1 - 1e-12:
        raise argument_error("coefficients", "have max |p| < 1 on [-1, 1]", f"with max |p| of {np.sqrt(power.max()):.6g}")
    half_log = np.fft.ifft(0.5 * np.log1p(-power)).real  # real: |b|^2 is even in the angle, b being real
    half_log[1 : points // 2] *= 2
    half_log[points // 2 + 1 :] = 0
    return np.fft.ifft(np.exp(np.fft.fft(half_log))).real[: len(b)]


def _strip_layers(a: Floats, b: Floats) -> Floats:
    a, b = a.copy(), b.copy()
    psi = np.empty(len(b))
    for k in range(len(b)):
        f = b[0] / a[0]
        psi[k] = np.arctan(f)
        scale = 1 / np.sqrt(1 + f * f)
        a, b = ((a + f * b) * scale)[:-1], ((b - f * a) * scale)[1:]
    return psi
