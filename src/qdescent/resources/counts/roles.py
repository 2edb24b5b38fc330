"""The tables of a word's roles, entry by entry: which patterns of roles a step and degree may have
follows from the order alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from qdescent._arrays import Bools
from qdescent.resources.counts.layout import HALF, QUARTER, ZERO, Layout, given

# qubits of roles up to which entries are counted one by one (orders up to 7)
MOST_ROLE_BITS = 14
_OWN = 4  # of angles, from here on: no turn, half of one, and a quarter come before


@lru_cache(maxsize=256)
def role_layouts(
    order: int, largest: int, bits: tuple[int, ...], padded: bool
) -> tuple[tuple[tuple[Layout, ...], ...], tuple[tuple[Layout, ...], ...]]:
    """The angles that prepare the roles, and that undo them, for one step of each kind: level by
    level, by the word's degree and the roles' bits before.

    Args:
        order: N.
        largest: K, of the map.
        bits: of each slot's role.
        padded: whether copies of the end follow.

    Returns:
        Of preparing: of a step of the map, a copy, the last copy, and no step; of undoing: of a
        step that the map leads to, and one that a copy leads to. Each with a layout a level.

    Example:
        >>> from qdescent.resources.counts.layout import rows
        >>> prepare, undo = role_layouts(2, 2, (2, 1), False)
        >>> [rows(level, 0) for level in prepare[0]], [rows(level, 0) for level in undo[0]]
        ([2, 4, 7], [2, 4, 4])
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
    # a copy is one whatever the word
    prepare = [
        tuple(_levels(total, _with_waste(each, order), signed=True, alike=each is not by_sum))
        for each in (by_sum, copies, nothing)
    ]
    prepare.append(tuple(_levels(total, waste, signed=True)))
    undo = [
        tuple(_levels(total, each | _stays(each, order), alike=each is copies))
        for each in (by_parts, copies)
    ]
    return tuple(prepare), tuple(undo)


@lru_cache(maxsize=256)
def degree_layout(order: int, largest: int, bits: tuple[int, ...]) -> Layout:
    """What the roles do to the degree.

    Example:
        >>> from qdescent.resources.counts.layout import rows
        >>> rows(degree_layout(2, 2, (2, 1)), 0)
        4
    """
    added = np.zeros(2 ** sum(bits), dtype=np.int64)
    for pattern, word in _words(order, largest, bits):
        added[word] = (sum(pattern) - 1) ^ (len(pattern) - 1)
    return given(added, order)


@lru_cache(maxsize=1024)
def swap_layout(order: int, largest: int, bits: tuple[int, ...], i: int, slot: int) -> Layout:
    """Whether group i begins at this slot.

    Example:
        >>> from qdescent.resources.counts.layout import rows
        >>> rows(swap_layout(3, 2, (2, 2, 1), 1, 2), 0)
        6
    """
    chosen = np.zeros(2 ** sum(bits), dtype=np.int64)
    for pattern, word in _words(order, largest, bits):
        chosen[word] = len(pattern) > i and sum(pattern[:i]) == slot
    return given(chosen, 2)


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


def _levels(
    total: int, used: Bools, *, signed: bool = False, alike: bool = False
) -> Iterator[Layout]:
    """Each level's table where these combinations have weight; signed, all but the first are
    negative; alike, of the same weights for words of every length.
    """
    for level in range(total):
        below: Bools = np.asarray(used.reshape(len(used), 2**level, 2, -1).any(axis=3))
        left, right = below[..., 0], below[..., 1]
        values = np.where(right, QUARTER, ZERO)
        both = left & right
        own = _OWN + np.arange(values.size).reshape(values.shape)
        values[both] = (np.broadcast_to(own[0], own.shape) if alike else own)[both]
        if signed and level == total - 1:
            values[:, 1:][(left & ~right)[:, 1:]] = HALF
        yield given(values.reshape(-1), _OWN)


def _patterns(order: int, largest: int) -> Iterator[tuple[int, ...]]:
    """All (k_1, ..., k_j) of parts up to `largest`, of sum up to `order`."""
    for k in range(1, min(order, largest) + 1):
        yield (k,)
        for rest in _patterns(order - k, largest):
            yield (k, *rest)
