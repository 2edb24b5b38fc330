"""Where the weights' terms and adjoints lie in R^n."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from qdescent.learning.parallel.ranks import Ranks
from qdescent.learning.parallel.spread import Spread
from qdescent.learning.parameters import ParameterSpace


class Places:
    """The entries of each weight in a vector of R^n, to bring terms in and adjoints out.

    Args:
        space: the kept weights.

    Attributes:
        whole: vectors that are all here.
    """

    def __init__(self, space: ParameterSpace) -> None:
        self._ends = list(accumulate(space.counts, initial=0))
        self._shapes = [space.shapes[name] for name in space.names]
        self._kept = [space.kept[name] for name in space.names]
        self.whole = Spread(space.n, Ranks())

    def brought(self, i: int, parts: Tensor, spread: Spread) -> Tensor:
        """The terms of weight i, (k, *shape), of vectors that are spread, (k, held)."""
        known = spread.fetch(parts, *self._ends[i : i + 2])
        kept, shape = self._kept[i], self._shapes[i]
        if kept is None:
            return known.reshape(len(known), *shape)
        full = known.new_zeros(len(known), shape.numel())
        full[:, kept] = known
        return full.view(len(full), *shape)

    def begin(
        self, rows: Tensor, spread: Spread | None = None, weight: float = 1.0, values: bool = False
    ) -> Tensor:
        """Start to fill rows, (k, held), one for each degree.

        Args:
            rows: not yet filled.
            values: the adjoints come as one tensor, of degree 0.
            spread: of the vectors; the adjoints are then summed over the processes, too.
            weight: of this process's adjoints in that sum.
        """
        self._rows, self._spread, self._weight = rows, spread or self.whole, weight
        self._values, self._written = values, set[int]()
        return rows

    def put(self, i: int, part: Any) -> None:
        """The adjoint of weight i, a full-shaped tensor for each degree; the several of a tied
        weight are summed.
        """
        part = [part] if self._values else part
        if self._spread.ranks.sharding:
            pieces = torch.stack([self._entries(i, full) for full in part]).mul_(self._weight)
            found: Iterable[Tensor] = self._spread.reduce(pieces, *self._ends[i : i + 2])
        else:
            found = (self._entries(i, full) for full in part)
        mine = self._mine(i)
        for row, entries in zip(self._rows, found, strict=True):
            place = row[mine]
            place.add_(entries) if i in self._written else place.copy_(entries)
        self._written.add(i)

    def closed(self, rows: Tensor) -> Tensor:
        """The rows, zero where no adjoint came."""
        for i in range(len(self._kept)):
            if i not in self._written:
                rows[:, self._mine(i)] = 0
        del self._rows, self._spread
        return rows

    def _entries(self, i: int, full: Tensor) -> Tensor:
        kept = self._kept[i]
        return full.reshape(-1) if kept is None else full.reshape(-1)[kept]

    def _mine(self, i: int) -> slice:
        """The entries of weight i that this process holds, within its rows."""
        start, stop = self._spread.held
        a, b = (min(max(place, start), stop) for place in self._ends[i : i + 2])
        return slice(a - start, b - start)
