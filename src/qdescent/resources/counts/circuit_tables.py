"""The tables that a circuit of this package loads, as a query's count takes them: then what is
declared is what is counted, gate by gate.
"""

from __future__ import annotations

from qdescent.quantum.gates.loading.load_cost import Entries
from qdescent.quantum.tables.angles import SelectedTree
from qdescent.quantum.tables.history import HistoryTables
from qdescent.quantum.tables.history_slots import SlotTables
from qdescent.quantum.tables.lookup import LookUpTable
from qdescent.resources.counts.history_tables import HistoryLoads, SlotLoads


def loads_of(tables: HistoryTables, *, controlled: bool = False) -> HistoryLoads:
    """The tables of one query to a history that is there.

    Args:
        tables: from `history_tables`.
        controlled: the query acts where a qubit is 1.
    """
    words, slots = tables.words, range(tables.order)
    trees = (words.prepare, words.unprepare)
    prepare, unprepare = (_angles(tree.controlled if controlled else tree) for tree in trees)
    return HistoryLoads(
        words=tables,
        is_controlled=controlled,
        role_bits=tables.role_bits,
        colour_bits=tuple(slot.colour_bits for slot in tables.slots),
        prepare=prepare,
        unprepare=unprepare,
        slots=tuple(_slot(slot) for slot in tables.slots),
        swaps=tuple(
            LookUpTable((words.starts[i] == slot).astype(int), 1)
            for i in slots[1:]
            for slot in slots[i + 1 :]
        ),
        shift=words.shift.look_ups,
        degrees=words.degrees,
    )


def _slot(slot: SlotTables) -> SlotLoads:
    return SlotLoads(
        prepare=_angles(slot.prepare),
        unprepare=_angles(slot.unprepare),
        letters=slot.letters.look_ups,
        spread=() if slot.spread is None else _angles(slot.spread),
        tails=slot.tails,
        tail_slots=slot.tail_slots,
    )


def _angles(tree: SelectedTree) -> tuple[Entries, ...]:
    return tuple(level.look_up for level in tree.levels)
