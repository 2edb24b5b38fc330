"""A loss that uses the weights itself: its part is there, by whatever way it meets them."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, mse_loss

from qdescent._checks import ArgumentError
from qdescent.learning.curvature.hessian import gauss_newton, hessian
from qdescent.learning.gradient_map import gradient_map
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.solvers.series import series_descent

F64 = torch.float64
X, Y = (
    torch.randn(5, 3, dtype=F64, generator=torch.Generator().manual_seed(1)),
    torch.tensor([0, 1, 1, 0, 1]),
)


def network(activation=nn.Tanh):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), activation(), nn.Linear(4, 2)).double()


def penalties(net):
    """Half the sum of squares, reached in several ways."""
    kept = list(net.parameters())
    return {
        "parameters()": lambda: sum(p.pow(2).sum() for p in net.parameters()),
        "attributes": lambda: sum(
            m.weight.square().sum() + m.bias.square().sum() for m in (net[0], net[2])
        ),
        "a list made before": lambda: sum((p**2).sum() for p in kept),
        "one vector": lambda: nn.utils.parameters_to_vector(kept).square().sum(),
        "norms": lambda: sum(torch.linalg.vector_norm(p) ** 2 for p in kept),
    }


def truth(dense, net, outer=1.0):
    """The dense twin of cross-entropy + half the sum of squares."""
    return dense(
        lambda p: (
            cross_entropy(functional_call(net, p, (X,)), Y)
            + outer * 0.5 * sum(w.square().sum() for w in p.values())
        ),
        dict(net.named_parameters()),
    )


@pytest.mark.parametrize("way", list(penalties(network())))
@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_a_penalty_is_part_of_every_product(dense, way, activation):
    net = network(activation)
    penalty = penalties(net)[way]
    task, space = (
        Task(net, lambda out, y: cross_entropy(out, y) + 0.5 * penalty(), (X, Y)),
        ParameterSpace(net),
    )
    gradient, H = truth(dense, net)
    eye = torch.eye(space.n, dtype=F64)
    torch.testing.assert_close(
        task.loss_and_gradient(space, space.theta)[1], gradient, rtol=1e-12, atol=1e-14
    )
    for method in ("auto", "double-backward"):
        torch.testing.assert_close(
            hessian(task, space, method=method) @ eye, H, rtol=1e-11, atol=1e-13
        )
    with pytest.raises(AssertionError):  # what it was without a word
        torch.testing.assert_close(
            hessian(task, space) @ eye, truth(dense, net, outer=0.0)[1], rtol=1e-3, atol=1e-3
        )
    plain = gauss_newton(Task(net, cross_entropy, (X, Y)), space) @ eye
    torch.testing.assert_close(gauss_newton(task, space) @ eye, plain + eye, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("way", ["parameters()", "a list made before"])
def test_a_penalty_is_part_of_every_descent(dense, way):
    net = network()
    penalty = penalties(net)[way]
    task, space = (
        Task(net, lambda out, y: cross_entropy(out, y) + 0.5 * penalty(), (X, Y)),
        ParameterSpace(net),
    )
    _, H = truth(dense, net)
    f = gradient_map(task, space, learning_rate=0.1, degree=1)
    torch.testing.assert_close(
        f.coefficients[1], torch.eye(space.n, dtype=F64) - 0.1 * H, rtol=1e-11, atol=1e-13
    )
    bare = Task(net, cross_entropy, (X, Y))
    for method in ("taylor", "jvp"):
        ours = series_descent(task, space, 2, 3, 0.1, method=method).value
        # the same by another door
        decayed = series_descent(bare, space, 2, 3, 0.1, weight_decay=1.0).value
        torch.testing.assert_close(ours, decayed, rtol=1e-10, atol=1e-13)


def test_a_network_that_holds_a_weight_outside_its_modules(dense):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(3, 3)
            self.again = [self.inner.weight]  # a plain list: no parameter table knows it

        def forward(self, x):
            return torch.tanh(self.inner(x)) @ self.again[0]

    torch.manual_seed(0)
    net, y = Tied().double(), torch.zeros(5, 3, dtype=F64)

    def loss(p):
        inner = torch.tanh(X @ p["inner.weight"].T + p["inner.bias"])
        return mse_loss(inner @ p["inner.weight"], y)

    space = ParameterSpace(net)
    H = hessian(Task(net, mse_loss, (X, y)), space) @ torch.eye(space.n, dtype=F64)
    torch.testing.assert_close(
        H, dense(loss, dict(net.named_parameters()))[1], rtol=1e-11, atol=1e-13
    )


def test_results_made_before_are_refused_and_strangers_are_none_of_ours(dense):
    net = network()
    made = net[0].weight.square().sum()
    with pytest.raises(
        ArgumentError,
        match=r"Argument `loss` must use the network's weights as they are, .* 0\.weight",
    ):
        Task(net, lambda out, y: cross_entropy(out, y) + made, (X, Y))
    other = nn.Linear(2, 2).double()  # a loss with weights of its own
    task, space = (
        Task(net, lambda out, y: cross_entropy(other(out), y), (X, Y)),
        ParameterSpace(net),
    )
    assert not task.held
    _, H = dense(
        lambda p: cross_entropy(other(functional_call(net, p, (X,))), Y),
        dict(net.named_parameters()),
    )
    torch.testing.assert_close(
        hessian(task, space) @ torch.eye(space.n, dtype=F64), H, rtol=1e-11, atol=1e-13
    )


class Residual(nn.Module):
    """u'' + u of a small network in its input: a loss of derivatives."""

    def __init__(self):
        super().__init__()
        self.field = nn.Sequential(nn.Linear(1, 5), nn.Tanh(), nn.Linear(5, 1))

    def forward(self, x):
        x = x.detach().requires_grad_()
        u = self.field(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        return bend + u


def test_derivatives_inside_the_network(dense):
    torch.manual_seed(0)
    net, x = Residual().double(), torch.linspace(0, 1, 7, dtype=F64)[:, None]
    y = torch.zeros_like(x)
    _, H = dense(lambda p: mse_loss(functional_call(net, p, (x,)), y), dict(net.named_parameters()))
    task, space = Task(net, mse_loss, (x, y)), ParameterSpace(net)
    torch.testing.assert_close(
        hessian(task, space) @ torch.eye(space.n, dtype=F64), H, rtol=1e-11, atol=1e-12
    )
    with torch.no_grad():  # as in a loop that only looks
        assert not task.loss_at(space, space.theta).requires_grad


COMPILED = partial(torch.compile, backend="aot_eager")


@pytest.mark.parametrize("wrap", [nn.DataParallel, pytest.param(COMPILED, marks=pytest.mark.slow)])
def test_wrappers_are_passed_by(wrap):
    net = network()
    space, data = ParameterSpace(net), (X, Y)
    H = hessian(Task(net, cross_entropy, data), space) @ torch.eye(space.n, dtype=F64)
    wrapped = wrap(net)
    same = hessian(Task(wrapped, cross_entropy, data), ParameterSpace(wrapped)) @ torch.eye(
        space.n, dtype=F64
    )
    assert torch.equal(H, same)
