"""What the nested derivatives must refuse, because they would be wrong without a word."""

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.taylor.nested_jvp import NestedSeries


class Then(nn.Module):
    """A linear layer, then any function."""

    def __init__(self, function):
        super().__init__()
        self.linear, self.function = nn.Linear(3, 2).double(), function

    def forward(self, x):
        return self.function(self.linear(x))


def series(function):
    torch.manual_seed(0)
    network = Then(function)
    data = torch.randn(5, 3).double(), torch.randn(5, 2).double()
    task, space = Task(network, nn.functional.mse_loss, data), ParameterSpace(network)
    return NestedSeries(task, space, space.theta, 2), space


KINKED = {
    "gt": lambda x: x * (x > 0),
    "where": lambda x: torch.where(x.ge(0), x, 0.1 * x),
    "amax": lambda x: x - x.amax(1, keepdim=True),
    "sort": lambda x: x.sort(1).values,
    "branch": lambda x: x if x.sum() > 0 else 2 * x,
    "fmax": lambda x: torch.fmax(x, torch.zeros_like(x)),
}


@pytest.mark.parametrize("name", KINKED)
def test_choices_that_depend_on_the_weights_are_refused(name):
    with pytest.raises(ArgumentError, match="Argument `network` must be smooth, but is using"):
        series(KINKED[name])


def test_choices_that_depend_on_data_alone_are_not():
    mask = torch.randn(5, 2, generator=torch.Generator().manual_seed(1)).double()
    found, space = series(lambda x: torch.where(mask > 0, x.tanh(), x) - x.detach().amax())
    assert found([torch.ones_like(space.theta)] * 2).isfinite().all()


def test_the_point_must_stay():
    found, space = series(torch.tanh)
    curve = [torch.ones_like(space.theta)] * 2
    found(curve)
    found._theta.add_(1.0)
    with pytest.raises(ArgumentError, match="Argument `theta` must stay as it is"):
        found(curve)
