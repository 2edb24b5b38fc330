"""What a task accepts, and that its loss and gradient are those of the network."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from qdescent._checks import ArgumentError
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.task import Task

INPUTS, TARGETS = torch.ones(4, 3), torch.zeros(4, 2)


class Noisy(nn.Module):
    """Random inside `forward`, where no layer type gives it away."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        return nn.functional.dropout(self.linear(x), 0.5)


@pytest.mark.parametrize("name", ["seventeen", "small_conv", "regression"])
def test_loss_and_gradient_against_backward(name, request):
    task = request.getfixturevalue(name).task
    mask = MASKS["random"](task.network, density=0.5)
    space = ParameterSpace(task.network, mask)
    loss, gradient = task.loss_and_gradient(space, space.theta)
    with torch.no_grad():
        for key, w in task.network.named_parameters():
            w.mul_(mask.keep[key])
    truth = task.loss(task.network(task.data[0]), task.data[1])
    truth.backward()
    assert float(loss) == pytest.approx(truth.item(), rel=1e-14)
    expected = torch.cat([w.grad[mask.keep[key]] for key, w in task.network.named_parameters()])
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(task.loss_at(space, space.theta), loss)
    assert torch.equal(
        task.outputs_at(space, space.theta, task.data[0]), task.network(task.data[0]).detach()
    )


def test_another_batch(seventeen):
    x, y = seventeen.task.data
    other = seventeen.task.with_data((x[:2], y[:2]))
    assert (other.batch, seventeen.task.batch) == (2, 6)
    assert other.network is seventeen.task.network
    with pytest.raises(ArgumentError, match="Argument `data inputs` must be finite"):
        seventeen.task.with_data((x * math.nan, y))


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.AlphaDropout(0.2)])
def test_active_dropout_is_refused(layer):
    network = nn.Sequential(nn.Linear(3, 2), layer)
    with pytest.raises(ArgumentError, match="must hold dropout in evaluation mode .* at '1'"):
        Task(network, mse_loss, (INPUTS, TARGETS))
    assert Task(network.eval(), mse_loss, (INPUTS, TARGETS)).batch == 4


def test_batchnorm_in_training_mode_is_refused():
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with pytest.raises(
        ArgumentError,
        match="Argument `network` must hold BatchNorm in evaluation mode .* but is not, at '1'",
    ):
        Task(network, mse_loss, (INPUTS, TARGETS))
    assert Task(network.eval(), mse_loss, (INPUTS, TARGETS)).batch == 4


def test_a_random_loss_is_refused():
    torch.manual_seed(0)  # of 256 masks of dropout one would be the same twice
    with pytest.raises(
        ArgumentError, match="Argument `loss` must be deterministic .* once and .* the next time"
    ):
        Task(Noisy(), mse_loss, (INPUTS, TARGETS))
    with pytest.raises(ArgumentError, match="Argument `loss` must be deterministic"):
        Task(nn.Linear(3, 2), lambda o, t: mse_loss(o + torch.randn_like(o), t), (INPUTS, TARGETS))


class Learner(nn.Module):
    """One step of descent inside `forward`, as of learned optimisers."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 3))

    def forward(self, x):
        loss = (x @ self.weight.T).square().sum()
        (slope,) = torch.autograd.grad(loss, self.weight, create_graph=True)
        return x @ (self.weight - 0.5 * slope).T


def test_a_network_that_takes_gradients_by_its_weights_is_refused_for_that():
    must = "Argument `network` must have a `forward` that takes no gradients by the weights"
    with pytest.raises(ArgumentError, match=must):
        Task(Learner(), mse_loss, (INPUTS, TARGETS))


def test_arrays_of_either_order_of_bytes():
    task = Task(nn.Linear(3, 2), mse_loss, (INPUTS.numpy().astype(">f4"), TARGETS))
    assert torch.equal(task.data[0], INPUTS)


def test_errors():
    network = nn.Linear(3, 2)
    for data in ((INPUTS, TARGETS[:3]), (INPUTS[:0], TARGETS[:0]), (INPUTS,)):
        with pytest.raises(
            ArgumentError,
            match=r"Argument `data` must be \(inputs, targets\) of one length, at least 1",
        ):
            Task(network, mse_loss, data)
    with pytest.raises(
        ArgumentError, match="Argument `data targets` must be finite, but is not, in 8 of 8 entries"
    ):
        Task(network, mse_loss, (INPUTS, TARGETS * math.inf))
    with pytest.raises(
        ArgumentError, match=r"Argument `loss` must return a scalar, but is of shape \(4, 2\)"
    ):
        Task(network, lambda o, t: o - t, (INPUTS, TARGETS))
    for labels in (torch.zeros(4, dtype=torch.float64), torch.ones(4), [0.0, 1.0, 0.0, 1.0]):
        with pytest.raises(ArgumentError, match=r"\(class labels are integers: targets.long\(\)\)"):
            Task(network, cross_entropy, (INPUTS, labels))
    with torch.no_grad():
        network.weight[0, 0] = math.nan
    with pytest.raises(
        ArgumentError, match="Argument `loss` must be finite at the network's weights, but is nan"
    ):
        Task(network, mse_loss, (INPUTS, TARGETS))
