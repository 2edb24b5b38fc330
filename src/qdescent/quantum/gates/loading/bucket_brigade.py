"""Bucket-brigade QRAM: a router for each address, all of them at work at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qdescent.quantum.gates.loading.load_cost import Entries, LoadCost, check_size
from qdescent.quantum.gates.loading.loader import CLEARINGS, Loader, Reading, check_table

if TYPE_CHECKING:
    from qdescent.quantum.tables.lookup import LookUpTable


@dataclass(frozen=True)
class BucketBrigade:
    """A tree of routers, one qubit each, that lead a token to the leaf that the selection names;
    the leaves hold the entries.

    Each bit of the selection is copied in at the root, led down by controlled swaps through the
    routers that are set, and sets the next level; the token follows, and CNOTs from the leaves
    write b bits. For N = 2^n leaves, however short the table:

        2 N - n - 2 controlled swaps a read, in 2 n - 2 layers (n > 1), on 5 N/2 - 3 work qubits; a
        load twice the gates and layers.

    References:
        Giovannetti, Lloyd, Maccone, arXiv:0708.1879; Jaques, Rattew, arXiv:2305.10310 (O(N) gates a
        query whatever the layout).

    Example:
        >>> BucketBrigade().read_cost(entries=1024, bits=8)
        LoadCost(toffoli=2036, depth=18, work_qubits=2557)
    """

    @property
    def clearing(self) -> str:
        """ "coherent": the routers lead the token back."""
        return CLEARINGS[0]

    @property
    def by_address(self) -> bool:
        """True: a leaf for each, however alike the entries are."""
        return True

    def in_place(self, table: LookUpTable) -> None:
        """None: the leaves write into fresh qubits."""
        check_table(table)

    def reader(self, table: LookUpTable) -> Loader:
        """Itself: a load copies what a read finds."""
        check_table(table)
        return self

    def reading(self, table: LookUpTable) -> Reading:
        """The tree, and its leaves that write."""
        check_table(table)
        from qdescent.quantum.gates.loading.router_tree import TreeReading

        return TreeReading(table)

    def load_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """Read, copied, and undone."""
        table, bits = check_size(entries, bits)
        read = self.read_cost(table, bits)
        if table.addresses == 1:
            return read
        return LoadCost(2 * read.toffoli, 2 * read.depth, read.work_qubits + bits)

    def read_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """The tree stays filled until it is undone."""
        table, _ = check_size(entries, bits)
        n = table.addresses.bit_length() - 1
        if n == 0:  # one entry is no choice: CNOTs from the table itself
            return LoadCost(0, 0, 0)
        return LoadCost(2 * 2**n - n - 2, max(1, 2 * n - 2), 5 * 2**n // 2 - 3)

    def clear_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """That of a read, backwards."""
        return self.read_cost(entries, bits)
