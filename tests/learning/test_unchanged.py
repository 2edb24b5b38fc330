"""An operator is of the batch and the frozen weights that it was made of, or says that they have
changed; what no network may do to its inputs; what is no real loss.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

import qdescent as qd
from qdescent._checks import ArgumentError

D = torch.float64


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2)).double()


def batch():
    g = torch.Generator().manual_seed(1)
    return torch.randn(6, 3, generator=g, dtype=D), torch.randn(6, 2, generator=g, dtype=D)


@pytest.mark.parametrize("method", ["auto", "taylor", "double-backward"])
@pytest.mark.parametrize("part", [0, 1])
def test_a_buffer_that_is_filled_again_is_refused(method, part):
    net, data = network(), batch()
    task, space = qd.Task(net, mse_loss, data), qd.ParameterSpace(net)
    H, v = qd.hessian(task, space, method=method), torch.ones(space.n, dtype=D)
    data[part].copy_(3 * data[part])
    with pytest.raises(ArgumentError, match=r"`data` must stay as it was when its `Task` was made"):
        H @ v
    with pytest.raises(ArgumentError, match="`data` must stay"):
        task.loss_at(space, space.theta)
    with pytest.raises(ArgumentError, match="`data` must stay"):
        qd.series_descent(task, space, order=2, steps=2, learning_rate=0.1)


def test_an_array_may_change_afterwards():
    net, (x, y) = network(), batch()
    array = x.numpy().copy()
    task, space = qd.Task(net, mse_loss, ({"input": array}, y)), qd.ParameterSpace(net)
    v = torch.ones(space.n, dtype=D)
    before = qd.hessian(task, space) @ v
    array *= 3
    assert torch.equal(qd.hessian(task, space) @ v, before)


def test_trained_weights_may_move_on_and_frozen_ones_may_not():
    net, data = network(), batch()
    net[0].requires_grad_(False)
    task, space = qd.Task(net, mse_loss, data), qd.ParameterSpace(net)
    H, v = qd.hessian(task, space, method="taylor"), torch.ones(space.n, dtype=D)
    before = H @ v
    with torch.no_grad():
        net[2].weight.add_(1.0)
        assert torch.equal(H @ v, before)
        qd.Task(net, mse_loss, data)  # looks at the network's memory, and leaves it
        assert torch.equal(H @ v, before)
        net[0].weight.add_(1.0)
    with pytest.raises(ArgumentError, match="keep its frozen weights as they were"):
        H @ v


class Doubling(nn.Module):
    def forward(self, x):
        return x.mul_(2)


@pytest.mark.parametrize("first", [Doubling(), nn.Hardswish(inplace=True)])
def test_inputs_changed_by_the_network_are_refused_and_put_back(first):
    x, y = batch()
    kept = x.clone()
    with pytest.raises(ArgumentError, match="leave its inputs as they are"):
        qd.Task(nn.Sequential(first, network()), mse_loss, (x, y))
    assert torch.equal(x, kept)


@pytest.mark.parametrize("factor", [1 + 2j, torch.tensor(1j)])
def test_a_complex_loss_is_refused(factor):
    with pytest.raises(ArgumentError, match=r"`loss` must return a real number"):
        qd.Task(network(), lambda out, y: mse_loss(out, y) * factor, batch())
    with pytest.raises(ArgumentError, match=r"`loss` must return a real number"):
        qd.Task(network(), lambda out, y: (out > 0).sum(), batch())


@pytest.mark.parametrize(
    "normalised", [nn.utils.parametrizations.spectral_norm, nn.utils.spectral_norm]
)
def test_spectral_normalisation_has_its_own_cure(normalised):
    torch.manual_seed(0)
    net = nn.Sequential(normalised(nn.Linear(3, 3)), nn.Tanh(), nn.Linear(3, 2)).double()
    with pytest.raises(ArgumentError, match=r"spectral normalisation in evaluation mode"):
        qd.Task(net, mse_loss, batch())
    task, space = qd.Task(net.eval(), mse_loss, batch()), qd.ParameterSpace(net)
    H = qd.hessian(task, space) @ torch.eye(space.n, dtype=D)
    moved = 1e-5 * torch.eye(space.n, dtype=D)
    slopes = [
        task.loss_and_gradient(space, space.theta + each)[1]
        - task.loss_and_gradient(space, space.theta - each)[1]
        for each in moved
    ]
    assert torch.allclose(H, torch.stack(slopes) / 2e-5, atol=1e-8)


def test_a_lazy_network_is_refused_with_its_cure():
    net = nn.Sequential(nn.LazyLinear(3), nn.Tanh(), nn.Linear(3, 2))
    for made in (lambda: qd.Task(net, mse_loss, batch()), lambda: qd.ParameterSpace(net)):
        with pytest.raises(ArgumentError, match="have weights with a shape"):
            made()


class Text(nn.Module):
    def __init__(self, tied=False):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(9, 3, padding_idx=0)
        self.cell = nn.LSTM(3, 3, batch_first=True)
        self.head = nn.Linear(3, 9, bias=False)
        if tied:
            self.head.weight = self.table.weight

    def forward(self, x):
        return self.head(self.cell(self.table(x))[0][:, -1])


def test_the_row_of_a_padding_token_is_no_mode():
    tokens = torch.tensor([[1, 2, 3, 0], [4, 5, 0, 0], [6, 7, 8, 1], [2, 0, 0, 0]])
    net = Text().double()
    with torch.no_grad():
        net.table.weight[0] = 0.3  # a pruned entry would be 0
    task = qd.Task(net, cross_entropy, (tokens, torch.tensor([0, 1, 2, 0])))
    space = qd.ParameterSpace(net)
    assert space.n == sum(w.numel() for w in net.parameters()) - 3
    assert space.frozen == 3
    assert torch.equal(space.unpack(space.theta)["table.weight"], net.table.weight)
    H = qd.hessian(task, space) @ torch.eye(space.n, dtype=D)
    loss = task.loss_at
    dense = torch.autograd.functional.hessian(lambda theta: loss(space, theta), space.theta)
    assert torch.allclose(H, dense, atol=1e-12)
    rows = torch.ones(9, 3, dtype=torch.bool)
    rows[0] = False
    keep = {name: torch.ones_like(w, dtype=torch.bool) for name, w in net.named_parameters()}
    pruned = qd.ParameterSpace(net, qd.Mask(keep | {"table.weight": rows}))
    assert pruned.n == space.n
    assert not pruned.unpack(pruned.theta)["table.weight"][0].any()


def test_a_table_that_is_a_head_too_has_all_its_rows():
    net = Text(tied=True)
    assert qd.ParameterSpace(net).n == sum(w.numel() for w in net.parameters())


def test_an_array_of_a_dict_is_copied():
    task = qd.Task(network(), mse_loss, ({"input": np.ones((2, 3))}, np.zeros((2, 2))))
    assert task.data[0]["input"].dtype == D


def test_two_parameters_on_one_memory_are_refused_and_neighbours_are_not():
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    flat = torch.randn(18)
    net[0].weight = nn.Parameter(flat[:9].view(3, 3))
    net[2].weight = nn.Parameter(flat[9:].view(3, 3))  # as a flat buffer of recurrent weights
    assert qd.ParameterSpace(net).n == 24
    net[2].weight = nn.Parameter(flat[6:15].view(3, 3))
    with pytest.raises(ArgumentError, match=r"sharing that of '0\.weight' and '2\.weight'"):
        qd.ParameterSpace(net)
    net[2].weight = net[0].weight
    assert qd.ParameterSpace(net).n == 15
