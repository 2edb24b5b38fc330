"""A task is of the network in the mode that it had: a later `train()` changes no number."""

import pytest
import torch
from torch import nn

import qdescent as qd
from qdescent._checks import ArgumentError


class Counting(nn.Module):
    """Scales by 3 in training mode, by a plain attribute of its own."""

    def forward(self, x):
        return 3 * x if self.training else x


def networks():
    torch.manual_seed(0)
    shared = nn.Linear(4, 4)
    return {
        "dropout": nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Tanh(), nn.Linear(4, 2)),
        "norm": nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)),
        "own": nn.Sequential(nn.Linear(4, 4), Counting(), nn.Tanh(), nn.Linear(4, 2)),
        "shared": nn.Sequential(shared, nn.Dropout(0.1), shared, nn.Tanh(), nn.Linear(4, 2)),
        "encoder": nn.Sequential(
            nn.Linear(4, 4), nn.Unflatten(1, (1, 4)),
            nn.TransformerEncoderLayer(4, 2, 8, 0.2, "gelu"), nn.Flatten(), nn.Linear(4, 2),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", networks())
def test_a_later_train_changes_no_product_no_series_and_no_mode(name):
    network = networks()[name].double().eval()
    x, y = torch.linspace(-1, 1, 32).reshape(8, 4).double(), torch.arange(8) % 2
    task, space = qd.Task(network, nn.functional.cross_entropy, (x, y)), qd.ParameterSpace(network)
    v = torch.linspace(-1, 1, space.n).double()

    def numbers():
        product = qd.hessian(task, space) @ v
        loss, gradient = task.loss_and_gradient(space, space.theta)
        series = qd.series_descent(task, space, steps=3, learning_rate=0.1, order=2)
        return [product, loss, gradient, series.value]

    expected = numbers()
    network.train()
    for now, before in zip(numbers(), expected, strict=True):
        assert torch.equal(now, before)
    assert all(module.training for module in network.modules())
    assert torch.equal(task.with_data((x, y)).loss_and_gradient(space, space.theta)[1], expected[2])


def test_modes_are_given_and_checked():
    network = networks()["own"]
    data = torch.ones(2, 4), torch.zeros(2, dtype=torch.int64)
    trains = qd.Task(network, nn.functional.cross_entropy, data)
    network.eval()
    space = qd.ParameterSpace(network)
    still = qd.Task(network, nn.functional.cross_entropy, data)
    again = qd.Task(network, nn.functional.cross_entropy, data, modes=trains.modes)
    loss = [float(each.loss_and_gradient(space, space.theta)[0]) for each in (trains, still, again)]
    assert loss[0] == loss[2] != loss[1]
    for modes in ((True,), "yes", (1,) * 5, ()):
        with pytest.raises(ArgumentError, match=r"`modes` must be 5 booleans"):
            qd.Task(network, nn.functional.cross_entropy, data, modes=modes)


def test_a_network_that_got_another_module_is_refused():
    network = networks()["own"]
    data = torch.ones(2, 4), torch.zeros(2, dtype=torch.int64)
    task, space = qd.Task(network, nn.functional.cross_entropy, data), qd.ParameterSpace(network)
    network.append(nn.Tanh())
    with pytest.raises(ArgumentError, match="have the modules that it had"):
        task.loss_at(space, space.theta)
