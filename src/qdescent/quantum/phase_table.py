"""Complex numbers in a circuit: phases from a table beside the real rotations, for matrix entries and for state vectors."""

from __future__ import annotations

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from qualtran import Bloq, BloqBuilder, QAny, QUInt, Signature, SoquetT
from qualtran.bloqs.basic_gates import Hadamard, SGate
from qualtran.resource_counting import BloqCountDictT, SympySymbolAllocator

from qdescent._checks import check_array, check_integer, check_methods
from qdescent.quantum.loaded_gates import TableRotation
from qdescent.quantum.loading import DEFAULT_LOADER, Loader
from qdescent.quantum.simulator.kernels import Leaf, phases
from qdescent.quantum.state_preparation import Preparation, vector_preparation
from qdescent.quantum.tables.angles import AngleTable
from qdescent.quantum.tables.lookup import MOST_BITS


@attrs.frozen
class TablePhase(Bloq):
    """|i> -> e^{i phi_i}|i>, phi_i the half angles of a table.

    A qubit in |0> + i|1>, an eigenstate of every Ry, takes the rotation by -2 phi_i as the phase phi_i and is then put back.

    Args:
        table: phi_i as half angles, one axis per selection register.
        loader: of the table.

    Registers: selection0, selection1, ...

    Cost: one `TableRotation`.
    """

    table: AngleTable
    loader: Loader = DEFAULT_LOADER

    @property
    def signature(self) -> Signature:
        """The selection registers."""
        return Signature(self._rotation.signature[:-1])

    def adjoint(self) -> TablePhase:
        """The opposite phases."""
        return attrs.evolve(self, table=self.table.negated)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Prepare the eigenstate, rotate it, undo it."""
        target = bb.add(SGate(), q=bb.add(Hadamard(), q=bb.allocate(1)))
        soqs = bb.add_d(self._rotation, target=target, **soqs)
        target = bb.add(SGate(is_adjoint=True), q=soqs.pop("target"))
        bb.free(bb.add(Hadamard(), q=target))
        return soqs

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """One rotation and four Clifford gates."""
        return {self._rotation: 1, Hadamard(): 2, SGate(): 1, SGate(is_adjoint=True): 1}

    def fast_leaf(self, dtype: torch.dtype, device: torch.device) -> Leaf:
        """The same map on a block of amplitudes (2^n, rest): a diagonal."""
        return phases(torch.as_tensor(self.table.half_angles), dtype, device)

    @property
    def _rotation(self) -> TableRotation:
        return TableRotation(self.table.negated, self.loader)


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


StatePreparation = Preparation | ComplexStatePreparation


def state_preparation(
    vector: NDArray[np.float64] | NDArray[np.complex128], bits: int, loader: Loader = DEFAULT_LOADER
) -> StatePreparation:
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
    vector = _checked(vector)
    check_integer("bits", bits, 1, MOST_BITS)
    check_methods("loader", loader, ("load_cost", "read_cost"), "a loader such as QROMLoader()")
    if not np.iscomplexobj(vector) or not vector.imag.any():
        return vector_preparation(vector.real, bits, loader)
    magnitudes = vector_preparation(np.abs(vector), bits, loader)
    turns = np.zeros(2**magnitudes.bitsize)
    turns[: len(vector)] = np.angle(vector)
    return ComplexStatePreparation(magnitudes, AngleTable.nearest(turns, bits), loader=loader)


def _checked(vector: NDArray[np.float64] | NDArray[np.complex128]) -> NDArray[np.float64] | NDArray[np.complex128]:
    """The vector in double precision; the imaginary parts of a complex one are part of it."""
    if not (isinstance(vector, np.ndarray) and vector.dtype.kind == "c"):
        return check_array("vector", vector, (None,))
    parts = [check_array("vector", part, (None,)) for part in (vector.real, vector.imag)]
    return parts[0] + 1j * parts[1]
