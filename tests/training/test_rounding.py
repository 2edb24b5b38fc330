"""The measured truncation error is not the rounding of large weights: in float32 it starts at
rounding of u itself.
"""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.training.descent import displacements
from qdescent.training.hybrid import train_hybrid
from qdescent.training.schedule import Schedule


def test_the_first_step_of_a_segment_is_exact_to_rounding_in_float32():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4))
    with torch.no_grad():
        network[2].bias.add_(30.0)  # a large weight, at whose size theta + u would be rounded
    task = Task(network, cross_entropy, (torch.randn(32, 8), torch.randint(0, 4, (32,))))
    space = ParameterSpace(network)
    (found,) = train_hybrid(
        [task], space, Schedule(order=1, segment=3, rounds=1, learning_rate=1e-3, shots=None)
    ).rounds
    assert found.truncation[0] < 1e-6
    u = next(displacements(task, space, space.theta, 1e-3))[1]
    # the wrong variant: measured as a difference of points
    subtracted = (space.theta + u) - space.theta
    assert float((subtracted - u).norm() / u.norm()) > 1e-5
