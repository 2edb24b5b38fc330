"""Every bloq three ways: its fast leaf, its decomposition, and its call graph agree. A new bloq adds one line."""

import attrs
import numpy as np
import pytest
import torch
from qualtran.bloqs.basic_gates import CNOT, Hadamard, Ry, Rz, Toffoli, TwoBitSwap, XGate, ZGate
from qualtran.bloqs.data_loading.qrom import QROM
from qualtran.bloqs.mcmt import And
from qualtran.resource_counting import GateCounts, QECGatesCost, QubitCount, get_cost_value
from qualtran.testing import assert_valid_bloq_decomposition

from qdescent._checks import ArgumentError
from qdescent.linalg.chebyshev import chebyshev_value
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.access import AngleTable, matrix_tables, rotation_tree
from qdescent.quantum.balanced_encoding import BalancedEncoding
from qdescent.quantum.balanced_tables import balanced_matrix, selected_tree
from qdescent.quantum.block_encoding import SparseBlockEncoding
from qdescent.quantum.composition import Identity, Product, Shift, TensorProduct
from qdescent.quantum.history_encoding import HistoryEncoding
from qdescent.quantum.history_tables import history_tables
from qdescent.quantum.kernel_encoding import KernelEncoding, KernelTransform, VectorFlip, augmented_tables
from qdescent.quantum.loaders import ColourPermutation, TableRotation
from qdescent.quantum.multiplexing import block_diagonal, weighted_sum
from qdescent.quantum.phases import qsp_angles
from qdescent.quantum.qsvt import LinearSolve, ProjectorPhase, QSVTSequence, projector_phases
from qdescent.quantum.selected_preparation import PatternFlip, SelectedPreparation, SelectedSwap
from qdescent.quantum.simulator import Simulator
from qdescent.quantum.state_preparation import RealStatePreparation

ELEMENTARY = (QROM, And, CNOT, Hadamard, Ry, Rz, Toffoli, TwoBitSwap, XGate, ZGate)


def unequal_matrix(size, seed=0, density=0.6):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(size, size)) * (draw.random((size, size)) < density)


def encoding_of(matrix, bits):
    rows, columns = np.nonzero(matrix)
    return SparseBlockEncoding(matrix_tables(rows, columns, matrix[rows, columns], len(matrix), bits))


SMALL = encoding_of(unequal_matrix(3), bits=4)
TREE = rotation_tree(np.array([0.3, -1.0, 0.0, 0.4, 2.0]), bits=5)
SOLVE = LinearSolve(
    RealStatePreparation(rotation_tree(np.array([1.0, -0.4, 0.2]), bits=4)),
    QSVTSequence(SMALL.adjoint(), (0.1, 0.3, -0.5, 0.7)),
)
ONE_BY_ONE = encoding_of(np.array([[-0.7]]), bits=4)
TWO_BY_TWO = encoding_of(unequal_matrix(2, seed=4, density=1.0), bits=4)
KERNEL = KernelEncoding(
    SparseBlockEncoding(augmented_tables(ONE_BY_ONE.tables, guess=1.7)),
    RealStatePreparation(rotation_tree(np.array([0.6, 0.0, 0.8, 0.0]), bits=4)),
)
SELECTED = selected_tree(np.array([[0.3, -1.0, 0.0, 0.4], [1, 0, 0, 0], [0, 0.2, 2.0, -0.1], [1, 1, -1, 1]]), bits=5)
MAP = PolynomialMap([torch.tensor([0.3]), torch.tensor([[0.8]]), torch.tensor([[0.2]])])
HISTORY = HistoryEncoding(history_tables(MAP, order=2, steps=1, bits=4))
BLOQS = {
    "rotation, two selections": TableRotation(SMALL.tables.entries),
    "rotation, none": TableRotation(AngleTable.nearest(np.array(1.1), 6)),
    "permutation": ColourPermutation(SMALL.tables.permutations),
    "preparation": RealStatePreparation(TREE),
    "block-encoding": SMALL,
    "projector phase": ProjectorPhase(0.37, 3),
    "sequence": QSVTSequence(SMALL, (0.1, 0.3, -0.5, 0.7)),
    "linear solve": SOLVE,
    "vector flip": VectorFlip(RealStatePreparation(TREE)),
    "kernel encoding": KERNEL,
    "even sequence": QSVTSequence(KERNEL, (0.1, 0.3, -0.5)),
    "kernel transform": KernelTransform(QSVTSequence(KERNEL, (0.2, -0.3, 0.5))),
    "selected preparation": SelectedPreparation(SELECTED),
    "pattern flip": PatternFlip((1, 0, 1)),
    "selected swap": SelectedSwap((True, False, False, True), 2),
    "history encoding": HISTORY,
    "controlled block-encoding": ONE_BY_ONE.controlled(),
    "tensor product": TensorProduct((ONE_BY_ONE, Shift(1))),
    "product": Product((ONE_BY_ONE, TWO_BY_TWO.adjoint())),
    "weighted sum": weighted_sum([0.5, -1.0], [ONE_BY_ONE, Identity(1)], bits=4),
    "block diagonal": block_diagonal([ONE_BY_ONE, Shift(1), TWO_BY_TWO], bits=4),
    "shift": Shift(3),
    "balanced encoding": BalancedEncoding(
        balanced_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([1, 0.3, -0.5]), 2, 4)
    ),
}
RULES = ("tensor product", "product", "weighted sum", "block diagonal", "shift", "history encoding", "balanced encoding")
BLOQS |= {f"controlled {name}": BLOQS[name].controlled() for name in RULES}
ONE_WAY = ("sequence", "linear solve", "even sequence", "kernel transform")
WITH_ADJOINT = {
    **BLOQS,
    **{f"{name}, adjoint": bloq.adjoint() for name, bloq in BLOQS.items() if name not in ONE_WAY},
}


def generic_state(bloq, seed=5):
    draw = np.random.default_rng(seed)
    n = 2 ** bloq.signature.n_qubits()
    state = torch.as_tensor(draw.normal(size=n) + 1j * draw.normal(size=n))
    return state / state.norm()


def costly(bloq):
    """Counts without Cliffords: Qualtran's call graph of a ladder of ANDs lists more X gates than its decomposition has."""
    return attrs.evolve(get_cost_value(bloq, QECGatesCost()), clifford=0)


@pytest.mark.parametrize("bloq", WITH_ADJOINT.values(), ids=WITH_ADJOINT.keys())
def test_fast_leaf_decomposition_and_call_graph_agree(bloq):
    assert_valid_bloq_decomposition(bloq)
    state = generic_state(bloq)
    fast = Simulator().run(bloq, state)
    decomposed = Simulator(fast=False).run(bloq, state)
    torch.testing.assert_close(fast.amplitudes, decomposed.amplitudes, rtol=0, atol=1e-13)
    assert (fast.amplitudes - state).norm() > 1e-2

    executed = sum((n * costly(leaf) for leaf, n in decomposed.calls.items() if type(leaf) in ELEMENTARY), GateCounts())
    assert executed == costly(bloq)


@pytest.mark.parametrize("name", [name for name in WITH_ADJOINT if name.endswith("adjoint")])
def test_adjoint_undoes(name):
    bloq = WITH_ADJOINT[name.removesuffix(", adjoint")]
    state = generic_state(bloq)
    simulator = Simulator()
    back = simulator.run(bloq.adjoint(), simulator.run(bloq, state).amplitudes)
    torch.testing.assert_close(back.amplitudes, state, rtol=0, atol=1e-13)


def encoded_block(encoding):
    """<0|U|0>, column by column."""
    simulator, ancilla = Simulator(), 2**encoding.ancilla_bitsize
    identity = torch.eye(2**encoding.system_bitsize * ancilla, dtype=torch.complex128)
    return torch.stack([simulator.run(encoding, column).project(ancilla=0) for column in identity[::ancilla]], dim=1).numpy()


@pytest.mark.parametrize("bits", [4, 9, 20])
@pytest.mark.parametrize("size", [3, 8])
def test_block_encoding_within_its_derived_error(size, bits):
    matrix = unequal_matrix(size, seed=size)
    encoding = encoding_of(matrix, bits)
    padded = np.zeros((2**encoding.system_bitsize,) * 2)
    padded[:size, :size] = matrix
    for bloq, target in ((encoding, padded), (encoding.adjoint(), padded.T)):
        error = np.linalg.norm(target - encoding.alpha * encoded_block(bloq), 2)
        assert error <= encoding.epsilon + 1e-13
        assert error > encoding.epsilon / 100  # the bound says something
    assert encoding.epsilon <= 12 * encoding.alpha * np.pi / 2**bits
    planted = np.linalg.norm(padded.T - encoding.alpha * encoded_block(encoding), 2)
    assert planted > max(encoding.epsilon, 0.1)  # the wrong orientation is rejected


def test_preparation_prepares_its_tree():
    prepare = RealStatePreparation(TREE)
    for fast in (True, False):
        amplitudes = Simulator(fast=fast).run(prepare).amplitudes
        np.testing.assert_allclose(amplitudes.numpy(), TREE.prepared, atol=1e-14)


def test_a_decomposition_that_forgets_the_unload_is_caught():
    @attrs.frozen
    class Forgetful(ColourPermutation):
        def build_composite_bloq(self, bb, **soqs):
            load = QROM.build_from_data(self.table.forward, target_bitsizes=(2,))
            colour, index, image = bb.add(load, selection0=soqs["colour"], selection1=soqs["index"], target0_=bb.allocate(2))
            bb.free(image)
            return {"colour": colour, "index": index}

    bloq = Forgetful(SMALL.tables.permutations)
    with pytest.raises(ArgumentError, match=r"Argument `bloq` must return its ancillas to \|0>, but is losing"):
        Simulator(fast=False).run(bloq, generic_state(bloq))


def test_sequence_is_the_singular_value_transform():
    encoding = encoding_of(unequal_matrix(4, seed=2), bits=20)
    for coefficients in ([0, 0.4, 0, -0.3], [0, 0.1, 0, 0.5, 0, -0.3]):
        sequence = QSVTSequence(encoding, projector_phases(qsp_angles(coefficients)))
        simulator, step = Simulator(), 2 ** (encoding.ancilla_bitsize + 1)
        identity = torch.eye(4 * step, dtype=torch.complex128)[::step]
        found = torch.stack([simulator.run(sequence, c).project(ancilla=0, part=0) for c in identity], dim=1).numpy()
        W, S, Vh = np.linalg.svd(encoded_block(encoding))
        np.testing.assert_allclose(found, W @ np.diag(chebyshev_value(coefficients, S)) @ Vh, atol=1e-12)


def test_qubits_of_the_sequence_are_those_of_its_decomposition():
    sequence = BLOQS["sequence"]
    assert get_cost_value(sequence, QubitCount()) == get_cost_value(sequence.decompose_bloq(), QubitCount())
    assert get_cost_value(sequence, QubitCount()) > sequence.signature.n_qubits()
