"""Half precision that a network of wider weights turns on inside itself."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from qdescent._checks import argument_error
from qdescent.learning.batches import tensors_of
from qdescent.learning.curvature.few_samples import on_few
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task

HALF = {torch.float16, torch.bfloat16}


def check_digits(task: Task, space: ParameterSpace) -> None:
    """Check that a network computes with the digits of its weights: of products in half precision
    small eigenvalues are noise, and no type tells of it.

    Args:
        task: of which up to 4 samples are looked at.
        space: of its network.

    Raises:
        ArgumentError: half precision (`torch.autocast` in `forward`) inside a network that is given
            none: no weight, buffer or input is of such a type.

    Cost: one pass forward of 4 samples.
    """
    network = task.network
    given = [*network.parameters(), *network.buffers(), *(x for _, x in tensors_of(task.data))]
    if any(x.dtype in HALF for x in given):
        return
    seen, few = _Types(), on_few(task) or task
    with suppress(Exception), torch.no_grad(), seen:  # what it raises is told where it is measured
        few.loss_with(space.unpack(space.theta))
    if seen.halves:
        must = (
            "compute with the digits of its weights while it is measured (take `torch.autocast` and"
            " casts to half precision out of its `forward`, or say enabled=False)"
        )
        found = ", ".join(sorted(str(kind) for kind in seen.halves))
        raise argument_error("network", must, f"rounded to {found} inside")


class _Types(TorchFunctionMode):
    """Sees the types of all results."""

    def __init__(self) -> None:
        super().__init__()
        self.halves: set[torch.dtype] = set()

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        self.halves |= {
            x.dtype for x in tree_leaves(result) if isinstance(x, Tensor) and x.dtype in HALF
        }
        return result
