"""The composed encoding of a history matrix against the explicit matrix of the package."""

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.encodings.history import HistoryEncoding
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.coloured import matrix_entries, matrix_tables
from qdescent.quantum.tables.history import history_tables

F64 = torch.float64


def generic_maps(size, degree, count, seed=0):
    """Contractions with F_0 and with F_2, ... that are not symmetric."""
    generator = torch.Generator().manual_seed(seed)
    maps = []
    for _ in range(count):
        H = 0.2 * torch.randn(size, size, generator=generator, dtype=F64)
        F = [
            0.3 * torch.randn(size, generator=generator, dtype=F64),
            0.8 * torch.eye(size, dtype=F64) - H,
        ]
        F += [
            0.3 / 2**k * torch.randn(size, size**k, generator=generator, dtype=F64)
            for k in range(2, degree + 1)
        ]
        maps.append(PolynomialMap(F))
    return maps


def instance(size, degree, order, steps, padding, changing, bits=20):
    """(encoding, the explicit system)."""
    maps = generic_maps(size, degree, steps if changing else 1)
    lifts = [carleman_linearize(f, order=order) for f in maps]
    system = history_system(
        lifts if changing else lifts[0], torch.full((size,), 0.1, dtype=F64), steps, padding
    )
    return (
        HistoryEncoding(
            history_tables(maps if changing else maps[0], order, steps, padding, bits=bits)
        ),
        system,
    )


def columns_of(encoding, indices):
    """<0|U|0>, the columns of these places."""
    simulator, ancilla = Simulator(), 2**encoding.ancilla_bitsize
    found = []
    for index in indices:
        state = torch.zeros(2**encoding.system_bitsize * ancilla, dtype=F64)
        state[index * ancilla] = 1
        found.append(simulator.run(encoding, state).project(ancilla=0).real)
    return torch.stack(found, dim=1).numpy()


CASES = {
    "gradient descent, N = 1": (2, 2, 1, 3, 0, False),
    "with padding": (2, 1, 1, 3, 2, False),
    "SGD": (3, 1, 1, 3, 0, True),
    "one variable, N = 2": (1, 2, 2, 2, 1, False),
    "one variable, N = 2, SGD with padding": (1, 2, 2, 2, 1, True),
    "no quadratic term": (1, 1, 2, 1, 0, False),
}


@pytest.mark.parametrize("bits", [7, 20])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_block_is_the_history_matrix(case, bits):
    encoding, system = instance(*case, bits=bits)
    M, indices = system.matrix.to_dense().numpy(), encoding.basis_states
    others = np.setdiff1d(np.arange(2**encoding.system_bitsize), indices)
    for bloq, target in ((encoding, M), (encoding.adjoint(), M.T)):
        columns = encoding.alpha * columns_of(bloq, indices)
        error = np.linalg.norm(columns[indices] - target, 2)
        assert encoding.epsilon / 100 < error <= encoding.epsilon
        # the unknowns are a block of their own
        assert np.abs(columns[others]).max(initial=0) < 1e-14
    assert encoding.epsilon < 40 * encoding.alpha * np.pi / 2**bits
    assert np.linalg.norm(columns[indices] - M, 2) > 0.1  # planted: the wrong orientation


ODD_MAPS = {
    "parts of unlike norm": ([0.0, 0.0], [[0.9, 0.0], [0.0, -0.3]]),
    "an empty row": ([0.3, 0.0], [[0.9, 0.2], [0.0, 0.0]]),
    "F_1 = 0": ([0.3], [[0.0]], [[0.4]]),
    "no force": ([0.0], [[0.5]], [[0.4]]),
    "expanding": ([0.1], [[3.0]], [[-4.0]]),
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("coefficients", ODD_MAPS.values(), ids=ODD_MAPS.keys())
def test_maps_whose_weights_must_be_wasted(coefficients, order):
    f = PolynomialMap([torch.tensor(each, dtype=F64) for each in coefficients])
    encoding = HistoryEncoding(history_tables(f, order, steps=1, bits=18))
    system = history_system(
        carleman_linearize(f, order=order), torch.full((f.size,), 0.1, dtype=F64), steps=1
    )
    M, indices = system.matrix.to_dense().numpy(), encoding.basis_states
    columns = encoding.alpha * columns_of(encoding, indices)
    assert np.linalg.norm(columns[indices] - M, 2) <= encoding.epsilon + 1e-13 < 1e-3
    assert np.abs(np.delete(columns, indices, axis=0)).max() < 1e-13


def test_two_variables_of_order_two_and_words_with_factors_exchanged():
    encoding, system = instance(2, 2, 2, 3, 0, False)
    M, indices = system.matrix.to_dense().numpy(), encoding.basis_states
    assert encoding.system_bitsize + encoding.ancilla_bitsize <= 16
    columns = encoding.alpha * columns_of(encoding, indices)
    assert np.linalg.norm(columns[indices] - M, 2) <= encoding.epsilon < 1e-4
    others = np.setdiff1d(np.arange(2**encoding.system_bitsize), indices)
    assert np.abs(columns[others]).max() < 1e-14
    letters = indices & 0b1111
    exchanged = indices - letters + (letters >> 2) + ((letters & 0b11) << 2)
    # words of two letters, read backwards
    exchanged = np.where(indices & 0b10000, exchanged, indices)
    assert np.linalg.norm(columns[exchanged] - M, 2) > 0.05


@pytest.mark.parametrize(
    "case", [(2, 2, 2, 2, 1, True), (1, 3, 3, 1, 0, False)], ids=["SGD, padded, N = 2", "N = 3"]
)
def test_generic_states_of_larger_systems(case):
    """M z and M^T z of one generic z: what the columns say, at the cost of two runs."""
    encoding, system = instance(*case)
    M, indices = system.matrix.to_dense().numpy(), encoding.basis_states
    z = np.random.default_rng(1).normal(size=system.size)
    z /= np.linalg.norm(z)
    state = np.zeros((2**encoding.system_bitsize, 2**encoding.ancilla_bitsize))
    state[indices, 0] = z
    for bloq, target in ((encoding, M @ z), (encoding.adjoint(), M.T @ z)):
        found = (
            encoding.alpha
            * Simulator()
            .run(bloq, torch.as_tensor(state.reshape(-1)))
            .project(ancilla=0)
            .real.numpy()
        )
        assert np.linalg.norm(found[indices] - target) <= encoding.epsilon < 1e-4
        assert np.linalg.norm(np.delete(found, indices)) < 1e-14


def test_alpha_against_the_colouring_of_the_explicit_matrix():
    cases = {
        (2, 2, 1, 3, 0, False): (1.01, 0.9),
        (2, 2, 2, 3, 1, False): (1.2, 0.7),
        (3, 2, 2, 3, 1, True): (1.35, 0.6),
    }
    for case, (over_norm, over_coloured) in cases.items():
        encoding, system = instance(*case)
        norm = np.linalg.norm(system.matrix.to_dense().numpy(), 2)
        coloured = matrix_tables(*matrix_entries(system), system.size, bits=20)
        assert norm * (1 - 1e-12) <= encoding.alpha < over_norm * norm
        assert encoding.alpha < over_coloured * coloured.alpha


def test_the_tables_have_the_size_of_the_map():
    """Six times the steps and twice the padding leave every table of a letter as it is; a table of
    M grows with them.
    """
    (f,) = generic_maps(3, 2, 1)
    short, long = (
        history_tables(f, order=2, steps=T, padding=p, bits=12) for T, p in ((2, 1), (12, 2))
    )
    for one, other in zip(short.slots, long.slots, strict=True):
        assert (
            one.letters.forward.shape
            == other.letters.forward.shape
            == (4 * 16 if one.tail_slots else 2 * 4, 4)
        )
    band = torch.diag(torch.full((62,), 0.1, dtype=F64), 1) + 0.5 * torch.eye(63, dtype=F64)
    dense_force = PolynomialMap([torch.linspace(0.1, 0.2, 63, dtype=F64), band])
    slot, _ = history_tables(dense_force, order=2, steps=2, bits=12).slots
    assert slot.letters.forward.shape == (2 * 4, 64)  # F_0 has one colour, F_1 and w two
    changing = history_tables([f] * 12, order=2, padding=2, bits=12)
    assert changing.slots[0].letters.forward.shape == (16 * 4 * 16, 4)  # an axis of steps


def test_refusals():
    f, g = generic_maps(2, 1, 1)[0], generic_maps(3, 1, 1)[0]
    with pytest.raises(
        ArgumentError, match="Argument `steps` must be given where one map serves every step"
    ):
        history_tables(f, order=1, bits=10)
    with pytest.raises(
        ArgumentError, match="Argument `maps` must have the same number of variables at every step"
    ):
        history_tables([f, g], order=1, bits=10)
    with pytest.raises(
        ArgumentError,
        match="Argument `maps` must hold one map for each of the steps, but is 2 for 3 steps",
    ):
        history_tables([f, f], order=1, steps=3, bits=10)
    with pytest.raises(ArgumentError, match="Argument `maps` must leave every table at most"):
        history_tables(generic_maps(20, 2, 1) * 300, order=2, bits=10)
