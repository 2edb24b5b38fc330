"""Quantised angles, and the trees of rotations that prepare vectors: the very tables that the
loaders load.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from qdescent._array_checks import check_array
from qdescent._arrays import Bools, Floats, Ints
from qdescent._checks import argument_error, check_integer
from qdescent.quantum.tables.by_value import ByValue
from qdescent.quantum.tables.lookup import LookUpTable

MOST_ANGLE_BITS = 45  # 4 pi/2^45 is near 1e-13: finer angles drown in the rounding of float64


@dataclass(frozen=True, eq=False)
class AngleTable(ByValue):
    """Rotation angles as b-bit integers: entry k stands for Ry(4 pi k/2^b), so that cos(theta/2)
    takes both signs.

    Args:
        indices: integers in [0, 2^b), one axis of length 2^bits per selection register.
        bits: b.
    """

    indices: Ints = field(repr=False)
    bits: int

    @classmethod
    def nearest(cls, half_angles: Floats, bits: int) -> AngleTable:
        """The table nearest to theta/2 (radians, any range), each off by at most pi/2^b."""
        bits = check_integer("angle_bits", bits, 3)
        if bits > MOST_ANGLE_BITS:
            raise argument_error("angle_bits", f"be at most {MOST_ANGLE_BITS}", bits)
        turns = np.rint(check_array("half_angles", half_angles) * (2**bits / (2 * math.pi))).astype(
            np.int64
        )
        return cls(turns % 2**bits, bits)

    @property
    def half_angles(self) -> Floats:
        """theta/2 of every entry, in [0, 2 pi)."""
        return self.indices * (2 * math.pi / 2**self.bits)

    @cached_property
    def look_up(self) -> LookUpTable:
        """The indices, b bits each, as a circuit loads them (selection registers: of a table)."""
        return LookUpTable(self.indices, self.bits)

    @cached_property
    def negated(self) -> AngleTable:
        """The table of -theta (the adjoint rotation); its own `negated` is this very object."""
        other = AngleTable(-self.indices % 2**self.bits, self.bits)
        other.__dict__["negated"] = self
        return other

    @cached_property
    def controlled(self) -> AngleTable:
        """As many entries again before the others along the first axis, all 0: one more bit above
        that selection.
        """
        return AngleTable(np.concatenate([np.zeros_like(self.indices), self.indices]), self.bits)


@dataclass(frozen=True, eq=False)
class RotationTree(ByValue):
    """The rotations that prepare a real vector: level l turns qubit l by an angle that its l
    predecessors select.

    Args:
        levels: `AngleTable`s of shapes (), (2,), (4,), ...; signs sit in the last level.
    """

    levels: tuple[AngleTable, ...] = field(repr=False)

    @property
    def bitsize(self) -> int:
        """s, for vectors of length 2^s."""
        return len(self.levels)

    @cached_property
    def prepared(self) -> Floats:
        """The unit vector that the quantised angles prepare, shape (2^s,)."""
        return prepared_vectors(self.levels, 1)[0]

    @cached_property
    def selected(self) -> tuple[SelectedAngles, ...]:
        """The same rotations, each selected by those qubits alone that its angle depends on where
        the vector has weight; those that turn by nothing are left out.

        Example:
            >>> tree = rotation_tree(np.kron([1.0, 1.0, 0.0, 0.0], [0.6, 0.8]), bits=10)
            >>> [(turn.qubit, turn.selection) for turn in tree.selected]
            [(1, ()), (2, ())]
        """
        found = []
        reached = np.ones(1, dtype=bool)
        for qubit, level in enumerate(self.levels):
            turn = selected_angles(qubit, level, reached)
            if turn.table.indices.any():
                found.append(turn)
            # an index of a quarter turn leaves no weight at 0, one of no or half a turn none at 1
            index = level.indices.reshape(-1) % 2 ** (level.bits - 1)
            ways = np.stack([index != 2 ** (level.bits - 2), index != 0], axis=1)
            reached = (reached[:, None] & ways).reshape(-1)
        return tuple(found)

    @property
    def half_angles(self) -> list[Floats]:
        """Of `selected`, level by level for each state of the qubits before: (1,), (2,), (4,)."""
        angles = [np.zeros(2**qubit) for qubit in range(self.bitsize)]
        for turn in self.selected:
            angles[turn.qubit] = turn.half_angles
        return angles


@dataclass(frozen=True, eq=False)
class SelectedAngles(ByValue):
    """A rotation of one qubit, by an angle that others select.

    Args:
        qubit: that is turned.
        selection: the qubits that select, most significant first; none for one angle.
        table: the angles, shape (2^k,), or () of one.
    """

    qubit: int
    selection: tuple[int, ...]
    table: AngleTable

    @property
    def half_angles(self) -> Floats:
        """theta/2 for each state of all qubits before it, shape (2^qubit,)."""
        shape = [2 if index in self.selection else 1 for index in range(self.qubit)]
        few = self.table.half_angles.reshape(shape)
        return np.broadcast_to(few, [2] * self.qubit).reshape(-1)


def selected_angles(qubit: int, level: AngleTable, reached: Bools) -> SelectedAngles:
    """The rotation by a table of all qubits before, selected by those alone that its angles depend
    on where the state has weight.

    Args:
        qubit: that is turned.
        level: an angle for each state of the qubits before it, 2^qubit of them.
        reached: which of these states have weight, (2^qubit,).

    Example:
        >>> level = AngleTable(np.array([0, 3, 5, 3]), bits=4)
        >>> turn = selected_angles(2, level, np.array([False, True, True, True]))
        >>> turn.selection, turn.table.indices.tolist()
        ((1,), [5, 3])
    """
    indices, reached = level.indices.reshape([2] * qubit), reached.reshape([2] * qubit)
    axes = list(range(qubit))
    # the last first: what tells whole blocks apart stands in front
    for axis in reversed(range(qubit)):
        one, other = np.moveaxis(indices, axis, 0)
        first, second = np.moveaxis(reached, axis, 0)
        if (one == other)[first & second].all():
            indices, reached = np.where(first, one, other), first | second
            axes.remove(axis)
    kept = indices.reshape(-1 if axes else ())
    return SelectedAngles(qubit, tuple(axes), AngleTable(kept, level.bits))


def rotation_tree(vector: Floats, bits: int) -> RotationTree:
    """The rotation tree of a real vector, normalised and padded with zeros to 2^s entries (s at
    least 1).

    Args:
        vector: shape (n,), not zero.
        bits: b, bits of an angle.

    Raises:
        ArgumentError: a zero or non-finite vector.

    Example:
        >>> tree = rotation_tree(np.array([3.0, -4.0]), bits=20)
        >>> np.round(tree.prepared, 4).tolist()
        [0.6, -0.8]
    """
    vector = check_array("vector", vector, (None,))
    size = max(1, (len(vector) - 1).bit_length())
    padded = np.zeros(2**size)
    padded[: len(vector)] = vector
    if not padded.any():
        raise argument_error("vector", "be finite and not zero", "zero")
    levels = rotation_levels(padded[None] / np.abs(padded).max(), bits)
    return RotationTree(tuple(AngleTable(np.asarray(level.indices[0]), bits) for level in levels))


def rotation_levels(vectors: Floats, bits: int) -> tuple[AngleTable, ...]:
    """The tables of shapes (S,), (S, 2), (S, 4), ... by which the rows of an array, (S, 2^k), are
    prepared; none is zero.

    Example:
        >>> [table.indices.tolist() for table in rotation_levels(np.array([[1.0, 1.0]]), bits=4)]
        [[2]]
    """
    vectors = check_array("vectors", vectors, (None, None))
    count, lengths, levels = len(vectors), vectors, []
    while lengths.shape[1] > 1:
        pairs = lengths.reshape(count, -1, 2)
        half_angles = np.arctan2(pairs[:, :, 1], pairs[:, :, 0])
        lengths = np.hypot(pairs[:, :, 0], pairs[:, :, 1])
        levels.append(
            AngleTable.nearest(half_angles if half_angles.shape[1] > 1 else half_angles[:, 0], bits)
        )
    return tuple(reversed(levels))


def prepared_vectors(levels: Sequence[AngleTable], count: int) -> Floats:
    """The unit vectors that the tables of S trees prepare, shape (S, 2^k).

    Example:
        >>> prepared_vectors([AngleTable(np.array([0, 2]), bits=3)], 2).round().tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    amplitudes = np.ones((count, 1))
    for level in levels:
        half = level.half_angles.reshape(count, -1)
        amplitudes = np.stack(
            [amplitudes * np.cos(half), amplitudes * np.sin(half)], axis=2
        ).reshape(count, -1)
    return amplitudes


@dataclass(frozen=True, eq=False)
class SelectedTree(ByValue):
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
        """One more selection bit above the others; where it is 1, only the last qubit turns, by one
        angle for all.

        Args:
            turn: that angle's index k: cos(2 pi k/2^b)|0...0> + sin(2 pi k/2^b)|0...01> is
                prepared.
        """
        added = [0 * level.indices for level in self.levels]
        added[-1].reshape(len(added[-1]), -1)[:, 0] = turn
        pairs = zip(self.levels, added, strict=True)
        return SelectedTree(
            tuple(
                AngleTable(np.concatenate([level.indices, more]), level.bits)
                for level, more in pairs
            )
        )


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
        raise argument_error(
            "vectors", "have at least two rows to select from", f"of shape {np.shape(vectors)}"
        )
    return SelectedTree(rotation_levels(vectors, bits))
