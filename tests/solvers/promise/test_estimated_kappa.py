"""The estimate of kappa: against dense singular values, from below by no more than it says, and
what it cannot see is found out.
"""

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.operator import as_operator
from qdescent.solvers.promise.conditioning import conditioning
from qdescent.solvers.promise.estimated_kappa import MARGIN, estimated_kappa
from qdescent.solvers.qsvt import QSVT
from qdescent.solvers.solve import Status

F64, C128 = torch.float64, torch.complex128


def random_matrix(size, dtype, seed=0):
    draw = torch.Generator().manual_seed(seed)
    matrix = torch.randn(size, size, generator=draw, dtype=dtype) / size**0.5 + 1.2 * torch.eye(
        size, dtype=dtype
    )
    return matrix / torch.linalg.matrix_norm(matrix, 2)


def history_like(size, dtype):
    matrix = torch.eye(size, dtype=dtype)
    matrix[range(5, size), range(size - 5)] = -0.9 if dtype is F64 else -0.9j
    return matrix / 2


@pytest.mark.parametrize("dtype", [F64, C128], ids=["real", "complex"])
@pytest.mark.parametrize("kind", [random_matrix, history_like])
def test_close_to_the_singular_values(kind, dtype):
    matrix = kind(400, dtype)
    true = 1 / float(torch.linalg.svdvals(matrix)[-1])
    kappa, _ = estimated_kappa(as_operator(matrix))
    assert true <= kappa <= 1.0001 * MARGIN * true


def test_singular_to_rounding_is_said():
    matrix = torch.diag(
        torch.cat([torch.zeros(1, dtype=F64), torch.linspace(0.1, 1, 300, dtype=F64)])
    )
    with pytest.raises(
        ArgumentError, match="Argument `kappa` must be given: the matrix is singular, or nearly"
    ):
        estimated_kappa(as_operator(matrix))


def test_one_small_value_among_thousands_is_met_and_its_lack_found_by_the_solver():
    size = 3000
    values = torch.linspace(0.5, 1, size, dtype=F64)
    values[7] = 0.025
    matrix = torch.sparse_coo_tensor(
        torch.arange(size).repeat(2, 1), values, (size, size), check_invariants=True
    )
    system = LinearSystem(matrix, torch.ones(size, dtype=F64))
    assert conditioning(system, None).kappa == pytest.approx(1.1 / 0.025, rel=1e-2)
    missed = QSVT(1e-3, kappa=2.2).solve(system)  # what an estimate without it would have been
    assert missed.status is Status.KAPPA_REFUTED
