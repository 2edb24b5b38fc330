"""10. Do the circuits work inside Qualtran?

They are Qualtran bloqs: its call graph, its cost protocols and its controlled and inverted versions
take them as they are. Below, the T gates of a whole linear solve by the kind of part, from
Qualtran's own counting of the decomposed graph.
"""

from collections import Counter

import plotly.graph_objects as go
import torch
from qualtran.resource_counting import (
    QECGatesCost,
    QubitCount,
    get_bloq_callee_counts,
    get_cost_value,
)

import qdescent as qd

f = qd.PolynomialMap([torch.tensor(x, dtype=torch.float64) for x in ([0.1], [[0.8]], [[0.1]])])
system = qd.history_system(f, torch.zeros(1).double(), steps=2, padding=1, order=2)
found = qd.solve(system, qd.QSVT(epsilon=1e-3, circuit=True))
circuit = found.circuit
whole = get_cost_value(circuit, QECGatesCost())
print("Qualtran counts:", whole)
print(
    "declared:       ",
    found.cost.number("and_gates"),
    "ANDs,",
    found.cost.number("rotations"),
    "rotations",
)
print(
    "qubits:",
    get_cost_value(circuit, QubitCount()),
    "declared:",
    found.cost.number("logical_qubits"),
)
print("inverse twice is the circuit again:", circuit.adjoint().adjoint() == circuit)

query = circuit.sequence.encoding
parts: Counter[str] = Counter()
for part, calls in get_bloq_callee_counts(query):
    cost = get_cost_value(part, QECGatesCost()).total_t_count(ts_per_rotation=38)
    parts[type(part).__name__] += calls * circuit.sequence.degree * cost
total = whole.total_t_count(ts_per_rotation=38)
for name, t in parts.most_common():
    print(f"{name:<28} {t:>9,} T gates, {t / total:.0%}")
largest, most = parts.most_common(1)[0]
agree = (whole.and_bloq, whole.rotation) == (
    found.cost.number("and_gates"),
    found.cost.number("rotations"),
)
names = [name for name, t in parts.most_common() if t]
figure = go.Figure(
    go.Bar(y=names, x=[parts[name] for name in names], orientation="h", marker_color="#2171b5")
)
figure.data[0].text = [f"{parts[name] / total:.0%}" for name in names]
figure.update_yaxes(autorange="reversed", automargin=True)
figure.update_xaxes(title="T gates of all queries (4 an AND, 38 a rotation)")
said = (
    f"Qualtran {'counts what the solver declares' if agree else 'counts otherwise than declared'}:"
    f" {total:,} T gates, {most / total:.0%} of them in `{largest}`"
)
shown = "Exact: 16 unknowns, epsilon 1e-3, QROM tables"
figure.update_layout(title={"text": said, "subtitle": {"text": shown}}, template="simple_white")
figure.show()
