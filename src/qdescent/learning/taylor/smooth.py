"""One smooth function of PyTorch inside a series: by nested forward derivatives of it alone.

The rest of the network keeps its rules, so that a function without one costs 2^N to 3^N times
itself, not times the network.
"""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import jvp, vjp
from torch.utils._python_dispatch import TorchDispatchMode

from qdescent._checks import argument_error
from qdescent.learning.taylor.tape import Node, Terms, stacked

SMOOTH = {
    "GELU, SiLU or tanh": (
        "relu leaky_relu rrelu_with_noise elu hardtanh threshold _prelu_kernel hardswish"
        " hardsigmoid softshrink hardshrink"
    ),
    "mean pooling or strides": (
        "max_pool1d max_pool2d mkldnn_max_pool2d max_pool2d_with_indices max_pool3d_with_indices "
        "adaptive_max_pool2d adaptive_max_pool3d fractional_max_pool2d"
    ),
    "a smooth function": (
        "abs clamp clamp_min clamp_max maximum minimum max min sign sgn round floor ceil trunc frac"
        " fmod remainder floor_divide copysign"
    ),
    "the mean squared error or cross-entropy": (
        "smooth_l1_loss huber_loss l1_loss multi_margin_loss multilabel_margin_loss"
    ),
    # wrong nested derivatives
    "F.layer_norm, F.group_norm or elementary operations": "native_layer_norm native_group_norm",
}
KINKS = {name: instead for instead, names in SMOOTH.items() for name in names.split()}
# Where they meet a tensor that depends on the weights; data alone may be compared and sorted.
BRANCHED = (
    "gt ge lt le greater greater_equal less less_equal heaviside bool amax amin aminmax fmax fmin"
    " topk sort msort kthvalue median nanmedian cummax cummin nan_to_num quantile argmax argmin"
    " argsort"
)
BRANCHES = frozenset(BRANCHED.split())

Derivatives = list[tuple[Tensor, ...]]  # in eps, each of several tensors
AGREED, NOISE = 1e-2, 100.0  # of differences: relative, and in units of their own rounding


class NoKinks(TorchDispatchMode):
    """Refuses operations whose derivatives of higher order are zero or wrong without an error;
    integers depend on no weight.
    """

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = function.overloadpacket.__name__.removesuffix("_")
        if name in KINKS and any(isinstance(x, Tensor) and x.is_floating_point() for x in args):
            raise argument_error(
                "network", "be smooth", f"using {name!r} (use {KINKS[name]} instead)"
            )
        return function(*args, **(kwargs or {}))


class Smooth:
    """y = f(x, ...), f any smooth function of PyTorch.

    Coefficient k of y is the k-th derivative in eps of f(x(eps), ...), over k!; that of the inputs'
    adjoints the k-th derivative of f's transposed derivative at x(eps), applied to ybar(eps).

    Args:
        name: of f.
        function: f, of as many tensors as there are nodes.
        nodes: its arguments.
        order: N, to which its derivatives are compared with differences.

    Raises:
        ArgumentError: f has a kink, or PyTorch's derivatives of it are not its own: `linalg.solve`
            keeps a factorisation that all but the first take for constant.
        Exception: whatever PyTorch raises where f has no nested derivatives.
    """

    def __init__(
        self, name: str, function: Callable[..., Tensor], nodes: Sequence[Node], order: int
    ) -> None:
        self._name, self.inputs = name, tuple(nodes)
        self._function = function
        self._values: tuple[Tensor, ...] = tuple(node.value for node in nodes)  # type: ignore[misc]
        with NoKinks():
            value = function(*self._values)
        self.output = Node(value)
        self._check(torch.ones_like(value), order)

    def pull_value(self, adjoint: Tensor) -> Sequence[Tensor]:
        self._adjoint = adjoint
        with torch.enable_grad():
            found: Sequence[Tensor] = vjp(self._function, *self._values)[1](adjoint)
        return found

    def push(self) -> Tensor:
        self._terms = [stacked(node.coefficients()) for node in self.inputs]
        return torch.stack(self._forward(self._values, self._terms)[1:])

    def pull(self, adjoint: Tensor) -> Sequence[Terms]:
        found = self._backward(self._values, self._terms, self._adjoint, adjoint)
        del self._terms
        return [torch.stack(part[1:]) for part in found]

    def _forward(self, values: Sequence[Tensor], terms: Sequence[Tensor]) -> list[Tensor]:
        def along(eps: Tensor) -> tuple[Tensor, ...]:
            return (self._function(*_curves(values, terms, eps)),)

        return [part for (part,) in _coefficients(along, len(terms[0]), values[0])]

    def _backward(
        self, values: Sequence[Tensor], terms: Sequence[Tensor], start: Tensor, adjoint: Tensor
    ) -> list[list[Tensor]]:
        def along(eps: Tensor) -> tuple[Tensor, ...]:
            back = vjp(self._function, *_curves(values, terms, eps))[1]
            found: tuple[Tensor, ...] = back(*_curves([start], [adjoint], eps))
            return found

        found = _coefficients(along, len(adjoint), values[0])
        return [list(part) for part in zip(*found, strict=True)]

    def _check(self, ones: Tensor, order: int) -> None:
        """Along x + t v coefficient k is 1/k times the slope in t of coefficient k - 1."""
        own, generator = torch.finfo(ones.dtype).eps, torch.Generator().manual_seed(0)
        still = torch.zeros_like(ones).expand(order, *ones.shape)
        step, line, terms = own ** (1 / 3), [], []
        for value in self._values:
            size = 0.1 * (float(value.square().mean().sqrt()) or 1.0)
            drawn = torch.randn(value.shape, generator=generator, dtype=torch.float64, device="cpu")
            if value.ndim > 1 and torch.equal(value, value.mT):  # some functions ask for it
                drawn = drawn + drawn.mT
            line.append((size * drawn).to(value))
            terms.append(torch.cat([line[-1][None], line[-1].new_zeros(order - 1, *value.shape)]))

        def towers(t: float) -> list[list[Tensor]]:
            at = [value + t * v for value, v in zip(self._values, line, strict=True)]
            return [self._forward(at, terms), *self._backward(at, terms, ones, still)]

        for known, above, below in zip(towers(0.0), towers(step), towers(-step), strict=True):
            noise = NOISE * own ** (2 / 3) * max(float(part.norm()) for part in known)
            for k in range(1, order + 1):
                slope = (above[k - 1] - below[k - 1]) / (2 * step)
                gap, size = float((k * known[k] - slope).norm()), float(slope.norm())
                if not gap <= AGREED * size + noise:
                    off = f"{100 * gap / (size or 1.0):.2g} % off in coefficient {k}"
                    must = "be made of operations whose nested derivatives PyTorch has right"
                    raise argument_error("network", must, f"using {self._name!r}, {off}")


def _curves(values: Sequence[Tensor], terms: Sequence[Tensor], eps: Tensor) -> list[Tensor]:
    return [_polynomial(x, rest, eps) for x, rest in zip(values, terms, strict=True)]


def _polynomial(value: Tensor, terms: Tensor, eps: Tensor) -> Tensor:
    """value + eps terms_1 + eps^2 terms_2 + ..., by Horner's scheme."""
    total = terms[-1]
    for term in reversed(terms[:-1]):
        total = total * eps + term
    return total * eps + value


def _coefficients(
    along: Callable[[Tensor], tuple[Tensor, ...]], order: int, like: Tensor
) -> list[tuple[Tensor, ...]]:
    """Degrees 0 ... N of the tensors that a function of eps returns."""

    def first(eps: Tensor) -> Derivatives:
        return [along(eps)]

    def further(known: Callable[[Tensor], Derivatives]) -> Callable[[Tensor], Derivatives]:
        def one_more(eps: Tensor) -> Derivatives:
            values, slopes = jvp(known, (eps,), (torch.ones_like(eps),))[:2]
            return [*values, slopes[-1]]

        return one_more

    derivatives: Callable[[Tensor], Derivatives] = first
    for _ in range(order):
        derivatives = further(derivatives)
    with torch.enable_grad():
        found = derivatives(torch.zeros((), dtype=like.dtype, device=like.device))
    return [tuple(x.detach() / math.factorial(k) for x in part) for k, part in enumerate(found)]


@functools.cache
def body(function: Any) -> Callable[..., Any] | None:
    """A function that PyTorch writes in Python, without the question that would send it back to
    where it comes from; None where it is not written in Python.

    Its own steps are PyTorch's functions again: `F.multi_head_attention_forward` is projections,
    matrix products and a softmax.
    """
    home = getattr(function, "__module__", "")
    if not isinstance(function, types.FunctionType) or not (
        home in ("torch.nn.functional", "torch.functional") or function is Tensor.norm
    ):
        return None
    guards = [name for name in function.__globals__ if "has_torch_function" in name]
    own = {**function.__globals__, **dict.fromkeys(guards, lambda *args: False)}
    # a face over a function that asks in its name (`meshgrid` over `_meshgrid`)
    behind = own.get(f"_{function.__name__}")
    if isinstance(behind, types.FunctionType):
        own[behind.__name__] = _with(behind, own)
    return _with(function, own)


def _with(function: types.FunctionType, own: dict[str, Any]) -> types.FunctionType:
    """The same function among other globals."""
    plain = types.FunctionType(
        function.__code__, own, function.__name__, function.__defaults__, function.__closure__
    )
    plain.__kwdefaults__ = function.__kwdefaults__
    return plain
