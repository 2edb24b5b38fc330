"""The true truncation error of a pruned network against the steps K, the order N and the learning
rate: GELU beside ReLU.

Run it with `python examples/truncation_error.py FIGURE.html` (some minutes on two cores), or with
`--small` for seconds. ReLU has kinks and no Taylor series; taken instead is what automatic
differentiation would take: its gates stay as they are at the pivot.
"""

import itertools
import sys

import torch
from plotly.subplots import make_subplots
from torch import nn

import qdescent as qd
from qdescent.solvers.series import SeriesSteps
from qdescent.training.descent import displacements
from qdescent.training.tail_estimate import estimate_tail

small = "--small" in sys.argv
figure = next((name for name in sys.argv[1:] if name.endswith(".html")), "truncation_error.html")
orders = (1, 2, 3) if small else (1, 2, 3, 4)
longest = {0.02: 4, 0.1: 4} if small else {0.005: 30, 0.02: 24, 0.1: 10}  # K for each learning rate
data, batch = qd.datasets.load_fashion_mnist(), 32 if small else 64
images, labels = data.train_images[:batch].double(), data.train_labels[:batch]


class Gate(nn.Module):
    """A ReLU that stays as open as it was at the pivot."""

    def __init__(self, pivot: torch.Tensor) -> None:
        super().__init__()
        self.open = (pivot > 0).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.open


def pruned(activation: type[nn.Module]) -> tuple[qd.ParameterSpace, qd.Task, qd.Task]:
    """A trained network pruned to 10 %: its kept weights, its task, and the task whose series is
    taken.
    """
    layers = qd.networks.fashion_cnn(widths=(4, 8, 16) if small else (16, 32, 64))
    network = nn.Sequential(
        *(activation() if isinstance(layer, nn.GELU) else layer for layer in layers)
    )
    qd.train_dense(network, nn.functional.cross_entropy, data, epochs=1 if small else 4)
    space = qd.ParameterSpace(network.double(), qd.magnitude_mask(network, density=0.1))
    network.load_state_dict(space.unpack(space.theta))
    smooth, x = nn.Sequential(), images
    for layer in network:
        smooth.append(Gate(x) if isinstance(layer, nn.ReLU) else layer)
        x = layer(x).detach()
    return space, *(
        qd.Task(each, nn.functional.cross_entropy, (images, labels)) for each in (network, smooth)
    )


# of an activation and a learning rate: for each K, for each N, the true error and the estimated one
curves = {}
for activation in (nn.GELU, nn.ReLU):
    space, task, smooth = pruned(activation)
    for eta, K in longest.items():
        series, descent = (
            SeriesSteps(smooth, space, space.theta, orders[-1], eta),
            displacements(task, space, space.theta, eta),
        )
        # the first step is exact at any order
        steps = [(next(series), next(descent)[1]) for _ in range(K)][1:]
        error = [
            [float((terms[:N].sum(0) - u).norm() / u.norm()) for N in orders] for terms, u in steps
        ]
        guess = [
            [estimate_tail(terms[:N] @ terms[:N].T, N).error for N in orders] for terms, _ in steps
        ]
        curves[activation.__name__, eta] = [
            list(zip(*pair, strict=True)) for pair in zip(error, guess, strict=True)
        ]

print("   eta   K  N     GELU     ReLU   estimated/true (GELU)")
for eta, K in longest.items():
    for t, N in itertools.product(sorted({max(2, K // 4), K // 2, K}), orders):
        (gelu, guess), (relu, _) = (curves[name, eta][t - 2][N - 1] for name in ("GELU", "ReLU"))
        print(
            f"{eta:6} {t:3} {N:2} {gelu:8.1e} {relu:8.1e}   "
            + (f"{guess / gelu:.2g}" if N > 1 else "-")
        )
best = {name: min(error for error, _ in curves[name, 0.02][-1]) for name in ("GELU", "ReLU")}
finding = (
    f"{longest[0.02]} steps at eta = 0.02: the best order is off by {best['GELU']:.1e} with GELU,"
    f" {best['ReLU']:.1e} with ReLU"
)
ways = {"x_title": "steps K since the upload", "y_title": "||u_N - u_GD|| / ||u_GD||, relative"}
page = make_subplots(
    2,
    len(longest),
    shared_yaxes="all",
    subplot_titles=[f"{name}, eta = {eta}" for name, eta in curves],
    **ways,
)
for (i, seen), N in itertools.product(enumerate(curves.values()), orders):
    line = {
        "y": [step[N - 1][0] for step in seen],
        "x0": 2,
        "mode": "lines",
        "line_color": f"hsl(220, 70%, {95 - 15 * N}%)",
    }
    page.add_scatter(
        **line,
        name=f"order {N}",
        showlegend=i == 0,
        row=i // len(longest) + 1,
        col=i % len(longest) + 1,
    )
caption = (
    f"Measured: a network and a batch of {batch} each, Fashion-MNIST, 10 % of the weights kept,"
    " float64; ReLU: gates held"
)
page.update_yaxes(type="log", exponentformat="power")
page.update_layout(
    title={"text": finding, "subtitle": {"text": caption}}, template="simple_white", height=640
).write_html(figure)
print(f"{finding}; see {figure}")
