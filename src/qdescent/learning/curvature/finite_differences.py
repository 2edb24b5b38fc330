"""The Hessian from gradients alone, where they cannot be differentiated again."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import check_callable, check_interval
from qdescent.linalg.operator import LinearOperator


def finite_difference_hessian(
    gradient: Callable[[Tensor], Tensor], theta: Tensor, step: float | None = None
) -> LinearOperator:
    """H v = (grad L(theta + h v) - grad L(theta - h v)) / (2 h), for gradients that cannot be
    differentiated again.

    For sharded models (FSDP), whose parameters `autograd` does not reach twice. Each column is
    scaled to length ||theta|| first.

    Args:
        gradient: theta (n,) -> grad L(theta) (n,).
        theta: the point, (n,).
        step: h relative to ||theta||; None: the cube root of rounding, where truncation O(h^2) and
            rounding O(eps/h) are equal.

    Cost: two gradients a product; error about eps^(2/3), 1e-10 in float64 and 2e-5 in float32.

    Example:
        >>> import torch
        >>> H = finite_difference_hessian(
        ...     lambda x: x**3, torch.tensor([1.0, 2.0], dtype=torch.float64)
        ... )
        >>> [round(x, 6) for x in (H @ torch.ones(2, dtype=torch.float64)).tolist()]
        [3.0, 12.0]
    """
    check_callable("gradient", gradient, "a function theta -> grad L(theta)")
    theta = check_tensor("theta", theta, (None,))
    h = (
        torch.finfo(theta.dtype).eps ** (1 / 3)
        if step is None
        else check_interval("step", step, "(0, 1)")
    )
    size = float(torch.linalg.vector_norm(theta)) or 1.0

    def column(v: Tensor) -> Tensor:
        length = float(torch.linalg.vector_norm(v))
        if length == 0:
            return torch.zeros_like(v)
        move = v * (h * size / length)
        ends = [
            check_tensor("gradient", gradient(point), (len(theta),))
            for point in (theta + move, theta - move)
        ]
        return (ends[0] - ends[1]) * (length / (2 * h * size))

    def apply(block: Tensor) -> Tensor:
        return torch.stack([column(v) for v in block.T]).T

    n, dtype = len(theta), theta.dtype
    # of differences with a step of eps^(1/3); a kink on the way leaves more
    rounding = 10 * torch.finfo(dtype).eps ** (2 / 3)
    return LinearOperator((n, n), apply, apply, dtype, theta.device, rounding=rounding)
