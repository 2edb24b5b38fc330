"""The tables of a history's right-hand side, (w + F_0)^j - w^j for each word length j: as many
lines as F_0 has, not as many as the words.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from qdescent._arrays import Bools, Floats
from qdescent.quantum.tables.angles import (
    AngleTable,
    RotationTree,
    SelectedAngles,
    rotation_levels,
    rotation_tree,
    selected_angles,
)
from qdescent.quantum.tables.by_value import ByValue
from qdescent.quantum.tables.word_registers import WordRegisters

SAME = 1e-9  # of the vector and what its words of one letter make of it: rounding of both


@dataclass(frozen=True, eq=False)
class ForceTables(ByValue):
    """Rotations that prepare the right-hand side of a history from u_0 = 0.

    On |t>|j - 1>, whose amplitudes are those of its words together, each slot in turn is w or a
    letter of F_0; a word of w alone never comes out.

    Args:
        layout: of the words.
        before: prepares what stands before the slots: further bits, step, degree.
        slots: of each slot a rotation for each of its bits, selected by those before it (first, so
            that what only concerns w is one line of many), by what stands before the slots, and
            last by whether all slots before hold w.
    """

    layout: WordRegisters
    before: RotationTree
    slots: tuple[tuple[SelectedAngles, ...], ...] = field(repr=False)

    @property
    def bitsize(self) -> int:
        """Of the vector's register."""
        return self.before.bitsize + self.layout.order * self.layout.letter_bits

    def letter(self, slot: int) -> range:
        """The qubits of a slot, most significant first."""
        start = self.before.bitsize + slot * self.layout.letter_bits
        return range(start, start + self.layout.letter_bits)

    @property
    def turns(self) -> tuple[SelectedAngles, ...]:
        """All rotations."""
        return (*self.before.selected, *itertools.chain(*self.slots))

    @cached_property
    def prepared(self) -> Floats:
        """The unit vector that the quantised angles prepare, shape (2^s,)."""
        # what stands before, the slots so far: those that all hold w, and the others
        found = self.before.prepared[:, None]
        other, count = np.zeros_like(found), len(found)
        for slot in self.slots:
            # a vector for each of what stands before, and of both answers
            letters = np.ones((1, count, 2))
            for turn in slot:
                half = turn.half_angles.reshape(-1, count, 2)
                pair = [letters * np.cos(half), letters * np.sin(half)]
                letters = np.stack(pair, axis=1).reshape(-1, count, 2)
            vectors = np.moveaxis(letters, 0, 2)  # (before, answer, letter)
            first, rest = vectors[:, 1].copy(), vectors[:, 1].copy()
            first[:, 1:], rest[:, 0] = 0, 0
            other = other[:, :, None] * vectors[:, :1] + found[:, :, None] * rest[:, None]
            found = found[:, :, None] * first[:, None]
            found, other = found.reshape(count, -1), other.reshape(count, -1)
        return (found + other).reshape(-1)


def force_tables(vector: Floats, layout: WordRegisters, bits: int) -> ForceTables | None:
    """The tables of a right-hand side; None where the vector is none, or all words have one letter.

    Args:
        vector: shape (2^s,), s at least the layout's bits, in any unit; what stands where no word
            is, only where a word of one letter w would be.
        layout: of the words.
        bits: b, bits of an angle.

    Example:
        >>> layout, f = WordRegisters(1, 2, 1, 0), 0.5
        >>> vector = np.array([0, 0, f, 0, 0, f, f, f * f] + 8 * [0.0])
        >>> tables = force_tables(vector, layout, bits=20)
        >>> np.round(tables.prepared[:8] * np.linalg.norm(vector), 4).tolist()
        [0.0, 0.0, 0.5, 0.0, 0.0, 0.5, 0.5, 0.25]
        >>> force_tables(np.ones(16), layout, bits=20) is None
        True
    """
    order, q = layout.order, 2**layout.letter_bits
    if order == 1:
        return None
    degrees = 2**layout.degree_bits
    words = vector.reshape(-1, degrees, q**order)
    # F_0 of every step (and block) from its words of one letter
    ones = words[:, 0].reshape(len(words), q, -1)[:, :, 0]
    force = ones.copy()
    force[:, 0] = 0
    # the unit of w: words of two letters u are F_0 (x) F_0 in it
    twice = words[:, 1].reshape(len(words), q, q, -1)[:, 1:, 1:, 0]
    row = np.argmax(np.linalg.norm(force, axis=1))
    unit = np.linalg.norm(force[row]) ** 2 / max(float(np.linalg.norm(twice[row])), 1e-300)
    if not 0 < unit < math.inf:
        return None
    force /= unit
    made = np.zeros_like(words)
    made[:, 0].reshape(len(words), q, -1)[:, :, 0] = ones
    # what begins a word: w + F_0, and w alone
    start = force.copy()
    start[np.abs(force).max(axis=1) > 0, 0] = 1
    word, constant = start, np.zeros(q)
    constant[0] = 1
    for m in range(2, order + 1):
        word = (word[:, :, None] * start[:, None, :]).reshape(len(words), -1)
        left = unit * word
        left[:, 0] = 0
        made[:, m - 1].reshape(len(words), q**m, -1)[:, :, 0] = left
    mixed = (ones[:, 0] != 0) & force.any(axis=1)
    if mixed.any() or np.abs(made - words).max() > SAME * np.abs(vector).max():
        return None
    return _tables(words, force, layout, bits)


def _tables(words: Floats, force: Floats, layout: WordRegisters, bits: int) -> ForceTables:
    """Of a vector that was seen to be one."""
    degrees, q = 2**layout.degree_bits, force.shape[1]
    sizes = np.linalg.norm(words, axis=2)
    before = rotation_tree(sizes.reshape(-1), bits)
    weighty = (sizes > 0).reshape(-1)
    lengths = np.linalg.norm(force, axis=1)[:, None]
    moves = np.repeat(lengths > 0, degrees, axis=1).reshape(-1)
    # where nothing moves, that of another step: equal entries are read once
    longest = force[np.argmax(lengths)]
    own = np.repeat(np.where(lengths > 0, force, longest), degrees, axis=0)
    # F_0 of each step: the angles behind the first bit that is 1, whatever w weighs
    usual = rotation_levels(_scaled(own), bits)
    slots = []
    for slot in range(layout.order):
        left = np.arange(degrees)[None, :] - slot  # letters behind this one
        behind = (1 + lengths**2) ** np.maximum(left, 0)
        # each is w or a letter for itself; so far all w: not all behind may be w, too
        free = np.ones_like(behind), np.ones_like(behind)
        alone = np.sqrt(np.maximum(behind - 1, 0)), np.sqrt(behind)
        rows = []
        for constant, scale in (free, alone):
            row = scale.reshape(-1)[:, None] * own
            row[:, 0] = constant.reshape(-1)
            still = ~moves | np.broadcast_to(left < 0, behind.shape).reshape(-1)
            rows.append(np.where(still[:, None], np.eye(1, q), row))
        levels = rotation_levels(_scaled(np.concatenate(rows)), bits)
        here = weighty[None, :] & np.array([[slot > 0], [True]])
        slots.append(tuple(_turns(levels, usual, here)))
    return ForceTables(layout, before, tuple(slots))


def _scaled(rows: Floats) -> Floats:
    return rows / np.abs(rows).max(axis=1, keepdims=True)


def _turns(
    levels: tuple[AngleTable, ...], usual: tuple[AngleTable, ...], here: Bools
) -> Iterator[SelectedAngles]:
    """The rotations of a slot's bits, from (answers x before) rows of angles."""
    for depth, (level, ordinary) in enumerate(zip(levels, usual, strict=True)):
        count = 2**depth
        indices = np.empty((count, here.shape[1], 2), dtype=np.int64)
        indices[:] = ordinary.indices.reshape(-1, count).T[:, :, None]
        first = level.indices.reshape(2, here.shape[1], count)[:, :, 0]
        indices[0] = first.T
        reached = np.broadcast_to(here.T, indices.shape)
        table = AngleTable(indices.reshape(-1), level.bits)
        yield selected_angles((here.size * count).bit_length() - 1, table, reached.reshape(-1))
