"""The transposed derivative of a function by plain autograd.

`torch.func.vjp` would do, too, but imports torch's whole compiler on its way, some seconds of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def recorded(
    function: Callable[..., Tensor], *at: Tensor
) -> tuple[Tensor, Callable[[Tensor, bool], Sequence[Tensor]]]:
    """The value of a function at a point, and (adjoint, stacked) -> the adjoints of its arguments.

    Args:
        function: f, of tensors.
        at: its arguments.

    Example:
        >>> value, transpose = recorded(lambda x: 3 * x, torch.zeros(2))
        >>> transpose(torch.ones(2), False)[0].tolist()
        [3.0, 3.0]
        >>> transpose(torch.eye(2), True)[0].tolist()
        [[3.0, 0.0], [0.0, 3.0]]
    """
    with torch.enable_grad():
        points = [x.detach().requires_grad_() for x in at]
        value = function(*points)

    def transpose(adjoint: Tensor, stacked: bool) -> Sequence[Tensor]:
        return torch.autograd.grad(
            value,
            points,
            adjoint,
            retain_graph=True,
            is_grads_batched=stacked,
            allow_unused=True,
            materialize_grads=True,
        )

    return value.detach(), transpose
