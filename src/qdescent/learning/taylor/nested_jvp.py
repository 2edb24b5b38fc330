"""The gradient's series by nested forward derivatives: slow, but for any smooth module."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad, jvp
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from qdescent._checks import argument_error, check_integer
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task

SMOOTH = {
    "GELU, SiLU or tanh": (
        "relu leaky_relu rrelu_with_noise elu hardtanh threshold _prelu_kernel hardswish"
        " hardsigmoid softshrink hardshrink"
    ),
    "mean pooling or strides": (
        "max_pool1d max_pool2d mkldnn_max_pool2d max_pool2d_with_indices max_pool3d_with_indices "
        "adaptive_max_pool2d fractional_max_pool2d"
    ),
    "a smooth function": (
        "abs clamp clamp_min clamp_max maximum minimum max min sign round floor ceil"
    ),
    "the mean squared error or cross-entropy": "smooth_l1_loss huber_loss l1_loss",
    # wrong nested derivatives
    "nn.LayerNorm, nn.GroupNorm or elementary operations": "native_layer_norm native_group_norm",
}
KINKS = {name: instead for instead, names in SMOOTH.items() for name in names.split()}
# Where they meet a tensor that depends on the weights; data alone may be compared and sorted.
BRANCHED = (
    "gt ge lt le greater greater_equal less less_equal heaviside bool amax amin aminmax fmax fmin"
    " topk sort msort kthvalue median nanmedian cummax cummin nan_to_num quantile argmax argmin"
    " argsort"
)
BRANCHES = frozenset(BRANCHED.split())


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

    Cost: 2^N to 3^N gradients a call.
    """

    def __init__(self, task: Task, space: ParameterSpace, theta: Tensor, order: int) -> None:
        self.order = check_integer("order", order, 1)
        self._task, self._space, self._theta, self._version = task, space, theta, theta._version
        with elementary_norms(task.network), _NoKinks(), _NoBranches():
            self.gradient = task.loss_and_gradient(space, theta)[1]

    def __call__(self, terms: Sequence[Tensor] | Tensor) -> Tensor:
        """g_1 ... g_k, (k, n), for the curve u_1 ... u_k, (k, n), k at most N."""
        degree = len(terms)
        if not 1 <= degree <= self.order:
            raise argument_error("terms", f"be 1 to {self.order} of them", degree)
        if self._theta._version != self._version:
            raise argument_error(
                "theta", "stay as it is while its series is used", "changed in place"
            )
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

        with elementary_norms(self._task.network):
            try:
                found = grad(coefficient, argnums=tuple(range(degree)))(
                    self._theta, *list(terms)[:-1]
                )
            except (NotImplementedError, RuntimeError) as error:
                if "forward AD" not in str(error):
                    raise
                raise argument_error(
                    "network", "have forward derivatives everywhere", str(error).splitlines()[0]
                ) from error
        return torch.stack(found[::-1])


def _slope(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda eps: jvp(function, (eps,), (torch.ones_like(eps),))[1]


@contextmanager
def elementary_norms(network: nn.Module) -> Iterator[None]:
    """LayerNorm and GroupNorm by elementary operations meanwhile: the native ones have wrong or no
    nested derivatives.
    """
    norms = [module for module in network.modules() if type(module) in (nn.LayerNorm, nn.GroupNorm)]
    try:
        for norm in norms:
            norm.forward = _elementary(norm)
        yield
    finally:
        for norm in norms:
            del norm.forward  # the class's own again


def _elementary(norm: Any) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        if isinstance(norm, nn.LayerNorm):
            dims = tuple(range(-len(norm.normalized_shape), 0))
            y, shape = _even(x, dims, norm.eps), norm.normalized_shape
        else:
            grouped = x.unflatten(1, (norm.num_groups, -1))
            y = _even(grouped, tuple(range(2, grouped.ndim)), norm.eps).reshape(x.shape)
            shape = (-1, *(1,) * (x.ndim - 2))
        y = y if norm.weight is None else y * norm.weight.reshape(shape)
        return y if norm.bias is None else y + norm.bias.reshape(shape)

    return forward


def _even(x: Tensor, dims: tuple[int, ...], epsilon: float) -> Tensor:
    gap = x - x.mean(dims, keepdim=True)
    return gap * torch.rsqrt(gap.square().mean(dims, keepdim=True) + epsilon)


class _NoKinks(TorchDispatchMode):
    """Refuses operations whose derivatives of higher order are zero or wrong without an error."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = function.overloadpacket.__name__.removesuffix("_")
        if name in KINKS:
            raise argument_error(
                "network", "be smooth", f"using {name!r} (use {KINKS[name]} instead)"
            )
        return function(*args, **(kwargs or {}))


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
