"""What a query to a block-encoding is made of: look-ups by one loader, rotations by what they
found, and flips; counted as the circuits of quantum/ count them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from qdescent.quantum.gates.loading.load_cost import Entries, LoadCost
from qdescent.quantum.gates.loading.loader import LoadCosts


@dataclass(frozen=True)
class Part:
    """A part of a query.

    Args:
        name: what it does.
        toffoli: AND, Toffoli and controlled-swap gates.
        depth: layers of them.
        turns: rotations by a loaded angle of b bits: b - 2 rotations and a T gate each as the
            circuits write them, b - 2 Toffoli where b bits are added into a phase gradient.
        work: qubits beyond the registers, while it runs.
    """

    name: str
    toffoli: int = 0
    depth: int = 0
    turns: int = 0
    work: int = 0


@lru_cache(maxsize=1 << 11)
def _forth_and_back(loader: LoadCosts, table: Entries, bits: int) -> tuple[int, int, int]:
    """Gates, layers and qubits of a table read and cleared: asked for a hundred times a price."""
    read = loader.read_cost(table, bits)
    clear = loader.clear_cost(table, bits) if loader.clearing == "measured" else read
    work = bits + max(read.work_qubits, clear.work_qubits)
    return read.toffoli + clear.toffoli, read.depth + clear.depth, work


@lru_cache(maxsize=1 << 11)
def _load(loader: LoadCosts, table: Entries, bits: int) -> LoadCost:
    return loader.load_cost(table, bits)


def loaded(name: str, loader: LoadCosts, table: Entries, bits: int) -> Part:
    """A table xored into qubits that hold something."""
    load = _load(loader, table, bits)
    return Part(name, load.toffoli, load.depth, 0, load.work_qubits)


def loaded_and_cleared(
    name: str, loader: LoadCosts, table: Entries, back: Entries, bits: int
) -> Part:
    """A table xored into qubits and cleared from them by another: an index replaced by its image,
    which is made beside it; a choice that is used in between.
    """
    load = _load(loader, table, bits)
    measured = loader.clearing == "measured"
    undo = loader.clear_cost(back, bits) if measured else _load(loader, back, bits)
    work = bits + max(load.work_qubits, undo.work_qubits)
    return Part(name, load.toffoli + undo.toffoli, load.depth + undo.depth, 0, work)


def prepared(
    name: str, loader: LoadCosts, levels: Iterable[Entries], bits: int, *, times: int = 1
) -> Part:
    """A vector for each selected value, qubit by qubit: a table of angles a qubit.

    Args:
        name: of the part.
        loader: of the angles.
        levels: the table of each qubit.
        bits: b, of an angle.
        times: how often; twice is preparing and unpreparing by tables of one layout.
    """
    costs = [_forth_and_back(loader, level, bits) for level in levels]
    toffoli, depth = (times * sum(cost[i] for cost in costs) for i in (0, 1))
    work = max((cost[2] for cost in costs), default=0)
    return Part(name, toffoli, depth, times * len(costs), work)


def together(name: str, parts: Iterable[Part], times: int = 1) -> Part:
    """Parts one after another, as one."""
    parts = list(parts)
    return Part(
        name,
        times * sum(part.toffoli for part in parts),
        times * sum(part.depth for part in parts),
        times * sum(part.turns for part in parts),
        max((part.work for part in parts), default=0),
    )


def prefixes(values: int, bits: int) -> list[int]:
    """How many beginnings of k bits, k = 0 ... bits - 1, numbers below `values` have.

    Example:
        >>> prefixes(5, 3)
        [1, 2, 3]
    """
    return [-(-values // 2 ** (bits - k)) for k in range(bits)]


def bits_of(values: int) -> int:
    """Qubits that tell `values` things apart, one at least."""
    return max(1, (values - 1).bit_length())
