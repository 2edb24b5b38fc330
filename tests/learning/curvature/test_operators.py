"""Gauss-Newton, several batches, lower precision, finite differences and single layers, against
dense float64 twins.
"""

from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacfwd, jacrev
from torch.nn.functional import cross_entropy, mse_loss, scaled_dot_product_attention

from qdescent._checks import ArgumentError
from qdescent.learning.curvature.finite_differences import finite_difference_hessian
from qdescent.learning.curvature.hessian import gauss_newton, hessian
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.task import Task
from qdescent.linalg.operator import product_error

DOUBLE = partial(hessian, method="double-backward")


@pytest.fixture
def problem():
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2, padding=1),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(8, 4),
        nn.Tanh(),
        nn.Linear(4, 3),
    ).double()
    inputs, labels = torch.randn(6, 1, 4, 4).double(), torch.randint(0, 3, (6,))
    return network, inputs, labels


def dense_twin(network, inputs, targets, loss):
    """Hessian and Gauss-Newton over all weights, flattened in the order of named_parameters, by
    torch.func alone.
    """
    names = [name for name, _ in network.named_parameters()]
    shapes = [w.shape for w in network.parameters()]
    sizes = [w.numel() for w in network.parameters()]
    theta = torch.cat([w.detach().flatten() for w in network.parameters()])

    def outputs(point):
        parts = [part.view(shape) for part, shape in zip(point.split(sizes), shapes, strict=True)]
        return functional_call(network, dict(zip(names, parts, strict=True)), (inputs,))

    H = jacfwd(jacrev(lambda point: loss(outputs(point), targets)))(theta)
    J = jacrev(outputs)(theta).flatten(0, 1)
    z = outputs(theta).detach()
    bend = jacfwd(jacrev(lambda out: loss(out, targets)))(z).reshape(z.numel(), z.numel())
    return H, J.T @ bend @ J


@pytest.mark.parametrize("method", ["auto", "taylor", "double-backward"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("loss", [cross_entropy, mse_loss])
def test_operators_equal_their_dense_twins(problem, masked, loss, method):
    network, inputs, labels = problem
    targets = labels if loss is cross_entropy else torch.randn(6, 3).double()
    mask = MASKS["random"](network, density=0.5) if masked else None
    space = ParameterSpace(network, mask)
    if masked:  # the twin lives at the pruned point
        with torch.no_grad():
            for name, weight in network.named_parameters():
                weight.mul_(mask.keep[name])
    H, G = dense_twin(network, inputs, targets, loss)
    kept = torch.cat([keep.flatten() for keep in space.mask.keep.values()])
    task = Task(network, loss, (inputs, targets))
    torch.testing.assert_close(
        hessian(task, space, method=method).to_dense(), H[kept][:, kept], rtol=0, atol=1e-12
    )
    torch.testing.assert_close(
        gauss_newton(task, space).to_dense(), G[kept][:, kept], rtol=0, atol=1e-12
    )
    # the wrong twin: mask on one side only, i.e. the product's image of unmasked directions
    if masked:
        one_sided = H[kept].sum(1, keepdim=True).expand(-1, int(kept.sum()))
        assert not torch.allclose(
            hessian(task, space) @ torch.ones(space.n).double(), one_sided[:, 0], atol=1e-6
        )
    assert float(torch.linalg.eigvalsh(gauss_newton(task, space).to_dense()).min()) > -1e-12
    assert float(torch.linalg.eigvalsh(H).min()) < -1e-6  # and the Hessian is another matrix


@pytest.mark.parametrize(
    "operator", [hessian, DOUBLE, gauss_newton], ids=["taylor", "double-backward", "gauss-newton"]
)
def test_several_batches_are_their_weighted_mean(problem, operator):
    network, inputs, labels = problem
    space = ParameterSpace(network)
    whole = operator(Task(network, cross_entropy, (inputs, labels)), space).to_dense()
    parts = [
        Task(network, cross_entropy, (inputs[a:b], labels[a:b]))
        for a, b in ((0, 1), (1, 4), (4, 6))
    ]
    torch.testing.assert_close(operator(parts, space).to_dense(), whole, rtol=0, atol=1e-13)
    equal_weights = sum(operator(part, space).to_dense() for part in parts) / 3  # the wrong mean
    assert not torch.allclose(equal_weights, whole, atol=1e-4)


def test_one_layer_is_a_block_of_the_whole(problem):
    network, inputs, labels = problem
    space = ParameterSpace(network, MASKS["random"](network, density=0.5))
    task = Task(network, cross_entropy, (inputs, labels))
    places = space.indices("3.")
    block = hessian(task, space.restrict(space.theta, places)).to_dense()
    torch.testing.assert_close(
        block, hessian(task, space).to_dense()[places][:, places], rtol=0, atol=1e-13
    )
    with pytest.raises(ArgumentError, match="`prefix` must be the name of a module or a parameter"):
        space.indices("nothing")


def test_lower_precision_states_its_error(problem):
    network, inputs, labels = problem
    space, task = ParameterSpace(network), Task(network, cross_entropy, (inputs, labels))
    vectors = torch.randn(space.n, 4).double()
    exact = hessian(task, space)
    errors = {
        p: product_error(hessian(task, space, precision=p), exact, vectors)[1]
        for p in (torch.float32, torch.bfloat16)
    }
    assert errors[torch.float32] < 1e-5 < 1e-4 < errors[torch.bfloat16] < 0.1
    assert hessian(task, space, precision=torch.bfloat16).dtype == torch.float64


def test_finite_differences_of_gradients(problem):
    network, inputs, labels = problem
    space, task = ParameterSpace(network), Task(network, cross_entropy, (inputs, labels))
    found = finite_difference_hessian(
        lambda theta: task.loss_and_gradient(space, theta)[1], space.theta
    )
    vectors = torch.randn(space.n, 3).double() * torch.tensor([1.0, 1e-8, 1e8]).double()
    assert product_error(found, hessian(task, space), vectors)[1] < 1e-8
    assert not (found @ torch.zeros(space.n).double()).any()


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 8)

    def forward(self, x):
        y = self.project(x)[:, None] * torch.arange(1, 4)[:, None].to(x)
        return scaled_dot_product_attention(y, y, y).mean(1)


def test_fused_attention_takes_its_composed_form():
    torch.manual_seed(0)
    network, data = Attention().double(), (torch.randn(2, 8).double(), torch.randn(2, 8).double())
    task, space = Task(network, mse_loss, data), ParameterSpace(network)

    def composed(x):
        y = network.project(x)[:, None] * torch.arange(1, 4)[:, None].to(x)
        return ((y @ y.mT / 8**0.5).softmax(-1) @ y).mean(1)

    loss = mse_loss(composed(data[0]), data[1])
    gradient = torch.cat(
        [
            g.flatten()
            for g in torch.autograd.grad(loss, list(network.parameters()), create_graph=True)
        ]
    )
    v = torch.randn(space.n).double()
    truth = torch.cat(
        [g.flatten() for g in torch.autograd.grad(gradient @ v, list(network.parameters()))]
    )
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
        torch.testing.assert_close(hessian(task, space) @ v, truth, rtol=1e-10, atol=1e-12)
