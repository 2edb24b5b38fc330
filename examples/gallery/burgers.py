"""5. Does the linearisation follow the Burgers equation, where no theorem says so?

The setting of Liu et al. (2021): 16 points, Reynolds number 20, an oscillating source. Their number
R is 43.6, far above the 1 below which convergence is proven. In symmetric coordinates, one unknown
for all words that differ only in their order, order 4 is small.
"""

import itertools
import math

import plotly.graph_objects as go
import torch

import qdescent as qd

n, steps, speed, f64 = 16, 600, 1 / math.sqrt(15), torch.float64
h, dx, x = 3 / steps, 1 / 15, torch.linspace(-0.5, 0.5, 16, dtype=f64)
F1, F2 = torch.zeros(n, n, dtype=f64), torch.zeros(n, n * n, dtype=f64)
for i in range(1, n - 1):
    F1[i, i - 1 : i + 2] = torch.tensor([1.0, -2.0, 1.0], dtype=f64) * speed / 20 / dx**2
    F2[i, (i - 1) * n + i - 1], F2[i, (i + 1) * n + i + 1] = 1 / (4 * dx), -1 / (4 * dx)
source = speed * torch.exp(-((x - 0.25) ** 2) / (2 / 32**2))
burgers = qd.PolynomialField(
    [0 * x, F1.to_sparse(), F2.to_sparse()], forcing=lambda t: source * math.cos(2 * math.pi * t)
)

u = start = -speed * torch.sin(2 * math.pi * x)
truth = [u]
for t in range(steps):
    u = u + h * burgers(u, h * t)
    truth.append(u)
figure, worst = go.Figure(), []
for order, colour in zip((1, 2, 3, 4), ("#c6dbef", "#6baed6", "#2171b5", "#e6550d"), strict=True):
    lift = qd.carleman_linearize(burgers, order, form="plain", symmetric=True)
    error = torch.linalg.vector_norm(lift.integrate(start, h, steps) - torch.stack(truth), dim=1)
    worst.append(float(error.max()))
    print(f"order {order}: {lift.dimension:>5} unknowns, largest error {worst[-1]:.6f}")
    time = [h * t for t in range(1, steps + 1)]
    figure.add_scatter(
        x=time, y=error[1:].clamp(min=1e-6), name=f"order {order}", line_color=colour
    )
figure.update_yaxes(type="log", exponentformat="power", title="l2 error", range=[-5, 0])
figure.update_xaxes(title="time")
halves = [b / a for a, b in itertools.pairwise(worst)]
if max(halves) < 1:
    said = (
        "Every order gains although R = 43.6: from 1 to 4 the largest error falls from"
        f" {worst[0]:.3f} to {worst[-1]:.3f}"
    )
else:
    said = (
        "A higher order does not always help: the largest errors are"
        f" {', '.join(f'{e:.3f}' for e in worst)}"
    )
shown = (
    f"Computed: Euler steps of 3/{steps} of the equation itself and of its linearisation, plain"
    " form"
)
figure.update_layout(title={"text": said, "subtitle": {"text": shown}}, template="simple_white")
figure.show()
