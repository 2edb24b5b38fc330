"""Preparation of a history's right-hand side, letter by letter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import attrs
import numpy as np
from qualtran import Bloq, BloqBuilder, QAny, Signature, SoquetT
from qualtran.resource_counting import BloqCountDictT, SympySymbolAllocator

from qdescent._arrays import Complexes, Floats
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
from qdescent.quantum.gates.multiplexed import PatternFlip, TableRotation
from qdescent.quantum.gates.state_preparation import (
    EntryPreparation,
    RealStatePreparation,
    state_preparation,
)
from qdescent.quantum.gates.steps import Step, add_steps, counted, inverse
from qdescent.quantum.tables.angles import SelectedAngles, rotation_tree
from qdescent.quantum.tables.force import ForceTables, force_tables
from qdescent.quantum.tables.word_registers import WordRegisters


@attrs.frozen
class ForcePreparation(Bloq):
    """|0> -> sum_t sum_j |t>|j - 1> ((w + F_0)^j - w^j), normalised: steps and degrees first, then
    each slot is w or a letter of F_0.

    The bits of a slot are turned by angles that depend on the bits before, on the degree and on
    whether all slots before hold w, which a further qubit says for as long.

    Args:
        tables: from `force_tables`.
        is_adjoint: undo the preparation instead.
        loader: of the rotations' angles.

    Registers: state (s bits).

    Cost: for each of N slots the tables of F_0, n values in all, and 2 p l ANDs of flips for slot
        p of l bits; F_0 of every step where they differ.
    """

    label: ClassVar[str] = "prepare"
    tables: ForceTables
    is_adjoint: bool = False
    loader: Loader = DEFAULT_LOADER

    @property
    def bitsize(self) -> int:
        """s."""
        return self.tables.bitsize

    @property
    def prepared(self) -> Floats:
        """The unit vector that the quantised angles prepare, shape (2^s,)."""
        return self.tables.prepared

    @property
    def signature(self) -> Signature:
        """state (s)."""
        return Signature.build_from_dtypes(state=QAny(self.bitsize))

    def adjoint(self) -> ForcePreparation:
        """The inverse circuit."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    @property
    def _steps(self) -> list[Step]:
        tables, wires = self.tables, [f"qubit{i}" for i in range(self.bitsize)]
        before = wires[: tables.before.bitsize]
        first = RealStatePreparation(tables.before, loader=self.loader)
        steps: list[Step] = [(first, {"state": before})]
        for p, slot in enumerate(tables.slots):
            letter = [wires[i] for i in tables.letter(p)]
            written = wires[len(before) : len(before) + p * len(letter)]
            # 1. whether all slots before hold w, where an angle depends on it
            zeros = PatternFlip((0,) * len(written))
            flip: Step = (zeros, {"register": written, "mark": ["earlier"]})
            last = [bit + len(before) for bit in range(len(letter))]
            depends = any(last[k] in turn.selection for k, turn in enumerate(slot))
            flips = [flip] if depends else []
            # 2. the bits of the letter
            turns: list[Step] = []
            for k, (target, turn) in enumerate(zip(letter, slot, strict=True)):
                if turn.table.indices.any():
                    named = [*letter[:k], *before, "earlier"]
                    chosen = [named[bit] for bit in turn.selection]
                    at = ({"selection0": chosen} if chosen else {}) | {"target": [target]}
                    turns.append((TableRotation(turn.table, self.loader), at))
            steps += [*flips, *turns, *flips]
        return inverse(steps) if self.is_adjoint else steps

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The steps in their order."""
        layout = {"state": {f"qubit{i}": 1 for i in range(self.bitsize)}}
        return add_steps(bb, soqs, layout, self._steps, {"earlier": 1})

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """Each step once."""
        return counted(self._steps)


StatePreparation = EntryPreparation | ForcePreparation


def history_preparation(
    vector: Floats | Complexes, layout: WordRegisters, bits: int, loader: Loader = DEFAULT_LOADER
) -> StatePreparation:
    """The preparation of a history's right-hand side: letter by letter where it is one from u_0 = 0
    and that takes fewer gates, else entry by entry.

    Args:
        vector: shape (2^s,), not zero, over the layout's bits and any in front of them.
        layout: of the words.
        bits: b, bits of an angle.
        loader: of the angles.
    """
    if np.iscomplexobj(vector):
        return state_preparation(vector, bits, loader)
    entries = RealStatePreparation(rotation_tree(vector.real, bits), loader=loader)
    tables = force_tables(vector.real, layout, bits)
    if tables is None:
        return entries
    flips = layout.order**2 * layout.letter_bits  # at most
    by_letters = _gates(tables.turns) + flips
    less = by_letters < _gates(entries.tree.selected)
    return ForcePreparation(tables, loader=loader) if less else entries


def _gates(turns: Iterable[SelectedAngles]) -> int:
    """ANDs of rotations by plain look-ups, and b - 2 gates for each that turns by what was read."""
    tables = [turn.table for turn in turns if turn.selection]
    return sum(2 * table.look_up.ands() + table.bits - 2 for table in tables)
