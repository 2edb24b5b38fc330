"""Export: OpenQASM 3 and Cirq against the simulator, table look-ups against their tables, and wrong
texts are told apart.
"""

import cirq
import numpy as np
import pytest
import torch
from qualtran import BloqBuilder, QAny
from qualtran.bloqs.basic_gates import GlobalPhase, Hadamard, SGate, Swap, TwoBitCSwap, ZPowGate
from qualtran.bloqs.bookkeeping import Allocate, Free
from qualtran.bloqs.data_loading.qrom import QROM
from qualtran.bloqs.mcmt import And
from qualtran.resource_counting import QECGatesCost, get_cost_value

from qdescent._checks import ArgumentError
from qdescent.quantum.encodings.coloured import SparseBlockEncoding
from qdescent.quantum.gates.state_preparation import RealStatePreparation
from qdescent.quantum.inspect.qasm import NAMES, gate_list, to_cirq, to_openqasm
from qdescent.quantum.inspect.unary_iteration import look_up_gates
from qdescent.quantum.simulator.state_vector import MATRICES, Simulator
from qdescent.quantum.tables.angles import rotation_tree
from qdescent.quantum.tables.coloured import matrix_tables

MATRIX = np.array([[0.5, 0.0, -0.3], [0.0, 1.0, 0.2], [-0.7, 0.1, 0.0]])


def encoding(bits=5):
    rows, columns = np.nonzero(MATRIX)
    return SparseBlockEncoding(
        matrix_tables(rows, columns, MATRIX[rows, columns], len(MATRIX), bits)
    )


def generic_state(bloq, seed=1):
    draw = np.random.default_rng(seed)
    state = draw.normal(size=2 ** bloq.signature.n_qubits()) + 1j * draw.normal(
        size=2 ** bloq.signature.n_qubits()
    )
    return state / np.linalg.norm(state)


def looked_up(bloq, index, target):
    """The target after the walk, by flipping classical bits; everything else must be as before."""
    qubits = bloq.signature.n_qubits()
    start = [int(bit) for bit in f"{index << bloq.target_bitsizes[0] | target:0{qubits}b}"]
    bits, free = [*start, *[0] * 8], list(range(qubits, qubits + 8))
    ands = 0
    for name, on, _ in look_up_gates(bloq, tuple(range(qubits)), free.pop, free.append):
        bits[on[-1]] ^= all(bits[control] for control in on[:-1])
        ands += name == "ccx"
    assert bits[qubits:] == [0] * 8
    split = sum(bloq.selection_bitsizes)
    assert bits[:split] == start[:split]
    return int("".join(map(str, bits[split:qubits])), 2), ands


@pytest.mark.parametrize(
    "data",
    [
        [5, 1, 7, 0, 2, 6, 3, 4],
        [3, 3, 3, 3, 1, 1, 2, 2],
        [1, 4, 6],
        [[1, 2, 3], [7, 7, 7], [0, 5, 5], [4, 4, 4], [6, 0, 1]],
        [[2, 2], [2, 2]],
        [6],
    ],
    ids=["all unequal", "runs", "three lines", "two axes", "constant", "one line"],
)
def test_look_ups_xor_their_table_with_as_many_ands_as_are_counted(data):
    table = np.array(data)
    bloq = QROM.build_from_data(table, target_bitsizes=(3,))
    for place in np.ndindex(table.shape):
        index = 0
        for value, bits in zip(place, bloq.selection_bitsizes, strict=True):
            index = index << bits | value
        found, ands = looked_up(bloq, index, 5)
        assert found == 5 ^ table[place]
    assert ands == 2 * get_cost_value(bloq, QECGatesCost()).and_bloq


def test_cirq_does_what_the_simulator_does():
    bloq = encoding()
    state = generic_state(bloq)
    circuit, gates = to_cirq(bloq), gate_list(bloq)
    line = cirq.LineQubit.range(bloq.signature.n_qubits() + gates.work)
    full = np.zeros((len(state), 2**gates.work), dtype=complex)
    full[:, 0] = state
    simulator = cirq.Simulator(dtype=np.complex128)
    run = simulator.simulate(circuit, qubit_order=line, initial_state=full.reshape(-1))
    expected = Simulator().run(bloq, torch.as_tensor(state)).amplitudes.numpy()
    np.testing.assert_allclose(
        run.final_state_vector.reshape(full.shape)[:, 0], expected, atol=1e-12
    )
    assert len(list(circuit.all_operations())) == len(gates.operations)


def test_a_text_that_lost_or_changed_one_line_is_told_apart(openqasm):
    bloq = encoding()
    state = generic_state(bloq)
    text = to_openqasm(bloq)
    right = openqasm(text, state)
    lines = text.splitlines()
    gates = [
        place
        for place, line in enumerate(lines)
        if not line.startswith(("OPENQASM", "include", "//", "qubit"))
    ]
    for place in np.random.default_rng(0).choice(gates, 12, replace=False):
        wrong = openqasm("\n".join([*lines[:place], *lines[place + 1 :]]), state)
        assert np.linalg.norm(wrong - right) > 1e-6
    turned = next(place for place in gates if lines[place].startswith("ry"))
    other = (
        lines[turned].replace("(-", "(")
        if "(-" in lines[turned]
        else lines[turned].replace("(", "(-")
    )
    assert (
        np.linalg.norm(
            openqasm("\n".join([*lines[:turned], other, *lines[turned + 1 :]]), state) - right
        )
        > 1e-6
    )


def test_a_prepared_state_stands_on_the_first_qubits_most_significant_first(openqasm):
    vector = np.array([0.6, 0.0, 0.0, -0.8, 0.0, 0.1])
    prepare = RealStatePreparation(rotation_tree(vector, bits=8))
    after = openqasm(to_openqasm(prepare), np.eye(8)[0])
    np.testing.assert_allclose(after[:6, 0], vector / np.linalg.norm(vector), atol=0.03)
    assert "qubit[3] state;" in to_openqasm(prepare)


def test_names_of_the_language_are_not_used_for_registers():
    text = to_openqasm(Swap(2))
    assert text.splitlines()[3:] == [
        "qubit[2] x_;",
        "qubit[2] y_;",
        "swap x_[0], y_[0];",
        "swap x_[1], y_[1];",
    ]


def test_a_register_that_ends_on_another_qubit_is_swapped_back(openqasm):
    builder = BloqBuilder()
    first, second = builder.add_register("first", 1), builder.add_register("second", 1)
    fresh, second = builder.add(Swap(1), x=builder.allocate(1), y=second)
    builder.free(fresh)  # wrong on purpose unless `second` starts in |0>: it is what came out of it
    bloq = builder.finalize(first=second, second=first)
    after = openqasm(to_openqasm(bloq), np.array([0.6, 0.0, 0.8, 0.0]))
    np.testing.assert_allclose(after[:, 0], [0.6, 0.8, 0.0, 0.0])


def test_phase_gates_and_controlled_swaps_are_those_of_cirq(openqasm):
    builder = BloqBuilder()
    ctrl, x, y = (builder.add_register(name, 1) for name in ("ctrl", "first", "second"))
    ctrl = builder.add(SGate(), q=builder.add(Hadamard(), q=ctrl))
    ctrl, x, y = builder.add(TwoBitCSwap(), ctrl=ctrl, x=x, y=y)
    x = builder.add(SGate(is_adjoint=True), q=builder.add(Hadamard(), q=x))
    bloq = builder.finalize(ctrl=ctrl, first=x, second=y)
    columns = np.stack([openqasm(to_openqasm(bloq), column)[:, 0] for column in np.eye(8)], axis=1)
    np.testing.assert_allclose(columns, to_cirq(bloq).unitary(), atol=1e-14)
    half = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    s, swap = np.diag([1, 1j]), np.eye(8)[[0, 1, 2, 3, 4, 6, 5, 7]]
    by_hand = (
        np.kron(np.eye(2), np.kron(s.conj() @ half, np.eye(2)))
        @ swap
        @ np.kron(s @ half, np.eye(4))
    )
    np.testing.assert_allclose(columns, by_hand, atol=1e-14)


def test_a_line_of_several_values_is_written_in_order():
    table = np.array([[3, 0, 1], [2, 2, 2], [1, 3, 0], [2, 2, 2]])
    bloq = QROM(
        data_or_shape=(table,),
        selection_bitsizes=(2,),
        target_bitsizes=(2,),
        target_shapes=((3,),),
        num_controls=0,
    )
    for index, (first, second, third) in enumerate(table):
        free = [8, 9]
        bits = [index >> 1, index & 1, *[0] * 8]
        for _, on, _ in look_up_gates(bloq, tuple(range(8)), free.pop, free.append):
            bits[on[-1]] ^= all(bits[control] for control in on[:-1])
        assert bits[2:] == [
            first >> 1,
            first & 1,
            second >> 1,
            second & 1,
            third >> 1,
            third & 1,
            0,
            0,
        ]


def test_every_gate_that_the_simulator_knows_can_be_written():
    in_words = {Allocate, Free, And}  # qubits that appear or end; a Toffoli on a fresh one
    assert set(MATRICES) - set(NAMES) - in_words == {GlobalPhase, ZPowGate}  # none of ours
    with pytest.raises(ArgumentError, match="`bloq` must have only registers that pass through"):
        gate_list(Allocate(QAny(1)))


def test_qiskit_reads_the_text_and_agrees():
    qasm3 = pytest.importorskip("qiskit.qasm3")
    pytest.importorskip("qiskit_qasm3_import")
    info = pytest.importorskip("qiskit.quantum_info")
    bloq = encoding(bits=4)
    state = generic_state(bloq)
    gates = gate_list(bloq)
    # Qiskit's first qubit is the least significant: reversed, its order is ours with the work
    # qubits last.
    circuit = qasm3.loads(to_openqasm(bloq)).reverse_bits()
    full = np.zeros((len(state), 2**gates.work), dtype=complex)
    full[:, 0] = state
    found = info.Statevector(full.reshape(-1)).evolve(circuit).data.reshape(full.shape)
    expected = Simulator().run(bloq, torch.as_tensor(state)).amplitudes.numpy()
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-12)
