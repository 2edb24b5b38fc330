"""What a loader is: what it declares a load to cost, and the gates that load one table.

Qualtran, NumPy and torch are imported by the circuits alone: a command line names its loaders
before the seconds that they take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from qdescent._checks import check_methods
from qdescent.quantum.gates.loading.load_cost import Entries, LoadCost

if TYPE_CHECKING:
    import numpy as np
    from qualtran import BloqBuilder, SoquetT

    from qdescent.quantum.tables.lookup import LookUpTable

CLEARINGS = ("coherent", "measured")


class LoadCosts(Protocol):
    """What a way to load tables takes: of a table, or of so many entries that are all unlike."""

    @property
    def clearing(self) -> str:
        """How what was read is cleared, one of `CLEARINGS`."""
        ...

    @property
    def by_address(self) -> bool:
        """Whether every address has a part of its own, all of them at work at once: then equal
        entries save nothing.
        """
        ...

    def __hash__(self) -> int:
        """Of its settings: what a load takes is kept by loader."""
        ...

    def load_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """Of |i>|t> -> |i>|t xor d_i>."""
        ...

    def read_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """Of |i>|0>|0> -> |i>|d_i>|w_i>."""
        ...

    def clear_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """Of |i>|d_i>|w_i> -> |i>|0>|0>, after use; where it is cleared coherently, the read
        undone, which takes what the read took.
        """
        ...


class Loader(LoadCosts, Protocol):
    """A way to load a table; of `in_place` and `reading` one at least is not None."""

    def in_place(self, table: LookUpTable) -> InPlace | None:
        """The gates that xor an entry into any target; None: a load is a read by `reader`, copied
        by CNOTs, and undone.
        """
        ...

    def reader(self, table: LookUpTable) -> Loader:
        """The loader whose read a load copies."""
        ...

    def reading(self, table: LookUpTable) -> Reading | None:
        """The gates of a read; None: it is a load into fresh qubits."""
        ...


class InPlace(Protocol):
    """|i>|t> -> |i>|t xor d_i>, as gates."""

    def __call__(self, bb: BloqBuilder, soqs: dict[str, SoquetT]) -> dict[str, SoquetT]:
        """On selection0, selection1, ..., and target."""
        ...


class Reading(Protocol):
    """|i>|0>|0> -> |i>|d_i>|w_i>, as gates: work qubits stay filled until it is undone."""

    @property
    def work_bits(self) -> int:
        """Bits of w_i, at least one."""
        ...

    def work_tables(self) -> tuple[LookUpTable, ...]:
        """The parts of w_i by selection, for whoever clears them by measurement."""
        ...

    def __call__(
        self, bb: BloqBuilder, selection: np.ndarray
    ) -> tuple[np.ndarray, SoquetT, SoquetT]:
        """On the bits of the selection: these, d_i and w_i."""
        ...


def check_loader(value: Any) -> Any:
    """Check that an argument `loader` is one."""
    methods = ("load_cost", "read_cost", "clear_cost", "in_place", "reading")
    return check_methods("loader", value, methods, "a loader such as QROMLoader()")


def check_table(value: Any) -> Any:
    """Check that an argument `table` is one, without the import of what it is made of."""
    return check_methods("table", value, ("ands",), "a LookUpTable")
