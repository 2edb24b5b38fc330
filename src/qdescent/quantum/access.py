"""What a circuit knows of a sparse matrix: permutations and quantised angles, the very tables that its loaders load.

M = sum_c P_c D_c: the entries of M are coloured so that no two of one colour share a row or a column; P_c is a permutation
(the colour's entries completed to a full one) and D_c a diagonal, complex where M is. Row and column sparsity may differ, no
symmetry is asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from qdescent._checks import argument_error, check_array, check_instance, check_integer
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.edge_colouring import colour_entries, colour_weights
from qdescent.quantum.loading import LookUpTable

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

MOST_ANGLE_BITS = 45  # 4 pi/2^45 is near 1e-13: finer angles drown in the rounding of float64


@dataclass(frozen=True, eq=False)
class AngleTable:
    """Rotation angles as b-bit integers: entry k stands for Ry(4 pi k/2^b), so that cos(theta/2) takes both signs.

    Args:
        indices: integers in [0, 2^b), one axis of length 2^bits per selection register.
        bits: b.
    """

    indices: Ints = field(repr=False)
    bits: int

    @classmethod
    def nearest(cls, half_angles: Floats, bits: int) -> AngleTable:
        """The table nearest to theta/2 (radians, any range); each half angle is off by at most pi/2^b."""
        check_integer("angle_bits", bits, 3)
        if bits > MOST_ANGLE_BITS:
            raise argument_error("angle_bits", f"be at most {MOST_ANGLE_BITS}", bits)
        turns = np.rint(check_array("half_angles", half_angles) * (2**bits / (2 * math.pi))).astype(np.int64)
        return cls(turns % 2**bits, bits)

    @property
    def half_angles(self) -> Floats:
        """theta/2 of every entry, in [0, 2 pi)."""
        return self.indices * (2 * math.pi / 2**self.bits)

    @cached_property
    def look_up(self) -> LookUpTable:
        """The indices, b bits each, as a circuit loads them (of a table with selection registers)."""
        return LookUpTable(self.indices, self.bits)

    @cached_property
    def negated(self) -> AngleTable:
        """The table of -theta (the adjoint rotation); its own `negated` is this very object."""
        other = AngleTable(-self.indices % 2**self.bits, self.bits)
        other.__dict__["negated"] = self
        return other

    @cached_property
    def controlled(self) -> AngleTable:
        """As many entries again before the others along the first axis, all 0: one more bit above that selection."""
        return AngleTable(np.concatenate([np.zeros_like(self.indices), self.indices]), self.bits)


@dataclass(frozen=True, eq=False)
class PermutationTable:
    """One permutation per colour, and its inverse; or a single permutation.

    Args:
        forward: pi_c(j), shape (colours, 2^s), or pi(j), shape (2^s,).
        backward: pi_c^-1(i), of the same shape.
    """

    forward: Ints = field(repr=False)
    backward: Ints = field(repr=False)

    @property
    def bits(self) -> int:
        """s."""
        return (self.forward.shape[-1] - 1).bit_length()

    @cached_property
    def look_ups(self) -> tuple[LookUpTable, LookUpTable]:
        """j xor pi(j) and i xor pi^-1(i), s bits each, as a circuit loads them: fixed points are lines of 0, which cost nothing."""
        places = np.arange(self.forward.shape[-1])
        return LookUpTable(self.forward ^ places, self.bits), LookUpTable(self.backward ^ places, self.bits)

    @cached_property
    def inverted(self) -> PermutationTable:
        """The inverse permutations; its own `inverted` is this very object."""
        other = PermutationTable(self.backward, self.forward)
        other.__dict__["inverted"] = self
        return other

    @cached_property
    def controlled(self) -> PermutationTable:
        """One more colour bit above the others, and where it is 0 everything stays in place."""
        stay = np.tile(np.arange(self.forward.shape[1]), (len(self.forward), 1))
        return PermutationTable(np.concatenate([stay, self.forward]), np.concatenate([stay, self.backward]))

    @cached_property
    def extended(self) -> PermutationTable:
        """Of several permutations: one more index bit above the others, and where it is 1 everything stays in place."""
        colours, size = self.forward.shape
        stay = np.tile(size + np.arange(size), (colours, 1))
        return PermutationTable(np.hstack([self.forward, stay]), np.hstack([self.backward, stay]))


@dataclass(frozen=True, eq=False)
class RotationTree:
    """The rotations that prepare a real vector: level l turns qubit l by an angle that its l predecessors select.

    Args:
        levels: `AngleTable`s of shapes (), (2,), (4,), ...; signs sit in the last level.
    """

    levels: tuple[AngleTable, ...] = field(repr=False)

    @property
    def bitsize(self) -> int:
        """s, for vectors of length 2^s."""
        return len(self.levels)

    @cached_property
    def prepared(self) -> Floats:
        """The unit vector that the quantised angles prepare, shape (2^s,)."""
        return prepared_vectors(self.levels, 1)[0]


@dataclass(frozen=True, eq=False)
class MatrixTables:
    """The tables of a block-encoding of M/alpha, padded with zeros to 2^s x 2^s.

    Args:
        size: D, before padding.
        alpha: sum_c max |D_c|, the block-encoding's normalisation.
        error: a bound on ||M - alpha <0|U|0>||_2 from the quantised angles: sum_c max_j |D_c(j) - encoded|.
        permutations: pi_c, (2^k, 2^s).
        entries: cos(theta/2) = D_c(j)/(alpha w_c), (2^k, 2^s).
        colours: prepares sqrt(w_c), w_c close to max |D_c|/alpha.
        used_colours: the number of colours before padding to 2^k.
        phases: of a complex matrix the phase of D_c(j) as a half angle, (2^k, 2^s), the cosines being its magnitude; else None.
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
    def places(self) -> Ints:
        """The system's basis state of each unknown: the first D."""
        return np.arange(self.size)

    @cached_property
    def controlled(self) -> MatrixTables:
        """The tables of diag(alpha I, M): one more bit above the others, and where it is 0 every colour stays in place.

        The preparation of the colours then is undone by its inverse: a control of the whole circuit that costs two tables.
        """
        colours, size = self.permutations.forward.shape
        stay = np.tile(np.arange(size), (colours, 1))
        forward, backward = (np.hstack([stay, size + table]) for table in (self.permutations.forward, self.permutations.backward))
        entries = AngleTable(np.hstack([np.zeros_like(stay), self.entries.indices]), self.entries.bits)
        permutations = PermutationTable(forward, backward)
        phases = self.phases
        if phases is not None:
            phases = AngleTable(np.hstack([np.zeros_like(stay), phases.indices]), phases.bits)
        return replace(self, size=2 * size, permutations=permutations, entries=entries, phases=phases)


def rotation_tree(vector: Floats, bits: int) -> RotationTree:
    """The rotation tree of a real vector, normalised and padded with zeros to 2^s entries (s at least 1).

    Args:
        vector: shape (n,), not zero.
        bits: b, bits of an angle.

    Raises:
        ArgumentError: a zero or non-finite vector.

    Example:
        >>> tree = rotation_tree(np.array([3.0, -4.0]), bits=20)
        >>> np.round(tree.prepared, 4).tolist()
        [0.6, -0.8]
    """
    vector = check_array("vector", vector, (None,))
    size = max(1, (len(vector) - 1).bit_length())
    padded = np.zeros(2**size)
    padded[: len(vector)] = vector
    if not padded.any():
        raise argument_error("vector", "be finite and not zero", "zero")
    levels = rotation_levels(padded[None] / np.abs(padded).max(), bits)
    return RotationTree(tuple(AngleTable(np.asarray(level.indices[0]), bits) for level in levels))


def rotation_levels(vectors: Floats, bits: int) -> tuple[AngleTable, ...]:
    """The tables of shapes (S,), (S, 2), (S, 4), ... by which the rows of an array, (S, 2^k), are prepared; none is zero.

    Example:
        >>> [table.indices.tolist() for table in rotation_levels(np.array([[1.0, 1.0]]), bits=4)]
        [[2]]
    """
    vectors = check_array("vectors", vectors, (None, None))
    count, lengths, levels = len(vectors), vectors, []
    while lengths.shape[1] > 1:
        pairs = lengths.reshape(count, -1, 2)
        half_angles = np.arctan2(pairs[:, :, 1], pairs[:, :, 0])
        lengths = np.hypot(pairs[:, :, 0], pairs[:, :, 1])
        levels.append(AngleTable.nearest(half_angles if half_angles.shape[1] > 1 else half_angles[:, 0], bits))
    return tuple(reversed(levels))


def prepared_vectors(levels: Sequence[AngleTable], count: int) -> Floats:
    """The unit vectors that the tables of S trees prepare, shape (S, 2^k).

    Example:
        >>> prepared_vectors([AngleTable(np.array([0, 2]), bits=3)], 2).round().tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    amplitudes = np.ones((count, 1))
    for level in levels:
        half = level.half_angles.reshape(count, -1)
        amplitudes = np.stack([amplitudes * np.cos(half), amplitudes * np.sin(half)], axis=2).reshape(count, -1)
    return amplitudes


def matrix_entries(system: LinearSystem) -> tuple[Ints, Ints, Floats | Complexes]:
    """The entries of the system's matrix as arrays, complex only where an imaginary part is not zero.

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


def matrix_tables(rows: Ints, columns: Ints, values: Floats | Complexes, size: int, bits: int) -> MatrixTables:
    """The tables of a sparse matrix.

    Args:
        rows, columns, values: its entries, shape (nnz,), each pair once.
        size: D.
        bits: b, bits of an angle.

    Returns:
        MatrixTables: with s = ceil(log2 D) and k = ceil(log2 colours), each at least 1.

    Cost: O(nnz log nnz) for the colouring, O(2^(s+k)) for the tables.

    Example:
        >>> tables = matrix_tables(np.array([0, 1]), np.array([1, 0]), np.array([2.0, -1.0]), size=2, bits=12)
        >>> tables.alpha, tables.used_colours
        (2.0, 1)
    """
    entry_colours = colour_entries(rows, columns, values)
    weights = colour_weights(values, entry_colours)
    colours = rotation_tree(np.sqrt(weights), bits)
    alpha = float(weights.sum())
    encoded_weights = alpha * colours.prepared**2
    shape = (len(encoded_weights), 2 ** max(1, (size - 1).bit_length()))
    diagonal = np.zeros(shape, dtype=values.dtype)
    diagonal[entry_colours, columns] = values
    # A weight that the quantised preparation missed is made good by the angles where there is room for it.
    magnitudes = np.abs(diagonal) if np.iscomplexobj(diagonal) else diagonal
    cosines = np.divide(magnitudes, encoded_weights[:, None], out=np.zeros(shape), where=diagonal != 0)
    entries = AngleTable.nearest(np.arccos(np.clip(cosines, -1, 1)), bits)
    encoded = encoded_weights[:, None] * np.cos(entries.half_angles)
    phases = AngleTable.nearest(np.angle(diagonal), bits) if np.iscomplexobj(diagonal) else None
    if phases is not None:
        encoded = encoded * np.exp(1j * phases.half_angles)
    error = np.abs(diagonal - encoded).max(axis=1).sum()
    permutations = full_permutations(rows, columns, entry_colours, shape)
    return MatrixTables(size, alpha, float(error), permutations, entries, colours, len(weights), phases)


def full_permutations(rows: Ints, columns: Ints, colours: Ints, shape: tuple[int, int]) -> PermutationTable:
    """Each colour's pairs (column -> row) completed to a permutation.

    Args:
        rows, columns, colours: shape (nnz,), no colour twice in a row or a column.
        shape: colours and places of the table, (2^k, 2^s).

    Example:
        >>> full_permutations(np.array([2]), np.array([0]), np.array([0]), (1, 4)).forward.tolist()
        [[2, 1, 0, 3]]
    """
    forward = np.full(shape, -1, dtype=np.int64)
    forward[colours, columns] = rows
    backward = np.empty(shape, dtype=np.int64)
    places = np.arange(shape[1])
    for pi, inverse in zip(forward, backward, strict=True):
        hit = np.zeros(shape[1], dtype=bool)
        hit[pi[pi >= 0]] = True
        stay = (pi < 0) & ~hit  # fixed points where both ends are free: they cost a loader nothing
        pi[stay] = places[stay]
        pi[pi < 0] = np.setdiff1d(places, pi[pi >= 0])
        inverse[pi] = places
    return PermutationTable(forward, backward)
