"""A look-up that takes nothing, as papers that count queries alone have it."""

from __future__ import annotations

from dataclasses import dataclass

from qdescent.quantum.gates.loading.load_cost import Entries, LoadCost

NOTHING = LoadCost(toffoli=0, depth=0, work_qubits=0)


@dataclass(frozen=True)
class Oracle:
    """A table that answers without a gate: an assumption to compare with, nothing that anyone can
    build. Rotations by what it answers, flips and phases are still counted.

    Example:
        >>> Oracle().load_cost(entries=1000, bits=8)
        LoadCost(toffoli=0, depth=0, work_qubits=0)
    """

    @property
    def clearing(self) -> str:
        """ "coherent": asked again."""
        return "coherent"

    @property
    def by_address(self) -> bool:
        """False: it has no parts."""
        return False

    def load_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """Nothing."""
        return NOTHING

    def read_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """Nothing."""
        return NOTHING

    def clear_cost(self, entries: int | Entries, bits: int) -> LoadCost:
        """Nothing."""
        return NOTHING
