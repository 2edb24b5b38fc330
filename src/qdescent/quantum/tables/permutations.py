"""Permutations as tables: where each entry of a colour goes, and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from qdescent._arrays import Ints
from qdescent.quantum.tables.by_value import ByValue
from qdescent.quantum.tables.lookup import LookUpTable


@dataclass(frozen=True, eq=False)
class PermutationTable(ByValue):
    """One permutation per colour, and its inverse; or a single permutation.

    Args:
        forward: pi_c(j), shape (colours, 2^s), or pi(j), shape (2^s,).
        backward: pi_c^-1(i), of the same shape.
    """

    forward: Ints = field(repr=False)
    backward: Ints = field(repr=False)

    @property
    def bits(self) -> int:
        """s."""
        return (self.forward.shape[-1] - 1).bit_length()

    @cached_property
    def look_ups(self) -> tuple[LookUpTable, LookUpTable]:
        """j xor pi(j) and i xor pi^-1(i), s bits each, as a circuit loads them: fixed points are
        entries of 0, which cost nothing.
        """
        indices = np.arange(self.forward.shape[-1])
        return LookUpTable(self.forward ^ indices, self.bits), LookUpTable(
            self.backward ^ indices, self.bits
        )

    @cached_property
    def inverted(self) -> PermutationTable:
        """The inverse permutations; its own `inverted` is this very object."""
        other = PermutationTable(self.backward, self.forward)
        other.__dict__["inverted"] = self
        return other

    @cached_property
    def controlled(self) -> PermutationTable:
        """One more colour bit above the others, and where it is 0 everything stays in place."""
        stay = np.tile(np.arange(self.forward.shape[1]), (len(self.forward), 1))
        return PermutationTable(
            np.concatenate([stay, self.forward]), np.concatenate([stay, self.backward])
        )

    @cached_property
    def extended(self) -> PermutationTable:
        """Of several permutations: one more index bit above the others, and where it is 1
        everything stays in place.
        """
        colours, size = self.forward.shape
        stay = np.tile(size + np.arange(size), (colours, 1))
        return PermutationTable(np.hstack([self.forward, stay]), np.hstack([self.backward, stay]))


def full_permutations(
    rows: Ints, columns: Ints, colours: Ints, shape: tuple[int, int]
) -> PermutationTable:
    """Each colour's pairs (column -> row) completed to a permutation.

    Args:
        rows, columns, colours: shape (nnz,), no colour twice in a row or a column.
        shape: colours and indices of the table, (2^k, 2^s).

    Example:
        >>> full_permutations(np.array([2]), np.array([0]), np.array([0]), (1, 4)).forward.tolist()
        [[2, 1, 0, 3]]
    """
    forward = np.full(shape, -1, dtype=np.int64)
    forward[colours, columns] = rows
    backward = np.empty(shape, dtype=np.int64)
    indices = np.arange(shape[1])
    for pi, inverse in zip(forward, backward, strict=True):
        hit = np.zeros(shape[1], dtype=bool)
        hit[pi[pi >= 0]] = True
        stay = (pi < 0) & ~hit  # fixed points where both ends are free: they cost a loader nothing
        pi[stay] = indices[stay]
        pi[pi < 0] = np.setdiff1d(indices, pi[pi >= 0])
        inverse[pi] = indices
    return PermutationTable(forward, backward)
