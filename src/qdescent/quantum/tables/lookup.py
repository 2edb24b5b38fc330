"""A table of integers as a circuit reads it: table entries of b bits behind selection registers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from qdescent._arrays import Ints
from qdescent._checks import argument_error, check_field, check_instance, check_integer
from qdescent.quantum.tables.by_value import ByValue

MOST_BITS = 62  # what an integer of 64 bits holds


@dataclass(frozen=True, eq=False)
class LookUpTable(ByValue):
    """Entries of b bits, read by one or more selection registers; 0 beyond its last entry.

    Args:
        entries: integers in [0, 2^b), one axis of at least two entries per selection register.
        bits: b.

    Raises:
        ArgumentError: an axis of one entry, or an entry of more than b bits.

    Example:
        >>> table = LookUpTable(np.array([3, 1, 2]), bits=2)
        >>> table.selection_bits, table.padded.tolist()
        ((2,), [3, 1, 2, 0])
    """

    entries: Ints = field(repr=False)
    bits: int

    def __post_init__(self) -> None:
        check_field(self, "bits", check_integer, 1, MOST_BITS)
        check_instance("entries", self.entries, np.ndarray, called="a NumPy array of integers")
        if self.entries.dtype.kind not in "iu":
            raise argument_error("entries", "be a NumPy array of integers", self.entries)
        if self.entries.ndim == 0 or min(self.entries.shape) < 2:
            raise argument_error(
                "entries",
                "have at least two entries along every axis",
                f"of shape {self.entries.shape}",
            )
        if self.entries.min() < 0 or int(self.entries.max()) >> self.bits:
            raise argument_error(
                "entries",
                f"be in [0, 2^{self.bits})",
                f"in [{self.entries.min()}, {self.entries.max()}]",
            )

    @property
    def selection_bits(self) -> tuple[int, ...]:
        """Bits of each selection register."""
        return tuple((length - 1).bit_length() for length in self.entries.shape)

    @cached_property
    def padded(self) -> Ints:
        """An entry for every joint selection, the first register most significant, shape (2^n,)."""
        full = np.zeros([2**bits for bits in self.selection_bits], dtype=np.int64)
        full[tuple(slice(length) for length in self.entries.shape)] = self.entries
        return full.reshape(-1)

    @property
    def addresses(self) -> int:
        """2^n, of n selecting qubits."""
        return len(self.padded)

    @property
    def label(self) -> str:
        """What a drawing calls its look-up."""
        return f"look-up, {len(self.padded)} entries of {self.bits} bits"

    def ands(self, block: int = 1) -> int:
        """ANDs of unary iteration over rows of `block` entries: two less than the aligned runs of
        one value, rows of several values never being part of a longer run.

        Raises:
            ArgumentError: a block that is no power of two, or longer than the table.

        Example:
            >>> LookUpTable(np.array([3, 1, 2, 2]), bits=2).ands()
            1
        """
        block = check_integer("block", block, 1, len(self.padded))
        if block & (block - 1):
            raise argument_error("block", "be a power of two", block)
        return max(0, aligned_runs(self.padded.reshape(-1, block)) - 2)


def aligned_runs(rows: Ints) -> int:
    """Aligned runs, of 1, 2, 4, ... rows, in which all entries are one value; a row of several
    values is a run of its own.

    Args:
        rows: entries, (rows, entries of a row), a power of two of rows.

    Example:
        >>> aligned_runs(np.array([[3], [1], [2], [2]]))
        3
    """
    uniform, values, runs = (rows == rows[:, :1]).all(axis=1), rows[:, 0], len(rows)
    while len(values) > 1:
        uniform = uniform[::2] & uniform[1::2] & (values[::2] == values[1::2])
        values, runs = values[::2], runs - int(uniform.sum())
    return runs
