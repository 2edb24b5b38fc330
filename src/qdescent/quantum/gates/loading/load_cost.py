"""What a load of a table takes, and the two parts of which every such cost is made: unary
iteration over entries, and the sign that a measured register leaves.
"""

from __future__ import annotations

from dataclasses import dataclass

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


def check_size(entries: int, bits: int) -> tuple[int, int]:
    """The entries and the bits of a table, as integers in their ranges."""
    return check_integer("entries", entries, 1, MOST_ENTRIES), check_integer("bits", bits, 1)


def iteration_ands(entries: int) -> int:
    """ANDs of unary iteration over `entries` entries and the zeros behind them, each aligned run of
    zeros being one entry.
    """
    if entries == 1:
        return 0
    return entries + (2 ** (entries - 1).bit_length() - entries).bit_count() - 2


def iteration_cost(entries: int) -> LoadCost:
    """Unary iteration over `entries` entries: one AND after another, on an AND's qubit a level."""
    ands = iteration_ands(entries)
    return LoadCost(ands, ands, max(0, (entries - 1).bit_length() - 1))


def fix_up_block(entries: int) -> int:
    """The signs that a row of a `SignLookUp` holds, for fewest ANDs; the least such.

    Example:
        >>> fix_up_block(1024), fix_up_block(2)
        (32, 1)
    """
    bits = (check_integer("entries", entries, 1, MOST_ENTRIES) - 1).bit_length()
    return 2 ** (bits // 2)  # 2^bits/l + l - 4 is least there


def fix_up_cost(entries: int) -> LoadCost:
    """What the sign takes that a measured register leaves: ceil(N/l) - 2 and l - 2 ANDs, N the next
    power of two.

    Example:
        >>> fix_up_cost(1024)
        LoadCost(toffoli=60, depth=34, work_qubits=36)
    """
    padded = 2 ** (check_integer("entries", entries, 1, MOST_ENTRIES) - 1).bit_length()
    if padded == 1:
        return LoadCost(0, 0, 0)
    block = fix_up_block(entries)
    rows = iteration_cost(padded // block)
    layers = max(0, block.bit_length() - 2)
    return LoadCost(rows.toffoli + max(0, block - 2), rows.depth + layers, block + rows.work_qubits)
