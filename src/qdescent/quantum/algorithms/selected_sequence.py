"""Many polynomials of one block-encoding by one sequence of queries: a register selects the phases.

A branch of the degree's own parity takes all queries; one of the other parity takes one less: its
first query is one to diag(A, 1) in the block of 1. No query is controlled.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import attrs
import numpy as np
import torch
from qualtran import Bloq, BloqBuilder, QAny, Signature, SoquetT
from qualtran.bloqs.basic_gates import CNOT, Hadamard, Rz
from qualtran.resource_counting import BloqCountDictT, CostKey, QubitCount, SympySymbolAllocator

from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.gates.multiplexed import PatternFlip
from qdescent.quantum.gates.qubit_count import qubits_in_turn
from qdescent.quantum.gates.steps import Layout, Step, add_steps, counted, inverse
from qdescent.quantum.simulator.kernels import Kernel, phases

NO_TURN = 1e-15  # radians: a rotation that is left out


@attrs.frozen
class SelectedPhase(Bloq):
    """exp(+-i phi_c (2 Pi - 1)), c the value of `choice`, the sign that of `part`; Pi projects the
    ancilla on |0>.

    phi_c = sum_S w_S (-1)^{|S and c|}, S the sets of bits of c: the mark is turned by w_S with the
    sign of their parity, and in Gray's order one CNOT leads from each S to the next.

    Args:
        phi: phi_0, phi_1, ..., a power of two of them, at least two, radians.
        ancilla_bits: of the ancilla register.

    Registers: part (1 bit), choice (m bits, 2^m phases), ancilla.

    Cost: 2^m rotations and twice (ancilla_bits - 1) ANDs.

    References:
        Mottonen, Vartiainen, Bergholm, Salomaa, quant-ph/0404089 (multiplexed rotations).
    """

    label: ClassVar[str] = "phase"
    phi: tuple[float, ...]
    ancilla_bits: int

    @property
    def choice_bits(self) -> int:
        """m."""
        return (len(self.phi) - 1).bit_length()

    @property
    def signature(self) -> Signature:
        """part (1), choice (m), ancilla."""
        sizes = {"part": 1, "choice": self.choice_bits, "ancilla": self.ancilla_bits}
        return Signature.build_from_dtypes(**{name: QAny(bits) for name, bits in sizes.items()})

    def adjoint(self) -> SelectedPhase:
        """The opposite phases."""
        return SelectedPhase(tuple(-phi for phi in self.phi), self.ancilla_bits)

    @property
    def _turns(self) -> list[tuple[Rz | None, int]]:
        """The turn for each S in Gray's order, and the index of the bit that leads to the next."""
        weights = np.array(self.phi)
        for index in range(self.choice_bits):  # Walsh and Hadamard's transform, S as an integer
            pairs = weights.reshape(-1, 2, 2**index)
            weights = np.stack([pairs.sum(1), pairs[:, 0] - pairs[:, 1]], axis=1).reshape(-1) / 2
        found = []
        for k in range(len(weights)):
            weight = float(weights[k ^ (k >> 1)])
            step = (k + 1) & -(k + 1)  # the lowest bit of k + 1 is the one that changes
            index = min(step.bit_length(), self.choice_bits) - 1
            found.append((Rz(2 * weight) if abs(weight) > NO_TURN else None, index))
        return found

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Mark ancilla = 0, turn the mark once for each set of bits, unmark."""
        part, choice = soqs["part"], bb.split(soqs["choice"])
        flip = PatternFlip((0,) * self.ancilla_bits)
        ancilla, target = bb.add(flip, register=soqs["ancilla"], mark=bb.allocate(1))
        part, target = bb.add(CNOT(), ctrl=part, target=target)
        for turn, index in self._turns:
            if turn is not None:
                target = bb.add(turn, q=target)
            wire = self.choice_bits - 1 - index
            choice[wire], target = bb.add(CNOT(), ctrl=choice[wire], target=target)
        part, target = bb.add(CNOT(), ctrl=part, target=target)
        ancilla, target = bb.add(flip, register=ancilla, mark=target)
        bb.free(target)
        return {
            "part": part,
            "choice": bb.join(choice, QAny(self.choice_bits)),
            "ancilla": ancilla,
        }

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """Written out, as a sequence has many phases."""
        counts: Counter[Bloq] = Counter(turn for turn, _ in self._turns if turn is not None)
        counts[PatternFlip((0,) * self.ancilla_bits)] = 2
        counts[CNOT()] = 2 + len(self.phi)
        return dict(counts)

    def fast_kernel(self, dtype: torch.dtype, device: torch.device) -> Kernel:
        """The same map on a block of amplitudes (2^n, rest): a diagonal."""
        phase = -torch.tensor(self.phi, dtype=torch.float64, device="cpu")[:, None].repeat(
            1, 2**self.ancilla_bits
        )
        phase[:, 0] *= -1
        return phases(torch.stack([phase, -phase]), dtype, device)


@attrs.frozen
class SelectedSequence(Bloq):
    """Sum over c of |c><c| (x) p_c(A), A = <0|E|0> Hermitian, p_c real, of the parity of D for even
    c and of D - 1 for odd c.

    Args:
        encoding: E.
        phases: projector phases (`projector_phases`), a tuple of D + 1 for each value of `choice`;
            for odd values the last one is not used.
        is_adjoint: the inverse circuit.

    Registers: system, ancilla, part (1 bit: real part), choice (m bits, the last one leaves the
        first query out).

    Cost: D queries, (D + 1) 2^m rotations.

    References:
        Gilyen, Su, Low, Wiebe, arXiv:1806.01838, corollary 18 and theorem 58 (even and odd parts
        added by one qubit).
    """

    label: ClassVar[str] = "queries and phases"
    encoding: BlockEncoding
    phases: tuple[tuple[float, ...], ...] = attrs.field(repr=False)
    is_adjoint: bool = False

    @property
    def degree(self) -> int:
        """D."""
        return len(self.phases[0]) - 1

    @property
    def choice_bits(self) -> int:
        """m."""
        return (len(self.phases) - 1).bit_length()

    @property
    def signature(self) -> Signature:
        """system, ancilla, part (1), choice (m)."""
        sizes = {name: sum(bits.values()) for name, bits in self.layout().items()}
        return Signature.build_from_dtypes(**{name: QAny(bits) for name, bits in sizes.items()})

    def adjoint(self) -> SelectedSequence:
        """The inverse circuit."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    @property
    def augmented(self) -> BlockEncoding:
        """Of diag(A, 1), one more system bit above the others."""
        return self.encoding.augmented(1.0)

    def layout(self) -> Layout:
        """The names of the bits of each register."""
        branch = {"branch": self.choice_bits - 1} if self.choice_bits > 1 else {}
        return {
            "system": {"system": self.encoding.system_bitsize},
            "ancilla": {"ancilla": self.encoding.ancilla_bitsize},
            "part": {"part": 1},
            "choice": {**branch, "short": 1},
        }

    def steps(self) -> list[Step]:
        """The last phase first; the first query is the augmented one."""
        choice = tuple(self.layout()["choice"])
        wires = {"part": ("part",), "choice": choice, "ancilla": ("ancilla",)}
        spread: Step = (Hadamard(), {"q": ("part",)})
        steps = [spread]
        bits = self.encoding.ancilla_bitsize
        query = self.encoding
        for index in range(self.degree, -1, -1):
            of_index = [
                0.0 if value % 2 and index == self.degree else each[index]
                for value, each in enumerate(self.phases)
            ]
            steps.append((SelectedPhase(tuple(of_index), bits), wires))
            if index == self.degree:
                selected = {"system": ("short", "system"), "ancilla": ("ancilla",)}
                steps.append((self.augmented, selected))
            elif index:
                steps.append((query, {"system": ("system",), "ancilla": ("ancilla",)}))
            query = query.adjoint()
        return [*steps, spread]

    def directed(self) -> list[Step]:
        """The steps, inverted for the adjoint."""
        return inverse(self.steps()) if self.is_adjoint else self.steps()

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The steps in their order."""
        return add_steps(bb, soqs, self.layout(), self.directed())

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """One augmented query, D - 1 others, D + 1 phases."""
        return counted(self.directed())

    def my_static_costs(self, cost_key: CostKey) -> Any:
        """Qubits: the registers and the largest workspace of any step (one after the other)."""
        if not isinstance(cost_key, QubitCount):
            return NotImplemented
        # its angles change no wire
        phase = SelectedPhase((0.0,) * len(self.phases), self.encoding.ancilla_bitsize)
        return qubits_in_turn(self, (self.augmented, self.encoding, phase))
