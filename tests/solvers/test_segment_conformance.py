"""Every way to the end of a segment on the same made-up maps: fast-forward, by products and as a
circuit, beside each solver of the table of conformance on the history system.
"""

import numpy as np
import pytest
import torch
from solvers.conformance import conformance

import qdescent as qd
from qdescent.solvers.segment.map_segment import SegmentStatus, fast_forward_map
from qdescent.solvers.solve import Status, solve

SOLVERS = conformance()
EPSILON = 1e-6


def coupling(rng, n, size):
    """F_2 of a gradient: symmetric in all three places."""
    found = rng.standard_normal((n, n, n))
    turned = [found.transpose(p) for p in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1),
                                           (2, 1, 0))]  # fmt: skip
    return size * np.mean(turned, axis=0).reshape(n, n * n)


def rotated(rng, values):
    q, _ = np.linalg.qr(rng.standard_normal((len(values),) * 2))
    return q @ np.diag(values) @ q.T


def contraction(rng, n):
    return rotated(rng, rng.uniform(0.1, 0.8, n)), rng.standard_normal(n)


def neutral(rng, n):
    """A mode that stands still, and one that alternates."""
    values = np.concatenate([[1.0, -0.6], rng.uniform(0, 0.9, n)])[:n]
    return rotated(rng, values), 0.1 * rng.standard_normal(n)


def growing(rng, n):
    return rotated(rng, np.linspace(1.05, 0.2, n)), 0.1 * rng.standard_normal(n)


def diagonal(rng, n):
    return np.diag(np.linspace(0.9, 0.5, n)), np.eye(n)[0]


def tiny(rng, n):
    """Units in which everything is small, and nothing shrinks."""
    return np.eye(n) - 1e-6 * np.diag(np.arange(n)), 1e-9 * rng.standard_normal(n)


KINDS = {f.__name__: f for f in (contraction, neutral, growing, diagonal, tiny)}
CASES = [(kind, n, order) for kind in KINDS for n in (1, 3) for order in (1, 2)]


def made_up(kind, n, seed):
    """A map of this kind."""
    rng = np.random.default_rng([seed, n])
    F1, F0 = KINDS[kind](rng, n)
    F2 = coupling(rng, n, 0.05 / max(np.linalg.norm(F0), 1e-3))
    return qd.PolynomialMap([torch.tensor(F).double() for F in (F0, F1, F2)])


def stepped(f, steps):
    """u_1(T), and u_1(T) + u_2(T), one step after the other."""
    F0, F1, F2 = (F.to_dense().numpy() for F in f.coefficients)
    first = second = np.zeros(f.size)
    for _ in range(steps):
        first, second = F0.ravel() + F1 @ first, F1 @ second + F2 @ np.kron(first, first)
    return first, first + second


def distance(found, exact):
    return float(np.linalg.norm(np.asarray(found) - exact) / np.linalg.norm(exact))


@pytest.mark.parametrize("steps", [1, 24])
@pytest.mark.parametrize(("kind", "n", "order"), CASES)
def test_planted_answer(kind, n, order, steps):
    f = made_up(kind, n, seed=1)
    exact = stepped(f, steps)
    found = fast_forward_map(f, steps, order, EPSILON)
    assert found.status is SegmentStatus.REACHED
    assert distance(found.value, exact[order - 1]) <= found.bound <= EPSILON
    assert found.cost.number("queries") == found.cost.number("declared_queries")
    # planted wrong: the other order's answer
    if distance(exact[0], exact[1]) > 2 * EPSILON:
        assert distance(found.value, exact[2 - order]) > found.bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_has_the_map_s_precision(kind, dtype):
    f = made_up(kind, 3, seed=2)
    f = qd.PolynomialMap([F.to(dtype) for F in f.coefficients])
    found = fast_forward_map(f, 9, 2, 1e-5)
    assert found.value.dtype == dtype
    assert distance(found.value.double(), stepped(made_up(kind, 3, seed=2), 9)[1]) < 3e-5


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("kind", ["contraction", "neutral", "diagonal"])
def test_every_solver_of_a_history_ends_where_it_does(kind, name):
    f, steps = made_up(kind, 2, seed=3), 4
    lift = qd.carleman_linearize(f, 2)
    system = qd.history_system(lift, torch.zeros(2).double(), steps, padding=2)
    solver, tolerance = SOLVERS[name].solver, SOLVERS[name].error
    found = solve(system, solver)
    assert found.status is Status.SOLVED
    ours = fast_forward_map(f, steps, 2, EPSILON)
    # what a solver promises is relative to the whole history
    size = float(found.value.norm() / ours.value.norm())
    assert distance(found.answer, ours.value.numpy()) <= tolerance * size + ours.bound


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=() if kind in ("contraction", "neutral") else pytest.mark.slow)
        for kind in KINDS
    ],
)
@pytest.mark.parametrize("order", [1, 2])
def test_a_circuit_is_counted_as_declared(kind, order):
    """Gates and products of the same polynomials; every query of both is one that was declared, and
    the nodes share them: 2 d_B + 1 + d_A at order 2.
    """
    f, steps, epsilon = made_up(kind, 2, seed=4), 5, 1e-3
    found = fast_forward_map(f, steps, order, epsilon, circuit=True)
    products = fast_forward_map(f, steps, order, epsilon)
    exact = stepped(f, steps)[order - 1]
    assert found.status is SegmentStatus.REACHED
    assert distance(found.value, exact) <= found.bound <= epsilon
    used = found.cost.number("queries")
    assert used == found.cost.number("declared_queries") == products.cost.number("queries")
    if order == 2 and kind != "tiny":  # there one node is enough
        assert found.nodes > 1
        one = fast_forward_map(f, steps, order, epsilon, nodes=1)
        assert used < found.nodes * one.cost.number("queries")
