"""Kept weights <-> flat R^n."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from qdescent._checks import ArgumentError
from qdescent.learning.curvature.hessian import hessian
from qdescent.learning.masks import Mask
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.pruning.magnitude import magnitude_mask
from qdescent.learning.task import Task


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).double()


def test_pack_of_unpack_is_the_identity_and_unpack_of_pack_the_mask(network):
    mask = MASKS["random"](network, density=0.4)
    space = ParameterSpace(network, mask)
    assert (space.n, space.total) == (mask.kept, sum(w.numel() for w in network.parameters()))
    theta = torch.randn(space.n, dtype=torch.float64)
    assert torch.equal(space.pack(space.unpack(theta)), theta)
    full = {name: torch.randn_like(w) for name, w in network.named_parameters()}
    for name, w in space.unpack(space.pack(full)).items():
        assert torch.equal(w, full[name] * mask.keep[name])
    assert torch.equal(space.pack(list(full.values())), space.pack(full))


def test_coordinates_follow_the_order_of_named_parameters(network):
    mask = MASKS["random"](network, density=0.5)
    expected = torch.cat([w.detach()[mask.keep[name]] for name, w in network.named_parameters()])
    assert torch.equal(ParameterSpace(network, mask).theta, expected)


def test_the_network_is_left_alone(network):
    before = [w.detach().clone() for w in network.parameters()]
    space = ParameterSpace(network)
    space.theta.mul_(3)
    space.unpack(space.theta)["0.weight"].zero_()
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_restriction_freezes_the_rest(network):
    space = ParameterSpace(network, MASKS["random"](network, density=0.5))
    theta = torch.randn(space.n, dtype=torch.float64)
    small = space.restrict(theta, torch.tensor([7, 2]))
    assert (small.n, small.total) == (2, space.total)
    assert torch.equal(small.theta, theta[[2, 7]])  # increasing order of place
    moved = theta.clone()
    moved[2], moved[7] = 5.0, -6.0
    ours, expected = (
        small.unpack(torch.tensor([5.0, -6.0], dtype=torch.float64)),
        space.unpack(moved),
    )
    assert all(torch.equal(ours[name], expected[name]) for name in expected)
    direction = small.embed(torch.ones(2, dtype=torch.float64))
    assert sum(float(w.sum()) for w in direction.values()) == 2.0
    assert sum(int((w != 0).sum()) for w in direction.values()) == 2
    assert small.mask.kept == 2
    smaller = small.restrict(small.theta, torch.tensor([1]))
    assert torch.equal(space.pack(smaller.unpack(smaller.theta)), theta)


def test_unpack_can_be_differentiated(network):
    space = ParameterSpace(network, magnitude_mask(network, 0.3))
    jacobian = torch.func.jacrev(lambda t: space.pack(space.unpack(t)))(space.theta)
    assert torch.equal(jacobian, torch.eye(space.n, dtype=torch.float64))


class Pairs(nn.Module):
    """A Fourier layer: its weights are seen as complex numbers, or multiplied by hand."""

    def __init__(self, by_hand):
        super().__init__()
        self.by_hand = by_hand
        self.shift = nn.Parameter(torch.randn(3))
        self.factors = nn.Parameter(torch.randn(5, 2))

    def forward(self, x):
        spectrum = torch.fft.rfft(x)
        if self.by_hand:
            a, b = self.factors.unbind(1)
            x, y = spectrum.real, spectrum.imag
            found = torch.complex(a * x - b * y, a * y + b * x)
        else:
            found = spectrum * torch.view_as_complex(self.factors)
        return torch.tanh(torch.fft.irfft(found)) + self.shift.sum()


def test_weights_that_are_seen_as_complex_numbers_begin_at_an_even_place():
    found = []
    for by_hand in (True, False):
        torch.manual_seed(0)
        network = Pairs(by_hand).double()
        data = torch.randn(4, 8, dtype=torch.float64), torch.zeros(4, 8, dtype=torch.float64)
        task, space = Task(network, mse_loss, data), ParameterSpace(network)
        columns = torch.randn(space.n, 2, dtype=torch.float64)
        loss, gradient = task.loss_and_gradient(space, columns[:, 1])
        H = hessian(task, space, method="double-backward").to_dense()
        found.append(torch.cat([loss[None], gradient, H.flatten()]))
    torch.testing.assert_close(*found)


def test_errors(network):
    space = ParameterSpace(network)
    with pytest.raises(ArgumentError, match=r"must have shape \(47,\), but is of shape \(3,\)"):
        space.unpack(torch.ones(3))
    with pytest.raises(ArgumentError, match=r"must have shape \(47,\)"):
        space.embed(torch.ones(48))
    with pytest.raises(
        ArgumentError,
        match=(
            "Argument `mask` must have one entry for each parameter of the network, but is"
            " different in"
        ),
    ):
        ParameterSpace(network, Mask({"other": torch.ones(2, dtype=torch.bool)}))
    wrong = dict(magnitude_mask(network).keep) | {"0.bias": torch.ones(5, dtype=torch.bool)}
    with pytest.raises(
        ArgumentError, match=r"Argument `mask.keep\['0.bias'\]` must have shape \(2,\)"
    ):
        ParameterSpace(network, Mask(wrong))
    with torch.no_grad():
        network[2].weight[1, 3] = math.nan
    with pytest.raises(
        ArgumentError,
        match=r"Argument `weights\['2.weight'\]` must be finite, but is not, in 1 of 24 entries",
    ):
        ParameterSpace(network)
