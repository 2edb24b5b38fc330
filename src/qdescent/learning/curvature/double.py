"""Everything that is computed meanwhile is computed in float64: also what a network casts to
another type by itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

TWIN = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex64: torch.complex128,
}
CASTS = {"float", "half", "bfloat16"}  # methods of a tensor without an argument
# what is no container and stays as it is: most arguments, which need no walk through a tree
PLAIN = {bool, int, float, complex, str, type(None), torch.device, torch.Size, slice, type(...)}


class InDouble(TorchFunctionMode):
    """Floating-point arguments, results and types named in a call become double.

    Needs no change of the network: constants in the loss (class weights) and casts inside `forward`
    follow. Tensors from outside are copied, so that what is changed in place is not theirs.

    Example:
        >>> with InDouble():
        ...     (torch.ones(2) * torch.zeros(2, dtype=torch.float16)).float().dtype
        torch.float64
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(function, "__name__", "")
        if name in ("__get__", "__set__"):
            return function(*args, **(kwargs or {}))
        args = [_doubled(x) for x in args]
        kwargs = {key: _doubled(x) for key, x in (kwargs or {}).items()}
        if name in CASTS:
            return args[0].double()
        return _doubled(function(*args, **kwargs))


def _doubled(x: Any) -> Any:
    """The same with every tensor and every type in it double."""
    if type(x) in PLAIN:
        return x
    return _double(x) if isinstance(x, (Tensor, torch.dtype)) else tree_map(_double, x)


def _double(x: Any) -> Any:
    if isinstance(x, Tensor):
        return x.to(TWIN[x.dtype]) if x.dtype in TWIN else x
    return TWIN.get(x, x) if isinstance(x, torch.dtype) else x
