"""Angles: the polynomial rebuilt from them, closed forms, a published list, and a wrong list that is rejected."""

import numpy as np
import pytest

from qdescent._checks import ArgumentError
from qdescent.linalg.chebyshev import chebyshev_value, minimax_inverse
from qdescent.quantum.phases import qsp_angles, qsp_error, qsp_value
from qdescent.quantum.qsvt import projector_phases


def projected(phases, x):
    """<0|e^{i phi_0 Z} R e^{i phi_1 Z} R ...|0> with the reflection R = [[x, s], [s, -x]], written out anew."""
    s = np.sqrt(1 - x * x)
    result = np.diag(np.exp([1j * phases[0], -1j * phases[0]]))
    for phi in phases[1:]:
        result = result @ np.array([[x, s], [s, -x]]) @ np.diag(np.exp([1j * phi, -1j * phi]))
    return result[0, 0]


@pytest.mark.parametrize("degree", [0, 1, 2, 7, 40, 255])
def test_round_trip_on_random_polynomials(degree):
    draw = np.random.default_rng(degree)
    c = draw.normal(size=degree + 1)
    c[degree - 1 :: -2] = 0 if degree else c[0]
    c *= 0.95 / np.abs(chebyshev_value(c, np.cos(np.linspace(0, np.pi, 20 * degree + 3)))).max()
    found = qsp_angles(c)
    x = draw.uniform(-1, 1, 50)
    np.testing.assert_allclose(qsp_value(found.psi, x).imag, chebyshev_value(c, x), atol=1e-12)
    assert found.certificate < 1e-12
    np.testing.assert_allclose(found.psi, found.psi[::-1], atol=1e-10)  # a real target has symmetric angles


def test_zero_angles_give_chebyshev_polynomials():
    x = np.linspace(-1, 1, 9)
    for d in range(6):
        np.testing.assert_allclose(qsp_value(np.zeros(d + 1), x), np.cos(d * np.arccos(x)), atol=1e-14)


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


def test_degree_1521_of_the_inverse():
    q = minimax_inverse(150.0, 1e-4 * 0.785)
    assert q.degree == 1521
    found = qsp_angles(0.98 * q.coefficients / q.supremum)
    assert found.certificate < 1e-12
    x = 0.37
    assert qsp_value(found.psi, x)[0].imag * q.supremum / 0.98 == pytest.approx(1 / x, rel=1e-4)


def test_a_wrong_angle_is_rejected():
    c = np.array([0, 0.3, 0, -0.4, 0, 0.2])
    psi = qsp_angles(c).psi.copy()
    assert qsp_error(psi, c) < 1e-13
    psi[2] += 1e-4
    assert qsp_error(psi, c) > 1e-6
    assert qsp_error(-psi, c) > 1e-2


def test_refusals():
    with pytest.raises(ArgumentError, match=r"Argument `coefficients` must have max \|p\| < 1"):
        qsp_angles([0.0, 1.2])
    with pytest.raises(ArgumentError, match="mixed parity"):
        qsp_angles([0.1, 0.2])
    with pytest.raises(ArgumentError, match="finite vector"):
        qsp_angles([0.0, float("nan")])
    with pytest.raises(ArgumentError, match=r"Argument `angles` must have an odd degree"):
        projector_phases(qsp_angles([0.0, 0.0, 0.5]))
