"""What a circuit knows of a sparse matrix: permutations and quantised angles, the very tables that
its loaders load.

M = sum_c P_c D_c: the entries of M are coloured so that no two of one colour share a row or a
column; P_c is a permutation (the colour's entries completed to a full one) and D_c a diagonal,
complex where M is. Row and column sparsity may differ, no symmetry is asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from qdescent._arrays import Complexes, Floats, Ints
from qdescent._checks import argument_error, check_instance, check_interval
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.tables.angles import AngleTable, RotationTree, rotation_tree
from qdescent.quantum.tables.by_value import ByValue
from qdescent.quantum.tables.colouring import Colouring, coloured_entries
from qdescent.quantum.tables.permutations import PermutationTable, full_permutations


@dataclass(frozen=True, eq=False)
class MatrixTables(ByValue):
    """The tables of a block-encoding of M/alpha, padded with zeros to 2^s x 2^s.

    Args:
        size: D, before padding.
        alpha: sum_c max |D_c|, the block-encoding's normalisation.
        error: a bound on ||M - alpha <0|U|0>||_2 from the quantised angles: sum_c max_j |D_c(j) -
            encoded|.
        permutations: pi_c, (2^k, 2^s).
        entries: cos(theta/2) = D_c(j)/(alpha w_c), (2^k, 2^s).
        colours: prepares sqrt(w_c), w_c close to max |D_c|/alpha.
        used_colours: the number of colours before padding to 2^k.
        phases: of a complex matrix the phase of D_c(j) as a half angle, (2^k, 2^s), the cosines
            being its magnitude; else None.
    """

    size: int
    alpha: float
    error: float
    permutations: PermutationTable
    entries: AngleTable
    colours: RotationTree
    used_colours: int
    phases: AngleTable | None = None

    @property
    def bits(self) -> int:
        """b, of every angle."""
        return self.entries.bits

    @property
    def system_bits(self) -> int:
        """s."""
        return (self.entries.indices.shape[1] - 1).bit_length()

    @property
    def colour_bits(self) -> int:
        """k."""
        return self.colours.bitsize

    @property
    def basis_states(self) -> Ints:
        """The index of the system's basis state of each unknown: the first D."""
        return np.arange(self.size)

    def augmented(self, norm_estimate: float) -> MatrixTables:
        """The tables of diag(M, (alpha/t) I): one more selection bit, above the others; every
        colour stays in place where it is 1.

        Args:
            norm_estimate: t, at least 1.

        Example:
            >>> tables = matrix_tables(
            ...     np.array([0, 1]), np.array([1, 0]), np.array([2.0, -1.0]), size=2, bits=12
            ... )
            >>> augmented = tables.augmented(2.0)
            >>> augmented.system_bits, augmented.permutations.forward[0].tolist()
            (2, [1, 0, 2, 3])
        """
        t = check_interval("norm_estimate", norm_estimate, "[1, inf)")
        turn = AngleTable.nearest(np.full(self.entries.indices.shape, math.acos(1 / t)), self.bits)
        entries = AngleTable(np.hstack([self.entries.indices, turn.indices]), self.bits)
        phases = self.phases
        if phases is not None:
            phases = AngleTable(
                np.hstack([phases.indices, np.zeros_like(turn.indices)]), phases.bits
            )
        # the colours' weights add up to 1
        error = self.alpha * abs(math.cos(float(turn.half_angles[0, 0])) - 1 / t)
        return replace(
            self,
            size=2 * self.permutations.forward.shape[1],
            error=max(self.error, error),
            permutations=self.permutations.extended,
            entries=entries,
            phases=phases,
        )

    @cached_property
    def controlled(self) -> MatrixTables:
        """The tables of diag(alpha I, M): one more bit above the others, and where it is 0 every
        colour stays in place.

        The preparation of the colours then is undone by its inverse: a control of the whole circuit
        that costs two tables.
        """
        colours, size = self.permutations.forward.shape
        stay = np.tile(np.arange(size), (colours, 1))
        forward, backward = (
            np.hstack([stay, size + table])
            for table in (self.permutations.forward, self.permutations.backward)
        )
        entries = AngleTable(
            np.hstack([np.zeros_like(stay), self.entries.indices]), self.entries.bits
        )
        permutations = PermutationTable(forward, backward)
        phases = self.phases
        if phases is not None:
            phases = AngleTable(np.hstack([np.zeros_like(stay), phases.indices]), phases.bits)
        return replace(
            self, size=2 * size, permutations=permutations, entries=entries, phases=phases
        )


def matrix_entries(system: LinearSystem) -> tuple[Ints, Ints, Floats | Complexes]:
    """The entries of the system's matrix as arrays, complex only where one is not real.

    Raises:
        ArgumentError: a matrix without entries.
    """
    check_instance("system", system, LinearSystem)
    rows, columns, values = system.entries()
    if not len(values):
        raise argument_error("matrix", "have a non-zero entry", "zero")
    if values.is_complex() and not values.imag.any():
        values = values.real
    wide = torch.complex128 if values.is_complex() else torch.float64
    return rows.cpu().numpy(), columns.cpu().numpy(), values.cpu().to(wide).numpy()


def matrix_tables(
    rows: Ints,
    columns: Ints,
    values: Floats | Complexes,
    size: int,
    bits: int,
    colouring: Colouring | None = None,
) -> MatrixTables:
    """The tables of a sparse matrix.

    Args:
        rows, columns, values: its entries, shape (nnz,), each pair once.
        size: D.
        bits: b, bits of an angle.
        colouring: of the entries, where it is known; None makes it.

    Returns:
        MatrixTables: with s = ceil(log2 D) and k = ceil(log2 colours), each at least 1.

    Cost: O(nnz log nnz) for the colouring, O(2^(s+k)) for the tables.

    Example:
        >>> tables = matrix_tables(
        ...     np.array([0, 1]), np.array([1, 0]), np.array([2.0, -1.0]), size=2, bits=12
        ... )
        >>> tables.alpha, tables.used_colours
        (2.0, 1)
    """
    colouring = colouring or coloured_entries(rows, columns, values)
    alpha, entry_colours = colouring.alpha, colouring.colours
    colours = rotation_tree(np.sqrt(colouring.weights), bits)
    encoded_weights = alpha * colours.prepared**2
    shape = (len(encoded_weights), 2 ** max(1, (size - 1).bit_length()))
    diagonal = np.zeros(shape, dtype=values.dtype)
    diagonal[entry_colours, columns] = values
    # A weight that the quantised preparation missed is made good by the angles where there is room
    # for it.
    magnitudes = np.abs(diagonal) if np.iscomplexobj(diagonal) else diagonal
    cosines = np.divide(
        magnitudes, encoded_weights[:, None], out=np.zeros(shape), where=diagonal != 0
    )
    entries = AngleTable.nearest(np.arccos(np.clip(cosines, -1, 1)), bits)
    encoded = encoded_weights[:, None] * np.cos(entries.half_angles)
    phases = AngleTable.nearest(np.angle(diagonal), bits) if np.iscomplexobj(diagonal) else None
    if phases is not None:
        encoded = encoded * np.exp(1j * phases.half_angles)
    error = np.abs(diagonal - encoded).max(axis=1).sum()
    permutations = full_permutations(rows, columns, entry_colours, shape)
    return MatrixTables(
        size, alpha, float(error), permutations, entries, colours, len(colouring.weights), phases
    )


def controlled_hermitian_tables(
    rows: Ints, columns: Ints, values: Floats | Complexes, size: int, bits: int
) -> MatrixTables:
    """The tables of |1><1| (x) [[0, M], [M^H, 0]]: its evolution is that of H = [[0, M], [M^H, 0]],
    controlled by one bit.

    M and M^H get the same colours, so that alpha is that of M, and the same angles, so that the
    encoded H is Hermitian.

    Args:
        rows, columns, values: the entries of M, shape (nnz,).
        size: D; M is padded to N = 2^s.
        bits: b, bits of an angle.

    Returns:
        MatrixTables: of a 4N x 4N matrix, index bits (control, block, s bits).

    Example:
        >>> tables = controlled_hermitian_tables(
        ...     np.array([0, 1]), np.array([1, 0]), np.array([2.0, -1.0]), size=2, bits=12
        ... )
        >>> tables.alpha, tables.system_bits
        (2.0, 3)
    """
    padded = 2 ** max(1, (size - 1).bit_length())
    first, second = 2 * padded, 3 * padded
    return matrix_tables(
        np.concatenate([first + rows, second + columns]),
        np.concatenate([second + columns, first + rows]),
        np.concatenate([values, values.conj()]),
        4 * padded,
        bits,
    )
