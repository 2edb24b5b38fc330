"""Tensors that must stay as they were: PyTorch counts the changes in place of each."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from qdescent._checks import ArgumentError, argument_error


class Unchanged:
    """Tensors of which something was made that holds only while they stay as they are.

    Args:
        name: argument that the sentence names.
        must: what the sentence asks for.
        tensors: which; those of inference mode have no count, and are not looked at.
        actual: what the sentence says of a change.

    Example:
        >>> import torch
        >>> kept = torch.ones(2)
        >>> seen = Unchanged("data", "stay as it is", [kept])
        >>> seen.check()
        >>> _ = kept.mul_(2)
        >>> seen.check()
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `data` must stay as it is, but is changed in place.
    """

    def __init__(
        self, name: str, must: str, tensors: Iterable[Tensor], actual: str = "changed in place"
    ) -> None:
        self._name, self._must, self._actual = name, must, actual
        self._seen = [(each, each._version) for each in tensors if not each.is_inference()]

    def __getstate__(self) -> dict[str, Any]:
        """Of a copy or a pickle: its tensors have counts of their own."""
        stood = [(each, each._version == version) for each, version in self._seen]
        return {**vars(self), "_seen": stood}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._seen = [(each, each._version if stood else -1) for each, stood in state["_seen"]]

    def check(self) -> None:
        """Refuse to go on where one was changed.

        Raises:
            ArgumentError: one was.
        """
        if any(each._version != version for each, version in self._seen):
            raise argument_error(self._name, self._must, self._actual)


class Remembered:
    """That something was found of an object and tensors, for as long as these are the same and
    nothing changed them in place. It keeps them, so that no other tensor takes their memory.

    Example:
        >>> import torch
        >>> found, point = Remembered(), torch.ones(2)
        >>> found.add("checked", found, [point])
        >>> found.holds("checked", found, [point.detach()])
        True
        >>> found.holds("checked", found, [point.clone()])
        False
        >>> _ = point.mul_(2)
        >>> found.holds("checked", found, [point])
        False
    """

    def __init__(self) -> None:
        self._found: dict[Hashable, tuple[Any, list[tuple[Tensor, int]]]] = {}

    def holds(self, what: Hashable, of: Any, tensors: Iterable[Tensor]) -> bool:
        """Whether it was found of exactly these, the last time that it was."""
        before, seen = self._found.get(what, (None, []))
        now = list(tensors)
        return (
            before is of
            and len(now) == len(seen)
            and all(_same(x, *each) for x, each in zip(now, seen, strict=True))
        )

    def add(self, what: Hashable, of: Any, tensors: Iterable[Tensor]) -> None:
        """It was found of these; of others it is forgotten. A tensor of inference mode has no count
        of its changes: nothing is kept of it.
        """
        tensors = list(tensors)
        if not any(each.is_inference() for each in tensors):
            self._found[what] = of, [(each, each._version) for each in tensors]


def _same(now: Tensor, before: Tensor, version: int) -> bool:
    """The same numbers in the same memory, not changed since."""
    return (
        now.data_ptr() == before.data_ptr()
        and (now.dtype, now.device, now.shape) == (before.dtype, before.device, before.shape)
        and now.stride() == before.stride()
        and before._version == version
    )


def points_of(
    theta: Tensor, network: nn.Module, names: Collection[str]
) -> tuple[Unchanged, Unchanged]:
    """The point of a recording: theta, of which the weights `names` are views, and all others."""
    others = (weight for name, weight in network.named_parameters() if name not in names)
    return Unchanged("theta", THETA, [theta]), Unchanged("network", FROZEN, others)


@contextmanager
def inputs_left_alone(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Refuse a network that changes its inputs inside; they hold their own numbers afterwards.

    Raises:
        ArgumentError: one was changed in place.
    """
    kept = [(each, each.detach().clone()) for each in tensors]
    seen = Unchanged("network", INPUTS, (each for each, _ in kept), "changing them")
    yield
    try:
        seen.check()
    except ArgumentError:
        for each, before in kept:
            each.data.copy_(before)
        raise


THETA = "stay as it is while its series is used"
DATA = (
    "stay as it was when its `Task` was made (a loader that fills one buffer again: give a"
    " `.clone()`)"
)
INPUTS = "leave its inputs as they are (no inplace=True in its first layer)"
FROZEN = "keep its frozen weights as they were (make the operator again where they change)"
