"""Nested containers as the list of their tensors, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from qdescent.learning.batches import mapped


def opened(tree: Any) -> tuple[list[Tensor], Any]:
    """The tensors in containers (dicts with attributes and dataclasses among them), and the same
    containers emptied, for `closed`.

    Example:
        >>> import torch
        >>> tensors, emptied = opened({"logits": torch.ones(2), "cache": None})
        >>> closed([2 * x for x in tensors], emptied)
        {'logits': tensor([2., 2.]), 'cache': None}
    """
    tensors: list[Tensor] = []

    def out(x: Tensor) -> Tensor:
        tensors.append(x)
        return x.new_empty(0)

    emptied = mapped(tree, out)
    return tensors, emptied


def closed(tensors: Iterable[Tensor], emptied: Any) -> Any:
    """The containers of `opened` with these tensors in them."""
    left = iter(tensors)
    return mapped(emptied, lambda _: next(left))
