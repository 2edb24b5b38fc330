"""12. How little of a displacement need be read?

Readout multiplies every solve, so only the largest entries are measured and the others stay at the
pivot. What they hold is known from shots that had no part in choosing them.
"""

import plotly.graph_objects as go
import torch
from torch.nn.functional import cross_entropy

import qdescent as qd

data = qd.datasets.load_fashion_mnist()
network = qd.networks.fashion_cnn((4, 8, 16))
qd.train_dense(network, cross_entropy, data, epochs=1)
space = qd.ParameterSpace(network, qd.magnitude_mask(network, density=0.2))
task = qd.Task(network, cross_entropy, (data.train_images[:64], data.train_labels[:64]))
u = qd.series_descent(task, space, order=2, steps=10, learning_rate=0.02).value
flat = torch.ones(space.n)

figure, found = go.Figure(), {}
shares = [0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0]
for name, x, colour in (("the network", u, "#e6550d"), ("equal entries", flat, "#7f7f7f")):
    read = [qd.read_out(x, 10**7, largest=max(1, round(s * space.n))) for s in shares]
    held = [100 * (1 - each.missing_share) for each in read]
    truth = x.square().sort(descending=True).values.cumsum(0) / x.square().sum()
    found[name] = held
    figure.add_scatter(
        x=[100 * s for s in shares], y=held, mode="markers", name=f"{name}, from counts",
        marker={"color": colour, "size": 9},
    )  # fmt: skip
    figure.add_scatter(
        x=[100 * (i + 1) / space.n for i in range(space.n)], y=(100 * truth).tolist(),
        mode="lines", line={"color": colour, "dash": "dot"}, name=f"{name}, in truth",
    )  # fmt: skip
    print(f"{name:>13}: " + "  ".join(f"{each:5.1f} %" for each in held))
figure.update_xaxes(title="entries read, %")
figure.update_yaxes(title="of the squared norm, %", range=[0, 102])
at = shares.index(0.2)
said = (
    f"A fifth of the entries holds {found['the network'][at]:.0f} % of a segment's squared norm"
    f" ({found['equal entries'][at]:.0f} % if all were equal)"
)
shown = f"Emulated: {space.n:,} kept weights, ten steps, 10^7 shots and as many for signs"
figure.update_layout(title={"text": said, "subtitle": {"text": shown}}, template="simple_white")
figure.show()
