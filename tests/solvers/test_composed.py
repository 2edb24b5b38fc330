"""History systems solved through the encoding that is composed of their maps' tables."""

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.history import history_system
from qdescent.carleman.linearization import carleman_linearize
from qdescent.linalg.chebyshev import minimax_inverse
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.solvers.circuit import build_circuit
from qdescent.solvers.composed import ComposedHistory
from qdescent.solvers.kernel_reflection import KernelReflection
from qdescent.solvers.polynomial import QSVT
from qdescent.solvers.solve import Status

F64 = torch.float64


def contractions(size, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    maps = []
    for _ in range(count):
        F1 = 0.5 * torch.eye(size, dtype=F64) - 0.1 * torch.randn(size, size, generator=generator, dtype=F64)
        F0, F2 = (0.1 * torch.randn(*shape, generator=generator, dtype=F64) for shape in ((size,), (size, size**2)))
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
    found = QSVT(epsilon, circuit=True, composed=composed).solve(system)
    direct = torch.linalg.solve(system.matrix.to_dense(), system.rhs)
    assert found.status is Status.SOLVED
    assert (found.value - direct).norm() / direct.norm() <= found.bound <= epsilon
    u_T = system.extract(direct)
    assert (found.answer - u_T).norm() / u_T.norm() < 10 * epsilon
    values = found.values
    assert values["queries"] == values["degree"]
    assert 1 - 1e-12 <= values["alpha_over_norm"] < 1.4


@pytest.mark.parametrize(("order", "padding", "epsilon"), [(1, 2, 0.01), (2, 0, 0.1)])
def test_composed_kernel_reflection_equals_direct(order, padding, epsilon):
    maps = contractions(1 if order == 2 else 2, 3)
    system = history(maps, order, 3, padding)
    direct = torch.linalg.solve(system.matrix.to_dense(), system.rhs)
    composed = ComposedHistory(maps, order, 3, padding)
    found = KernelReflection(epsilon, norm=float(direct.norm()), circuit=True, composed=composed).solve(system)
    assert found.status is Status.SOLVED
    assert (found.value - direct).norm() / direct.norm() <= found.bound <= epsilon
    assert found.values["queries"] == found.values["declared_queries"]


def test_fewer_queries_than_the_coloured_matrix():
    maps = contractions(2, 3)
    system = history(maps, 1, 3, 0)
    composed = QSVT(1e-2, circuit=True, composed=ComposedHistory(maps, 1)).solve(system).values
    coloured = QSVT(1e-2, circuit=True).solve(system).values
    assert composed["queries"] < 0.9 * coloured["queries"]
    assert composed["alpha"] < 0.9 * coloured["alpha"]


def test_maps_of_another_history_are_not_called_solved():
    maps = contractions(2, 1)
    system = history(maps, 1, 3, 0)
    wrong = ComposedHistory(contractions(2, 1, seed=1)[0], 1, 3)
    assert QSVT(1e-2, circuit=True, composed=wrong).solve(system).status is Status.INACCURATE


def test_refusals():
    maps = contractions(2, 1)
    composed = ComposedHistory(maps[0], 1, 3)
    with pytest.raises(ArgumentError, match="Argument `composed` must be None unless `circuit` is True"):
        QSVT(composed=composed)
    with pytest.raises(ArgumentError, match="Argument `composed` must be None unless `circuit` is True"):
        KernelReflection(composed=composed)
    with pytest.raises(ArgumentError, match="Argument `composed` must encode 10 unknowns, .* but is an encoding of 8"):
        build_circuit(history(maps, 1, 4, 0), minimax_inverse(3.0, 0.1), 12, composed.encoding(12))
