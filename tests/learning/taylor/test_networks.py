"""Whole networks of the kinds that people have, against nested forward derivatives, and what
happens where one cannot be recorded.
"""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from qdescent._checks import ArgumentError
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.taylor.gradient_series import gradient_series, series_of
from qdescent.solvers.series import series_descent

MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
TOKENS = torch.tensor([[3, 1, 4, 1], [5, 2, 0, 0]])


class Encoder(nn.Module):
    """Tied embeddings, learned positions, attention that leaves out the padding."""

    def __init__(self):
        super().__init__()
        self.table, self.positions = nn.Embedding(6, 4, padding_idx=0), nn.Embedding(4, 4)
        self.layer = nn.TransformerEncoderLayer(4, 2, 6, 0.0, "gelu", batch_first=True)
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.table.weight

    def forward(self, input_ids, attention_mask=None):
        x = self.table(input_ids) + self.positions(torch.arange(4))
        x = self.layer(x, src_key_padding_mask=attention_mask == 0)
        return self.head(x).transpose(1, 2)


class Recurrent(nn.Module):
    """A two-way LSTM, then a GRU."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(6, 3)
        self.first = nn.LSTM(3, 2, batch_first=True, bidirectional=True)
        self.then, self.head = nn.GRU(4, 3, batch_first=True), nn.Linear(3, 6)

    def forward(self, input_ids, attention_mask):
        x = self.first(self.table(input_ids))[0] * attention_mask[..., None]
        return self.head(self.then(x)[0]).transpose(1, 2)


class UNet(nn.Module):
    """Down by a stride, up by a transposed convolution, joined with what was there before."""

    def __init__(self):
        super().__init__()
        self.a, self.norm = nn.Conv2d(1, 2, 3, padding=1), nn.InstanceNorm2d(2, affine=True)
        self.down, self.up = nn.Conv2d(2, 4, 3, 2, 1), nn.ConvTranspose2d(4, 2, 2, 2)
        self.head = nn.Conv2d(4, 3, 1)

    def forward(self, x):
        a = nn.functional.gelu(self.norm(self.a(x)))
        return self.head(torch.cat([a, self.up(nn.functional.silu(self.down(a)))], 1))


TEXT = ({"input_ids": TOKENS, "attention_mask": MASK}, TOKENS)
NETWORKS = {
    "encoder": (Encoder, TEXT),
    "recurrent": (Recurrent, TEXT),
    "U-Net": (UNet, (torch.linspace(-1, 1, 32).reshape(2, 1, 4, 4).double(),
                     (torch.arange(32) % 3).reshape(2, 4, 4))),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_people_have(name):
    torch.manual_seed(0)
    make, data = NETWORKS[name]
    network = make().double().eval()
    task, space = Task(network, cross_entropy, data), ParameterSpace(network)
    curve = [0.1 * torch.randn(space.n).double() for _ in range(3)]
    fast, slow = (
        torch.stack(gradient_series(task, space, space.theta, curve, method))
        for method in ("taylor", "jvp")
    )
    assert float((fast - slow).norm() / slow.norm()) < 1e-12
    gradient = task.loss_and_gradient(space, space.theta)[1]
    found = series_of(task, space, space.theta, 1)
    torch.testing.assert_close(found.gradient, gradient, rtol=1e-11, atol=1e-13)
    assert found.how == "Taylor rules"


class Square(torch.autograd.Function):
    """x^2, whose forward derivative nothing can be differentiated through."""

    @staticmethod
    def forward(x):
        return x**2

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, y):
        return 2 * ctx.saved_tensors[0] * y

    @staticmethod
    def jvp(ctx, v):
        return 2 * ctx.saved_tensors[0].detach() * v


class Cube(Square):
    """x^3, whose first forward derivative is right and can be differentiated once."""

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def backward(ctx, y):
        return 3 * ctx.saved_tensors[0] ** 2 * y

    @staticmethod
    def jvp(ctx, v):
        return 3 * Square.apply(ctx.saved_tensors[0]) * v


def test_wrong_nested_derivatives_are_seen():
    def wrong(y):
        return Cube.apply(y) if isinstance(y, torch.Tensor) else asks_for_a_tensor(y)

    task, space = task_with(wrong)
    series_descent(task, space, order=1, steps=2, learning_rate=0.01)
    with pytest.raises(ArgumentError, match="nested derivatives that PyTorch has right, .* second"):
        series_descent(task, space, order=2, steps=2, learning_rate=0.01)


class Then(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.linear, self.function = nn.Linear(3, 3), function

    def forward(self, x):
        return self.function(self.linear(x))


def written_into_zeros(y):
    found = torch.zeros(4, 3, dtype=torch.float64)
    found[:] = y
    return found.tanh()


def asks_for_a_tensor(y):
    if not isinstance(y, torch.Tensor):
        raise TypeError("no tensor")
    return y.tanh()


def task_with(function):
    torch.manual_seed(0)
    network = Then(function).double()
    task = Task(network, mse_loss, (torch.randn(4, 3).double(), torch.randn(4, 3).double()))
    return task, ParameterSpace(network)


@pytest.mark.parametrize("function", [written_into_zeros, asks_for_a_tensor])
def test_what_cannot_be_recorded_goes_by_nested_derivatives_at_their_price(function):
    task, space = task_with(function)
    found = series_descent(task, space, order=2, steps=3, learning_rate=0.1)
    assert "some 12 gradients a step (no Taylor rules: " in found.how
    plain, same = task_with(torch.tanh)
    torch.testing.assert_close(
        found.terms, series_descent(plain, same, order=2, steps=3, learning_rate=0.1).terms
    )
    with pytest.raises((ArgumentError, TypeError)):
        series_descent(task, space, order=2, steps=3, learning_rate=0.1, method="taylor")


def test_what_goes_no_way_says_what_stopped_the_first():
    task, space = task_with(torch.relu)
    with pytest.raises(ArgumentError, match=r"using 'relu' \(use GELU, SiLU, tanh instead\)"):
        series_descent(task, space, order=2, steps=3, learning_rate=0.1)
    task, space = task_with(lambda y: torch.nn.functional.grid_sample(
        torch.eye(4).double()[None, None], y.reshape(1, 6, 1, 2)).expand(1, 2, 6, 1).reshape(4, 3)
    )  # fmt: skip
    with pytest.raises(ArgumentError, match="using 'grid_sampler': Trying to use forward AD"):
        series_descent(task, space, order=2, steps=3, learning_rate=0.1)


def test_a_cast_inside_the_network_is_allowed_its_rounding():
    """A loss in single precision, as Hugging Face has it, in a network in double precision."""
    task, space = task_with(lambda y: y.float().log_softmax(1).double())
    found = series_of(task, space, space.theta, 2)
    assert found.rounding == torch.finfo(torch.float32).eps
    series_descent(task, space, order=2, steps=2, learning_rate=0.1)
