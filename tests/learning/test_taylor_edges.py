"""Edges of the Taylor rules and of the Hessian: tied, unused and linear weights, zeros, PyTorch options."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.learning.hessian import hessian
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.taylor import Jet, gradient_series


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


def test_tied_weights():
    torch.manual_seed(0)
    net = Tied().double()
    task, space = Task(net, F.mse_loss, (torch.randn(4, 3).double(), torch.randn(4, 3).double())), ParameterSpace(net)
    u = torch.randn(space.n).double()
    torch.testing.assert_close(gradient_series(task, space, space.theta, [u])[0], hessian(task, space) @ u)


def test_a_loss_linear_in_some_weights():
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    task = Task(net, lambda o, t: o.sum(), (torch.ones(4, 2).double(), torch.zeros(4, 1).double()))
    H = hessian(task, ParameterSpace(net)).to_dense()
    torch.testing.assert_close(H, H.T)


def test_an_unused_parameter_has_gradient_zero():
    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.spare = nn.Linear(3, 1), nn.Linear(3, 3)

        def forward(self, x):
            return self.a(x)

    net = Spare()
    task, space = Task(net, F.mse_loss, (torch.ones(2, 3), torch.ones(2, 1))), ParameterSpace(net)
    assert float(task.loss_and_gradient(space, space.theta)[1][4:].abs().sum()) == 0
    hessian(task, space).to_dense()


@pytest.mark.parametrize("power", [1, 3])
def test_whole_powers_at_zero(power):
    x = Jet([torch.zeros(1).double(), torch.ones(1).double(), torch.zeros(1).double(), torch.zeros(1).double()])
    assert [float(c) if c is not None else 0.0 for c in torch.pow(x, power).coefficients] == [float(k == power) for k in range(4)]


def test_dropout_in_evaluation_mode_is_the_identity():
    x = Jet([torch.ones(2, 3), torch.ones(2, 3)])
    assert torch.equal(nn.Dropout(0.5).eval()(x).coefficients[1], torch.ones(2, 3))


def test_padding_by_a_value_pads_the_constant_only():
    x = Jet([torch.zeros(1, 2), torch.zeros(1, 2)])
    assert F.pad(x, (1, 0), value=1.0).coefficients[1].tolist() == [[0.0, 0.0, 0.0]]


def test_ignored_labels():
    x, t = torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([0, 1])
    try:
        ours = F.cross_entropy(Jet([x, None]), t, ignore_index=0).coefficients[0]
    except ArgumentError:
        return
    torch.testing.assert_close(ours, F.cross_entropy(x, t, ignore_index=0))


def test_softplus_threshold():
    x = torch.tensor([1.0, 3.0])
    try:
        ours = F.softplus(Jet([x, None]), 1.0, 0.5).coefficients[0]
    except ArgumentError:
        return
    torch.testing.assert_close(ours, F.softplus(x, 1.0, 0.5))


def test_convolution_of_one_sample_without_a_batch_axis():
    x, w, b = torch.ones(1, 3, 3), torch.ones(3, 1, 3, 3), torch.arange(3.0)
    torch.testing.assert_close(F.conv2d(Jet([x, None]), w, b, padding=1).coefficients[0], F.conv2d(x, w, b, padding=1))
