"""The preparation of a history's right-hand side, from sizes alone: what
`quantum.gates.force_preparation.ForcePreparation` is made of.
"""

from __future__ import annotations

from functools import lru_cache

from qdescent.quantum.gates.loading.loader import LoadCosts
from qdescent.resources.counts.history_query import HistorySize
from qdescent.resources.counts.loads import Part, TableSize, prefixes, prepared, together


@lru_cache(maxsize=1 << 14)
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
        >>> small = HistorySize(n=7, order=2, steps=3, padding=0, colours=(3, 9))
        >>> found = right_side(small, LOADERS["qrom"], 12, marked=True)
        >>> found.toffoli, found.turns
        (40, 9)
    """
    mark, maps = int(marked), size.steps if size.changing else 1
    axis = size.step_bits if size.changing else 0
    degrees, letter = size.degree_bits, size.letter_bits
    levels = []

    def turn(used: int, selected_by: int) -> None:
        # by what is not selected turns a fixed rotation, of no table
        if selected_by > 0:
            levels.append(TableSize(used, 2**selected_by, aligned=True))

    # 1. steps: alike but for the first and the last, unless each has its own map
    for k, begun in _begun(size.steps + 1, size.step_bits):
        turn((begun if size.changing else min(begun, 2 * k + 1)) + mark, mark + k)
    # a map a step: no word stands at t = 0, where the mark's are, so that the step tells them apart
    mark = 0 if size.changing else mark
    # 2. lengths of words
    for k, begun in _begun(size.order, degrees):
        turn(maps * begun + mark, mark + axis + k)
    # 3. of each slot its bits: one line for each beginning of a letter, and of the beginning that
    #    may still be w one for each degree, and whether all slots before hold w
    flips = 0
    for slot in range(size.order):
        if size.order == 1:
            front, kinds = mark + axis, 1
        else:
            # behind the first, the mark's words are as those of length 1
            front = (mark if slot == 0 else 1) + axis + degrees
            kinds = size.order + mark if slot == 0 else 2 * size.order
            flips += 2 * max(0, slot * letter - 1)
        for k, begun in _begun(size.n + 1, letter):
            more = mark if size.order == 1 else 0  # the mark's half is one run
            turn(maps * (begun - 1 + kinds) + more, front + k)
    return together(
        "upload", [prepared("upload", loader, levels, bits), Part("upload", flips, flips)]
    )


def _begun(values: int, bits: int) -> list[tuple[int, int]]:
    """k, and the beginnings of k bits that numbers below `values` have, with the runs behind."""
    return [(k, some + (2**k - some).bit_count()) for k, some in enumerate(prefixes(values, bits))]
