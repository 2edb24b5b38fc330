"""A network left as it was found, whatever its modules keep, count, draw or renormalise when they
are called.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from itertools import pairwise
from threading import RLock
from typing import ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from qdescent._checks import argument_error

# One measurement at a time in a process: it lends a network other weights and modes, and takes
# generators and flags of the whole process; another thread would see them.
ALONE = RLock()
P = ParamSpec("P")
T = TypeVar("T")
_COPIED = (list, dict, set, OrderedDict)  # of these what was in them is put back, too


def alone(function: Callable[P, T]) -> Callable[P, T]:
    """The same function, while no other thread measures."""

    @wraps(function)
    def called(*given: P.args, **named: P.kwargs) -> T:
        with ALONE:
            return function(*given, **named)

    return called


@contextmanager
def untouched(network: nn.Module, modes: Sequence[bool] | None = None) -> Iterator[None]:
    """Inside, the network may be called; afterwards its modules hold what they held, bit by bit.

    Put back are buffers (running statistics), plain attributes with what lists and dicts in them
    held (caches, counters, the `weight` that a hook of `torch.nn.utils.prune` sets anew), hooks,
    and the random generators of PyTorch, NumPy and Python. Embeddings do not renormalise meanwhile:
    `weights_of` gives their rows within `max_norm`. Threads come here one after the other; one that
    uses the network by itself meanwhile sees what is lent.

    Args:
        network: any module. What a hook or a forward pass changes outside of its modules is not
            seen.
        modes: training (True) or not, of each of `network.modules()` meanwhile; None: as they are.

    Raises:
        ArgumentError: the network has not as many modules as there are modes.

    Example:
        >>> layer = nn.BatchNorm1d(2)
        >>> with untouched(layer):
        ...     _ = layer(torch.ones(3, 2))
        >>> layer.running_mean.tolist(), int(layer.num_batches_tracked)
        ([0.0, 0.0], 0)
    """
    with ALONE:
        yield from _untouched(network, modes)


def _untouched(network: nn.Module, modes: Sequence[bool] | None) -> Iterator[None]:
    modules = [
        module for module in network.modules() if not isinstance(module, torch.jit.ScriptModule)
    ]
    attributes = [(vars(module), dict(vars(module))) for module in modules]
    contents = [
        (value, value.copy())
        for _, own in attributes
        for value in own.values()
        if type(value) in _COPIED
    ]
    devices = {weight.device for weight in network.parameters() if weight.device.type == "cuda"}
    numpy_state, python_state = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=devices):
        try:
            for module in modules:
                _lend_copies(module)
            if modes is not None:
                _set_modes(network, modes)
            yield
        finally:
            for held, before in attributes:
                held.clear()
                held.update(before)
            for container, before in contents:
                container.clear()
                (
                    container.extend(before)
                    if isinstance(container, list)
                    else container.update(before)
                )
            np.random.set_state(numpy_state)
            random.setstate(python_state)


def modes_of(network: nn.Module) -> tuple[bool, ...]:
    """Whether each of `network.modules()` is in training mode.

    Example:
        >>> modes_of(nn.Sequential(nn.Tanh().eval()))
        (True, False)
    """
    return tuple(module.training for module in network.modules())


def _set_modes(network: nn.Module, modes: Sequence[bool]) -> None:
    now = modes_of(network)
    if len(now) != len(modes):
        must = "have the modules that it had (make a new `Task` once a network is changed)"
        raise argument_error("network", must, f"of {len(now)} in the place of {len(modes)}")
    for module, mode, other in zip(network.modules(), modes, now, strict=True):
        if mode is not other and not isinstance(module, torch.jit.ScriptModule):
            module.training = mode


SHARDED = ("torch.distributed.fsdp", "torch.distributed.tensor", "torch.distributed._tensor")


def draw_once(network: nn.Module) -> None:
    """Advance the generators that `untouched` puts back: what is random is then another draw."""
    for device in {torch.device("cpu"), *(weight.device for weight in network.parameters())}:
        torch.rand((), device=device)
    np.random.random()
    random.random()


def check_shaped(network: nn.Module) -> None:
    """Check that there are weights, and that every one has a shape already.

    Raises:
        ArgumentError: none (as of a network that was quantised); a lazy module that has not been
            called yet; weights of which each process holds a part.
    """
    for name, held in (*network.named_modules(), *network.named_parameters()):
        if any(kind.__module__.startswith(SHARDED) for kind in type(held).__mro__):
            must = "hold whole weights (load its full state into a plain copy of it)"
            raise argument_error("network", must, f"sharded by torch.distributed, at {name!r}")
    if next(network.parameters(), None) is None:
        without = "without one (quantised weights are none: take it as it was before)"
        raise argument_error("network", "have a parameter", without)
    for name, weight in network.named_parameters():
        if isinstance(weight, nn.UninitializedParameter):
            must = "have weights with a shape (call it once on a batch)"
            raise argument_error("network", must, f"lazy at {name!r}")


def check_apart(network: nn.Module) -> None:
    """Check that no two parameters hold the same memory: which moves where is then another model
    than that of one number a weight.

    Raises:
        ArgumentError: two do.

    Example:
        >>> tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        >>> tied[1].weight = tied[0].weight  # one parameter: it counts once
        >>> check_apart(tied)
        >>> tied[1].weight = nn.Parameter(tied[0].weight.data)
        >>> check_apart(tied)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `network` must hold each weight in memory of ...
    """
    spans = sorted(
        (weight.data_ptr(), weight.data_ptr() + weight.numel() * weight.element_size(), name)
        for name, weight in network.named_parameters()
        if weight.numel() and not weight.is_meta and weight.is_contiguous()
    )
    for (_, end, name), (begin, _, other) in pairwise(spans):
        if begin < end:
            must = "hold each weight in memory of its own, or share the parameter itself (b = a)"
            raise argument_error("network", must, f"sharing that of {name!r} and {other!r}")


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """The network's parameters by name, as a forward pass sees them: embeddings with rows within
    their `max_norm`.

    They share memory with the network except where a row is outside; there a renormalised copy is
    given.

    Example:
        >>> layer = nn.Embedding(2, 1, max_norm=1.0)
        >>> with torch.no_grad():
        ...     _ = layer.weight.copy_(torch.tensor([[0.5], [-4.0]]))
        >>> (
        ...     [round(x, 5) for x in weights_of(layer)["weight"].flatten().tolist()],
        ...     layer.weight.flatten().tolist(),
        ... )
        ([0.5, -1.0], [0.5, -4.0])
    """
    within: dict[int, Tensor] = {}
    for module in network.modules():
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module.max_norm is not None:
            weight = within.get(id(module.weight), module.weight.detach()).clone()
            torch.embedding_renorm_(
                weight,
                torch.arange(len(weight), device=weight.device),
                module.max_norm,
                module.norm_type,
            )
            within[id(module.weight)] = weight
    return {
        name: within.get(id(weight), weight.detach()) for name, weight in network.named_parameters()
    }


def _lend_copies(module: nn.Module) -> None:
    """Tensors that a forward pass may change in place are copies meanwhile; `untouched` puts the
    module's own back.
    """
    for key, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[key] = buffer.clone()
    for key, value in list(vars(module).items()):
        if isinstance(value, Tensor) and not value.requires_grad:
            vars(module)[key] = value.clone()
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        module.max_norm = None
