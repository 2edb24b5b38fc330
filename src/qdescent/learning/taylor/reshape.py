"""The same entries in another shape."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from qdescent.learning.taylor.tape import Node, Terms, stacked


class Reshape:
    """y has the entries of x in their order: so has each coefficient, and so has each adjoint.

    Args:
        x: its argument.
        value: degree 0 of y.
    """

    def __init__(self, x: Node, value: Tensor) -> None:
        assert x.value is not None
        self.inputs: tuple[Node, ...] = (x,)
        self.output = Node(value)
        self._from: torch.Size = x.value.shape
        self._to: torch.Size = value.shape

    def pull_value(self, adjoint: Tensor) -> Sequence[Tensor]:
        return [adjoint.reshape(self._from)]

    def push(self) -> Tensor:
        terms = stacked(self.inputs[0].coefficients())
        return terms.reshape(len(terms), *self._to)

    def pull(self, adjoint: Tensor) -> Sequence[Terms]:
        return [adjoint.reshape(len(adjoint), *self._from)]
