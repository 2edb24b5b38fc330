"""6. How many copies of the end should a history have?

All steps are one linear system, and the last one has to be found among them. Copies of the end
raise that probability, and the condition number with it; which wins depends on how fast the map
contracts.
"""

import plotly.graph_objects as go
import torch

import qdescent as qd
from qdescent.carleman.bounds import power_kappa_bound

T, f64 = 64, torch.float64
figure, best = go.Figure(), {}
for radius, colour in ((0.6, "#c6dbef"), (0.9, "#6baed6"), (0.98, "#2171b5"), (1.0, "#e6550d")):
    # ||A^j|| of a map that shrinks by this factor
    powers = radius ** torch.arange(T + 1, dtype=f64)
    # ||z_t|| under a constant pull, from 0
    states = torch.cumsum(torch.cat([torch.zeros(1, dtype=f64), powers[:-1]]), 0)
    choice = qd.best_padding(powers, states)
    best[radius] = choice
    kappa_of = [power_kappa_bound(powers, p) for p in range(2 * T)]
    rest, last = float((states[:-1] ** 2).sum()), float(states[-1] ** 2)
    found = [(p + 1) * last / (rest + (p + 1) * last) for p in range(2 * T)]
    queries = [k / q**0.5 for k, q in zip(kappa_of, found, strict=True)]
    figure.add_scatter(y=queries, name=f"a factor {radius} a step", line_color=colour)
    print(
        f"factor {radius}: best {choice.padding} copies, {choice.queries:.0f} queries;"
        f" {choice.bare_queries:.0f} without any"
    )
for choice in best.values():
    dot = {"mode": "markers", "marker": {"color": "#9467bd", "size": 9}, "showlegend": False}
    figure.add_scatter(x=[choice.padding], y=[choice.queries], **dot)
figure.update_yaxes(type="log", tickvals=[30, 100, 300, 1000], title="kappa / sqrt(probability)")
figure.update_xaxes(title="copies of the end")
said = f"Of {T} steps the best padding is " + ", ".join(
    f"{c.padding} copies at {r}" for r, c in best.items()
)
shown = (
    "Modelled: the bound on kappa, over the root of the probability of the end (amplitude"
    " amplification); dots: best_padding"
)
figure.update_layout(title={"text": said, "subtitle": {"text": shown}}, template="simple_white")
figure.show()
