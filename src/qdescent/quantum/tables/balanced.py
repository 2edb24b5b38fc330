"""The tables of a sparse matrix encoded with balanced weights, alpha = || |M| ||_2, and of F_2
letter by letter, as many lines as it has entries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from qdescent._arrays import Complexes, Floats, Ints
from qdescent._checks import check_interval
from qdescent.quantum.tables.angles import AngleTable, SelectedTree, selected_tree
from qdescent.quantum.tables.by_value import ByValue
from qdescent.quantum.tables.colouring import matching_colours, maximum_degree
from qdescent.quantum.tables.lookup import LookUpTable
from qdescent.quantum.tables.permutations import PermutationTable, full_permutations
from qdescent.quantum.tables.perron import AbsoluteNorm, absolute_matrix, absolute_norm
from qdescent.quantum.tables.weights import balance, balance_error, schur_bound

# weights up to which a coupling reads pairs as the columns of one matrix: it has the smaller alpha,
# and n^2 columns
PAIRS_UP_TO = 128


@dataclass(frozen=True, eq=False)
class BalancedTables(ByValue):
    """The tables of a matrix padded with zeros to 2^s x 2^s.

    Args:
        size: D, before padding.
        alpha: || |M| ||_2.
        error: a bound on ||M - alpha <0|U|0>||_2 from the quantised angles.
        prepare: of the colour, selected by the column.
        unprepare: of the colour, selected by the row.
        permutations: pi_c, (2^k, 2^s).
        phases: of a complex matrix's entries, as half angles, (2^k, 2^s); None for a real one,
            whose signs `prepare` holds.
    """

    size: int
    alpha: float
    error: float
    prepare: SelectedTree
    unprepare: SelectedTree
    permutations: PermutationTable
    phases: AngleTable | None = None

    @property
    def bits(self) -> int:
        """b, of every angle."""
        return self.prepare.levels[0].bits

    @property
    def system_bits(self) -> int:
        """s."""
        return self.prepare.selection_bits

    @property
    def basis_states(self) -> Ints:
        """The index of the system's basis state of each unknown: the first D."""
        return np.arange(self.size)

    def augmented(self, norm_estimate: float) -> BalancedTables:
        """The tables of diag(M, (alpha/t) I): one more selection bit above the others; there every
        colour stays in place.

        The colour 0 is prepared, and unprepared as (1/t)|0> + sqrt(1 - 1/t^2)|1>.

        Args:
            norm_estimate: t, at least 1.

        Example:
            >>> i = np.arange(2)
            >>> tables = balanced_matrix(i, 1 - i, np.array([2.0, -1.0]), size=2, bits=12)
            >>> augmented = tables.augmented(2.0)
            >>> augmented.system_bits, augmented.permutations.forward[0].tolist(), augmented.alpha
            (2, [1, 0, 2, 3], 2.0)
        """
        t = check_interval("norm_estimate", norm_estimate, "[1, inf)")
        phases = self.phases
        if phases is not None:
            phases = AngleTable(
                np.hstack([phases.indices, np.zeros_like(phases.indices)]), phases.bits
            )
        turn = AngleTable.nearest(np.array(math.acos(1 / t)), self.bits)
        off = self.alpha * abs(math.cos(float(turn.half_angles)) - 1 / t)
        return BalancedTables(
            size=2 * self.permutations.forward.shape[1],
            alpha=self.alpha,
            error=max(self.error, off),
            prepare=self.prepare.followed_by(0),
            unprepare=self.unprepare.followed_by(int(turn.indices)),
            permutations=self.permutations.extended,
            phases=phases,
        )


def balanced_matrix(
    rows: Ints,
    columns: Ints,
    values: Floats | Complexes,
    size: int,
    bits: int,
    norm: AbsoluteNorm | None = None,
) -> BalancedTables:
    """The tables of a sparse matrix.

    Args:
        rows, columns, values: its entries, shape (nnz,), each pair once; real or complex.
        size: D.
        bits: b, bits of an angle.
        norm: of |M|, where it is known; None computes it. alpha is this one's.

    Returns:
        BalancedTables: with s = ceil(log2 D) and k = ceil(log2 of the entries of the longest row or
        column), each at least 1; k is one more where what must be wasted has no room.

    Cost: O(nnz) for the colouring, that of `balance`, O(2^(s+k)) for the tables.

    Example:
        >>> balanced_matrix(
        ...     np.array([0, 1]), np.array([1, 0]), np.array([2.0, -2.0]), size=2, bits=12
        ... ).alpha
        2.0
    """
    colours = matching_colours(rows, columns)
    shape = (
        2 ** max(1, (maximum_degree(rows, columns) - 1).bit_length()),
        2 ** max(1, (size - 1).bit_length()),
    )
    if norm is None:
        norm = absolute_norm(absolute_matrix(rows, columns, values, size))
    norm = norm._replace(vector=np.pad(norm.vector, (0, shape[1] - size)))
    while True:
        entries = np.zeros(shape, dtype=values.dtype)
        entries[colours, columns] = values
        permutations = full_permutations(rows, columns, colours, shape)
        weights = balance(
            permutations.forward,
            np.abs(entries) if np.iscomplexobj(entries) else entries,
            norm=norm,
        )
        if weights is not None:
            break
        shape = (2 * shape[0], shape[1])
    prepare, unprepare = selected_tree(weights.right, bits), selected_tree(weights.left, bits)
    phases = AngleTable.nearest(np.angle(entries), bits) if np.iscomplexobj(entries) else None
    turned = None if phases is None else np.exp(1j * phases.half_angles)
    missed = balance_error(
        permutations.forward, entries, weights.alpha, prepare.prepared, unprepare.prepared, turned
    )
    return BalancedTables(
        size, weights.alpha, schur_bound(missed), prepare, unprepare, permutations, phases
    )


@dataclass(frozen=True, eq=False)
class LetterTables(ByValue):
    """<f| at order 0, F_2 over the norm of sum_k |F_2[.; ., k]| at order 1, of (letter, other).

    Args:
        letters: of a matrix on (order, letter): 1 at order 0, and an entry for each entry of F_2,
            row and first letter, at order 1.
        tails: of each colour and (order, letter written) the second letter.
        start: prepares f at order 0, and nothing at order 1.
    """

    letters: BalancedTables
    tails: LookUpTable
    start: SelectedTree = field(repr=False)

    @property
    def alpha(self) -> float:
        """Of both orders: 1."""
        return self.letters.alpha

    @property
    def error(self) -> float:
        """What the quantised angles miss."""
        start = self.start.prepared
        wanted = np.zeros_like(start[1])
        wanted[0] = 1.0
        return self.letters.error + float(np.linalg.norm(start[1] - wanted))

    @property
    def bits(self) -> int:
        """b, of every angle."""
        return self.letters.bits

    @property
    def basis_states(self) -> Ints:
        """All of (order, letter, other)."""
        return np.arange(2 ** (self.letters.system_bits + self.tails.bits))


def letter_tables(
    rows: Ints, first: Ints, second: Ints, values: Floats, start: Floats, bits: int
) -> LetterTables:
    """The tables of a coupling.

    Args:
        rows, first, second: of each entry of F_2, (nnz,).
        values: its entries, over the norm of sum_k |F_2[.; ., k]|.
        start: f, of length 2^l.
        bits: b, bits of an angle.

    Example:
        >>> one = np.array([0])
        >>> tables = letter_tables(one, one, one + 1, np.array([1.0]), np.array([0.6, 0.8]), 12)
        >>> tables.letters.system_bits, tables.tails.padded.max()
        (2, np.int64(1))
    """
    size = len(start)
    stays = np.arange(size)
    at, read = np.concatenate([stays, size + rows]), np.concatenate([stays, size + first])
    weights = np.concatenate([np.ones(size), values])
    letters = balanced_matrix(at, read, weights, 2 * size, bits)
    colours = matching_colours(at, read)[size:]  # as `balanced_matrix` has them
    tails = np.zeros(letters.permutations.forward.shape, dtype=np.int64)
    tails[colours, size + rows] = second
    nothing = np.zeros(size)
    nothing[0] = 1.0
    tree = selected_tree(np.stack([start, nothing]), bits)
    return LetterTables(letters, LookUpTable(tails, max(1, (size - 1).bit_length())), tree)
