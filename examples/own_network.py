"""A network of one's own in the hybrid loop: ten lines, then what came of it."""

import torch
from torch import nn

import qdescent as qd

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

beside = run.rounds[-1].sparse
print("masked descent ends at", beside.loss[-1])
for row in run.budget:
    print(f"{row.name:<32}", [round(float(value), 5) for value in row.value])
