"""What PyTorch needs to differentiate a network twice, and sentences for what it cannot: with the
cure for that network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from qdescent._checks import argument_error
from qdescent.learning.evaluation import check_recorded
from qdescent.learning.untouched import ALONE

DIFFERENCES = (
    "finite differences of the gradient (`finite_difference_hessian`, --curvature"
    " finite-differences)"
)


@contextmanager
def twice_differentiable(network: nn.Module) -> Iterator[None]:
    """A gradient that is made inside can be differentiated again, where PyTorch has any way to it,
    under `no_grad`, too.

    Attention takes its composed form (the fused ones have no second derivative), so does weight
    normalisation (the fused one has a wrong one), and recurrent layers leave cuDNN, which has none.

    Raises:
        ArgumentError: PyTorch has no second derivative of an operation: which, and what to do.
    """
    check_recorded()
    check_precision(network)
    with ExitStack() as stack:
        stack.enter_context(ALONE)
        stack.enter_context(torch.enable_grad())
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if (
            any(isinstance(module, nn.RNNBase) for module in network.modules())
            and torch.backends.cudnn.is_available()
        ):
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        if any(_has_weight_norm(module) for module in network.modules()):
            stack.enter_context(_ComposedWeightNorm())
        try:
            yield
        except RuntimeError as error:
            must, reason = _explained(str(error), network)
            if not must:
                raise
            raise argument_error("network", must, reason) from error


def check_precision(network: nn.Module) -> None:
    """Check that a network's weights are of one type, float32 or float64.

    Raises:
        ArgumentError: they are not; with the way to convert them.
    """
    types = sorted(
        {str(w.dtype).removeprefix("torch.") for w in network.parameters() if w.is_floating_point()}
    )
    if len(types) > 1 or types[:1] in (["float16"], ["bfloat16"]):
        must = (
            "have weights of one type, float32 or float64 (convert it by network.float(), with no"
            " other casts inside)"
        )
        raise argument_error("network", must, f"with weights of type {' and '.join(types)}")


def _has_weight_norm(module: nn.Module) -> bool:
    return type(module).__name__ == "_WeightNorm" or any(
        type(h).__name__ == "WeightNorm" for h in module._forward_pre_hooks.values()
    )


class _ComposedWeightNorm(TorchFunctionMode):
    """v g / ||v|| by elementary operations."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if getattr(function, "__name__", "") != "_weight_norm":
            return function(*args, **(kwargs or {}))

        def composed(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
            return v * (g / torch.norm_except_dim(v, 2, dim))

        return composed(*args, **(kwargs or {}))


def _explained(error: str, network: nn.Module) -> tuple[str, str]:
    """What the network must be and what it is, from PyTorch's error; empty: nothing of ours."""
    text = " ".join(error.split("\n")[0].split())
    if "sparse" in error:
        return (
            "have dense gradients (nn.Embedding without sparse=True)",
            f"with sparse ones: {text}",
        )
    if "torch.compile with aot_autograd" in error or (
        "double backward" in error and "aot" in error
    ):
        return "be given as it was before torch.compile (network._orig_mod)", f"compiled ({text})"
    if "is not implemented" in error or ("not supported" in error and "double" in error.lower()):
        found = re.search(r"(?:aten::|')(\w+)", error)
        name = (found.group(1) if found else "an operation").removesuffix("_backward").lstrip("_")
        if "attention" in name or "flash" in error:
            hugging_face = any(
                hasattr(getattr(m, "config", None), "_attn_implementation")
                for m in network.modules()
            )
            cure = (
                'attn_implementation="eager"'
                if hugging_face
                else "attention by matrix products and softmax"
            )
            return (
                f"be twice differentiable ({'load it with ' if hugging_face else 'write '}{cure})",
                f"not: {text}",
            )
        return (
            f"be twice differentiable, or be measured by {DIFFERENCES}",
            f"made with {name!r}: {text}",
        )
    if "modified by an inplace operation" in error:
        return (
            "leave alone what its derivative needs (no operation in place there)",
            f"not so: {text}",
        )
    if "does not require grad" in error or "appears to not have been used in the graph" in error:
        return (
            (
                "depend on its weights through operations that autograd records (no `no_grad`, no"
                " `detach`)"
            ),
            f"not so: {text}",
        )
    return "", ""


def suspects(value: Tensor, network: nn.Module) -> str:
    """Where a second derivative that is not the loss's may come from, in words: what this network
    has of the usual reasons.
    """
    for module in network.modules():
        if type(module).__name__ == "_Orthogonal":
            return (
                " (its orthogonal parametrization keeps signs among its weights: take"
                ' orthogonal_map="cayley")'
            )
    own = sorted({name for name in _own_functions(value) if name})
    if "BackwardHookFunction" in own:  # PyTorch's, of `register_full_backward_hook`
        return " (a backward hook of a module changes its gradients: remove the hook)"
    if own:
        return (
            f" (its own autograd function {', '.join(own)}: write a backward that is differentiable"
            " and the forward's derivative)"
        )
    return (
        " (usual reasons: `detach` or `no_grad` on what depends on the weights, rounding; "
        "weights that shall be constant are set so by requires_grad_(False))"
    )


def _own_functions(value: Tensor) -> Iterator[str]:
    """The names of functions with a backward written in Python, in a value's graph."""
    seen, waiting = set(), [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            yield type(node).__name__.removesuffix("Backward")
        waiting += [parent for parent, _ in node.next_functions]
