"""The block-encoding of a sparse matrix by colours: no two entries of one colour stand in a row or
a column.
"""

from __future__ import annotations

import attrs
import numpy as np

from qdescent._arrays import Complexes, Floats, Ints
from qdescent.quantum.encodings.tables import TableEncoding
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.multiplexed import ColourPermutation, TablePhase, TableRotation
from qdescent.quantum.gates.state_preparation import RealStatePreparation
from qdescent.quantum.gates.steps import Layout, Step
from qdescent.quantum.tables.coloured import MatrixTables, controlled_hermitian_tables


@attrs.frozen
class SparseBlockEncoding(TableEncoding):
    """U with <0|U|0> = M/alpha (M^H/alpha for the adjoint), M = sum_c P_c D_c.

        U = PREP^T . PERMUTE . PHASE . ROTATE . PREP,   PREP|0> = sum_c sqrt(w_c)|c>,
        ROTATE|c>|j>|0> = |c>|j>(cos(theta_cj/2)|0> + sin(theta_cj/2)|1>),
        alpha w_c cos(theta_cj/2) = |D_c(j)|,
        PHASE|c>|j> = D_c(j)/|D_c(j)| |c>|j>; of a real matrix there is no PHASE, and the cosine has
        the sign of D_c(j). alpha = sum_c max |D_c|.

    Args:
        tables: permutations, angles and colour weights.
        loader: of all its tables.

    Registers: system (s bits), ancilla (k + 1 bits: the colour, then the rotated flag).

    Cost: the angles read and undone, two loads of the permutation, each over 2^(s+k) values; two
        colour preparations; b rotations; the phases of a complex matrix read and undone, and b
        rotations more. Controlled, one more selection bit in the tables.

    References:
        Gilyen, Su, Low, Wiebe, arXiv:1806.01838, lemma 48; Childs, Wiebe, arXiv:1202.5822 (linear
        combination of unitaries).

    Example:
        >>> import numpy as np
        >>> from qdescent.quantum.tables.coloured import matrix_tables
        >>> i = np.arange(4)
        >>> encoding = SparseBlockEncoding(matrix_tables(i, (i + 1) % 4, 0.5 + i, size=4, bits=16))
        >>> encoding.alpha, encoding.system_bitsize, encoding.ancilla_bitsize
        (3.5, 2, 2)
    """

    tables: MatrixTables

    def augmented(self, norm_estimate: float) -> SparseBlockEncoding:
        """diag(M, (alpha/t) I) by one more selection bit in the tables themselves."""
        return attrs.evolve(self, tables=self.tables.augmented(norm_estimate))

    def layout(self) -> Layout:
        """The colour, then the flag."""
        return {
            "system": {"system": self.tables.system_bits},
            "ancilla": {"colour": self.tables.colour_bits, "flag": 1},
        }

    def steps(self) -> list[Step]:
        """Controlled, only the tables of the entries know of it: unselected, all colours stay in
        place and the two preparations cancel.
        """
        tables = self.tables.controlled if self.is_controlled else self.tables
        system = (*self.control, "system")
        prepare = RealStatePreparation(tables.colours, loader=self.loader)
        colour = {"state": ("colour",)}
        selected = {"selection0": ("colour",), "selection1": system}
        rotate = TableRotation(tables.entries, self.loader)
        phases = tables.phases
        turn: list[Step] = [] if phases is None else [(TablePhase(phases, self.loader), selected)]
        permute = ColourPermutation(tables.permutations, self.loader)
        return [
            (prepare, colour),
            (rotate, {**selected, "target": ("flag",)}),
            *turn,
            (permute, {"colour": ("colour",), "index": system}),
            (prepare.adjoint(), colour),
        ]


@attrs.frozen
class HermitianEncoding(SparseBlockEncoding):
    """|1><1| (x) [[0, M], [M^H, 0]] by the colours of M: one query, where the dilation of another
    encoding takes two.

    M and M^H have the same angles, so that what is encoded is Hermitian to the last bit.

    Args:
        tables: of `controlled_hermitian_tables`.
        unknowns: D, of M.
        loader: of all its tables.

    Registers: system (the control, the half, then the bits of M), ancilla as of M.

    Example:
        >>> from qdescent.quantum.gates.loading.qrom import QROMLoader
        >>> i = np.arange(3)
        >>> encoding = hermitian_encoding(i, i, np.ones(3), size=3, bits=12, loader=QROMLoader())
        >>> encoding.system_bitsize, encoding.right_side_bits, encoding.basis_states.tolist()
        (4, 2, [0, 1, 2])
    """

    unknowns: int

    @property
    def basis_states(self) -> Ints:
        """Those of M, in one half."""
        return np.arange(self.unknowns)

    @property
    def right_side_bits(self) -> int:
        """Those of M: one half."""
        return self.tables.system_bits - 2


def hermitian_encoding(
    rows: Ints, columns: Ints, values: Floats | Complexes, size: int, bits: int, loader: Loader
) -> HermitianEncoding:
    """The block-encoding of |1><1| (x) [[0, M], [M^H, 0]] from the entries of M.

    Args:
        rows, columns, values: the entries of M, shape (nnz,).
        size: D.
        bits: b, bits of an angle.
        loader: of all its tables.
    """
    tables = controlled_hermitian_tables(rows, columns, values, size, bits)
    return HermitianEncoding(tables, size, loader=loader)
