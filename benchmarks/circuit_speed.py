"""How fast is a linear solve as a circuit, and how fast do others run the same unitaries?

    python benchmarks/circuit_speed.py            # two unknowns, three weights, then the peers
    python benchmarks/circuit_speed.py --smoke    # the same with two steps and a coarse epsilon

1. Whole solves (tables, angles, circuit, simulation, post-selection): a map of two unknowns, order
   2, 4 steps and 4 padding steps, epsilon 1e-4, by QSVT and by kernel reflection; and the three
   largest kept weights of a network trained here for one epoch.
2. The sequence of the first solve, its entries coloured, in PennyLane's lightning.qubit, as it can
   express it best. A query is the four unitaries that our fast kernels apply: preparation of the
   colours, dense on the colour qubits; rotation and permutation, sparse `QubitUnitary`s of two and
   one entries a row; preparation undone. A phase is one `DiagonalQubitUnitary`, the right-hand side
   a `StatePrep`. Its tape and our program are built before the clock starts; ours with compiling is
   shown beside.
3. One query of a small matrix down to gates in Qiskit Aer: the exported OpenQASM 3, read and left
   as it is, on a state vector with all work qubits; ours runs the same bloq with `fast=False`
   (decomposed, a look-up is one step) and with fast kernels.

Aer does not get the sequence of 2: its unitaries are dense, and each of some 200 queries would hold
its own 8192 x 8192 matrix. The states are compared. Peers come with `pip install -e '.[peers]'`;
one that is missing is left out and named.
"""

import sys
import time

import numpy as np
import scipy.sparse as sparse
import torch
from network import largest_weights_map, pruned_network
from protocol import environment, interleave, ratios, save

import qdescent as qd
from qdescent.linalg.chebyshev import minimax_inverse
from qdescent.quantum.encodings.coloured import SparseBlockEncoding
from qdescent.quantum.gates.state_preparation import RealStatePreparation
from qdescent.quantum.inspect.qasm import gate_list, to_openqasm
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.coloured import matrix_tables
from qdescent.solvers.circuits.qsvt import build_circuit
from qdescent.solvers.encodings import quantised
from qdescent.solvers.promise.conditioning import conditioning

SMOKE = "--smoke" in sys.argv
ROUNDS = 1 if SMOKE else 5
STEPS, PADDING, EPSILON = (2, 1, 1e-2) if SMOKE else (4, 4, 1e-4)


def two_unknowns():
    """The history system of a quadratic map."""
    F2 = 0.05 * torch.tensor([[1.0, -0.5, 0.0, 2.0], [0.5, 1.0, -1.0, 0.0]], dtype=torch.float64)
    F1 = torch.eye(2, dtype=torch.float64) - 0.5 * torch.tensor(
        [[0.6, 0.2], [0.2, 0.4]], dtype=torch.float64
    )
    f = qd.PolynomialMap([torch.tensor([0.1, -0.05], dtype=torch.float64), F1, F2])
    return qd.history_system(
        qd.carleman_linearize(f, order=2), torch.zeros(2, dtype=torch.float64), STEPS, PADDING
    )


def three_weights():
    """The history system of the three largest kept weights of a CNN, one epoch old and pruned to a
    tenth; 4 steps, 3 of padding.
    """
    f = largest_weights_map(*pruned_network(), 3, degree=2)
    padding = 1 if SMOKE else 3
    return qd.history_system(
        qd.carleman_linearize(f, order=2), torch.zeros(3, dtype=torch.float64), STEPS, padding
    )


def solves():
    """Seconds of whole solves, with what was solved."""
    rows = {}
    for name, system in (("two unknowns", two_unknowns()), ("three kept weights", three_weights())):
        direct = qd.solve(system, qd.Direct())
        for solver in (qd.QSVT, qd.KernelReflection):
            seconds = []
            for _ in range(ROUNDS):
                start = time.perf_counter()
                found = qd.solve(system, solver(epsilon=EPSILON, circuit=True))
                seconds.append(time.perf_counter() - start)
            error = float((found.value - direct.value).norm() / direct.value.norm())
            facts = {
                key: found.cost.number(key)
                for key in ("qubits", "degree", "queries", "kappa", "success_probability")
            }
            rows[f"{name}, {solver.__name__}"] = {
                "seconds": seconds,
                "unknowns": system.size,
                "error_to_direct": error,
                **facts,
            }
            print(name, solver.__name__, rows[f"{name}, {solver.__name__}"], flush=True)
    return rows


def against_pennylane():
    """The sequence of one QSVT solve: ours and lightning.qubit, interleaved."""
    system = two_unknowns()
    plan = qd.ColouredEntries().plan(system)
    kappa = conditioning(system, None, plan).kappa
    circuit = build_circuit(
        system,
        minimax_inverse(kappa, EPSILON / 2),
        quantised(plan, kappa, EPSILON, complex_rhs=False),
    )
    found = {}

    simulator = Simulator()
    simulator.compile(circuit.bloq)

    def ours():
        found["qdescent"] = simulator.run(circuit.bloq).amplitudes.numpy()

    contenders = {"qdescent": ours, "qdescent, compiling": lambda: Simulator().run(circuit.bloq)}
    try:
        device, tape = pennylane_tape(circuit)

        def theirs():
            found["lightning.qubit"] = np.asarray(device.execute(tape))

        contenders["lightning.qubit"] = theirs
    except ImportError as error:
        print(f"without PennyLane: {error}")
    seconds = interleave(contenders, ROUNDS)
    return {
        "qubits": circuit.bloq.signature.n_qubits(),
        "degree": circuit.bloq.sequence.degree,
        "seconds": seconds,
        "ratio_to_qdescent": ratios(seconds, "qdescent"),
        "difference": differences(found),
    }


def pennylane_tape(circuit):
    """The same unitaries on wires in the order of our registers: system, ancilla (colour, flag),
    part.
    """
    import pennylane as qml

    encoding, sequence = circuit.encoding, circuit.bloq.sequence
    tables = encoding.tables
    s, k = tables.system_bits, tables.colour_bits
    system, colour, flag, part = range(s), range(s, s + k), s + k, s + k + 1
    spread = RealStatePreparation(tables.colours)
    columns = [
        Simulator().run(spread, column).amplitudes.numpy()
        for column in torch.eye(2**k, dtype=torch.complex128)
    ]
    dense = np.stack(columns, axis=1)
    half = tables.entries.half_angles.reshape(-1)
    blocks = np.stack(
        [np.stack([np.cos(half), -np.sin(half)], 1), np.stack([np.sin(half), np.cos(half)], 1)], 1
    )
    rotate = sparse.csr_matrix(sparse.block_diag(list(blocks), format="csr"))
    places = (np.arange(2**k)[:, None] * 2**s + tables.permutations.backward).reshape(-1)
    permute = sparse.csr_matrix((np.ones(len(places)), (np.arange(len(places)), places)))

    def query(adjoint):
        yield qml.QubitUnitary(dense, wires=colour)
        if adjoint:
            yield qml.QubitUnitary(sparse.csr_matrix(permute.T), wires=[*colour, *system])
            yield qml.QubitUnitary(sparse.csr_matrix(rotate.T), wires=[*colour, *system, flag])
        else:
            yield qml.QubitUnitary(rotate, wires=[*colour, *system, flag])
            yield qml.QubitUnitary(permute, wires=[*colour, *system])
        yield qml.QubitUnitary(dense.conj().T, wires=colour)

    def phase(phi):
        diagonal = np.full((2, 2 ** (k + 1)), -phi)
        diagonal[:, 0] = phi
        diagonal[1] *= -1
        return qml.DiagonalQubitUnitary(
            np.exp(1j * diagonal.reshape(-1)), wires=[part, *colour, flag]
        )

    operations = [qml.StatePrep(circuit.bloq.right_side.prepared, wires=system), qml.Hadamard(part)]
    adjoint = sequence.encoding.is_adjoint
    for phi in sequence.phases[:0:-1]:
        operations += [phase(phi), *query(adjoint)]
        adjoint = not adjoint
    operations += [phase(sequence.phases[0]), qml.Hadamard(part)]
    device = qml.device("lightning.qubit", wires=part + 1)
    return device, qml.tape.QuantumScript(operations, [qml.state()])


def against_aer():
    """One query as the exported gates: ours decomposed, ours by fast kernels, and Aer."""
    matrix = (
        np.random.default_rng(0).normal(size=(4, 4))
        if SMOKE
        else np.random.default_rng(0).normal(size=(8, 8))
    )
    rows, columns = np.nonzero(np.abs(matrix) > 0.7)
    bloq = SparseBlockEncoding(matrix_tables(rows, columns, matrix[rows, columns], len(matrix), 5))
    gates = gate_list(bloq)
    qubits = bloq.signature.n_qubits() + gates.work
    found = {}

    def decomposed():
        found["qdescent, decomposed"] = Simulator(fast=False).run(bloq).amplitudes.numpy()

    def fast():
        found["qdescent, fast kernels"] = Simulator().run(bloq).amplitudes.numpy()

    contenders = {"qdescent, decomposed": decomposed, "qdescent, fast kernels": fast}
    try:
        from qiskit import qasm3
        from qiskit_aer import AerSimulator

        # its first qubit is the least significant
        circuit = qasm3.loads(to_openqasm(bloq)).reverse_bits()
        circuit.save_statevector()
        simulator = AerSimulator(method="statevector")

        def aer():
            state = np.asarray(simulator.run(circuit).result().get_statevector())
            found["Aer"] = state.reshape(-1, 2**gates.work)[:, 0]

        contenders["Aer"] = aer
    except ImportError as error:
        print(f"without Qiskit Aer: {error}")
    seconds = interleave(contenders, ROUNDS)
    return {
        "qubits_with_work": qubits,
        "gates": gates.counts,
        "seconds": seconds,
        "ratio_to_decomposed": ratios(seconds, "qdescent, decomposed"),
        "difference": differences(found),
    }


def differences(found):
    """Largest difference of each state to the first one; above 1e-9 something else was run."""
    first = next(iter(found.values()))
    apart = {name: float(np.abs(state - first).max()) for name, state in found.items()}
    assert max(apart.values()) < 1e-9, apart
    return apart


if __name__ == "__main__":
    content = {
        "question": (
            "Seconds of linear solves as simulated circuits, and of the same unitaries in PennyLane"
            " and Qiskit Aer"
        ),
        "solves": solves(),
        "sequence_in_pennylane": against_pennylane(),
        "query_as_gates_in_aer": against_aer(),
        "environment": environment(
            "qualtran", "pennylane", "pennylane-lightning", "qiskit", "qiskit-aer"
        ),
    }
    if SMOKE:
        print(content)
    else:
        save("circuit_speed", content)
