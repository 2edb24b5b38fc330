"""A network evaluated with other weights than its own, in the eyes of everybody who looks: its
modules, and its loss.

A loss may use the weights itself (an L2 penalty over `network.parameters()`), so it is evaluated
while they are replaced. A weight that somebody holds as an object (`first = network[0].weight`) is
not met by way of the network; those who ask PyTorch anything about it are then given its
replacement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode
from torch.utils import checkpoint
from torch.utils._pytree import tree_map_only

from qdescent._checks import argument_error
from qdescent.learning.untouched import untouched

T = TypeVar("T")


def evaluated(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    run: Callable[[nn.Module], T],
    held: bool = False,
    modes: Sequence[bool] | None = None,
) -> T:
    """run(network) while `tensors` stand in for the parameters and buffers of these names.

    Args:
        network: any module; wrappers that only send their calls on (`torch.compile`,
            `DataParallel`) are passed by.
        tensors: by the names of `named_parameters` and `named_buffers`.
        run: what is computed; derivatives inside it (of the outputs in the inputs) are recorded,
            under `no_grad`, too, where what comes out has no graph.
        held: whether weights that somebody holds as objects are replaced, too.
        modes: as for `untouched`.

    Raises:
        ArgumentError: called within `torch.inference_mode` or `torch.autocast`.

    Example:
        >>> network = nn.Linear(1, 1, bias=False)
        >>> weight, two = network.weight, {"weight": torch.full((1, 1), 2.0)}
        >>> float(evaluated(network, two, lambda net: net.weight.sum()))
        2.0
        >>> float(evaluated(network, two, lambda net: weight.sum(), held=True))
        2.0
    """
    check_recorded()
    own = (
        {
            id(weight): tensors[name]
            for name, weight in network.named_parameters()
            if name in tensors
        }
        if held
        else {}
    )
    given = {f"network.{name}": tensor for name, tensor in tensors.items()}
    recorded = torch.is_grad_enabled()
    with (
        untouched(network, modes),
        torch.enable_grad(),
        _no_recomputing(),
        _no_cudnn_of_recurrence(network),
        HeldWeights(own) if held else nullcontext(),
    ):
        result: T = functional_call(_Inside(network), given, (run,))
    return result if recorded else tree_map_only(Tensor, Tensor.detach, result)


def check_recorded() -> None:
    """Check that derivatives can be had, with the digits of the weights' type.

    Raises:
        ArgumentError: within `torch.inference_mode`, whose tensors never have any; within
            `torch.autocast`, whose products have three digits.
    """
    if any(map(torch.is_autocast_enabled, ("cpu", "cuda"))):
        must = "be measured outside of `torch.autocast`, which rounds every product"
        raise argument_error("network", must, "inside")
    if torch.is_inference_mode_enabled():
        must = "be measured outside of `torch.inference_mode` (`torch.no_grad` may stay)"
        raise argument_error("network", must, "inside")


@contextmanager
def _no_recomputing() -> Iterator[None]:
    """`torch.utils.checkpoint` runs its functions plainly meanwhile.

    It would compute them again in the backward pass, with the network's own weights, which are back
    in their places by then.
    """

    plain = {"CheckpointFunction": _Plain, "_checkpoint_without_reentrant_generator": _once}
    before = {name: getattr(checkpoint, name) for name in plain}
    try:
        for name, instead in plain.items():
            setattr(checkpoint, name, instead)
        yield
    finally:
        for name, own in before.items():
            setattr(checkpoint, name, own)


@contextmanager
def _no_cudnn_of_recurrence(network: nn.Module) -> Iterator[None]:
    """cuDNN's recurrent layers have no gradient in evaluation mode: PyTorch's own take their place
    there, and its own convolutions that of cuDNN's.
    """
    layers = (module for module in network.modules() if isinstance(module, nn.RNNBase))
    on_gpu = any(weight.is_cuda for layer in layers for weight in layer.parameters())
    with torch.backends.cudnn.flags(enabled=False) if on_gpu else nullcontext():
        yield


class _Plain:
    """In the place of the reentrant kind."""

    @staticmethod
    def apply(function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        """The call itself."""
        return function(*args)


def _once(*args: Any, **kwargs: Any) -> Iterator[None]:
    """In the place of the other kind, which holds the call between two halves of a generator."""
    yield


def held_weights(value: Tensor, network: nn.Module) -> list[str]:
    """The names of the network's own weights on which a value depends by a graph."""
    own = {id(weight): name for name, weight in network.named_parameters(remove_duplicate=False)}
    seen, waiting, found = set(), [value.grad_fn], set()
    if value.grad_fn is None and id(value) in own:
        found.add(own[id(value)])
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if id(leaf) in own:
            found.add(own[id(leaf)])
        waiting += [parent for parent, _ in node.next_functions]
    return sorted(found)


class HeldWeights(TorchFunctionMode):
    """Whoever asks PyTorch about one of these weights is told about its replacement.

    Args:
        replacements: by the `id` of the weight; tensors, or what PyTorch's functions accept in the
            place of one.
    """

    def __init__(self, replacements: Mapping[int, Any]) -> None:
        super().__init__()
        self._replacements = replacements

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        # not tensors: they know by themselves what a function does to them
        stand_ins: list[Any] = []

        def replaced(weight: nn.Parameter) -> Any:
            found = self._replacements.get(id(weight), weight)
            if not isinstance(found, Tensor):
                stand_ins.append(found)
            return found

        args, kwargs = tree_map_only(nn.Parameter, replaced, (args, kwargs or {}))
        if not stand_ins:
            return function(*args, **kwargs)
        if function.__name__ == "__get__":  # an attribute: `weight.shape`
            return getattr(args[0], function.__self__.__name__)
        return stand_ins[0].__torch_function__(function, types, args, kwargs)


class _Inside(nn.Module):
    """A room around the network, in which its loss is computed, too."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = network.training

    def forward(self, run: Callable[[nn.Module], Any]) -> Any:
        network = self.network
        while True:
            inner = getattr(network, "_orig_mod", None)
            if isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel):
                inner = network.module
            if not isinstance(inner, nn.Module):
                return run(network)
            network = inner
