"""The block-encoding of a sparse real matrix with balanced weights: alpha = || |M| ||_2, and no rotated flag."""

from __future__ import annotations

from dataclasses import dataclass

import attrs
import numpy as np

from qdescent.quantum.access import Floats, Ints, PermutationTable, full_permutations
from qdescent.quantum.balanced_tables import (
    SelectedTree,
    balance,
    balance_error,
    fullest_line,
    matching_colours,
    schur_bound,
    selected_tree,
)
from qdescent.quantum.composition import Composition
from qdescent.quantum.loaders import ColourPermutation
from qdescent.quantum.selected_preparation import SelectedPreparation
from qdescent.quantum.wiring import Layout, Step


@dataclass(frozen=True, eq=False)
class BalancedTables:
    """The tables of a matrix padded with zeros to 2^s x 2^s.

    Args:
        size: D, before padding.
        alpha: || |M| ||_2.
        error: a bound on ||M - alpha <0|U|0>||_2 from the quantised angles.
        prepare: of the colour, selected by the column.
        unprepare: of the colour, selected by the row.
        permutations: pi_c, (2^k, 2^s).
    """

    size: int
    alpha: float
    error: float
    prepare: SelectedTree
    unprepare: SelectedTree
    permutations: PermutationTable


@attrs.frozen
class BalancedEncoding(Composition):
    """U with <0|U|0> = M/alpha (M^T/alpha for the adjoint), alpha = || |M| ||_2: prepare by column, permute, unprepare by row.

    Args:
        tables: from `balanced_matrix`.

    Registers: system (s bits), ancilla (k bits, the colour).

    Cost: four QROM loads for each bit of the colour and two of the permutation, each over at most 2^(s+k) values.

    References:
        Childs, arXiv:0810.0312, section 3.

    Example:
        >>> i = np.arange(4)
        >>> tables = balanced_matrix(np.tile(i, 2), np.concatenate([i, (i + 1) % 4]), np.repeat([1.0, -0.5], 4), size=4, bits=16)
        >>> round(BalancedEncoding(tables).alpha, 9)
        1.5
    """

    tables: BalancedTables

    @property
    def alpha(self) -> float:
        """The normalisation, the norm of the matrix of moduli."""
        return self.tables.alpha

    @property
    def epsilon(self) -> float:
        """A bound on ||M - alpha <0|U|0>||_2, derived from the quantised angles."""
        return self.tables.error

    @property
    def places(self) -> Ints:
        """The system's basis state of each unknown: the first D."""
        return np.arange(self.tables.size)

    def layout(self) -> Layout:
        """One name each."""
        return {"system": {"system": self.tables.prepare.selection_bits}, "ancilla": {"colour": self.tables.prepare.bitsize}}

    def steps(self) -> list[Step]:
        """Controlled, all three tables know of the control."""
        tables, control = self.tables, ("control",) if self.is_controlled else ()
        prepare, unprepare, permutations = tables.prepare, tables.unprepare, tables.permutations
        if self.is_controlled:
            prepare, unprepare, permutations = prepare.controlled, unprepare.controlled, permutations.controlled
        selected = {"selection": (*control, "system"), "state": ("colour",)}
        permute = (ColourPermutation(permutations), {"colour": (*control, "colour"), "index": ("system",)})
        return [(SelectedPreparation(prepare), selected), permute, (SelectedPreparation(unprepare).adjoint(), selected)]


def balanced_matrix(rows: Ints, columns: Ints, values: Floats, size: int, bits: int) -> BalancedTables:
    """The tables of a sparse real matrix.

    Args:
        rows, columns, values: its entries, shape (nnz,), each pair once.
        size: D.
        bits: b, bits of an angle.

    Returns:
        BalancedTables: with s = ceil(log2 D) and k = ceil(log2 of the entries of the fullest row or column), each at least 1; k is
        one more where what must be wasted has no room.

    Cost: O(nnz) for the colouring, one singular vector, O(2^(s+k)) for the tables.

    Example:
        >>> balanced_matrix(np.array([0, 1]), np.array([1, 0]), np.array([2.0, -2.0]), size=2, bits=12).alpha
        2.0
    """
    colours = matching_colours(rows, columns)
    shape = (2 ** max(1, (fullest_line(rows, columns) - 1).bit_length()), 2 ** max(1, (size - 1).bit_length()))
    while True:
        entries = np.zeros(shape)
        entries[colours, columns] = values
        permutations = full_permutations(rows, columns, colours, shape)
        weights = balance(permutations.forward, entries)
        if weights is not None:
            break
        shape = (2 * shape[0], shape[1])
    prepare, unprepare = selected_tree(weights.right, bits), selected_tree(weights.left, bits)
    missed = balance_error(permutations.forward, entries, weights.alpha, prepare.prepared, unprepare.prepared)
    return BalancedTables(size, weights.alpha, schur_bound(missed), prepare, unprepare, permutations)
