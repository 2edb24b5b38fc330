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
