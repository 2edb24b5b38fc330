"""One query to the composed block-encoding of a history matrix: what
`quantum.encodings.history.HistoryEncoding` is made of, part by part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from qdescent.quantum.gates.loading.loader import LoadCosts
from qdescent.resources.counts.history_tables import (
    HistoryLoads,
    HistorySize,
    SlotLoads,
    generic_loads,
    generic_slot,
)
from qdescent.resources.counts.layout import Alike, Table
from qdescent.resources.counts.loads import (
    Part,
    loaded,
    loaded_and_cleared,
    prepared,
    together,
)

BLOCK_TURN = Table(Alike(1))  # a turn by one of two values takes no AND


@dataclass(frozen=True)
class QueryCost:
    """One query: its parts, and the qubits that it holds.

    Args:
        parts: in the order of the circuit.
        system_qubits, ancilla_qubits: of its registers.
    """

    parts: tuple[Part, ...]
    system_qubits: int
    ancilla_qubits: int

    @property
    def toffoli(self) -> int:
        """AND, Toffoli and controlled-swap gates."""
        return sum(part.toffoli for part in self.parts)

    @property
    def depth(self) -> int:
        """Layers of them."""
        return sum(part.depth for part in self.parts)

    @property
    def turns(self) -> int:
        """Rotations by a loaded angle."""
        return sum(part.turns for part in self.parts)

    @property
    def work_qubits(self) -> int:
        """Of the largest part, beyond the registers."""
        return max((part.work for part in self.parts), default=0)


def augmented_query(query: QueryCost, loader: LoadCosts, bits: int) -> QueryCost:
    """A query to diag(M, alpha/t), as kernel reflection asks for it: the controlled query to M, and
    a turn of a flag by the block.
    """
    turn = prepared("block", loader, [BLOCK_TURN], bits)
    return QueryCost((*query.parts, turn), query.system_qubits + 1, query.ancilla_qubits + 1)


def dilated_query(query: QueryCost) -> QueryCost:
    """A query to [[0, M], [M^H, 0]] under a control, as phase estimation asks for it: the
    controlled query to M and its inverse.
    """
    parts = tuple(together(part.name, [part], times=2) for part in query.parts)
    return QueryCost(parts, query.system_qubits + 2, query.ancilla_qubits + 1)


@lru_cache(maxsize=1 << 8)
def history_query(size: HistorySize, loader: LoadCosts, bits: int) -> QueryCost:
    """The parts of one query, each with its gates, from sizes alone.

    Args:
        size: of the tables, filled as a generic map fills them (`generic_loads`).
        loader: of all of them.
        bits: b, of an angle.

    Example:
        >>> from qdescent.quantum.gates.loading.loaders import LOADERS
        >>> small = HistorySize(size=3, order=1, steps=4, padding=0, colours=(2,))
        >>> [part.name for part in history_query(small, LOADERS["qrom"], 12).parts]
        ['roles', 'colours 0', 'letters 0', 'shift']
    """
    loads = generic_loads(size)
    alone = replace(size, controlled=False)  # slots do not know of it, nor of steps that are alike
    if not size.changing:
        alone = replace(alone, steps=1, padding=min(1, size.padding))
    slots = [_slot_parts(alone, p, loader, bits) for p in range(size.order)]
    return _query(loads, slots, loader, bits)


@lru_cache(maxsize=1 << 8)
def _slot_parts(size: HistorySize, p: int, loader: LoadCosts, bits: int) -> list[Part]:
    return _parts_of(p, generic_slot(size, p), size.letter_bits, loader, bits)


def query_of(loads: HistoryLoads, loader: LoadCosts, bits: int) -> QueryCost:
    """The parts of one query that loads these tables.

    Args:
        loads: the tables.
        loader, bits: as for `history_query`.
    """
    slots = [
        _parts_of(p, slot, loads.words.letter_bits, loader, bits)
        for p, slot in enumerate(loads.slots)
    ]
    return _query(loads, slots, loader, bits)


def _parts_of(p: int, slot: SlotLoads, letter: int, loader: LoadCosts, bits: int) -> list[Part]:
    """What a slot's role says: the colour, the letter, the letters that must follow."""
    parts = [
        prepared(f"colours {p}", loader, each, bits) for each in (slot.prepare, slot.unprepare)
    ]
    parts.append(loaded_and_cleared(f"letters {p}", loader, *slot.letters, letter))
    if slot.spread:
        parts.append(prepared(f"force {p}", loader, slot.spread, bits))
    if slot.tails is not None:
        parts.append(loaded(f"tails {p}", loader, slot.tails, slot.tail_slots * letter))
    return parts


def _query(
    loads: HistoryLoads, slot_parts: list[list[Part]], loader: LoadCosts, bits: int
) -> QueryCost:
    """All parts in the order of the circuit."""
    on, slots, letter = int(loads.is_controlled), range(loads.words.order), loads.words.letter_bits
    parts: list[Part] = []
    if loads.words.order > 1:
        parts.append(_flips("constant words", on + loads.words.order * letter))
    parts += [prepared("roles", loader, each, bits) for each in (loads.prepare, loads.unprepare)]
    parts += [part for each in slot_parts for part in each]
    # letters that were written move together
    for choice in loads.swaps:
        parts.append(loaded_and_cleared("swaps", loader, choice, choice, 1))
        parts.append(Part("swaps", letter, letter))
    parts.append(loaded_and_cleared("shift", loader, *loads.shift, loads.words.step_bits))
    if loads.degrees is not None:
        parts.append(loaded("degrees", loader, loads.degrees, loads.words.degree_bits))
    for slot in slots[1:]:
        for _ in range(slot):
            parts.append(_flips("blanks", on + loads.words.degree_bits))
            parts.append(_flips("blanks", on + loads.words.degree_bits + letter))
    return QueryCost(_merged(parts), loads.words.system_bits, loads.ancilla_qubits)


def _flips(name: str, bits: int) -> Part:
    """A flip where a register of so many bits holds one value."""
    return Part(name, max(0, bits - 1), max(0, bits - 1))


def _merged(parts: list[Part]) -> tuple[Part, ...]:
    """Parts of one name as one."""
    named: dict[str, list[Part]] = {}
    for part in parts:
        named.setdefault(part.name, []).append(part)
    return tuple(together(name, each) for name, each in named.items())
