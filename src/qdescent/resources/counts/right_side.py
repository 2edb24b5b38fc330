"""The preparation of a history's right-hand side, from sizes alone: what
`quantum.gates.force_preparation.ForcePreparation` is made of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from qdescent.quantum.gates.loading.load_cost import Entries
from qdescent.quantum.gates.loading.loader import LoadCosts
from qdescent.resources.counts.history_tables import HistorySize, vector_level
from qdescent.resources.counts.layout import Layout, Own, Piece, Table, axis
from qdescent.resources.counts.loads import Part, prefixes, prepared, together


@lru_cache(maxsize=1 << 8)
def right_side(size: HistorySize, loader: LoadCosts, bits: int, *, marked: bool) -> Part:
    """(w + F_0)^j - w^j for all steps and word lengths j, prepared or its preparation undone:
    steps and degrees first, then the letters of F_0 slot by slot.

    Args:
        size: of the history, u_0 = 0.
        loader: of the angles.
        bits: b, of an angle.
        marked: one more qubit in front, as b_t of a kernel reflection has it.

    Example:
        >>> from qdescent.quantum.gates.loading.loaders import LOADERS
        >>> small = HistorySize(size=7, order=2, steps=3, padding=0, colours=(3, 9))
        >>> found = right_side(small, LOADERS["qrom"], 12, marked=True)
        >>> found.toffoli, found.turns
        (34, 9)
    """
    mark, maps = int(marked), size.steps if size.changing else 1
    # steps 1 ... T, each with its own map: told apart by the last bits
    axis_bits = (size.steps - 1).bit_length() if size.changing else 0
    degrees = size.degree_bits
    levels: list[Entries] = []
    # 1. steps: alike but for the first and the last, unless each has its own map
    for k, begun in _begun(size.steps + 1, size.step_bits):
        levels.append(
            Few((begun if size.changing else min(begun, 2 * k + 1)) + mark, 1 << mark + k)
        )
    # a map a step: no word stands at t = 0, where the mark's are, so that the step tells them apart
    mark = 0 if size.changing else mark
    # 2. lengths of words
    for k, begun in _begun(size.order, degrees):
        levels.append(Few(maps * begun + mark, 1 << mark + axis_bits + k))
    # 3. letters, which do not know of steps that are alike
    alone = size if size.changing else replace(size, steps=1, padding=0)
    letters = _letters(alone, loader, bits, mark)
    return together("upload", [prepared("upload", loader, _selected(levels), bits), letters])


def _selected(levels: list[Entries]) -> list[Entries]:
    """By what is not selected turns a fixed rotation, of no table."""
    return [table for table in levels if table.addresses > 1]


@lru_cache(maxsize=1 << 8)
def _letters(size: HistorySize, loader: LoadCosts, bits: int, mark: int) -> Part:
    """The letters of F_0, slot by slot, behind as many bits of a mark."""
    levels, flips = _letter_tables(size, mark)
    return together(
        "upload", [prepared("upload", loader, levels, bits), Part("upload", flips, flips)]
    )


@lru_cache(maxsize=1 << 8)
def _letter_tables(size: HistorySize, mark: int) -> tuple[list[Entries], int]:
    """Their angles, for all loaders and bits; and flips."""
    maps = size.steps if size.changing else 1
    axis_bits = (size.steps - 1).bit_length() if size.changing else 0
    degrees, letter = size.degree_bits, size.letter_bits
    levels: list[Entries] = []
    # of each slot its bits: one line for each beginning of a letter, and of the beginning that
    # may still be w one for each degree, and whether all slots before hold w
    flips = 0
    for slot in range(size.order):
        if size.order == 1:
            for k in range(letter):
                line = vector_level(1, size.size + 1, letter, k)
                if size.changing:
                    line = axis(axis_bits, k, _by_step(size.steps, axis_bits, line))
                levels.append(Table(axis(mark, line.bits, Piece(0, 1, line))))
            continue
        # behind the first, the mark's words are as those of length 1: no letter stands there
        flips += 2 * max(0, slot * letter - 1)
        before = degrees + (mark if slot == 0 else 1)
        first, last = (0, size.order) if slot == 0 else (2 * slot, 2 * size.order)
        by_w = axis(before, 0, Piece(first, last, Own()))
        other: Layout = Own(before)
        if size.changing:
            by_w, other = (
                axis(axis_bits, before, _by_step(maps, axis_bits, each)) for each in (by_w, other)
            )
        for k in range(letter):
            half = 1 << letter - k - 1
            begun = max(1, -(-(size.size + 1 - half) // (2 * half)))
            pieces = Piece(0, 1, by_w), Piece(1, begun, other)
            levels.append(Table(axis(k, axis_bits + before, *pieces)))
    return _selected(levels), flips


def _by_step(steps: int, bits: int, what: Layout) -> Piece:
    """At the last bits of 1 ... T."""
    first = int(steps < 1 << bits)
    return Piece(first, first + steps, what)


@dataclass(frozen=True)
class Few:
    """A table of a few aligned runs of equal entries, wherever they stand.

    Args:
        runs: so many at most, at least 1.
        addresses: 2^n.
    """

    runs: int
    addresses: int

    def ands(self, block: int = 1) -> int:
        """Of no more runs than there are rows."""
        return max(0, min(self.runs, self.addresses // block) - 2)


def _begun(values: int, bits: int) -> list[tuple[int, int]]:
    """k, and the beginnings of k bits that numbers below `values` have, with the runs behind."""
    return [(k, some + (2**k - some).bit_count()) for k, some in enumerate(prefixes(values, bits))]
