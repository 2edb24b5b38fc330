"""The tables of F_2 letter by letter: as many lines as it has entries, not as there are pairs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qdescent._arrays import Floats, Ints
from qdescent.quantum.tables.angles import SelectedTree, selected_tree
from qdescent.quantum.tables.balanced import BalancedTables, balanced_matrix
from qdescent.quantum.tables.by_value import ByValue
from qdescent.quantum.tables.colouring import matching_colours
from qdescent.quantum.tables.lookup import LookUpTable

# weights up to which a coupling reads pairs as the columns of one matrix: it has the smaller alpha,
# and n^2 columns
PAIRS_UP_TO = 128


@dataclass(frozen=True, eq=False)
class LetterTables(ByValue):
    """<f| at order 0, and F_2 over the norm of sum_k |F_2[.; ., k]| at order 1, on (order, letter,
    other).

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
