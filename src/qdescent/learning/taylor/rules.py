"""What each PyTorch function does to a Jet: one rule a function, made of the operations of a tape.

Linear functions act on each coefficient, bilinear ones by the Cauchy product, elementwise ones by
their Taylor coefficients; the rest is composed of these.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.learning.taylor import functions as towers
from qdescent.learning.taylor.jet import INSTEAD, RULES, Jet, MissingRuleError, Rule, rule
from qdescent.learning.taylor.norms import Standardise
from qdescent.learning.taylor.products import (
    Convolution,
    Elementwise,
    LinearLayer,
    MatrixProduct,
    Product,
)
from qdescent.learning.taylor.tape import Join, Map, Node, Pointwise, Shift, Sum


def plain(x: Any) -> Any:
    """What an operation takes: the node of a Jet, a constant as it is."""
    return x.node if isinstance(x, Jet) else x


def shape_of(x: Any) -> torch.Size:
    """The shape of a Jet or a constant."""
    return x.shape if isinstance(x, (Jet, Tensor)) else torch.Size()


def mapped(function: Callable[[Tensor], Tensor], x: Jet) -> Jet:
    """A linear function of one Jet."""
    return x.record(Map(function, x.node))


def pointwise(tower: towers.Tower, x: Jet) -> Jet:
    """An elementwise function."""
    return x.record(Pointwise(tower(x.value, x.tape.order + 1), x.node))


@rule("add")
def add(x: Any, y: Any, *, alpha: float = 1) -> Jet:
    """x + alpha y."""
    if not isinstance(y, Jet):
        return x.record(Shift(x.node, alpha * y))
    return y.record(Sum(x.node, y.node, alpha) if isinstance(x, Jet) else Shift(y.node, x, alpha))


@rule("sub")
def sub(x: Any, y: Any, *, alpha: float = 1) -> Jet:
    """x - alpha y."""
    return add(x, y, alpha=-alpha)


@rule("rsub")
def rsub(x: Any, y: Any, *, alpha: float = 1) -> Jet:
    """y - alpha x."""
    return add(y, x, alpha=-alpha)


@rule("mul", "multiply")
def mul(x: Any, y: Any) -> Jet:
    """x y; the larger factor takes the lead, so that the other one is what broadcasts."""
    if isinstance(x, Jet) and not isinstance(y, (Jet, Tensor)):
        return x.record(Shift(x.node, 0.0, y))
    if isinstance(y, Jet) and (not isinstance(x, Jet) or shape_of(x).numel() < y.numel()):
        return mul(y, x)
    return x.record(Product(Elementwise(x.shape, y.shape), x.node, plain(y)))


@rule("div", "true_divide")
def div(x: Any, y: Any) -> Jet:
    """x / y."""
    return mul(x, pow_(y, -1.0) if isinstance(y, Jet) else 1.0 / y)


@rule("pow")
def pow_(x: Jet, exponent: float) -> Jet:
    """x^a for a constant number a."""
    if not isinstance(exponent, (int, float)):
        raise argument_error("exponent", "be a constant number", type(exponent).__name__)
    return pointwise(towers.power(exponent), x)


@rule("matmul", "bmm", "mm", "mv", "dot")
def matmul(x: Any, y: Any) -> Jet:
    """x @ y, as torch.matmul has it."""
    if shape_of(y) and len(shape_of(y)) == 1:
        return matmul(x, y.unsqueeze(-1)).squeeze(-1)
    if len(shape_of(x)) == 1:
        return matmul(x.unsqueeze(0), y).squeeze(-2)
    jet = x if isinstance(x, Jet) else y
    return jet.record(Product(MatrixProduct(x.shape, y.shape), plain(x), plain(y)))


@rule("addmm", "baddbmm")
def addmm(bias: Any, x: Any, y: Any) -> Jet:
    """bias + x @ y."""
    return matmul(x, y) + bias


@rule("linear")
def linear(x: Any, weight: Any, bias: Any = None) -> Jet:
    """x W^T + b."""
    if shape_of(x) and len(shape_of(x)) == 1:
        return linear(x.unsqueeze(0), weight, bias).squeeze(0)
    jet = x if isinstance(x, Jet) else weight if isinstance(weight, Jet) else bias
    if not isinstance(x, Jet) and not isinstance(weight, Jet):
        return F.linear(x, weight) + bias
    y = jet.record(Product(LinearLayer(), plain(x), plain(weight)))
    return y if bias is None else y + bias


def convolution(dimensions: int) -> Rule:
    """The rule of a convolution over so many dimensions."""

    def convolve(
        x: Any,
        w: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Jet:
        if len(x.shape) == dimensions + 1:
            return convolve(x.unsqueeze(0), w, bias, stride, padding, dilation, groups).squeeze(0)
        jet = x if isinstance(x, Jet) else w
        if isinstance(x, Jet) or isinstance(w, Jet):
            form = Convolution(x.shape, w.shape, stride, padding, dilation, groups)
            y = jet.record(Product(form, plain(x), plain(w)))
        else:  # restricted to its bias
            y = (F.conv1d if dimensions == 1 else F.conv2d)(
                x, w, None, stride, padding, dilation, groups
            )
        return y if bias is None else y + bias.reshape(-1, *(1,) * dimensions)

    return convolve


def standardised(x: Jet, dims: int, epsilon: float, weight: Jet | None = None) -> Jet:
    """(x - mean) / sqrt(variance + epsilon) over the last axes, times a weight for each first axis
    of a group.
    """
    return x.record(Standardise(x.node, None if weight is None else weight.node, dims, epsilon))


@rule("group_norm")
def group_norm(
    x: Jet, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Jet:
    """As F.group_norm: x is (batch, channels, *places)."""
    places = len(x.shape) - 2
    if not isinstance(x, Jet):
        return F.group_norm(x, num_groups, None, None, eps) * weight.reshape(
            -1, *(1,) * places
        ) + bias.reshape(-1, *(1,) * places)
    shape, grouped = x.shape, (num_groups, x.shape[1] // num_groups)
    scale = weight.reshape(*grouped, *(1,) * places) if isinstance(weight, Jet) else None
    y = standardised(x.unflatten(1, grouped), places + 1, eps, scale).reshape(*shape)
    if weight is not None and scale is None:
        y = y * weight.reshape(-1, *(1,) * places)
    return y if bias is None else y + bias.reshape(-1, *(1,) * places)


@rule("layer_norm")
def layer_norm(
    x: Jet, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Jet:
    """As F.layer_norm, over the last axes."""
    y = (
        standardised(x, len(normalized_shape), eps)
        if isinstance(x, Jet)
        else F.layer_norm(x, normalized_shape, None, None, eps)
    )
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@rule("batch_norm")
def batch_norm(
    x: Jet,
    mean: Any,
    variance: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Jet:
    """With running statistics: an affine function of each channel."""
    if training:
        use = "using 'batch_norm' in training mode (use eval(), or SmoothGroupNorm instead)"
        raise MissingRuleError(
            str(argument_error("network", "be made of operations that have a Taylor rule", use))
        )
    channel = (-1, *(1,) * (x.ndim - 2))
    y = (x - mean.reshape(channel)) * torch.rsqrt(variance + eps).reshape(channel)
    y = y if weight is None else y * weight.reshape(channel)
    return y if bias is None else y + bias.reshape(channel)


@rule("softplus")
def softplus(x: Jet, beta: float = 1.0, threshold: float = 20.0) -> Jet:
    """log(1 + exp(beta x)) / beta."""
    if threshold < 20 and bool(
        (x.value * beta > threshold).any()
    ):  # from 20 on the linear branch is the same to rounding in float32
        raise argument_error(
            "threshold", "be at least 20 (below it PyTorch's softplus has a kink)", threshold
        )
    return pointwise(towers.softplus(beta), x)


@rule("gelu")
def gelu(x: Jet, *, approximate: str = "none") -> Jet:
    """x Phi(x), or its tanh approximation, as PyTorch defines it."""
    if approximate == "none":
        return pointwise(towers.gelu, x)
    return 0.5 * x * ((math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)).tanh() + 1.0)


@rule("silu")
def silu(x: Jet, inplace: bool = False) -> Jet:
    """x sigmoid(x)."""
    return pointwise(towers.silu, x)


@rule("pad")
def pad(x: Jet, pad: Any, mode: str = "constant", value: float | None = None) -> Jet:
    """Padding by a value adds it to the constant coefficient alone."""
    constant = F.pad(torch.zeros_like(x.value), pad, mode, value) if value else None
    return x.record(Map(lambda c: F.pad(c, pad, mode), x.node, constant))


@rule("dropout", "dropout2d")
def dropout(x: Jet, p: float = 0.5, training: bool = True, inplace: bool = False) -> Jet:
    """The identity in evaluation mode."""
    if training and p > 0:
        raise argument_error("network", "be without active dropout (call eval())", "training")
    return x


def joined(function: Callable[..., Tensor]) -> Rule:
    """The rule of cat and stack."""

    def join(parts: Sequence[Any], dim: int = 0) -> Jet:
        jet = next(part for part in parts if isinstance(part, Jet))
        nodes: list[Node | Tensor] = [plain(part) for part in parts]
        return jet.record(Join(lambda tensors: function(list(tensors), dim), nodes))

    return join


@rule("chunk")
def chunk(x: Jet, chunks: int, dim: int = 0) -> tuple[Jet, ...]:
    """Parts of nearly equal length."""
    return split(x, -(-x.shape[dim] // chunks), dim)


@rule("split")
def split(
    x: Jet, split_size: Any, dim: int = 0, *, split_size_or_sections: Any = None
) -> tuple[Jet, ...]:
    """Parts of given lengths."""
    parts: list[Jet] = []
    length, start = x.shape[dim], 0
    while start < length:
        step = split_size if isinstance(split_size, int) else split_size[len(parts)]
        parts.append(RULES["narrow"](x, dim, start, min(step, length - start)))
        start += step
    return tuple(parts)


@rule("unbind")
def unbind(x: Jet, dim: int = 0) -> tuple[Jet, ...]:
    """Slices along an axis."""
    return tuple(RULES["select"](x, dim, i) for i in range(x.shape[dim]))


def linear_function(name: str) -> Rule:
    """The rule of a function that is linear in its first argument."""
    function = getattr(Tensor, name, None) or getattr(F, name, None) or getattr(torch, name)

    def act(x: Jet, *args: Any, **kwargs: Any) -> Jet:
        return x.record(
            Map(lambda c: function(c, *args, **kwargs), x.node, batched="pool" not in name)
        )

    return act


LINEAR = (
    "reshape", "contiguous", "expand", "to", "transpose", "permute", "flatten", "unflatten",
    "unsqueeze", "squeeze", "mean", "sum",
    "repeat", "clone", "neg", "roll", "cumsum", "narrow", "select", "movedim", "avg_pool1d",
    "avg_pool2d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
)  # fmt: skip
RULES.update({name: linear_function(name) for name in LINEAR})
RULES.update(
    {
        # the memory format may be another one than in the network's own forward pass
        "view": RULES["reshape"],
        "swapaxes": RULES["transpose"],
        "getitem": lambda x, index: mapped(operator.itemgetter(index), x),
        "cat": joined(torch.cat),
        "concat": joined(torch.cat),
        "stack": joined(torch.stack),
        "conv1d": convolution(1),
        "conv2d": convolution(2),
        "square": lambda x: pow_(x, 2),
        "sqrt": lambda x: pow_(x, 0.5),
        "rsqrt": lambda x: pow_(x, -0.5),
        "reciprocal": lambda x: pow_(x, -1.0),
        "exp": lambda x: pointwise(towers.exp, x),
        "log": lambda x: pointwise(towers.log, x),
        "tanh": lambda x: pointwise(towers.tanh, x),
        "sigmoid": lambda x: pointwise(towers.sigmoid, x),
        "erf": lambda x: pointwise(towers.erf, x),
        "sin": lambda x: pointwise(towers.sin, x),
        "cos": lambda x: pointwise(towers.cos, x),
    }
)
assert not set(RULES) & set(INSTEAD)
