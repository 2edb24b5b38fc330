"""Each Taylor rule against nested forward derivatives of PyTorch's own function along a random polynomial curve."""

import math
from functools import reduce

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import jvp

from qdescent._checks import ArgumentError
from qdescent.learning.taylor import Jet
from qdescent.learning.taylor_rules import RULES

ORDER = 5


def random(seed, *shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def curve(seed, *shape, order=ORDER, above=None):
    """c_0 ... c_N; `above`: make c_0 positive, away from a singularity at zero."""
    terms = [random(100 * seed + k, *shape) for k in range(order + 1)]
    if above is not None:
        terms[0] = terms[0].abs() + above
    return terms


def nested_derivatives(function, curves, order):
    """f_k / k! of eps -> function(sum_k c_k eps^k) at 0, by jvp of jvp of ... of jvp."""

    def along(eps):
        return function(*[reduce(lambda tail, c: tail * eps + c, reversed(terms)) for terms in curves])

    def differentiate(f):
        return lambda eps: jvp(f, (eps,), (torch.ones_like(eps),))[1]

    zero, coefficients = torch.zeros((), dtype=torch.float64), []
    for k in range(order + 1):
        coefficients.append(along(zero) / math.factorial(k))
        along = differentiate(along)
    return coefficients


def assert_series(jet, truth, tolerance=1e-12):
    scale = max(float(c.abs().max()) for c in truth)
    for ours, expected in zip(jet.coefficients, truth, strict=True):
        ours = torch.zeros_like(expected) if ours is None else ours
        assert ours.shape == expected.shape
        assert float((ours - expected).abs().max()) < tolerance * scale


def assert_rule(function, curves, truth_function=None, order=ORDER):
    jet = function(*[Jet(list(terms)) for terms in curves])
    truth = nested_derivatives(truth_function or function, curves, order)
    assert_series(jet, truth)
    for k in range(1, order + 1):  # a rule that is wrong in one coefficient only would be seen
        changed = [t.clone() for t in truth]
        changed[k] = changed[k] + 1e-9 * max(float(c.abs().max()) for c in truth)
        with pytest.raises(AssertionError):
            assert_series(jet, changed)


def erf_gelu(x):
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def tanh_gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


A34, B4 = random(901, 3, 4), random(902, 4)
LABELS = torch.tensor([1, 0, 3])
SOFT = random(903, 3, 4).softmax(1)

# name of the rule -> (function of series, shapes, distance of c_0 from a singularity, the same by elementary functions or None)
CASES = {
    "add": (lambda x, y: torch.add(x, y, alpha=0.7) + B4 + 2.0, [(3, 4), (4,)], None, None),
    "sub": (lambda x, y: torch.sub(x, y) - 1.0, [(3, 4), (3, 1)], None, None),
    "mul": (lambda x, y: torch.mul(x, y) * A34 * 2.0, [(3, 4), (4,)], None, None),
    "div": (lambda x, y: torch.div(x, y) / (1 + A34**2), [(3, 4), (3, 4)], 0.5, None),
    "true_divide": (lambda x, y: torch.true_divide(x, y), [(4,), (4,)], 0.5, None),
    "matmul": (lambda x, y: torch.matmul(x, y) @ A34, [(2, 3, 4), (2, 4, 3)], None, None),
    "bmm": (torch.bmm, [(2, 3, 4), (2, 4, 3)], None, None),
    "linear": (F.linear, [(5, 4), (3, 4), (3,)], None, None),
    "conv1d": (lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1), [(2, 3, 7), (4, 3, 3), (4,)], None, None),
    "conv2d": (
        lambda x, w, b: F.conv2d(x, w, b, stride=(2, 1), padding=1, groups=2), [(2, 4, 5, 6), (2, 2, 3, 3), (2,)], None, None,
    ),
    "cat": (lambda x, y: torch.cat([x, B4[None], y], dim=0), [(2, 4), (3, 4)], None, None),
    "stack": (lambda x, y: torch.stack((x, A34, y), dim=1), [(3, 4), (3, 4)], None, None),
    "exp": (torch.exp, [(3, 4)], None, None),
    "log": (torch.log, [(3, 4)], 0.5, None),
    "pow": (lambda x: torch.pow(x, 3) + x**2 + x.pow(-1.5), [(3, 4)], 0.5, None),
    "square": (torch.square, [(3, 4)], None, None),
    "sqrt": (torch.sqrt, [(3, 4)], 0.5, None),
    "rsqrt": (torch.rsqrt, [(3, 4)], 0.5, lambda x: x**-0.5),
    "reciprocal": (lambda x: torch.reciprocal(x) + 3.0 / x + A34 / x, [(3, 4)], 0.5, None),
    "tanh": (torch.tanh, [(3, 4)], None, None),
    "sigmoid": (torch.sigmoid, [(3, 4)], None, None),
    "silu": (F.silu, [(3, 4)], None, lambda x: x * torch.sigmoid(x)),
    "gelu": (F.gelu, [(3, 4)], None, erf_gelu),
    "softplus": (F.softplus, [(3, 4)], None, lambda x: torch.log1p(torch.exp(x))),
    "logsumexp": (lambda x: torch.logsumexp(x, 1), [(3, 4)], None, lambda x: x.exp().sum(1).log()),
    "softmax": (lambda x: torch.softmax(x, dim=-1), [(3, 4)], None, lambda x: x.exp() / x.exp().sum(-1, keepdim=True)),
    "log_softmax": (lambda x: F.log_softmax(x, dim=1), [(3, 4)], None, lambda x: x - x.exp().sum(1, keepdim=True).log()),
    "cross_entropy": (
        lambda x: F.cross_entropy(x, LABELS), [(3, 4)], None, lambda x: (x.exp().sum(1).log() - x[torch.arange(3), LABELS]).mean(),
    ),
    "mse_loss": (lambda x, y: F.mse_loss(x, y), [(3, 4), (3, 4)], None, lambda x, y: ((x - y) ** 2).mean()),
    "view": (lambda x: x.view(2, 6), [(3, 4)], None, None),
    "reshape": (lambda x: torch.reshape(x, (6, 2)), [(3, 4)], None, None),
    "contiguous": (lambda x: x.transpose(0, 1).contiguous(), [(3, 4)], None, None),
    "expand": (lambda x: x.expand(2, 3, 4), [(3, 4)], None, None),
    "to": (lambda x: x.to(torch.float64), [(3, 4)], None, None),
    "transpose": (lambda x: torch.transpose(x, 0, 1), [(3, 4)], None, None),
    "permute": (lambda x: x.permute(2, 0, 1), [(2, 3, 4)], None, None),
    "flatten": (lambda x: torch.flatten(x, 1), [(2, 3, 4)], None, None),
    "unsqueeze": (lambda x: x.unsqueeze(1), [(3, 4)], None, None),
    "squeeze": (lambda x: x.squeeze(1), [(3, 1, 4)], None, None),
    "mean": (lambda x: x.mean((0, 2), keepdim=True), [(2, 3, 4)], None, None),
    "sum": (lambda x: torch.sum(x, dim=1), [(3, 4)], None, None),
    "repeat": (lambda x: x.repeat(2, 1), [(3, 4)], None, None),
    "clone": (lambda x: x.clone(), [(3, 4)], None, None),
    "neg": (lambda x: torch.neg(x), [(3, 4)], None, None),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), [(2, 3, 4, 4)], None, None),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, 1), [(2, 3, 4, 4)], None, None),
    "pad": (lambda x: F.pad(x, (1, 2)), [(3, 4)], None, None),
    "roll": (lambda x: torch.roll(x, 1, dims=1), [(3, 4)], None, None),
    "cumsum": (lambda x: torch.cumsum(x, dim=0), [(3, 4)], None, None),
}  # fmt: skip
CURVED = {
    "div", "true_divide", "exp", "log", "pow", "sqrt", "rsqrt", "reciprocal", "tanh", "sigmoid", "silu", "gelu", "softplus",
    "logsumexp", "softmax", "log_softmax", "cross_entropy", "mse_loss",
}  # fmt: skip
LATER = {"dropout"}  # known to the package, not a function of a curve: tested below where it exists


def test_every_rule_has_a_case():
    assert set(RULES) - LATER == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_rule(name):
    function, shapes, above, elementary = CASES[name]
    order = ORDER if name in CURVED else 3  # of a multilinear operation degree 3 shows all there is
    curves = [curve(i + 1, *shape, order=order, above=above) for i, shape in enumerate(shapes)]
    assert_rule(function, curves, elementary, order)


MORE = {
    "tanh gelu": (lambda x: F.gelu(x, approximate="tanh"), (3, 4), tanh_gelu),
    "steep softplus": (lambda x: F.softplus(x, beta=2.5), (3, 4), lambda x: torch.log1p(torch.exp(2.5 * x)) / 2.5),
    "smoothed labels": (
        lambda x: F.cross_entropy(x, LABELS, label_smoothing=0.2, reduction="sum"),
        (3, 4),
        lambda x: (x.exp().sum(1).log() - 0.8 * x[torch.arange(3), LABELS] - 0.05 * x.sum(1)).sum(),
    ),
    "given distribution": (lambda x: F.cross_entropy(x, SOFT), (3, 4), lambda x: (x.exp().sum(1).log() - (SOFT * x).sum(1)).mean()),
    "summed square": (lambda x: F.mse_loss(x, A34, reduction="sum"), (3, 4), lambda x: ((x - A34) ** 2).sum()),
    "kept dimension": (lambda x: x.logsumexp(0, keepdim=True), (3, 4), lambda x: x.exp().sum(0, keepdim=True).log()),
    "convolution without bias": (lambda w: F.conv2d(random(7, 2, 1, 5, 5), w, None, 2, 1), (2, 1, 3, 3), None),
    "constant first": (lambda x: A34 @ x + 2.0 * x[:3] - (1.0 - x[1:]) + A34[:, :2] * x[:3] - (B4[:2] - x[:3]), (4, 2), None),
    "layer norm by hand": (
        lambda x: (x - x.mean(1, keepdim=True)) * (x - x.mean(1, keepdim=True)).square().mean(1, keepdim=True).add(1e-5).rsqrt(),
        (3, 4),
        None,
    ),
}


@pytest.mark.parametrize("name", MORE)
def test_variants(name):
    function, shape, elementary = MORE[name]
    assert_rule(function, [curve(3, *shape, order=4)], elementary, 4)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_shorter_series_is_the_beginning_of_a_longer_one(order):
    terms = curve(1, 3, 4)
    for function in (F.gelu, torch.tanh, F.softplus, lambda x: torch.softmax(x, 1), lambda x: 1 / (2 + x * x)):
        long, short = function(Jet(terms)), function(Jet(terms[: order + 1]))
        torch.testing.assert_close(short.coefficients, long.coefficients[: order + 1], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    "function",
    [torch.exp, torch.tanh, torch.sigmoid, F.gelu, F.silu, F.softplus, torch.square, lambda x: x * x,
     lambda x: torch.softmax(x, 1),
     lambda x: F.cross_entropy(x, LABELS), lambda x: F.mse_loss(x, A34), lambda x: torch.cat([x, x]),
     lambda x: x @ x.transpose(0, 1)],
)  # fmt: skip
@pytest.mark.parametrize("present", [(1,), (2,), (1, 3), (4,), ()])
def test_none_stands_for_zero(function, present):
    terms = curve(2, 3, 4, order=4)
    zeros = [t if k == 0 or k in present else torch.zeros_like(t) for k, t in enumerate(terms)]
    nones = [t if k == 0 or k in present else None for k, t in enumerate(terms)]
    expected = function(Jet(zeros)).coefficients
    assert_series(function(Jet(nones)), expected)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 3), columns=st.integers(1, 3), left=st.sampled_from(["full", "row", "column", "scalar"]),
    right=st.sampled_from(["full", "row", "column", "scalar"]), seed=st.integers(0, 1000),
)  # fmt: skip
def test_broadcasting(rows, columns, left, right, seed):
    shape = {"full": (rows, columns), "row": (columns,), "column": (rows, 1), "scalar": ()}
    curves = [curve(seed, *shape[left], order=2), curve(seed + 1, *shape[right], order=2)]
    for function in (lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x * y + x):
        jet = function(*[Jet(list(c)) for c in curves])
        assert_series(jet, nested_derivatives(function, curves, 2))


@settings(max_examples=15, deadline=None)
@given(
    batch=st.integers(1, 3), channels=st.integers(1, 3), out=st.integers(1, 3), size=st.integers(3, 6), kernel=st.integers(1, 3),
    stride=st.integers(1, 2), padding=st.integers(0, 1), seed=st.integers(0, 1000),
)  # fmt: skip
def test_convolution_shapes(batch, channels, out, size, kernel, stride, padding, seed):
    curves = [
        curve(seed, batch, channels, size, size, order=2), curve(seed + 1, out, channels, kernel, kernel, order=2),
        curve(seed + 2, out, order=2),
    ]  # fmt: skip

    def function(x, w, b):
        return F.conv2d(x, w, b, stride, padding)

    assert_series(function(*[Jet(c) for c in curves]), nested_derivatives(function, curves, 2))


def test_large_logits_do_not_overflow():
    x = Jet([1e4 * random(1, 3, 4), random(2, 3, 4)])
    assert all(bool(torch.isfinite(c).all()) for c in F.cross_entropy(x, LABELS).coefficients)


def test_saturated_activations_stay_finite():
    ends = torch.tensor([-800.0, -40.0, 0.0, 40.0, 800.0], dtype=torch.float64)
    for function in (torch.tanh, torch.sigmoid, F.silu, F.gelu, F.softplus):
        jet = function(Jet([ends, torch.ones(5).double(), torch.ones(5).double(), torch.ones(5).double()]))
        assert all(bool(torch.isfinite(c).all()) for c in jet.coefficients), function


@pytest.mark.parametrize("module", [nn.ReLU(), nn.MaxPool2d(2), nn.LeakyReLU(), nn.Hardtanh(), nn.ELU()])
def test_an_operation_without_a_rule_is_named(module):
    with pytest.raises(
        ArgumentError, match="Argument `network` must be made of operations that have a Taylor rule .*, but is using '"
    ):
        module(Jet(curve(1, 1, 2, 4, 4, order=1)))


def test_unusual_losses_are_refused():
    x = Jet(curve(1, 3, 4, order=1))
    with pytest.raises(ArgumentError, match="Argument `loss` must be cross-entropy of"):
        F.cross_entropy(x, LABELS, weight=torch.ones(4).double())
    with pytest.raises(ArgumentError, match="Argument `loss` must be cross-entropy of"):
        F.cross_entropy(Jet(curve(1, 3, 4, 2, order=1)), torch.zeros(3, 2, dtype=torch.long))


def test_shape_questions_are_answered():
    x = Jet(curve(1, 3, 4, order=2))
    assert (x.shape, x.size(), x.size(1), x.dim(), x.ndim, x.order) == ((3, 4), (3, 4), 4, 2, 2, 2)
    assert x[1:, 0].shape == (2,)
    with pytest.raises(AttributeError, match="using 'nonsense'"):
        _ = x.nonsense
    assert not hasattr(x, "relu")
