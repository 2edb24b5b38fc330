"""Losses of which all but rounding cancels: what is left is right, 0, or refused for its precision,
never called a wrong derivative.
"""

import itertools
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from wrong_derivatives import Detached

from qdescent._checks import ArgumentError
from qdescent.learning.curvature.hessian import gauss_newton, hessian
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.solvers.series import series_descent

F64 = torch.float64
HELD = "products that its precision can hold"
LOSSES = {
    "cross entropy": F.cross_entropy,
    "by hand": lambda out, y: -out.softmax(1).gather(1, y[:, None]).log().mean(),
    "squares of probabilities": lambda out, y: F.mse_loss(out.softmax(1), F.one_hot(y, 4).to(out)),
}


def confident(apart, seed=0, deep=True, function=torch.tanh):
    """A network whose largest logit is at least so far above the others on its 12 samples."""
    torch.manual_seed(seed)
    x = torch.randn(300, 6, dtype=F64)
    last = nn.Linear(10 if deep else 6, 4)
    network = (nn.Sequential(nn.Linear(6, 10), Function(function), last) if deep else last).double()
    with torch.no_grad():
        high, second = network(x).topk(2, 1).values.T
        x = x[(high - second).argsort()[-12:]]
        factor = apart / (high - second).sort().values[-12]
        last.weight.mul_(factor)
        last.bias.mul_(factor)
    return network, x, network(x).argmax(1)


@contextmanager
def suppress_of_precision():
    """Another refusal is an error."""
    try:
        yield
    except ArgumentError as refused:
        if HELD not in str(refused):
            raise


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def softmax_curvature(network, x):
    """J^T (diag p - p p^T) J / B of one linear layer, 1 - p as the sum of the other p."""
    p = network(x).detach().softmax(1)
    others = torch.stack([p[:, [j for j in range(4) if j != k]].sum(1) for k in range(4)], 1)
    inner = torch.diag_embed(p * others) - torch.einsum("bi,bj->bij", p, p) * (1 - torch.eye(4))
    ones = torch.cat([x, torch.ones(len(x), 1, dtype=F64)], 1)
    H = torch.einsum("bij,bk,bl->ikjl", inner, ones, ones) / len(x)
    order = [7 * k + m for k in range(4) for m in range(6)] + [7 * k + 6 for k in range(4)]
    return H.reshape(28, 28)[order][:, order]


@pytest.mark.parametrize("curvature", [hessian, gauss_newton])
@pytest.mark.parametrize("apart", [22, 25, 30, 32, 38])
def test_of_a_saturated_softmax_float64_holds_what_there_is(apart, curvature):
    network, x, y = confident(apart, deep=False)
    task, space = Task(network, F.cross_entropy, (x, y)), ParameterSpace(network)
    found, right = curvature(task, space).to_dense(), softmax_curvature(network, x)
    # within the rounding of its terms; the largest is about the mean of |x|^2 / 4
    terms = float((x.square().sum(1).mean() + 1) / 4)
    assert float((found - right).norm()) <= 100 * torch.finfo(F64).eps * terms
    assert apart > 30 or float((found - right).norm()) <= 0.02 * float(right.norm())


@pytest.mark.parametrize(
    ("apart", "loss"),
    [
        pytest.param(apart, loss, marks=() if index == 3 else pytest.mark.slow)
        for index, (apart, loss) in enumerate(itertools.product((26, 34), LOSSES))
    ],
)
def test_a_saturated_loss_is_no_wrong_derivative(apart, loss):
    network, x, y = confident(apart)
    task, space = Task(network, LOSSES[loss], (x, y)), ParameterSpace(network)
    some = torch.randn(space.n, 2, dtype=F64)
    right = hessian(task, space) @ some  # accepted in float64 ...
    hessian(task, space, method="taylor")
    gauss_newton(task, space)
    walk = series_descent(task, space, 2, 2, 0.1).value
    gradient = task.loss_and_gradient(space, space.theta)[1]
    size = float(gradient.norm())
    assert float((walk + 0.2 * gradient).norm()) <= 0.01 * size + 1e-12
    network = network.float()  # ... and in float32 as far as that holds it
    task, space = Task(network, LOSSES[loss], (x.float(), y)), ParameterSpace(network)
    for curvature in (hessian, gauss_newton):
        found = None
        with suppress_of_precision():
            found = curvature(task, space) @ some.float()
        # 0 where it is below the rounding of the terms, of order 10
        assert found is None or float((found - right).norm()) <= 0.2 * float(right.norm()) + 1e-4


@pytest.mark.parametrize("apart", [22, 30, 36])
def test_a_wrong_derivative_does_not_hide_in_saturation(apart):
    network, x, y = confident(apart, function=Detached.apply)
    task, space = Task(network, F.cross_entropy, (x, y)), ParameterSpace(network)
    with pytest.raises(ArgumentError, match="second derivatives of its loss"):
        hessian(task, space, method="double-backward")


def test_a_steep_loss_bends_within_the_first_step():
    """Logits of 1e5: a step of 6e-6 of the weights' length moves them by one."""
    network, x, y = confident(1e5, deep=False)
    y = (y + torch.tensor([0, 1] * 6)) % 4
    x = x * torch.linspace(1e-5, 1, 12, dtype=F64)[:, None]
    task, space = Task(network, F.cross_entropy, (x, y)), ParameterSpace(network)
    found, right = hessian(task, space).to_dense(), softmax_curvature(network, x)
    torch.testing.assert_close(found, right, rtol=1e-6, atol=1e-12)


class Sampled(nn.Module):
    """A spatial transformer: an image read at places that the weights move, bilinearly."""

    def __init__(self, shift):
        super().__init__()
        self.places = nn.Parameter(torch.tensor([[1.0, 0.1, 0.05], [-0.1, 0.9, shift]]))
        self.last = nn.Linear(25, 2)

    def forward(self, images):
        size = (len(images), 1, 5, 5)
        grid = F.affine_grid(self.places.expand(len(images), 2, 3), size, align_corners=False)
        return self.last(F.grid_sample(images, grid, align_corners=False).flatten(1))


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("shift", [0.0, 0.03])
def test_a_place_at_a_pixels_centre_is_a_kink(shift, dtype):
    """To rounding: which side it is on differs between float32 and float64."""
    torch.manual_seed(0)
    network = Sampled(shift).to(dtype)
    images = torch.randn(5, 1, 5, 5, generator=torch.Generator().manual_seed(1)).to(dtype)
    task = Task(network, F.cross_entropy, (images, torch.tensor([0, 1, 1, 0, 1])))
    assert ("one side" in hessian(task, ParameterSpace(network)).remark) == (shift == 0)


class Identity(Sampled):
    """All places at centres of pixels, where each change of a weight moves all of them."""

    def __init__(self):
        nn.Module.__init__(self)
        self.places = nn.Parameter(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))

    def forward(self, images):
        grid = F.affine_grid(self.places.expand(3, 2, 3), (3, 1, 4, 4), align_corners=True)
        return F.grid_sample(images, grid, align_corners=True)


@pytest.mark.parametrize("curvature", [hessian, gauss_newton])
def test_kinks_everywhere_are_no_rounding(curvature):
    network = Identity()
    images = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(5))
    task = Task(network, F.mse_loss, (images, torch.zeros(3, 1, 4, 4)))
    found = curvature(task, ParameterSpace(network))
    assert "one side" in found.remark
    assert float((found @ torch.ones(6)).norm()) > 1


class Shifted(nn.Module):
    def __init__(self, function, scale):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.function = nn.Linear(3, 2), function
        with torch.no_grad():
            for weight in self.inner.parameters():
                weight.mul_(scale)

    def forward(self, x):
        inside = self.inner(x)
        return inside + 1 + self.function(inside)


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e-7, 1e-5, 1e-3])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_tiny_weights_are_measured_as_weights_of_0_are(scale, dtype):
    """They are no reason to call the curvature 0, nor to take a wrong one for rounding."""
    x, y = torch.randn(8, 3, dtype=dtype), 2 * torch.ones(8, 2, dtype=dtype)
    right = Shifted(torch.square, scale).to(dtype)  # L = mean (w.x + (w.x)^2 - 1)^2
    task, space = Task(right, F.mse_loss, (x, y)), ParameterSpace(right)
    z = right.inner(x).detach()
    ones = torch.cat([x, torch.ones(8, 1, dtype=dtype)], 1)
    for build, bend in (
        (hessian, (1 + 2 * z) ** 2 + 2 * (z + z**2 - 1)),
        (gauss_newton, (1 + 2 * z) ** 2),
    ):
        blocks = torch.einsum("bi,bk,bl->ikl", bend, ones, ones) / 8
        found = build(task, space).to_dense()
        torch.testing.assert_close(found[:3, :3], blocks[0, :3, :3], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(found[6:, 6:].diagonal(), blocks[:, 3, 3], rtol=1e-4, atol=1e-6)
    wrong = Shifted(lambda inside: inside * inside.detach(), scale).to(dtype)
    with pytest.raises(ArgumentError, match="have the (second derivatives|gradient) of its loss"):
        hessian(Task(wrong, F.mse_loss, (x, y)), ParameterSpace(wrong), method="double-backward")
