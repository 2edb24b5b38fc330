"""A history's right-hand side letter by letter: the very vector that `history_system` has, from
tables of F_0 alone; and rotations that only what matters selects.
"""

import math

import numpy as np
import pytest
import torch
from qualtran.resource_counting import QECGatesCost, get_cost_value

import qdescent as qd
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.quantum.encodings.history import HistoryEncoding
from qdescent.quantum.gates.force_preparation import ForcePreparation, history_preparation
from qdescent.quantum.gates.state_preparation import RealStatePreparation, state_preparation
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.angles import rotation_tree
from qdescent.quantum.tables.force import force_tables
from qdescent.quantum.tables.history import history_tables
from qdescent.quantum.tables.word_registers import WordRegisters

BITS = 30


def right_side(n, order, steps, padding, changing=False, scale=1.0):
    """(b_t of the history's own B, its layout)."""
    draws = torch.Generator().manual_seed(n + 7 * order)
    maps = [
        qd.PolynomialMap(
            [
                torch.randn(n, generator=draws).double(),
                torch.randn(n, n, generator=draws).double(),
                torch.randn(n, n * n, generator=draws).double(),
            ]
        )
        for _ in range(steps if changing else 1)
    ]
    lifts = [carleman_linearize(f, order, scale=scale) for f in maps]
    length = None if changing else steps
    system = qd.history_system(
        lifts if changing else lifts[0], torch.zeros(n).double(), length, padding
    )
    tables = history_tables(
        [f.rescaled(scale) for f in maps] if changing else maps[0].rescaled(scale),
        order, length, padding, bits=BITS,
    )  # fmt: skip
    size = 2**tables.system_bits
    b = np.zeros(2 * size)
    b[HistoryEncoding(tables).basis_states] = system.rhs.numpy()
    b /= math.sqrt(2) * np.linalg.norm(b)
    b[size] = math.sqrt(0.5)
    layout = WordRegisters(tables.size, order, tables.steps, tables.padding)
    return b, layout


CASES = [(2, 2, 3, 0), (3, 2, 4, 2), (1, 3, 2, 0), (2, 3, 2, 1), (1, 4, 2, 0), (7, 2, 1, 0)]


@pytest.mark.parametrize("changing", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_prepares_the_systems_own_right_side(case, changing):
    b, layout = right_side(*case, changing=changing, scale=0.3)
    tables = force_tables(b, layout, BITS)
    assert np.abs(tables.prepared - b).max() < 1e-7
    if tables.bitsize > 11:
        return
    bloq = ForcePreparation(tables)
    state = Simulator().run(bloq).amplitudes.numpy()
    np.testing.assert_allclose(state, tables.prepared, atol=1e-12)
    back = Simulator().run(bloq.adjoint(), torch.from_numpy(tables.prepared)).amplitudes
    assert abs(back[0].item()) == pytest.approx(1)


@pytest.mark.parametrize("case", [(2, 2, 3, 0), (2, 3, 2, 1)], ids=str)
def test_another_vector_is_none(case):
    """A word changed, a state from u_0 that differs by degree, signs, a random vector."""
    b, layout = right_side(*case)
    rng = np.random.default_rng(0)
    place = rng.choice(np.flatnonzero(b[: len(b) // 2]), 5)
    for i in place:
        wrong = b.copy()
        wrong[i] *= 1.01
        assert force_tables(wrong, layout, BITS) is None
        assert force_tables(np.where(np.arange(len(b)) == i, -b, b), layout, BITS) is None
    assert force_tables(rng.normal(size=len(b)), layout, BITS) is None
    # entry by entry it is prepared all the same
    wrong = b + 0.01 * rng.normal(size=len(b))
    found = history_preparation(wrong, layout, BITS)
    np.testing.assert_allclose(found.prepared, wrong / np.linalg.norm(wrong), atol=1e-6)


def ands(bloq):
    return get_cost_value(bloq, QECGatesCost()).and_bloq


def test_its_gates_grow_as_the_values_of_f_0():
    """Four times the weights: four times the gates, where the words are sixteen times as many."""
    few, many = (right_side(n, 2, 1, 0) for n in (7, 31))
    by_letters = [ands(ForcePreparation(force_tables(*each, BITS))) for each in (few, many)]
    by_words = [ands(RealStatePreparation(rotation_tree(each[0], BITS))) for each in (few, many)]
    assert by_letters[1] < 5 * by_letters[0]
    assert by_words[1] > 12 * by_words[0]
    assert isinstance(history_preparation(*many, BITS), ForcePreparation)


def test_a_product_costs_the_sum_of_its_parts():
    """Three tables in the place of one for each beginning; the vector is the same."""
    rng = np.random.default_rng(1)
    parts = [rng.random(size=4) for _ in range(3)]
    vector = np.kron(np.kron(parts[0], parts[1]), parts[2])
    prepare = state_preparation(vector, 8)
    assert [len(turn.selection) for turn in prepare.tree.selected] == [0, 1, 0, 1, 0, 1]
    np.testing.assert_allclose(prepare.prepared, vector / np.linalg.norm(vector), atol=0.1)
    state = Simulator(fast=False).run(prepare).amplitudes.numpy()
    np.testing.assert_allclose(state, prepare.prepared, atol=1e-12)
    # planted: one entry off, and nothing can be left out behind it
    vector[-1] *= 1.1
    assert max(len(turn.selection) for turn in state_preparation(vector, BITS).tree.selected) == 5


@pytest.mark.parametrize("seed", range(6))
def test_random_vectors_with_zeros_and_repeats(seed):
    """What is left out changes nothing, whatever stands where the vector has no weight."""
    rng = np.random.default_rng(seed)
    vector = rng.choice([0.0, 0.0, 1.0, -1.0, 0.5], size=32)
    vector[rng.integers(32)] = 0.7
    for bits, fast, near in ((BITS, True, 1e-7), (6, False, 1e-12)):
        prepare = RealStatePreparation(rotation_tree(vector, bits))
        state = Simulator(fast=fast).run(prepare).amplitudes.numpy()
        meant = vector / np.linalg.norm(vector) if fast else prepare.prepared
        np.testing.assert_allclose(state, meant, atol=near)
