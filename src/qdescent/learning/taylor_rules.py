"""How each PyTorch operation acts on truncated power series: one rule an operation.

A series is a list c_0 ... c_N of tensors, None for zero. Linear operations act on each coefficient, bilinear ones by the
Cauchy product, analytic
functions by the recurrence of their differential equation (Griewank and Walther 2008, table 13.2), e.g. e = exp(x):
k e_k = sum_{i=1..k} i x_i e_{k-i}.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from qdescent._checks import argument_error

Series = list[Tensor | None]


def is_series(argument: Any) -> bool:
    """Whether a rule's argument is a series (a list of tensors and None) and not a constant."""
    return isinstance(argument, list) and any(isinstance(c, Tensor) for c in argument)


def head(x: Series) -> Tensor:
    """c_0, which is never zero by omission."""
    assert x[0] is not None
    return x[0]


def each(function: Callable[[Tensor], Tensor], x: Series) -> Series:
    """A linear operation on every coefficient."""
    return [None if c is None else function(c) for c in x]


def scale(x: Series, factor: float) -> Series:
    """factor * x for a constant factor."""
    return each(lambda c: c * factor, x)


def add(order: int, x: Any, y: Any, *, alpha: float = 1) -> Series:
    """x + alpha y, where one of them may be a constant."""
    x = x if is_series(x) else [x] + [None] * order
    y = y if is_series(y) else [y] + [None] * order
    y = y if alpha == 1 else [None if c is None else alpha * c for c in y]
    summed = [a if b is None else b if a is None else a + b for a, b in zip(x, y, strict=True)]
    shape = summed[0].shape
    return each(lambda c: c if c.shape == shape else c.expand(shape), summed)


def cauchy(
    product: Callable[[Any, Any], Tensor], x: Series, y: Series, k: int, weight: Callable[[int], float] | None = None
) -> Tensor | None:
    """sum_{i+j=k} weight(i) product(x_i, y_j); None where every term is zero. y may still be under construction above k - 1."""
    total: Tensor | None = None
    for i in range(max(0, k - len(y) + 1), k + 1):
        a, b = x[i], y[k - i]
        if a is None or b is None or (weight is not None and weight(i) == 0):
            continue
        term = product(a, b) if weight is None else weight(i) * product(a, b)
        total = term if total is None else total + term
    return total


def bilinear(order: int, product: Callable[[Any, Any], Tensor], x: Any, y: Any) -> Series:
    """sum_{i+j=k} product(x_i, y_j): the Cauchy product under any bilinear operation."""
    if not is_series(y):
        return each(lambda c: product(c, y), x)
    if not is_series(x):
        return each(lambda c: product(x, c), y)
    return [cauchy(product, x, y, k) for k in range(order + 1)]


def multiply(order: int, x: Any, y: Any) -> Series:
    """x * y, elementwise with broadcasting."""
    return bilinear(order, torch.mul, x, y)


def driven(order: int, start: Tensor, x: Series, slope: Series) -> Series:
    """y with y' = slope x', y_0 = start: k y_k = sum_{i=1..k} i x_i slope_{k-i}."""
    return [start, *(cauchy(torch.mul, x, slope, k, lambda i, k=k: i / k) for k in range(1, order + 1))]  # type: ignore[misc]


def exp(order: int, x: Series) -> Series:
    """e = exp(x): e' = e x'."""
    y: Series = [torch.exp(head(x))]
    for k in range(1, order + 1):
        y.append(cauchy(torch.mul, x, y, k, lambda i, k=k: i / k))  # type: ignore[misc]
    return y


def power(order: int, x: Series, exponent: float) -> Series:
    """y = x^a: x y' = a y x', hence k x_0 y_k = sum_{i=1..k} (a i - (k - i)) x_i y_{k-i}."""
    if exponent > 0 and exponent == int(exponent):  # repeated multiplication: the recurrence divides by x_0, which may be 0
        product = x
        for _ in range(int(exponent) - 1):
            product = multiply(order, product, x)
        return product
    y: Series = [torch.pow(head(x), exponent)]
    for k in range(1, order + 1):
        total = cauchy(torch.mul, x, y, k, lambda i, k=k: (exponent * i - (k - i)) / k)  # type: ignore[misc]
        y.append(None if total is None else total / head(x))
    return y


def log(order: int, x: Series) -> Series:
    """y = log(x): y' = x' / x."""
    return driven(order, torch.log(head(x)), x, power(order, x, -1.0))


def divide(order: int, x: Any, y: Any) -> Series:
    """x / y."""
    return multiply(order, x, power(order, y, -1.0) if is_series(y) else 1.0 / y)


def normal_density(order: int, x: Series) -> Series:
    """exp(-x^2/2) / sqrt(2 pi)."""
    return scale(exp(order, scale(multiply(order, x, x), -0.5)), 1 / math.sqrt(2 * math.pi))


def normal_distribution(order: int, x: Series) -> Series:
    """Phi(x), the standard normal distribution function: Phi' = density x'."""
    return driven(order, torch.special.ndtr(head(x)), x, normal_density(order, x))


def tanh(order: int, x: Series) -> Series:
    """y = tanh(x): y' = (1 - y^2) x', with the square built along."""
    y: Series = [torch.tanh(head(x))]
    slope: Series = [1 - head(y) * head(y)]
    for k in range(1, order + 1):
        y.append(cauchy(torch.mul, x, slope, k, lambda i, k=k: i / k))  # type: ignore[misc]
        square = cauchy(torch.mul, y, y, k)
        slope.append(None if square is None else -square)
    return y


def sigmoid(order: int, x: Series) -> Series:
    """1 / (1 + exp(-x)) = (1 + tanh(x/2)) / 2."""
    return add(order, scale(tanh(order, scale(x, 0.5)), 0.5), 0.5)


def softplus(order: int, x: Series, beta: float = 1.0, threshold: float = 20.0) -> Series:
    """log(1 + exp(beta x)) / beta, whose derivative is the sigmoid; PyTorch is linear above `threshold`, equal to rounding."""
    if (
        bool((head(x) * beta > threshold).any()) and threshold < 20
    ):  # from 20 on the linear branch is the same to rounding in float32
        raise argument_error("threshold", "be at least 20 (below it PyTorch's softplus has a kink)", threshold)
    steep = scale(x, beta)
    return scale(driven(order, F.softplus(head(steep)), steep, sigmoid(order, steep)), 1 / beta)


def silu(order: int, x: Series, inplace: bool = False) -> Series:
    """x sigmoid(x)."""
    return multiply(order, x, sigmoid(order, x))


def gelu(order: int, x: Series, *, approximate: str = "none") -> Series:
    """x Phi(x), or its tanh approximation, as PyTorch defines it."""
    if approximate == "none":
        return multiply(order, x, normal_distribution(order, x))
    cube = multiply(order, multiply(order, x, x), x)
    inner = scale(add(order, x, scale(cube, 0.044715)), math.sqrt(2 / math.pi))
    return multiply(order, scale(x, 0.5), add(order, tanh(order, inner), 1.0))


def logsumexp(order: int, x: Series, dim: int, keepdim: bool = False) -> Series:
    """log sum exp(x) along `dim`; the largest entry is taken out first so that nothing overflows."""
    peak = head(x).detach().amax(dim, keepdim=True)
    terms = exp(order, [head(x) - peak, *x[1:]])
    total = log(order, each(lambda c: c.sum(dim, keepdim=True), terms))
    total[0] = head(total) + peak
    return total if keepdim else each(lambda c: c.squeeze(dim), total)


def log_softmax(order: int, x: Series, dim: int, _stacklevel: int = 3, dtype: Any = None) -> Series:
    """x - logsumexp(x)."""
    return add(order, x, scale(logsumexp(order, x, dim, keepdim=True), -1.0))


def softmax(order: int, x: Series, dim: int, _stacklevel: int = 3, dtype: Any = None) -> Series:
    """exp(x - logsumexp(x))."""
    return exp(order, log_softmax(order, x, dim))


def cross_entropy(
    order: int,
    x: Series,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Series:
    """Mean of logsumexp(x) - <p, x> over samples, p the one-hot, smoothed or given distribution of each sample."""
    plain = weight is None and size_average is None and reduce is None
    if not plain or reduction not in ("mean", "sum") or head(x).ndim != 2:
        raise argument_error("loss", "be cross-entropy of (batch, classes) by mean or sum, without class weights", "another one")
    classes = head(x).shape[1]
    if target.is_floating_point():
        p, counted = target, torch.ones(len(target), dtype=target.dtype, device=target.device)
    else:
        counted = (target != ignore_index).to(head(x))
        p = F.one_hot(target.where(target != ignore_index, 0), classes).to(head(x))
    p = p * (1 - label_smoothing) + label_smoothing / classes
    gap = add(order, logsumexp(order, x, 1), each(lambda c: -(c * p).sum(1), x))
    total = each(lambda c: (c * counted).sum(), gap)
    return total if reduction == "sum" else scale(total, 1 / float(counted.sum()))


def mse_loss(
    order: int, x: Any, y: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean", weight: None = None
) -> Series:
    """Mean (or sum) of (x - y)^2, unweighted."""
    if weight is not None or size_average is not None or reduce is not None or reduction not in ("mean", "sum"):
        raise argument_error("loss", "be the mean squared error by mean or sum, without weights", "another one")
    gap = add(order, x, y, alpha=-1)
    square = multiply(order, gap, gap)
    return each(lambda c: c.mean() if reduction == "mean" else c.sum(), square)


def linear(order: int, x: Any, weight: Any, bias: Any = None) -> Series:
    """x W^T + b."""
    product = bilinear(order, F.linear, x, weight)
    return product if bias is None else add(order, product, bias)


def convolution(function: Callable[..., Tensor], dimensions: int) -> Callable[..., Series]:
    """The rule of a convolution over so many dimensions: bilinear in the input and the kernel, plus the bias."""

    def rule(order: int, x: Any, weight: Any, bias: Any = None, *args: Any, **kwargs: Any) -> Series:
        product = bilinear(order, lambda a, w: function(a, w, None, *args, **kwargs), x, weight)
        if bias is None:
            return product
        dims = [1] * dimensions
        shaped = each(lambda b: b.view(-1, *dims), bias) if is_series(bias) else bias.view(-1, *dims)
        return add(order, product, shaped)

    return rule


def elementwise_linear(name: str) -> Callable[..., Series]:
    """The rule of an operation that is linear in its first argument: it acts on each coefficient."""

    def rule(order: int, x: Series, *args: Any, **kwargs: Any) -> Series:
        function = getattr(Tensor if name in _METHODS else F, name, None) or getattr(torch, name)
        return each(lambda c: function(c, *args, **kwargs), x)

    return rule


def join(function: Callable[..., Tensor]) -> Callable[..., Series]:
    """The rule of cat and stack: zeros take the place of missing coefficients."""

    def rule(order: int, parts: list[Any], dim: int = 0) -> Series:
        full = [part if is_series(part) else [part] + [None] * order for part in parts]
        return [
            function([part[k] if part[k] is not None else torch.zeros_like(part[0]) for part in full], dim)
            for k in range(order + 1)
        ]

    return rule


_METHODS = (
    "view", "reshape", "contiguous", "expand", "to", "transpose", "permute", "flatten", "unsqueeze", "squeeze", "mean", "sum",
    "repeat", "clone", "neg",
)  # fmt: skip
_LINEAR = (*_METHODS, "avg_pool2d", "adaptive_avg_pool2d", "roll", "cumsum")


def pad(order: int, x: Series, pad: Any, mode: str = "constant", value: float | None = None) -> Series:
    """Padding by a value adds it to the constant coefficient alone."""
    return [None if c is None else F.pad(c, pad, mode, value if k == 0 else None) for k, c in enumerate(x)]


def dropout(order: int, x: Series, p: float = 0.5, training: bool = True, inplace: bool = False) -> Series:
    """The identity in evaluation mode."""
    if training and p > 0:
        raise argument_error("network", "be without active dropout (call eval())", "training")
    return x


RULES: dict[str, Callable[..., Series]] = {
    **{name: elementwise_linear(name) for name in _LINEAR},
    "add": add,
    "sub": lambda order, x, y, *, alpha=1: add(order, x, y, alpha=-alpha),
    "mul": multiply,
    "div": divide,
    "true_divide": divide,
    "matmul": lambda order, x, y: bilinear(order, torch.matmul, x, y),
    "bmm": lambda order, x, y: bilinear(order, torch.bmm, x, y),
    "linear": linear,
    "conv1d": convolution(F.conv1d, 1),
    "conv2d": convolution(F.conv2d, 2),
    "pad": pad,
    "dropout": dropout,
    "cat": join(torch.cat),
    "stack": join(torch.stack),
    "exp": exp,
    "log": log,
    "pow": power,
    "square": lambda order, x: multiply(order, x, x),
    "sqrt": lambda order, x: power(order, x, 0.5),
    "rsqrt": lambda order, x: power(order, x, -0.5),
    "reciprocal": lambda order, x: power(order, x, -1.0),
    "tanh": tanh,
    "sigmoid": sigmoid,
    "silu": silu,
    "gelu": gelu,
    "softplus": softplus,
    "logsumexp": logsumexp,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "cross_entropy": cross_entropy,
    "mse_loss": mse_loss,
}
