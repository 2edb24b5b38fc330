"""The block-encoding of a sparse matrix with balanced weights: alpha = || |M| ||_2."""

from __future__ import annotations

import attrs

from qdescent.quantum.encodings.tables import TableEncoding
from qdescent.quantum.gates.multiplexed import ColourPermutation, TablePhase
from qdescent.quantum.gates.selected_preparation import SelectedPreparation
from qdescent.quantum.gates.steps import Layout, Step
from qdescent.quantum.tables.balanced import BalancedTables


@attrs.frozen
class BalancedEncoding(TableEncoding):
    """U with <0|U|0> = M/alpha (M^H/alpha for the adjoint), alpha = || |M| ||_2: prepare by column,
    permute, unprepare by row.

    The phases of a complex matrix are turned between preparing and permuting.

    Args:
        tables: from `balanced_matrix`.
        loader: of all its tables.

    Registers: system (s bits), ancilla (k bits, the colour).

    Cost: four loads for each bit of the colour and two of the permutation, each over at most
        2^(s+k) values; of a complex matrix the phases read and undone.

    References:
        Childs, arXiv:0810.0312, section 3.

    Example:
        >>> import numpy as np
        >>> from qdescent.quantum.tables.balanced import balanced_matrix
        >>> i = np.arange(4)
        >>> tables = balanced_matrix(
        ...     np.tile(i, 2), np.concatenate([i, (i + 1) % 4]), np.repeat([1.0, -0.5], 4),
        ...     size=4, bits=16,
        ... )
        >>> round(BalancedEncoding(tables).alpha, 9)
        1.5
    """

    tables: BalancedTables

    def augmented(self, norm_estimate: float) -> BalancedEncoding:
        """diag(M, (alpha/t) I) by one more selection bit in the tables themselves."""
        return attrs.evolve(self, tables=self.tables.augmented(norm_estimate))

    def layout(self) -> Layout:
        """One name each."""
        return {
            "system": {"system": self.tables.prepare.selection_bits},
            "ancilla": {"colour": self.tables.prepare.bitsize},
        }

    def steps(self) -> list[Step]:
        """Controlled, all tables know of the control."""
        tables, control = self.tables, ("control",) if self.is_controlled else ()
        prepare, unprepare, permutations, phases = (
            tables.prepare,
            tables.unprepare,
            tables.permutations,
            tables.phases,
        )
        if self.is_controlled:
            prepare, unprepare, permutations = (
                prepare.controlled,
                unprepare.controlled,
                permutations.controlled,
            )
            phases = phases and phases.controlled
        selected = {"selection": (*control, "system"), "state": ("colour",)}
        first, last = (
            SelectedPreparation(tree, loader=self.loader) for tree in (prepare, unprepare)
        )
        permute = (
            ColourPermutation(permutations, self.loader),
            {"colour": (*control, "colour"), "index": ("system",)},
        )
        turn: list[Step] = []
        if phases is not None:
            turn = [
                (
                    TablePhase(phases, self.loader),
                    {"selection0": (*control, "colour"), "selection1": ("system",)},
                )
            ]
        return [(first, selected), *turn, permute, (last.adjoint(), selected)]
