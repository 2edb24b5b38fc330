"""What one slot of a word does, from F_0, F_1, ... alone: k letters become one by G_k.

The letters are v = (w, u) with w = 1: G_1 = [[1, 0], [F_0, F_1]], and G_k is F_k on the letters u.
The slot's *role* says which G_k it applies; role 0 leaves the slot as it is. Entry (i; i_1, ...,
i_k) belongs to a colour in which i_1 -> i is a permutation and the other letters follow from i: so
a table has colours x letters values, never the n^k columns of F_k.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse

from qdescent._arrays import Floats, Ints
from qdescent._checks import argument_error
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.polynomial_terms import to_scipy
from qdescent.quantum.tables.angles import SelectedTree, selected_tree
from qdescent.quantum.tables.by_value import ByValue
from qdescent.quantum.tables.colouring import matching_colours, maximum_degree
from qdescent.quantum.tables.lookup import LookUpTable
from qdescent.quantum.tables.permutations import PermutationTable, full_permutations
from qdescent.quantum.tables.weights import FullColumn, balance, balance_error, schur_bound

LARGEST_TABLE = 2**24  # entries of one table: 128 MB, and a QROM of as many values


@dataclass(frozen=True, eq=False)
class LetterMap:
    """The entries of G_k.

    Args:
        rows: the letter written, (nnz,).
        first: the first letter read, (nnz,).
        tails: the k - 1 letters that must follow, packed l bits each, (nnz,).
        values: (nnz,).
        force: F_0 by the letter written, (n + 1,), what G_1 makes of the letter w beside w itself;
            None where there is none.
    """

    rows: Ints
    first: Ints
    tails: Ints
    values: Floats
    force: Floats | None = None


@dataclass(frozen=True, eq=False)
class SlotTables(ByValue):
    """One slot under each role; tables are selected by the step (where maps differ) and role.

    Args:
        prepare: of the colour, selected also by the letter that is there.
        spread: of the letters that F_0 writes in the place of w, selected also by the colour (one
            colour serves all of F_0, be it dense); None where F_0 = 0.
        unprepare: of the colour, selected also by the letter that is written.
        letters: the permutation of the letter, selected also by the colour; shape (selected, 2^l).
        tails: the letters that must follow, packed; selected also by the colour and the letter
            written; None for one letter.
        tail_slots: how many slots after this one `tails` speaks of.
        alpha: normalisation of each G_k, (steps or 1, roles).
        error: of its encoding, the same shape.
    """

    prepare: SelectedTree
    spread: SelectedTree | None
    unprepare: SelectedTree
    letters: PermutationTable
    tails: LookUpTable | None = field(repr=False)
    tail_slots: int
    alpha: Floats
    error: Floats

    @property
    def colour_bits(self) -> int:
        """Of the colour."""
        return self.prepare.bitsize


def letter_map(f: PolynomialMap, k: int, *, constant: bool) -> LetterMap:
    """G_k of a map.

    Args:
        f: the map.
        k: at least 1.
        constant: G_1 takes the letter w along, and F_0 with it; False where words of one letter are
            all there are, and their constant w is on the right-hand side.

    Example:
        >>> import torch
        >>> f = PolynomialMap([torch.tensor([0.3]), torch.tensor([[0.8]])])
        >>> G = letter_map(f, 1, constant=True)
        >>> G.rows.tolist(), G.first.tolist(), G.force.tolist() == [0.0, f.coefficients[0].item()]
        ([0, 1], [0, 1], True)
    """
    if k > f.degree:
        none = np.zeros(0, dtype=np.int64)
        return LetterMap(none, none, none, np.zeros(0))
    F = to_scipy(f.coefficients[k])
    F.sum_duplicates()
    F.eliminate_zeros()
    entries = F.tocoo()
    digits = np.unravel_index(entries.col.astype(np.int64), (f.size,) * k)
    tails = np.zeros(entries.nnz, dtype=np.int64)
    for digit in digits[1:]:
        tails = (tails << f.size.bit_length()) + digit + 1
    rows, first, values = entries.row.astype(np.int64) + 1, digits[0] + 1, entries.data
    if k == 1 and constant:
        force = np.concatenate([[0.0], to_scipy(f.coefficients[0]).toarray().ravel()])
        rows, first, tails = (np.concatenate([[0], part]) for part in (rows, first, tails))
        return LetterMap(
            rows, first, tails, np.concatenate([[1.0], values]), force if force.any() else None
        )
    return LetterMap(rows, first, tails, values)


def slot_tables(
    maps: list[list[LetterMap]], letter_bits: int, step_bits: int, role_bits: int, bits: int
) -> SlotTables:
    """The tables of a slot whose role k = 1, 2, ... applies G_k; role 0 and all further ones leave
    it as it is.

    Args:
        maps: G_1, G_2, ... of each step; of one step, they serve all.
        letter_bits: l.
        step_bits: of the step's register; 0 where one step serves all.
        role_bits: of the role's register.
        bits: b, bits of an angle.

    Raises:
        ArgumentError: a table of more than 2^24 entries.

    Example:
        >>> import torch
        >>> f = PolynomialMap([torch.tensor([0.0]), torch.tensor([[0.5]])])
        >>> tables = slot_tables(
        ...     [[letter_map(f, 1, constant=True)]],
        ...     letter_bits=1,
        ...     step_bits=0,
        ...     role_bits=1,
        ...     bits=16,
        ... )
        >>> tables.alpha.tolist()  # of staying, and of diag(1, .5)
        [[1.0, 1.0]]
    """
    # 1. as many colours as the maximum degree of any G_k, one more for F_0
    K = len(maps[0])
    most = max(
        maximum_degree(G.rows, G.first) + (G.force is not None) for step in maps for G in step
    )
    colour_bits = max(1, (most - 1).bit_length())
    shape = (2**step_bits, 2**role_bits, 2**colour_bits, 2**letter_bits)
    if math.prod(shape) > LARGEST_TABLE:
        raise argument_error(
            "maps",
            f"leave every table at most {LARGEST_TABLE:.0e} entries",
            f"{math.prod(shape):.1e}",
        )
    # 2. permutations and balanced weights; where what must be wasted has no room, twice the colours
    colours = [[matching_colours(G.rows, G.first) for G in step] for step in maps]
    # one more label of the identity is room enough
    while (found := _weighted(maps, colours, shape)) is None:
        shape = (shape[0], shape[1], 2 * shape[2], shape[3])
    targets, values, alpha, right, left, rows = found
    prepare, unprepare = (selected_tree(part.reshape(-1, shape[2]), bits) for part in (right, left))
    prepared, unprepared = (
        prepare.prepared.reshape(right.shape),
        unprepare.prepared.reshape(left.shape),
    )
    # 3. quantised; F_0 spreads the letter w over all letters by a preparation
    forced = any(G.force is not None for step in maps for G in step)
    spread = selected_tree(rows.reshape(-1, shape[3]), bits) if forced else None
    # 4. what the quantised weights miss of each G_k, and the letters that must follow each entry
    error = np.zeros(shape[:2])
    tails = np.zeros(shape, dtype=np.int64)
    for t, step in enumerate(maps):
        for k, G in enumerate(step, start=1):
            missed = balance_error(
                targets[t, k], values[t, k], alpha[t, k], prepared[t, k], unprepared[t, k]
            )
            if G.force is not None and spread is not None:
                label = shape[2] - 1
                written = (
                    spread.prepared.reshape(rows.shape)[t, k, label] * unprepared[t, k, :, label]
                )
                missed = missed + _column(
                    np.abs(
                        _padded(G.force, shape[3])
                        - alpha[t, k] * prepared[t, k, 0, label] * written
                    )
                )
            error[t, k] = schur_bound(missed)
            # in the first k - 1 of K - 1 slots
            tails[t, k, colours[t][k - 1], G.rows] = G.tails << (K - k) * letter_bits
    # 5. the tables as loaders load them: one axis for step, role and colour together
    permutations = targets.reshape(-1, shape[3])
    letters = PermutationTable(permutations, np.argsort(permutations, axis=1))
    behind = LookUpTable(tails.reshape(-1), (K - 1) * letter_bits) if K > 1 else None
    return SlotTables(prepare, spread, unprepare, letters, behind, K - 1, alpha, error)


def _weighted(
    maps: list[list[LetterMap]], colours: list[list[Ints]], shape: tuple[int, int, int, int]
) -> tuple[Ints, Floats, Floats, Floats, Floats, Floats] | None:
    """Permutations and values (step, role, colour, letter), alpha (step, role), both weights (step,
    role, letter, colour), spreads.

    F_0 takes the last colour.
    """
    steps, roles, count, size = shape
    targets, values = np.tile(np.arange(size), (steps, roles, count, 1)), np.zeros(shape)
    alpha, right, left = (
        np.ones((steps, roles)),
        np.zeros((steps, roles, size, count)),
        np.zeros((steps, roles, size, count)),
    )
    right[..., 0] = left[..., 0] = 1
    spread = np.zeros(shape)
    spread[..., 0] = 1  # the letter stays
    for t, step in enumerate(maps):
        for k, G in enumerate(step, start=1):
            colour = colours[t][k - 1]
            values[t, k, colour, G.first] = G.values
            targets[t, k] = full_permutations(G.rows, G.first, colour, (count, size)).forward
            full = None if G.force is None else FullColumn(count - 1, 0, _padded(G.force, size))
            weights = balance(targets[t, k], values[t, k], full)
            if weights is None:
                return None
            alpha[t, k], right[t, k], left[t, k] = weights.alpha, weights.right, weights.left
            if weights.spread is not None:
                spread[t, k, -1] = weights.spread
    return targets, values, alpha, right, left, spread


def _padded(vector: Floats, size: int) -> Floats:
    return np.pad(vector, (0, size - len(vector)))


def _column(vector: Floats) -> sparse.csr_array:
    """A matrix with this first column, and nothing else."""
    rows = np.arange(len(vector))
    return sparse.csr_array(
        sparse.coo_array((vector, (rows, np.zeros_like(rows))), shape=(len(rows),) * 2)
    )
