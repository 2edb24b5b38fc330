"""Classical solvers in single precision, and the bound that they state."""

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.linear_system import LinearSystem
from qdescent.solvers.classical import GMRES, Direct
from qdescent.solvers.solve import Solution, Status, solve


@pytest.mark.parametrize("solver", [Direct(), GMRES(tolerance=1e-5)])
def test_a_single_precision_system_is_solved(solver):
    torch.manual_seed(0)
    assert (
        solver.solve(LinearSystem(torch.randn(20, 20) + 9 * torch.eye(20), torch.randn(20))).status
        is Status.SOLVED
    )


def test_the_bound_of_a_solved_system_holds():
    z = torch.tensor([1.0, 0.1], dtype=torch.float64)
    M = torch.diag(torch.tensor([1.0, 1e-8], dtype=torch.float64))
    found = GMRES(tolerance=1e-6).solve(LinearSystem(M, M @ z))
    assert (
        found.status is not Status.SOLVED
        or float((found.value - z).norm() / z.norm()) <= found.bound
    )


@pytest.mark.parametrize("returned", [3, None, torch.ones(2), Solution])
def test_a_solver_that_returns_no_solution_is_refused(returned):
    class Mine:
        def solve(self, system):
            return returned

    system = LinearSystem(torch.eye(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))
    with pytest.raises(ArgumentError, match="`solver` must return a Solution, but is one that"):
        solve(system, Mine())
