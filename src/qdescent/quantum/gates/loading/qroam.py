"""Select-swap: rows of entries fetched at once, the chosen entry swapped to the front."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qdescent._checks import argument_error, check_boolean, check_choice, check_field, check_integer
from qdescent.quantum.gates.loading.load_cost import (
    MOST_ENTRIES,
    Entries,
    LoadCost,
    check_size,
    fix_up_cost,
    iteration_cost,
)
from qdescent.quantum.gates.loading.loader import CLEARINGS, InPlace, Loader, Reading, check_table

if TYPE_CHECKING:
    from qdescent.quantum.tables.lookup import LookUpTable

SMALL = 14  # bits of an address up to which every block is tried


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
        check_field(self, "clearing", check_choice, CLEARINGS)
        check_field(self, "dirty", check_boolean)
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
        return self._load_block(table, table.bits)

    def read_block(self, table: LookUpTable) -> int:
        """l of a read; borrowed qubits cannot stay filled: their read is a load into empty ones."""
        check_table(table)
        return self._read_block(table, table.bits)

    def load_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """The cost of a load into any target."""
        table, bits = check_size(entries, bits)
        block = self._load_block(table, bits)
        if block == 1 or self.dirty or self.clearing == "coherent":
            return self._cost(table, bits, block, 2, 4 if self.dirty else 2)
        read, clear = self._cost(table, bits, block, 1, 1), fix_up_cost(table.addresses)
        held = block * bits  # a target of its own, and what else the read leaves filled
        work = max(read.work_qubits + bits, held, clear.work_qubits)
        return LoadCost(read.toffoli + clear.toffoli, read.depth + clear.depth, work)

    def read_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """Into an empty target, which is the first entry of the block."""
        table, bits = check_size(entries, bits)
        if self.dirty:
            return self.load_cost(table, bits)
        return self._cost(table, bits, self._read_block(table, bits), 1, 1)

    def clear_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """That of a read, or of the sign."""
        table, bits = check_size(entries, bits)
        if self.clearing == "measured":
            return fix_up_cost(table.addresses)
        return self.read_cost(table, bits)

    def _load_block(self, table: Entries, bits: int) -> int:
        if self.dirty:
            return self._best(table, bits, 2, 4)
        if self.clearing == "coherent":
            return self._best(table, bits, 2, 2)
        return self._best(table, bits, 1, 1, fix_up_cost(table.addresses).toffoli)

    def _read_block(self, table: Entries, bits: int) -> int:
        return self._load_block(table, bits) if self.dirty else self._best(table, bits, 1, 1)

    def _best(self, table: Entries, bits: int, fetches: int, networks: int, beside: int = 0) -> int:
        """l, where any block but 1 takes `beside` more."""
        largest = table.addresses.bit_length() - 2
        if self.block is not None:
            return int(min(self.block, 2 ** max(0, largest)))
        fewest = table.ands(1)
        swaps = networks * bits

        def toffoli(k: int) -> int:
            block = 1 << k
            return fetches * table.ands(block) + swaps * (block - 1) + beside

        best, found = 0, fewest
        if largest <= SMALL:
            for k in range(1, largest + 1):
                if swaps * ((1 << k) - 1) + beside >= found:  # before any row is fetched
                    break
                there = toffoli(k)
                if there < found:
                    best, found = k, there
            return 1 << best
        # both terms meet at l = sqrt(fetches N / (networks b)); from there downhill
        middle = min(largest, max(1, (fetches * fewest // swaps).bit_length() // 2))
        start = toffoli(middle)
        if start < found:
            best, found = middle, start
        for step in (-1, 1):
            k, before = middle + step, start
            while 1 <= k <= largest:
                there = toffoli(k)
                if there < found or (there == found and k < best):
                    best, found = k, there
                if there >= before:
                    break
                k, before = k + step, there
        return 1 << best

    def _cost(self, table: Entries, bits: int, block: int, fetches: int, networks: int) -> LoadCost:
        fetch = iteration_cost(table, block)
        if block == 1:
            return fetch
        toffoli = fetches * fetch.toffoli + networks * bits * (block - 1)
        depth = fetches * fetch.depth + networks * (block.bit_length() - 1)
        # a read's target is the first entry of the block
        held = bits * (block if fetches == 2 else block - 1)
        return LoadCost(toffoli, depth, held + fetch.work_qubits)
