"""Every classical solver on every system with a known answer; failure is a value."""

import numpy as np
import pytest
import torch
from arguments.fine import COUNT, UNIT
from solvers.conformance import Conformance

from qdescent._checks import ArgumentError
from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.linalg.linear_system import LinearSystem
from qdescent.solvers.classical import GMRES, Direct
from qdescent.solvers.solve import Status, solve

CONFORMANCE = {
    "Direct": Conformance(solver=Direct(), error=1e-11),
    "GMRES": Conformance(
        solver=GMRES(tolerance=1e-12),
        error=1e-9,
        fine={"tolerance": UNIT, "restart": COUNT, "limit": (*COUNT, "10**9")},
    ),
}
SOLVERS = [Direct(), GMRES(), GMRES(tolerance=1e-12, restart=5, limit=2000)]


def f64(values):
    return torch.as_tensor(values, dtype=torch.float64)


def planted(n, seed):
    rng = np.random.default_rng(seed)
    M, z = f64(rng.standard_normal((n, n)) + 2 * n**0.5 * np.eye(n)), f64(rng.standard_normal(n))
    return LinearSystem(M, M @ z), z


def two_by_two():
    return LinearSystem(f64([[1, -1 / 3], [-1 / 3, 1]]), f64([1.0, 0.0])), f64([1.125, 0.375])


def four_by_four():
    M = f64(
        [
            [0.78, -0.01, -0.16, -0.1],
            [-0.01, 0.57, -0.03, 0.08],
            [-0.16, -0.03, 0.69, -0.15],
            [-0.1, 0.08, -0.15, 0.88],
        ]
    )
    return LinearSystem(M.to_sparse(), torch.ones(4).double()), f64(
        [0.51643917, 0.43808850, 0.60597747, 0.41732523]
    )


SYSTEMS = {
    "2x2": two_by_two,
    "random": lambda: planted(30, 0),
    "not symmetric, other seed": lambda: planted(7, 1),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", SYSTEMS)
def test_planted_answers(name, solver):
    system, z = SYSTEMS[name]()
    found = solve(system, solver)
    assert found.status is Status.SOLVED
    assert float((found.value - z).norm()) < 1e-9 * float(z.norm())
    assert found.residual == pytest.approx(
        float((system.matrix @ found.value - system.rhs).norm() / system.rhs.norm()), abs=1e-15
    )
    assert found.value.dtype == torch.float64
    wrong = torch.linalg.solve(system.matrix.T, system.rhs)  # the transposed system
    assert name == "2x2" or float((wrong - z).norm()) > 1e-3


@pytest.mark.parametrize("solver", SOLVERS)
def test_published_directions(solver):
    system, direction = four_by_four()
    value = solve(system, solver).value
    np.testing.assert_allclose(value / value.norm(), direction, atol=6e-9)
    toeplitz = (
        torch.eye(8).double()
        - (torch.diag(torch.ones(7), 1) + torch.diag(torch.ones(7), -1)).double() / 3
    )
    system = LinearSystem(toeplitz.to_sparse(), torch.eye(8).double()[0])
    assert float(solve(system, solver).value.norm()) == pytest.approx(1.2399109034, abs=6e-11)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("padding", [0, 3])
def test_history_row(quadratic_step, solver, padding):
    system = history_system(carleman_linearize(quadratic_step, 1), torch.zeros(2), 8, padding)
    np.testing.assert_allclose(
        solve(system, solver).answer, [0.99609375, 1.799774169922], atol=1e-9
    )


def test_a_singular_matrix_is_an_outcome():
    system = LinearSystem(f64([[1.0, 1.0], [1.0, 1.0]]), f64([1.0, 0.0]))
    found = solve(system, Direct())
    assert found.status is Status.SINGULAR
    assert "singular" in found.status
    assert found.residual == found.bound == float("inf")
    assert solve(system, GMRES()).status is Status.NOT_CONVERGED


def test_an_iteration_limit_is_an_outcome():
    n = 60
    shift = torch.diag(torch.ones(n - 1).double(), -1)
    shift[0, -1] = 1.0  # a cyclic shift: GMRES stands still for n - 1 steps
    found = solve(LinearSystem(shift, torch.eye(n).double()[0]), GMRES(restart=5, limit=3))
    assert found.status is Status.NOT_CONVERGED
    assert "limit" in found.status


def test_errors():
    with pytest.raises(ArgumentError, match=r"Argument `tolerance` must be in \(0, 1\), but is 0."):
        GMRES(tolerance=0)
    with pytest.raises(ArgumentError, match="Argument `restart` must be an integer of at least 1"):
        GMRES(restart=0)
    with pytest.raises(ArgumentError, match="Argument `limit` must be an integer of at least 1"):
        GMRES(limit=0)
