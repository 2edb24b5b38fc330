"""The guard: right products pass whatever their network is made of, wrong ones do not pass whatever
makes them wrong.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint
from wrong_derivatives import Detached

from qdescent._checks import ArgumentError
from qdescent.carleman.dissipation import diagnose
from qdescent.learning.curvature import few_samples as few
from qdescent.learning.curvature import hessian as hessian_module
from qdescent.learning.curvature import twins
from qdescent.learning.curvature.hessian import check_operator, gauss_newton, hessian
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.linalg.operator import LinearOperator
from qdescent.linalg.spectra.density import spectral_density
from qdescent.solvers.series import series_descent

F64 = torch.float64


class Middle(nn.Module):
    """Two linear layers with a function between them."""

    def __init__(self, function):
        super().__init__()
        self.first, self.last, self.function = nn.Linear(3, 4), nn.Linear(4, 2), function

    def forward(self, x):
        return self.last(self.function(self.first(x)))


def task_of(network, dtype=F64, loss=F.cross_entropy, samples=6, width=3):
    g = torch.Generator().manual_seed(5)
    x, y = (
        torch.randn(samples, width, generator=g, dtype=dtype),
        torch.randint(2, (samples,), generator=g),
    )
    return Task(network.to(dtype), loss, (x, y)), ParameterSpace(network)


def made(function):
    torch.manual_seed(1)
    return Middle(function)


@pytest.mark.parametrize(
    "activation", [nn.ReLU, nn.LeakyReLU, nn.Hardtanh, nn.Hardswish, nn.Softshrink]
)
def test_an_ordinary_network_with_kinks_is_never_refused(activation):
    for seed in range(8):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(64, 8), activation(), nn.Linear(8, 5))
        task, space = task_of(network, torch.float32, samples=64, width=64)
        checked = check_operator("hessian", hessian(task, space, check=False), [(task, 1.0)], space)
        assert checked.difference < 1e-3
        gauss_newton(task, space)


def test_activations_that_stand_at_their_kinks():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2)
    ).double()
    nn.init.zeros_(network[0].bias)
    images = torch.zeros(5, 1, 8, 8, dtype=F64)
    # black around: activations of exactly 0, pools of equal entries
    images[:, :, 3:5, 2:6] = torch.rand(5, 1, 2, 4, dtype=F64)
    task, space = (
        Task(network, F.cross_entropy, (images, torch.tensor([0, 1, 0, 1, 1]))),
        ParameterSpace(network),
    )
    checked = check_operator("hessian", hessian(task, space, check=False), [(task, 1.0)], space)
    assert "beside" in checked.how
    assert checked.difference < 1e-3
    gauss_newton(task, space)
    # said where the number is, and nowhere else
    spectrum = spectral_density(hessian(task, space), steps=3, probes=1)
    assert "one side" in diagnose(spectrum, 0.1).reasons[-1]
    assert "one side" in str(diagnose(spectral_density(hessian(task, space), 3, 1, deflate=1), 0.1))
    nn.init.constant_(network[0].bias, 0.01)
    apart = spectral_density(hessian(task, ParameterSpace(network)), steps=3, probes=1)
    assert apart.remark == ""
    assert "one side" not in str(diagnose(apart, 0.1))


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, slope):
        return -slope


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return (8 * x).round() / 8

    @staticmethod
    def backward(ctx, slope):
        return slope


def without_gradient(x):
    with torch.no_grad():
        return x.tanh()


WRONG = {
    "a backward that is a constant": Detached.apply,
    "a reversed gradient": Reversed.apply,
    "rounding": StraightThrough.apply,
    "no_grad": without_gradient,
    "detach": lambda x: x * x.detach(),
}


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("wrong", list(WRONG))
def test_what_hides_a_part_from_autograd_is_refused(wrong, dtype):
    task, space = task_of(made(WRONG[wrong]), dtype)
    cure = "autograd function" if hasattr(WRONG[wrong], "__self__") else "`detach` or `no_grad`"
    with pytest.raises(
        ArgumentError,
        match=f"`network` must have the (second derivatives|gradient) of its loss.*{cure}",
    ):
        hessian(task, space, method="double-backward")
    # its first derivative is right, and no second one enters
    if wrong != "a backward that is a constant":
        with pytest.raises(
            ArgumentError, match="`network` must have the (second derivatives|gradient) of its loss"
        ):
            gauss_newton(task, space)
        with pytest.raises(
            ArgumentError,
            match="`network` must (have the gradient|be made of operations|be smooth)",
        ):
            series_descent(task, space, 2, 2, 0.1)


@pytest.mark.parametrize("size", [0.02, 0.4])
@pytest.mark.parametrize("build", [hessian, gauss_newton])
def test_a_planted_error_is_found(size, build):
    task, space = task_of(made(torch.tanh), torch.float32)
    kind = "hessian" if build is hessian else "gauss-newton"
    right = build(task, space)
    symmetric = torch.randn(space.n, space.n)
    symmetric = (
        size
        * (symmetric + symmetric.T)
        * float(right.to_dense().norm() / (symmetric + symmetric.T).norm())
    )

    def apply(block):
        return right @ block + symmetric @ block

    check_operator(kind, right, [(task, 1.0)], space)
    wrong = LinearOperator(right.shape, apply, apply, right.dtype, right.device)
    # The operator is one that float64 products do not share: what is off is then said to be its
    # precision.
    if size > 0.1:
        with pytest.raises(
            ArgumentError, match="`network` must have products that its precision can hold"
        ):
            check_operator(kind, wrong, [(task, 1.0)], space)


def pairs_of_samples(outputs, targets):
    """A loss of neighbours, which does not take every number of samples."""
    left, right = outputs.unflatten(0, (-1, 8)).unbind(1)[:2]
    return ((left - right) ** 2).mean()


@pytest.mark.parametrize("wrong", list(WRONG))
def test_of_a_large_batch_a_few_samples_tell(wrong, monkeypatch):
    """Right networks pass without a gradient in float64 of the whole batch; wrong ones do not."""
    sizes = []
    gradient = twins._in_double

    def counted(task, space, theta):
        sizes.append(task.batch)
        return gradient(task, space, theta)

    monkeypatch.setattr(few, "LARGE", 0)
    right, wrong = made(torch.tanh), made(WRONG[wrong])
    with monkeypatch.context() as patch:
        patch.setattr(twins, "_in_double", counted)
        for build in (hessian, gauss_newton):
            task, space = task_of(right, samples=40)
            found = build(task, space)
            assert set(sizes) == {few.FEW}
            v = torch.ones(space.n, dtype=F64)
            assert torch.equal(found @ v, build(task, space, check=False) @ v)
    task, space = task_of(wrong, samples=40)
    with pytest.raises(ArgumentError, match="`network` must have the (second|gradient)|be twice"):
        hessian(task, space, method="double-backward")


def test_where_few_samples_cannot_tell_the_whole_batch_does(monkeypatch):
    monkeypatch.setattr(few, "LARGE", 0)
    # 4 samples make no group of 8
    task, space = task_of(made(torch.tanh), samples=40, loss=pairs_of_samples)
    v = torch.ones(space.n, dtype=F64)
    assert torch.equal(hessian(task, space) @ v, hessian(task, space, check=False) @ v)
    wrong = task_of(made(Reversed.apply), samples=40, loss=pairs_of_samples)
    with pytest.raises(ArgumentError, match="`network` must have the (second|gradient)"):
        hessian(*wrong)
    # a function that only few samples meet with a wrong derivative: all of them have the last word
    apart = made(lambda x: x.tanh() if len(x) > few.FEW else Reversed.apply(x))
    hessian(*task_of(apart, samples=40), method="double-backward")
    assert few.few_samples(*task_of(made(torch.tanh), samples=2 * few.FEW - 1)) is None


class Handed(torch.autograd.Function):
    """||w||^2 / 2, whose backward hands out the weights themselves, not a copy."""

    @staticmethod
    def forward(ctx, w):
        ctx.save_for_backward(w)
        return w.square().sum() / 2

    @staticmethod
    def backward(ctx, slope):
        return ctx.saved_tensors[0].view_as(ctx.saved_tensors[0])


def test_gradients_that_share_memory_are_told_apart():
    """With the weights, with each other, or one number for all: nothing is written into them."""
    layer = nn.Linear(3, 2, bias=False).double()
    data = torch.ones(2, 3, dtype=F64), torch.zeros(2, dtype=torch.long)
    for loss in (
        lambda out, y: Handed.apply(layer.weight),
        lambda out, y: (layer.weight.exp() + layer.weight).sum(),
        lambda out, y: layer.weight.sum() + out.square().mean(),
    ):
        task, space = Task(layer, loss, data), ParameterSpace(layer)
        checked = check_operator(
            "hessian", hessian(task, space, check=False), [(task, 1.0)], space, space.theta
        )
        assert checked.difference < 1e-8


def test_the_check_changes_no_bit_and_draws_the_same():
    task, space = task_of(made(torch.relu), torch.float32)
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    with_check, without = hessian(task, space), hessian(task, space, check=False)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(with_check.to_dense(), without.to_dense())
    seen = {check_operator("hessian", without, [(task, 1.0)], space) for _ in range(3)}
    assert len(seen) == 1


def test_what_the_check_costs(monkeypatch):
    gradients = []
    whole = twins._in_double
    monkeypatch.setattr(twins, "_in_double", lambda *a: (gradients.append(1), whole(*a))[1])
    task, space = task_of(made(F.gelu), torch.float32)
    operator = hessian(task, space, method="double-backward", check=False)
    assert not gradients
    check_operator("hessian", operator, [(task, 1.0)], space)
    assert len(gradients) == 2


@pytest.mark.parametrize("normed", [nn.utils.weight_norm, parametrizations.weight_norm])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_weight_norm_has_its_own_second_derivative(dense, normed, dtype):
    network = made(torch.tanh)
    names = {"first.weight_g": "g", "first.parametrizations.weight.original0": "g"}
    names |= {"first.weight_v": "v", "first.parametrizations.weight.original1": "v"}
    with (
        pytest.warns(FutureWarning)
        if normed is nn.utils.weight_norm
        else pytest.MonkeyPatch.context()
    ):
        normed(network.first)
    task, space = task_of(network, dtype)
    x, y = task.data

    def loss(p):
        p = {names.get(name, name): w for name, w in p.items()}
        weight = p["g"] * p["v"] / p["v"].square().sum(1, keepdim=True).sqrt()
        inner = torch.tanh(x.double() @ weight.T + p["first.bias"])
        return F.cross_entropy(inner @ p["last.weight"].T + p["last.bias"], y)

    H = dense(loss, dict(network.named_parameters()))[1]
    ours = hessian(task, space).to_dense().double()
    assert float((ours - H).norm()) < (1e-12 if dtype == F64 else 1e-5) * float(H.norm())


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_changes_no_number(reentrant):
    network = made(torch.tanh).double()
    plain = hessian(*task_of(network)).to_dense()
    network.function = lambda h: checkpoint(torch.tanh, h, use_reentrant=reentrant)
    assert torch.equal(hessian(*task_of(network)).to_dense(), plain)

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network

        def forward(self, x):
            return checkpoint(self.inner, x, use_reentrant=reentrant)

    network.function = torch.tanh
    assert torch.equal(hessian(*task_of(Whole().double())).to_dense(), plain)
    x = torch.randn(2, 3, dtype=F64, requires_grad=True)
    checkpoint(network, x, use_reentrant=reentrant).sum().backward()  # as before
    assert network.first.weight.grad is not None


def test_what_has_no_number_says_why():
    network = nn.Linear(3, 2, bias=False).double()
    nn.init.zeros_(network.weight)
    task = Task(
        network,
        lambda out, y: out.norm(dim=1).mean(),
        (torch.randn(4, 3, dtype=F64), torch.zeros(4)),
    )
    with pytest.raises(
        ArgumentError,
        match=r"`network` must have finite second derivatives .*norm at 0\?.* are NaN",
    ):
        hessian(task, ParameterSpace(network))
    with pytest.raises(ArgumentError, match="'hardsigmoid'.*") as caught:
        hessian(*task_of(made(F.hardsigmoid)))
    assert "finite-differences" in str(caught.value)
    assert "attention" not in str(caught.value)
    orthogonal = made(torch.tanh)
    parametrizations.orthogonal(orthogonal.first)
    with pytest.raises(ArgumentError, match='orthogonal_map="cayley"'):
        hessian(*task_of(orthogonal))


def test_constants_of_another_precision_follow():
    weights = torch.tensor([0.3, 0.7])  # of classes, in float32
    task, space = task_of(
        made(F.relu), torch.float32, lambda out, y: F.cross_entropy(out, y, weight=weights)
    )
    checked = check_operator("hessian", hessian(task, space, check=False), [(task, 1.0)], space)
    assert checked.difference < 1e-5


def test_a_series_is_checked_once_at_a_point(monkeypatch):
    """Again where theta, a weight, the space, the order's way or the task is another one."""
    network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.BatchNorm1d(3), nn.Linear(3, 1)).eval()
    task = Task(network, nn.functional.mse_loss, (torch.ones(4, 2), torch.zeros(4, 1)))
    space, checks = ParameterSpace(network), []
    whole = hessian_module.check_operator
    monkeypatch.setattr(
        hessian_module, "check_operator", lambda *given: (checks.append(1), whole(*given))[1]
    )

    def checked(task=task, space=space, order=2, **options):
        before = len(checks)
        series_descent(task, space, order, 2, 1e-3, **options)
        return len(checks) - before

    assert [checked(), checked(), checked(check=False), checked(order=1), checked(order=1)] == [
        1, 0, 0, 1, 0
    ]  # fmt: skip
    theta = space.theta.clone()
    assert [checked(theta=theta), checked(theta=theta), checked()] == [1, 0, 1]
    with torch.no_grad():
        network[2].running_mean += 1  # no weight: a number that the gradient follows from
    assert [checked(), checked()] == [1, 0]
    theta = space.theta.clone()
    checked(theta=theta)
    theta.mul_(1.01)
    assert checked(theta=theta) == 1
    assert checked(space=ParameterSpace(network)) == 1
    assert checked(task=task.with_data((torch.ones(4, 2), torch.ones(4, 1)))) == 1
    assert checked(method="jvp") == 1


class SameLogits(nn.Module):
    """The same logit for every class, whatever the weights: cross entropy is log 2."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return (self.layer(x).sum(1, keepdim=True) ** 2).expand(-1, 2)


def saturated():
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor([0.0, 1000.0]))
    return layer


ZERO = {
    "constant loss": (SameLogits, F.cross_entropy),
    "constant log-softmax": (SameLogits, lambda out, y: out.log_softmax(1).mean()),
    "softmax adds up to 1": (lambda: nn.Linear(3, 2), lambda out, y: out.softmax(1).sum()),
    "no mean after a normalisation": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4, elementwise_affine=False)),
        lambda out, y: out.mean(),
    ),
    "saturated": (saturated, lambda out, y: F.cross_entropy(out, torch.ones_like(y))),
    "linear": (lambda: nn.Linear(3, 2), lambda out, y: out.mean()),
}


@pytest.mark.parametrize("case", ZERO)
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_a_hessian_that_is_0_to_rounding_is_0(case, dtype):
    network, loss = ZERO[case]
    torch.manual_seed(0)
    task, space = task_of(network(), dtype, loss)
    eye = torch.eye(space.n, dtype=dtype)
    for build in (hessian, gauss_newton):
        assert not bool((build(task, space) @ eye).any())
    found = spectral_density(hessian(task, space), steps=3, probes=2)
    assert found.lambda_min == found.lambda_max == (0.0, 0.0)
    walk = series_descent(task, space, order=2, steps=2, learning_rate=0.1)
    assert case == "linear" or float(walk.value.abs().max()) < 1e-6


def test_a_small_wrong_derivative_of_an_even_loss_is_not_taken_for_rounding():
    """A hidden part of 1e-7 of the loss, beside which all else is constant."""
    hidden = 1e-7

    class Hidden(SameLogits):
        def forward(self, x):
            seen = self.layer(x)
            return super().forward(x) + hidden * (seen.detach() * seen)[:, :2]

    task, space = task_of(Hidden())
    with pytest.raises(ArgumentError, match="`network` must have the (second|gradient)"):
        hessian(task, space)


class Power(nn.Module):
    """w^p, flat at 0."""

    def __init__(self, power):
        super().__init__()
        self.weight, self.power = nn.Parameter(torch.zeros(1)), power

    def forward(self, x):
        return (self.weight * x) ** self.power


def saturated(apart):
    network = nn.Linear(3, 2)
    with torch.no_grad():
        network.weight.zero_()
        network.bias.copy_(torch.tensor([apart, 0.0]))
    return network


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("curvature", [hessian, gauss_newton])
@pytest.mark.parametrize("seed", range(3))
def test_an_exact_minimum_is_no_wrong_gradient(curvature, seed, dtype):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(dtype)
    x = torch.randn(8, 3, dtype=dtype)
    task, space = Task(network, F.mse_loss, (x, network(x).detach())), ParameterSpace(network)
    # H = J^T J / 8 there, whatever the network is
    J = torch.func.jacrev(lambda p: torch.func.functional_call(network, p, (x,)))(
        {name: w.detach() for name, w in network.named_parameters()}
    )
    J = torch.cat([part.reshape(16, -1) for part in J.values()], 1)
    eye = torch.eye(space.n, dtype=dtype)
    torch.testing.assert_close(curvature(task, space) @ eye, J.T @ J / 8, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("power", [3, 4, 5, 6])
def test_a_flat_point_is_no_wrong_gradient(power):
    network = Power(power).double()
    data = torch.ones(2, 1, dtype=F64), torch.zeros(2, 1, dtype=F64)
    task, space = Task(network, lambda out, y: (out - y).mean(), data), ParameterSpace(network)
    assert float(hessian(task, space) @ torch.ones(1, dtype=F64)) == 0.0


@pytest.mark.parametrize("apart", [20.0, 40.0, 60.0, 800.0])
def test_a_saturated_softmax_is_no_wrong_gradient(apart):
    network, x = saturated(apart).double(), torch.randn(8, 3, dtype=F64)
    task = Task(network, F.cross_entropy, (x, torch.zeros(8).long()))
    space = ParameterSpace(network)
    found = hessian(task, space) @ torch.ones(space.n, dtype=F64)
    assert float(found.norm()) <= 10 * torch.exp(torch.tensor(-apart, dtype=F64)) + 1e-15


class Hidden(nn.Module):
    """A gradient that leaves the first layer's part out."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        inside = torch.tanh(self.first(x))
        return self.last(inside.detach()) + 0.5 * self.last(inside)


@pytest.mark.parametrize("seed", range(3))
def test_a_wrong_gradient_is_found_at_an_exact_minimum_too(seed):
    torch.manual_seed(seed)
    network, x = Hidden().double(), torch.randn(8, 3, dtype=F64)
    task = Task(network, F.mse_loss, (x, network(x).detach()))
    with pytest.raises(
        ArgumentError, match="have the gradient of its loss|be made of|second deriv"
    ):
        hessian(task, ParameterSpace(network), method="double-backward")


class Rounded(nn.Module):
    """Half precision inside, of which no type tells outside."""

    def __init__(self, how):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        self.how = how

    def forward(self, x):
        if self.how == "cast":
            return self.inner[2](self.inner[1](self.inner[0](x)).half().to(x))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.how == "autocast"):
            return self.inner(x).float()


def test_half_precision_inside_is_refused():
    data = torch.randn(6, 3), torch.zeros(6, 2)
    for how in ("autocast", "cast", "off"):
        network = Rounded(how)
        task, space = Task(network, F.mse_loss, data), ParameterSpace(network)
        for curvature in (hessian, gauss_newton):
            if how == "off":
                curvature(task, space)
                continue
            with pytest.raises(ArgumentError, match="must compute with the digits of its weights"):
                curvature(task, space)


class RoundsLong(Rounded):
    """Half precision for long sequences alone."""

    def forward(self, x):
        inside = x.mean(1)
        if x.shape[1] < 5:
            return self.inner(inside)
        with torch.autocast("cpu", torch.bfloat16):
            return self.inner(inside).float()


@pytest.mark.parametrize("build", [hessian, gauss_newton])
def test_half_precision_that_a_later_batch_meets_is_refused(build):
    network = RoundsLong("")
    tasks = [
        Task(network, F.mse_loss, (torch.randn(6, length, 3), torch.zeros(6, 2)))
        for length in (3, 4, 7)
    ]
    space = ParameterSpace(network)
    build(tasks[:2], space)
    with pytest.raises(ArgumentError, match="must compute with the digits of its weights"):
        build(tasks, space)
