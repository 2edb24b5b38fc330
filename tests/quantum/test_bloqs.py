"""Every bloq four ways: its fast kernel, its decomposition, its call graph and its export agree. A
new bloq adds one line.
"""

from dataclasses import replace

import attrs
import numpy as np
import pytest
import torch
from qualtran.bloqs.basic_gates import (
    CNOT,
    Hadamard,
    Ry,
    Rz,
    Toffoli,
    TwoBitCSwap,
    TwoBitSwap,
    XGate,
    ZGate,
)
from qualtran.bloqs.data_loading.qrom import QROM
from qualtran.bloqs.mcmt import And
from qualtran.resource_counting import GateCounts, QECGatesCost, QubitCount, get_cost_value
from qualtran.testing import assert_valid_bloq_decomposition

from qdescent._checks import ArgumentError
from qdescent.linalg.chebyshev import chebyshev_value
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.algorithms.amplification import AmplitudeAmplification, ZeroReflection
from qdescent.quantum.algorithms.hamiltonian_simulation import EvolutionSequence
from qdescent.quantum.algorithms.phase_estimation import FourierTransform, PhaseEstimationSolve
from qdescent.quantum.algorithms.qsp_angles import qsp_angles
from qdescent.quantum.algorithms.qsvt import (
    KernelTransform,
    LinearSolve,
    ProjectorPhase,
    QSVTSequence,
    projector_phases,
)
from qdescent.quantum.algorithms.segment_transform import SegmentTransform
from qdescent.quantum.algorithms.selected_sequence import SelectedPhase, SelectedSequence
from qdescent.quantum.encodings.balanced import BalancedEncoding
from qdescent.quantum.encodings.coloured import SparseBlockEncoding
from qdescent.quantum.encodings.composition import Identity, block_diagonal
from qdescent.quantum.encodings.history import HistoryEncoding
from qdescent.quantum.encodings.kernel import KernelEncoding, VectorFlip
from qdescent.quantum.encodings.lcu import weighted_sum
from qdescent.quantum.encodings.products import Product, Shift, TensorProduct
from qdescent.quantum.gates.force_preparation import ForcePreparation
from qdescent.quantum.gates.loading.bucket_brigade import BucketBrigade
from qdescent.quantum.gates.loading.qroam import QROAMLoader
from qdescent.quantum.gates.loading.select_swap import BorrowedLoad
from qdescent.quantum.gates.multiplexed import (
    ColourPermutation,
    PatternFlip,
    SelectedSwap,
    TablePhase,
    TableRotation,
)
from qdescent.quantum.gates.selected_preparation import SelectedPreparation
from qdescent.quantum.gates.state_preparation import (
    RealStatePreparation,
    sparse_preparation,
    state_preparation,
)
from qdescent.quantum.gates.table_lookup import TableLoad
from qdescent.quantum.inspect.qasm import gate_list, to_openqasm
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.angles import AngleTable, rotation_tree, selected_tree
from qdescent.quantum.tables.balanced import balanced_matrix
from qdescent.quantum.tables.coloured import (
    controlled_hermitian_tables,
    matrix_tables,
)
from qdescent.quantum.tables.force import force_tables
from qdescent.quantum.tables.history import history_tables
from qdescent.quantum.tables.lookup import LookUpTable
from qdescent.quantum.tables.permutations import PermutationTable
from qdescent.quantum.tables.word_registers import WordRegisters

ELEMENTARY = (QROM, And, CNOT, Hadamard, Ry, Rz, Toffoli, TwoBitCSwap, TwoBitSwap, XGate, ZGate)


def unequal_matrix(size, seed=0, density=0.6):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(size, size)) * (draw.random((size, size)) < density)


def encoding_of(matrix, bits):
    rows, columns = np.nonzero(matrix)
    return SparseBlockEncoding(
        matrix_tables(rows, columns, matrix[rows, columns], len(matrix), bits)
    )


SMALL = encoding_of(unequal_matrix(3), bits=4)
TREE = rotation_tree(np.array([0.3, -1.0, 0.0, 0.4, 2.0]), bits=5)
SOLVE = LinearSolve(
    RealStatePreparation(rotation_tree(np.array([1.0, -0.4, 0.2]), bits=4)),
    QSVTSequence(SMALL.adjoint(), (0.1, 0.3, -0.5, 0.7)),
)
ONE_BY_ONE = encoding_of(np.array([[-0.7]]), bits=4)
TWO_BY_TWO = encoding_of(unequal_matrix(2, seed=4, density=1.0), bits=4)
KERNEL = KernelEncoding(
    ONE_BY_ONE.augmented(1.7),
    RealStatePreparation(rotation_tree(np.array([0.6, 0.0, 0.8, 0.0]), bits=4)),
)
FIVE_LINES = LookUpTable(np.array([5, 2, 7, 1, 6]), bits=3)  # neither as many as 2^n nor equal
TWO_AXES = LookUpTable(np.array([[1, 2, 0], [3, 0, 2]]), bits=2)
CLEAN, DIRTY = QROAMLoader(block=2), QROAMLoader(block=2, dirty=True)
CYCLE = np.array([5, 1, 0, 3, 4, 7, 6, 2])
SWAPPED = np.array([[1, 0], [0, 1]])
COMPLEX = encoding_of(unequal_matrix(3) * np.exp(1j * np.arange(9).reshape(3, 3)), bits=4)
HERMITIAN = SparseBlockEncoding(
    controlled_hermitian_tables(
        np.array([0]), np.array([0]), np.array([0.6 + 0.3j]), size=1, bits=4
    )
)
EVOLUTION = EvolutionSequence(
    HERMITIAN,
    HERMITIAN.augmented(1.0),
    (0.1, -0.4, 0.3),
    (0.2, 0.5, -0.6, 0.9),
)


def amplified_evolution(phi):
    ancillas = (("ancilla", HERMITIAN.ancilla_bitsize), ("part", 1), ("choice", 1))
    return AmplitudeAmplification(
        attrs.evolve(EVOLUTION, even=(phi,), odd=(0.2, phi)), ancillas, rounds=1, start=ancillas
    )


SYMMETRIC = balanced_matrix(
    np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([1.0, 0.3, 0.3, -0.5]), 2, 4
)
SELECTED_SEQUENCE = SelectedSequence(
    BalancedEncoding(SYMMETRIC),
    ((0.1, 0.3, -0.5), (0.7, -0.2, 0.4)),
)
COMPLEX_VECTOR = state_preparation(np.array([0.6, 0.0, 0.8j, 0.3 - 0.1j]), bits=4)
SELECTED = selected_tree(
    np.array([[0.3, -1.0, 0.0, 0.4], [1, 0, 0, 0], [0, 0.2, 2.0, -0.1], [1, 1, -1, 1]]), bits=5
)
MAP = PolynomialMap([torch.tensor([0.3]), torch.tensor([[0.8]]), torch.tensor([[0.2]])])
HISTORY = HistoryEncoding(history_tables(MAP, order=2, steps=1, bits=4))
FORCE = force_tables(
    np.array([0, 0, 0.5, 0, 0, 0.5, 0.5, 0.25] + 8 * [0.0]), WordRegisters(1, 2, 1, 0), bits=5
)
THREE_OF_SIXTEEN = np.zeros(16)
THREE_OF_SIXTEEN[[2, 7, 13]] = 0.5, -1.0, 2.0
BLOQS = {
    "rotation, two selections": TableRotation(SMALL.tables.entries),
    "rotation, none": TableRotation(AngleTable.nearest(np.array(1.1), 6)),
    "permutation": ColourPermutation(SMALL.tables.permutations),
    "permutation, one": ColourPermutation(
        PermutationTable(CYCLE, np.argsort(CYCLE)), QROAMLoader(block=2)
    ),
    "preparation": RealStatePreparation(TREE),
    "sparse preparation": sparse_preparation(THREE_OF_SIXTEEN, bits=5, loader=CLEAN),
    "preparation letter by letter": ForcePreparation(FORCE),
    "block-encoding": SMALL,
    "projector phase": ProjectorPhase(0.37, 3),
    "sequence": QSVTSequence(SMALL, (0.1, 0.3, -0.5, 0.7)),
    "linear solve": SOLVE,
    "vector flip": VectorFlip(RealStatePreparation(TREE)),
    "kernel encoding": KERNEL,
    "even sequence": QSVTSequence(KERNEL, (0.1, 0.3, -0.5)),
    "kernel transform": KernelTransform(QSVTSequence(KERNEL, (0.2, -0.3, 0.5))),
    "load, QROM": TableLoad(FIVE_LINES),
    "load, QROAM": TableLoad(FIVE_LINES, CLEAN),
    "load, QROAM, two selections": TableLoad(TWO_AXES, QROAMLoader(block=4)),
    "load, dirty QROAM": TableLoad(FIVE_LINES, DIRTY),
    # the borrowed qubits start in the generic state too
    "load, borrowed": BorrowedLoad(TWO_AXES, block=4),
    "rotation, QROAM": TableRotation(SMALL.tables.entries, CLEAN),
    "permutation, QROAM": ColourPermutation(SMALL.tables.permutations, QROAMLoader(block=4)),
    "permutation, dirty QROAM": ColourPermutation(SMALL.tables.permutations, DIRTY),
    "preparation, QROAM": RealStatePreparation(TREE, loader=QROAMLoader()),
    "block-encoding, QROAM": attrs.evolve(SMALL, loader=CLEAN),
    "load, bucket brigade": TableLoad(LookUpTable(np.array([3, 1, 2]), bits=2), BucketBrigade()),
    "load, bucket brigade, two selections": TableLoad(
        LookUpTable(np.array([[1, 2], [0, 3]]), bits=2), BucketBrigade()
    ),
    "rotation, bucket brigade": TableRotation(
        AngleTable(np.array([1, 6, 3, 4]), bits=3), BucketBrigade()
    ),
    "permutation, bucket brigade": ColourPermutation(
        PermutationTable(SWAPPED, SWAPPED), BucketBrigade()
    ),
    "block-encoding, bucket brigade": attrs.evolve(
        encoding_of(unequal_matrix(2, density=1.0), bits=3), loader=BucketBrigade()
    ),
    "phases": TablePhase(COMPLEX.tables.phases),
    "complex preparation": COMPLEX_VECTOR,
    "complex block-encoding": COMPLEX,
    "complex vector flip": VectorFlip(COMPLEX_VECTOR),
    "complex kernel encoding": KernelEncoding(
        encoding_of(np.array([[-0.7j]]), bits=4).augmented(1.7),
        COMPLEX_VECTOR,
    ),
    "selected phase": SelectedPhase((0.3, -0.7), 2),
    "selected phase, of eight": SelectedPhase(tuple(np.cos(np.arange(8.0))), 2),
    "selected sequence": SELECTED_SEQUENCE,
    "selected sequence, of four": attrs.evolve(
        SELECTED_SEQUENCE, phases=((0.1, 0.3), (0.7, -0.2), (0.0, 0.4), (1.1, 0.0))
    ),
    "segment": SegmentTransform(
        RealStatePreparation(rotation_tree(np.array([0.6, -0.8]), bits=4)),
        RealStatePreparation(rotation_tree(np.array([0.8, 0.6]), bits=4)),
        SELECTED_SEQUENCE,
    ),
    "evolution": EVOLUTION,
    "Fourier transform": FourierTransform(3),
    "phase estimation": PhaseEstimationSolve(
        state_preparation(np.array([0.8, 0.0, 0.6j, 0.1]), bits=4),
        RealStatePreparation(rotation_tree(np.array([0.2, 0.5, 0.5, 0.3]), bits=4)),
        (amplified_evolution(0.3), amplified_evolution(0.6)),
        TableRotation(AngleTable.nearest(np.array([0.1, 0.9, 2.0, 4.0]), 4)),
    ),
    "zero reflection": ZeroReflection(3),
    "zero reflection, negated": ZeroReflection(2, negated=True),
    "zero reflection, one bit": ZeroReflection(1),
    "amplified solve": AmplitudeAmplification(
        SOLVE, (("ancilla", SOLVE.sequence.encoding.ancilla_bitsize), ("part", 1)), 2, 0.4
    ),
    "amplified, oblivious": AmplitudeAmplification(
        SMALL, (("ancilla", SMALL.ancilla_bitsize),), 1, start=(("ancilla", SMALL.ancilla_bitsize),)
    ),
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
    "balanced kernel encoding": KernelEncoding(
        BalancedEncoding(
            balanced_matrix(np.array([0]), np.array([0]), np.array([-0.7j]), 1, 4).augmented(1.7)
        ),
        COMPLEX_VECTOR,
    ),
    "complex balanced encoding": BalancedEncoding(
        balanced_matrix(
            np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([1j, 0.3, 0.2 - 0.5j]), 2, 4
        )
    ),
    "balanced encoding": BalancedEncoding(
        balanced_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([1, 0.3, -0.5]), 2, 4)
    ),
}
RULES = (
    "tensor product", "product", "weighted sum", "block diagonal", "shift", "history encoding",
    "balanced encoding",
    "complex balanced encoding",
)  # fmt: skip
BLOQS |= {f"controlled {name}": BLOQS[name].controlled() for name in RULES}
WITH_ADJOINT = {**BLOQS, **{f"{name}, adjoint": bloq.adjoint() for name, bloq in BLOQS.items()}}


def generic_state(bloq, seed=5):
    draw = np.random.default_rng(seed)
    n = 2 ** bloq.signature.n_qubits()
    state = torch.as_tensor(draw.normal(size=n) + 1j * draw.normal(size=n))
    return state / state.norm()


def costly(bloq):
    """Counts without Cliffords: Qualtran's call graph of a ladder of ANDs lists more X gates than
    its decomposition has.
    """
    return attrs.evolve(get_cost_value(bloq, QECGatesCost()), clifford=0)


@pytest.mark.parametrize("bloq", WITH_ADJOINT.values(), ids=WITH_ADJOINT.keys())
def test_fast_leaf_decomposition_and_call_graph_agree(bloq):
    assert_valid_bloq_decomposition(bloq)
    state = generic_state(bloq)
    fast = Simulator().run(bloq, state)
    decomposed = Simulator(fast=False).run(bloq, state)
    torch.testing.assert_close(fast.amplitudes, decomposed.amplitudes, rtol=0, atol=1e-13)
    assert (fast.amplitudes - state).norm() > 1e-2

    executed = sum(
        (n * costly(leaf) for leaf, n in decomposed.calls.items() if type(leaf) in ELEMENTARY),
        GateCounts(),
    )
    assert executed == costly(bloq)


@pytest.mark.parametrize("bloq", BLOQS.values(), ids=BLOQS.keys())
def test_the_exported_text_does_the_same_and_has_the_gates_that_are_counted(bloq, openqasm):
    state = generic_state(bloq)
    after = openqasm(to_openqasm(bloq), state.numpy())
    np.testing.assert_allclose(
        after[:, 0], Simulator().run(bloq, state).amplitudes.numpy(), rtol=0, atol=1e-12
    )
    assert np.linalg.norm(after[:, 1:]) < 1e-12
    counted = costly(bloq)
    gates = gate_list(bloq)
    assert gates.counts.get("ccx", 0) == 2 * counted.and_bloq + counted.toffoli
    assert gates.counts.get("cswap", 0) == counted.cswap
    assert bloq.signature.n_qubits() + gates.work <= get_cost_value(bloq, QubitCount())


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
    return torch.stack(
        [simulator.run(encoding, column).project(ancilla=0) for column in identity[::ancilla]],
        dim=1,
    ).numpy()


@pytest.mark.parametrize("bits", [4, 9, 20])
@pytest.mark.parametrize("size", [3, 8])
@pytest.mark.parametrize("phase", [0, 1], ids=["real", "complex"])
def test_block_encoding_within_its_derived_error(size, bits, phase):
    matrix = unequal_matrix(size, seed=size)
    if phase:
        matrix = matrix * np.exp(1j * np.random.default_rng(1).uniform(-np.pi, np.pi, (size, size)))
    encoding = encoding_of(matrix, bits)
    padded = np.zeros((2**encoding.system_bitsize,) * 2, dtype=matrix.dtype)
    padded[:size, :size] = matrix
    for bloq, target in ((encoding, padded), (encoding.adjoint(), padded.conj().T)):
        error = np.linalg.norm(target - encoding.alpha * encoded_block(bloq), 2)
        assert error <= encoding.epsilon + 1e-13
        assert error > encoding.epsilon / 100  # the bound says something
    assert encoding.epsilon <= 12 * encoding.alpha * np.pi / 2**bits
    planted = np.linalg.norm(padded.T - encoding.alpha * encoded_block(encoding), 2)
    assert planted > max(encoding.epsilon, 0.1)  # the wrong orientation is rejected
    if phase:  # and so is a table of conjugated phases
        conjugated = SparseBlockEncoding(
            replace(encoding.tables, phases=encoding.tables.phases.negated)
        )
        assert np.linalg.norm(padded - encoding.alpha * encoded_block(conjugated), 2) > max(
            encoding.epsilon, 0.1
        )
    else:
        assert encoding.tables.phases is None  # a real matrix pays for none


def test_preparation_prepares_its_tree():
    prepare = RealStatePreparation(TREE)
    for fast in (True, False):
        amplitudes = Simulator(fast=fast).run(prepare).amplitudes
        np.testing.assert_allclose(amplitudes.numpy(), TREE.prepared, atol=1e-14)


@pytest.mark.parametrize(
    "places", [[2, 7, 13], [0, 1], [5], [0, 3, 9, 10, 11, 12], list(range(16))]
)
def test_sparse_preparation_is_the_dense_one_for_less(places):
    vector = np.zeros(16)
    vector[places] = np.random.default_rng(len(places)).normal(size=len(places))
    sparse, dense = (
        sparse_preparation(vector, bits=40),
        RealStatePreparation(rotation_tree(vector, bits=40)),
    )
    for found in (Simulator().run(sparse).amplitudes.numpy(), sparse.prepared):
        np.testing.assert_allclose(found, vector / np.linalg.norm(vector), atol=1e-11)
    assert (
        get_cost_value(sparse, QECGatesCost()).rotation
        <= get_cost_value(dense, QECGatesCost()).rotation
    )


def test_two_values_of_a_thousand_take_one_rotation():
    vector = np.zeros(1024)
    vector[[17, 900]] = 3.0, 4.0
    sparse, dense = (
        sparse_preparation(vector, bits=20),
        RealStatePreparation(rotation_tree(vector, bits=20)),
    )
    few, many = (get_cost_value(bloq, QECGatesCost()) for bloq in (sparse, dense))
    assert few.rotation == 1
    # a rotation of 20 bits, less what is Clifford or T, for each bit in which the places differ
    assert many.rotation == 1 + 18 * ((17 ^ 900).bit_count() - 1)
    assert few.and_bloq <= 4 * 2 * (1 + 10 - 1)


def test_a_solve_with_a_sparse_right_side_is_the_same():
    vector = np.array([0.0, 0.0, 1.0, 0.0])
    sequence = SOLVE.sequence
    sparse, dense = (
        Simulator().run(LinearSolve(prepare, sequence)).amplitudes
        for prepare in (
            sparse_preparation(vector, bits=30),
            RealStatePreparation(rotation_tree(vector, bits=30)),
        )
    )
    torch.testing.assert_close(sparse, dense, rtol=0, atol=1e-8)


def test_a_decomposition_that_forgets_the_unload_is_caught():
    @attrs.frozen
    class Forgetful(ColourPermutation):
        def build_composite_bloq(self, bb, **soqs):
            load = TableLoad(self.table.look_ups[0])
            colour, index, image = bb.add(
                load, selection0=soqs["colour"], selection1=soqs["index"], target=bb.allocate(2)
            )
            bb.free(image)
            return {"colour": colour, "index": index}

    bloq = Forgetful(SMALL.tables.permutations)
    with pytest.raises(
        ArgumentError, match=r"Argument `bloq` must return its ancillas to \|0>, but is losing"
    ):
        Simulator(fast=False).run(bloq, generic_state(bloq))


def test_sequence_is_the_singular_value_transform():
    encoding = encoding_of(unequal_matrix(4, seed=2), bits=20)
    for coefficients in ([0, 0.4, 0, -0.3], [0, 0.1, 0, 0.5, 0, -0.3]):
        sequence = QSVTSequence(encoding, projector_phases(qsp_angles(coefficients)))
        simulator, step = Simulator(), 2 ** (encoding.ancilla_bitsize + 1)
        identity = torch.eye(4 * step, dtype=torch.complex128)[::step]
        found = torch.stack(
            [simulator.run(sequence, c).project(ancilla=0, part=0) for c in identity], dim=1
        ).numpy()
        W, S, Vh = np.linalg.svd(encoded_block(encoding))
        np.testing.assert_allclose(
            found, W @ np.diag(chebyshev_value(coefficients, S)) @ Vh, atol=1e-12
        )


@pytest.mark.parametrize("name", ["sequence", "amplified solve", "evolution", "phase estimation"])
def test_qubits_of_a_sequence_are_those_of_its_decomposition(name):
    sequence = BLOQS[name]
    assert get_cost_value(sequence, QubitCount()) == get_cost_value(
        sequence.decompose_bloq(), QubitCount()
    )
    assert get_cost_value(sequence, QubitCount()) > sequence.signature.n_qubits()
