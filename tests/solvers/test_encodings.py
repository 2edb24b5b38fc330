"""Systems solved through each encoding of their matrix: composed of the maps' tables, balanced,
coloured.
"""

import math

import numpy as np
import pytest
import scipy.sparse as sparse
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.tables.coloured import matrix_entries
from qdescent.quantum.tables.perron import absolute_matrix, absolute_norm
from qdescent.solvers.encodings import BalancedEntries, ColouredEntries, ComposedHistory, quantised
from qdescent.solvers.kernel_reflection import KernelReflection
from qdescent.solvers.qsvt import QSVT
from qdescent.solvers.solve import Status

F64 = torch.float64


def contractions(size, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    maps = []
    for _ in range(count):
        F1 = 0.5 * torch.eye(size, dtype=F64) - 0.1 * torch.randn(
            size, size, generator=generator, dtype=F64
        )
        F0, F2 = (
            0.1 * torch.randn(*shape, generator=generator, dtype=F64)
            for shape in ((size,), (size, size**2))
        )
        maps.append(PolynomialMap([F0, F1, F2]))
    return maps


def history(maps, order, steps, padding):
    lifts = [carleman_linearize(f, order=order) for f in maps]
    start = torch.linspace(0.3, 0.5, maps[0].size, dtype=F64)
    return history_system(lifts if len(lifts) > 1 else lifts[0], start, steps, padding)


@pytest.mark.parametrize(
    ("size", "order", "padding", "changing", "epsilon"),
    [(2, 1, 2, False, 1e-4), (2, 1, 0, True, 1e-4), (1, 2, 1, True, 1e-2), (2, 2, 0, False, 0.1)],
    ids=["N = 1, padded", "SGD", "SGD, N = 2, padded", "two variables, N = 2"],
)
def test_composed_equals_direct(size, order, padding, changing, epsilon):
    steps = 3
    maps = contractions(size, steps if changing else 1)
    system = history(maps, order, steps, padding)
    composed = ComposedHistory(maps if changing else maps[0], order, steps, padding)
    found = QSVT(epsilon, circuit=True, encoding=composed).solve(system)
    direct = torch.linalg.solve(system.matrix.to_dense(), system.rhs)
    assert found.status is Status.SOLVED
    assert (found.value - direct).norm() / direct.norm() <= found.bound <= epsilon
    u_T = system.extract(direct)
    assert (found.answer - u_T).norm() / u_T.norm() < 10 * epsilon
    of = found.cost.number
    assert of("queries") == of("degree")
    assert 1 - 1e-12 <= of("alpha_over_norm") < 1.4


@pytest.mark.parametrize(("order", "padding", "epsilon"), [(1, 2, 0.01), (2, 0, 0.1)])
def test_composed_kernel_reflection_equals_direct(order, padding, epsilon):
    maps = contractions(1 if order == 2 else 2, 3)
    system = history(maps, order, 3, padding)
    direct = torch.linalg.solve(system.matrix.to_dense(), system.rhs)
    composed = ComposedHistory(maps, order, 3, padding)
    found = KernelReflection(
        epsilon, norm=float(direct.norm()), circuit=True, encoding=composed
    ).solve(system)
    assert found.status is Status.SOLVED
    assert (found.value - direct).norm() / direct.norm() <= found.bound <= epsilon
    assert found.cost.number("queries") == found.cost.number("declared_queries")


def test_fewer_queries_than_the_coloured_matrix():
    maps = contractions(2, 3)
    system = history(maps, 1, 3, 0)
    composed = QSVT(1e-2, circuit=True, encoding=ComposedHistory(maps, 1)).solve(system).cost.number
    coloured = QSVT(1e-2, circuit=True, encoding=ColouredEntries()).solve(system).cost.number
    assert composed("queries") < 0.9 * coloured("queries")
    assert composed("alpha") < 0.9 * coloured("alpha")


@pytest.mark.parametrize("reflection", [False, True])
def test_balanced_entries(reflection):
    system = history(contractions(2, 3), 1, 3, 1)
    direct = torch.linalg.solve(system.matrix.to_dense(), system.rhs)
    encoding = BalancedEntries()
    if reflection:
        found = KernelReflection(
            1e-2, norm=float(direct.norm()), circuit=True, encoding=encoding
        ).solve(system)
    else:
        found = QSVT(1e-2, circuit=True, encoding=encoding).solve(system)
    assert found.status is Status.SOLVED
    assert (found.value - direct).norm() / direct.norm() <= found.bound <= 1e-2
    alpha = torch.linalg.matrix_norm(system.matrix.to_dense().abs(), 2)
    assert found.cost.number("alpha") == pytest.approx(float(alpha), rel=1e-9)
    assert found.cost.number("alpha") < 0.9 * ColouredEntries().plan(system).alpha


def test_the_encoding_sets_alpha_with_and_without_a_circuit():
    maps = contractions(2, 1)
    system = history(maps, 1, 3, 0)
    for encoding in (ComposedHistory(maps[0], 1, 3), ColouredEntries(), BalancedEntries()):
        polynomial, circuit = (
            QSVT(1e-2, circuit=circuit, encoding=encoding).solve(system)
            for circuit in (False, True)
        )
        assert polynomial.cost.number("degree") == circuit.cost.number("degree")
        assert polynomial.cost.number("alpha") == pytest.approx(
            encoding.plan(system).alpha, rel=1e-12
        )


@pytest.mark.parametrize(
    "encoding", [BalancedEntries(), ColouredEntries()], ids=["balanced", "coloured"]
)
@pytest.mark.parametrize("solver", [QSVT, KernelReflection])
def test_complex_entries(solver, encoding):
    draw = torch.Generator().manual_seed(2)
    M = torch.eye(3) + 0.3 * torch.randn(3, 3, generator=draw, dtype=torch.complex128)
    B = torch.randn(3, generator=draw, dtype=torch.complex128)
    found = solver(1e-3, circuit=True, encoding=encoding).solve(LinearSystem(M, B))
    direct = torch.linalg.solve(M, B)
    assert found.status is Status.SOLVED
    assert (found.value - direct).norm() / direct.norm() <= found.bound <= 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_the_bits_are_the_fewest_whose_derived_error_fits(seed):
    """The error scatters from one number of bits to the next: what is promised is what these very
    tables have.
    """
    system = history(contractions(2, 1, seed), 1, 3, 0)
    kappa, epsilon = 30.0, 1e-3
    for encoding in (
        BalancedEntries(),
        ColouredEntries(),
        ComposedHistory(contractions(2, 1, seed)[0], 1, 3),
    ):
        plan = encoding.plan(system)

        def off(found):
            levels = math.pi * found.system_bitsize / 2**found.angle_bits
            return 2.5 * kappa * (found.epsilon / found.alpha + levels)

        chosen = quantised(plan, kappa, epsilon, complex_rhs=False)
        assert off(chosen) <= epsilon < off(plan.encode(chosen.angle_bits - 1))


def test_alpha_is_computed_once():
    """At 600 unknowns alpha is an iterated bound; the circuit has the plan's own, not a closer
    one.
    """
    draw = np.random.default_rng(0)
    band = sparse.diags_array(draw.normal(size=(3, 600)), offsets=[0, 1, -7], shape=(600, 600))
    large = LinearSystem(band.tocsr(), np.ones(600))
    small = history(contractions(2, 1), 1, 3, 0)
    for system, encoding in (
        (large, BalancedEntries()),
        (large, ColouredEntries()),
        (small, BalancedEntries()),
        (small, ComposedHistory(contractions(2, 1)[0], 1, 3)),
    ):
        plan = encoding.plan(system)
        assert [plan.encode(bits).alpha for bits in (6, 9)] == [plan.alpha] * 2
        assert plan.encode(6).augmented(1.5).alpha == plan.alpha
    coloured = ColouredEntries().plan(large).alpha
    assert ColouredEntries().plan(large).hermitian.encode(6).alpha == coloured
    # planted: computed again as the tables of a small matrix are, it is another number
    closer = absolute_norm(absolute_matrix(*matrix_entries(large), 600), dense=600).alpha
    assert 0 < BalancedEntries().plan(large).alpha / closer - 1 < 1e-4


def test_a_composed_history_is_known_in_every_form():
    """Dense; without F_0, which cannot start from zero; a list of one map."""
    still = PolynomialMap([torch.zeros(2, dtype=F64), *contractions(2, 1)[0].coefficients[1:]])
    system = history([still], 1, 3, 0)
    dense = LinearSystem(system.matrix.to_dense(), system.rhs, system.answer_index)
    for each in (system, dense):
        assert QSVT(0.1, encoding=ComposedHistory(still, 1, 3)).solve(each).status is Status.SOLVED
    one = history_system([carleman_linearize(still, order=1)], torch.tensor([0.3, 0.5], dtype=F64))
    assert QSVT(0.1, encoding=ComposedHistory([still], 1)).solve(one).status is Status.SOLVED


def test_refusals():
    maps = contractions(2, 1)
    composed = ComposedHistory(maps[0], 1, 3)
    for solver in (QSVT, KernelReflection):
        with pytest.raises(
            ArgumentError, match="Argument `encoding` must be Balanced.* but is 'balanced'"
        ):
            solver(encoding="balanced")
        for wrong in (BalancedEntries, None):  # the parentheses forgotten
            with pytest.raises(ArgumentError, match="Argument `encoding` must be Balanced"):
                solver(encoding=wrong)
    with pytest.raises(
        ArgumentError, match="Argument `encoding` must encode 10 unknowns, .* but is that of 8"
    ):
        QSVT(0.1, encoding=composed).solve(history(maps, 1, 4, 0))
    with pytest.raises(
        ArgumentError, match="Argument `encoding` must be of the maps, .* but is of another history"
    ):
        QSVT(0.1, encoding=ComposedHistory(contractions(2, 1, seed=1)[0], 1, 3)).solve(
            history(maps, 1, 3, 0)
        )
    system = history(maps, 1, 3, 0)
    turned = LinearSystem(
        system.matrix.to_dense() + 0.3j * torch.eye(system.size), system.rhs.to(torch.complex128)
    )
    with pytest.raises(
        ArgumentError, match="Argument `encoding` must be of the maps, .* but is of another history"
    ):
        QSVT(0.1, encoding=composed).solve(turned)
    near_singular = LinearSystem(
        torch.diag(torch.tensor([1.0, 1e-3], dtype=F64)), torch.ones(2, dtype=F64)
    )
    for solver in (QSVT, KernelReflection):
        with pytest.raises(
            ArgumentError,
            match="Argument `epsilon` must be at least .* its angles have at most 45 bits",
        ):
            solver(1e-12, kappa=1e3, circuit=True, most_queries=10**6).solve(near_singular)
