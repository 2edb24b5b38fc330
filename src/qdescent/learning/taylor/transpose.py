"""The transposed derivative of a function by plain autograd.

`torch.func.vjp` would do, too, but imports torch's whole compiler on its way, some seconds of it;
and `autograd.grad` imports symbolic algebra, a second, as soon as it is given an adjoint. So a
single adjoint becomes a weight of a sum, whose derivative is the same to the bit.
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
        one = adjoint[0] if stacked and len(adjoint) == 1 else None if stacked else adjoint
        if one is not None and not value.is_complex():
            with torch.enable_grad():
                weighted = (value * one.detach()).sum()
            found = torch.autograd.grad(
                weighted, points, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            return [part[None] for part in found] if stacked else found
        with torch.autograd.set_detect_anomaly(False):  # which asks for values: `vmap` has none
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
