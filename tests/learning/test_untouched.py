"""An evaluation changes nothing of the user's, and a planted change is seen."""

import copy
import random as python_random
from collections import deque
from contextlib import suppress

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune, spectral_norm

from qdescent._checks import ArgumentError
from qdescent.learning.curvature.finite_differences import finite_difference_hessian
from qdescent.learning.curvature.hessian import gauss_newton, hessian
from qdescent.learning.gradient_map import gradient_map
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.untouched import untouched, weights_of
from qdescent.solvers.series import series_descent
from qdescent.training.callback import SpectrumCallback

IDS, Y = torch.arange(12).reshape(6, 2) % 5, torch.arange(6) % 2
X = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class Keeping(nn.Module):
    """Counts its calls, keeps what it saw, moves a buffer and an unregistered tensor, and draws
    numbers that it does not use.
    """

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2).double()
        self.register_buffer("seen", torch.zeros(3, dtype=torch.float64))
        self.calls, self.last, self.log, self.table, self.kinds = 0, None, [], {}, set()
        self.level = torch.zeros(3, dtype=torch.float64)

    def forward(self, x):
        self.calls += 1
        self.seen.mul_(0.9).add_(x.detach().mean(0))
        self.level += 1
        self.last = self.layer(x)
        self.log.append(self.last)
        self.table[self.calls] = self.last
        self.kinds.add(self.calls)
        torch.rand(1), np.random.rand(), python_random.random()
        return self.last


class Seeding(nn.Module):
    """Seeds the global generator in every call, and so draws the same noise each time."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2).double()

    def forward(self, x):
        torch.manual_seed(0)
        return self.layer(x + torch.randn(x.shape, dtype=x.dtype))


def embedded(**settings):
    return nn.Sequential(
        nn.Embedding(5, 3, **settings), nn.Flatten(), nn.Tanh(), nn.Linear(6, 2)
    ).double()


def bags():
    return nn.Sequential(nn.EmbeddingBag(5, 3, max_norm=0.7), nn.Tanh(), nn.Linear(3, 2)).double()


def normed():
    """The norm by hooks that came before parametrizations, in training mode: each call is a step of
    a power iteration.
    """
    net = nn.Sequential(spectral_norm(nn.Linear(3, 4)), nn.Tanh(), nn.Linear(4, 2))
    return net.double().eval()  # `Task` refuses a power iteration that goes on


def statistics():
    """BatchNorm by hand with running statistics in training, as `Task` refuses the layer itself."""

    class Statistics(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2).double()
            self.register_buffer("mean", torch.zeros(2, dtype=torch.float64))
            self.register_buffer("var", torch.ones(2, dtype=torch.float64))

        def forward(self, x):
            return F.batch_norm(self.layer(x), self.mean, self.var, training=True)

    return Statistics()


def pruned():
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    return prune.l1_unstructured(network[0], "weight", amount=3) and network


NETWORKS = {
    "keeping": (Keeping, X),
    "seeding": (Seeding, X),
    "max_norm": (lambda: embedded(max_norm=0.7), IDS),
    "max_norm of bags": (bags, IDS),
    "spectral_norm by hooks": (normed, X),
    "running statistics": (statistics, X),
    "pruned": (pruned, X),
    "frozen": (
        lambda: nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2).requires_grad_(False)).double(),
        X,
    ),
}


def everything(network):
    """All that belongs to a user, copied: tensors, attributes, hooks, modes, flags, gradients,
    generators.
    """

    def held(value):
        if isinstance(value, torch.Tensor):
            return value, value.detach().clone(), value.requires_grad, value._version
        if isinstance(value, (list, set, deque)):
            return [held(part) for part in value]
        return (
            {key: held(part) for key, part in value.items()} if isinstance(value, dict) else value
        )

    kept = [
        {key: held(value) for key, value in vars(module).items()} for module in network.modules()
    ]
    gradients = [None if w.grad is None else (w.grad, w.grad.clone()) for w in network.parameters()]
    return kept, gradients, torch.get_rng_state(), np.random.get_state(), python_random.getstate()


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a is b or (a.shape == b.shape and torch.equal(a, b))
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return a is b or a == b


def evaluate(network, inputs):
    """Every way in which the package calls a network; some of these networks have no second or no
    forward derivatives.
    """
    task, space = Task(network, F.cross_entropy, (inputs, Y)), ParameterSpace(network)
    v = torch.ones(space.n, dtype=torch.float64)
    task.loss_and_gradient(space, space.theta)
    task.outputs_at(space, space.theta, inputs)
    finite_difference_hessian(
        lambda theta: task.loss_and_gradient(space, theta)[1], space.theta
    ) @ v
    callback = SpectrumCallback(
        F.cross_entropy, (inputs, Y), at=1, learning_rate=0.1, steps=2, probes=1
    )
    for derive in (
        lambda: hessian(task, space) @ v,
        lambda: hessian(task, space, method="double-backward") @ v,
        lambda: gauss_newton(task, space) @ v,
        lambda: series_descent(task, space, order=1, steps=1, learning_rate=0.1),
        lambda: gradient_map(task, space.restrict(space.theta, torch.arange(3)), 0.1, 1),
        lambda: callback(0, network),
    ):
        with suppress(ArgumentError, NotImplementedError, RuntimeError):
            derive()


@pytest.mark.parametrize("name", NETWORKS)
def test_an_evaluation_leaves_no_trace(name):
    build, inputs = NETWORKS[name]
    torch.manual_seed(3)
    network = build()
    # gradients, caches and statistics that must stay
    F.cross_entropy(network(inputs), Y).backward()
    network.register_forward_hook(lambda module, given, result: None)
    before = everything(network)
    evaluate(network, inputs)
    assert same(before, everything(network))
    network(inputs)  # planted: a plain call is seen
    torch.rand(1)
    assert not same(before, everything(network))


def test_a_training_goes_on_as_without():
    ends = []
    for measured in (False, True):
        torch.manual_seed(0)
        network = nn.Sequential(Keeping(), nn.Dropout(0.2)).eval()
        optimizer = torch.optim.Adam(network.parameters(), 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(network(X), Y).backward()
            optimizer.step()
            if measured:
                evaluate(network, X)
        ends.append(
            [*network.state_dict().values(), torch.tensor(network[0].calls), torch.get_rng_state()]
        )
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


@pytest.mark.parametrize("tied", [False, True])
def test_embeddings_with_max_norm_are_measured_where_the_next_call_would_be(tied, dense):
    torch.manual_seed(3)
    network = embedded(max_norm=0.7)
    if tied:
        network.append(nn.Linear(2, 3).double()).append(nn.Linear(3, 5, bias=False).double())
        network[-1].weight = network[0].weight
    twin = copy.deepcopy(network)
    with torch.no_grad():
        twin(torch.arange(10).reshape(5, 2) % 5)  # every row is used once, and so renormalised
    assert not torch.equal(twin[0].weight, network[0].weight)
    twin[0].max_norm = None
    expected = dense(
        lambda p: F.cross_entropy(torch.func.functional_call(twin, p, (IDS,)), Y),
        dict(twin.named_parameters()),
    )
    task, space = Task(network, F.cross_entropy, (IDS, Y)), ParameterSpace(network)
    for method in ("auto", "double-backward"):
        torch.testing.assert_close(
            hessian(task, space, method=method).to_dense(), expected[1], rtol=0, atol=1e-13
        )
    torch.testing.assert_close(
        task.loss_and_gradient(space, space.theta)[1], expected[0], rtol=0, atol=1e-14
    )
    assert torch.equal(torch.cat([w.flatten() for w in weights_of(network).values()]), space.theta)
    # a step is from within
    result = series_descent(task, space, order=1, steps=1, learning_rate=0.1, method="jvp").value
    torch.testing.assert_close(result, -0.1 * expected[0], rtol=0, atol=1e-14)


def test_a_network_that_clamps_its_own_weights_is_refused_and_not_changed():
    class Clamping(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.full((2, 3), 2.0, dtype=torch.float64))

        def forward(self, x):
            self.weight.data.clamp_(-1, 1)
            return x @ self.weight.T

    class Renormalising(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.full((5, 2), 2.0, dtype=torch.float64))

        def forward(self, x):
            return F.embedding(x, self.table, max_norm=1.0).sum(1)

    for network, inputs, name in ((Clamping(), X, "weight"), (Renormalising(), IDS, "table")):
        with pytest.raises(
            ArgumentError,
            match=f"`network` must leave its weights as they are .*, but is changing '{name}'",
        ):
            Task(network, F.cross_entropy, (inputs, Y))
        assert bool((next(network.parameters()) == 2.0).all())


def test_what_is_random_is_still_refused_where_generators_are_put_back():
    class Noisy(nn.Module):
        def __init__(self, draw):
            super().__init__()
            self.layer, self.draw = nn.Linear(3, 2).double(), draw

        def forward(self, x):
            return self.layer(x) * self.draw()

    for draw in (lambda: torch.rand(()).double(), np.random.rand, python_random.random):
        before = everything(network := Noisy(draw))
        with pytest.raises(ArgumentError, match="`loss` must be deterministic"):
            Task(network, F.cross_entropy, (X, Y))
        assert same(before, everything(network))


def test_under_no_grad_and_after_an_error():
    network = Keeping()
    with torch.no_grad():
        task, space = Task(network, F.cross_entropy, (X, Y)), ParameterSpace(network)
        assert float((hessian(task, space) @ torch.ones(space.n, dtype=torch.float64)).norm()) > 0
    before = everything(network)
    with suppress(ZeroDivisionError), untouched(network):
        network(X)
        raise ZeroDivisionError
    assert same(before, everything(network))
