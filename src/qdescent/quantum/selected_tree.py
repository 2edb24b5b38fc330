"""Rotation trees that a register selects: one real unit vector for each of its values."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from qdescent._checks import argument_error
from qdescent.quantum.access import AngleTable, Floats, prepared_vectors, rotation_levels


@dataclass(frozen=True, eq=False)
class SelectedTree:
    """Rotation trees that prepare one real vector for every value of a selection register.

    Args:
        levels: `AngleTable`s of shapes (S,), (S, 2), (S, 4), ...; signs sit in the last level.
    """

    levels: tuple[AngleTable, ...] = field(repr=False)

    @property
    def bitsize(self) -> int:
        """k, for vectors of length 2^k."""
        return len(self.levels)

    @property
    def selection_bits(self) -> int:
        """Of the selection register."""
        return (len(self.levels[0].indices) - 1).bit_length()

    @cached_property
    def prepared(self) -> Floats:
        """The unit vectors that the quantised angles prepare, shape (S, 2^k)."""
        return prepared_vectors(self.levels, len(self.levels[0].indices))

    @cached_property
    def controlled(self) -> SelectedTree:
        """One more selection bit above the others, and where it is 0 nothing is prepared."""
        return SelectedTree(tuple(level.controlled for level in self.levels))

    def followed_by(self, turn: int) -> SelectedTree:
        """One more selection bit above the others; where it is 1, only the last qubit turns, by one angle for all.

        Args:
            turn: that angle's index k: cos(2 pi k/2^b)|0...0> + sin(2 pi k/2^b)|0...01> is prepared.
        """
        added = [0 * level.indices for level in self.levels]
        added[-1].reshape(len(added[-1]), -1)[:, 0] = turn
        pairs = zip(self.levels, added, strict=True)
        return SelectedTree(tuple(AngleTable(np.concatenate([level.indices, more]), level.bits) for level, more in pairs))


def selected_tree(vectors: Floats, bits: int) -> SelectedTree:
    """The trees of the rows of an array.

    Args:
        vectors: shape (S, 2^k), S at least 2, no row zero; k at least 1.
        bits: b, bits of an angle.

    Raises:
        ArgumentError: less than two rows.

    Example:
        >>> tree = selected_tree(np.array([[3.0, -4.0], [0.0, 1.0]]), bits=20)
        >>> np.abs(np.round(tree.prepared, 4)).tolist()
        [[0.6, 0.8], [0.0, 1.0]]
    """
    if len(vectors) < 2:
        raise argument_error("vectors", "have at least two rows to select from", f"of shape {np.shape(vectors)}")
    return SelectedTree(rotation_levels(vectors, bits))
