"""13. Can a training from scratch be hybrid, with pruning along the way?

A small ResNet begins at random weights. Each round uploads it, forwards a segment of steps on a
fresh batch, downloads the largest three tenths of the state and prunes a little more, by the cubic
law, until a fifth of the weights is left. Masked and dense descent go beside it over the same
batches. The estimate of the truncation says from which round on a segment follows descent: at the
start of a training the curvature changes too fast for order 2, and the loop trains all the same.
"""

import itertools

import plotly.graph_objects as go
import torch
from torch.nn.functional import cross_entropy

import qdescent as qd
from qdescent.training.descent import accuracy

data = qd.datasets.load_fashion_mnist()
network = qd.networks.resnet18((8, 16, 24, 32), classes=10, channels=1).eval()
space = qd.ParameterSpace(network)
order = torch.randperm(len(data.train_images), generator=torch.Generator().manual_seed(0))
tasks = [
    qd.Task(network, cross_entropy, (data.train_images[places], data.train_labels[places]))
    for places in order[: 16 * 64].split(64)
]

schedule = qd.Schedule(
    order=2, segment=8, rounds=16, learning_rate=0.01, shots=10**8, largest=0.3,
    engine="fast-forward", engine_tolerance=1e-2, weight_decay=2e-4,
)  # fmt: skip
run = qd.train_hybrid(
    tasks, space, schedule, dense=space, watch=False,
    pruning=qd.Pruning(density=0.2, rounds=12),
)  # fmt: skip

last, kept = run.rounds[-1], [int(each.kept.sum()) for each in run.rounds]
test = data.test_images, data.test_labels
ends = {"hybrid": run.theta, "sparse": last.sparse.theta, "dense": last.dense.theta}
share = {name: accuracy(tasks[0], space, theta, *test) for name, theta in ends.items()}
near = [each.estimate[-1] is not None and each.estimate[-1] < 0.1 for each in run.rounds]
first = max((r + 1 for r, each in enumerate(near) if not each), default=0)
print(f"from round {first + 1} on the truncation is below a tenth, by its estimate")
print(f"{space.n} weights, {kept[-1]} kept at the end; test accuracy after {schedule.steps} steps:")
print(", ".join(f"{name} {100 * value:.1f} %" for name, value in share.items()))
for row in run.budget:
    print(row.name, [round(float(value), 4) for value in row.value[:: len(run.rounds) // 4]])

figure = go.Figure()
spent = {
    "hybrid": [each.gradients for each in run.rounds],
    "sparse": [each.sparse.gradients for each in run.rounds],
    "dense": [each.dense.gradients for each in run.rounds],
}
losses = {
    "hybrid": [each.loss[-1] for each in run.rounds],
    "sparse": [each.sparse.loss[-1] for each in run.rounds],
    "dense": [each.dense.loss[-1] for each in run.rounds],
}
for name, colour in (("dense", "#7f7f7f"), ("sparse", "#d62728"), ("hybrid", "#1f77b4")):
    figure.add_scatter(
        x=list(itertools.accumulate(spent[name])), y=losses[name], name=name, mode="lines+markers",
        line={"color": colour},
    )  # fmt: skip
figure.update_layout(xaxis_title="gradients spent", yaxis_title="loss on the round's batch")
said = (
    f"From scratch, the hybrid run ends at {100 * share['hybrid']:.1f} % test accuracy, masked"
    f" descent at {100 * share['sparse']:.1f} %, dense at {100 * share['dense']:.1f} %; from round"
    f" {first + 1} on its segments follow descent to a tenth"
)
shown = (
    f"Emulated: {space.n} weights pruned to {kept[-1]} over 12 rounds of 8 steps, order 2, eta ="
    " 0.01, three tenths of the entries read"
)
figure.update_layout(title={"text": said, "subtitle": {"text": shown}}, template="simple_white")
figure.show()
