"""8. What decides the price of a round?

One round of a network with 700,000 kept weights, priced as it stands and with one thing better at a
time. What is unknown is counted in favour of the quantum side.
"""

from dataclasses import replace

import plotly.graph_objects as go

import qdescent as qd

base = qd.RoundSpec(
    n=700_000, parameters=7_000_000, order=2, steps=20, padding=20, kappa=100.0, sparsity=100,
    batch=512, forward_macs=3 * 10**8,
    shots=10**6,
)  # fmt: skip
cases = {
    "as it stands": (base, None),
    "kappa 30, not 100": (replace(base, kappa=30.0), None),  # its padding alone forces 27
    "a tenth of the non-zeros": (replace(base, sparsity=10), None),
    "10^4 shots, not 10^6": (replace(base, shots=10**4), None),
    "qubits with 10^-4 errors": (base, qd.SurfaceCode(error_rate=1e-4)),
    "a cycle of 40 ns, not 400": (base, qd.SurfaceCode(cycle_time_ns=40.0)),
}
ratio = {}
for name, (instance, machine) in cases.items():
    ledger = qd.price(instance, architecture=machine)
    rows = {row.name: row.value for row in ledger.rows}
    ratio[name] = rows["verdict/ratio"]
    print(
        f"{name:<26} {ratio[name]:.1e} times the classical round,"
        f" {rows['verdict/quantum_time']:.1e} s"
    )
best = min(ratio, key=ratio.get)
gain = {name: ratio["as it stands"] / value for name, value in ratio.items()}
figure = go.Figure(
    go.Bar(y=list(ratio), x=list(ratio.values()), orientation="h", marker_color="#2171b5")
)
figure.data[0].update(
    text=[f"{value:.0e}" for value in ratio.values()],
    textposition="inside",
    insidetextanchor="start",
)
figure.update_xaxes(
    type="log", exponentformat="power", title="quantum time over classical time", range=[0, 13]
)
figure.update_yaxes(autorange="reversed", automargin=True)
said = (
    f"A round takes {ratio['as it stands']:.0e} times the classical one; what helps most is "
    f"'{best}', by a factor of {gain[best]:.0f}, and none of these is enough"
    if min(ratio.values()) > 1
    else f"With '{best}' a round takes {ratio[best]:.1e} times the classical one"
)
shown = (
    "Modelled: the cheapest quantum way and loader, surface code; the best classical way, one A100"
)
figure.update_layout(title={"text": said, "subtitle": {"text": shown}}, template="simple_white")
figure.show()
