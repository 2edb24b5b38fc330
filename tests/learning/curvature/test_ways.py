"""Which way a product with the Hessian takes: Taylor series or double backward."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

import qdescent.learning.curvature.few_samples as few_samples
import qdescent.learning.curvature.products as curvature
import qdescent.learning.taylor.tape as tape
from qdescent._checks import ArgumentError
from qdescent.learning.curvature.hessian import gauss_newton, hessian
from qdescent.learning.curvature.products import METHODS
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task

DOUBLE = partial(hessian, method="double-backward")


class OnceSquare(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slope):
        return 2 * slope * ctx.saved_tensors[0]


class Through(nn.Module):
    """A linear layer and a function of its outputs."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(1)
        self.layer, self.function = nn.Linear(2, 1).double(), function

    def forward(self, x):
        return self.function(self.layer(x))


def task_of(function):
    network, x = Through(function), torch.tensor([[1.0, 2.0], [-1.0, 0.5], [3.0, 1.0]]).double()
    task = Task(network, mse_loss, (x, torch.zeros(3, 1).double()))
    return task, ParameterSpace(network)


@pytest.mark.parametrize("build", [DOUBLE, gauss_newton], ids=["hessian", "gauss-newton"])
def test_a_once_differentiable_function_is_refused_rather_than_missed(build):
    with pytest.raises(
        ArgumentError,
        match="must be twice differentiable, but is made of a function marked once_differentiable",
    ):
        build(*task_of(OnceSquare.apply))


def half_hidden(x):
    """x^2, to autograd half of it a constant: no series can know."""
    with torch.no_grad():
        constant = x * x
    return 0.5 * constant + 0.5 * x * x


def test_what_autograd_holds_constant_is_left_to_autograd():
    task, space = task_of(half_hidden)
    exact = DOUBLE(task, space, check=False).to_dense()
    assert torch.equal(hessian(task, space, check=False).to_dense(), exact)
    assert not torch.allclose(
        hessian(task, space, method="taylor", check=False).to_dense(), exact, rtol=0.1
    )
    # a constant that moves is no constant
    with pytest.raises(ArgumentError, match="`network` must have the gradient of its loss"):
        hessian(task, space)


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.head = nn.GRU(2, 3, batch_first=True), nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.cells(x)[0][:, -1])


def small_images(channels):
    return nn.Sequential(nn.Conv2d(1, channels, 3), nn.Tanh(), nn.Flatten(), nn.LazyLinear(2))


@pytest.mark.parametrize(
    ("network", "shape", "way"),
    [
        (small_images(16), (64, 1, 14, 14), "taylor"),
        (small_images(16), (1, 1, 14, 14), "double-backward"),  # few numbers an operation
        (Cells(), (5, 24, 2), "double-backward"),
        (nn.Linear(40, 2), (9000, 40), "double-backward"),  # many, but no convolution
    ],
)
def test_the_way_is_chosen_by_counts(network, shape, way):
    """Not by the clock: the numbers are those of that way, to the bit."""
    torch.manual_seed(0)
    data = torch.randn(shape), torch.zeros(shape[0], 2)
    network(data[0])
    task = Task(network, mse_loss, data)
    space = ParameterSpace(network)
    v = torch.linspace(-1, 1, space.n)
    found = hessian(task, space, check=False) @ v
    ways = {each: hessian(task, space, method=each, check=False) @ v for each in METHODS}
    torch.testing.assert_close(*ways.values(), rtol=1e-3, atol=1e-5)
    assert torch.equal(found, ways[way])
    assert not torch.equal(*ways.values())


def test_the_few_samples_of_a_check_count_as_the_whole_batch(monkeypatch):
    """4 of 64 samples make few numbers each, and choose what is better for 64."""
    monkeypatch.setattr(few_samples, "LARGE", 1.0)
    network = small_images(16)
    data = torch.randn(64, 1, 14, 14), torch.zeros(64, 2)
    network(data[0])
    task, space = Task(network, mse_loss, data), ParameterSpace(network)
    v = torch.linspace(-1, 1, space.n)
    by_series = hessian(task, space, method="taylor", check=False) @ v
    assert torch.equal(hessian(task, space) @ v, by_series)


def test_what_autograd_differentiates_once_goes_by_series():
    """Also where double backward would be the faster way."""
    exact = hessian(*task_of(torch.square), method="double-backward").to_dense()
    found = hessian(*task_of(OnceSquare.apply)).to_dense()
    torch.testing.assert_close(found, exact, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("build", [hessian, gauss_newton])
def test_products_are_made_under_no_grad(build):
    task, space = task_of(torch.relu)
    before = build(task, space).to_dense()
    with torch.no_grad():
        assert torch.equal(build(task, space).to_dense(), before)


def recorded(monkeypatch, work):
    """How many series were made, and how many graphs of a gradient, while `work` ran."""
    made = {"GradientSeries": 0, "double_backward_product": 0}
    for name in made:
        whole = getattr(curvature, name)

        def counting(*args, name=name, whole=whole):
            made[name] += 1
            return whole(*args)

        monkeypatch.setattr(curvature, name, counting)
    work()
    return tuple(made.values())


def test_which_networks_go_by_taylor_series(monkeypatch):
    monkeypatch.setattr(tape, "NUMBERS", 1.0)  # as if the images were large
    network = small_images(2).double()
    inputs, labels = torch.randn(6, 1, 4, 4).double(), torch.tensor([0, 1, 0, 1, 1, 0])
    network(inputs)
    task, space = Task(network, cross_entropy, (inputs, labels)), ParameterSpace(network)
    assert recorded(monkeypatch, lambda: hessian(task, space, check=False)) == (1, 0)
    several, v = [task, task], torch.ones(space.n).double()
    assert recorded(monkeypatch, lambda: hessian(several, space, check=False) @ v) == (2, 0)
    network[1] = nn.ReLU()
    assert recorded(monkeypatch, lambda: hessian(task, space, check=False)) == (1, 1)
    # one attempt for all batches
    assert recorded(monkeypatch, lambda: hessian(several, space, check=False) @ v) == (1, 2)
    with pytest.raises(ArgumentError, match="'relu'"):
        hessian(task, space, method="taylor")
    with pytest.raises(
        ArgumentError, match=r"Argument `precision` must be that of theta \(torch.float64\)"
    ):
        hessian(task, space, precision=torch.float32, method="taylor")
    with pytest.raises(
        ArgumentError, match="Argument `method` must be one of 'auto', 'taylor', 'double-backward'"
    ):
        hessian(task, space, method="pearlmutter")
