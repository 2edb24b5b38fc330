"""The gradient's series of whole networks against nested derivatives of the loss."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, jvp

from qdescent._checks import ArgumentError
from qdescent.learning.curvature.hessian import hessian
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.task import Task
from qdescent.learning.taylor.gradient_series import (
    GradientSeries,
    gradient_series,
    weights_replaced,
)
from qdescent.learning.taylor.jet import Jet
from qdescent.learning.taylor.tape import Node, Tape


def random(seed, *shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Residual(nn.Module):
    """x + W_2 silu(W_1 norm(x)), the norm by hand, then softplus and a mean over places."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
        self.inner, self.outer, self.head = nn.Linear(4, 3), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        gap = x - x.mean(-1, keepdim=True)
        norm = gap / torch.sqrt(gap.square().mean(-1, keepdim=True) + 1e-5)
        x = x + self.outer(F.silu(self.inner(norm * self.scale)))
        return self.head(F.softplus(x))


class Attention(nn.Module):
    """One head of softmax attention by matrix products, with a residual and a mean over places."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(3, 2, bias=False) for _ in range(3))
        self.out = nn.Linear(2, 3)

    def forward(self, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        weights = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(2), dim=-1)
        return (x + self.out(weights @ v)).mean(1)


LABELS = torch.tensor([0, 1, 2, 1])
NETWORKS = {
    "linear": (lambda: nn.Linear(3, 2), (4, 3), F.mse_loss),
    "gelu": (lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 3)), (4, 3),
             F.cross_entropy),
    "tanh gelu": (lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU("tanh"), nn.Linear(4, 2)), (4, 3),
                  F.mse_loss),
    "tanh": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3), nn.Sigmoid()),
             (4, 3), nn.CrossEntropyLoss()),
    "silu": (lambda: nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, 2), nn.Softplus()),
             (4, 3), nn.MSELoss()),
    "conv": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3, 2, 1), nn.GELU(), nn.AvgPool2d(2), nn.Flatten(),
                              nn.Linear(2, 3)),
        (4, 1, 4, 4), F.cross_entropy,
    ),
    "residual": (Residual, (4, 4), F.mse_loss),
    "attention": (Attention, (4, 3, 3), F.cross_entropy),
}  # fmt: skip


def build(name):
    make, shape, loss = NETWORKS[name]
    network = make().double()
    with torch.no_grad():
        for i, w in enumerate(network.parameters()):
            w.copy_(0.7 * random(50 + i, *w.shape))
    outputs = network(random(1, *shape))
    targets = (
        LABELS
        if loss in (F.cross_entropy,) or isinstance(loss, nn.CrossEntropyLoss)
        else random(2, *outputs.shape)
    )
    return Task(network, loss, (random(1, *shape), targets))


def nested(task, space, theta, terms):
    """g_1 ... g_N by differentiating eps -> grad L(theta + sum_k eps^k u_k), native operations
    only.

    (The native mean squared error has no forward derivative of its backward pass: it is written
    out.)
    """
    squared = task.loss is F.mse_loss or isinstance(task.loss, nn.MSELoss)
    loss = (lambda o, t: (o - t).square().mean()) if squared else task.loss

    def along(eps):
        u = theta + sum(term * eps**k for k, term in enumerate(terms, 1))
        return torch.func.grad(
            lambda t: loss(
                functional_call(task.network, space.unpack(t), (task.data[0],)), task.data[1]
            )
        )(u)

    zero, found = torch.zeros((), dtype=torch.float64), []
    for k in range(1, len(terms) + 1):
        along = (lambda f: lambda eps: jvp(f, (eps,), (torch.ones_like(eps),))[1])(along)
        found.append(along(zero) / math.factorial(k))
    return found


def assert_same(ours, truth, tolerance=1e-12):
    assert len(ours) == len(truth)
    scale = max(float(g.norm()) for g in truth)
    for a, b in zip(ours, truth, strict=True):
        assert float((a - b).norm()) < tolerance * scale


@pytest.mark.parametrize("density", [1.0, 0.5])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_series_of_whole_networks(name, density):
    task = build(name)
    space = ParameterSpace(task.network, MASKS["random"](task.network, density=density))
    terms = [random(10 + k, space.n) for k in range(3)]
    ours, truth = (
        gradient_series(task, space, space.theta, terms),
        nested(task, space, space.theta, terms),
    )
    assert_same(ours, truth)
    assert_same(ours[:1], [hessian(task, space) @ terms[0]])
    with pytest.raises(AssertionError):  # dL_N/du_j taken for g_j instead of g_{N-j}
        assert_same(ours[::-1], truth)
    if name != "linear":
        with pytest.raises(AssertionError):  # without the 1/k!
            assert_same(ours, [g * math.factorial(k) for k, g in enumerate(truth, 1)])


def test_order_five_away_from_the_network_s_own_weights(seventeen):
    space = ParameterSpace(seventeen.task.network)
    theta, terms = space.theta + 0.3, [random(20 + k, 17) for k in range(5)]
    assert_same(
        gradient_series(seventeen.task, space, theta, terms),
        nested(seventeen.task, space, theta, terms),
    )


def test_a_restricted_space(seventeen):
    full = ParameterSpace(seventeen.task.network)
    space = full.restrict(full.theta, torch.tensor([0, 5, 9]))
    terms = [random(30 + k, 3) for k in range(3)]
    assert_same(
        gradient_series(seventeen.task, space, space.theta, terms),
        nested(seventeen.task, space, space.theta, terms),
    )


@pytest.mark.parametrize("known", [{0}, {0, 1}, {0, 2}, {1}, {2}])
@pytest.mark.parametrize("name", ["gelu", "attention", "residual"])
def test_terms_that_are_zero_are_left_out_of_the_products_alone(name, known):
    """Trailing ones, as along a line; and those between others, which are not."""
    task = build(name)
    space = ParameterSpace(task.network)
    terms = [(k in known) * random(40 + k, space.n) for k in range(3)]
    ours = gradient_series(task, space, space.theta, terms)
    assert_same(ours, nested(task, space, space.theta, terms))
    again = [random(50 + k, space.n) for k in range(3)]  # and the next curve has all of its own
    series = GradientSeries(task, space, space.theta, 3)
    series(terms)
    assert_same(list(series(again)), nested(task, space, space.theta, again))


def test_zero_terms_give_zero(seventeen):
    space = ParameterSpace(seventeen.task.network)
    for g in gradient_series(seventeen.task, space, space.theta, [torch.zeros(17).double()] * 3):
        assert float(g.abs().max()) == 0.0


def test_single_precision(small_conv):
    space = ParameterSpace(small_conv.task.network)
    terms = [random(k, space.n) for k in range(3)]
    truth = gradient_series(small_conv.task, space, space.theta, terms)
    network = small_conv.task.network.float()
    task = Task(
        network, F.cross_entropy, (small_conv.task.data[0].float(), small_conv.task.data[1])
    )
    space = ParameterSpace(network)
    ours = gradient_series(task, space, space.theta, [t.float() for t in terms])
    assert ours[0].dtype == torch.float32
    assert_same([g.double() for g in ours], truth, 1e-5)


class FailsLate(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.linear, self.kind = nn.Linear(2, 2), kind

    def forward(self, x):
        y = self.linear(x)
        if isinstance(y, Jet) and self.kind == "error":
            raise RuntimeError("in the middle")
        return torch.relu(y) if self.kind == "relu" else y


@pytest.mark.parametrize(
    ("kind", "error", "text"),
    [("relu", ArgumentError, "Taylor rule .* using 'relu'"), ("error", RuntimeError, "middle")],
)
def test_the_network_gets_its_own_weights_back(kind, error, text):
    network = nn.Sequential(FailsLate(kind), nn.Linear(2, 2)).double()
    before = dict(network.named_parameters())
    values = [w.detach().clone() for w in before.values()]
    task = Task(network, F.mse_loss, (random(0, 3, 2), random(1, 3, 2)))
    space = ParameterSpace(network)
    with pytest.raises(error, match=text):
        gradient_series(task, space, space.theta, [random(2, space.n)], "taylor")
    after = dict(network.named_parameters())
    assert list(after) == list(before)
    assert all(
        after[name] is before[name] and isinstance(after[name], nn.Parameter) for name in before
    )
    assert all(torch.equal(w, v) for w, v in zip(after.values(), values, strict=True))
    assert all(w.grad is None for w in after.values())


def test_jets_are_in_place_only_inside_the_block(seventeen):
    network = seventeen.task.network
    own = network[0].weight
    with weights_replaced(network, {"0.weight": Jet(Tape(1), Node(own))}):
        assert isinstance(network[0].weight, Jet)
    assert network[0].weight is own


def test_errors(seventeen):
    space = ParameterSpace(seventeen.task.network)
    with pytest.raises(
        ArgumentError,
        match="Argument `number of terms` must be an integer of at least 1, but is 0.",
    ):
        gradient_series(seventeen.task, space, space.theta, [])
    with pytest.raises(ArgumentError, match=r"must have shape \(17,\), but is of shape \(3,\)"):
        gradient_series(seventeen.task, space, space.theta, [torch.ones(3).double()])
