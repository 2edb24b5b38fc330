"""Angles: the polynomial rebuilt from them, closed forms, a published list, and a wrong list that
is rejected.
"""

import numpy as np
import pytest

from qdescent._checks import ArgumentError
from qdescent.linalg.chebyshev import chebyshev_value, minimax_inverse
from qdescent.quantum.algorithms.qsp_angles import qsp_angles, qsp_error, qsp_value
from qdescent.quantum.algorithms.qsvt import projector_phases


def projected(phases, x):
    """<0|e^{i phi_0 Z} R e^{i phi_1 Z} R ...|0> with the reflection R = [[x, s], [s, -x]], written
    out anew.
    """
    s = np.sqrt(1 - x * x)
    result = np.diag(np.exp([1j * phases[0], -1j * phases[0]]))
    for phi in phases[1:]:
        result = result @ np.array([[x, s], [s, -x]]) @ np.diag(np.exp([1j * phi, -1j * phi]))
    return result[0, 0]


def stripped_one_by_one(c, oversampling):
    """All d + 1 angles by the plain O(d^2) recursion on complex transforms, no symmetry and no
    splitting assumed.
    """
    d = len(c) - 1
    b = np.zeros(d + 1)
    for j in range(d % 2, d + 1, 2):
        b[(d + j) // 2] += c[j] / 2
        b[(d - j) // 2] += c[j] / 2
    points = 1 << (oversampling * len(b) - 1).bit_length()
    cepstrum = np.fft.ifft(0.5 * np.log(1 - np.abs(np.fft.fft(b, points)) ** 2))
    fold = np.r_[1, np.full(points // 2 - 1, 2), 1, np.zeros(points // 2 - 1)]
    a = np.fft.ifft(np.exp(np.fft.fft(cepstrum * fold))).real[: d + 1]
    psi = []
    while len(b):
        f = b[0] / a[0]
        psi.append(np.arctan(f))
        a, b = ((a + f * b) / np.hypot(1, f))[:-1], ((b - f * a) / np.hypot(1, f))[1:]
    return np.array(psi)


@pytest.mark.parametrize("degree", [0, 1, 2, 7, 40, 96, 97, 255, 256])
def test_round_trip_on_random_polynomials(degree):
    draw = np.random.default_rng(degree)
    c = draw.normal(size=degree + 1)
    c[degree - 1 :: -2] = 0 if degree else c[0]
    c *= 0.95 / np.abs(chebyshev_value(c, np.cos(np.linspace(0, np.pi, 20 * degree + 3)))).max()
    found = qsp_angles(c)
    x = draw.uniform(-1, 1, 50)
    np.testing.assert_allclose(qsp_value(found.psi, x).imag, chebyshev_value(c, x), atol=1e-12)
    assert found.certificate < 1e-12


def test_zero_angles_give_chebyshev_polynomials():
    x = np.linspace(-1, 1, 9)
    for d in range(6):
        np.testing.assert_allclose(
            qsp_value(np.zeros(d + 1), x), np.cos(d * np.arccos(x)), atol=1e-14
        )


def test_published_projector_angles():
    phases = [-0.20409113, -0.91173829, 0.91173829, 0.20409113]
    for a in (0.3, -0.7, 0.95):
        assert projected(phases, a) == pytest.approx((5 * a**3 - 3 * a) / 2, abs=1e-7)


@pytest.mark.parametrize("scale", [0.5, 0.9])
def test_reflection_phases_of_the_same_cubic(scale):
    c = scale * np.array([0, (-1.5 + 15 / 8), 0, 5 / 8])  # (5 x^3 - 3 x)/2 in T_1, T_3
    phases = projector_phases(qsp_angles(c))
    for a in (0.3, -0.7, 0.95):
        assert projected(phases, a).real == pytest.approx(scale * (5 * a**3 - 3 * a) / 2, abs=1e-12)


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4, 5, 6, 7, 8])
def test_reflection_phases_of_either_parity(degree):
    c = np.zeros(degree + 1)
    c[degree::-2] = np.random.default_rng(degree).normal(size=len(c[degree::-2]))
    c *= 0.9 / np.abs(c).sum()
    phases = projector_phases(qsp_angles(c))
    for a in (0.3, -0.7, 0.95):
        assert projected(phases, a).real == pytest.approx(chebyshev_value(c, a), abs=1e-12)


def test_degree_1521_of_the_inverse():
    q = minimax_inverse(150.0, 1e-4 * 0.785)
    assert q.degree == 1521
    c = 0.98 * q.coefficients / q.supremum
    found = qsp_angles(c)
    np.testing.assert_allclose(
        found.psi, stripped_one_by_one(c, oversampling=64), rtol=0, atol=1e-12
    )
    draw = np.cos(np.random.default_rng(0).uniform(0, np.pi, 64))
    difference = np.abs(qsp_value(found.psi, draw).imag - chebyshev_value(c, draw)).max()
    assert difference < 1e-13
    # 4 eps (d + 1) = 1.4e-12 of it is the allowance for rounding
    assert difference < found.certificate < 2e-12
    x = 0.37
    assert qsp_value(found.psi, x)[0].imag * q.supremum / 0.98 == pytest.approx(1 / x, rel=1e-4)


def test_a_wrong_angle_is_rejected():
    c = np.array([0, 0.3, 0, -0.4, 0, 0.2])
    psi = qsp_angles(c).psi.copy()
    assert qsp_error(psi, c) < 1e-13
    psi[2] += 1e-4
    assert qsp_error(psi, c) > 1e-6
    assert qsp_error(-psi, c) > 1e-2


@pytest.mark.parametrize("degree", [1, 2, 9, 64, 301])
def test_the_certificate_bounds_the_difference_everywhere(degree):
    """Wrong angles, whose difference to the target has its peaks anywhere: the bound holds, and
    loses at most sqrt 2.
    """
    draw = np.random.default_rng(degree)
    c = np.zeros(degree + 1)
    x = np.cos(np.linspace(0, np.pi, 60 * degree + 1))
    for psi in (
        draw.normal(size=degree + 1),
        np.eye(degree + 1)[degree // 2] * 1e-3,
        draw.normal(size=degree + 1) * 1e-6,
    ):
        true = np.abs(qsp_value(psi, x).imag).max()
        assert true <= qsp_error(psi, c) <= 1.4143 * true + 1e-12


def test_values_at_a_few_points_would_not_certify():
    """T_d of degree 64 added to the target is nearly 0 at its roots: a sample there sees nothing,
    the bound sees all of it.
    """
    c = np.zeros(65)
    c[0] = 0.3
    psi = qsp_angles(c).psi
    c[64] = 0.5
    roots = np.cos(np.pi * (np.arange(64) + 0.5) / 64)
    assert np.abs(qsp_value(psi, roots).imag - chebyshev_value(c, roots)).max() < 1e-12
    assert 0.5 <= qsp_error(psi, c) <= 0.71


def test_degree_20000_keeps_its_certificate():
    q = minimax_inverse(2020.0, 1e-4)
    found = qsp_angles(0.98 * q.coefficients / q.supremum)
    assert found.degree == q.degree > 20_000
    assert found.certificate < 2e-11
    np.testing.assert_array_equal(found.psi, found.psi[::-1])


def test_refusals():
    with pytest.raises(
        ArgumentError, match=r"Argument `psi` must have shape \(3,\), but is of shape \(2,\)"
    ):
        qsp_error([0.0, 0.0], [0.0, 0.0, 0.5])
    with pytest.raises(ArgumentError, match=r"Argument `coefficients` must have max \|p\| < 1"):
        qsp_angles([0.0, 1.2])
    with pytest.raises(ArgumentError, match="mixed parity"):
        qsp_angles([0.1, 0.2])
    with pytest.raises(ArgumentError, match="must be finite"):
        qsp_angles([0.0, float("nan")])
