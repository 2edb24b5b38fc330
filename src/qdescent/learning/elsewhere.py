"""Whether a loss reads the weights by another way than through its network.

Weights that somebody keeps without their graph (`network.state_dict()`, `weight.detach()`,
`weight.data`, a NumPy view) share the network's memory: no replacement reaches them, and they leave
no trace in a graph. So the memory itself is moved while the network is evaluated with copies of the
weights: nothing may change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import torch
from torch import Tensor, nn

from qdescent._checks import argument_error
from qdescent.learning.untouched import draw_once, untouched

MOVE = 0.0625  # a number of every type: by this factor more, and this much


def once_more(
    network: nn.Module,
    copies: Mapping[str, Tensor],
    first: Tensor,
    loss: Callable[[Mapping[str, Tensor]], Tensor],
) -> Tensor:
    """The loss once more, with other random numbers and with the weights' own memory moved.

    Args:
        network: whose weights these are.
        copies: of the weights, by name.
        first: the loss before.
        loss: weights by name -> the loss.

    Raises:
        ArgumentError: it is another one for the memory alone.
    """
    with untouched(network):
        draw_once(network)
        with memory_moved(network, copies):
            second = loss(copies)
        # back in place the loss is the first one, each time: not so one that counts its calls
        if not torch.equal(first, second) and all(
            torch.equal(first, loss(copies)) for _ in range(2)
        ):
            must = (
                "use the weights by way of the network (network.parameters()), not by what was"
                " taken out of it before (state_dict(), .detach(), .data, .numpy())"
            )
            actual = "one that changes with the memory of the weights"
            raise argument_error("loss", must, actual)
    return second


@contextmanager
def memory_moved(network: nn.Module, copies: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, the memory of the trained weights holds other numbers; afterwards its own again, to
    the last bit.

    Left alone is memory in which nothing may be written: of other processes, of a file, of
    inference tensors.

    Args:
        network: any module.
        copies: the weights by the names of `named_parameters`, as they lie in memory.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> _ = layer.weight.data.fill_(2.0)
        >>> with memory_moved(layer, {"weight": layer.weight.detach().clone()}):
        ...     layer.weight.item()
        2.1875
        >>> layer.weight.item()
        2.0
    """
    moved: list[tuple[Tensor, Tensor]] = []
    try:
        for name, weight in network.named_parameters():
            if name in copies and weight.requires_grad and _is_writable(weight):
                memory = weight.data  # with a count of versions of its own: no graph is spoilt
                # an embedding's rows may be within `max_norm` in the copy alone
                same = torch.equal(copies[name], memory)
                moved.append((memory, copies[name] if same else memory.clone()))
                with suppress(RuntimeError, NotImplementedError):  # one number at many places
                    memory.mul_(1 + MOVE).add_(MOVE)
        yield
    finally:
        for memory, copy in moved:
            with suppress(RuntimeError, NotImplementedError):
                memory.copy_(copy)


def _is_writable(weight: nn.Parameter) -> bool:
    if (
        weight.is_inference()
        or weight.is_shared()
        or weight.layout != torch.strided
        or weight.device.type == "meta"
    ):
        return False
    return weight.device.type != "cpu" or weight.untyped_storage().filename is None
