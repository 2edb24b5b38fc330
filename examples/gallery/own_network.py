"""14. How does a network of one's own go into the loop?

In ten lines: a network, a loss and a batch are a task, all weights that may be kept a space, and a
schedule says how long the rounds go on. The controller chooses each segment's length and order, the
cheaper engine, and how many shots a readout needs for an error of 5 %.
"""

import itertools

import plotly.graph_objects as go
import torch
from torch import nn

import qdescent as qd

torch.manual_seed(0)
network = nn.Sequential(nn.Linear(8, 32), nn.SiLU(), nn.Linear(32, 4))
inputs = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
labels = (inputs[:, :4].square() + inputs[:, 4:]).argmax(1)
task = qd.Task(network, nn.functional.cross_entropy, (inputs, labels))
space = qd.ParameterSpace(network)  # all weights that may be kept
schedule = qd.AdaptiveSchedule(steps=120, learning_rate=0.1, read_error=0.05, engine="cheapest")
run = qd.train_hybrid([task], space, schedule, pruning=qd.Pruning(density=0.5))
print("loss", run.rounds[0].loss[0], "->", float(task.loss_at(space, run.theta)))
print("segments", [(each.steps, each.order, each.engine) for each in run.rounds])
print("window", run.window)

masked = run.rounds[-1].sparse.loss[-1]
print("masked descent ends at", masked)
for row in run.budget:
    print(f"{row.name:<32}", [round(float(value), 5) for value in row.value])

# The loss of both after each round: the readout's jumps are what a real machine would see, too.
ends = list(itertools.accumulate(each.steps for each in run.rounds))
start = run.rounds[0].loss[0]
figure = go.Figure()
after = [each.loss[0] for each in run.rounds[1:]] + [float(task.loss_at(space, run.theta))]
for name, losses, colour in (
    ("masked descent", [each.sparse.loss[-1] for each in run.rounds], "#7f7f7f"),
    ("hybrid, as read out", after, "#1f77b4"),
):
    figure.add_scatter(
        x=[0, *ends], y=[start, *losses], name=name, mode="lines+markers", line={"color": colour}
    )
figure.update_layout(xaxis_title="step after pruning", yaxis_title="loss on the batch")
longest = max(each.steps for each in run.rounds)
said = (
    f"In {len(ends)} rounds of up to {longest} steps a perceptron of one's own falls to a loss of"
    f" {after[-1]:.3f}, masked descent to {masked:.3f}"
)
shown = (
    f"Emulated: {space.n} weights, half of them pruned; the controller's segments at its default"
    " tolerance, readouts to 5 %"
)
figure.update_layout(title={"text": said, "subtitle": {"text": shown}}, template="simple_white")
figure.show()
