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
from qdescent.learning.taylor import propagate
from qdescent.learning.taylor_jet import INSTEAD, RULES, Jet
from qdescent.learning.taylor_tape import Tape

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


def jet_of(x):
    """A Jet at x, for what is refused or asked before anything runs."""
    tape = Tape(1)
    return Jet(tape, tape.leaf(x))


def assert_series(ours, truth, tolerance=1e-12):
    scale = max(float(c.abs().max()) for c in truth)
    for a, b in zip(ours, truth, strict=True):
        assert a.shape == b.shape
        assert float((a - b).abs().max()) < tolerance * scale


def adjoints(function, curves, cotangent):
    """The adjoint series of each argument for <cotangent, function>, from one forward and one backward pass of a tape."""
    order = len(curves[0]) - 1
    tape = Tape(order)
    with torch.no_grad():
        jets = [Jet(tape, tape.leaf(curve[0])) for curve in curves]
        loss = (function(*jets) * cotangent).sum()
        tape.close(loss.node)
        first = [jet.node.adjoint for jet in jets]
        for jet, curve in zip(jets, curves, strict=True):
            jet.node.terms, jet.node.adjoint = list(curve[1:]), None
        tape.forward()
        tape.backward(loss.node)
    return [[a, *jet.node.adjoint] for a, jet in zip(first, jets, strict=True)]


def true_adjoints(function, curves, cotangent):
    """dL_N / dc_j is the coefficient N - j of the adjoint: from nested derivatives and one reverse pass of PyTorch's."""
    order = len(curves[0]) - 1
    leaves = [[c.clone().requires_grad_() for c in curve] for curve in curves]
    last = (nested_derivatives(function, leaves, order)[order] * cotangent).sum()
    found = torch.autograd.grad(last, [c for curve in leaves for c in curve], materialize_grads=True)
    return [list(found[i * (order + 1) : (i + 1) * (order + 1)])[::-1] for i in range(len(curves))]


def assert_rule(function, curves, truth_function=None, order=ORDER):
    ours = propagate(function, *curves)
    truth = nested_derivatives(truth_function or function, curves, order)
    assert_series(ours, truth)
    for k in range(1, order + 1):  # a rule that is wrong in one coefficient only would be seen
        changed = [t.clone() for t in truth]
        changed[k] = changed[k] + 1e-9 * max(float(c.abs().max()) for c in truth)
        with pytest.raises(AssertionError):
            assert_series(ours, changed)
    cotangent, curves = random(77, *truth[0].shape), [curve[:4] for curve in curves]
    for a, b in zip(
        adjoints(function, curves, cotangent), true_adjoints(truth_function or function, curves, cotangent), strict=True
    ):
        assert_series(a, b)


def erf_gelu(x):
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def tanh_gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def even(x, dims):
    gap = x - x.mean(dims, keepdim=True)
    return gap / (gap.square().mean(dims, keepdim=True) + 1e-5).sqrt()


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
    "rsub": (lambda x, y: torch.rsub(x, y, alpha=0.5), [(3, 4), (4,)], None, None),
    "multiply": (lambda x, y: torch.multiply(x, y), [(4,), (3, 4)], None, None),
    "mm": (torch.mm, [(2, 3), (3, 4)], None, None),
    "mv": (torch.mv, [(2, 3), (3,)], None, None),
    "dot": (torch.dot, [(3,), (3,)], None, None),
    "addmm": (torch.addmm, [(4,), (2, 3), (3, 4)], None, None),
    "baddbmm": (torch.baddbmm, [(2, 2, 4), (2, 2, 3), (2, 3, 4)], None, None),
    "erf": (torch.erf, [(3, 4)], None, None),
    "sin": (torch.sin, [(3, 4)], None, None),
    "cos": (torch.cos, [(3, 4)], None, None),
    "nll_loss": (
        lambda x: F.nll_loss(x, torch.tensor([1, -100, 3]), reduction="sum") + F.nll_loss(x, LABELS), [(3, 4)], None,
        lambda x: -x[0, 1] - x[2, 3] - x[torch.arange(3), LABELS].mean(),
    ),
    "group_norm": (
        lambda x, w, b: F.group_norm(x, 2, w, b), [(2, 4, 3, 2), (4,), (4,)], None,
        lambda x, w, b: even(x.reshape(2, 2, 2, 3, 2), (2, 3, 4)).reshape(2, 4, 3, 2) * w.view(-1, 1, 1) + b.view(-1, 1, 1),
    ),
    "layer_norm": (
        lambda x, w, b: F.layer_norm(x, (3, 4), w, b), [(2, 3, 4), (3, 4), (3, 4)], None,
        lambda x, w, b: even(x, (1, 2)) * w + b,
    ),
    "batch_norm": (
        lambda x, w, b: F.batch_norm(x, B4, B4.abs() + 1, w, b), [(3, 4, 2), (4,), (4,)], None,
        lambda x, w, b: (x - B4[:, None]) / (B4.abs() + 1 + 1e-5).sqrt()[:, None] * w[:, None] + b[:, None],
    ),
    "unflatten": (lambda x: x.unflatten(1, (2, 2)), [(3, 4)], None, None),
    "narrow": (lambda x: x.narrow(1, 1, 2), [(3, 4)], None, None),
    "select": (lambda x: x.select(1, 2), [(3, 4)], None, None),
    "movedim": (lambda x: torch.movedim(x, 0, 2), [(2, 3, 4)], None, None),
    "swapaxes": (lambda x: torch.swapaxes(x, 0, 1), [(3, 4)], None, None),
    "getitem": (lambda x: x[1:, ::2], [(3, 4)], None, None),
    "chunk": (lambda x: torch.chunk(x, 2, 1)[1], [(3, 5)], None, None),
    "split": (lambda x: torch.split(x, [1, 3], 1)[1] + x.split(3, 1)[0], [(3, 4)], None, None),
    "unbind": (lambda x: x.unbind(1)[2], [(3, 4)], None, None),
    "concat": (lambda x: torch.concat([x, 2 * x]), [(3, 4)], None, None),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 2), [(2, 3, 4)], None, None),
    "adaptive_avg_pool1d": (lambda x: F.adaptive_avg_pool1d(x, 2), [(2, 3, 4)], None, None),
    "roll": (lambda x: torch.roll(x, 1, dims=1), [(3, 4)], None, None),
    "cumsum": (lambda x: torch.cumsum(x, dim=0), [(3, 4)], None, None),
}  # fmt: skip
CURVED = {
    "div", "true_divide", "exp", "log", "pow", "sqrt", "rsqrt", "reciprocal", "tanh", "sigmoid", "silu", "gelu", "softplus",
    "logsumexp", "softmax", "log_softmax", "cross_entropy", "mse_loss", "erf", "sin", "cos", "group_norm", "layer_norm",
}  # fmt: skip
LATER = {
    "dropout",
    "dropout2d",
    "silu_",
    "__getitem__",
}  # known to the package, not a function of a curve: tested below where it exists


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
        long, short = propagate(function, terms), propagate(function, terms[: order + 1])
        torch.testing.assert_close(short, long[: order + 1], rtol=1e-13, atol=1e-13)


class Attention(nn.Module):
    """Self-attention by matrix products and softmax, with weights as arguments."""

    def forward(self, x, q, k, v):
        share = torch.softmax((x @ q) @ (x @ k).transpose(-2, -1) * q.shape[1] ** -0.5, dim=-1)
        return x + share @ (x @ v)


LAYERS = {
    "linear": lambda a, b, c: (lambda x, w, v: F.linear(x, w, v), [(a, b), (c, b), (c,)]),
    "convolution": lambda a, b, c: (lambda x, w, v: F.conv2d(x, w, v, 2, 1), [(a, b, 4, 3), (c, b, 3, 2), (c,)]),
    "large convolution": lambda a, b, c: (lambda x, w: F.conv2d(x, w, None, 1, 1), [(1, b, 5, 5), (c, b, 3, 3)]),
    "attention": lambda a, b, c: (Attention(), [(a, b, c), (c, 2), (c, 2), (c, c)]),
    "group norm": lambda a, b, c: (
        lambda x: even(x.reshape(a, b, 2, c, 2), (2, 3, 4)) if isinstance(x, torch.Tensor) else
        F.group_norm(x, b).reshape(a, b, 2, c, 2), [(a, 2 * b, c, 2)],
    ),
    "gelu": lambda a, b, c: (lambda x: erf_gelu(x) if isinstance(x, torch.Tensor) else F.gelu(x), [(a, b, c)]),
    "tanh": lambda a, b, c: (torch.tanh, [(a, b)]),
    "silu": lambda a, b, c: (lambda x: x * torch.sigmoid(x) if isinstance(x, torch.Tensor) else F.silu(x), [(a, c)]),
    "cross-entropy": lambda a, b, c: (
        lambda x: F.cross_entropy(x, torch.arange(a) % (b + 1)), [(a, b + 1)],
    ),
    "mse": lambda a, b, c: (
        lambda x, y: (x - y).square().mean() if isinstance(x, torch.Tensor) else F.mse_loss(x, y), [(a, b)] * 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=3, deadline=None)
@given(a=st.integers(1, 3), b=st.integers(1, 3), c=st.integers(1, 3), order=st.integers(1, 5), seed=st.integers(0, 1000))
def test_layers_of_any_shape_and_order(name, a, b, c, order, seed):
    function, shapes = LAYERS[name](a, b, c)
    curves = [[0.5 * t for t in curve(seed + i, *shape, order=order)] for i, shape in enumerate(shapes)]
    assert_series(propagate(function, *curves), nested_derivatives(function, curves, order))


@settings(max_examples=12, deadline=None)
@given(
    rows=st.integers(1, 3), columns=st.integers(1, 3), left=st.sampled_from(["full", "row", "column", "scalar"]),
    right=st.sampled_from(["full", "row", "column", "scalar"]), seed=st.integers(0, 1000),
)  # fmt: skip
def test_broadcasting(rows, columns, left, right, seed):
    shape = {"full": (rows, columns), "row": (columns,), "column": (rows, 1), "scalar": ()}
    curves = [curve(seed, *shape[left], order=2), curve(seed + 1, *shape[right], order=2)]
    for function in (lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x * y + x):
        assert_series(propagate(function, *curves), nested_derivatives(function, curves, 2))


@settings(max_examples=8, deadline=None)
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

    assert_series(propagate(function, *curves), nested_derivatives(function, curves, 2))
    cotangent = random(5, *function(*[c[0] for c in curves]).shape)
    for ours, truth in zip(adjoints(function, curves, cotangent), true_adjoints(function, curves, cotangent), strict=True):
        assert_series(ours, truth)


def test_large_logits_do_not_overflow():
    found = propagate(lambda x: F.cross_entropy(x, LABELS), [1e4 * random(1, 3, 4), random(2, 3, 4)])
    assert all(bool(torch.isfinite(c).all()) for c in found)


def test_saturated_activations_stay_finite():
    ends, one = torch.tensor([-800.0, -40.0, 0.0, 40.0, 800.0], dtype=torch.float64), torch.ones(5).double()
    for function in (torch.tanh, torch.sigmoid, F.silu, F.gelu, F.softplus):
        assert all(bool(torch.isfinite(c).all()) for c in propagate(function, [ends, one, one, one])), function


@pytest.mark.parametrize(
    ("module", "use"),
    [
        (nn.ReLU(), "'relu' .use GELU"), (nn.MaxPool2d(2), "'max_pool2d' .use mean pooling"),
        (nn.LeakyReLU(), "'leaky_relu' .use GELU"),
        (nn.Hardtanh(), "'hardtanh'"), (nn.ELU(), "'elu'"), (nn.BatchNorm2d(2).double().train(), "'batch_norm' in training mode"),
        (nn.Mish(), "'mish'"),
    ],
)  # fmt: skip
def test_an_operation_without_a_rule_is_named(module, use):
    with pytest.raises(ArgumentError, match=f"Argument `network` must be made of operations that have a Taylor rule.*using {use}"):
        module(jet_of(random(1, 1, 2, 4, 4)))


def test_every_advice_is_for_an_operation_without_a_rule():
    assert not set(INSTEAD) & set(RULES)


def test_unusual_losses_are_refused():
    x = jet_of(random(1, 3, 4))
    with pytest.raises(ArgumentError, match="Argument `loss` must be cross-entropy of"):
        F.cross_entropy(x, LABELS, weight=torch.ones(4).double())
    with pytest.raises(ArgumentError, match="Argument `loss` must be cross-entropy of"):
        F.cross_entropy(jet_of(random(1, 3, 4, 2)), torch.zeros(3, 2, dtype=torch.long))
    with pytest.raises(ArgumentError, match="Argument `loss` must be the mean squared error"):
        F.mse_loss(x, A34, reduction="none")
    with pytest.raises(ArgumentError, match="Argument `exponent` must be a constant number"):
        x ** torch.ones(3, 4)


def test_shape_questions_are_answered():
    x = jet_of(random(1, 3, 4))
    assert (x.shape, x.size(), x.size(1), x.dim(), x.ndim, x.numel(), len(x)) == ((3, 4), (3, 4), 4, 2, 2, 12, 3)
    assert (x[1:, 0].shape, x.T.shape, x.mT.shape) == ((2,), (4, 3), (4, 3))
    with pytest.raises(AttributeError, match="using 'nonsense'"):
        _ = x.nonsense
    assert not hasattr(x, "relu")
