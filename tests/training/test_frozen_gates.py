"""What examples/truncation_error.py takes as a ReLU network's series, gates held at the pivot, is
what autograd would take.
"""

import math

import torch
from torch import nn
from torch.func import grad, jvp

from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.solvers.series import SeriesSteps


class Gate(nn.Module):
    def __init__(self, pivot):
        super().__init__()
        self.open = (pivot > 0).double()

    def forward(self, x):
        return x * self.open


def test_frozen_gates_are_nested_forward_derivatives():
    g = torch.Generator().manual_seed(0)
    network = nn.Sequential(
        nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)
    ).double()
    with torch.no_grad():
        for w in network.parameters():
            w.copy_(0.5 * torch.randn(w.shape, generator=g, dtype=torch.float64))
    inputs, labels = (
        torch.randn(7, 3, generator=g, dtype=torch.float64),
        torch.randint(0, 3, (7,), generator=g),
    )
    smooth, x = nn.Sequential(), inputs
    for layer in network:
        smooth.append(Gate(x) if isinstance(layer, nn.ReLU) else layer)
        x = layer(x).detach()
    kinked, held = (
        Task(each, nn.functional.cross_entropy, (inputs, labels)) for each in (network, smooth)
    )
    space, eta, order = ParameterSpace(network), 0.3, 3
    gradient = grad(lambda theta: kinked.loss_at(space, theta))
    terms = torch.zeros(order, space.n, dtype=torch.float64)
    for found, _ in zip(SeriesSteps(held, space, space.theta, order, eta), range(4), strict=False):

        def along(eps, terms=terms):
            return gradient(space.theta + sum(u * eps**k for k, u in enumerate(terms, start=1)))

        change, slope = [], along
        for k in range(1, order + 1):
            slope = _slope(slope)
            change.append(slope(torch.zeros((), dtype=torch.float64)) / math.factorial(k))
        change[0] = change[0] + gradient(space.theta)
        terms = terms - eta * torch.stack(change)
        torch.testing.assert_close(found, terms, rtol=1e-12, atol=1e-14)


def _slope(function):
    return lambda eps: jvp(function, (eps,), (torch.ones_like(eps),))[1]
