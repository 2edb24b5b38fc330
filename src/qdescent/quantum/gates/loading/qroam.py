"""Select-swap: rows of entries fetched at once, the chosen entry swapped to the front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qdescent._checks import argument_error, check_boolean, check_choice, check_integer
from qdescent.quantum.gates.loading.load_cost import (
    MOST_ENTRIES,
    LoadCost,
    check_size,
    fix_up_cost,
    iteration_ands,
    iteration_cost,
)
from qdescent.quantum.gates.loading.loader import CLEARINGS, InPlace, Loader, Reading, check_table

if TYPE_CHECKING:
    from qdescent.quantum.tables.lookup import LookUpTable

NEAR = 4  # octaves around the balanced block that are tried


@dataclass(frozen=True)
class QROAMLoader:
    """Select-swap: QROM fetches l entries at once, controlled swaps bring the chosen one forward.

        clean:  a read (N/l - 2) + b (l - 1) Toffoli, a load twice that (read, copy by CNOTs, undo),
        dirty:  a load or a read 2 (N/l - 2) + 4 b (l - 1), its l b work qubits borrowed in any
        state and given back unchanged;
        measured: what a read leaves is cleared by about 2 sqrt N, whatever b is, so that a clean
        load takes a read and that.

    Args:
        block: l, a power of two; a table of 2^n selections takes at most 2^(n-1). None takes the l
            of fewest Toffoli gates for each table and form, 1 (plain QROM) among them.
        dirty: borrow the work qubits.
        clearing: as for `QROMLoader`.

    Raises:
        ArgumentError: a block that is not a power of two.

    References:
        Low, Kliuchnikov, Schaeffer, arXiv:1812.00954; Berry et al., arXiv:1902.02134, appendices A
        and B.

    Example:
        >>> QROAMLoader().read_cost(entries=1024, bits=8)
        LoadCost(toffoli=182, depth=129, work_qubits=62)
    """

    block: int | None = None
    dirty: bool = False
    clearing: str = "coherent"

    def __post_init__(self) -> None:
        check_choice("clearing", self.clearing, CLEARINGS)
        check_boolean("dirty", self.dirty)
        if self.block is not None:
            object.__setattr__(self, "block", check_integer("block", self.block, 1, MOST_ENTRIES))
            if self.block & (self.block - 1):
                raise argument_error("block", "be a power of two", self.block)

    @property
    def by_address(self) -> bool:
        """False: equal neighbours are one row."""
        return False

    def in_place(self, table: LookUpTable) -> InPlace | None:
        """Rows of one entry are plain QROM; borrowed qubits are given back after two fetches; with
        clean ones None.
        """
        from qdescent.quantum.gates.loading.iteration import Iteration
        from qdescent.quantum.gates.loading.select_swap import Borrowing

        block = self.load_block(table)
        if block == 1:
            return Iteration(table)
        return Borrowing(table, block) if self.dirty else None

    def reader(self, table: LookUpTable) -> Loader:
        """With the block of a load, which may be another than that of a read."""
        return replace(self, block=self.load_block(table))

    def reading(self, table: LookUpTable) -> Reading | None:
        """Into clean qubits; None where none stay filled."""
        from qdescent.quantum.gates.loading.select_swap import BlockReading

        block = self.read_block(table)
        return None if self.dirty or block == 1 else BlockReading(table, block)

    def load_block(self, table: LookUpTable) -> int:
        """l of a load; 1, plain QROM, where no block makes up for fetching twice."""
        check_table(table)
        return self._load_block(len(table.padded), table.bits, table.ands)

    def read_block(self, table: LookUpTable) -> int:
        """l of a read; borrowed qubits cannot stay filled: their read is a load into empty ones."""
        check_table(table)
        entries, bits, ands = len(table.padded), table.bits, table.ands
        return self.load_block(table) if self.dirty else self._best(entries, bits, ands, 1, 1)

    def load_cost(self, entries: int, bits: int) -> LoadCost:
        """The cost of a load into any target."""
        entries, bits = check_size(entries, bits)
        block = self._load_block(entries, bits, _Rows(entries))
        if block == 1 or self.dirty or self.clearing == "coherent":
            return self._cost(entries, bits, block, 2, 4 if self.dirty else 2)
        read, clear = self._cost(entries, bits, block, 1, 1), fix_up_cost(entries)
        held = block * bits  # a target of its own, and what else the read leaves filled
        work = max(read.work_qubits + bits, held, clear.work_qubits)
        return LoadCost(read.toffoli + clear.toffoli, read.depth + clear.depth, work)

    def read_cost(self, entries: int, bits: int) -> LoadCost:
        """Into an empty target, which is the first entry of the block."""
        entries, bits = check_size(entries, bits)
        if self.dirty:
            return self.load_cost(entries, bits)
        return self._cost(entries, bits, self._best(entries, bits, _Rows(entries), 1, 1), 1, 1)

    def clear_cost(self, entries: int, bits: int) -> LoadCost:
        """That of a read, or of the sign."""
        entries, bits = check_size(entries, bits)
        return (
            fix_up_cost(entries) if self.clearing == "measured" else self.read_cost(entries, bits)
        )

    def _load_block(self, entries: int, bits: int, ands: Callable[[int], int]) -> int:
        if self.dirty:
            return self._best(entries, bits, ands, 2, 4)
        if self.clearing == "coherent":
            return self._best(entries, bits, ands, 2, 2)
        return self._best(entries, bits, ands, 1, 1, fix_up_cost(entries).toffoli)

    def _best(
        self,
        entries: int,
        bits: int,
        ands: Callable[[int], int],
        fetches: int,
        networks: int,
        beside: int = 0,
    ) -> int:
        """l, where fetching rows of l entries takes ands(l), and any block but 1 `beside` more."""
        largest = (entries - 1).bit_length() - 1
        if self.block is not None:
            return min(self.block, 2 ** max(0, largest))
        tried = range(1, largest + 1)
        if isinstance(ands, _Rows):
            # both terms meet at l = sqrt(fetches N / (networks b)); farther off one alone is larger
            near = (fetches * entries // (networks * bits)).bit_length() // 2
            tried = range(max(1, near - NEAR), min(largest, near + NEAR) + 1)
        best, fewest = 1, ands(1)
        for k in tried:
            block = 2**k
            toffoli = fetches * ands(block) + networks * bits * (block - 1) + beside
            if toffoli < fewest:
                best, fewest = block, toffoli
        return best

    def _cost(self, entries: int, bits: int, block: int, fetches: int, networks: int) -> LoadCost:
        if block == 1:
            return iteration_cost(entries)
        fetch = iteration_cost(-(-entries // block))
        toffoli = fetches * fetch.toffoli + networks * bits * (block - 1)
        depth = fetches * fetch.depth + networks * (block.bit_length() - 1)
        # a read's target is the first entry of the block
        held = bits * (block if fetches == 2 else block - 1)
        return LoadCost(toffoli, depth, held + fetch.work_qubits)


@dataclass(frozen=True)
class _Rows:
    """ANDs of a table without equal neighbours, by its block."""

    entries: int

    def __call__(self, block: int) -> int:
        return iteration_ands(-(-self.entries // block))
