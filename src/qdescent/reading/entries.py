"""Which entry of a checkpoint holds the weights: the only one, or the one that is asked for.

Training scripts put weights beside those of a moving average, an optimizer's state and counters.
Whose spectrum is asked for nobody can know but who asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from qdescent._checks import shown

# where an entry has its weights in turn, beside its own counters
NESTED = ("state_dict", "model_state_dict", "model", "module")
# in the names of what an optimizer and the like have
NO_WEIGHTS = ("optim", "sched", "scaler", "rng")
MOST_NAMED = 8  # of a sentence


class EntryError(ValueError):
    """No weights, or several of them; the text completes "which ..."."""


def chosen_entry(content: Any, key: str, flag: str) -> dict[str, Tensor]:
    """The named tensors of a checkpoint, or of its entry of that name.

    Args:
        content: what `torch.load` gave.
        key: as `entries` names it; empty: the only one.
        flag: the setting that chooses; empty: there is none.

    Raises:
        EntryError: none, several that differ, or none of that name.
    """
    if is_named_tensors(content):
        if key:
            raise EntryError(f"is itself the weights, without an entry {shown(key)}")
        return dict(content)
    found = dict(_entries(content, () if key else NO_WEIGHTS))
    if key:
        if key not in found:
            raise EntryError(
                f"has no weights at {shown(key)} ({_listed(found) or 'nor elsewhere'})"
            )
        return dict(found[key])
    if not found:
        raise EntryError("holds something other than named tensors")
    first, *others = found.values()
    if not all(_same(first, other) for other in others):
        way = f"{flag} chooses one" if flag else "save the one that is meant by itself"
        raise EntryError(f"holds several weights, {_listed(found)}: {way}")
    return dict(first)


def is_named_tensors(content: Any) -> bool:
    """Whether it is a state dict, an empty one, too."""
    return isinstance(content, Mapping) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    )


def _entries(content: Any, but: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Entries that are state dicts, or have one in the usual place, by name; none with these words
    in its name.
    """
    if not isinstance(content, Mapping):
        return
    for name, value in content.items():
        if not isinstance(name, str) or any(word in name.lower() for word in but):
            continue
        if not isinstance(value, Mapping):
            continue
        if value and is_named_tensors(value):
            yield name, value
        else:
            for inner in NESTED:
                held = value.get(inner)
                if isinstance(held, Mapping) and held and is_named_tensors(held):
                    yield f"{name}.{inner}", held


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        tensor.dtype == other[name].dtype and torch.equal(tensor, other[name])
        for name, tensor in one.items()
    )


def _listed(found: Mapping[str, Any]) -> str:
    names = [shown(name) for name in found][:MOST_NAMED]
    return ", ".join(names) + (", ..." if len(found) > MOST_NAMED else "")
