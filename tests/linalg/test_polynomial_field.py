"""Differential equations by coefficients, against the formula written out."""

import math

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.polynomial_field import PolynomialField


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture
def pendulum():
    """x' = y + .1 cos t, y' = -x - .2 y + .3 x y^2, degree 3."""
    F3 = torch.zeros(2, 8).double()
    F3[1, 0b011] = 0.3  # x y y
    return PolynomialField(
        [torch.zeros(2).double(), f64([[0, 1], [-1, -0.2]]), torch.zeros(2, 4).double(), F3],
        lambda t: f64([0.1 * math.cos(t), 0.0]),
    )


def written_out(u, t):
    x, y = u.tolist()
    return [y + 0.1 * math.cos(t), -x - 0.2 * y + 0.3 * x * y**2]


def test_value_and_euler_map(pendulum):
    u = f64([0.7, -1.2])
    for t in (0.0, 1.3):
        np.testing.assert_allclose(pendulum(u, t), written_out(u, t), rtol=1e-14)
        step = pendulum.euler_map(0.01, t)
        np.testing.assert_allclose(step(u), u + 0.01 * pendulum(u, t), rtol=1e-14)
    assert (pendulum.size, pendulum.degree) == (2, 3)
    sparse = PolynomialField([F.to_sparse() for F in pendulum.coefficients], pendulum.forcing)
    np.testing.assert_allclose(sparse.euler_map(0.01, 1.3)(u), step(u), rtol=1e-14)


def test_rescaled_and_recentred_are_the_same_equation(pendulum):
    u, pivot = f64([0.7, -1.2]), f64([0.5, 0.25])
    for t in (0.0, 1.3):
        torch.testing.assert_close(
            2.5 * pendulum.rescaled(2.5)(u / 2.5, t), pendulum(u, t), rtol=1e-13, atol=1e-15
        )
        torch.testing.assert_close(
            pendulum.recentred(pivot)(u - pivot, t), pendulum(u, t), rtol=1e-13, atol=1e-15
        )
    wrong = PolynomialField(pendulum.rescaled(2.5).coefficients, pendulum.forcing)
    with pytest.raises(AssertionError):  # the forcing forgotten
        torch.testing.assert_close(2.5 * wrong(u / 2.5), pendulum(u), rtol=1e-3, atol=1e-3)


def test_errors(pendulum):
    with pytest.raises(ArgumentError, match=r"Argument `forcing` must have shape \(2,\)"):
        PolynomialField(pendulum.coefficients, lambda t: torch.zeros(3))
    with pytest.raises(ArgumentError, match=r"Argument `step` must be in \(0, inf\)"):
        pendulum.euler_map(0.0)
    with pytest.raises(ArgumentError, match=r"Argument `u` must have shape \(2,\)"):
        pendulum(torch.ones(3))
    with pytest.raises(
        ArgumentError, match="Argument `coefficients` must hold at least F_0 and F_1"
    ):
        PolynomialField([torch.ones(2)])
