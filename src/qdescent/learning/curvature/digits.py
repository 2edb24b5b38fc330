"""Digits that a network drops inside itself: half precision that it turns on, and steps (rounding,
thresholds) of what depends on its weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from qdescent._checks import argument_error
from qdescent.learning.batches import tensors_of
from qdescent.learning.curvature.few_samples import on_few
from qdescent.learning.curvature.rounding import EPS, ROUNDING, drawn
from qdescent.learning.curvature.slopes import length_along
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task

HALF = {torch.float16, torch.bfloat16}
# by name, less the underscores of methods and of operations in place
STEPPED = {"round", "floor", "ceil", "trunc", "fix", "frac", "sign", "sgn", "heaviside"} | {
    *("floor_divide", "floordiv", "rfloordiv", "remainder", "fmod", "mod", "rmod"),
}
# relative to ||theta||, and how many directions: from one length to the next what is smooth comes
# together a hundredfold, what has kinks tenfold, what has steps not at all
LENGTHS, DIRECTIONS = (0.1, 0.01, 1e-3), 8
STAYS = 0.3  # of what parts them over the longer way
APART = 0.1  # of rise and slope: less is no other loss


def check_digits(task: Task, space: ParameterSpace) -> frozenset[str]:
    """Check that a network computes with the digits of its weights: of products in half precision
    small eigenvalues are noise, and no type tells of it.

    Args:
        task: of which up to 4 samples are looked at.
        space: of its network.

    Returns:
        frozenset: the names of functions that make steps of real numbers (`round`, `gt`); whether
            these depend on the weights is not known of them.

    Raises:
        ArgumentError: half precision (`torch.autocast` in `forward`) inside a network that is given
            none: no weight, buffer or input is of such a type.

    Cost: one pass forward of 4 samples.
    """
    network = task.network
    seen, few = _Seen(), on_few(task) or task
    with suppress(Exception), torch.no_grad(), seen:  # what it raises is told where it is measured
        few.loss_with(space.unpack(space.theta))
    given = [*network.parameters(), *network.buffers(), *(x for _, x in tensors_of(task.data))]
    if seen.halves and not any(x.dtype in HALF for x in given):
        must = (
            "compute with the digits of its weights while it is measured (take `torch.autocast` and"
            " casts to half precision out of its `forward`, or say enabled=False)"
        )
        found = ", ".join(sorted(str(kind) for kind in seen.halves))
        raise argument_error("network", must, f"rounded to {found} inside")
    return frozenset(seen.steps)


class _Seen(TorchFunctionMode):
    """Sees the types of all results, and what makes steps of real numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.halves: set[torch.dtype] = set()
        self.steps: set[str] = set()

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        self.halves |= {
            x.dtype for x in tree_leaves(result) if isinstance(x, Tensor) and x.dtype in HALF
        }
        name = getattr(function, "__name__", "").strip("_")
        of_real = isinstance(next(iter(args), None), Tensor) and args[0].is_floating_point()
        if of_real and isinstance(result, Tensor) and (name in STEPPED or _is_discrete(result)):
            self.steps.add(name)
        return result


def _is_discrete(x: Tensor) -> bool:
    return not (x.is_floating_point() or x.is_complex())


def steps_of_weights(
    steps: frozenset[str],
    loss: Callable[[Tensor], float],
    gradient: Tensor,
    theta: Tensor,
) -> str:
    """A remark where a loss goes in steps that its gradient does not see, or nothing.

    A step of what does not depend on the weights (a mask of the data) parts nothing, and one that
    is a kink's own (x > 0 of a ReLU by hand) parts rise and slope by ever less as they are looked
    at over a shorter way.

    Args:
        steps: what `check_digits` saw.
        loss: in float64.
        gradient: its gradient at theta, (n,), in float64.
        theta: the point, (n,), in float64.

    Cost: 49 losses, where there are steps at all.
    """
    value, before = abs(loss(theta)), math.inf
    for length in LENGTHS:
        apart = rises = slopes = 0.0
        for place in range(DIRECTIONS):
            v = drawn(theta, place, "wide")
            h = length_along(theta, v, length)
            rise = (loss(theta + h * v) - loss(theta - h * v)) / (2 * h)
            slope = float(gradient @ v)
            noise = ROUNDING * EPS * value / h
            apart += max(abs(rise - slope) - noise, 0.0) ** 2
            rises, slopes = rises + rise**2, slopes + slope**2
        size = max(rises, slopes)
        if apart > STAYS**2 * before and apart > APART**2 * size:
            return (
                f"The network makes steps of what depends on its weights"
                f" ({', '.join(sorted(steps))}), of which PyTorch's derivatives see nothing: moved"
                f" by {length:g} of the weights' length its loss rises otherwise than its gradient"
                f" says, by {100 * (apart / size) ** 0.5:.2g} % of the larger. The curvature is"
                " that between two steps."
            )
        before = apart
    return ""
