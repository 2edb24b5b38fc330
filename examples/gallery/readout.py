"""7. How many shots does a readout need?

A solution is a quantum state; its entries have to be measured, magnitudes first and then signs. The
error falls as one over the root of the shots, and every shot is a whole solve.
"""

import math

import plotly.graph_objects as go
import torch

import qdescent as qd

shots = [10**k for k in range(3, 9)]
figure, needed = go.Figure(), {}
for n, colour in ((100, "#6baed6"), (10_000, "#2171b5"), (100_000, "#e6550d")):
    x = torch.randn(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    error = [float((qd.read_out(x, shots=S, seed=1).vector - x).norm() / x.norm()) for S in shots]
    law = [math.sqrt(n / (4 * S)) for S in shots]
    needed[n] = next((S for S, e in zip(shots, error, strict=True) if e <= 0.1), None)
    figure.add_scatter(
        x=shots, y=error, mode="markers", name=f"n = {n:,}", marker={"color": colour, "size": 9}
    )
    figure.add_scatter(
        x=shots, y=law, mode="lines", line={"color": colour, "dash": "dot"}, showlegend=False
    )
    print(f"n = {n:>7,}: " + "  ".join(f"{e:.1e}" for e in error))
figure.add_scatter(
    x=[shots[0], shots[-1]], y=[0.1] * 2, mode="lines", name="10 %", line_color="#7f7f7f"
)
figure.update_xaxes(
    type="log", exponentformat="power", title="shots for magnitudes, as many for signs"
)
figure.update_yaxes(type="log", exponentformat="power", title="relative l2 error", range=[-3, 0.3])
words = [
    f"{'more than 10^8' if S is None else f'10^{round(math.log10(S))}'} shots for {n:,} weights"
    for n, S in needed.items()
]
said = "A tenth of the displacement's length costs " + ", ".join(words)
shown = (
    "Emulated: random vectors, one draw each; dotted: sqrt(n / 4S), which holds once every entry is"
    " seen"
)
figure.update_layout(title={"text": said, "subtitle": {"text": shown}}, template="simple_white")
figure.show()
