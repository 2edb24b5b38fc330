"""Chebyshev series and the polynomials for 1/x, against closed forms and published degrees."""

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.chebyshev import (
    chebyshev_value,
    childs_kothari_somma_inverse,
    filter_value,
    inverse_degree,
    kernel_filter,
    minimax_inverse,
)
from qdescent.linalg.chebyshev_transforms import apply_even_transform, apply_odd_transform
from qdescent.linalg.operator import LinearOperator, as_operator


@pytest.mark.parametrize(("kappa", "epsilon"), [(1.01, 0.3), (5, 1e-2), (60, 1e-4), (400, 1e-6)])
def test_minimax_reaches_its_error_and_equioscillates(kappa, epsilon):
    q = minimax_inverse(kappa, epsilon)
    x = np.linspace(1 / kappa, 1, 100_001)
    residual = x * chebyshev_value(q.coefficients, x) - 1
    assert np.abs(residual).max() == pytest.approx(q.error, rel=1e-5)
    assert q.error <= epsilon
    # Chebyshev's criterion: m + 1 alternations of the even residual of degree 2m make it the best
    # of its degree.
    m, c = (q.degree + 1) // 2, kappa**-2
    extremes = np.sqrt((1 + c - (1 - c) * np.cos(np.arange(m + 1) * np.pi / m)) / 2)
    residual = extremes * chebyshev_value(q.coefficients, extremes) - 1
    np.testing.assert_allclose(residual, q.error * -((-1.0) ** np.arange(m + 1)), rtol=1e-6)


def test_one_degree_less_does_not_reach_epsilon():
    kappa, epsilon = 30.0, 1e-3
    degree = inverse_degree(kappa, epsilon)
    y0 = (kappa**2 + 1) / (kappa**2 - 1)
    values = [np.cosh(m * np.arccosh(y0)) for m in ((degree + 1) // 2, (degree - 1) // 2)]
    assert 1 / values[0] <= epsilon < 1 / values[1]
    assert degree == pytest.approx(kappa * np.log(2 / epsilon), rel=0.02)


def test_supremum_is_the_maximum_on_the_whole_interval():
    for kappa in (2.0, 25.0, 200.0):
        q = minimax_inverse(kappa, 1e-4)
        x = np.linspace(-1, 1, 50_001)
        assert np.abs(chebyshev_value(q.coefficients, x)).max() == pytest.approx(
            q.supremum, rel=1e-3
        )
        assert not q.coefficients[::2].any()


@pytest.mark.parametrize(
    ("kappa", "epsilon", "degree", "error"),
    [(5, 0.01, 83, 8.929e-3), (10, 0.01, 185, 9.735e-3), (100, 1e-3, 3031, 9.995e-4)],
)
def test_childs_kothari_somma_rows(kappa, epsilon, degree, error):
    q = childs_kothari_somma_inverse(kappa, epsilon)
    x = np.linspace(1 / kappa, 1, 200_001)
    assert q.degree == degree
    assert np.abs(chebyshev_value(q.coefficients, x) - 1 / x).max() == pytest.approx(
        error, rel=1e-3
    )
    assert minimax_inverse(kappa, epsilon).degree < degree


def test_transform_is_the_singular_value_transform():
    generator = torch.Generator().manual_seed(1)
    matrix = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    matrix = matrix / torch.linalg.matrix_norm(matrix, 2)
    b = torch.randn(6, generator=generator, dtype=torch.float64)
    coefficients = np.array([0, 0.3, 0, -0.5, 0, 0.2])
    W, S, Vh = torch.linalg.svd(matrix, full_matrices=False)
    expected = Vh.mT @ (torch.as_tensor(chebyshev_value(coefficients, S.numpy())) * (W.mT @ b))
    found = apply_odd_transform(coefficients, as_operator(matrix), b)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)
    square = matrix[:4]
    # planted: the transform of the wrong side
    wrong = apply_odd_transform(coefficients, as_operator(square.mT), b[:4])
    assert (wrong - apply_odd_transform(coefficients, as_operator(square), b[:4])).norm() > 1e-2


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("degree", [0, 1, 2, 5, 8])
def test_transforms_of_either_parity_real_and_complex(degree, dtype):
    generator = torch.Generator().manual_seed(2)
    matrix = torch.randn(5, 3, generator=generator, dtype=dtype)
    matrix = matrix / torch.linalg.matrix_norm(matrix, 2)
    coefficients = np.zeros(degree + 1)
    coefficients[degree::-2] = np.random.default_rng(degree).normal(
        size=len(coefficients[degree::-2])
    )
    W, S, Vh = torch.linalg.svd(matrix, full_matrices=False)
    p = torch.as_tensor(chebyshev_value(coefficients, S.numpy())).to(dtype)
    if degree % 2:
        v = torch.randn(5, generator=generator, dtype=dtype)
        found, expected = (
            apply_odd_transform(coefficients, as_operator(matrix), v),
            Vh.mH @ (p * (W.mH @ v)),
        )
    else:
        v = torch.randn(3, generator=generator, dtype=dtype)
        found, expected = (
            apply_even_transform(coefficients, as_operator(matrix), v),
            Vh.mH @ (p * (Vh @ v)),
        )
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


def test_a_transform_does_not_overwrite_what_an_operator_returns():
    """An operator may return its argument itself: the identity."""
    same = LinearOperator((3, 3), lambda x: x, lambda x: x)
    v = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    assert apply_even_transform([0.5, 0, 0.25, 0, 0.125], same, v).tolist() == pytest.approx(
        (0.875 * v).tolist()
    )
    assert apply_odd_transform([0, 0.5, 0, 0.25], same, v).tolist() == pytest.approx(
        (0.75 * v).tolist()
    )
    assert v.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(("kappa", "epsilon"), [(1.01, 0.3), (5, 1e-2), (60, 1e-4), (400, 1e-7)])
def test_kernel_filter_is_one_at_zero_and_small_beyond_the_gap(kappa, epsilon):
    R = kernel_filter(kappa, epsilon)
    assert R.degree % 2 == 0
    assert chebyshev_value(R.coefficients, 0.0) == pytest.approx(1, abs=1e-12)
    x = np.linspace(1 / kappa, 1, 50_001)
    assert np.abs(chebyshev_value(R.coefficients, x)).max() == pytest.approx(R.error, rel=1e-5)
    assert R.error <= epsilon
    below = np.linspace(0, 1 / kappa, 999)
    value = chebyshev_value(R.coefficients, below)
    # it falls from 1: what is too near to the kernel is kept in part
    assert (np.diff(value) < 1e-12).all()
    np.testing.assert_allclose(filter_value(kappa, R.degree, below), value, atol=1e-11)
    q = minimax_inverse(kappa, epsilon)
    np.testing.assert_allclose(
        1 - below * chebyshev_value(q.coefficients, below), value, atol=1e-11
    )
    # one degree less does not reach epsilon
    assert abs(filter_value(kappa, R.degree - 2, 1 / kappa)) > epsilon or R.degree == 2


def test_refusals():
    with pytest.raises(ArgumentError, match="end with an even degree"):
        apply_even_transform([0.0, 1.0], as_operator(torch.eye(2)), torch.ones(2))
    with pytest.raises(ArgumentError, match=r"Argument `kappa` must be in \(1, inf\), but is 1"):
        minimax_inverse(1.0, 1e-2)
    with pytest.raises(ArgumentError, match=r"Argument `epsilon` must be in \(0, 1\), but is 0"):
        minimax_inverse(2.0, 0.0)
    with pytest.raises(ArgumentError, match="end with an odd degree"):
        apply_odd_transform([1.0, 0.0, 1.0], as_operator(torch.eye(2)), torch.ones(2))
    with pytest.raises(ArgumentError, match="declare its adjoint"):
        apply_odd_transform([0.0, 1.0], LinearOperator((2, 2), lambda x: x), torch.ones(2))


@pytest.mark.parametrize("build", [minimax_inverse, kernel_filter])
def test_a_polynomial_that_no_machine_holds_is_refused(build):
    with pytest.raises(
        ArgumentError,
        match=(
            r"Argument `kappa` must leave the polynomial at most 1e\+08 coefficients, but is"
            r" 1e\+10."
        ),
    ):
        build(1e10, 1e-3)
