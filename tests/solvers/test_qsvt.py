"""QSVT as a matrix polynomial: planted answers, published rows, outcomes that are no answers."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from arguments.fine import LARGE_KAPPA, PROMISED
from solvers.conformance import Conformance

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence
from qdescent.linalg.linear_system import LinearSystem
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.promise.conditioning import scaled_operator
from qdescent.solvers.qsvt import QSVT
from qdescent.solvers.solve import Status, solve

F64 = torch.float64
CONFORMANCE = {
    "QSVT": Conformance(
        solver=QSVT(1e-6),
        error=1e-6,
        circuits={
            "QSVT": QSVT(1e-3, circuit=True),
            "QSVT, amplified": QSVT(1e-2, circuit=Circuit(amplify=True)),
        },
        fine=PROMISED,
        forecast=LARGE_KAPPA,
    )
}


def random_matrix(size, seed):
    return torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=F64)


def toeplitz(size):
    return (
        torch.eye(size, dtype=F64)
        - (torch.diag(torch.ones(size - 1), 1) + torch.diag(torch.ones(size - 1), -1)).double() / 3
    )


def non_normal(size):
    return torch.eye(size, dtype=F64) + torch.diag(torch.full((size - 1,), 1.5, dtype=F64), 1)


def indefinite(size):
    q, _ = torch.linalg.qr(random_matrix(size, 4))
    spectrum = torch.linspace(-1, 1, size, dtype=F64)
    return q @ torch.diag(torch.where(spectrum.abs() < 0.2, 0.2, spectrum)) @ q.mT


FOUR = torch.tensor(
    [
        [0.78, -0.01, -0.16, -0.1],
        [-0.01, 0.57, -0.03, 0.08],
        [-0.16, -0.03, 0.69, -0.15],
        [-0.1, 0.08, -0.15, 0.88],
    ],
    dtype=F64,
)
MATRICES = {
    "two": torch.tensor([[1, -1 / 3], [-1 / 3, 1]], dtype=F64),
    "four": FOUR,
    "toeplitz": toeplitz(8),
    "non-normal": non_normal(8),
    "indefinite": indefinite(12),
    "rotation": torch.tensor([[0.0, -2.0], [2.0, 0.0]], dtype=F64),
    "scalar": torch.tensor([[-3.0]], dtype=F64),
}


@pytest.mark.parametrize("epsilon", [1e-2, 1e-6])
@pytest.mark.parametrize("name", MATRICES)
def test_planted_answers(name, epsilon):
    matrix = MATRICES[name]
    planted = random_matrix(len(matrix), 7)[0]
    for form in (matrix, matrix.to_sparse_coo()):
        found = solve(LinearSystem(form, matrix @ planted), QSVT(epsilon=epsilon))
        assert found.status is Status.SOLVED
        assert (found.value - planted).norm() / planted.norm() <= found.bound <= epsilon
        assert found.cost.number("kappa") >= torch.linalg.cond(matrix) * (1 - 1e-12)


def test_published_rows():
    e0 = torch.eye(8, dtype=F64)[0]
    two = QSVT(1e-9).solve(LinearSystem(MATRICES["two"], e0[:2])).value
    assert two.tolist() == pytest.approx([1.125, 0.375], abs=1e-8)
    eight = QSVT(1e-9).solve(LinearSystem(MATRICES["toeplitz"], e0))
    assert float(eight.value.norm()) == pytest.approx(1.2399109034, abs=1e-8)
    assert eight.cost.number("kappa") / eight.cost.number("alpha_over_norm") == pytest.approx(
        4.3542039803, abs=1e-9
    )
    four = QSVT(1e-9).solve(LinearSystem(FOUR, torch.ones(4, dtype=F64))).value
    assert (four / four.norm()).tolist() == pytest.approx(
        [0.51643917, 0.43808850, 0.60597747, 0.41732523], abs=1e-7
    )


def test_non_normal_system_is_not_solved_by_the_transpose():
    matrix = non_normal(8)
    b = torch.ones(8, dtype=F64)
    found = QSVT(1e-6).solve(LinearSystem(matrix, b)).value
    assert (found - torch.linalg.solve(matrix, b)).norm() < 1e-5
    assert (found - torch.linalg.solve(matrix.mT, b)).norm() > 1  # planted: the wrong orientation


def test_kappa_too_small_is_an_outcome():
    system = LinearSystem(non_normal(8), torch.ones(8, dtype=F64))
    right = QSVT(1e-4).solve(system)
    for fraction in (0.1, 0.3, 0.7):
        found = QSVT(1e-4, kappa=fraction * right.cost.number("kappa")).solve(system)
        assert found.status is Status.KAPPA_REFUTED
        assert found.residual > right.residual
        assert found.cost.number("kappa_at_least") == pytest.approx(right.cost.number("kappa"))
    generous = QSVT(1e-4, kappa=2 * right.cost.number("kappa")).solve(system)
    assert generous.status is Status.SOLVED
    assert generous.cost.number("degree") > right.cost.number("degree")


def test_declared_bound_is_used_and_marked():
    matrix = toeplitz(8)
    system = LinearSystem(matrix, torch.ones(8, dtype=F64), inverse_norm_bound=10.0)
    found = QSVT(1e-4).solve(system)
    kappa = found.cost["kappa"]
    assert kappa.evidence == "bounded"
    assert kappa.value == pytest.approx(10 * found.cost.number("alpha"))


@pytest.mark.parametrize("circuit", [False, True])
def test_singular_matrix_is_an_outcome(circuit):
    matrix = torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=F64)
    found = QSVT(circuit=circuit).solve(LinearSystem(matrix, torch.tensor([1.0, 0.0], dtype=F64)))
    assert found.status is Status.SINGULAR
    assert found.bound == math.inf


def test_answer_is_taken_from_its_copies():
    index = torch.tensor([[4, 5], [6, 7]])
    system = LinearSystem(toeplitz(8), torch.ones(8, dtype=F64), answer_index=index)
    found = QSVT(1e-6).solve(system)
    torch.testing.assert_close(found.answer, found.value[index].mean(0))


def test_many_unknowns_without_a_factorisation():
    size = 20_000
    i = torch.arange(size)
    matrix = torch.sparse_coo_tensor(
        torch.stack([torch.cat([i, i[1:]]), torch.cat([i, i[:-1]])]),
        torch.cat([torch.ones(size), torch.full((size - 1,), -0.5)]).double(),
        (size, size),
        check_invariants=True,
    )
    planted = torch.as_tensor(np.random.default_rng(0).normal(size=size))
    estimated = QSVT(1e-5).solve(LinearSystem(matrix, matrix @ planted))
    assert estimated.status is Status.SOLVED_IF_KAPPA_IS_RIGHT
    assert "if kappa is right" in estimated.status
    assert "if kappa is right" in estimated.cost["bound"].source
    assert (estimated.value - planted).norm() / planted.norm() <= estimated.bound
    assert estimated.cost["kappa"].evidence is Evidence.MEASURED
    found = QSVT(1e-5).solve(LinearSystem(matrix, matrix @ planted, inverse_norm_bound=2.0))
    assert found.status is Status.SOLVED_IF_KAPPA_IS_RIGHT
    assert (found.value - planted).norm() / planted.norm() <= 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
def test_products_with_a_sparse_matrix_are_those_of_the_dense_one(dtype):
    matrix = torch.as_tensor(
        np.random.default_rng(1).normal(size=(6, 6)) * np.eye(6, k=2) + np.eye(6)
    ).to(dtype)
    matrix = matrix * (1 + 2j) if dtype.is_complex else matrix
    vectors = torch.as_tensor(np.random.default_rng(2).normal(size=(6, 3))).to(dtype)
    operator, products = scaled_operator(LinearSystem(matrix.to_sparse(), vectors[:, 0]), 2.0)
    wide = torch.promote_types(dtype, F64)
    matrix, vectors = matrix.to(wide), vectors.to(wide)  # single precision is solved in double
    for x in (vectors, vectors[:, 0]):
        torch.testing.assert_close(operator @ x, matrix @ x / 2)
        torch.testing.assert_close(operator.H @ x, matrix.mH @ x / 2)
    assert (products.forward, products.adjoint) == (4, 4)
    # planted: the wrong orientation
    assert not torch.allclose(operator.H @ vectors, matrix @ vectors / 2)


def test_without_a_circuit_qualtran_is_not_imported():
    names = [
        "linalg.chebyshev",
        "quantum.tables.coloured",
        "quantum.algorithms.qsp_angles",
        "quantum.readout.tomography",
        "solvers.qsvt",
    ]
    code = "; ".join(
        [f"import qdescent.{name}" for name in names]
        + ["import sys", "sys.exit('qualtran' in sys.modules)"]
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_refusals():
    with pytest.raises(ArgumentError, match=r"Argument `epsilon` must be in \(0, 1\), but is 0"):
        QSVT(epsilon=0)
    with pytest.raises(ArgumentError, match=r"Argument `kappa` must be in \(1, inf\), but is 0.5"):
        QSVT(kappa=0.5)
    with pytest.raises(ArgumentError, match="Argument `rhs` must have a non-zero entry"):
        LinearSystem(toeplitz(4), torch.zeros(4, dtype=F64))
    with pytest.raises(ArgumentError, match="Argument `matrix` must have a non-zero entry"):
        QSVT().solve(LinearSystem(torch.zeros(2, 2, dtype=F64), torch.ones(2, dtype=F64)))
