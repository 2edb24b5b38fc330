"""Functions of each entry: by their Taylor coefficients, or composed."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from qdescent._checks import argument_error
from qdescent.learning.taylor import functions as towers
from qdescent.learning.taylor.jet import RULES, Jet, rule
from qdescent.learning.taylor.pointwise import Pointwise


def pointwise(tower: towers.Tower, x: Jet) -> Jet:
    """An elementwise function."""
    return x.record(Pointwise(tower(x.value, x.tape.order + 1), x.node))


@rule("pow")
def pow_(x: Any, exponent: Any) -> Jet:
    """x^a for a constant number a; b^x for a positive number b."""
    if isinstance(exponent, Tensor) and exponent.ndim == 0:
        exponent = exponent.item()
    if isinstance(exponent, (int, float)):
        return pointwise(towers.power(exponent), x)
    if isinstance(x, (int, float)) and x > 0:
        return (exponent * math.log(x)).exp()
    return NotImplemented


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


@rule("log_sigmoid")
def log_sigmoid(x: Jet) -> Jet:
    """-log(1 + exp(-x))."""
    return -pointwise(towers.softplus(1.0), -x)


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


@rule("mish")
def mish(x: Jet, inplace: bool = False) -> Jet:
    """x tanh(log(1 + exp(x)))."""
    return x * pointwise(towers.softplus(1.0), x).tanh()


@rule("glu")
def glu(x: Jet, dim: int = -1) -> Jet:
    """The first half of an axis times the sigmoid of the second."""
    a, b = x.chunk(2, dim)
    return a * b.sigmoid()


@rule("dropout", "dropout1d", "dropout2d", "dropout3d")
def dropout(x: Jet, p: float = 0.5, training: bool = True, inplace: bool = False) -> Jet:
    """The identity in evaluation mode."""
    if training and p > 0:
        raise argument_error("network", "hold dropout in evaluation mode (call eval())", "training")
    return x


RULES.update(
    {
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
