"""Samples to train on, and others to test on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from qdescent._checks import argument_error, check_text
from qdescent.learning.batches import as_batch, samples_of
from qdescent.learning.datasets import ImageData


@dataclass(frozen=True)
class Samples:
    """Training and test samples, (inputs, targets) each, as a `Task` takes them.

    Args:
        train: what is trained on.
        test: what is tested on.
        source: where they come from, as a report prints it.

    Raises:
        ArgumentError: what is no batch (see `Task`).

    Example:
        >>> import torch
        >>> x, y = torch.ones(4, 2), torch.zeros(4, dtype=torch.int64)
        >>> Samples((x, y), (x[:1], y[:1]), "ones").classified
        True
    """

    train: tuple[Any, Any] = field(repr=False)
    test: tuple[Any, Any] = field(repr=False)
    source: str

    def __post_init__(self) -> None:
        for name in ("train", "test"):
            batch = as_batch(getattr(self, name))
            if samples_of(batch) < 1:
                raise argument_error(name, "hold at least one sample", "empty")
            object.__setattr__(self, name, batch)
        check_text("source", self.source)

    @property
    def classified(self) -> bool:
        """Whether the targets are class labels."""
        targets = self.train[1]
        return isinstance(targets, Tensor) and not targets.is_floating_point()


def samples_in(data: ImageData | Samples) -> Samples:
    """Labelled images as inputs and targets; samples as they are."""
    if isinstance(data, Samples):
        return data
    train, test = (data.train_images, data.train_labels), (data.test_images, data.test_labels)
    return Samples(train, test, data.source)


def named_correctly(outputs: Any, targets: Any) -> Tensor | None:
    """For each label that counts, whether the largest output is that of its class.

    Args:
        outputs: (B, classes, ...), as PyTorch's losses take them, or (B, ..., classes), as language
            models give them.
        targets: (B, ...); labels below 0, which PyTorch's losses leave out (-100), do not count.

    Returns:
        (m,) booleans; None where outputs have no axis of two or more classes.

    Example:
        >>> import torch
        >>> scores, labels = torch.eye(3).expand(2, 3, 3), torch.tensor([[0, 1, -100], [0, 2, 2]])
        >>> named_correctly(scores, labels).tolist()
        [True, True, True, False, True]
        >>> named_correctly(torch.ones(2, 1), torch.tensor([0, 1])) is None
        True
    """
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor) or outputs.ndim < 2:
        return None
    shape = outputs.shape
    axis = next((k for k in (1, outputs.ndim - 1) if _without(shape, k) == targets.shape), None)
    if axis is None or shape[axis] < 2:
        return None
    targets = targets.to(outputs.device)
    return (outputs.argmax(axis) == targets)[targets >= 0]


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """A shape without one of its axes."""
    return (*shape[:axis], *shape[axis + 1 :])
