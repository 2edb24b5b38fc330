"""Phase estimation, a rotation by the estimate, and back: Harrow, Hassidim and Lloyd."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, ClassVar

import attrs
import torch
from qualtran import Bloq, BloqBuilder, QAny, QUInt, Signature, SoquetT
from qualtran.bloqs.basic_gates import CNOT, Hadamard, Rz, TwoBitSwap
from qualtran.resource_counting import BloqCountDictT, CostKey, QubitCount, SympySymbolAllocator

from qdescent.quantum.algorithms.amplification import AmplitudeAmplification
from qdescent.quantum.gates.force_preparation import StatePreparation
from qdescent.quantum.gates.multiplexed import TableRotation
from qdescent.quantum.gates.qubit_count import qubits_in_turn
from qdescent.quantum.gates.state_preparation import RealStatePreparation
from qdescent.quantum.simulator.kernels import Kernel


@attrs.frozen
class FourierTransform(Bloq):
    """|t> -> e^{-i g} K^-1/2 sum_k e^{2 pi i t k/K}|k>, K = 2^bits; g is fixed (Rz in the place of
    phase gates).

    Args:
        bits: of the register.
        is_adjoint: the inverse.

    Registers: clock.

    Cost: bits Hadamards, 3 rotations for each pair of bits.

    References:
        Nielsen and Chuang (2010), section 5.1.
    """

    label: ClassVar[str] = "Fourier"
    bits: int
    is_adjoint: bool = False

    @property
    def signature(self) -> Signature:
        """clock."""
        return Signature.build_from_dtypes(clock=QAny(self.bits))

    def adjoint(self) -> FourierTransform:
        """The inverse transform: the matrix is symmetric, so that the angles change sign."""
        return FourierTransform(self.bits, not self.is_adjoint)

    def _angle(self, distance: int) -> float:
        """Of the controlled phase between two bits."""
        return (-2 if self.is_adjoint else 2) * math.pi / 2 ** (distance + 1)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """For each bit a Hadamard and the phases that later bits control; then the order of the
        bits is reversed.
        """
        bits = bb.split(soqs["clock"])
        for i in range(self.bits):
            bits[i] = bb.add(Hadamard(), q=bits[i])
            for j in range(i + 1, self.bits):
                angle = self._angle(j - i)
                bits[i] = bb.add(Rz(angle / 2), q=bits[i])
                bits[j] = bb.add(Rz(angle / 2), q=bits[j])
                bits[j], bits[i] = bb.add(CNOT(), ctrl=bits[j], target=bits[i])
                bits[i] = bb.add(Rz(-angle / 2), q=bits[i])
                bits[j], bits[i] = bb.add(CNOT(), ctrl=bits[j], target=bits[i])
        for i in range(self.bits // 2):
            bits[i], bits[-1 - i] = bb.add(TwoBitSwap(), x=bits[i], y=bits[-1 - i])
        return {"clock": bb.join(bits, QAny(self.bits))}

    def fast_kernel(self, dtype: torch.dtype, device: torch.device) -> Kernel:
        """The same map on amplitudes (2^n, rest): a fast Fourier transform and the phase."""
        turn = (
            sum((self.bits - distance) * self._angle(distance) for distance in range(1, self.bits))
            / 4
        )
        phase = complex(math.cos(turn), -math.sin(turn))
        transform = torch.fft.fft if self.is_adjoint else torch.fft.ifft
        return lambda state, spare: spare.copy_(transform(state, dim=0, norm="ortho")).mul_(phase)


@attrs.frozen
class PhaseEstimationSolve(Bloq):
    """Prepare |B>, estimate the eigenvalue of H, rotate the flag by the estimate, and take the
    estimate back.

    On clock = flag = ancilla = part = choice = 0 the system holds sum_k |a_k(H)|^2 c_k |B>, with
    a_k the amplitudes of the estimate and c_k the cosines of the rotation.

    Args:
        right_side: prepares |B>.
        window: prepares the clock.
        evolutions: e^{i tau H} controlled by a leading system bit, then its powers 2, 4, ..., one
            for each bit of the clock.
        rotation: of the flag, selected by the clock.
        is_adjoint: the inverse circuit.

    Registers: system, clock, flag (1 bit), ancilla, part (1 bit), choice (1 bit); all start in |0>.

    Cost: every evolution twice, two Fourier transforms, one rotation.

    References:
        Harrow, Hassidim, Lloyd, arXiv:0811.3171.
    """

    label: ClassVar[str] = "estimate, rotate, undo"
    right_side: StatePreparation
    window: RealStatePreparation
    evolutions: tuple[AmplitudeAmplification, ...]
    rotation: TableRotation
    is_adjoint: bool = False

    @property
    def signature(self) -> Signature:
        """system, clock, flag (1), ancilla, part (1), choice (1)."""
        inner = {register.name: register.total_bits() for register in self.evolutions[0].signature}
        sizes = {
            "system": self.right_side.bitsize,
            "clock": len(self.evolutions),
            "flag": 1,
            "ancilla": inner["ancilla"],
        }
        return Signature.build_from_dtypes(
            **{name: QAny(bits) for name, bits in {**sizes, "part": 1, "choice": 1}.items()}
        )

    def adjoint(self) -> PhaseEstimationSolve:
        """The inverse circuit."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Window, evolutions, transform, rotation, and all but the rotation in reverse."""
        bits = len(self.evolutions)
        if not self.is_adjoint:
            soqs["system"] = bb.add(self.right_side, state=soqs["system"])
        soqs["clock"] = bb.add(self.window, state=soqs["clock"])
        for bit, evolve in enumerate(self.evolutions):
            soqs = self._evolve(bb, evolve, bits - 1 - bit, soqs)
        clock = bb.add(FourierTransform(bits, is_adjoint=True), clock=soqs["clock"])
        clock = bb.join(bb.split(clock), QUInt(bits))
        clock, soqs["flag"] = bb.add(self._rotation, selection0=clock, target=soqs["flag"])
        clock = bb.join(bb.split(clock), QAny(bits))
        soqs["clock"] = bb.add(FourierTransform(bits), clock=clock)
        for bit, evolve in reversed(list(enumerate(self.evolutions))):
            soqs = self._evolve(bb, evolve.adjoint(), bits - 1 - bit, soqs)
        soqs["clock"] = bb.add(self.window.adjoint(), state=soqs["clock"])
        if self.is_adjoint:
            soqs["system"] = bb.add(self.right_side.adjoint(), state=soqs["system"])
        return soqs

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """As it is built."""
        bits = len(self.evolutions)
        counts: Counter[Bloq] = Counter([self.window, self.window.adjoint(), self._rotation])
        counts[self.right_side.adjoint() if self.is_adjoint else self.right_side] += 1
        counts.update([FourierTransform(bits), FourierTransform(bits, is_adjoint=True)])
        counts.update([each for evolve in self.evolutions for each in (evolve, evolve.adjoint())])
        return dict(counts)

    def my_static_costs(self, cost_key: CostKey) -> Any:
        """Qubits: the registers and the largest workspace of any step (every power of the evolution
        has the same).
        """
        if not isinstance(cost_key, QubitCount):
            return NotImplemented
        return qubits_in_turn(
            self, (self.right_side, self.window, self.evolutions[0], self.rotation)
        )

    @property
    def _rotation(self) -> TableRotation:
        return self.rotation.adjoint() if self.is_adjoint else self.rotation

    def _evolve(
        self, bb: BloqBuilder, evolve: AmplitudeAmplification, bit: int, soqs: dict[str, SoquetT]
    ) -> dict[str, SoquetT]:
        clock, system = bb.split(soqs["clock"]), bb.split(soqs["system"])
        joined = bb.join([clock[bit], *system], QAny(1 + self.right_side.bitsize))
        inner = bb.add_d(
            evolve, system=joined, **{name: soqs[name] for name in ("ancilla", "part", "choice")}
        )
        parts = bb.split(inner.pop("system"))
        clock[bit] = parts[0]
        soqs["clock"], soqs["system"] = (
            bb.join(clock, QAny(len(clock))),
            bb.join(parts[1:], QAny(len(system))),
        )
        return {**soqs, **inner}
