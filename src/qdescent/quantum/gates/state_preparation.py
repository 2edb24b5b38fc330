"""Preparation of a vector: trees of selected rotations, permuted where it is sparse, with a table
of phases where it is complex.
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from qualtran import Bloq, BloqBuilder, QAny, QUInt, Signature, SoquetT
from qualtran.resource_counting import BloqCountDictT, SympySymbolAllocator

from qdescent._array_checks import check_array
from qdescent._arrays import Floats
from qdescent._checks import argument_error, check_integer, check_methods
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
from qdescent.quantum.gates.multiplexed import ColourPermutation, TablePhase, TableRotation
from qdescent.quantum.simulator.kernels import Kernel, real_matrices, rotation_matrices
from qdescent.quantum.tables.angles import AngleTable, RotationTree, rotation_tree
from qdescent.quantum.tables.lookup import MOST_BITS
from qdescent.quantum.tables.permutations import PermutationTable

DENSE_BITS = 6  # up to 64 amplitudes one matrix product is faster than a walk through the levels


@attrs.frozen
class RealStatePreparation(Bloq):
    """|0> -> sum_i x_i |i> for a real unit vector x, by rotation l of qubit l selected by those
    qubits before it that its angle depends on.

    Args:
        tree: the quantised rotations; `tree.prepared` is x.
        is_adjoint: undo the preparation instead.
        loader: of the rotations' angles.

    Registers: state (s bits).

    Cost: s - 1 reads of b bits and as many to undo them, over at most 2, 4, ... 2^(s-1) values, and
        about s b rotations; a product of vectors of one sign costs their sum.

    References:
        Grover, Rudolph, quant-ph/0208112; Low, Kliuchnikov, Schaeffer, arXiv:1812.00954.

    Example:
        >>> import numpy as np
        >>> from qdescent.quantum.tables.angles import rotation_tree
        >>> prepare = RealStatePreparation(rotation_tree(np.array([0.6, 0.0, 0.0, -0.8]), bits=16))
        >>> prepare.signature.n_qubits()
        2
    """

    label: ClassVar[str] = "prepare"
    tree: RotationTree
    is_adjoint: bool = False
    loader: Loader = DEFAULT_LOADER

    @property
    def signature(self) -> Signature:
        """state (s)."""
        return Signature.build_from_dtypes(state=QAny(self.tree.bitsize))

    @property
    def bitsize(self) -> int:
        """s."""
        return self.tree.bitsize

    @property
    def prepared(self) -> Floats:
        """The unit vector that the quantised angles prepare, shape (2^s,)."""
        return self.tree.prepared

    def adjoint(self) -> RealStatePreparation:
        """The inverse circuit."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The levels from the first qubit to the last; the adjoint undoes them in reverse."""
        bits = bb.split(soqs["state"])
        turns = self.tree.selected
        for turn in reversed(turns) if self.is_adjoint else turns:
            table, chosen = turn.table, list(turn.selection)
            rotation = TableRotation(table.negated if self.is_adjoint else table, self.loader)
            if not chosen:
                bits[turn.qubit] = bb.add(rotation, target=bits[turn.qubit])
                continue
            selection = bb.join(bits[chosen], QUInt(len(chosen)))
            selection, bits[turn.qubit] = bb.add(
                rotation, selection0=selection, target=bits[turn.qubit]
            )
            bits[chosen] = bb.split(selection)
        return {"state": bb.join(bits, QAny(self.tree.bitsize))}

    def fast_kernel(self, dtype: torch.dtype, device: torch.device) -> Kernel | None:
        """The same map as one orthogonal matrix, (2^s, 2^s); None above `DENSE_BITS` (the levels
        are fast themselves).
        """
        if self.tree.bitsize > DENSE_BITS:
            return None
        matrices = rotation_matrices(self.tree.half_angles, 1)
        return real_matrices(matrices.mT if self.is_adjoint else matrices, dtype, device)


@attrs.frozen
class SparseStatePreparation(Bloq):
    """|0> -> sum_a x_a |p_a>: k values prepared on the last q = ceil(log2 k) qubits, then moved to
    their basis states.

    A value whose index is below 2^q is prepared there; each other one is exchanged with its own,
    so that the permutation has at most 2 k entries that are not 0 and is its own inverse.

    Args:
        values: prepares the k values on q qubits.
        exchanges: the permutation, shape (2^s,).
        is_adjoint: undo the preparation instead.
        loader: of the angles and the exchanges.

    Registers: state (s bits).

    Cost: a preparation of 2^q values, q b rotations where the whole vector takes s b, and two loads
        of s bits over 2^s entries of
    which 2 k are not 0 (by QROM, which skips the others, at most about 4 k (1 + s - q) ANDs).

    References:
        Low, Kliuchnikov, Schaeffer, arXiv:1812.00954 (the dense part).

    Example:
        >>> vector = np.zeros(64)
        >>> vector[[3, 40]] = 0.6, -0.8
        >>> prepare = sparse_preparation(vector, bits=16)
        >>> prepare.values.bitsize, np.round(prepare.prepared[[3, 40]], 3).tolist()
        (1, [0.6, -0.8])
    """

    label: ClassVar[str] = "prepare"
    values: RotationTree
    exchanges: PermutationTable
    is_adjoint: bool = False
    loader: Loader = DEFAULT_LOADER

    @property
    def bitsize(self) -> int:
        """s."""
        return self.exchanges.bits

    @cached_property
    def prepared(self) -> Floats:
        """The unit vector that the quantised angles prepare, shape (2^s,)."""
        vector = np.zeros(len(self.exchanges.forward))
        vector[self.exchanges.forward[: 2**self.values.bitsize]] = self.values.prepared
        return vector

    @property
    def signature(self) -> Signature:
        """state (s)."""
        return Signature.build_from_dtypes(state=QAny(self.exchanges.bits))

    def adjoint(self) -> SparseStatePreparation:
        """The inverse circuit."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The values, then the exchanges; the adjoint in reverse."""
        state, bits = soqs["state"], self.exchanges.bits
        exchange = ColourPermutation(self.exchanges, self.loader)
        if self.is_adjoint:
            state = bb.add(exchange, index=state)
        qubits = bb.split(state)
        first = bits - self.values.bitsize
        prepare = RealStatePreparation(self.values, self.is_adjoint, self.loader)
        qubits[first:] = bb.split(
            bb.add(prepare, state=bb.join(qubits[first:], QAny(self.values.bitsize)))
        )
        state = bb.join(qubits, QUInt(bits))
        if not self.is_adjoint:
            state = bb.add(exchange, index=state)
        return {"state": state}


Preparation = RealStatePreparation | SparseStatePreparation


def vector_preparation(vector: Floats, bits: int, loader: Loader = DEFAULT_LOADER) -> Preparation:
    """The preparation of a real vector, normalised and padded with zeros: by its non-zeros where
    that saves a qubit's rotations.

    Args:
        vector: shape (n,), not zero.
        bits: b, bits of an angle.
        loader: of all tables.

    Raises:
        ArgumentError: a vector that is zero or not finite.

    Example:
        >>> type(vector_preparation(np.array([1.0, 0.0, 0.0, 2.0]), bits=8)).__name__
        'SparseStatePreparation'
        >>> type(vector_preparation(np.array([1.0, 1.0, 2.0, 0.0]), bits=8)).__name__
        'RealStatePreparation'
    """
    vector = check_array("vector", vector, (None,))
    whole = RealStatePreparation(rotation_tree(vector, bits), loader=loader)
    filled = max(2, int(np.count_nonzero(vector)))
    if (filled - 1).bit_length() < len(whole.tree.selected):
        return sparse_preparation(vector, bits, loader)
    return whole


def sparse_preparation(
    vector: Floats, bits: int, loader: Loader = DEFAULT_LOADER
) -> SparseStatePreparation:
    """The preparation of a real vector, normalised and padded to 2^s entries, by its non-zeros.

    Args:
        vector: shape (n,), n at least 2, not zero.
        bits: b, bits of an angle.
        loader: of all tables.

    Raises:
        ArgumentError: a vector of less than two entries, zero, or not finite.
    """
    vector = check_array("vector", vector, (None,))
    if len(vector) < 2:
        raise argument_error("vector", "have at least two entries", f"of shape {vector.shape}")
    filled = np.flatnonzero(vector)
    slots = 2 ** max(1, (len(filled) - 1).bit_length())
    forward = np.arange(2 ** (len(vector) - 1).bit_length())
    away = filled[filled >= slots]
    free = np.setdiff1d(np.arange(slots), filled)[: len(away)]
    forward[free], forward[away] = away, free
    padded = np.zeros(len(forward))
    padded[: len(vector)] = vector
    return SparseStatePreparation(
        rotation_tree(padded[forward[:slots]], bits),
        PermutationTable(forward, forward),
        loader=loader,
    )


@attrs.frozen
class ComplexStatePreparation(Bloq):
    """|0> -> sum_i |x_i| e^{i phi_i}|i>: the magnitudes, then the phases.

    Args:
        magnitudes: prepares |x|.
        phases: phi_i as half angles, shape (2^s,).
        is_adjoint: undo the preparation instead.
        loader: of the phases.

    Registers: state (s bits).

    Cost: that of the magnitudes and one `TablePhase` over 2^s values.

    Example:
        >>> prepare = state_preparation(np.array([0.6, -0.8j]), bits=16)
        >>> np.round(prepare.prepared, 3).tolist()
        [(0.6+0j), (-0-0.8j)]
    """

    label: ClassVar[str] = "prepare"
    magnitudes: Preparation
    phases: AngleTable
    is_adjoint: bool = False
    loader: Loader = DEFAULT_LOADER

    @property
    def bitsize(self) -> int:
        """s."""
        return self.magnitudes.bitsize

    @property
    def prepared(self) -> NDArray[np.complex128]:
        """The unit vector that the quantised angles prepare, shape (2^s,)."""
        return self.magnitudes.prepared * np.exp(1j * self.phases.half_angles)

    @property
    def signature(self) -> Signature:
        """state (s)."""
        return Signature.build_from_dtypes(state=QAny(self.bitsize))

    def adjoint(self) -> ComplexStatePreparation:
        """The inverse circuit."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Magnitudes, phases; the adjoint in reverse."""
        state, magnitudes, phase = soqs["state"], *self._parts
        if not self.is_adjoint:
            state = bb.add(magnitudes, state=state)
        state = bb.add(phase, selection0=bb.join(bb.split(state), QUInt(self.bitsize)))
        state = bb.join(bb.split(state), QAny(self.bitsize))
        return {"state": bb.add(magnitudes, state=state) if self.is_adjoint else state}

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """One of each."""
        return dict.fromkeys(self._parts, 1)

    @property
    def _parts(self) -> tuple[Preparation, TablePhase]:
        magnitudes, phase = self.magnitudes, TablePhase(self.phases, self.loader)
        return (magnitudes.adjoint(), phase.adjoint()) if self.is_adjoint else (magnitudes, phase)


EntryPreparation = Preparation | ComplexStatePreparation


def state_preparation(
    vector: NDArray[np.float64] | NDArray[np.complex128], bits: int, loader: Loader = DEFAULT_LOADER
) -> EntryPreparation:
    """The preparation of a vector, normalised and padded with zeros; a real vector costs no phases.

    Args:
        vector: real or complex, shape (n,), not zero.
        bits: b, bits of an angle.
        loader: of the angles.

    Raises:
        ArgumentError: a zero or non-finite vector.

    Example:
        >>> type(state_preparation(np.array([1.0, -1.0]), bits=8)).__name__
        'RealStatePreparation'
    """
    vector = checked_vector(vector)
    bits = check_integer("bits", bits, 1, MOST_BITS)
    check_methods("loader", loader, ("load_cost", "read_cost"), "a loader such as QROMLoader()")
    if not np.iscomplexobj(vector) or not vector.imag.any():
        return vector_preparation(vector.real, bits, loader)
    magnitudes = vector_preparation(np.abs(vector), bits, loader)
    turns = np.zeros(2**magnitudes.bitsize)
    turns[: len(vector)] = np.angle(vector)
    return ComplexStatePreparation(magnitudes, AngleTable.nearest(turns, bits), loader=loader)


def checked_vector(
    vector: NDArray[np.float64] | NDArray[np.complex128],
) -> NDArray[np.float64] | NDArray[np.complex128]:
    """The vector in double precision; the imaginary parts of a complex one are part of it."""
    if not (isinstance(vector, np.ndarray) and vector.dtype.kind == "c"):
        return check_array("vector", vector, (None,))
    parts = [check_array("vector", part, (None,)) for part in (vector.real, vector.imag)]
    return parts[0] + 1j * parts[1]
