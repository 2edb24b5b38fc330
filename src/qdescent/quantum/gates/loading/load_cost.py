"""What a load of a table takes, and the two parts of which every such cost is made: unary
iteration over entries, and the sign that a measured register leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from qdescent._checks import check_integer

MOST_ENTRIES = 2**62  # an address of 62 bits


@dataclass(frozen=True)
class LoadCost:
    """What one load of a table takes.

    Args:
        toffoli: AND, Toffoli and controlled-swap gates; clearing an AND by measurement is free.
        depth: layers of them, on the qubits counted here; a qubit that gates only read is read by
            all of them at once.
        work_qubits: beyond the selection and the target.
    """

    toffoli: int
    depth: int
    work_qubits: int


class Entries(Protocol):
    """A table as a loader pays for it: its addresses, and what iteration over its rows takes."""

    @property
    def addresses(self) -> int:
        """2^n, of n selecting qubits."""
        ...

    def __hash__(self) -> int:
        """Of what it holds: what a load takes is kept by table."""
        ...

    def ands(self, block: int = 1) -> int:
        """ANDs of unary iteration over rows of `block` entries, a power of two."""
        ...


@dataclass(frozen=True)
class Filled:
    """Entries that are all unlike, and zeros behind them.

    Args:
        entries: so many, at least 1.
        addresses: 2^n, no fewer.

    Example:
        >>> Filled(1000, 1024).ands(), Filled(1000, 1024).ands(block=8)
        (1000, 125)
    """

    entries: int
    addresses: int

    def ands(self, block: int = 1) -> int:
        """Of the rows that hold an entry, and of each aligned run of empty ones."""
        rows = -(-self.entries // block)
        return max(0, rows + (self.addresses // block - rows).bit_count() - 2)


def filled(entries: int) -> Filled:
    """So many unlike entries behind as few selecting qubits as tell them apart."""
    return Filled(entries, 1 << (entries - 1).bit_length())


def check_size(entries: int | Entries, bits: int) -> tuple[Entries, int]:
    """A table, or as many unlike entries, and its bits in their range."""
    bits = check_integer("bits", bits, 1)
    if callable(getattr(entries, "ands", None)) and not isinstance(entries, type):
        return entries, bits  # type: ignore[return-value]
    return filled(check_integer("entries", entries, 1, MOST_ENTRIES)), bits  # type: ignore[arg-type]


def iteration_cost(table: Entries, block: int = 1) -> LoadCost:
    """Unary iteration over rows of a table: one AND after another, on an AND's qubit a level."""
    ands = table.ands(block)
    return LoadCost(ands, ands, max(0, (table.addresses // block).bit_length() - 2))


def fix_up_block(entries: int) -> int:
    """The signs that a row of a `SignLookUp` holds, for fewest ANDs; the least such.

    Example:
        >>> fix_up_block(1024), fix_up_block(2)
        (32, 1)
    """
    bits = (check_integer("entries", entries, 1) - 1).bit_length()
    return 2 ** (bits // 2)  # 2^bits/l + l - 4 is least there


@lru_cache(maxsize=1024)
def fix_up_cost(entries: int) -> LoadCost:
    """What the sign takes that a measured register leaves: ceil(N/l) - 2 and l - 2 ANDs, N the next
    power of two.

    Example:
        >>> fix_up_cost(1024)
        LoadCost(toffoli=60, depth=34, work_qubits=36)
    """
    padded = 2 ** (check_integer("entries", entries, 1) - 1).bit_length()
    if padded == 1:
        return LoadCost(0, 0, 0)
    block = fix_up_block(entries)
    rows = iteration_cost(filled(padded // block))
    layers = max(0, block.bit_length() - 2)
    return LoadCost(rows.toffoli + max(0, block - 2), rows.depth + layers, block + rows.work_qubits)
