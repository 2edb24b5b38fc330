"""Block-encoding weights with the least sum: a matrix, or a block matrix, encoded with alpha = ||
(|entries|) ||_2.

A matrix is a sum of labelled partial permutations, M = sum_c sum_j v_c(j) |pi_c(j)><j|. Two
preparations of the label, one selected by the column and one by the row, encode it:

    <c|R_j> <L_i|c> = v_c(j)/alpha  at  i = pi_c(j),
    R_j(c) = sign sqrt(|v| y_i / (alpha x_j)),   L_i(c) = sqrt(|v| x_j / (alpha y_i)).

With y = |M| x/alpha and an x > 0 for which |M|^T |M| x <= alpha^2 x both have a length of at most
1, and what is missing is wasted on a label that leads nowhere. Such an x there is for every alpha
above || |M| ||_2 (`absolute_norm`), which is no larger than the sum of the labels' maxima, and
||M|| itself where signs do not matter. The entries may be numbers or normalisations of encodings:
then it is the rule by which a block matrix of encodings is composed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse

from qdescent._arrays import Complexes, Floats, Ints
from qdescent.quantum.tables.perron import AbsoluteNorm, absolute_norm

DENSE = 2048  # columns up to which alpha is the norm to rounding: a larger circuit is not simulated
TINY = 1e-300  # of the largest entry: what is smaller is left out, and stands in the stated error
# weights that miss 1 by less are made 1: an error of half as much, which the stated error contains
SLACK = 1e-10


@dataclass(frozen=True, eq=False)
class FullColumn:
    """The entries of one column that a single label spreads over all rows: a preparation of the row
    instead of a permutation.

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
        spread: P(i), the unit vector that the label of a full column spreads it by, (S,); None
            where there is none.
    """

    alpha: float
    right: Floats = field(repr=False)
    left: Floats = field(repr=False)
    spread: Floats | None = field(default=None, repr=False)


def balance(
    targets: Ints, values: Floats, full: FullColumn | None = None, norm: AbsoluteNorm | None = None
) -> Balance | None:
    """The weights of M = sum_c sum_j v_c(j) |pi_c(j)><j|, or None where the labels leave no room
    for what must be wasted.

    A column where |M|^T |M| x < alpha^2 x, in a part of M of smaller norm for instance, wastes the
    rest of its weight on a label that its row does not take. So does an empty column. One more
    label, of the identity and without entries, always is room enough.

    Args:
        targets: pi_c, permutations, shape (C, S).
        values: v_c(j), shape (C, S).
        full: entries f_i of a column j that are added with one label c between them: R_j(c)^2 =
            sum_i |f_i| y_i / (alpha x_j) and P(i)^2 = |f_i| y_i / sum |f| y make the same product,
            R_j(c) P(i) L_i(c) = f_i/alpha.
        norm: of |M|, where it is known: alpha is this one's. None computes it.

    Returns:
        Balance: <L_i|c><c|R_j> summed over the labels is M/alpha exactly.

    Cost: one eigenvalue and one solve of an S x S matrix (`absolute_norm`).

    References:
        Childs, arXiv:0810.0312, section 3 (a walk from the principal eigenvector of the matrix of
        moduli).

    Example:
        >>> weights = balance(np.array([[0, 1], [1, 0]]), np.array([[1.0, 1.0], [-0.5, 0.0]]))
        >>> round(weights.alpha, 6), round(float(np.linalg.norm([[1, 0], [0.5, 1]], 2)), 6)
        (1.280776, 1.280776)
    """
    labels, size = targets.shape
    # 1. the entries that count: of the permutations, and of the full column
    most = max(
        float(np.abs(values).max()), 0.0 if full is None else float(np.abs(full.values).max())
    )
    label, column = np.nonzero(np.abs(values) > TINY * most)
    right, left = np.zeros((size, labels)), np.zeros((size, labels))
    alpha, spread = 0.0, None
    spreading = (
        np.zeros(0, dtype=np.int64)
        if full is None
        else np.flatnonzero(np.abs(full.values) > TINY * most)
    )
    if len(label) or len(spreading):
        # 2. alpha and x from |M|, all labels together
        row, modulus = targets[label, column], np.abs(values[label, column])
        added = np.zeros(0) if full is None else np.abs(full.values[spreading])
        partner = (
            np.zeros(0, dtype=np.int64) if full is None else np.full(len(spreading), full.column)
        )
        entries = (np.concatenate([row, spreading]), np.concatenate([column, partner]))
        absolute = sparse.csr_array(
            sparse.coo_array((np.concatenate([modulus, added]), entries), shape=(size, size))
        )
        alpha, x = norm or absolute_norm(absolute, DENSE)
        # 3. y = |M| x/alpha, and the weights that the docstring of this module gives
        y, share, added = (absolute / alpha) @ x, modulus / alpha, added / alpha
        right[column, label] = np.sign(values[label, column]) * np.sqrt(
            share * (y[row] / x[column])
        )
        left[row, label] = np.sqrt(share * (x[column] / y[row]))
        # 4. the full column: one label, whose weight a preparation of the row shares out
        if full is not None and len(spreading):
            reached = added * y[spreading]
            right[full.column, full.label] = math.sqrt(float(reached.sum()) / x[full.column])
            left[spreading, full.label] = np.sqrt(added * (x[full.column] / y[spreading]))
            spread = np.zeros(size)
            spread[spreading] = np.sign(full.values[spreading]) * np.sqrt(reached / reached.sum())
    # 5. what a column's squares lack of 1 goes to a label that meets nothing: free in the column,
    #    and not taken in the row that it would reach, so that the product there stays 0
    sources = np.argsort(targets, axis=1)
    taken, empty = left != 0, ~(left != 0).any(axis=1)
    wasted = 1 - (right**2).sum(axis=1)
    usable = [c for c in range(labels) if full is None or c != full.label]
    for j in np.flatnonzero(wasted > SLACK):
        free = [c for c in usable if right[j, c] == 0 and not taken[targets[c, j], c]]
        if not free:
            return None
        right[j, free[-1]] = math.sqrt(wasted[j])
    # 6. a row that nothing reaches still needs a unit vector: on a label that no column brings it
    for i in np.flatnonzero(empty):
        free = [c for c in usable if right[sources[c, i], c] == 0]
        if not free:
            return None
        left[i, free[0]] = 1
    # 7. rows that lack 1 by rounding are made unit vectors
    return Balance(
        alpha,
        right / np.linalg.norm(right, axis=1)[:, None],
        left / np.linalg.norm(left, axis=1)[:, None],
        spread,
    )


def balance_error(
    targets: Ints,
    values: Floats | Complexes,
    alpha: float,
    right: Floats,
    left: Floats,
    phases: Complexes | None = None,
) -> sparse.csr_array:
    """|M - encoded|, entry by entry of each label and then summed over the labels: its norms bound
    that of the difference.

    Args:
        targets, values: as in `balance`; of a complex matrix the values are complex.
        alpha: of the encoding.
        right, left: as prepared, shape (S, C).
        phases: e^{i phi} of each entry as encoded, (C, S); None: 1.

    Returns:
        csr_array: (S, S), not negative.

    Example:
        >>> one = np.ones((1, 1))
        >>> float(
        ...     balance_error(np.zeros((1, 1), dtype=np.int64), 2 * one, 1.5, one, one).toarray()[
        ...         0, 0
        ...     ]
        ... )
        0.5
    """
    labels, size = targets.shape
    column = np.tile(np.arange(size), labels)
    label = np.repeat(np.arange(labels), size)
    row = targets.reshape(-1)
    encoded = (
        alpha
        * right[column, label]
        * left[row, label]
        * (1 if phases is None else phases.reshape(-1))
    )
    missed = np.abs(values.reshape(-1) - encoded)
    return sparse.csr_array(sparse.coo_array((missed, (row, column)), shape=(size, size)))


def schur_bound(absolute: sparse.csr_array) -> float:
    """sqrt(largest row sum x largest column sum), at least the norm of a matrix of these moduli, or
    of blocks of these norms.

    Example:
        >>> schur_bound(sparse.csr_array(np.array([[4.0, 5.0], [0.0, 0.0]])))  # the norm is 6.40
        6.708203932499369
    """
    return math.sqrt(float(absolute.sum(axis=0).max())) * math.sqrt(
        float(absolute.sum(axis=1).max())
    )
