"""Quantum singular-value transformation by a real polynomial of definite parity, and the linear
solve built on it.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, ClassVar

import attrs
import numpy as np
import torch
from qualtran import Bloq, BloqBuilder, QAny, Signature, SoquetT
from qualtran.bloqs.basic_gates import CNOT, Hadamard, Rz, XGate
from qualtran.resource_counting import BloqCountDictT, CostKey, QubitCount, SympySymbolAllocator

from qdescent._checks import check_field, check_integer, check_interval
from qdescent.quantum.algorithms.qsp_angles import QSPAngles
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.gates.force_preparation import StatePreparation
from qdescent.quantum.gates.multiplexed import PatternFlip
from qdescent.quantum.gates.qubit_count import qubits_in_turn
from qdescent.quantum.simulator.kernels import Kernel, phases

MOST_ANCILLAS = 4096  # a state vector of forty is the end


@attrs.frozen
class ProjectorPhase(Bloq):
    """exp(i phi (2 Pi - 1)) for part = 0, its inverse for part = 1; Pi projects the ancilla on |0>.

    Args:
        phi: radians.
        ancilla_bits: of the ancilla register.

    Registers: part (1 bit), ancilla.

    Cost: one rotation and twice (ancilla_bits - 1) ANDs.

    References:
        Gilyen, Su, Low, Wiebe, arXiv:1806.01838, figure 1 and corollary 18 (real part by a
        controlled sign).
    """

    label: ClassVar[str] = "φ"
    phi: float
    ancilla_bits: int

    def __attrs_post_init__(self) -> None:
        check_field(self, "phi", check_interval, "(-inf, inf)")
        check_field(self, "ancilla_bits", check_integer, 1, MOST_ANCILLAS)

    @property
    def angle(self) -> float:
        """phi, which a drawing shows."""
        return self.phi

    @property
    def signature(self) -> Signature:
        """part (1), ancilla."""
        return Signature.build_from_dtypes(part=QAny(1), ancilla=QAny(self.ancilla_bits))

    def adjoint(self) -> ProjectorPhase:
        """The opposite phase."""
        return ProjectorPhase(-self.phi, self.ancilla_bits)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Mark ancilla = 0 on a fresh qubit, turn its phase with the sign of `part`, unmark."""
        part, flip = soqs["part"], PatternFlip((0,) * self.ancilla_bits)
        ancilla, target = bb.add(flip, register=soqs["ancilla"], mark=bb.allocate(1))
        part, target = bb.add(CNOT(), ctrl=part, target=target)
        target = bb.add(Rz(2 * self.phi), q=target)
        part, target = bb.add(CNOT(), ctrl=part, target=target)
        ancilla, target = bb.add(flip, register=ancilla, mark=target)
        bb.free(target)
        return {"part": part, "ancilla": ancilla}

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """Written out: a sequence has thousands of phases, and a graph each would take longer than
        the simulation.
        """
        return {PatternFlip((0,) * self.ancilla_bits): 2, CNOT(): 2, Rz(2 * self.phi): 1}

    def fast_kernel(self, dtype: torch.dtype, device: torch.device) -> Kernel:
        """The same map on a block of amplitudes (2^n, rest): a diagonal."""
        phase = torch.full((2, 2**self.ancilla_bits), -self.phi, dtype=torch.float64, device="cpu")
        phase[:, 0] = self.phi
        phase[1] *= -1
        return phases(phase, dtype, device)


@attrs.frozen
class QSVTSequence(Bloq):
    """(H on part) and E, E-dagger in turn between projector phases: the block becomes p(A) of A =
    <0|E|0>, p real.

        A = W S V^T  ->  <0|sequence|0> = W p(S) V^T for odd p,  V p(S) V^T for even p.

    With E the adjoint of a block-encoding of M/alpha and p(x) = c/x that is c alpha M^-1.

    Args:
        encoding: E, called ceil(d/2) times; its adjoint is called floor(d/2) times.
        phases: projector phases, d + 1 of them (`projector_phases`).

    Registers: system, ancilla, part (1 bit: real part of the two signs of the phases).

    Cost: d queries, d + 1 rotations.

    References:
        Gilyen, Su, Low, Wiebe, arXiv:1806.01838, theorem 17 and corollary 18.
    """

    label: ClassVar[str] = "queries and phases"
    encoding: BlockEncoding
    phases: tuple[float, ...] = attrs.field(repr=False)

    @property
    def degree(self) -> int:
        """d."""
        return len(self.phases) - 1

    @property
    def signature(self) -> Signature:
        """system, ancilla, part (1)."""
        sizes = {
            "system": self.encoding.system_bitsize,
            "ancilla": self.encoding.ancilla_bitsize,
            "part": 1,
        }
        return Signature.build_from_dtypes(**{name: QAny(bits) for name, bits in sizes.items()})

    def adjoint(self) -> QSVTSequence:
        """The inverse circuit, a sequence again: the phases reversed and negated, begun by the
        inverse of the last query.
        """
        encoding = self.encoding.adjoint() if self.degree % 2 else self.encoding
        return QSVTSequence(encoding, tuple(-phi for phi in reversed(self.phases)))

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The last phase first."""
        system, ancilla, part = soqs["system"], soqs["ancilla"], bb.add(Hadamard(), q=soqs["part"])
        query, next_query = self.encoding, self.encoding.adjoint()
        for phi in self.phases[:0:-1]:
            part, ancilla = bb.add(
                ProjectorPhase(phi, self.encoding.ancilla_bitsize), part=part, ancilla=ancilla
            )
            system, ancilla = bb.add(query, system=system, ancilla=ancilla)
            query, next_query = next_query, query
        first = ProjectorPhase(self.phases[0], self.encoding.ancilla_bitsize)
        part, ancilla = bb.add(first, part=part, ancilla=ancilla)
        return {"system": system, "ancilla": ancilla, "part": bb.add(Hadamard(), q=part)}

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """ceil(d/2) E, floor(d/2) E-dagger, d + 1 phases, two Hadamards."""
        counts: Counter[Bloq] = Counter(
            ProjectorPhase(phi, self.encoding.ancilla_bitsize) for phi in self.phases
        )
        counts[self.encoding] = (self.degree + 1) // 2
        counts[self.encoding.adjoint()] = self.degree // 2
        counts[Hadamard()] = 2
        return dict(counts)

    def my_static_costs(self, cost_key: CostKey) -> Any:
        """Qubits: the registers and the largest workspace of any step (one after the other)."""
        if not isinstance(cost_key, QubitCount):
            return NotImplemented
        # its angle changes no wire
        phase = ProjectorPhase(self.phases[0], self.encoding.ancilla_bitsize)
        return qubits_in_turn(self, (self.encoding, phase))


@attrs.frozen
class LinearSolve(Bloq):
    """Prepare |B>, then transform: ancilla = 0 and part = 0 leave c alpha M^-1 |B> on the system.

    Args:
        right_side: prepares |B>.
        sequence: the transform, of the adjoint of M's block-encoding.
        is_adjoint: the inverse circuit.

    Registers: system, ancilla, part; all start in |0>.

    Cost: one preparation of |B> and `sequence.degree` queries, before post-selection.
    """

    label: ClassVar[str] = "solve"
    right_side: StatePreparation
    sequence: QSVTSequence
    is_adjoint: bool = False

    @property
    def signature(self) -> Signature:
        """system, ancilla, part (1)."""
        return self.sequence.signature

    def adjoint(self) -> LinearSolve:
        """The inverse circuit."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The preparation, then the sequence; the adjoint in reverse."""
        if self.is_adjoint:
            soqs = bb.add_d(self.sequence.adjoint(), **soqs)
            return {**soqs, "system": bb.add(self.right_side.adjoint(), state=soqs["system"])}
        system = bb.add(self.right_side, state=soqs["system"])
        return bb.add_d(self.sequence, system=system, ancilla=soqs["ancilla"], part=soqs["part"])

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """One of each."""
        if self.is_adjoint:
            return {self.right_side.adjoint(): 1, self.sequence.adjoint(): 1}
        return {self.right_side: 1, self.sequence: 1}


def projector_phases(angles: QSPAngles) -> tuple[float, ...]:
    """Signal-processing angles (rotation convention W) turned into projector phases (a
    block-encoding is a reflection).

    W = i e^{-i pi Z/4} R e^{-i pi Z/4}, R = [[x, s], [s, -x]]: inner angles lose pi/2, outer ones
    pi/4. The factor i^d, and for even d a quarter turn from the imaginary part to the real one, are
    made good by the first phase, so that the real part of the sequence is the target.

    Example:
        >>> from qdescent.quantum.algorithms.qsp_angles import qsp_angles
        >>> len(projector_phases(qsp_angles([0.0, 0.5])))
        2
    """
    d = angles.degree
    phases = np.asarray(angles.psi) - math.pi / 2
    phases[0] += math.pi / 4
    phases[-1] += math.pi / 4
    # Im <0|W sequence|0> = Im(i^d r), r = <0|R sequence|0>; Re(e^{i delta} r) is the same for delta
    # = (d - 1) pi/2.
    phases[0] += (d - 1) % 4 * math.pi / 2
    return tuple(phases.tolist())


@attrs.frozen
class KernelTransform(Bloq):
    """An even polynomial of G on the last basis vector e: 2 R - 1 reflects it to the solution, R
    projects it on the kernel.

    Args:
        sequence: the transform, of a `KernelEncoding`.
        is_adjoint: the inverse circuit.

    Registers: system (s + 1 bits), ancilla, part; all start in |0>.

    Cost: `sequence.degree` queries.
    """

    label: ClassVar[str] = "reflect"
    sequence: QSVTSequence
    is_adjoint: bool = False

    @property
    def signature(self) -> Signature:
        """system (s + 1), ancilla, part (1)."""
        return self.sequence.signature

    def adjoint(self) -> KernelTransform:
        """The inverse circuit."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """|0> to e = |1>|0...0>, then the sequence; the adjoint in reverse."""
        if self.is_adjoint:
            soqs = bb.add_d(self.sequence.adjoint(), **soqs)
        bits = bb.split(soqs["system"])
        bits[0] = bb.add(XGate(), q=bits[0])
        soqs["system"] = bb.join(bits, QAny(self.sequence.encoding.system_bitsize))
        return soqs if self.is_adjoint else bb.add_d(self.sequence, **soqs)

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """One flip and the sequence."""
        return {XGate(): 1, self.sequence.adjoint() if self.is_adjoint else self.sequence: 1}
