"""11. Does PennyLane agree?

The block-encoding's unitary and the angles of a solve, handed to PennyLane, which builds the
quantum singular-value transformation by itself: projector phases and queries in turn. Optional:
without PennyLane (`pip install pennylane`) only the direct solution and the circuit's are compared.
"""

import importlib.util

import numpy as np
import plotly.graph_objects as go
import torch

import qdescent as qd
from qdescent.quantum.simulator.state_vector import Simulator

M = torch.tensor(
    [[1.0, -1 / 3, 0, 0], [-1 / 3, 1.0, -1 / 3, 0], [0, -1 / 3, 1.0, -1 / 3], [0, 0, -1 / 3, 1.0]],
    dtype=torch.float64,
)
system = qd.LinearSystem(M, torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64))
direct = qd.solve(system, qd.Direct()).value
ours = qd.solve(system, qd.QSVT(epsilon=1e-4, circuit=True))
found = {"direct": direct.numpy(), "qdescent, circuit": ours.value.numpy()}

if importlib.util.find_spec("pennylane"):
    import pennylane as qml

    sequence = ours.circuit.sequence
    query, bits = sequence.encoding, sequence.encoding.ancilla_bitsize
    size = 2 ** (query.system_bitsize + bits)
    columns = [
        Simulator().run(query, torch.eye(size, dtype=torch.complex128)[i]).amplitudes.reshape(-1)
        for i in range(size)
    ]
    U = torch.stack(columns, dim=1).numpy()
    system_wires, ancilla, part = (
        list(range(query.system_bitsize)),
        list(range(query.system_bitsize, query.system_bitsize + bits)),
        "part",
    )

    def phase(phi: float) -> None:
        """exp(i phi (2 Pi - 1)), Pi the ancilla in |0>, with the sign turned by the part qubit."""
        inside = np.arange(2**bits) == 0
        angles = np.where(inside, phi, -phi)
        qml.DiagonalQubitUnitary(
            np.exp(1j * np.concatenate([angles, -angles])), wires=[part, *ancilla]
        )

    @qml.qnode(qml.device("default.qubit", wires=[*system_wires, *ancilla, part]))
    def circuit():
        qml.StatePrep(system.rhs.numpy() / float(system.rhs.norm()), wires=system_wires)
        qml.Hadamard(part)
        for k, phi in enumerate(sequence.phases[:0:-1]):
            phase(phi)
            qml.QubitUnitary(U if k % 2 == 0 else U.conj().T, wires=[*system_wires, *ancilla])
        phase(sequence.phases[0])
        qml.Hadamard(part)
        return qml.state()

    # ancilla and part at 0
    state = np.asarray(circuit()).reshape(2**query.system_bitsize, -1)[:, 0]
    found["PennyLane"] = (state.real / np.linalg.norm(state)) * float(ours.value.norm())
    print(f"PennyLane {qml.__version__}, {sequence.degree} queries")
else:
    print("PennyLane is not installed")
errors = {
    name: float(np.linalg.norm(x - found["direct"]) / np.linalg.norm(found["direct"]))
    for name, x in found.items()
}
for name, x in found.items():
    print(f"{name:<18}", np.round(x, 5), f"error {errors[name]:.0e}")

figure = go.Figure()
for (name, x), colour in zip(found.items(), ("#7f7f7f", "#2171b5", "#e6550d"), strict=False):
    figure.add_bar(x=[f"z_{i}" for i in range(len(x))], y=x, name=name, marker_color=colour)
figure.update_layout(yaxis_title="solution of M z = b")
last = list(found)[-1]
said = f"{last} and the direct solution agree to {errors[last]:.0e}, where 1e-4 was promised"
queries, qubits = (ours.cost.number(name) for name in ("queries", "qubits"))
shown = f"Computed: 4 unknowns, {queries} queries, {qubits} qubits"
figure.update_layout(title={"text": said, "subtitle": {"text": shown}}, template="simple_white")
figure.show()
