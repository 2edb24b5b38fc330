"""A round that has nowhere to go."""

import torch
import torch.nn.functional as F
from torch import nn

from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.training.hybrid import train_hybrid
from qdescent.training.schedule import Schedule


def test_a_round_at_a_stationary_point():
    net = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        net.weight.zero_()
    task = Task(net, F.mse_loss, (torch.ones(1, 1).double(), torch.zeros(1, 1).double()))
    assert (
        float(
            train_hybrid(
                [task], ParameterSpace(net), Schedule(segment=2, rounds=1, shots=None)
            ).theta
        )
        == 0.0
    )
