"""A kappa that is too small does not end as solved; one that is right does, and says on what
condition.
"""

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.operator import as_operator
from qdescent.solvers.encodings import BalancedEntries, ColouredEntries
from qdescent.solvers.hhl import HHL
from qdescent.solvers.kernel_reflection import KernelReflection
from qdescent.solvers.promise import conditioning, judgement
from qdescent.solvers.promise.refutation import refuting_kappa
from qdescent.solvers.qsvt import QSVT
from qdescent.solvers.solve import Status

F64, C128 = torch.float64, torch.complex128


def generic(size, seed, least=1e-3, dtype=F64, low=0.3):
    """Random singular vectors, values in [low, 1] but for one, and an answer of random entries."""
    draw = torch.Generator().manual_seed(seed)
    u, v = (
        torch.linalg.qr(torch.randn(size, size, generator=draw, dtype=dtype))[0] for _ in range(2)
    )
    values = low + (1 - low) * torch.rand(size, generator=draw, dtype=F64)
    values[0] = least
    matrix = u @ torch.diag(values).to(dtype) @ v
    return matrix, torch.randn(size, generator=draw, dtype=dtype)


def from_the_others(system, encoding):
    """kappa as one would set it who does not know of the smallest singular value."""
    return 1.01 * encoding.plan(system).alpha / float(torch.linalg.svdvals(system.matrix)[-2])


@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.parametrize("solver", [QSVT, KernelReflection, HHL])
def test_sixty_generic_systems_with_one_small_singular_value(solver, measured, monkeypatch):
    """Real and complex; by singular values, and by the search that is left to systems too large for
    them. HHL: fewer.
    """
    seeds = range(60 if solver is QSVT or measured else 12)
    for seed in seeds:
        matrix, planted = generic(
            12, seed, 1e-3 if solver is not HHL else 0.05, F64 if seed % 2 else C128
        )
        system = LinearSystem(matrix, matrix @ planted)
        crude = {"epsilon": 0.1 if solver is HHL else 1e-2}
        kappa = from_the_others(system, ColouredEntries() if solver is HHL else BalancedEntries())
        with monkeypatch.context() as unseen:
            if not measured:
                unseen.setattr(conditioning, "LARGEST_SVD", 0)
            found = solver(**crude, kappa=kappa).solve(system)
        assert found.status is Status.KAPPA_REFUTED
        needed = found.cost.number("alpha") / float(torch.linalg.svdvals(matrix)[-1])
        assert kappa < found.cost.number("kappa_at_least") <= (1 + 1e-6) * needed


@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.parametrize("solver", [QSVT, KernelReflection, HHL])
def test_a_kappa_that_is_right_stays_solved(solver, measured, monkeypatch):
    for seed in range(6):
        matrix, planted = generic(12, seed, 0.05, F64 if seed % 2 else C128)
        system = LinearSystem(matrix, matrix @ planted)
        right = solver(0.1).solve(system).cost.number("kappa")
        if not measured:
            monkeypatch.setattr(conditioning, "LARGEST_SVD", 0)
        found = solver(0.1, kappa=1.0001 * right).solve(system)
        assert found.status is (Status.SOLVED if measured else Status.SOLVED_IF_KAPPA_IS_RIGHT)
        assert float((found.value - planted).norm() / planted.norm()) <= found.bound <= 0.1
        monkeypatch.undo()


@pytest.mark.parametrize("epsilon", [1e-2, 1e-4])
def test_too_large_for_singular_values(epsilon):
    """600 unknowns, one hidden value, which the residual weighs by its smallness: to 1e-9."""
    size = 600
    values = torch.as_tensor(0.3 + 0.7 * np.random.default_rng(0).random(size))
    for least in (1e-2, 1e-3, 1e-6, 1e-9):
        values[17] = least
        matrix = torch.sparse_coo_tensor(
            torch.arange(size).repeat(2, 1), values, (size, size), check_invariants=True
        )
        system = LinearSystem(matrix, matrix @ torch.ones(size, dtype=F64))
        found = QSVT(epsilon, kappa=3.5).solve(system)
        assert found.status is Status.KAPPA_REFUTED
        assert found.cost.number("kappa_at_least") <= (1 + 1e-6) / least
    values[17] = 0.3
    system = LinearSystem(torch.diag(values), values)
    assert QSVT(epsilon, kappa=3.5).solve(system).status is Status.SOLVED_IF_KAPPA_IS_RIGHT


def test_without_the_look_the_issue_s_system_is_called_solved(monkeypatch):
    """Planted: neither singular values nor the search, and half of the answer is lost."""
    system = LinearSystem([[1.0, 0.0], [0.0, 1e-3]], [1.0, 1e-3])
    for solver in (
        QSVT(1e-2, kappa=3.0),
        KernelReflection(1e-2, kappa=3.0),
        QSVT(1e-2, kappa=3.0, circuit=True),
    ):
        assert solver.solve(system).status is Status.KAPPA_REFUTED
    monkeypatch.setattr(conditioning, "LARGEST_SVD", 0)
    assert KernelReflection(1e-2, kappa=3.0).solve(system).status is Status.KAPPA_REFUTED
    monkeypatch.setattr(judgement, "refuting_kappa", lambda *_: None)
    missed = KernelReflection(1e-2, kappa=3.0).solve(system)
    assert missed.status is Status.SOLVED_IF_KAPPA_IS_RIGHT
    assert abs(float(missed.value[1]) - 1) > 0.9


def test_a_declared_bound_is_held_to_the_same():
    system = LinearSystem(
        torch.diag(torch.tensor([1.0, 1e-3], dtype=F64)), [1.0, 1e-3], inverse_norm_bound=3.0
    )
    assert QSVT(1e-2).solve(system).status is Status.KAPPA_REFUTED


@pytest.mark.parametrize(
    "dtype", [F64, pytest.param(C128, marks=pytest.mark.slow)], ids=["real", "complex"]
)
def test_never_above_what_is_needed(dtype):
    """A certain refutation: no kappa that is right to six digits is refuted, whatever the start."""
    for seed in range(3):
        matrix, planted = generic(40, seed, 0.01, dtype)
        matrix = matrix / torch.linalg.matrix_norm(matrix, 2)
        needed = 1 / float(torch.linalg.svdvals(matrix)[-1])
        for start in (planted, matrix @ planted, torch.linalg.svd(matrix).U[:, -1]):
            assert refuting_kappa(as_operator(matrix), planted, start, needed) is None
            assert refuting_kappa(
                as_operator(matrix), planted, start, 0.9 * needed
            ) == pytest.approx(needed, rel=0.1)


@pytest.mark.parametrize("solver", [QSVT(kappa=3.0), KernelReflection(kappa=3.0), HHL(kappa=3.0)])
def test_nothing_is_promised_of_a_kappa_that_is_refuted(solver):
    system = LinearSystem(torch.diag(torch.tensor([1.0, 0.8, 1e-3], dtype=F64)), [1.0, 1.0, 1.0])
    found = solver.solve(system)
    truth = torch.tensor([1.0, 1.25, 1e3], dtype=F64)
    assert found.status is Status.KAPPA_REFUTED
    assert float((found.value - truth).norm() / truth.norm()) > 0.9
    assert found.bound == found.cost.number("bound") == float("inf")
    assert found.cost["bound"].source.endswith("none: kappa is refuted")


@pytest.mark.parametrize("solver", [QSVT, KernelReflection, HHL])
def test_an_epsilon_below_every_number_is_named_as_it_was_given(solver):
    with pytest.raises(
        ArgumentError,
        match=(
            "Argument `epsilon` must be at least 4.5e-16 for an answer in torch.float64, but is"
            " 1e-300"
        ),
    ):
        solver(epsilon=1e-300).solve(LinearSystem([[1.0, 0.2], [0.1, 0.9]], [1.0, 2.0]))
