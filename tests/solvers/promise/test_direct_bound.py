"""What `Direct` and `GMRES` promise, held against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sparse
import torch

from qdescent.linalg.linear_system import LinearSystem
from qdescent.solvers.classical import GMRES, Direct
from qdescent.solvers.promise import rounding_bound
from qdescent.solvers.solve import Status

F64 = torch.float64


def rational_solution(matrix, rhs):
    """Gauss and Jordan on the very numbers of float64, without rounding."""
    rows = [
        [Fraction(x) for x in row] + [Fraction(b)]
        for row, b in zip(matrix.tolist(), rhs.tolist(), strict=True)
    ]
    n = len(rows)
    for k in range(n):
        pivot = next(i for i in range(k, n) if rows[i][k])
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(n):
            if i != k and rows[i][k]:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k], strict=True)]
    return np.array([float(row[-1]) for row in rows])


def hilbert(n):
    return torch.tensor([[1 / (i + j + 1) for j in range(n)] for i in range(n)], dtype=F64)


def vandermonde(n):
    return torch.from_numpy(np.vander(np.linspace(0.1, 1, n)))


def random(n):
    return torch.from_numpy(np.random.default_rng(n).normal(size=(n, n)))


def graded(n):
    """Rows over 200 orders of magnitude."""
    return torch.from_numpy(
        10.0 ** -np.linspace(0, 200, n)[:, None] * np.random.default_rng(n).normal(size=(n, n))
    )


@pytest.mark.parametrize("dense", [512, 0], ids=["inverse", "estimate"])
@pytest.mark.parametrize("make", [hilbert, vandermonde, random, graded])
def test_the_bound_holds_whatever_the_status(make, dense, monkeypatch):
    monkeypatch.setattr(rounding_bound, "LARGEST_INVERSE", dense)
    seen = set()
    for n in (2, 4, 6, 8, 9, 10, 11, 12, 14):
        matrix = make(n)
        rhs = matrix.sum(1)
        truth = rational_solution(matrix, rhs)
        found = Direct().solve(LinearSystem(matrix, rhs))
        off = float(np.linalg.norm(found.value.numpy() - truth) / np.linalg.norm(truth))
        seen.add(found.status)
        assert off <= found.bound
        assert found.bound < 1e6 * max(off, 1e-16) or found.bound == float("inf")
        assert found.status is not Status.SOLVED or off < 1e-4
    assert Status.SOLVED in seen
    assert make is not hilbert or Status.SINGULAR in seen


def test_a_hilbert_matrix_of_twelve_is_not_solved():
    matrix = hilbert(12)
    for solver in (Direct(), GMRES()):
        found = solver.solve(LinearSystem(matrix, matrix.sum(1)))
        assert found.status is Status.SINGULAR
        assert found.bound == float("inf")
    planted = float(
        torch.linalg.vector_norm(
            matrix @ Direct().solve(LinearSystem(matrix, matrix.sum(1))).value - matrix.sum(1)
        )
    )
    assert planted < 1e-8  # by the residual alone it would be


@pytest.mark.parametrize("solver", [Direct(), GMRES()])
@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e-20, 1.0, 1e160, 1e300])
def test_the_scale_of_m_and_of_b_changes_nothing(solver, scale):
    matrix = torch.tensor([[2.0, 1], [1, 3]], dtype=F64)
    for of_matrix, of_rhs in ((scale, scale), (scale, 1.0), (1.0, scale)):
        found = solver.solve(LinearSystem(matrix * of_matrix, torch.ones(2, dtype=F64) * of_rhs))
        assert found.status is Status.SOLVED
        assert (found.value * of_matrix / of_rhs).tolist() == pytest.approx([0.4, 0.2], rel=1e-13)
        assert found.residual < 1e-15


def test_a_large_sparse_system_by_an_estimate():
    n = 3000
    chain = sparse.diags(
        [np.full(n - 1, -1.0), np.full(n, 2.0 + 1e-6), np.full(n - 1, -1.0)],
        [-1, 0, 1],
        format="csr",
    )
    truth = np.random.default_rng(0).normal(size=n)
    found = Direct().solve(LinearSystem(chain, chain @ truth))
    off = float(np.linalg.norm(found.value.numpy() - truth) / np.linalg.norm(truth))
    assert found.status is Status.SOLVED
    assert off <= found.bound < 1e-4
    assert (
        GMRES(1e-6, limit=2).solve(LinearSystem(chain, chain @ truth)).status
        is Status.NOT_CONVERGED
    )
    easy = LinearSystem(sparse.eye(n) * 2 + sparse.diags([np.full(n - 1, 0.5)], [1]), np.ones(n))
    assert GMRES().solve(easy).status is Status.UNBOUNDED
    declared = LinearSystem(easy.matrix, easy.rhs, inverse_norm_bound=1 / 1.5)
    found = GMRES().solve(declared)
    assert found.status is Status.SOLVED_IF_KAPPA_IS_RIGHT
    assert (
        float((found.value - Direct().solve(easy).value).norm() / found.value.norm()) <= found.bound
    )


def with_one_small(n, least, seed):
    """Orthogonal factors about singular values of .5 to 1 and one that is smaller."""
    draw = np.random.default_rng(seed)
    left, right = (np.linalg.qr(draw.standard_normal((n, n)))[0] for _ in range(2))
    return left, np.r_[np.linspace(0.5, 1, n - 1), least], right.T


@pytest.mark.parametrize(
    ("n", "least", "status"),
    [
        (20, 1e-13, Status.INACCURATE),
        (300, 1e-12, Status.INACCURATE),
        (520, 1e-10, Status.INACCURATE),
        (300, 1e-17, Status.SINGULAR),
        (40, 0.0, Status.SINGULAR),
    ],
)
def test_singular_is_said_where_it_is_singular_alone(n, least, status):
    left, values, right = with_one_small(n, least, 1)
    matrix = left * values @ right
    found = Direct().solve(LinearSystem(matrix, matrix @ np.ones(n)))
    assert found.status is status
    if status is Status.INACCURATE:
        off = float(np.linalg.norm(found.value.numpy() - 1)) / np.sqrt(n)
        assert off <= found.bound


@pytest.mark.parametrize(("declared", "is_complex"), [(2.0, True), (1e3, False), (1.1e6, False)])
def test_gmres_looks_for_what_refutes_a_declared_inverse(declared, is_complex):
    n = 513  # beyond the size whose singular values are computed
    left, values, right = with_one_small(n, 1e-6, 3)
    hidden = np.ones(n) * (1j if is_complex else 1.0)
    hidden[-1] = 1e-3  # of the small singular value the right-hand side holds little
    matrix, rhs = left * values @ right, left @ hidden
    system = LinearSystem(matrix, rhs, norm_bound=1.0, inverse_norm_bound=declared)
    found = GMRES(1e-4, limit=2).solve(system)
    truth = right.T @ (hidden / values)
    off = float(np.linalg.norm(found.value.numpy() - truth) / np.linalg.norm(truth))
    assert off <= found.bound
    if declared < 1e6:
        assert found.status is Status.KAPPA_REFUTED
        assert found.cost["kappa_at_least"].value > declared
    else:
        assert found.status is not Status.KAPPA_REFUTED
