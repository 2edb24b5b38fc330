"""The gradient's series by nested forward derivatives: slow, but for any smooth module."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, jvp
from torch.overrides import TorchFunctionMode

from qdescent._checks import argument_error, check_integer
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.taylor.rules import recurrent
from qdescent.learning.taylor.rules.attention import scaled_dot_product_attention
from qdescent.learning.taylor.rules.norms import (
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
    weight_norm,
)
from qdescent.learning.taylor.smooth import AGREED, BRANCHES, NOISE, NoKinks, body
from qdescent.learning.unchanged import THETA, Unchanged

NESTED = 1.3  # gradients a call, over 3^N
CURES = {  # by what PyTorch says
    "forward AD": "have forward derivatives everywhere",
    "in-place": "join its parts by torch.stack or torch.cat, not write them into a tensor",
    "inplace": "join its parts by torch.stack or torch.cat, not write them into a tensor",
    "autograd.Function": "be made of PyTorch's own operations (no backward of its own)",
    ".item()": "not ask for the numbers of what depends on the weights",
}


class NestedSeries:
    """As `GradientSeries`, by dL_N / du_j = g_{N-j}, with L_N from N nested forward derivatives of
    eps -> L(theta + sum eps^k u_k).

    Args:
        task: network, loss and batch.
        space: the kept weights.
        theta: the point, (n,).
        order: N, at least 1.

    Raises:
        ArgumentError: an operation with a kink, whose nested derivatives would be wrong without a
            word; one that PyTorch cannot differentiate forwards.

    Attributes:
        gradient: grad L(theta), (n,).
        how: way in which the coefficients are found, with its price, in words.
        rounding: of theta's type.
        price: of a call, in gradients.

    Cost: some 1.3 3^N gradients a call: 4, 12, 33, 98 at orders 1 to 4 (measured on a U-Net and a
        vision transformer).
    """

    def __init__(self, task: Task, space: ParameterSpace, theta: Tensor, order: int) -> None:
        self.order = check_integer("order", order, 1)
        self.rounding, self.price = torch.finfo(theta.dtype).eps, NESTED * 3.0**order
        self.how = (
            "nested forward derivatives of the whole network, some"
            f" {self.price:.0f} gradients a step"
        )
        self._task, self._space, self._theta = task, space, theta
        self._standing = Unchanged("theta", THETA, [theta])
        with NoKinks(), _NoBranches(), Elementary():
            self.gradient = task.loss_and_gradient(space, theta)[1]

    def __call__(self, terms: Sequence[Tensor] | Tensor) -> Tensor:
        """g_1 ... g_k, (k, n), for the curve u_1 ... u_k, (k, n), k at most N."""
        degree = len(terms)
        if not 1 <= degree <= self.order:
            raise argument_error("terms", f"be 1 to {self.order} of them", degree)
        self._standing.check()
        zero = torch.zeros((), dtype=self._theta.dtype, device=self._theta.device)

        def coefficient(*points: Tensor) -> Tensor:
            curve = [*points, terms[-1]]

            def loss(eps: Tensor) -> Tensor:
                point = curve[-1]
                for u in reversed(curve[:-1]):
                    point = point * eps + u
                return self._task.loss_at(self._space, point)

            along: Callable[[Tensor], Tensor] = loss
            for _ in range(degree):
                along = _slope(along)
            return along(zero) / math.factorial(degree)

        with elementary():
            found = grad(coefficient, argnums=tuple(range(degree)))(self._theta, *list(terms)[:-1])
        return torch.stack(found[::-1])

    def check_second(self) -> None:
        """Compare coefficient 2 along a line with the slope of coefficient 1.

        Raises:
            ArgumentError: PyTorch's nested derivatives of the network are wrong.

        Cost: 8 gradients and a call.
        """
        theta, own = self._theta, torch.finfo(self._theta.dtype).eps
        drawn = torch.randn(len(theta), generator=torch.Generator().manual_seed(0), device="cpu")
        v = 0.1 * (float(theta.square().mean().sqrt()) or 1.0) * drawn.to(theta)
        step = own ** (1 / 3)
        after, before = (
            NestedSeries(self._task, self._space, theta + t * v, 1)([v])[0] for t in (step, -step)
        )
        first, second = self([v, torch.zeros_like(v)])
        slope = (after - before) / (2 * step)
        gap, size, noise = (float(x.norm()) for x in (2 * second - slope, slope, first))
        if not gap <= AGREED * size + NOISE * own ** (2 / 3) * noise:
            off = f"{100 * gap / (size or 1.0):.2g} % off in the second"
            raise argument_error("network", "have nested derivatives that PyTorch has right", off)


def _slope(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda eps: jvp(function, (eps,), (torch.ones_like(eps),))[1]


ELEMENTARY: dict[str, Callable[..., Any]] = {
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "rms_norm": rms_norm,
    "_weight_norm": weight_norm,
    "scaled_dot_product_attention": scaled_dot_product_attention,
    "lstm": recurrent.lstm,
    "gru": recurrent.gru,
    "rnn_tanh": recurrent.rnn_tanh,
    "lstm_cell": recurrent.lstm_cell,
    "gru_cell": recurrent.gru_cell,
    "rnn_tanh_cell": recurrent.rnn_tanh_cell,
}


@contextmanager
def elementary() -> Iterator[None]:
    """`Elementary` meanwhile, and one sentence for what PyTorch cannot differentiate forwards.

    Raises:
        ArgumentError: an operation without a forward derivative; a change in place; `.item()`.
    """
    with Elementary():
        try:
            yield
        except (NotImplementedError, RuntimeError) as error:
            must = next((cure for sign, cure in CURES.items() if sign in str(error)), None)
            if must is None:
                raise
            off = f"not: {str(error).splitlines()[0]}"
            raise argument_error("network", must, off) from error


class Elementary(TorchFunctionMode):
    """Norms, attention and recurrent layers by elementary operations: PyTorch's own kernels have
    wrong nested derivatives, or none.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        steps = ELEMENTARY.get(getattr(function, "__name__", "")) or body(function)
        if steps is None:
            return function(*args, **(kwargs or {}))
        with self:  # for the functions that it is made of
            return steps(*args, **(kwargs or {}))


class _NoBranches(TorchFunctionMode):
    """Refuses choices that depend on the weights, such as x * (x > 0): each derivative is that of
    one branch alone.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(function, "__name__", "").strip("_")
        if name in BRANCHES and any(isinstance(x, Tensor) and x.requires_grad for x in args):
            raise argument_error(
                "network",
                "be smooth",
                f"using {name!r} of what depends on the weights (use a smooth function)",
            )
        return function(*args, **(kwargs or {}))
