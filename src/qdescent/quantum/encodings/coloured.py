"""The block-encoding of a sparse matrix from its tables."""

from __future__ import annotations

import attrs
from qualtran import Bloq, BloqBuilder, QAny, Signature, SoquetT
from qualtran.bloqs.block_encoding import BlockEncoding
from qualtran.bloqs.reflections.prepare_identity import PrepareIdentity
from qualtran.bloqs.state_preparation.black_box_prepare import BlackBoxPrepare
from qualtran.resource_counting import BloqCountDictT, SympySymbolAllocator

from qdescent.quantum.gates.loaders import DEFAULT_LOADER, Loader
from qdescent.quantum.gates.multiplexed import ColourPermutation, TablePhase, TableRotation
from qdescent.quantum.gates.state_preparation import RealStatePreparation
from qdescent.quantum.gates.steps import Step, add_steps, counted
from qdescent.quantum.tables.coloured import MatrixTables


@attrs.frozen
class SparseBlockEncoding(BlockEncoding):
    """U with <0|U|0> = M/alpha (M^H/alpha for the adjoint), M = sum_c P_c D_c.

        U = PREP^T . PERMUTE . PHASE . ROTATE . PREP,   PREP|0> = sum_c sqrt(w_c)|c>,
        ROTATE|c>|j>|0> = |c>|j>(cos(theta_cj/2)|0> + sin(theta_cj/2)|1>),
        alpha w_c cos(theta_cj/2) = |D_c(j)|,
        PHASE|c>|j> = D_c(j)/|D_c(j)| |c>|j>; of a real matrix there is no PHASE, and the cosine has
        the sign of D_c(j).

    Args:
        tables: permutations, angles and colour weights.
        is_adjoint: the inverse circuit, which encodes M^H.
        loader: of all its tables.

    Registers: system (s bits), ancilla (k + 1 bits: the colour, then the rotated flag).

    Cost: the angles read and undone, two loads of the permutation, each over 2^(s+k) values; two
        colour preparations; b rotations; the phases of a complex matrix read and undone, and b
        rotations more.

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
    is_adjoint: bool = False
    loader: Loader = DEFAULT_LOADER

    @property
    def alpha(self) -> float:
        """The normalisation, sum_c max |D_c|."""
        return self.tables.alpha

    @property
    def epsilon(self) -> float:
        """A bound on ||M - alpha <0|U|0>||_2, derived from the quantised angles."""
        return self.tables.error

    @property
    def system_bitsize(self) -> int:
        """s."""
        return self.tables.system_bits

    @property
    def ancilla_bitsize(self) -> int:
        """k + 1."""
        return self.tables.colour_bits + 1

    @property
    def resource_bitsize(self) -> int:
        """None: every register that a loader fills is emptied inside."""
        return 0

    @property
    def signal_state(self) -> BlackBoxPrepare:
        """|0> on the ancilla."""
        return BlackBoxPrepare(PrepareIdentity.from_bitsizes([self.ancilla_bitsize]))

    @property
    def signature(self) -> Signature:
        """system (s), ancilla (k + 1)."""
        return Signature.build_from_dtypes(
            system=QAny(self.system_bitsize), ancilla=QAny(self.ancilla_bitsize)
        )

    def adjoint(self) -> SparseBlockEncoding:
        """The block-encoding of the conjugate transpose."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    def controlled(self) -> ControlledSparse:
        """The same with a control."""
        return ControlledSparse(self.tables, self.is_adjoint, self.loader)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """PREP, ROTATE, PHASE, PERMUTE, PREP^T; the adjoint permutes back, then rotates back."""
        system, ancilla = soqs["system"], bb.split(soqs["ancilla"])
        colour = bb.join(ancilla[:-1], QAny(self.tables.colour_bits))
        flag = ancilla[-1]
        prepare, rotate, permute = self._parts
        colour = bb.add(prepare, state=colour)
        if self.is_adjoint:
            colour, system = bb.add(permute.adjoint(), colour=colour, index=system)
            colour, system = self._add_phases(bb, colour, system)
            colour, system, flag = bb.add(
                rotate.adjoint(), selection0=colour, selection1=system, target=flag
            )
        else:
            colour, system, flag = bb.add(rotate, selection0=colour, selection1=system, target=flag)
            colour, system = self._add_phases(bb, colour, system)
            colour, system = bb.add(permute, colour=colour, index=system)
        colour = bb.add(prepare.adjoint(), state=colour)
        ancilla[:-1], ancilla[-1] = bb.split(colour), flag
        return {"system": system, "ancilla": bb.join(ancilla, QAny(self.ancilla_bitsize))}

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """One preparation and its inverse, one rotation, one permutation, and the phases of a
        complex matrix.
        """
        prepare, rotate, permute = self._parts
        if self.is_adjoint:
            rotate, permute = rotate.adjoint(), permute.adjoint()
        counts: BloqCountDictT = {prepare: 1, prepare.adjoint(): 1, rotate: 1, permute: 1}
        return counts if self._phase is None else {**counts, self._phase: 1}

    @property
    def _parts(self) -> tuple[RealStatePreparation, TableRotation, ColourPermutation]:
        prepare = RealStatePreparation(self.tables.colours, loader=self.loader)
        return (
            prepare,
            TableRotation(self.tables.entries, self.loader),
            ColourPermutation(self.tables.permutations, self.loader),
        )

    @property
    def _phase(self) -> TablePhase | None:
        if self.tables.phases is None:
            return None
        return TablePhase(
            self.tables.phases.negated if self.is_adjoint else self.tables.phases, self.loader
        )

    def _add_phases(
        self, bb: BloqBuilder, colour: SoquetT, system: SoquetT
    ) -> tuple[SoquetT, SoquetT]:
        return (
            (colour, system)
            if self._phase is None
            else bb.add(self._phase, selection0=colour, selection1=system)
        )


@attrs.frozen
class ControlledSparse(Bloq):
    """A `SparseBlockEncoding` where the control is 1, nothing where it is 0.

    Only the tables know of the control: unselected, all colours stay in place and the two
    preparations cancel.

    Args:
        tables: of M.
        is_adjoint: the inverse circuit.
        loader: of all its tables.

    Registers: control (1 bit), system, ancilla.

    Cost: that of the encoding, with one more selection bit in its tables.
    """

    tables: MatrixTables
    is_adjoint: bool = False
    loader: Loader = DEFAULT_LOADER

    @property
    def signature(self) -> Signature:
        """control (1), system (s), ancilla (k + 1)."""
        system, ancilla = QAny(self.tables.system_bits), QAny(self.tables.colour_bits + 1)
        return Signature.build_from_dtypes(control=QAny(1), system=system, ancilla=ancilla)

    def adjoint(self) -> ControlledSparse:
        """The inverse circuit."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    @property
    def _steps(self) -> list[Step]:
        wires = {"system": ("control", "system"), "ancilla": ("ancilla",)}
        return [(SparseBlockEncoding(self.tables.controlled, self.is_adjoint, self.loader), wires)]

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The encoding of diag(alpha I, M), the control its first system bit."""
        layout = {
            register.name: {register.name: register.total_bits()} for register in self.signature
        }
        return add_steps(bb, soqs, layout, self._steps)

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """One of it."""
        return counted(self._steps)
