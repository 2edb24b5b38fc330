"""The noun M Z = B."""

import math

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.linear_system import LinearSystem

M = torch.tensor([[1, -1 / 3], [-1 / 3, 1]], dtype=torch.float64)
e0 = torch.tensor([1.0, 0.0]).double()


@pytest.mark.parametrize("sparse", [False, True])
def test_residual_of_a_known_solution(sparse):
    system = LinearSystem(M.to_sparse() if sparse else M, e0)
    assert system.residual(torch.tensor([1.125, 0.375]).double()) < 1e-15
    assert system.residual(torch.zeros(2).double()) == 1.0
    assert system.residual(2 * torch.tensor([1.125, 0.375]).double()) == pytest.approx(1.0)


def test_entries_name_each_place_once_and_leave_zeros_out():
    repeated = torch.sparse_coo_tensor(
        [[0, 0, 1, 1], [1, 1, 0, 1]],
        torch.tensor([1.0, 2.0, 4.0, 0.0]),
        (2, 2),
        check_invariants=True,
    )
    rows, columns, values = LinearSystem(repeated, torch.ones(2)).entries()
    assert list(zip(rows.tolist(), columns.tolist(), values.tolist(), strict=True)) == [
        (0, 1, 3.0),
        (1, 0, 4.0),
    ]


def test_extract_is_the_mean_over_copies():
    z = torch.arange(6.0)
    index = torch.tensor([[2, 3], [4, 5]])
    assert LinearSystem(torch.eye(6), torch.ones(6), index).extract(z).tolist() == [3.0, 4.0]
    assert torch.equal(LinearSystem(torch.eye(6), torch.ones(6)).extract(z), z)


def test_errors():
    with pytest.raises(
        ArgumentError, match=r"Argument `matrix` must be square, but is of shape \(2, 3\)."
    ):
        LinearSystem(torch.ones(2, 3), torch.ones(2))
    with pytest.raises(ArgumentError, match=r"Argument `rhs` must have shape \(2,\)"):
        LinearSystem(M, torch.ones(3).double())
    with pytest.raises(ArgumentError, match="Argument `rhs` must have a non-zero entry"):
        LinearSystem(M, 0 * e0)
    with pytest.raises(ArgumentError, match="Argument `rhs` must be finite"):
        LinearSystem(M, e0 * math.nan)
    for matrix in (M / 0, (M * math.nan).to_sparse()):
        with pytest.raises(ArgumentError, match="Argument `matrix` must be finite"):
            LinearSystem(matrix, e0)
