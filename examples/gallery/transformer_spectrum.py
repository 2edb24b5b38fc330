"""1. Is a small transformer dissipative?

A vision transformer is trained for two epochs and pruned to a tenth; the Hessian's spectrum over
the kept weights, with error bars over the probes, says how gradient descent moves a displacement
along each of its modes.
"""

import plotly.graph_objects as go
import torch
from torch.nn.functional import cross_entropy

import qdescent as qd

data = qd.datasets.load_fashion_mnist()
network = qd.networks.vision_transformer(
    width=32, depth=2, heads=4, patch=14, size=28, classes=10, channels=1
)
qd.train_dense(network, cross_entropy, data, epochs=2)

task = qd.Task(network, cross_entropy, (data.train_images[:64], data.train_labels[:64]))
space = qd.ParameterSpace(network, qd.magnitude_mask(network, density=0.1))
spectrum = qd.spectral_density(qd.hessian(task, space), steps=32, probes=4)
found = qd.diagnose(spectrum, learning_rate=0.02, horizon=20)
share, error = found.divergent
print(
    f"{space.n} kept weights of {space.total}, loss {float(task.loss_at(space, space.theta)):.2f}"
)
print(f"{found.verdict}: {found.reason}")
print(f"eigenvalues from {spectrum.lambda_min[0]:.3g} to {spectrum.lambda_max[0]:.3g}")

grid = torch.linspace(
    1.2 * spectrum.lambda_min[0], 1.05 * spectrum.lambda_max[0], 600, dtype=torch.float64
)
density, scatter = spectrum.density(grid)
figure = go.Figure()
figure.add_scatter(
    x=grid, y=(density + scatter).clamp(min=1e-9), line_width=0, hoverinfo="skip", showlegend=False
)
band = {
    "fill": "tonexty",
    "fillcolor": "rgba(31,119,180,.25)",
    "name": "standard error over probes",
}
figure.add_scatter(
    x=grid, y=(density - scatter).clamp(min=1e-9), line_width=0, hoverinfo="skip", **band
)
figure.add_scatter(x=grid, y=density.clamp(min=1e-9), name="density of modes", line_color="#1f77b4")
figure.add_vrect(x0=float(grid[0]), x1=0, fillcolor="#9467bd", opacity=0.15, line_width=0)
figure.add_annotation(
    x=float(grid[0]), y=1, yref="paper", text=" these modes grow", showarrow=False, xanchor="left"
)
figure.update_yaxes(
    type="log", range=[-5, 2], title="share of modes per unit of curvature", exponentformat="power"
)
figure.update_xaxes(title="curvature along a mode")
said = (
    f"At eta = 0.02 the transformer is {found.verdict}: {share:.0%} (± {error:.0%}) of its modes"
    " grow over 20 steps"
)
shown = (
    f"Measured: {space.n} kept weights, 64 images, 4 probes of 32 Lanczos steps; smoothed for"
    " the eye"
)
figure.update_layout(title={"text": said, "subtitle": {"text": shown}}, template="simple_white")
figure.show()
