"""What each elementary Taylor rule is tried on, and by what independent route it is judged."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch.func import jvp, vjp

from qdescent.learning.taylor.gradient_series import propagate
from qdescent.learning.taylor.jet import Jet
from qdescent.learning.taylor.tape import Tape

ORDER = 5


def random(seed, *shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def curve(seed, shape, order, above=None):
    """c_0 ... c_N; `above`: make c_0 positive, away from a singularity at zero."""
    terms = [random(100 * seed + k, *shape) for k in range(order + 1)]
    if above is not None:
        terms[0] = terms[0].abs() + above
    return terms


def nested(function, curves, cotangent):
    """The coefficients of f(x(eps), ...) and of each gradient of <cotangent, f> there, by jvp of
    jvp of ... of (f, gradients).

    The k-th derivative along eps is a function of x, x', ..., x^(k): its own derivative takes these
    as x', ..., x^(k+1).
    """

    def along(*derivatives):
        value, back = vjp(function, *derivatives[0])
        return [(value, *back(cotangent))]

    def differentiate(f):
        def higher(*derivatives):
            known, slope = jvp(f, derivatives[:-1], derivatives[1:])
            return [*known, slope[-1]]

        return higher

    order = len(curves[0]) - 1
    for _ in range(order):
        along = differentiate(along)
    derivatives = along(
        *(tuple(math.factorial(k) * terms[k] for terms in curves) for k in range(order + 1))
    )
    return [
        [d / math.factorial(k) for k, d in enumerate(part)]
        for part in zip(*derivatives, strict=True)
    ]


def adjoints(function, curves, cotangent):
    """The adjoint series of each argument for <cotangent, function>, from one forward and one
    backward pass of a tape.
    """
    tape = Tape(len(curves[0]) - 1)
    with torch.no_grad():
        jets = [Jet(tape, tape.leaf(terms[0])) for terms in curves]
        loss = (function(*jets) * cotangent).sum()
        tape.close(loss.node)
        first = [jet.node.adjoint for jet in jets]
        for jet, terms in zip(jets, curves, strict=True):
            jet.node.terms, jet.node.adjoint = list(terms[1:]), None
        tape.forward()
        tape.backward(loss.node)
    return [[a, *jet.node.adjoint] for a, jet in zip(first, jets, strict=True)]


def assert_series(ours, truth, tolerance=1e-12):
    scale = max(float(c.abs().max()) for c in truth)
    for a, b in zip(ours, truth, strict=True):
        assert a.shape == b.shape
        assert float((a - b).abs().max()) <= tolerance * scale


def assert_rule(function, curves, elementary=None):
    """Values and adjoints; `elementary`: the same function where PyTorch's own has no nested
    forward derivatives.
    """
    ours = propagate(function, *curves)
    cotangent = random(77, *ours[0].shape)
    truth, *gradients = nested(elementary or function, curves, cotangent)
    assert_series(ours, truth)
    for found, gradient in zip(adjoints(function, curves, cotangent), gradients, strict=True):
        assert_series(found, gradient)


def fixed(x, seed=901):
    """A constant of the same shape."""
    return random(seed, *x.shape)


def erf_gelu(x):
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def tanh_gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def even(x, *dims):
    gap = x - x.mean(dims, keepdim=True)
    return gap / (gap.square().mean(dims, keepdim=True) + 1e-5).sqrt()


def attention(x, q, k, v):
    """Logits of order 1: the gradient of a saturated softmax is small and cancels, and the
    reference itself loses digits of it.
    """
    share = torch.softmax(0.1 * (x @ q) @ (x @ k).transpose(-2, -1), dim=-1)
    return x + share @ (x @ v)


def by_group(x, w, b):
    return even(x.unflatten(1, (2, 2)), 2, 3, 4).flatten(1, 2) * w.reshape(-1, 1, 1) + b.reshape(
        -1, 1, 1
    )


def of_class(x, labels):
    return x[torch.arange(len(x)), labels[: len(x)]]


def log_sum(x):
    return x.exp().sum(1).log()


B4 = random(902, 4)
LABELS, SOME = torch.tensor([1, 0, 3]), torch.tensor([1, -100, 3])


@dataclass(frozen=True)
class Case:
    """A function of series; the shape of each, a, b and c being random sizes; the distance of c_0
    from a singularity at 0.
    """

    function: object
    shapes: str
    elementary: object = None
    above: float | None = None


CASES = {  # by the name of the rule
    "add": Case(lambda x, y: torch.add(x, y, alpha=0.7) + fixed(y) + 2.0, "ab b"),
    "sub": Case(lambda x, y: torch.sub(x, y) - 1.0, "ab a1"),
    "rsub": Case(lambda x, y: torch.rsub(x, y, alpha=0.5), "ab b", lambda x, y: y - 0.5 * x),
    "mul": Case(lambda x, y: torch.mul(x, y) * fixed(x) * 2.0, "ab b"),
    "multiply": Case(lambda x, y: torch.multiply(x, y), "b ab"),
    "div": Case(lambda x, y: torch.div(x, y) / (1 + fixed(x) ** 2), "ab ab", above=0.5),
    "true_divide": Case(lambda x, y: torch.true_divide(x, y), "b ab", above=0.5),
    "pow": Case(lambda x: torch.pow(x, 3) + x**2 + x.pow(-1.5), "ab", above=0.5),
    "square": Case(torch.square, "ab"),
    "sqrt": Case(torch.sqrt, "ab", above=0.5),
    "rsqrt": Case(torch.rsqrt, "ab", lambda x: x**-0.5, above=0.5),
    "reciprocal": Case(lambda x: torch.reciprocal(x) + 3.0 / x + fixed(x) / x, "ab", above=0.5),
    "exp": Case(torch.exp, "ab"),
    "log": Case(torch.log, "ab", above=0.5),
    "tanh": Case(torch.tanh, "ab"),
    "sigmoid": Case(torch.sigmoid, "ab"),
    "erf": Case(torch.erf, "ab"),
    "sin": Case(torch.sin, "ab"),
    "cos": Case(torch.cos, "ab"),
    "silu": Case(lambda x: F.silu(x, inplace=True), "ab", lambda x: x * torch.sigmoid(x)),
    "gelu": Case(F.gelu, "ab", erf_gelu),
    "softplus": Case(F.softplus, "ab", lambda x: torch.log1p(torch.exp(x))),
    "dropout": Case(lambda x: F.dropout(x, 0.5, training=False), "ab"),
    "dropout2d": Case(lambda x: F.dropout2d(x, 0.5, training=False), "abc2"),
    "matmul": Case(lambda x, y: torch.matmul(x, y) @ random(903, 2, 3), "abc ac2"),
    "bmm": Case(torch.bmm, "abc ac2"),
    "mm": Case(torch.mm, "ab bc"),
    "mv": Case(torch.mv, "ab b"),
    "dot": Case(torch.dot, "b b"),
    "addmm": Case(torch.addmm, "c ab bc"),
    "baddbmm": Case(torch.baddbmm, "2ac 2ab 2bc"),
    "linear": Case(F.linear, "ab cb c"),
    "conv1d": Case(lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1), "ab7 cb3 c"),
    "conv2d": Case(lambda x, w, b: F.conv2d(x, w, b, stride=(2, 1), padding=1, groups=2),
                   "a456 2233 2"),
    "group_norm": Case(lambda x, w, b: F.group_norm(x, 2, w, b), "a4c2 4 4", by_group),
    "layer_norm": Case(lambda x, w, b: F.layer_norm(x, w.shape, w, b), "ab3 b3 b3",
                       lambda x, w, b: even(x, 1, 2) * w + b),
    "batch_norm": Case(
        lambda x, w, b: F.batch_norm(x, B4, B4.abs() + 1, w, b), "a4c 4 4",
        lambda x, w, b: (
            (x - B4[:, None]) / (B4.abs() + 1 + 1e-5).sqrt()[:, None] * w[:, None] + b[:, None]
        ),
    ),
    "logsumexp": Case(lambda x: torch.logsumexp(x, 1), "ab", log_sum),
    "softmax": Case(lambda x: torch.softmax(x, dim=-1), "ab3",
                    lambda x: x.exp() / x.exp().sum(-1, keepdim=True)),
    "log_softmax": Case(lambda x: F.log_softmax(x, dim=1), "a3", lambda x: x - log_sum(x)[:, None]),
    "cross_entropy": Case(
        lambda x: F.cross_entropy(x, LABELS[: len(x)]), "a4",
        lambda x: (log_sum(x) - of_class(x, LABELS)).mean()
    ),
    "nll_loss": Case(
        lambda x: F.nll_loss(x, SOME[: len(x)], reduction="sum") + F.nll_loss(x, LABELS[: len(x)]),
        "a4",
        lambda x: (
            -(of_class(x, SOME.clamp(0)) * (SOME >= 0)[: len(x)]).sum() - of_class(x, LABELS).mean()
        ),
    ),
    "mse_loss": Case(lambda x, y: F.mse_loss(x, y), "ab ab", lambda x, y: ((x - y) ** 2).mean()),
    "mean": Case(lambda x: x.mean((0, 2), keepdim=True), "abc"),
    "sum": Case(lambda x: torch.sum(x, dim=1), "ab"),
    "cumsum": Case(lambda x: torch.cumsum(x, dim=0), "ab"),
    "neg": Case(lambda x: torch.neg(x), "ab"),
    "clone": Case(lambda x: x.clone(), "ab"),
    "to": Case(lambda x: x.to(torch.float64), "ab"),
    "contiguous": Case(lambda x: x.transpose(0, 1).contiguous(), "ab"),
    "view": Case(lambda x: x.view(2, -1), "4ab"),
    "reshape": Case(lambda x: torch.reshape(x, (-1, 2)), "2ab"),
    "flatten": Case(lambda x: torch.flatten(x, 1), "abc"),
    "unflatten": Case(lambda x: x.unflatten(1, (2, 2)), "a4b"),
    "unsqueeze": Case(lambda x: x.unsqueeze(1), "ab"),
    "squeeze": Case(lambda x: x.squeeze(1), "a1b"),
    "expand": Case(lambda x: x.expand(2, *x.shape), "ab"),
    "repeat": Case(lambda x: x.repeat(2, 1), "ab"),
    "transpose": Case(lambda x: torch.transpose(x, 0, 1), "abc"),
    "swapaxes": Case(lambda x: torch.swapaxes(x, 0, 1), "ab"),
    "permute": Case(lambda x: x.permute(2, 0, 1), "abc"),
    "movedim": Case(lambda x: torch.movedim(x, 0, 2), "abc"),
    "roll": Case(lambda x: torch.roll(x, 1, dims=1), "ab"),
    "pad": Case(lambda x: F.pad(x, (1, 2)), "ab"),
    "narrow": Case(lambda x: x.narrow(1, 1, 2), "a4"),
    "select": Case(lambda x: x.select(1, 2), "a4b"),
    "getitem": Case(lambda x: x[1:, ::2], "3b"),
    "chunk": Case(lambda x: torch.chunk(x, 2, 1)[1], "a5"),
    "split": Case(lambda x: torch.split(x, [1, 3], 1)[1] + x.split(3, 1)[0], "a4"),
    "unbind": Case(lambda x: x.unbind(1)[2] + x.unbind(1)[0], "a3b"),
    "cat": Case(lambda x, y: torch.cat([x, B4[None], y], dim=0), "a4 b4"),
    "concat": Case(lambda x: torch.concat([x, 2 * x]), "ab"),
    "stack": Case(lambda x, y: torch.stack((x, fixed(x), y), dim=1), "ab ab"),
    "avg_pool1d": Case(lambda x: F.avg_pool1d(x, 2), "ab4"),
    "avg_pool2d": Case(lambda x: F.avg_pool2d(x, 2), "ab44"),
    "adaptive_avg_pool1d": Case(lambda x: F.adaptive_avg_pool1d(x, 2), "ab4"),
    "adaptive_avg_pool2d": Case(lambda x: F.adaptive_avg_pool2d(x, 1), "ab44"),
}  # fmt: skip
VARIANTS = {
    "tanh gelu": Case(lambda x: F.gelu(x, approximate="tanh"), "ab", tanh_gelu),
    "steep softplus": Case(lambda x: F.softplus(x, beta=2.5), "ab",
                           lambda x: torch.log1p(torch.exp(2.5 * x)) / 2.5),
    "smoothed labels": Case(
        lambda x: F.cross_entropy(x, LABELS[: len(x)], label_smoothing=0.2, reduction="sum"), "a4",
        lambda x: (log_sum(x) - 0.8 * of_class(x, LABELS) - 0.05 * x.sum(1)).sum(),
    ),
    "given distribution": Case(
        lambda x: F.cross_entropy(x, fixed(x).softmax(1)), "a3",
        lambda x: (log_sum(x) - (fixed(x).softmax(1) * x).sum(1)).mean()
    ),
    "summed square": Case(lambda x: F.mse_loss(x, fixed(x), reduction="sum"), "ab",
                          lambda x: ((x - fixed(x)) ** 2).sum()),
    "kept dimension": Case(lambda x: x.logsumexp(0, keepdim=True), "ab",
                           lambda x: x.exp().sum(0, keepdim=True).log()),
    # too many places for the way of small ones
    "large convolution": Case(lambda x, w: F.conv2d(x, w, None, 1, 1), "1b55 cb33"),
    "convolution without bias": Case(
        lambda w: F.conv2d(random(7, 2, w.shape[1], 5, 5), w, None, 2, 1), "ab33"),
    "group norm without weights": Case(
        lambda x: F.group_norm(x, 2), "a4c2",
        lambda x: even(x.unflatten(1, (2, 2)), 2, 3, 4).flatten(1, 2)
    ),
    "layer norm by hand": Case(
        lambda x: (
            (x - x.mean(1, keepdim=True))
            * ((x - x.mean(1, keepdim=True)) ** 2).mean(1, keepdim=True).add(1e-5).rsqrt()
        ),
        "a3",
    ),
    "constant first": Case(
        lambda x: (
            fixed(x.T) @ x + 2.0 * x[:2] - (1.0 - x[1:]) + fixed(x, 904)[:, :1] * x - (B4[:2] - x)
        ),
        "22",
    ),
    "broadcast": Case(lambda x, y: x * y + x - y, "a1 b"),
    "scalar": Case(lambda x, y: x * y - x + y * 2.0, "- ab"),
    "attention": Case(attention, "a2c c2 c2 cc"),
}  # fmt: skip
