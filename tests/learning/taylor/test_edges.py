"""Edges of the Taylor rules and of the Hessian: tied, unused and linear weights, zeros, PyTorch
options.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

from qdescent._checks import ArgumentError
from qdescent.learning.curvature.hessian import hessian
from qdescent.learning.networks.resnet import resnet18
from qdescent.learning.networks.transformer import vision_transformer
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.taylor.gradient_series import GradientSeries, gradient_series, propagate
from qdescent.learning.taylor.jet import Jet
from qdescent.learning.taylor.tape import Tape
from qdescent.learning.torch_prune import mask_from_prune


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
    task, space = (
        Task(net, F.mse_loss, (torch.randn(4, 3).double(), torch.randn(4, 3).double())),
        ParameterSpace(net),
    )
    u = torch.randn(space.n).double()
    torch.testing.assert_close(
        gradient_series(task, space, space.theta, [u])[0], hessian(task, space) @ u
    )


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


@pytest.mark.parametrize("power", [0, 1, 3])
def test_whole_powers_at_zero(power):
    zero, one = torch.zeros(1).double(), torch.ones(1).double()
    assert [
        float(c) for c in propagate(lambda x: torch.pow(x, power), [zero, one, zero, zero])
    ] == [float(k == power) for k in range(4)]


def test_dropout_in_evaluation_mode_is_the_identity():
    one = torch.ones(2, 3)
    assert torch.equal(propagate(lambda x: nn.Dropout(0.5).eval()(x) * 1.0, [one, one])[1], one)


def test_padding_by_a_value_pads_the_constant_only():
    zero = torch.zeros(1, 2)
    found = propagate(lambda x: F.pad(x, (1, 0), value=1.0), [zero, zero])
    assert [c.tolist() for c in found] == [[[1.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]]


def test_ignored_labels():
    x, t = torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([0, 1])
    ours = propagate(lambda x: F.cross_entropy(x, t, ignore_index=0), [x, x])[0]
    torch.testing.assert_close(ours, F.cross_entropy(x, t, ignore_index=0))


def test_softplus_with_a_low_threshold_is_refused():
    with pytest.raises(ArgumentError, match="Argument `threshold` must be at least 20"):
        propagate(lambda x: F.softplus(x, 1.0, 0.5), [torch.tensor([1.0, 3.0])] * 2)


def test_convolution_of_one_sample_without_a_batch_axis():
    x, w, b = torch.ones(1, 3, 3), torch.ones(3, 1, 3, 3), torch.arange(3.0)
    ours = propagate(lambda x: F.conv2d(x, w, b, padding=1), [x, x])
    torch.testing.assert_close(ours[0], F.conv2d(x, w, b, padding=1))


def test_what_is_changed_in_place_changes_under_its_other_names_too():
    def function(x):
        y = x * 2
        z = y
        z += x
        y[1] = x[0]
        return y * z

    x = [torch.tensor([1.0, 3.0]), torch.tensor([0.5, 1.0]), torch.tensor([0.0, 0.0])]
    found = propagate(function, x)
    truth = propagate(lambda x: torch.stack([3 * x[0], x[0]]) ** 2, x)
    assert [c.tolist() for c in found] == [c.tolist() for c in truth]


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_by_name(padding):
    x, w = torch.randn(2, 1, 5, 5), torch.randn(3, 1, 3, 3)
    torch.testing.assert_close(
        propagate(lambda x: F.conv2d(x, w, padding=padding), [x, x])[1],
        F.conv2d(x, w, padding=padding),
    )


@pytest.mark.parametrize(
    ("size", "kernel", "settings"),
    [
        (7, 3, {"padding": 1}),
        (9, 3, {"stride": 2}),
        (6, 3, {"dilation": 2, "padding": 2}),
        (4, 2, {"groups": 2}),
        (4, 3, {"stride": 3}),
    ],
)
def test_both_ways_of_a_weight_s_gradient(size, kernel, settings):
    """Many places go through oneDNN, few through matrix products; both are H u, by PyTorch's own
    double backward.
    """
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 4, kernel, **settings), nn.Tanh(), nn.Flatten(), nn.LazyLinear(1)
    )
    net(torch.zeros(1, 2, size, size))
    net = net.double()
    task, space = (
        Task(net, F.mse_loss, (torch.randn(3, 2, size, size).double(), torch.randn(3, 1).double())),
        ParameterSpace(net),
    )
    u = torch.randn(space.n).double()
    torch.testing.assert_close(
        gradient_series(task, space, space.theta, [u])[0],
        hessian(task, space) @ u,
        rtol=1e-11,
        atol=1e-11,
    )


@pytest.mark.parametrize(
    ("network", "images"),
    [
        (vision_transformer(width=8, depth=1, heads=2, size=8, classes=3), (2, 3, 8, 8)),
        (resnet18((16, 17, 16, 16), classes=3), (2, 3, 8, 8)),
        (
            nn.Sequential(
                nn.Conv2d(3, 4, 3),
                nn.GroupNorm(2, 4),
                nn.SiLU(),
                nn.Flatten(),
                nn.Linear(16, 4),
                nn.LayerNorm(4),
            ),
            (2, 3, 4, 4),
        ),
        (
            nn.Sequential(
                nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten()
            ),
            (2, 3, 4, 4),
        ),
    ],
    ids=["transformer", "resnet", "native norms", "batch norm"],
)
def test_whole_architectures_against_nested_derivatives(network, images):
    torch.manual_seed(0)
    network = network.double().eval()
    task = Task(network, F.cross_entropy, (torch.randn(images).double(), torch.tensor([0, 2])))
    space = ParameterSpace(network)
    curve = [0.1 * torch.randn(space.n).double() for _ in range(3)]
    fast, slow = (
        torch.stack(gradient_series(task, space, space.theta, curve, method))
        for method in ("taylor", "jvp")
    )
    assert float((fast - slow).norm() / slow.norm()) < 1e-12
    series = GradientSeries(task, space, space.theta, 3)
    series(curve[::-1])
    assert torch.equal(series(curve), fast)  # nothing is left over from another curve
    gradient = task.loss_and_gradient(space, space.theta)[1]
    assert float((series.gradient - gradient).norm() / gradient.norm()) < 1e-12
    # the norms are as they were
    assert all("forward" not in module.__dict__ for module in network.modules())


def test_a_network_pruned_by_torch():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    prune.random_unstructured(net[0], "weight", 0.5)
    task = Task(net, F.mse_loss, (torch.randn(5, 3).double(), torch.randn(5, 1).double()))
    space = ParameterSpace(net, mask_from_prune(net))
    u = torch.randn(space.n).double()
    expected = hessian(task, space) @ u
    before = net[0].weight
    torch.testing.assert_close(gradient_series(task, space, space.theta, [u])[0], expected)
    assert net[0].weight is before


def test_what_several_products_keep_is_held_once_and_not_beyond_its_series():
    tape, generator = Tape(2), torch.Generator().manual_seed(0)
    x, a, b, *terms = (
        torch.randn(3, 3, dtype=torch.float64, generator=generator) for _ in range(9)
    )
    jets = [Jet(tape, tape.leaf(w)) for w in (x, a, b)]
    loss = (jets[0] @ jets[1] + jets[0] @ jets[2]).sum()
    first, second = tape.operations[:2]
    tape.close(loss.node)
    for scale in (1.0, -2.0):  # a second curve through the same recording
        for jet, u, v in zip(jets, terms[::2], terms[1::2], strict=True):
            jet.node.terms, jet.node.adjoint = [scale * u, scale * v], None
        tape.forward()
        assert first._all is second._all
        torch.testing.assert_close(first._all, torch.stack([x, scale * terms[0], scale * terms[1]]))
        tape.backward(loss.node)
        torch.testing.assert_close(
            torch.stack(list(jets[1].node.adjoint)),
            scale * torch.stack(terms[:2]).sum(1)[..., None].expand(2, 3, 3),
        )
    assert first._x0.untyped_storage().nbytes() == x.nbytes
