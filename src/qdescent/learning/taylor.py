"""Taylor series of a loss along a curve of weights, and of its gradient by one reverse pass.

Along u(eps) = sum_k eps^k u_k the loss is L(theta + u(eps)) = sum_k eps^k L_k and the gradient is sum_k eps^k g_k. Because L_N
depends on
u_j only through g_{N-j}, dL_N / du_j = g_{N-j}: one forward pass in truncated power series and one reverse pass of its last
coefficient give every g_k.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from qdescent._checks import ArgumentError, argument_error, check_integer
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.taylor_rules import RULES, Series, add, multiply, power, scale


class MissingRuleError(ArgumentError, AttributeError):
    """An operation that no Taylor rule covers; an AttributeError too, so that `hasattr` answers on a Jet."""


@dataclass(frozen=True)
class Jet:
    """A tensor-valued truncated power series that PyTorch functions accept in place of a tensor.

    Args:
        coefficients: c_0 ... c_N, each of one shape; None stands for zero.

    Functions without a rule raise an ArgumentError that names them.
    """

    coefficients: Series

    @property
    def shape(self) -> torch.Size:
        """The shape of each coefficient."""
        return self.coefficients[0].shape  # type: ignore[union-attr]

    @property
    def ndim(self) -> int:
        """The number of dimensions of each coefficient."""
        return len(self.shape)

    @property
    def dtype(self) -> torch.dtype:
        """The type of each coefficient."""
        return self.coefficients[0].dtype  # type: ignore[union-attr]

    @property
    def device(self) -> torch.device:
        """Where each coefficient lives."""
        return self.coefficients[0].device  # type: ignore[union-attr]

    @property
    def T(self) -> Jet:
        """The transpose."""
        return Jet([None if c is None else c.T for c in self.coefficients])

    @property
    def order(self) -> int:
        """N, the degree after which the series is cut."""
        return len(self.coefficients) - 1

    def size(self, dim: int | None = None) -> torch.Size | int:
        """As `Tensor.size`."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """As `Tensor.dim`."""
        return self.ndim

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(function, "__name__", str(function))
        rule = _rule(name)
        order = next(a.order for a in _flat([*args, *(kwargs or {}).values()]) if isinstance(a, Jet))
        result = rule(order, *[_series(a) for a in args], **{k: _series(v) for k, v in (kwargs or {}).items()})
        return Jet(result)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        rule = _rule(name)
        return lambda *args, **kwargs: Jet(
            rule(self.order, self.coefficients, *[_series(a) for a in args], **{k: _series(v) for k, v in kwargs.items()})
        )

    def __add__(self, other: Any) -> Jet:
        return Jet(add(self.order, self.coefficients, _series(other)))

    __radd__ = __add__

    def __neg__(self) -> Jet:
        return Jet(scale(self.coefficients, -1.0))

    def __sub__(self, other: Any) -> Jet:
        return self + (-other)

    def __rsub__(self, other: Any) -> Jet:
        return (-self) + other

    def __mul__(self, other: Any) -> Jet:
        return Jet(multiply(self.order, self.coefficients, _series(other)))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Jet:
        inverse = Jet(power(self.order, other.coefficients, -1.0)) if isinstance(other, Jet) else 1.0 / other
        return self * inverse

    def __rtruediv__(self, other: Any) -> Jet:
        return Jet(power(self.order, self.coefficients, -1.0)) * other

    def __pow__(self, exponent: float) -> Jet:
        return Jet(power(self.order, self.coefficients, exponent))

    def __matmul__(self, other: Any) -> Jet:
        return Jet(RULES["matmul"](self.order, self.coefficients, _series(other)))

    def __rmatmul__(self, other: Any) -> Jet:
        return Jet(RULES["matmul"](self.order, _series(other), self.coefficients))

    def __getitem__(self, index: Any) -> Jet:
        return Jet([None if c is None else c[index] for c in self.coefficients])


def _rule(name: str) -> Callable[..., Series]:
    if name not in RULES:
        must = "be made of operations that have a Taylor rule (smooth activations such as GELU, linear maps, softmax, mean pooling)"
        raise MissingRuleError(str(argument_error("network", must, f"using {name!r}")))
    return RULES[name]


def _flat(arguments: Sequence[Any]) -> list[Any]:
    return [item for a in arguments for item in (a if isinstance(a, (list, tuple)) else [a])]


def _series(argument: Any) -> Any:
    """What the rules take: a list of coefficients for a Jet, a list of such lists for a sequence of Jets, the rest as it is."""
    if isinstance(argument, Jet):
        return argument.coefficients
    if isinstance(argument, (list, tuple)) and any(isinstance(a, Jet) for a in argument):
        return [_series(a) for a in argument]
    return argument


@contextmanager
def weights_replaced(network: nn.Module, jets: Mapping[str, Jet]):  # type: ignore[no-untyped-def]
    """The network with Jets in the place of its parameters, put back afterwards.

    `torch.func.functional_call` takes tensors only, hence the direct way through each module's parameter table.
    """
    by_weight = {id(network.get_parameter(name)): jet for name, jet in jets.items()}
    places = [  # every place of a weight, for tied weights have several
        (module._parameters, key, weight)
        for module in network.modules()
        for key, weight in module._parameters.items()
        if id(weight) in by_weight
    ]
    try:
        for table, key, weight in places:
            table[key] = by_weight[id(weight)]  # type: ignore[assignment]
        yield
    finally:
        for table, key, weight in places:
            table[key] = weight


def gradient_series(task: Task, space: ParameterSpace, theta: Tensor, terms: Sequence[Tensor]) -> list[Tensor]:
    """The coefficients g_1 ... g_N of grad L(theta + sum_k eps^k u_k).

    Args:
        task: network, loss and batch.
        space: the kept weights.
        theta: the point, (n,).
        terms: u_1 ... u_N, each (n,).

    Returns:
        N tensors of shape (n,).

    Raises:
        ArgumentError: no terms; an operation without a Taylor rule (ReLU has none: a kink has no series).

    Cost: N(N+3)/2 + 1 forward convolutions and as many reverse ones for each layer, one graph of N + 1 times a gradient's
    memory.

    References:
        Griewank and Walther, Evaluating Derivatives (2008), chapter 13 (Taylor arithmetic); the reverse identity is derived
        in docs/mathematics.md.

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(1, 1, bias=False).double()
        >>> data = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        >>> task, space = Task(network, torch.nn.functional.mse_loss, data), ParameterSpace(network)
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> [g.tolist() for g in gradient_series(task, space, one, [one, one])]  # L = theta^2
        [[2.0], [2.0]]
    """
    order = check_integer("number of terms", len(terms), 1)
    points = [[w.detach().requires_grad_() for w in space.unpack(theta).values()]]
    for k, term in enumerate(terms, start=1):
        leaves = [w.detach() for w in space.embed(term).values()]
        points.append([w.requires_grad_() for w in leaves] if k < order else leaves)
    jets = {name: Jet([point[i] for point in points]) for i, name in enumerate(space.names)}
    with weights_replaced(task.network, jets):
        outputs = task.network(task.data[0])
        loss = task.loss(outputs, task.data[1])
    last = loss.coefficients[order]  # type: ignore[attr-defined]  # a Jet went in, a Jet came out
    wanted = [leaf for point in points[:order] for leaf in point]
    if last is None or not last.requires_grad:  # the loss is of lower degree than N along any curve
        return [torch.zeros_like(theta) for _ in terms]
    gradients = torch.autograd.grad(last, wanted, allow_unused=True, materialize_grads=True)
    count = len(space.names)
    packed = [space.pack(gradients[j * count : (j + 1) * count]) for j in range(order)]
    return packed[::-1]  # dL_N/du_j = g_{N-j}
