"""9. Can I take a circuit to Qiskit?

One query of a small history system, exported to OpenQASM 3, gate by gate. Where Qiskit is installed
(`pip install qiskit qiskit-qasm3-import`) it reads the text and runs it; where not, the first lines
of the text are shown. Below: what the query does to a basis state, beside the matrix itself.
"""

import importlib.util

import plotly.graph_objects as go
import torch

import qdescent as qd
from qdescent.quantum.inspect.drawing import draw
from qdescent.quantum.inspect.qasm import gate_list, to_openqasm
from qdescent.quantum.simulator.state_vector import Simulator

f = qd.PolynomialMap([torch.tensor(x, dtype=torch.float64) for x in ([0.1], [[0.8]], [[0.1]])])
system = qd.history_system(f, torch.zeros(1).double(), steps=2, padding=1, order=2)
found = qd.solve(system, qd.QSVT(epsilon=1e-2, circuit=True))
query = found.circuit.sequence.encoding.adjoint()  # M / alpha, in its corner

drawing = draw(found.circuit, lambda bloq: bloq == found.circuit.sequence)
first, left_out, last = drawing.shortened(head=5, tail=3)
rows = {name: -i for i, (name, _) in enumerate(drawing.registers)}
picture = go.Figure()
for x, gate in [*enumerate(first), *enumerate(last, start=len(first) + 1)]:
    high, low = (
        max(rows[name] for name in gate.registers),
        min(rows[name] for name in gate.registers),
    )
    picture.add_shape(
        x0=x - 0.44,
        x1=x + 0.44,
        y0=low - 0.3,
        y1=high + 0.3,
        fillcolor="#c6dbef",
        opacity=1,
        line={"color": "#2171b5", "width": 1},
    )
    text = gate.label.replace(" ", "<br>")
    font = {"color": "#08306b", "size": 10}
    picture.add_annotation(x=x, y=(high + low) / 2, text=text, showarrow=False, font=font)
for (name, bits), y in zip(drawing.registers, rows.values(), strict=True):
    picture.add_hline(y=y, line_width=1, line_color="#7f7f7f", layer="below")
    picture.add_annotation(
        x=-0.6, y=y + 0.2, text=f"{name} ({bits})", showarrow=False, xanchor="right"
    )
picture.add_annotation(x=len(first), y=0.55, text=f"… {left_out} more …", showarrow=False)
picture.update_xaxes(visible=False, range=[-2.6, len(first) + len(last) + 0.6])
picture.update_yaxes(visible=False, range=[-len(rows) + 0.5, 0.7])
queries = found.cost.number("queries")
said = (
    f"The solve is {queries} queries between {queries + 1} phases,"
    f" on {found.cost.number('qubits')} qubits"
)
shown = "Exact: time runs from left to right; a number in brackets counts the qubits of a register"
picture.update_layout(
    title={"text": said, "subtitle": {"text": shown}}, template="simple_white", height=300
)
picture.show()

gates = gate_list(query)
text = to_openqasm(gates)
print("gates:", ", ".join(f"{count} {name}" for name, count in sorted(gates.counts.items())))
print(
    f"{sum(gates.registers.values())} qubits in registers, {gates.work} work qubits,"
    f" {len(text.splitlines())} lines"
)

column, size = 3, 2**query.system_bitsize
state = torch.zeros(size * 2**query.ancilla_bitsize).double()
state[column * 2**query.ancilla_bitsize] = 1  # system = |3>, ancilla = |0>
reached = Simulator().run(query, state).project(ancilla=0).real * query.alpha
expected = system.matrix.to_dense()[:, column].double()
who = "the simulator"
if importlib.util.find_spec("qiskit") and importlib.util.find_spec("qiskit_qasm3_import"):
    from qiskit import qasm3

    circuit = qasm3.loads(text)
    who = (
        f"Qiskit reads it as {circuit.num_qubits} qubits and depth {circuit.depth():,}; the"
        " simulator"
    )
    print(circuit.count_ops())
else:
    print("\n".join(["Qiskit is not installed; the text begins", *text.splitlines()[:14], "..."]))

places = [f"|{i}>" for i in range(size)]
figure = go.Figure()
figure.add_bar(x=places, y=expected, name="column 3 of M", marker_color="#c6dbef")
figure.add_bar(
    x=places, y=reached, name="alpha times what the query leaves", marker_color="#e6550d", width=0.3
)
figure.update_layout(
    barmode="overlay", yaxis_title="entry", xaxis_title="basis state of the system register"
)
off = float((reached - expected).abs().max())
said = f"A query in {len(gates.operations):,} gates: {who} finds the matrix's column to {off:.0e}"
shown = (
    f"Computed: 16 unknowns, alpha = {query.alpha:.2f}, angles of a few bits; OpenQASM 3 with the"
    " gates of stdgates.inc"
)
figure.update_layout(title={"text": said, "subtitle": {"text": shown}}, template="simple_white")
figure.show()
