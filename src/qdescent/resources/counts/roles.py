"""The tables of a word's roles, entry by entry: which patterns of roles a step and degree may have
follows from the order alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from qdescent._arrays import Bools, Ints

# qubits of roles up to which entries are counted one by one (orders up to 7)
MOST_ROLE_BITS = 14
_ZERO, _HALF, _QUARTER, _OWN = 0, 1, 2, 4  # no turn, half a turn, a quarter, any other


@lru_cache(maxsize=256)
def role_entries(
    order: int, largest: int, bits: tuple[int, ...], padded: bool
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """Entries of the angles that prepare the roles, and that undo them, for one step of each kind:
    level by level.

    Args:
        order: N.
        largest: K, of the map.
        bits: of each slot's role.
        padded: whether copies of the end follow.

    Returns:
        Of preparing: of a step of the map, a copy, the last copy, and no step; of undoing: of a
        step that the map leads to, and one that a copy leads to. Each with a number a level.

    Example:
        >>> prepare, undo = role_entries(2, 2, (2, 1), False)
        >>> prepare[0], undo[0]
        ((2, 4, 7), (2, 4, 4))
    """
    total, behind = sum(bits), sum(bits[1:])
    degrees = 2 ** (order - 1).bit_length()
    by_sum, by_parts = np.zeros((2, degrees, 2**total), dtype=bool)
    for pattern, word in _words(order, largest, bits):
        by_sum[sum(pattern) - 1, word] = by_parts[len(pattern) - 1, word] = True
    copies, nothing = np.zeros((2, degrees, 2**total), dtype=bool)
    if padded:
        copies[:order, (largest + 1) << behind] = True
    waste = nothing.copy()
    waste[:, -1] = True  # of what is no word
    prepare = [
        tuple(_entries(total, _with_waste(each, order), signed=True))
        for each in (by_sum, copies, nothing)
    ]
    prepare.append(tuple(_entries(total, waste, signed=True)))
    undo = [tuple(_entries(total, each | _stays(each, order))) for each in (by_parts, copies)]
    return tuple(prepare), tuple(undo)


@lru_cache(maxsize=256)
def degree_entries(order: int, largest: int, bits: tuple[int, ...]) -> int:
    """Entries of what the roles do to the degree.

    Example:
        >>> degree_entries(2, 2, (2, 1))
        4
    """
    added = np.zeros(2 ** sum(bits), dtype=np.int64)
    for pattern, word in _words(order, largest, bits):
        added[word] = (sum(pattern) - 1) ^ (len(pattern) - 1)
    return runs(added)


@lru_cache(maxsize=1024)
def swap_entries(order: int, largest: int, bits: tuple[int, ...], i: int, slot: int) -> int:
    """Entries of whether group i begins at this slot.

    Example:
        >>> swap_entries(3, 2, (2, 2, 1), 1, 2)
        6
    """
    chosen = np.zeros(2 ** sum(bits), dtype=np.int64)
    for pattern, word in _words(order, largest, bits):
        chosen[word] = len(pattern) > i and sum(pattern[:i]) == slot
    return runs(chosen)


def _words(
    order: int, largest: int, bits: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], int]]:
    """Each pattern of group sizes, and the roles that spell it."""
    for pattern in _patterns(order, largest):
        begins = np.cumsum((0, *pattern[:-1])).tolist()
        word = 0
        for slot, width in enumerate(bits):
            word = (word << width) + (pattern[begins.index(slot)] if slot in begins else 0)
        yield pattern, word


def runs(values: Ints) -> int:
    """Aligned runs of one value, as unary iteration skips them.

    Example:
        >>> runs(np.array([3, 1, 2, 2])), runs(np.array([5, 5, 5, 5]))
        (3, 1)
    """
    uniform, found = np.ones(len(values), dtype=bool), len(values)
    while len(values) > 1:
        uniform = uniform[::2] & uniform[1::2] & (values[::2] == values[1::2])
        values, found = values[::2], found - int(uniform.sum())
    return found


def _stays(moved: Bools, order: int) -> Bools:
    """Of each word the role that leaves it where it is."""
    stays = np.zeros_like(moved)
    stays[:order, 0] = True
    return stays


def _with_waste(moved: Bools, order: int) -> Bools:
    """And of degrees that no word has, what leads nowhere."""
    found = moved | _stays(moved, order)
    found[order:, -1] = True
    return found


def _entries(total: int, used: Bools, *, signed: bool = False) -> Iterator[int]:
    """Entries of each level's table where these combinations have weight; signed, all but the first
    are negative.
    """
    for level in range(total):
        below: Bools = np.asarray(used.reshape(len(used), 2**level, 2, -1).any(axis=3))
        left, right = below[..., 0], below[..., 1]
        values = np.where(right, _QUARTER, _ZERO)
        both = left & right
        values[both] = _OWN + np.arange(int(both.sum()))
        if signed and level == total - 1:
            values[:, 1:][(left & ~right)[:, 1:]] = _HALF
        yield runs(values.reshape(-1))


def _patterns(order: int, largest: int) -> Iterator[tuple[int, ...]]:
    """All (k_1, ..., k_j) of parts up to `largest`, of sum up to `order`."""
    for k in range(1, min(order, largest) + 1):
        yield (k,)
        for rest in _patterns(order - k, largest):
            yield (k, *rest)
