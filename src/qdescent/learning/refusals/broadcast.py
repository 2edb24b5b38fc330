"""The trap of (N,) beside (N, 1): a loss that pairs every output with every target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from qdescent._checks import argument_error
from qdescent.learning.batches import tensors_of

# PyTorch itself warns where their arguments differ in shape, and goes on with the wrong number.
_PAIRED: tuple[Callable[..., Any], ...] = (
    functional.mse_loss,
    functional.l1_loss,
    functional.smooth_l1_loss,
    functional.huber_loss,
)


class NoPairing(TorchFunctionMode):
    """Refuses, inside a loss, elementwise operations that pair all outputs with all targets.

    What was computed from the outputs, and what from the targets, is followed. If two such tensors
    have equally many elements but not as many dimensions, such as (N, 1) and (N,), and their result
    has more elements than both, then broadcasting has made N^2 pairs of the N samples. Nobody means
    that: who compares all with all gives the axes by hand, (N, 1) and (1, N).

    Args:
        outputs: the network's, nested in containers or not.
        targets: likewise.

    Raises:
        ArgumentError: in the loss's operation; the sentence names both shapes.
    """

    def __init__(self, outputs: Any, targets: Any) -> None:
        super().__init__()
        # held, so that no identity is given twice
        self._outputs = [tensor for _, tensor in tensors_of(outputs)]
        self._targets = [tensor for _, tensor in tensors_of(targets)]
        self._of_outputs, self._of_targets = (
            set(map(id, self._outputs)),
            set(map(id, self._targets)),
        )

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = [x for x in (*args, *(kwargs or {}).values()) if isinstance(x, Tensor)]
        if function in _PAIRED and len(given) >= 2:
            if given[0].shape != given[1].shape:
                raise _refusal(given[0], given[1])
            if not given[1].is_floating_point():  # PyTorch takes them, but has no gradient then
                must = (
                    f"have targets of floating type for {function.__name__} (targets.to(outputs))"
                )
                raise argument_error("data", must, f"of type {given[1].dtype}")
        result = function(*args, **(kwargs or {}))
        if not isinstance(result, Tensor):
            return result
        outputs = [x for x in given if id(x) in self._of_outputs]
        targets = [x for x in given if id(x) in self._of_targets]
        for x in outputs:
            for y in targets:
                equal = x.numel() == y.numel() < result.numel() and x.ndim != y.ndim
                if equal and result.ndim == max(x.ndim, y.ndim) and id(y) not in self._of_outputs:
                    raise _refusal(x, y)
        if outputs:
            self._of_outputs.add(id(result))
        if targets:
            self._of_targets.add(id(result))
        if outputs or targets:
            self._outputs.append(result)
        return result


def _refusal(x: Tensor, y: Tensor) -> Exception:
    shapes = (
        f"compared as {tuple(x.shape)} with {tuple(y.shape)}, which broadcasting pairs all with all"
    )
    must = "have targets of the outputs' shape (targets.reshape(outputs.shape))"
    return argument_error("data", must, shapes)
