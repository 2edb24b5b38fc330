"""Vectors that are spread over the processes: each holds its places of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.distributed as dist
from torch import Tensor

from qdescent.learning.parallel.ranks import Ranks
from qdescent.linalg.operator import Shard


@dataclass(frozen=True)
class Spread:
    """Vectors of R^n, of each of which a process holds a part: contiguous, of equal lengths up to
    one. Where the ranks shard none, the part is the whole.

    Every process must ask for the same at the same time.

    Args:
        n: entries of a vector.
        ranks: the processes, and whether they shard vectors.

    Example:
        >>> Spread(5, Ranks()).held
        (0, 5)
    """

    n: int
    ranks: Ranks

    @property
    def held(self) -> tuple[int, int]:
        """The places of this process: (start, stop)."""
        return self.ranks.slice(self.n) if self.ranks.sharding else (0, self.n)

    @property
    def shard(self) -> Shard | None:
        """The same for an operator on such vectors; None: it takes whole ones."""
        return Shard(*self.held, self.ranks.total) if self.ranks.sharding else None

    def part(self, vectors: Tensor) -> Tensor:
        """This process's places of whole vectors, (..., n), which may then be let go."""
        if not self.ranks.sharding:
            return vectors
        start, stop = self.held
        return vectors[..., start:stop].clone()

    def whole(self, part: Tensor) -> Tensor:
        """The vector (n,), in every process, of which this one holds (stop - start,)."""
        return self.fetch(part[None], 0, self.n)[0]

    def fetch(self, parts: Tensor, start: int, stop: int) -> Tensor:
        """The places start <= i < stop of vectors, (k, stop - start), in every process.

        Args:
            parts: what this process holds of them, (k, held).
            start, stop: places of a whole vector.

        Cost: each entry is sent once, by the process that holds it.
        """
        if not self.ranks.sharding:
            return parts[:, start:stop]
        found, first = parts.new_empty(len(parts), stop - start), self.held[0]
        for rank, a, b in self._holders(start, stop):
            mine = rank == self.ranks.rank
            block = parts[:, a - first : b - first] if mine else found[:, a - start : b - start]
            block = block.contiguous()
            dist.broadcast(block, src=rank)
            found[:, a - start : b - start] = block
        return found

    def reduce(self, pieces: Tensor, start: int, stop: int) -> Tensor:
        """The sum over processes of the places start <= i < stop of vectors, in each process its
        own alone: (k, as many of them as it holds).

        Args:
            pieces: this process's summands there, (k, stop - start).
            start, stop: places of a whole vector.

        Cost: each entry is received once, by the process that holds it.
        """
        if not self.ranks.sharding:
            return pieces
        found = pieces[:, :0]
        for rank, a, b in self._holders(start, stop):
            block = pieces[:, a - start : b - start].contiguous()
            dist.reduce(block, dst=rank)
            if rank == self.ranks.rank:
                found = block
        return found

    def total(self, part: Tensor) -> Tensor:
        """The sum over processes of what each has of its own places; overwrites."""
        return self.ranks.total(part) if self.ranks.sharding else part

    def finite(self, part: Tensor) -> bool:
        """Whether all entries are, of every process."""
        return not bool(self.total((~torch.isfinite(part)).sum()))

    def moving(self, parts: Tensor) -> int:
        """How many of the vectors (k, held) there are up to the last that is not 0 everywhere."""
        known = self.total(parts.any(1).long()).tolist()
        return max((k for k, processes in enumerate(known, 1) if processes), default=0)

    def _holders(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Who holds which of these places: (rank, first, last + 1)."""
        for rank in range(self.ranks.size):
            lower, upper = replace(self.ranks, rank=rank).slice(self.n)
            a, b = max(start, lower), min(stop, upper)
            if a < b:
                yield rank, a, b


@dataclass(frozen=True, eq=False)
class Curve:
    """The terms u_1 ... u_N of a series, of which a process holds its places.

    Args:
        terms: (N, held).
        spread: which they are.

    Example:
        >>> curve = Curve(torch.tensor([[3.0, 4.0], [1.0, 0.0]]), Spread(2, Ranks()))
        >>> curve.end.tolist(), curve.size_of_last, len(curve.first(1))
        ([4.0, 4.0], 1.0, 1)
    """

    terms: Tensor
    spread: Spread

    def __len__(self) -> int:
        return len(self.terms)

    @classmethod
    def nothing(cls, order: int, theta: Tensor, ranks: Ranks) -> Curve:
        """Before the first step: so many terms at a pivot, (n,), all 0, which take no memory."""
        spread = Spread(len(theta), ranks)
        start, stop = spread.held
        return cls(theta.new_zeros(()).expand(order, stop - start), spread)

    def first(self, order: int) -> Curve:
        """The terms up to an order, which are those of the series of that order."""
        return Curve(self.terms[:order], self.spread)

    @property
    def end(self) -> Tensor:
        """Their sum, the displacement, (n,): whole, in every process."""
        return self.spread.whole(self.terms.sum(0))

    @property
    def gram(self) -> Tensor:
        """<u_k, u_l>, (N, N), float64."""
        terms = self.terms.double()
        return self.spread.total(terms @ terms.T)

    @property
    def sizes(self) -> Tensor:
        """||u_k||, (N,), float64."""
        own = torch.linalg.vector_norm(self.terms.double(), dim=1)
        return self.spread.total(own.square()).sqrt() if self.spread.ranks.sharding else own

    @property
    def size_of_last(self) -> float:
        """||u_N||."""
        if self.spread.ranks.sharding:
            return float(self.sizes[-1])
        return float(torch.linalg.vector_norm(self.terms[-1]))
