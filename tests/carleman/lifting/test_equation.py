"""Carleman linearisation of differential equations against closed forms and published figures."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from qdescent._checks import ArgumentError
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.linalg.polynomial_field import PolynomialField

FORMS = ["plain", "homogenised"]


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


def logistic(a, b):
    return PolynomialField([f64([0.0]), f64([[a]]), f64([[b]])])


def at_time(field, order, x0, t, form="plain", symmetric=False):
    lift = carleman_linearize(field, order, form, symmetric)
    C = lift.to_sparse().to_dense().numpy()
    assert not bool(lift.offset.any())
    return float((expm(C * t) @ lift.lift(f64([x0])).numpy())[0])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize(
    ("order", "row"), [(1, 1.700034e-1), (2, 5.373132e-2), (4, 5.367442e-3), (8, 5.356080e-5)]
)
def test_logistic_row(order, row, form, symmetric):
    found = at_time(logistic(-1.0, 0.5), order, 1.0, 1.0, form, symmetric)
    q = 0.5 / -1.0 * (math.exp(-1) - 1)
    closed = math.exp(-1) * (1 - q**order) / (1 - q)
    assert found == pytest.approx(closed, rel=1e-12)
    assert abs(found - 0.537882842740) == pytest.approx(row, rel=1e-6, abs=1e-12)


def test_logistic_that_must_diverge():
    truth = 0.5 * math.e**2 / (1 + 0.5 * (math.e**2 - 1))
    errors = [abs(at_time(logistic(1.0, -1.0), order, 0.5, 2.0) - truth) for order in (1, 2, 4, 8)]
    assert [float(f"{error:.3g}") for error in errors[:3]] == [2.81, 8.99, 91.7]
    assert errors[3] == pytest.approx(9552.8, abs=0.05)


@pytest.mark.parametrize("form", FORMS)
def test_an_euler_step_of_the_equation_is_not_the_linearised_euler_step(form):
    """I + h C has 1 + 2 h a where the linearised map has (1 + h a)^2."""
    field, h = logistic(-1.0, 0.5), 0.1
    equation = carleman_linearize(field, 2, form).euler_step(h).to_sparse().to_dense()
    step = carleman_linearize(field.euler_map(h), 2, form).to_sparse().to_dense()
    assert float(equation[-1, -1]) == pytest.approx(1 - 2 * h, rel=1e-14)
    assert float(step[-1, -1]) == pytest.approx((1 - h) ** 2, rel=1e-14)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(equation, step, rtol=1e-3, atol=1e-3)


def burgers(points=16, reynolds=20.0):
    """Liu et al. (2021), section 7: conservative differences, boundary rows zero, an oscillating
    source.
    """
    dx, u0 = 1 / (points - 1), 1 / math.sqrt(points - 1)
    x = torch.linspace(-0.5, 0.5, points, dtype=torch.float64)
    F1, F2 = torch.zeros(points, points).double(), torch.zeros(points, points**2).double()
    for i in range(1, points - 1):
        F1[i, i - 1 : i + 2] = f64([1.0, -2.0, 1.0]) * u0 / reynolds / dx**2
        F2[i, (i + 1) * points + i + 1], F2[i, (i - 1) * points + i - 1] = (
            -1 / (4 * dx),
            1 / (4 * dx),
        )
    source = u0 * torch.exp(-((x - 0.25) ** 2) / (2 / 32**2))
    field = PolynomialField(
        [0 * x, F1.to_sparse(), F2.to_sparse()], lambda t: source * math.cos(2 * math.pi * t)
    )
    return field, -u0 * torch.sin(2 * math.pi * x), source


@pytest.fixture(scope="module")
def burgers_truth():
    field, start, source = burgers()
    F1, F2 = (F.to_dense().numpy() for F in field.coefficients[1:])

    def rate(t, u):
        return source.numpy() * math.cos(2 * math.pi * t) + F1 @ u + F2 @ np.kron(u, u)

    return solve_ivp(
        rate, (0, 3), start.numpy(), rtol=1e-9, atol=1e-11, t_eval=np.linspace(0, 3, 4000)
    ).y.T


def test_burgers_is_the_published_problem():
    field, start, source = burgers()
    F1, F2 = (F.to_dense() for F in field.coefficients[1:])
    eigenvalues = torch.linalg.eigvalsh(F1[1:-1, 1:-1])
    norm = float(torch.linalg.matrix_norm(F2, 2))
    assert norm == pytest.approx(7.355889603, abs=1e-9)
    assert float(eigenvalues.max()) == pytest.approx(-0.126950967649, abs=1e-12)
    R = (float(start.norm()) * norm + float(source.norm() / start.norm())) / 0.126950967649
    assert pytest.approx(43.59302, abs=1e-5) == R


@pytest.mark.parametrize(
    ("order", "row", "published"), [(1, 0.123333, 0.12316), (2, 0.058947, 0.05907)]
)
def test_burgers_error_is_the_published_one(burgers_truth, order, row, published):
    field, start, _ = burgers()
    path = carleman_linearize(field, order, "plain").integrate(start, 3 / 3999, 3999).numpy()
    error = np.linalg.norm(path - burgers_truth, axis=1).max()
    assert error == pytest.approx(row, abs=1e-6)
    assert error == pytest.approx(published, rel=0.01)
    if order == 2:  # a source that stands still is another problem
        still = PolynomialField([field.forcing(0.0), *field.coefficients[1:]])
        other = carleman_linearize(still, order, "plain").integrate(start, 3 / 3999, 3999).numpy()
        assert np.linalg.norm(other - burgers_truth, axis=1).max() > 2 * row


def test_burgers_compressed_is_full():
    field, start, _ = burgers()
    full, small = (
        carleman_linearize(field, 4, "plain", symmetric).integrate(start, 3 / 3999, 12)
        for symmetric in (False, True)
    )
    assert [
        carleman_linearize(field, 4, "plain", symmetric).dimension for symmetric in (False, True)
    ] == [69904, 4844]
    torch.testing.assert_close(small, full, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("symmetric", [False, True])
def test_a_forcing_in_time_is_that_constant_at_each_moment(form, symmetric):
    """The fast update against linearising from nothing at time t."""
    generator = torch.Generator().manual_seed(0)
    terms = [torch.randn(2, 2**k, dtype=torch.float64, generator=generator) for k in range(3)]
    field = PolynomialField(terms, lambda t: f64([math.sin(t), 2.0 + t]))
    lift = carleman_linearize(field, 3, form, symmetric)
    for t in (0.0, 0.7):
        at_once = carleman_linearize(PolynomialField(field.at(t)), 3, form, symmetric)
        C, c = lift.at(t)
        np.testing.assert_allclose(C.toarray(), at_once.rows.toarray(), rtol=1e-14, atol=1e-14)
        torch.testing.assert_close(c, at_once.offset)
        z = torch.randn(lift.dimension, dtype=torch.float64, generator=generator)
        torch.testing.assert_close(
            lift.derivative(z, t), at_once.derivative(z), rtol=1e-12, atol=1e-12
        )
        torch.testing.assert_close(
            lift.euler_step(0.1, t).step(z), z + 0.1 * lift.derivative(z, t), rtol=1e-12, atol=1e-12
        )
    u = f64([0.1, -0.2])
    z = lift.lift(u)
    for t in range(4):
        z = lift.euler_step(0.05, 0.05 * t).step(z)
    torch.testing.assert_close(
        lift.integrate(u, 0.05, 4)[-1], lift.project(z), rtol=1e-12, atol=1e-14
    )


def test_errors():
    lift = carleman_linearize(logistic(-1.0, 0.5), 2)
    with pytest.raises(ArgumentError, match=r"Argument `step` must be in \(0, inf\), but is 0.0."):
        lift.euler_step(0.0)
    with pytest.raises(ArgumentError, match="Argument `steps` must be an integer of at least 1"):
        lift.integrate(torch.ones(1), 0.1, 0)
    with pytest.raises(ArgumentError, match=r"Argument `u0` must have shape \(1,\)"):
        lift.integrate(torch.ones(2), 0.1, 1)
