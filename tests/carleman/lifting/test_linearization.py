"""Carleman linearisation against published rows, and against the Taylor polynomial of the t-step
map by other means.
"""

import tracemalloc

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.linalg.polynomial_map import PolynomialMap

DISCRETE_ROW = {1: 9.225776e-2, 2: 2.917393e-2, 4: 2.595810e-3, 8: 1.585670e-5}


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


def run(lift, u0, steps):
    z = lift.lift(u0)
    for _ in range(steps):
        z = lift.step(z)
    return lift.project(z)


def taylor_twin(f, u0, steps, order, eps_of_constant=1):
    """u(t; eps = 1) with u(0) and F_0 of degree 1 in eps, cut after eps^order: lists of NumPy
    vectors, no matrix anywhere.

    `eps_of_constant=0` leaves F_0 without its eps (what the homogenised form is not)."""
    F = [c.to_dense().numpy() for c in f.coefficients]
    n = f.size
    u = [np.zeros(n) for _ in range(order + 1)]
    u[1] = u0.numpy().copy()
    for _ in range(steps):
        powers = [[np.ones(1)] + [None] * order]  # powers[k][d]: coefficient of eps^d of u^(x)k
        for k in range(1, len(F)):
            row = []
            for d in range(order + 1):
                parts = [
                    np.kron(powers[k - 1][d - i], u[i])
                    for i in range(d + 1)
                    if powers[k - 1][d - i] is not None
                ]
                row.append(sum(parts) if parts else np.zeros(n**k))
            powers.append(row)
        new = [sum(F[k] @ powers[k][d] for k in range(1, len(F))) for d in range(order + 1)]
        new[eps_of_constant] = new[eps_of_constant] + F[0][:, 0]
        u = new
    return torch.from_numpy(sum(u))


@pytest.mark.parametrize("form", ["plain", "homogenised"])
@pytest.mark.parametrize("order", DISCRETE_ROW)
def test_discrete_map_row(logistic_step, order, form):
    error = (
        float(run(carleman_linearize(logistic_step, order, form), f64([0.5]), 10)) - 0.266596984142
    )
    assert abs(error) == pytest.approx(DISCRETE_ROW[order], rel=1e-6, abs=1e-12)


def test_the_matrix_is_the_map_s_and_not_that_of_an_ode(logistic_step):
    """I + h C of x' = -.1 x + .1 x^2 has 1 + 2 (-.1) = .8 where the map has .9^2 = .81."""
    A = carleman_linearize(logistic_step, 2, "plain").to_sparse().to_dense()
    np.testing.assert_allclose(A, [[0.9, 0.1], [0.0, 0.81]], atol=1e-15)
    euler, z = np.array([[0.9, 0.1], [0.0, 0.8]]), np.array([0.5, 0.25])
    for _ in range(10):
        z = euler @ z
    with pytest.raises(AssertionError):
        assert abs(z[0] - 0.266596984142) == pytest.approx(DISCRETE_ROW[2], rel=1e-6)
    assert (
        abs(z[0] - float(run(carleman_linearize(logistic_step, 2, "plain"), f64([0.5]), 10))) > 1e-3
    )


@pytest.mark.parametrize("form", ["plain", "homogenised"])
def test_beyond_the_radius_a_higher_order_is_worse(form):
    """x <- 1.1 x - .1 x^2 goes to 1, but the series in x_0 = .5 leaves its radius by 40 steps."""
    f = PolynomialMap([f64([0.0]), f64([[1.1]]), f64([[-0.1]])])
    truth = float(f.iterate(f64([0.5]), 40)[-1])
    errors = [
        abs(float(run(carleman_linearize(f, N, form), f64([0.5]), 40)) - truth)
        for N in (1, 2, 4, 8)
    ]
    assert 0.9 < truth < 1
    assert errors == sorted(errors)
    assert errors[-1] > 1e4
    near = [
        abs(
            float(run(carleman_linearize(f, N, form), f64([0.5]), 3))
            - float(f.iterate(f64([0.5]), 3)[-1])
        )
        for N in (1, 2, 4)
    ]
    assert near == sorted(near, reverse=True)
    assert near[-1] < 1e-3


@pytest.mark.parametrize("form", ["plain", "homogenised"])
def test_a_quadratic_loss_is_exact_at_order_one(quadratic_step, form):
    lift = carleman_linearize(quadratic_step, 1, form)
    np.testing.assert_allclose(
        run(lift, f64([0.0, 0.0]), 8), [0.99609375, 1.799774169922], atol=6e-13
    )
    np.testing.assert_allclose(
        run(lift, f64([0.3, -2.0]), 8), quadratic_step.iterate(f64([0.3, -2.0]), 8)[-1], rtol=1e-14
    )


@pytest.mark.parametrize(
    ("n", "degree", "order"), [(1, 3, 5), (2, 2, 1), (2, 3, 2), (3, 2, 3), (3, 3, 4), (2, 4, 3)]
)
@pytest.mark.parametrize("steps", [1, 4])
def test_homogenised_is_the_taylor_polynomial_of_the_t_step_map(
    random_step, n, degree, order, steps
):
    f = random_step(n, degree, seed=n + 10 * degree)
    u0 = 0.2 * torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(order))
    ours = run(carleman_linearize(f, order), u0, steps)
    torch.testing.assert_close(ours, taylor_twin(f, u0, steps, order), rtol=1e-12, atol=1e-14)
    if steps == 4 and order > 1:
        with pytest.raises(AssertionError):  # a series without the eps of F_0
            torch.testing.assert_close(
                ours, taylor_twin(f, u0, steps, order, eps_of_constant=0), rtol=1e-8, atol=1e-10
            )
        with pytest.raises(AssertionError):  # the plain form, taken for the homogenised one
            torch.testing.assert_close(
                ours, run(carleman_linearize(f, order, "plain"), u0, steps), rtol=1e-8, atol=1e-10
            )


def test_sympy_expands_the_same_polynomial():
    sympy = pytest.importorskip("sympy")
    eps = sympy.symbols("eps")
    F0, F1, F2, F3, x = (
        sympy.Rational(1, 7),
        sympy.Rational(4, 5),
        sympy.Rational(-1, 3),
        sympy.Rational(1, 5),
        sympy.Rational(1, 4),
    )
    u = eps * x
    for _ in range(3):
        u = sympy.expand(eps * F0 + F1 * u + F2 * u**2 + F3 * u**3)
    f = PolynomialMap([f64([float(F0)]), *(f64([[float(F)]]) for F in (F1, F2, F3))])
    for order in (1, 2, 3, 5):
        cut = sum(u.coeff(eps, k) for k in range(order + 1))
        assert float(run(carleman_linearize(f, order), f64([0.25]), 3)) == pytest.approx(
            float(cut), rel=1e-13
        )


def test_forms_agree_where_nothing_pulls(random_step):
    f = random_step(3, 3, seed=5)
    still = PolynomialMap([torch.zeros(3).double(), *f.coefficients[1:]])
    u0 = f64([0.1, -0.3, 0.2])
    both = [run(carleman_linearize(still, 3, form), u0, 4) for form in ("plain", "homogenised")]
    torch.testing.assert_close(*both, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("form", ["plain", "homogenised"])
def test_lift_holds_the_monomials_and_project_undoes_it(random_step, form):
    f, u = random_step(2, 2, seed=0), f64([2.0, -3.0])
    lift = carleman_linearize(f, 3, form)
    z = lift.lift(u)
    assert torch.equal(lift.project(z), u)
    plain = [u, torch.kron(u, u), torch.kron(u, torch.kron(u, u))]
    v = torch.cat([torch.ones(1).double(), u])
    full = [v[1:], torch.kron(v, v)[1:], torch.kron(v, torch.kron(v, v))[1:]]
    assert torch.equal(z, torch.cat(plain if form == "plain" else full))
    assert (lift.order, lift.dimension, lift.form, lift.size) == (3, len(z), form, 2)
    torch.testing.assert_close(lift.step(z), lift @ z + lift.offset)
    torch.testing.assert_close(lift @ z, lift.to_sparse().to_dense() @ z)


@pytest.mark.parametrize("form", ["plain", "homogenised"])
def test_one_step_is_exact_where_no_degree_is_cut(random_step, form):
    """A linear map has no degrees to cut: every monomial of the next point comes out, not the first
    block alone.
    """
    f = random_step(2, 1, seed=3)
    u = f64([0.7, -0.2])
    lift = carleman_linearize(f, 3, form)
    torch.testing.assert_close(lift.step(lift.lift(u)), lift.lift(f(u)), rtol=1e-13, atol=1e-15)


def test_published_sizes():
    def sparse_map(n):
        indices = torch.arange(n)
        F1 = torch.sparse_coo_tensor(
            torch.stack([indices, indices]), 0.5 * torch.ones(n), (n, n), check_invariants=True
        )
        return PolynomialMap([torch.zeros(n), F1])

    assert carleman_linearize(sparse_map(2), 5, "plain").dimension == 62
    assert carleman_linearize(sparse_map(16), 4, "plain").dimension == 69904
    assert carleman_linearize(sparse_map(2), 5).dimension == 3 + 9 + 27 + 81 + 243 - 5


def test_the_eigenvalue_one_of_the_constants_is_gone(random_step):
    f = random_step(2, 2, seed=1)
    radius = np.abs(np.linalg.eigvals(f.coefficients[1].numpy())).max()
    for form in ("plain", "homogenised"):
        A = (
            carleman_linearize(PolynomialMap([0 * f.coefficients[0], *f.coefficients[1:]]), 3, form)
            .to_sparse()
            .to_dense()
        )
        assert np.abs(np.linalg.eigvals(A.numpy())).max() == pytest.approx(radius, rel=1e-6)
    assert radius < 0.9


@pytest.mark.parametrize("form", ["plain", "homogenised"])
def test_rescaling_leaves_the_solution_and_changes_the_norm(random_step, form):
    f, u0 = random_step(2, 3, seed=4), f64([3.0, -2.0])
    lift, scaled = carleman_linearize(f, 3, form), carleman_linearize(f.rescaled(4.0), 3, form)
    torch.testing.assert_close(
        4.0 * run(scaled, u0 / 4.0, 5), run(lift, u0, 5), rtol=1e-12, atol=1e-13
    )
    wrong = carleman_linearize(
        PolynomialMap([4.0**k * F for k, F in enumerate(f.coefficients)]), 3, form
    )
    with pytest.raises(AssertionError):  # gamma^k instead of gamma^{k-1}
        torch.testing.assert_close(
            4.0 * run(wrong, u0 / 4.0, 5), run(lift, u0, 5), rtol=1e-3, atol=1e-3
        )
    norms = [
        float(torch.linalg.matrix_norm(each.to_sparse().to_dense(), 2)) for each in (lift, scaled)
    ]
    assert abs(norms[0] / norms[1] - 1) > 0.1


def test_a_new_pivot_on_the_way_makes_the_truncation_small_again():
    """x <- 1.1 x - .1 x^2: eight steps in one go, and four, a new pivot, and four more."""
    f, u0 = PolynomialMap([f64([0.0]), f64([[1.1]]), f64([[-0.1]])]), f64([0.3])
    truth = f.iterate(u0, 8)[-1]
    start = f.recentred(u0)
    straight = u0 + run(carleman_linearize(start, 2), f64([0.0]), 8)
    half = u0 + run(carleman_linearize(start, 2), f64([0.0]), 4)
    again = half + run(carleman_linearize(f.recentred(half), 2), f64([0.0]), 4)
    assert float((again - truth).abs()) < 0.4 * float((straight - truth).abs())


def test_an_order_past_the_limit_is_refused_before_memory_is_taken(random_step):
    f = random_step(12, 2, seed=0)
    tracemalloc.start()
    try:
        with pytest.raises(
            ArgumentError,
            match=(
                r"Argument `order` must leave the explicit matrix at most 1e\+08 entries .*, but"
                r" is 7"
            ),
        ):
            carleman_linearize(f, 7)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_errors(logistic_step):
    with pytest.raises(
        ArgumentError, match="Argument `order` must be an integer of at least 1, but is 0."
    ):
        carleman_linearize(logistic_step, 0)
    with pytest.raises(
        ArgumentError, match="Argument `form` must be one of 'homogenised', 'plain'"
    ):
        carleman_linearize(logistic_step, 2, "symmetric")
    with pytest.raises(ArgumentError, match=r"Argument `u` must have shape \(1,\)"):
        carleman_linearize(logistic_step, 2).lift(torch.ones(2))
