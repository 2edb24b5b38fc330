"""What a query to a block-encoding is made of: look-ups by one loader, rotations by what they
found, and flips; counted as the circuits of quantum/ count them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from qdescent.quantum.gates.loading.load_cost import MOST_ENTRIES, LoadCost
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


class TableSize(NamedTuple):
    """A table by its entries: a tuple, which a price compares a hundred thousand times.

    Args:
        used: entries that hold something of their own; neighbours that are equal count once.
        padded: entries that its address has.
        aligned: `used` are aligned runs of equal entries, of zeros, too: as many as unary iteration
            visits. Otherwise zeros follow the entries that are used.
    """

    used: int
    padded: int
    aligned: bool = False

    def of(self, loader: LoadCosts) -> int:
        """Those that a loader pays for: a router tree has a leaf for each address. More than an
        address of 62 bits tells apart only steps are, most of which are alike.
        """
        most = self.padded if loader.by_address else self.used
        return max(1, min(most, self.padded, MOST_ENTRIES))

    def cleared_by(self, loader: LoadCosts) -> int:
        """Those that clearing pays for: a measured one gives every address its sign."""
        measured = loader.clearing == "measured"
        return min(self.padded, MOST_ENTRIES) if measured else self.of(loader)


@lru_cache(maxsize=1 << 16)
def _load(loader: LoadCosts, table: TableSize, bits: int) -> LoadCost:
    return _iterated(loader, table, loader.load_cost(table.of(loader), bits))


@lru_cache(maxsize=1 << 16)
def _clear(loader: LoadCosts, table: TableSize, bits: int) -> LoadCost:
    cost = loader.clear_cost(table.cleared_by(loader), bits)
    return cost if loader.clearing == "measured" else _iterated(loader, table, cost)


def _iterated(loader: LoadCosts, table: TableSize, cost: LoadCost) -> LoadCost:
    """No more than one iteration over the runs, where these are known."""
    most = max(0, table.of(loader) - 2)
    if not table.aligned or loader.by_address or cost.toffoli <= most:
        return cost
    return LoadCost(most, min(cost.depth, most), cost.work_qubits)


def read_and_cleared(
    name: str, loader: LoadCosts, table: TableSize, bits: int, turns: int = 0
) -> Part:
    """A table read into fresh qubits, used, and cleared.

    Example:
        >>> from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
        >>> read_and_cleared("turn", DEFAULT_LOADER, TableSize(1024, 1024), bits=8).toffoli
        2044
    """
    toffoli, depth, work = _forth_and_back(loader, table, bits)
    return Part(name, toffoli, depth, turns, work)


@lru_cache(maxsize=1 << 16)
def _forth_and_back(loader: LoadCosts, table: TableSize, bits: int) -> tuple[int, int, int]:
    """Gates, layers and qubits of a table read and cleared: asked for a hundred times a price."""
    read = _iterated(loader, table, loader.read_cost(table.of(loader), bits))
    clear = _clear(loader, table, bits)
    work = bits + max(read.work_qubits, clear.work_qubits)
    return read.toffoli + clear.toffoli, read.depth + clear.depth, work


def loaded(name: str, loader: LoadCosts, table: TableSize, bits: int) -> Part:
    """A table xored into qubits that hold something."""
    load = _load(loader, table, bits)
    return Part(name, load.toffoli, load.depth, 0, load.work_qubits)


def loaded_and_cleared(name: str, loader: LoadCosts, table: TableSize, bits: int) -> Part:
    """A table xored into qubits and cleared from them: an index replaced by its image, which is
    made beside it; a choice that is used in between.
    """
    load = _load(loader, table, bits)
    measured = loader.clearing == "measured"
    undo = _clear(loader, table, bits) if measured else load
    work = bits + max(load.work_qubits, undo.work_qubits)
    return Part(name, load.toffoli + undo.toffoli, load.depth + undo.depth, 0, work)


def prepared(
    name: str, loader: LoadCosts, levels: Iterable[TableSize], bits: int, *, times: int = 1
) -> Part:
    """A vector for each selected value, qubit by qubit: a table of angles a qubit.

    Args:
        name: of the part.
        loader: of the angles.
        levels: the table of each qubit.
        bits: b, of an angle.
        times: how often; twice is preparing and unpreparing.
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
