"""The large families: exact counts, seeds, and on tiny instances the Hessian and the Taylor series
against plain derivatives.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, jacfwd, jacrev, jvp

from qdescent._checks import ArgumentError
from qdescent.learning.curvature.hessian import hessian
from qdescent.learning.networks.resnet import resnet, resnet18
from qdescent.learning.networks.small_cnn import multiply_adds
from qdescent.learning.networks.transformer import vision_transformer
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.magnitude import magnitude_mask
from qdescent.learning.task import Task
from qdescent.learning.taylor.gradient_series import gradient_series

TINY = {
    "resnet": lambda seed=0: resnet(8, 2, classes=3, channels=1, smooth=True, seed=seed),
    "resnet18": lambda seed=0: resnet18((2, 2, 4, 4), classes=3, channels=1, seed=seed),
    "vit": lambda seed=0: vision_transformer(
        4, 2, heads=2, patch=4, size=16, classes=3, channels=1, seed=seed
    ),
    "batchnorm": lambda seed=0: resnet(8, 2, classes=3, channels=1, seed=seed).eval(),
}
SMOOTH = [name for name in TINY if name != "batchnorm"]


def random(seed, *shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def task_of(name):
    network = TINY[name]().double()
    with torch.no_grad():  # norms away from 1 and 0, running statistics away from 0 and 1
        for i, (key, w) in enumerate(network.named_parameters()):
            if w.ndim == 1:
                w.add_(0.3 * random(50 + i, *w.shape))
            assert "norm" not in key or w.ndim == 1
        for i, (key, b) in enumerate(network.named_buffers()):
            if b.is_floating_point():
                b.copy_(
                    1 + random(80 + i, *b.shape).abs() if "var" in key else random(80 + i, *b.shape)
                )
    return Task(network, F.cross_entropy, (random(1, 4, 1, 16, 16), torch.tensor([0, 1, 2, 1])))


def count(network):
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (resnet, 7_451_044),  # facts.md: the paper's smaller network
        (lambda: resnet(smooth=True), 7_451_044),
        (lambda: resnet(width=238, smooth=True), 102_664_018),
        # as published for ResNet-20 with 1x1 shortcuts on CIFAR-10
        (lambda: resnet(depth=20, width=16, classes=10), 272_474),
        (resnet18, 6_946_580),
        (lambda: resnet18((192, 384, 784, 1552)), 103_044_260),
        (lambda: resnet18((192, 384, 784, 1552), smooth=False), 103_044_260),
        (vision_transformer, 9 * (12 * 256**2 + 13 * 256) + (48 + 1 + 64 + 2) * 256 + 257 * 100),
        (lambda: vision_transformer(768, 14, 12),
         14 * (12 * 768**2 + 13 * 768) + (48 + 1 + 64 + 2) * 768 + 769 * 100),
    ],
)  # fmt: skip
def test_counts_without_memory(make, expected):
    with torch.device("meta"):
        network = make()
        assert count(network) == expected
        assert all(w.is_meta for w in network.parameters())
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10 if expected < 10**6 else 100)


def test_work_of_an_image():
    with torch.device("meta"):
        image = torch.zeros(1, 3, 32, 32)
        assert 1.0e9 < multiply_adds(resnet(), image) < 1.2e9
        assert multiply_adds(resnet(), image) > 12 * multiply_adds(resnet18(), image)


@pytest.mark.parametrize("name", TINY)
def test_seed_decides_and_global_state_stays(name):
    before = torch.random.get_rng_state()
    torch.manual_seed(1)
    one = TINY[name]()
    torch.manual_seed(2)
    same, other = TINY[name](), TINY[name](seed=1)
    after = torch.random.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(after, torch.random.get_rng_state())
    torch.random.set_rng_state(before)
    for a, b in zip(one.state_dict().values(), same.state_dict().values(), strict=True):
        assert torch.equal(a, b)
        assert bool(a.isfinite().all())
    assert not torch.equal(
        nn.utils.parameters_to_vector(one.parameters()),
        nn.utils.parameters_to_vector(other.parameters()),
    )


def test_initial_weights():
    network = dict(resnet(8, 32, seed=3).named_parameters())
    kernel = network["stage3_1.second.weight"]
    assert float(kernel.detach().std()) == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.01)
    assert float(network["head.weight"].detach().std()) == pytest.approx((1 / 128) ** 0.5, rel=0.02)
    assert bool((network["norm.weight"] == 1).all())
    assert bool((network["head.bias"] == 0).all())


def test_the_smooth_families_hold_no_kink_and_no_statistics():
    for name in SMOOTH:
        network = TINY[name]()
        kinds = {type(module).__name__ for module in network.modules()}
        assert kinds.isdisjoint(
            {"ReLU", "MaxPool2d", "BatchNorm2d", "GroupNorm", "LayerNorm", "Dropout"}
        )
        assert list(network.buffers()) == []
        x = random(1, 2, 1, 16, 16).float()
        assert torch.equal(network.train()(x), network.eval()(x))


@pytest.mark.parametrize("name", TINY)
def test_hessian_equals_a_dense_twin(name):
    task = task_of(name)
    space = ParameterSpace(task.network, magnitude_mask(task.network, 0.5))
    places = torch.randperm(space.n, generator=torch.Generator().manual_seed(4))[:40].sort().values
    small = space.restrict(space.theta, places)
    ours = hessian(task, small).to_dense()

    kept = torch.cat([space.mask.keep[key].flatten() for key in space.names])
    every = torch.cat([w.detach().flatten() for w in task.network.parameters()]) * kept
    chosen = kept.nonzero()[:, 0][places]

    def loss(part):  # built without ParameterSpace, differentiated forward over reverse
        flat, weights, start = every.index_put((chosen,), part), {}, 0
        for key, w in task.network.named_parameters():
            weights[key] = flat[start : start + w.numel()].view(w.shape)
            start += w.numel()
        return task.loss(functional_call(task.network, weights, (task.data[0],)), task.data[1])

    truth = jacfwd(jacrev(loss))(every[chosen])
    size = float(truth.norm())
    assert size > 1e-3
    assert float((ours - truth).norm()) < 1e-10 * size
    assert float((ours - ours.T).norm()) < 1e-10 * size
    if name == "batchnorm":  # batch statistics instead of the frozen ones are another function
        for module in task.network.train().modules():
            module.track_running_stats = False
        wrong = jacfwd(jacrev(loss))(every[chosen])
        assert float((ours - wrong).norm()) > 1e-3 * size


def test_batchnorm_in_training_mode_is_refused():
    data = torch.zeros(2, 1, 16, 16), torch.zeros(2, dtype=torch.long)
    with pytest.raises(
        ArgumentError, match=r"`network` must hold BatchNorm in evaluation mode \(call eval\(\)\)"
    ):
        Task(resnet(8, 2, classes=3, channels=1), F.cross_entropy, data)


def nested(task, space, terms):
    """g_1 ... g_N by differentiating eps -> grad L(theta + sum_k eps^k u_k) again and again."""

    def along(eps):
        u = space.theta + sum(term * eps**k for k, term in enumerate(terms, 1))
        return grad(
            lambda t: F.cross_entropy(
                functional_call(task.network, space.unpack(t), (task.data[0],)), task.data[1]
            )
        )(u)

    zero, found = torch.zeros((), dtype=torch.float64), []
    for k in range(1, len(terms) + 1):
        along = (lambda f: lambda eps: jvp(f, (eps,), (torch.ones_like(eps),))[1])(along)
        found.append(along(zero) / math.factorial(k))
    return found


@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_series_equals_nested_derivatives(name):
    task = task_of(name)
    space = ParameterSpace(task.network, magnitude_mask(task.network, 0.5))
    terms = [0.1 * random(10 + k, space.n) for k in range(3)]
    ours, truth = gradient_series(task, space, space.theta, terms), nested(task, space, terms)
    for g, t in zip(ours, truth, strict=True):
        assert float(t.norm()) > 1e-6
        assert float((g - t).norm()) < 1e-10 * float(t.norm())
    assert float((ours[2] - 6 * truth[2]).norm()) > float(truth[2].norm())  # without the 1/k!


def test_a_kink_has_no_series():
    task = task_of("batchnorm")
    space = ParameterSpace(task.network)
    with pytest.raises(
        ArgumentError, match="`network` must be made of operations that have a Taylor rule"
    ):
        gradient_series(task, space, space.theta, [torch.ones_like(space.theta)])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: resnet(33),
            r"Argument `depth` must be 6 k \+ 2 \(8, 14, 20, 26, 32, \.\.\.\), but is 33\.",
        ),
        (lambda: resnet(2), "Argument `depth` must be an integer of at least 8, but is 2."),
        (
            lambda: resnet18((4, 4, 4)),
            r"Argument `widths` must hold 4 numbers, one for each stage, but is \(4, 4, 4\)\.",
        ),
        (
            lambda: resnet18((4, 4, 4, 0)),
            "Argument `widths` must be an integer of at least 1, but is 0.",
        ),
        (
            lambda: vision_transformer(10, heads=4),
            "Argument `heads` must divide the width 10, but is 4.",
        ),
        (
            lambda: vision_transformer(patch=5),
            "Argument `patch` must divide the image size 32, but is 5.",
        ),
        (
            lambda: vision_transformer(classes=0),
            "Argument `classes` must be an integer of at least 1, but is 0.",
        ),
    ],
)
def test_bad_arguments(make, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        make()
