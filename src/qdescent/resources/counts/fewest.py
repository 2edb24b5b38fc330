"""Gates that no loader does without, as far as it works one gate after another: of a query to a
history, and of its right-hand side.

Rows of l entries hold no more than l that are unlike, and b (l - 1) swaps choose among them: at
least 2 sqrt(N b) - b - 2 gates for a read of N entries of b bits, whatever l is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from qdescent.resources.counts.history_tables import HistorySize


def fewest_gates(size: HistorySize, bits: int) -> int:
    """No more than the gates of a query, additions of angles among them: its rotations, and what
    each slot reads: colours forth and back, letters, those of F_0 and those that must follow.

    Args:
        size: of the tables.
        bits: b.
    """
    return size.turns * (bits - 2) + _fewest_of_slots(_alone(size), bits)


@lru_cache(maxsize=1 << 8)
def _fewest_of_slots(size: HistorySize, bits: int) -> int:
    found = 0
    for slot in range(size.order):
        first, *others = colours = size.slot_colours(slot)
        for half in _halves(size.colour_bits(slot)):
            begun = sum(max(0, -(-(count - half) // (2 * half))) for count in colours)
            found += 2 * _read(size, size.size * begun, bits)
        found += _read(size, size.size * (first - 1 + sum(others)), size.letter_bits)
        if size.is_forced:
            found += sum(_read(size, begun, bits) for begun in _begun(size))
        if others:
            found += _read(size, size.size * sum(others), len(others) * size.letter_bits)
    return found


def fewest_of_right_side(size: HistorySize, bits: int) -> int:
    """No more than the gates of a preparation of the right-hand side: the letters of F_0, which
    stand in each slot.

    Args:
        size: of the tables.
        bits: b.
    """
    return size.order * _fewest_of_letters(_alone(size), bits)


@lru_cache(maxsize=1 << 8)
def _fewest_of_letters(size: HistorySize, bits: int) -> int:
    return sum(_read(size, begun, bits) + bits - 2 for begun in _begun(size) if begun > 1)


def _alone(size: HistorySize) -> HistorySize:
    """Without what these counts do not know of: one for all ways."""
    steps = size.steps if size.changing else 1
    return replace(size, steps=steps, padding=0, controlled=False)


def _halves(width: int) -> Iterator[int]:
    """Half of what each qubit's beginnings stand for."""
    return (1 << width - k - 1 for k in range(width))


def _begun(size: HistorySize) -> Iterator[int]:
    """Beginnings of letters u, qubit by qubit, behind which both halves have one."""
    return (
        max(0, -(-(size.size + 1 - half) // (2 * half)) - 1) for half in _halves(size.letter_bits)
    )


def _read(size: HistorySize, unlike: int, bits: int) -> int:
    """Of so many entries that are unlike, in each step's table where maps change."""
    unlike *= size.steps if size.changing else 1
    return max(0, 2 * math.isqrt(unlike * bits) - bits - 2)
