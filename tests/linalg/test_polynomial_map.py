"""Polynomial maps against index notation."""

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.learning.descent.sgd import SGD, step_change
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.polynomial_terms import to_scipy


def by_indices(f, u):
    """F_0 + F_1 u + sum_ij F_2[:, i n + j] u_i u_j + ..., each tensor index written out."""
    n = f.size
    F0, F1, F2, F3 = (F.numpy() for F in f.coefficients)
    u = u.numpy()
    second = np.einsum("aij,i,j->a", F2.reshape(n, n, n), u, u)
    return F0[:, 0] + F1 @ u + second + np.einsum("aijk,i,j,k->a", F3.reshape(n, n, n, n), u, u, u)


@pytest.mark.parametrize("sparse", [False, True])
def test_value_is_the_polynomial(random_step, sparse):
    f = random_step(3, 3, seed=0)
    u = torch.tensor([0.3, -1.0, 2.0]).double()
    expected = by_indices(f, u)
    if sparse:
        f = PolynomialMap([F.to_sparse() for F in f.coefficients])
    np.testing.assert_allclose(f(u), expected, rtol=1e-13)
    for ours, given in zip(map(to_scipy, f.coefficients), f.coefficients, strict=True):
        np.testing.assert_array_equal(ours.toarray(), given.to_dense() if sparse else given)
    assert (f.size, f.degree) == (3, 3)


def test_a_sparse_constant_may_be_a_vector():
    f = PolynomialMap([torch.tensor([0.0, 2.0]).to_sparse(), torch.eye(2).to_sparse()])
    assert f(torch.tensor([1.0, 1.0])).tolist() == [1.0, 3.0]


def test_column_order_is_that_of_kron():
    """On different factors, which a symmetric argument u (x) u cannot tell apart."""
    F2 = torch.zeros(2, 4).double()
    F2[0, 1] = 1.0  # i_1 = 0, i_2 = 1
    block = to_scipy(F2).toarray()
    a, b = np.array([2.0, 3.0]), np.array([5.0, 7.0])
    assert (block @ np.kron(a, b))[0] == 2 * 7
    assert (block @ np.kron(b, a))[0] == 5 * 3


def test_trajectory(logistic_step, quadratic_step):
    assert float(logistic_step.iterate(torch.tensor([0.5]).double(), 10)[-1]) == pytest.approx(
        0.266596984142, abs=6e-13
    )
    path = quadratic_step.iterate(torch.zeros(2).double(), 8)
    assert path.shape == (9, 2)
    np.testing.assert_allclose(path[-1], [0.99609375, 1.799774169922], atol=6e-13)


@pytest.mark.parametrize("sparse", [False, True])
def test_rescaled_and_recentred_are_the_same_iteration(random_step, sparse):
    f, u, pivot = (
        random_step(3, 4, seed=1),
        torch.tensor([0.3, -1.0, 2.0]).double(),
        torch.tensor([0.5, 0.1, -0.7]).double(),
    )
    given = PolynomialMap([F.to_sparse() for F in f.coefficients]) if sparse else f
    torch.testing.assert_close(3.0 * given.rescaled(3.0)(u / 3.0), f(u), rtol=1e-12, atol=1e-13)
    moved = given.recentred(pivot)
    torch.testing.assert_close(moved(u - pivot) + pivot, f(u), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(moved.recentred(-pivot)(u), f(u), rtol=1e-11, atol=1e-12)
    assert all(F.is_sparse == sparse for F in moved.coefficients[1:])
    cut = PolynomialMap([*moved.coefficients[:-1], 0 * moved.coefficients[-1].to_dense()])
    with pytest.raises(AssertionError):  # a re-pivoting that is not exact
        torch.testing.assert_close(cut(u - pivot) + pivot, f(u), rtol=1e-3, atol=1e-3)


def test_a_sparse_map_of_many_variables_needs_no_kronecker_power():
    n = 5000
    place = torch.arange(n)
    F1 = torch.sparse_coo_tensor(
        torch.stack([place, place]), 0.5 * torch.ones(n).double(), (n, n), check_invariants=True
    )
    F3 = torch.sparse_coo_tensor(
        torch.stack([place, (place * n + place) * n + place.flip(0)]),
        torch.ones(n).double(),
        (n, n**3),
        check_invariants=True,
    )
    empty = torch.sparse_coo_tensor(
        torch.zeros(2, 0).long(), torch.zeros(0).double(), (n, n**2), check_invariants=True
    )
    u = torch.linspace(-1, 1, n, dtype=torch.float64)
    torch.testing.assert_close(
        PolynomialMap([torch.zeros(n).double(), F1, empty, F3])(u), 0.5 * u + u**2 * u.flip(0)
    )


@pytest.mark.parametrize("sparse", [False, True])
def test_momentum_is_the_heavy_ball(random_step, sparse):
    f = random_step(2, 3, seed=2)
    heavy = PolynomialMap([F.to_sparse() for F in f.coefficients]) if sparse else f
    u, v = torch.tensor([0.3, -0.5]).double(), torch.tensor([0.1, 0.2]).double()
    path = heavy.with_momentum(0.9).iterate(torch.cat([u, v]), 4)
    for step in range(4):
        v = 0.9 * v + (f(u) - u)
        u = u + v
        torch.testing.assert_close(path[step + 1], torch.cat([u, v]), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    "given",
    [{"dampening": 0.3}, {"nesterov": True}, {"shrink": 0.2}, {"nesterov": True, "shrink": 0.2}],
    ids=str,
)
def test_momentum_in_every_form(random_step, given, sparse):
    """Against the rule itself, step by step; the velocity of the map is -eta that of the rule."""
    f, eta = random_step(2, 3, seed=2), 0.1
    pivot = torch.tensor([0.7, -0.2]).double() if "shrink" in given else None
    decay = given.get("shrink", 0.0) / eta
    rule = SGD(
        eta, 0.9, decay, given.get("dampening", 0.0), given.get("nesterov", False), decoupled=True
    )
    theta = torch.zeros(2).double() if pivot is None else pivot
    whole = PolynomialMap([F.to_sparse() for F in f.coefficients]) if sparse else f
    u, v = torch.tensor([0.3, -0.5]).double(), torch.tensor([0.1, 0.2]).double()
    path = whole.with_momentum(0.9, **given, pivot=pivot).iterate(torch.cat([u, v]), 3)
    plain = whole.with_momentum(0.9).iterate(torch.cat([u, v]), 3)  # planted: the form forgotten
    assert float((plain[3] - path[3]).norm()) > 1e-2
    v = -v / eta
    for step in range(3):
        change, v = step_change(rule, (u - f(u)) / eta, u, theta, v)
        u = u + change
        torch.testing.assert_close(path[step + 1], torch.cat([u, -eta * v]), rtol=1e-12, atol=1e-12)


def test_errors():
    one, eye = torch.ones(2), torch.eye(2)
    with pytest.raises(
        ArgumentError,
        match="Argument `coefficients` must hold at least F_0 and F_1, but is 1 of them.",
    ):
        PolynomialMap([one])
    with pytest.raises(
        ArgumentError,
        match=r"Argument `coefficients\[2\]` must have shape \(2, 4\), but is of shape \(2, 2\).",
    ):
        PolynomialMap([one, eye, eye])
    with pytest.raises(ArgumentError, match=r"Argument `coefficients\[1\]` must be finite"):
        PolynomialMap([one, (eye / 0).to_sparse()])
    with pytest.raises(ArgumentError, match=r"Argument `u` must have shape \(2,\)"):
        PolynomialMap([one, eye])(torch.ones(3))
    assert PolynomialMap([one, 0.5 * eye])(torch.ones(2, dtype=torch.int64)).tolist() == [1.5, 1.5]
    assert PolynomialMap([one, eye.long()]).coefficients[1].dtype is torch.float64
    for coefficients in ([one, 1j * eye], [1j * one, eye]):
        with pytest.raises(
            ArgumentError, match=r"Argument `coefficients\[[01]\]` must hold real numbers"
        ):
            PolynomialMap(coefficients)
    with pytest.raises(ArgumentError, match=r"Argument `u` must hold real numbers"):
        PolynomialMap([one, eye])(1j * one)
    with pytest.raises(ArgumentError, match=r"Argument `pivot` must hold real numbers"):
        PolynomialMap([one, eye]).recentred(1j * one)
    for none in (0.5, "F0", {0: one}, one):
        with pytest.raises(
            ArgumentError, match=r"Argument `coefficients` must be a list of F_0, F_1, ..."
        ):
            PolynomialMap(none)
    with pytest.raises(
        ArgumentError, match=r"Argument `coefficients\[0\]` must have shape \(n,\) or \(n, 1\)"
    ):
        PolynomialMap([0.1, 0.5])
    with pytest.raises(ArgumentError, match=r"Argument `gamma` must be in \(0, inf\), but is 0.0."):
        PolynomialMap([one, eye]).rescaled(0.0)
    with pytest.raises(ArgumentError, match=r"Argument `pivot` must have shape \(2,\)"):
        PolynomialMap([one, eye]).recentred(torch.ones(3))
    with pytest.raises(ArgumentError, match=r"Argument `momentum` must be in \[0, 1\)"):
        PolynomialMap([one, eye]).with_momentum(1.0)


@pytest.mark.parametrize("unit", [2.0**-600, 2.0**600, 2.0**-1000])
@pytest.mark.parametrize("sparse", [False, True])
def test_powers_that_are_no_numbers_are_never_taken(unit, sparse):
    """u of size `unit` and F_k of size unit^{1-k}: the trajectory is that in units of it, bit for
    bit, though u (x) u is 0 or infinite.
    """
    n = torch.Generator().manual_seed(1)
    F = [torch.randn(3, 3**k, generator=n, dtype=torch.float64) / 9 for k in range(3)]
    plain = PolynomialMap([F[0][:, 0], *F[1:]]).iterate(torch.zeros(3, dtype=torch.float64), 4)
    scaled = [F[0][:, 0] * unit, F[1], F[2] / unit]
    scaled = [x.to_sparse() if sparse and k else x for k, x in enumerate(scaled)]
    found = PolynomialMap(scaled).iterate(torch.zeros(3, dtype=torch.float64), 4)
    torch.testing.assert_close(found / unit, plain, rtol=1e-14, atol=0)
