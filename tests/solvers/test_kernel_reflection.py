"""Kernel reflection as a solver: the norm known, wrong or searched for, large systems, and outcomes
that are not answers.
"""

import math

import pytest
import torch
from arguments.fine import COUNT, LARGE, LARGE_KAPPA, POSITIVE, PROMISED, SEED
from solvers.conformance import Conformance

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence
from qdescent.linalg.linear_system import LinearSystem
from qdescent.solvers.kernel_reflection import KernelReflection
from qdescent.solvers.qsvt import QSVT
from qdescent.solvers.solve import Status, solve

F64 = torch.float64
CONFORMANCE = {
    "KernelReflection": Conformance(
        solver=KernelReflection(1e-6),
        error=1e-6,
        circuits={"KernelReflection": KernelReflection(1e-3, circuit=True)},
        fine={
            **PROMISED,
            "norm": (*POSITIVE, "None"),
            "search_shots": COUNT + LARGE,
            "seed": SEED,
        },
        forecast=LARGE_KAPPA,
    )
}


def bidiagonal(size, entry=1.5):
    return torch.eye(size, dtype=F64) + torch.diag(torch.full((size - 1,), entry, dtype=F64), 1)


def with_singular_values(values, seed=0):
    generator = torch.Generator().manual_seed(seed)
    u, v = (
        torch.linalg.qr(torch.randn(len(values), len(values), generator=generator, dtype=F64))[0]
        for _ in range(2)
    )
    return u @ torch.diag(torch.as_tensor(values, dtype=F64)) @ v


@pytest.mark.parametrize("epsilon", [1e-2, 1e-5, 1e-8])
@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_any_norm_between_1_and_kappa(epsilon, weight):
    """b along the largest singular vector, between, along the smallest: ||x|| from 1 to kappa."""
    matrix = with_singular_values([1.0, 0.7, 0.3, 0.1, 0.05, 0.02])
    u, _, vh = torch.linalg.svd(matrix)
    b = math.sqrt(1 - weight**2) * u[:, 0] + weight * u[:, -1]
    exact = math.sqrt(1 - weight**2) * vh[0] + weight * vh[-1] / 0.02
    system = LinearSystem(matrix, b)
    for solver in (KernelReflection(epsilon), KernelReflection(epsilon, norm=float(exact.norm()))):
        found = solve(system, solver)
        assert found.status is Status.SOLVED
        assert (found.value - exact).norm() / exact.norm() <= found.bound <= epsilon
        assert found.cost.number("queries") == found.cost.number("declared_queries")
    assert found.cost.number("reflections") == 1
    assert found.cost.number("success_probability") == pytest.approx(1, abs=4 * epsilon)
    assert found.cost.number("degree") == pytest.approx(
        found.cost.number("kappa") * math.log(8 / epsilon), rel=0.02, abs=2
    )


@pytest.mark.parametrize("wrong", [1e-3, 0.1, 10.0, 1e3])
def test_a_wrong_norm_is_seen_and_put_right(wrong):
    matrix = with_singular_values([1.0, 0.5, 0.2, 0.01])
    exact = torch.tensor([1.0, 2.0, -1.0, 0.5], dtype=F64)
    system = LinearSystem(matrix, matrix @ exact)
    found = KernelReflection(1e-5, norm=wrong * float(exact.norm())).solve(system)
    assert found.status is Status.SOLVED
    assert (found.value - exact).norm() / exact.norm() <= found.bound <= 1e-5
    assert found.cost.number("norm_estimate") == pytest.approx(float(exact.norm()), rel=1e-3)
    assert found.cost.number("reflections") == 2
    assert found.cost.number("success_probability") == pytest.approx(1, abs=1e-4)


def test_fewer_queries_than_the_polynomial_with_amplification():
    """The polynomial's success falls as (||x||/kappa)^2, the reflection's does not."""
    matrix = with_singular_values(torch.linspace(0.02, 1, 30).tolist())
    system = LinearSystem(matrix, matrix @ torch.ones(30, dtype=F64))
    reflection, polynomial = (
        KernelReflection(1e-4, norm=30**0.5).solve(system),
        QSVT(1e-4).solve(system),
    )
    assert reflection.cost.number("expected_queries") < 1.2 * polynomial.cost.number("degree")
    success = (
        float(polynomial.value.norm() / system.rhs.norm())
        * polynomial.cost.number("alpha")
        / polynomial.cost.number("kappa")
    ) ** 2
    assert success < 0.05


def test_kappa_too_small_is_an_outcome():
    system = LinearSystem(bidiagonal(8), torch.ones(8, dtype=F64))
    right = KernelReflection(1e-4).solve(system)
    exact = torch.linalg.solve(system.matrix, system.rhs)
    assert right.status is Status.SOLVED
    for fraction in (0.03, 0.1, 0.3, 0.5):
        found = KernelReflection(1e-4, kappa=fraction * right.cost.number("kappa")).solve(system)
        assert (found.value - exact).norm() / exact.norm() > 1e-2
        assert found.status is Status.KAPPA_REFUTED
        assert "kappa is too small" in found.status


def test_a_solution_longer_than_kappa_allows_is_an_outcome():
    """One small singular value, all of b on it: t may not exceed kappa, and the bound says that no
    t fits.
    """
    matrix = with_singular_values([1.0, 0.9, 0.8, 1e-4])
    u, _, _ = torch.linalg.svd(matrix)
    found = KernelReflection(1e-3, kappa=20.0).solve(LinearSystem(matrix, u[:, -1]))
    assert found.status is Status.KAPPA_REFUTED


def test_singular_matrix_and_zero_right_hand_side():
    matrix = torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=F64)
    found = KernelReflection().solve(LinearSystem(matrix, torch.tensor([1.0, 0.0], dtype=F64)))
    assert found.status is Status.SINGULAR
    assert found.bound == math.inf
    given = KernelReflection(kappa=10.0).solve(
        LinearSystem(matrix, torch.tensor([1.0, 0.0], dtype=F64))
    )
    assert given.status is Status.SINGULAR
    with pytest.raises(ArgumentError, match="Argument `rhs` must have a non-zero entry"):
        KernelReflection().solve(LinearSystem(matrix, torch.zeros(2, dtype=F64)))


def test_many_unknowns_without_a_factorisation():
    size = 20_000
    i = torch.arange(size)
    matrix = torch.sparse_coo_tensor(
        torch.stack([torch.cat([i, i[1:]]), torch.cat([i, i[:-1]])]),
        torch.cat([torch.ones(size), torch.full((size - 1,), -0.5)]).double(),
        (size, size),
        check_invariants=True,
    )
    planted = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=F64)
    estimated = KernelReflection(1e-5).solve(LinearSystem(matrix, matrix @ planted))
    assert estimated.status is Status.SOLVED_IF_KAPPA_IS_RIGHT
    assert (estimated.value - planted).norm() / planted.norm() <= estimated.bound
    assert estimated.cost["kappa"].evidence is Evidence.MEASURED
    index = torch.arange(6).reshape(2, 3)
    found = KernelReflection(1e-5).solve(
        LinearSystem(matrix, matrix @ planted, index, inverse_norm_bound=2.0)
    )
    assert found.status is Status.SOLVED_IF_KAPPA_IS_RIGHT
    assert (found.value - planted).norm() / planted.norm() <= found.bound <= 1e-5
    torch.testing.assert_close(found.answer, found.value[index].mean(0))


def test_the_same_seed_searches_alike():
    system = LinearSystem(bidiagonal(8), torch.ones(8, dtype=F64))
    estimates = [
        KernelReflection(1e-2, seed=seed).solve(system).cost.number("norm_estimate")
        for seed in (1, 1, 2, 3, 4)
    ]
    assert estimates[0] == estimates[1]
    assert len(set(estimates)) > 1


def test_refusals():
    with pytest.raises(ArgumentError, match=r"Argument `epsilon` must be in \(0, 1\), but is 0"):
        KernelReflection(epsilon=0)
    with pytest.raises(ArgumentError, match=r"Argument `kappa` must be in \(1, inf\), but is 1"):
        KernelReflection(kappa=1)
    with pytest.raises(ArgumentError, match=r"Argument `norm` must be in \(0, inf\), but is -1"):
        KernelReflection(norm=-1)
    with pytest.raises(
        ArgumentError, match="Argument `search_shots` must be an integer of at least 1"
    ):
        KernelReflection(search_shots=0)
