"""Tensors that must stay as they were: PyTorch counts the changes in place of each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

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

    def check(self) -> None:
        """Refuse to go on where one was changed.

        Raises:
            ArgumentError: one was.
        """
        if any(each._version != version for each, version in self._seen):
            raise argument_error(self._name, self._must, self._actual)


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
