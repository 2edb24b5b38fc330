"""Sums, products, linear layers and convolutions: linear functions act on each coefficient,
bilinear ones by the Cauchy product.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from qdescent.learning.taylor.convolutions import Convolution
from qdescent.learning.taylor.jet import RULES, Jet, Rule, rule
from qdescent.learning.taylor.products import (
    Contraction,
    Elementwise,
    LinearLayer,
    MatrixProduct,
    Product,
)
from qdescent.learning.taylor.rules.elementwise import pow_
from qdescent.learning.taylor.tape import Shift, Sum


def plain(x: Any) -> Any:
    """What an operation takes: the node of a Jet, a constant as it is."""
    return x.node if isinstance(x, Jet) else x


def shape_of(x: Any) -> torch.Size:
    """The shape of a Jet or a constant."""
    return x.shape if isinstance(x, (Jet, Tensor)) else torch.Size()


def jet_among(*parts: Any) -> Jet | None:
    """The first Jet of them."""
    return next((part for part in parts if isinstance(part, Jet)), None)


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
def div(x: Any, y: Any, *, rounding_mode: str | None = None) -> Jet:
    """x / y."""
    if rounding_mode is not None:
        return NotImplemented
    if isinstance(y, Tensor) and not y.is_floating_point():
        y = y.to(x.dtype)  # else its reciprocal would be of the default type
    return mul(x, pow_(y, -1.0) if isinstance(y, Jet) else 1.0 / y)


@rule("addcmul")
def addcmul(x: Any, a: Any, b: Any, *, value: float = 1) -> Jet:
    """x + value a b."""
    return x + value * (a * b)


@rule("lerp")
def lerp(x: Any, y: Any, weight: Any) -> Jet:
    """x + weight (y - x)."""
    return x + (y - x) * weight


@rule("matmul", "bmm", "mm", "mv", "dot", "vdot")
def matmul(x: Any, y: Any) -> Jet:
    """x @ y, as torch.matmul has it."""
    if shape_of(y) and len(shape_of(y)) == 1:
        return matmul(x, y.unsqueeze(-1)).squeeze(-1)
    if len(shape_of(x)) == 1:
        return matmul(x.unsqueeze(0), y).squeeze(-2)
    jet = x if isinstance(x, Jet) else y
    return jet.record(Product(MatrixProduct(x.shape, y.shape), plain(x), plain(y)))


@rule("outer")
def outer(x: Any, y: Any) -> Jet:
    """x y^T."""
    return x.unsqueeze(1) * y


@rule("addmm", "baddbmm", "addmv")
def addmm(bias: Any, x: Any, y: Any, *, beta: float = 1, alpha: float = 1) -> Jet:
    """beta bias + alpha x @ y."""
    product = torch.matmul(x, y) if jet_among(x, y) is None else matmul(x, y)
    product = product if alpha == 1 else alpha * product
    return product + (bias if beta == 1 else beta * bias)


@rule("einsum")
def einsum(equation: Any, *operands: Any) -> Any:
    """Products of two by the Cauchy product, one pair after the other."""
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    if not isinstance(equation, str) or "->" not in equation:
        return NotImplemented
    equation = _spelled(equation, operands)
    if "." in equation:
        return NotImplemented
    left, found = equation.replace(" ", "").split("->")
    letters = left.split(",")
    if len(operands) < 2 or any(len(set(each)) < len(each) for each in [*letters, found]):
        return NotImplemented
    if len(operands) > 2:
        rest = set(found).union(*letters[2:])
        kept = "".join(
            letter for letter in dict.fromkeys(letters[0] + letters[1]) if letter in rest
        )
        first = torch.einsum(f"{letters[0]},{letters[1]}->{kept}", *operands[:2])
        return torch.einsum(f"{','.join([kept, *letters[2:]])}->{found}", first, *operands[2:])
    x, y = operands
    for k, (own, other) in enumerate((letters, letters[::-1])):
        alone = set(own) - set(other) - set(found)
        if alone:  # summed first
            summed = operands[k].sum([own.index(letter) for letter in alone])
            left = "".join(letter for letter in own if letter not in alone)
            pair = [(left, summed), (other, operands[1 - k])]
            (a, x), (b, y) = pair if k == 0 else pair[::-1]
            return torch.einsum(f"{a},{b}->{found}", x, y)
    jet = jet_among(x, y)
    assert jet is not None
    return jet.record(Product(Contraction(letters[0], letters[1], found), plain(x), plain(y)))


def _spelled(equation: str, operands: Sequence[Any]) -> str:
    """The same without dots, where they stand for as many axes of each operand that has some."""
    parts = equation.replace(" ", "").split("->")[0].split(",")
    axes = {
        x.ndim - len(part) + 3 for part, x in zip(parts, operands, strict=False) if "..." in part
    }
    spare = "".join(sorted(set(ascii_letters) - set(equation)))
    return equation.replace("...", spare[: axes.pop()]) if len(axes) == 1 else equation


@rule("linear")
def linear(x: Any, weight: Any, bias: Any = None) -> Jet:
    """x W^T + b."""
    if shape_of(x) and len(shape_of(x)) == 1:
        return linear(x.unsqueeze(0), weight, bias).squeeze(0)
    jet = jet_among(x, weight, bias)
    assert jet is not None
    if not isinstance(x, Jet) and not isinstance(weight, Jet):
        return F.linear(x, weight) + bias
    y = jet.record(Product(LinearLayer(), plain(x), plain(weight)))
    return y if bias is None else y + bias


def convolution(dimensions: int) -> Rule:
    """The rule of a convolution over so many dimensions."""
    function = (F.conv1d, F.conv2d, F.conv3d)[dimensions - 1]

    def convolve(
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        if padding == "same":  # which may be one place more at the end
            steps = (dilation,) * dimensions if isinstance(dilation, int) else dilation
            wide = [d * (k - 1) for d, k in zip(steps, weight.shape[2:], strict=True)]
            if any(width % 2 for width in wide):
                ends = [end for w in reversed(wide) for end in (w // 2, w - w // 2)]
                x, padding = F.pad(x, ends), 0
        settings = stride, padding, dilation, groups
        if len(x.shape) == dimensions + 1:
            return convolve(x.unsqueeze(0), weight, bias, *settings).squeeze(0)
        jet = jet_among(x, weight)
        if jet is None:  # restricted to its bias
            y: Any = function(x, weight, None, *settings)
        else:
            form = Convolution(x.shape, weight.shape, *settings)
            y = jet.record(Product(form, plain(x), plain(weight), form.format))
            jet.tape.convolved += y.numel()
        return y if bias is None else y + bias.reshape(-1, *(1,) * dimensions)

    return convolve


def transposed_convolution(dimensions: int) -> Rule:
    """The rule of a transposed convolution over so many dimensions."""
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[dimensions - 1]

    def convolve(
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Any:
        settings = stride, padding, output_padding, groups, dilation
        if len(x.shape) == dimensions + 1:
            return convolve(x.unsqueeze(0), weight, bias, *settings).squeeze(0)
        jet = jet_among(x, weight)
        if jet is None:
            y: Any = function(x, weight, None, *settings)
        else:
            form = Convolution(
                x.shape, weight.shape, stride, padding, dilation, groups, output_padding
            )
            y = jet.record(Product(form, plain(x), plain(weight), form.format))
            jet.tape.convolved += y.numel()
        return y if bias is None else y + bias.reshape(-1, *(1,) * dimensions)

    return convolve


RULES.update({f"conv{d}d": convolution(d) for d in (1, 2, 3)})
RULES.update({f"conv_transpose{d}d": transposed_convolution(d) for d in (1, 2, 3)})
