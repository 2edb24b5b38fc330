"""Plain QROM: entry after entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qdescent._checks import check_choice, check_field
from qdescent.quantum.gates.loading.load_cost import (
    Entries,
    LoadCost,
    check_size,
    fix_up_cost,
    iteration_cost,
)
from qdescent.quantum.gates.loading.loader import CLEARINGS, InPlace, Loader, check_table

if TYPE_CHECKING:
    from qdescent.quantum.tables.lookup import LookUpTable


@dataclass(frozen=True)
class QROMLoader:
    """Plain QROM, entry after entry by unary iteration: fewest qubits.

        N - 2 ANDs for N = 2^n entries; otherwise the entries beyond N cost one more for each 1
        among the bits of 2^n - N.

    Equal neighbours are skipped: a table may cost less than so many unlike entries.

    Args:
        clearing: way in which what was read is cleared: "coherent", by as many ANDs, or "measured",
            by about 2 sqrt N and a sign that depends on what was found.

    References:
        Babbush et al., arXiv:1805.03662, section III; Berry et al., arXiv:1902.02134, appendix C.

    Example:
        >>> QROMLoader().load_cost(entries=1000, bits=8)
        LoadCost(toffoli=1000, depth=1000, work_qubits=9)
        >>> QROMLoader("measured").clear_cost(entries=1000, bits=8).toffoli
        60
    """

    clearing: str = "coherent"

    def __post_init__(self) -> None:
        check_field(self, "clearing", check_choice, CLEARINGS)

    @property
    def by_address(self) -> bool:
        """False: equal neighbours are one entry."""
        return False

    def in_place(self, table: LookUpTable) -> InPlace:
        """The iteration xors into any target."""
        check_table(table)
        from qdescent.quantum.gates.loading.iteration import Iteration

        return Iteration(table)

    def reader(self, table: LookUpTable) -> Loader:
        """Itself: a load copies what a read finds."""
        check_table(table)
        return self

    def reading(self, table: LookUpTable) -> None:
        """None: the iteration fills fresh qubits as it does any."""
        check_table(table)

    def load_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """The iteration; it xors into any target."""
        table, _ = check_size(entries, bits)
        return iteration_cost(table)

    def read_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """That of a load."""
        return self.load_cost(entries, bits)

    def clear_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """That of a load, or of the sign."""
        table, bits = check_size(entries, bits)
        if self.clearing == "measured":
            return fix_up_cost(table.addresses)
        return self.load_cost(table, bits)


DEFAULT_LOADER = QROMLoader()  # fewest qubits
