"""Where a dense training stands between two epochs, and whether another may go on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qdescent._array_checks import check_shape
from qdescent._checks import (
    argument_error,
    check_field,
    check_instance,
    check_integer,
    check_numbers,
    check_sequence,
    shown,
)


@dataclass(frozen=True, eq=False)
class DenseState:
    """A dense training between two epochs: enough to go on to the same numbers.

    Args:
        epoch: epochs done.
        tensors: weights and momentum buffers, by name.
        loss: mean loss of each epoch done.
        test_accuracy: after each epoch done, in [0, 1].
        settings: pairs (name, value) of what its numbers depend on besides network and data: a
            training that goes on from it must have the same; empty where that is not known.
    """

    epoch: int
    tensors: Mapping[str, Tensor]
    loss: tuple[float, ...] = ()
    test_accuracy: tuple[float, ...] = ()
    settings: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        check_field(self, "epoch", check_integer, 0)
        check_instance("tensors", self.tensors, Mapping, called="tensors by name")
        for name, interval in (("loss", "(-inf, inf)"), ("test_accuracy", "[0, 1]")):
            called, given = "a sequence of numbers", getattr(self, name)
            numbers = check_numbers(name, given, interval, called, empty=True)
            object.__setattr__(self, name, numbers)
        pairs = check_sequence("settings", self.settings, tuple, called="pairs", empty=True)
        object.__setattr__(self, "settings", pairs)


def tensors_in(network: nn.Module, optimizer: torch.optim.SGD) -> dict[str, Tensor]:
    """Weights, momentum buffers and buffers, by the names that a state has for them."""
    kept = {
        f"weight/{name}": weight.detach().clone() for name, weight in network.named_parameters()
    }
    for name, weight in network.named_parameters():
        buffer = optimizer.state[weight].get("momentum_buffer")  # none without momentum
        if buffer is not None:
            kept[f"momentum/{name}"] = buffer.clone()
    kept.update({f"buffer/{name}": buffer.clone() for name, buffer in network.named_buffers()})
    return kept


def check_goes_on(state: DenseState | None, asked: tuple[tuple[str, float], ...]) -> None:
    """Check that a training of these settings may go on from a state.

    Raises:
        ArgumentError: the state is of others, of which the first is named, or of more epochs.
    """
    if state is None:
        return
    then, now = dict(state.settings), dict(asked)
    if state.epoch > now["epochs"]:
        must = f"hold at most the {now['epochs']} epochs that are asked for"
        raise argument_error("state", must, f"{state.epoch} of them")
    for name, value in now.items():
        if then.get(name, value) != value:
            must = "be of a training with these settings"
            actual = f"of others: `{name}` was {shown(then[name])}, here it is {shown(value)}"
            raise argument_error("state", must, actual)


def restored(
    network: nn.Module, optimizer: torch.optim.SGD, state: DenseState | None
) -> DenseState:
    """The state, with the network and its optimiser as it holds them; None: a beginning."""
    if state is None:
        return DenseState(0, {})
    named: dict[str, Tensor] = {
        f"weight/{name}": weight for name, weight in network.named_parameters()
    }
    named |= {f"buffer/{name}": buffer for name, buffer in network.named_buffers()}
    for name, tensor in named.items():
        check_shape("state", state.tensors.get(name), tuple(tensor.shape))  # type: ignore[arg-type]
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.copy_(state.tensors[f"weight/{name}"])
            if f"momentum/{name}" in state.tensors:
                buffer = state.tensors[f"momentum/{name}"]
                optimizer.state[weight] = {
                    "momentum_buffer": torch.empty_like(weight).copy_(buffer)
                }
        for name, buffer in network.named_buffers():
            buffer.copy_(state.tensors[f"buffer/{name}"])
    return state
