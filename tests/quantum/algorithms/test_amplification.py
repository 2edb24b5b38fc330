"""Amplification against the two-dimensional rotation that it is, on a solve whose flag is known
from one run.
"""

import math

import attrs
import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.quantum.algorithms.amplification import AmplitudeAmplification
from qdescent.quantum.algorithms.qsp_angles import qsp_angles
from qdescent.quantum.algorithms.qsvt import LinearSolve, QSVTSequence, projector_phases
from qdescent.quantum.algorithms.rounds import (
    amplified_probability,
    damping_half_angle,
    rounds_needed,
)
from qdescent.quantum.encodings.coloured import SparseBlockEncoding
from qdescent.quantum.gates.state_preparation import RealStatePreparation
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.angles import rotation_tree
from qdescent.quantum.tables.coloured import matrix_tables


def solve(smallness=1.0):
    matrix = np.array([[0.9, 0.2, 0.0], [0.0, -0.5, 0.3], [0.4, 0.0, 0.7]])
    rows, columns = np.nonzero(matrix)
    encoding = SparseBlockEncoding(matrix_tables(rows, columns, matrix[rows, columns], 3, bits=8))
    phases = projector_phases(qsp_angles([0.0, 0.5 * smallness, 0.0, -0.2 * smallness]))
    return LinearSolve(
        RealStatePreparation(rotation_tree(np.array([1.0, -2.0, 0.5]), 8)),
        QSVTSequence(encoding, phases),
    )


def places(bloq):
    return ("ancilla", bloq.sequence.encoding.ancilla_bitsize), ("part", 1)


def kept_after(bloq):
    damping = {} if bloq.signature.n_qubits() == bloq.solve.signature.n_qubits() else {"damping": 0}
    return Simulator().run(bloq).project(ancilla=0, part=0, **damping)


@pytest.mark.parametrize("rounds", [0, 1, 2, 5])
def test_rounds_turn_the_good_amplitude_and_keep_its_direction(rounds):
    bloq = solve(0.3)
    bare = Simulator().run(bloq).project(ancilla=0, part=0)
    angle = math.asin(float(bare.norm()))
    kept = kept_after(AmplitudeAmplification(bloq, places(bloq), rounds))
    torch.testing.assert_close(
        kept, bare * (math.sin((2 * rounds + 1) * angle) / math.sin(angle)), rtol=0, atol=1e-12
    )
    assert float(kept.norm()) ** 2 == pytest.approx(
        amplified_probability(math.sin(angle) ** 2, rounds), abs=1e-12
    )


@pytest.mark.parametrize("smallness", [1.9, 1.0, 0.2])
def test_with_the_damping_success_is_certain(smallness):
    bloq = solve(smallness)
    bare = Simulator().run(bloq).project(ancilla=0, part=0)
    probability = float(bare.norm()) ** 2
    rounds = rounds_needed(probability)
    amplified = AmplitudeAmplification(
        bloq, places(bloq), rounds, damping_half_angle(probability, rounds)
    )
    kept = kept_after(amplified)
    torch.testing.assert_close(kept, bare / bare.norm(), rtol=0, atol=1e-10)
    calls = Simulator().run(amplified).calls
    forward, backward = calls[bloq.sequence.encoding], calls[bloq.sequence.encoding.adjoint()]
    assert forward + backward == (2 * rounds + 1) * bloq.sequence.degree
    with pytest.raises(
        ArgumentError, match=f"Argument `rounds` must be at least {rounds} for probability"
    ):
        damping_half_angle(probability, rounds - 1)


def test_a_wrong_reflection_is_seen():
    """Planted: one reflection with the other sign (the amplitude's sign is wrong), or about one bit
    too few (success is missed).
    """

    @attrs.frozen
    class WrongSign(AmplitudeAmplification):
        def _reflect(self, bb, soqs, places, *, negated):
            return super()._reflect(bb, soqs, places, negated=False)

    bloq = solve(1.5)
    bare = Simulator().run(bloq).project(ancilla=0, part=0)
    probability = float(bare.norm()) ** 2
    rounds = rounds_needed(probability)
    assert rounds % 2
    half_angle = damping_half_angle(probability, rounds)
    wrong_sign = kept_after(WrongSign(bloq, places(bloq), rounds, half_angle))
    torch.testing.assert_close(wrong_sign, -bare / bare.norm(), rtol=0, atol=1e-10)
    one_bit_too_few = kept_after(AmplitudeAmplification(bloq, places(bloq)[:1], rounds, half_angle))
    assert float(one_bit_too_few.norm()) ** 2 < 0.9


def test_oblivious_amplification_of_a_unitary_block():
    """<0|W|0> = V/2 with V unitary, on any state: one round gives V."""
    i = np.arange(8)
    values = np.concatenate([0.5 * np.ones(8), 0.5 * np.where(i % 2, -1.0, 1.0)])
    rows = np.concatenate([i, i ^ 1])  # (1 + i Y)/2: 1/sqrt2 of a rotation
    encoding = SparseBlockEncoding(matrix_tables(rows, np.concatenate([i, i]), values, 8, bits=30))
    ancilla = (("ancilla", encoding.ancilla_bitsize),)
    block = np.zeros((8, 8))
    block[rows, np.concatenate([i, i])] = values
    unitary = block / math.sqrt(0.5)
    np.testing.assert_allclose(unitary @ unitary.T, np.eye(8), atol=1e-12)
    amplified = AmplitudeAmplification(
        encoding, ancilla, 1, math.acos(0.5 / math.sqrt(0.5)), start=ancilla
    )
    state = np.random.default_rng(0).normal(size=8)
    state /= np.linalg.norm(state)
    initial = torch.zeros(8, 2**encoding.ancilla_bitsize, 2, dtype=torch.complex128)
    initial[:, 0, 0] = torch.as_tensor(state)
    kept = Simulator().run(amplified, initial.reshape(-1)).project(ancilla=0, damping=0)
    np.testing.assert_allclose(kept.numpy(), unitary @ state, atol=1e-8)


@pytest.mark.parametrize("probability", [1e-6, 1e-3, 0.04, 0.26, 0.7])
def test_repetitions_against_the_model_of_one_over_the_root(probability):
    """`best_padding` counts 1/sqrt(p) solves: the circuit takes pi/2 of that for small p, and 3
    sqrt(p) above p = 1/4.
    """
    solves = 2 * rounds_needed(probability) + 1
    factor = solves * math.sqrt(probability)
    if probability < 0.25:
        assert abs(factor - math.pi / 2) <= 2 * math.sqrt(probability)
    else:
        assert factor == pytest.approx(3 * math.sqrt(probability))
    assert 1.5 <= factor < 3
