"""Block-encoding weights with the least sum: a matrix, or a block matrix, encoded with alpha = || (|entries|) ||_2.

A matrix is a sum of labelled partial permutations, M = sum_c sum_j v_c(j) |pi_c(j)><j|. Two preparations of the label, one
selected by the column and one by the row, encode it:

    <c|R_j> <L_i|c> = v_c(j)/alpha  at  i = pi_c(j),
    R_j(c) = sign sqrt(|v| y_i / (alpha x_j)),   L_i(c) = sqrt(|v| x_j / (alpha y_i)).

With x and y the Perron singular vectors of |M| both are unit vectors and alpha = || |M| ||_2: no larger than the sum of the
labels' maxima, and equal to ||M|| where signs do not matter. The entries may be numbers or normalisations of encodings: then it is
the rule by which a block matrix of encodings is composed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from qdescent.quantum.access import AngleTable, Floats, Ints, PermutationTable, full_permutations

DENSE_SIZE = 400  # up to here singular vectors by a dense decomposition, which converges whatever the gap
POLISH = 50  # power iterations after it: each entry then is right relative to itself
SLACK = 1e-11  # weights that miss 1 by less are made 1: an error of half as much, which the stated error contains


@dataclass(frozen=True, eq=False)
class SelectedTree:
    """Rotation trees that prepare one real vector for every value of a selection register.

    Args:
        levels: `AngleTable`s of shapes (S,), (S, 2), (S, 4), ...; signs sit in the last level.
    """

    levels: tuple[AngleTable, ...] = field(repr=False)

    @property
    def bitsize(self) -> int:
        """k, for vectors of length 2^k."""
        return len(self.levels)

    @property
    def selection_bits(self) -> int:
        """Of the selection register."""
        return (len(self.levels[0].indices) - 1).bit_length()

    @cached_property
    def prepared(self) -> Floats:
        """The unit vectors that the quantised angles prepare, shape (S, 2^k)."""
        count = len(self.levels[0].indices)
        amplitudes = np.ones((count, 1))
        for level in self.levels:
            half = level.half_angles.reshape(count, -1)
            amplitudes = np.stack([amplitudes * np.cos(half), amplitudes * np.sin(half)], axis=2).reshape(count, -1)
        return amplitudes

    @cached_property
    def controlled(self) -> SelectedTree:
        """One more selection bit above the others, and where it is 0 nothing is prepared."""
        return SelectedTree(
            tuple(AngleTable(np.concatenate([0 * level.indices, level.indices]), level.bits) for level in self.levels)
        )


def selected_tree(vectors: Floats, bits: int) -> SelectedTree:
    """The trees of the rows of an array.

    Args:
        vectors: shape (S, 2^k), no row zero; k at least 1.
        bits: b, bits of an angle.

    Example:
        >>> tree = selected_tree(np.array([[3.0, -4.0], [0.0, 1.0]]), bits=20)
        >>> np.abs(np.round(tree.prepared, 4)).tolist()
        [[0.6, 0.8], [0.0, 1.0]]
    """
    count, lengths, levels = len(vectors), vectors, []
    while lengths.shape[1] > 1:
        pairs = lengths.reshape(count, -1, 2)
        half_angles = np.arctan2(pairs[:, :, 1], pairs[:, :, 0])
        lengths = np.hypot(pairs[:, :, 0], pairs[:, :, 1])
        levels.append(AngleTable.nearest(half_angles if half_angles.shape[1] > 1 else half_angles[:, 0], bits))
    return SelectedTree(tuple(reversed(levels)))


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

    @property
    def system_bits(self) -> int:
        """s."""
        return self.prepare.selection_bits

    @property
    def places(self) -> Ints:
        """The system's basis state of each unknown: the first D."""
        return np.arange(self.size)


@dataclass(frozen=True, eq=False)
class FullColumn:
    """The entries of one column that a single label spreads over all rows: a preparation of the row instead of a permutation.

    Args:
        label: c, with the identity as its permutation and without other entries.
        column: j.
        values: (S,).
    """

    label: int
    column: int
    values: Floats = field(repr=False)


@dataclass(frozen=True, eq=False)
class Balance:
    """The weights of one matrix.

    Args:
        alpha: the normalisation; 0 for a matrix without entries.
        right: R_j(c), shape (S, C), each row a unit vector.
        left: L_i(c), shape (S, C), each row a unit vector.
        spread: P(i), the unit vector that the label of a full column spreads it by, (S,); None where there is none.
    """

    alpha: float
    right: Floats = field(repr=False)
    left: Floats = field(repr=False)
    spread: Floats | None = field(default=None, repr=False)


def balance(targets: Ints, values: Floats, full: FullColumn | None = None) -> Balance | None:
    """The weights of M = sum_c sum_j v_c(j) |pi_c(j)><j|, or None where the labels leave no room for what must be wasted.

    A part of M that is not connected with the largest one has a smaller norm: its columns waste the rest of their weight on a label
    that their row does not take. So do empty columns. One more label, of the identity and without entries, always is room enough.

    Args:
        targets: pi_c, permutations, shape (C, S).
        values: v_c(j), shape (C, S).
        full: entries f_i of a column j that are added with one label c between them: R_j(c)^2 = sum_i |f_i| y_i / (alpha x_j) and
            P(i)^2 = |f_i| y_i / sum |f| y make the same product, R_j(c) P(i) L_i(c) = f_i/alpha.

    Returns:
        Balance: <L_i|c><c|R_j> summed over the labels is M/alpha exactly.

    Cost: one singular vector of an S x S matrix with as many entries as there are values.

    References:
        Childs, arXiv:0810.0312, section 3 (a walk from the principal eigenvector of the matrix of moduli).

    Example:
        >>> weights = balance(np.array([[0, 1], [1, 0]]), np.array([[1.0, 1.0], [-0.5, 0.0]]))
        >>> round(weights.alpha, 6), round(float(np.linalg.norm([[1, 0], [0.5, 1]], 2)), 6)
        (1.280776, 1.280776)
    """
    labels, size = targets.shape
    label, column = np.nonzero(values)
    right, left = np.zeros((size, labels)), np.zeros((size, labels))
    alpha, spread = 0.0, None
    spreading = np.zeros(0, dtype=np.int64) if full is None else np.flatnonzero(full.values)
    if len(label) or len(spreading):
        row, modulus = targets[label, column], np.abs(values[label, column])
        added = np.zeros(0) if full is None else np.abs(full.values[spreading])
        place = np.zeros(0, dtype=np.int64) if full is None else np.full(len(spreading), full.column)
        entries = (np.concatenate([row, spreading]), np.concatenate([column, place]))
        absolute = sparse.csr_array(sparse.coo_array((np.concatenate([modulus, added]), entries), shape=(size, size)))
        x = _perron(absolute)
        y = absolute @ x
        rate = (absolute.T @ y)[x > 0] / x[x > 0]
        alpha = math.sqrt(float(rate.max()))  # at least || |M| || whatever x > 0 is (Collatz, Wielandt)
        y /= alpha
        right[column, label] = np.sign(values[label, column]) * np.sqrt(modulus * y[row] / (alpha * x[column]))
        left[row, label] = np.sqrt(modulus * x[column] / (alpha * y[row]))
        if full is not None and len(spreading):
            reached = added * y[spreading]
            right[full.column, full.label] = math.sqrt(float(reached.sum()) / (alpha * x[full.column]))
            left[spreading, full.label] = np.sqrt(added * x[full.column] / (alpha * y[spreading]))
            spread = np.zeros(size)
            spread[spreading] = np.sign(full.values[spreading]) * np.sqrt(reached / reached.sum())
    sources = np.argsort(targets, axis=1)
    taken, empty = left != 0, ~(left != 0).any(axis=1)
    wasted = 1 - (right**2).sum(axis=1)
    usable = [c for c in range(labels) if full is None or c != full.label]
    for j in np.flatnonzero(wasted > SLACK):
        free = [c for c in usable if right[j, c] == 0 and not taken[targets[c, j], c]]
        if not free:
            return None
        right[j, free[-1]] = math.sqrt(wasted[j])
    for i in np.flatnonzero(empty):
        free = [c for c in usable if right[sources[c, i], c] == 0]
        if not free:
            return None
        left[i, free[0]] = 1
    return Balance(alpha, right / np.linalg.norm(right, axis=1)[:, None], left / np.linalg.norm(left, axis=1)[:, None], spread)


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


def balance_error(targets: Ints, values: Floats, alpha: float, right: Floats, left: Floats) -> sparse.csr_array:
    """|M - encoded|, entry by entry of each label and then summed over the labels: its norms bound that of the difference.

    Args:
        targets, values: as in `balance`.
        alpha: of the encoding.
        right, left: as prepared, shape (S, C).

    Returns:
        csr_array: (S, S), not negative.

    Example:
        >>> one = np.ones((1, 1))
        >>> float(balance_error(np.zeros((1, 1), dtype=np.int64), 2 * one, 1.5, one, one).toarray()[0, 0])
        0.5
    """
    labels, size = targets.shape
    column = np.tile(np.arange(size), labels)
    label = np.repeat(np.arange(labels), size)
    row = targets.reshape(-1)
    missed = np.abs(values.reshape(-1) - alpha * right[column, label] * left[row, label])
    return sparse.csr_array(sparse.coo_array((missed, (row, column)), shape=(size, size)))


def schur_bound(absolute: sparse.csr_array) -> float:
    """sqrt(largest row sum x largest column sum), at least the norm of a matrix of these moduli, or of blocks of these norms.

    Example:
        >>> schur_bound(sparse.csr_array(np.array([[4.0, 5.0], [0.0, 0.0]])))  # the norm is 6.40
        6.708203932499369
    """
    return math.sqrt(float(absolute.sum(axis=0).max()) * float(absolute.sum(axis=1).max()))


def matching_colours(rows: Ints, columns: Ints) -> Ints:
    """The fewest colours for the entries of a matrix, no colour twice in a row or a column.

    As many as the fullest row or column has entries (Koenig), by alternating paths. A pair may occur more than once.

    Args:
        rows, columns: shape (nnz,).

    Returns:
        array: shape (nnz,), colours from 0.

    Cost: O(nnz) paths of at most the matrix's size.

    Example:
        >>> matching_colours(np.array([0, 0, 1]), np.array([0, 1, 0])).tolist()
        [1, 0, 0]
    """
    in_row: dict[int, dict[int, int]] = {}  # line -> colour -> entry
    in_column: dict[int, dict[int, int]] = {}
    colours = np.zeros(len(rows), dtype=np.int64)
    lines, fullest = (rows.tolist(), columns.tolist()), fullest_line(rows, columns)
    for entry, (i, j) in enumerate(zip(*lines, strict=True)):
        row, column = in_row.setdefault(i, {}), in_column.setdefault(j, {})
        a, b = (next(colour for colour in range(fullest) if colour not in line) for line in (row, column))
        path, line, turn = [], column, True  # the path of colours a, b, a, ... that begins in the column: it cannot end in the row
        while (colour := a if turn else b) in line:
            step = line[colour]
            path.append(step)
            line = in_row[lines[0][step]] if turn else in_column[lines[1][step]]
            turn = not turn
        for step in path:
            del in_row[lines[0][step]][colours[step]], in_column[lines[1][step]][colours[step]]
        for step in path:
            colours[step] = a + b - colours[step]
            in_row[lines[0][step]][int(colours[step])] = in_column[lines[1][step]][int(colours[step])] = step
        colours[entry] = a
        row[a] = column[a] = entry
    return colours


def fullest_line(rows: Ints, columns: Ints) -> int:
    """The most entries in a row or a column.

    Example:
        >>> fullest_line(np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0]))
        3
    """
    return max(int(np.bincount(line, minlength=1).max()) for line in (rows, columns))


def _perron(absolute: sparse.csr_array) -> NDArray[np.float64]:
    """The right Perron singular vector of each connected part; 0 at empty columns."""
    size = absolute.shape[1]
    both = sparse.block_array([[None, absolute], [absolute.T, None]], format="csr")
    parts = connected_components(both, directed=False)[1][size:]
    x = np.zeros(size)
    counts = np.asarray(absolute.sum(axis=0)).ravel() > 0
    for part in np.unique(parts[counts]):
        places = np.flatnonzero(counts & (parts == part))
        columns = sparse.csr_array(absolute[:, places])
        if len(places) <= DENSE_SIZE:
            kept = columns[np.asarray(columns.sum(axis=1)).ravel() > 0].toarray()
            start = np.abs(np.linalg.svd(kept, full_matrices=False)[2][0])
        else:
            start = np.ones(len(places))
        vector = np.maximum(start, 1e-12 * start.max())
        for _ in range(POLISH if len(places) <= DENSE_SIZE else 20 * POLISH):
            vector = columns.T @ (columns @ vector)
            vector /= vector.max()
        x[places] = vector
    return x
