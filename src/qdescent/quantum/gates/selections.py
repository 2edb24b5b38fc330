"""The selection registers of a table as a circuit holds them: apart, and bit by bit."""

from __future__ import annotations

import numpy as np
from qualtran import BloqBuilder, QUInt, Register, SoquetT

from qdescent.quantum.tables.lookup import LookUpTable


def selection_registers(table: LookUpTable) -> list[Register]:
    """selection0, selection1, ..., one for each axis of the table."""
    return [Register(f"selection{i}", QUInt(bits)) for i, bits in enumerate(table.selection_bits)]


def joined_selections(bb: BloqBuilder, soqs: dict[str, SoquetT], table: LookUpTable) -> np.ndarray:
    """The bits of all selection registers, the first register most significant."""
    return np.concatenate([bb.split(soqs[reg.name]) for reg in selection_registers(table)])


def parted_selections(bb: BloqBuilder, bits: np.ndarray, table: LookUpTable) -> dict[str, SoquetT]:
    """The selection registers from their bits."""
    parts = np.split(bits, np.cumsum(table.selection_bits)[:-1])
    return {
        register.name: bb.join(part, register.dtype)
        for register, part in zip(selection_registers(table), parts, strict=True)
    }
