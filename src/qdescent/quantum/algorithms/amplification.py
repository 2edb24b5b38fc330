"""Amplitude amplification of a circuit that succeeds with a flag, to exact success."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar, Protocol

import attrs
import torch
from qualtran import Bloq, BloqBuilder, QAny, Register, Signature, SoquetT
from qualtran.bloqs.basic_gates import Hadamard, Ry, XGate, ZGate
from qualtran.resource_counting import BloqCountDictT, CostKey, QubitCount, SympySymbolAllocator

from qdescent.quantum.algorithms.rounds import damping_half_angle, rounds_needed
from qdescent.quantum.gates.multiplexed import PatternFlip
from qdescent.quantum.gates.qubit_count import qubits_in_turn
from qdescent.quantum.simulator.kernels import Diagonal, Kernel

RegisterValues = tuple[tuple[str, int], ...]


class Reversible(Protocol):
    """A bloq that can be run backwards."""

    @property
    def signature(self) -> Signature:
        """Registers that all pass through."""
        ...

    def adjoint(self) -> Reversible:
        """The inverse circuit."""
        ...


@attrs.frozen
class ZeroReflection(Bloq):
    """1 - 2 |0><0| on a few bits, or its negative.

    Args:
        bits: how many, at least 1.
        negated: 2 |0><0| - 1 instead.

    Registers: bits.

    Cost: bits - 2 ANDs.
    """

    label: ClassVar[str] = "flip 0"
    bits: int
    negated: bool = False

    @property
    def signature(self) -> Signature:
        """bits."""
        return Signature.build_from_dtypes(bits=QAny(self.bits))

    def adjoint(self) -> ZeroReflection:
        """Itself."""
        return self

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """A Z on the last bit, controlled by zeros of the others, between two X; the second one as
        Z X Z = -X if negated.
        """
        bits = bb.split(soqs["bits"])
        last = bb.add(XGate(), q=bits[-1])
        if self.bits == 1:
            last = bb.add(ZGate(), q=last)
        else:
            flip, others = PatternFlip((0,) * (self.bits - 1)), bb.join(bits[:-1])
            others, last = bb.add(flip, register=others, mark=bb.add(Hadamard(), q=last))
            bits[:-1], last = bb.split(others), bb.add(Hadamard(), q=last)
        for gate in (ZGate(), XGate(), ZGate()) if self.negated else (XGate(),):
            last = bb.add(gate, q=last)
        bits[-1] = last
        return {"bits": bb.join(bits, QAny(self.bits))}

    def fast_kernel(self, dtype: torch.dtype, device: torch.device) -> Kernel:
        """The same map on a block of amplitudes (2^n, rest): a diagonal."""
        diagonal = torch.full(
            (2**self.bits,), -1.0 if self.negated else 1.0, dtype=dtype, device=device
        )
        diagonal[0] *= -1
        return Diagonal(diagonal)


@attrs.frozen
class AmplitudeAmplification(Bloq):
    """Q^r W on W|0> = sin(a)|good> + cos(a)|bad>: sin((2r+1)a)|good> + cos((2r+1)a)|bad>.

        Q = -W S_0 W^-1 S_good,   S = 1 - 2 (projector),
        W = solve (x) Ry on one more qubit, `damping`.

    That rotation lowers sin(a) to sin(pi/(2(2r+1))), after which r rounds end in |good> alone
    (`rounds_needed`, `damping_half_angle`). Where `start` leaves registers out, W acts on any state
    of those: oblivious amplification of <0|W|0> = sin(a) V with V unitary, which becomes
    sin((2r+1)a) V.

    Args:
        solve: W; every register passes through.
        success: the registers that tell success, each with how many of its leading bits must be 0.
        rounds: r.
        half_angle: of that rotation, its cosine being the factor of the good amplitude; None: no
            damping.
        start: the registers that begin in |0>, each with its number of leading bits; None: all of
            them.
        is_adjoint: the inverse circuit.

    Registers: those of `solve`, then damping (1 bit).

    Cost: r + 1 solves and r inverse solves.

    References:
        Brassard, Hoyer, Mosca, Tapp, quant-ph/0005055, section 2 and theorem 4; oblivious: Berry,
        Childs, Cleve, Kothari, Somma, arXiv:1312.1414, lemma 3.6.
    """

    label: ClassVar[str] = "amplify"
    solve: Reversible
    success: RegisterValues
    rounds: int
    half_angle: float | None = None
    start: RegisterValues | None = None
    is_adjoint: bool = False

    @property
    def signature(self) -> Signature:
        """Those of the solve, then damping (1)."""
        damping = [] if self.half_angle is None else [Register("damping", QAny(1))]
        return Signature([*self.solve.signature, *damping])

    def adjoint(self) -> AmplitudeAmplification:
        """The inverse circuit."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    @property
    def _damping(self) -> RegisterValues:
        return () if self.half_angle is None else (("damping", 1),)

    @property
    def _good(self) -> RegisterValues:
        return (*self.success, *self._damping)

    @property
    def _zero(self) -> RegisterValues:
        every = tuple((register.name, register.total_bits()) for register in self.solve.signature)
        return (*(every if self.start is None else self.start), *self._damping)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """W, then r rounds of a reflection about success, W backwards, a reflection about the
        start, W.
        """
        steps = ["solve", *(["good", "undo", "zero", "solve"] * self.rounds)]
        if self.is_adjoint:
            steps = [{"solve": "undo", "undo": "solve"}.get(step, step) for step in reversed(steps)]
        for step in steps:
            if step in ("good", "zero"):
                soqs = self._reflect(
                    bb, soqs, self._good if step == "good" else self._zero, negated=step == "zero"
                )
                continue
            damping = soqs.pop("damping", None)
            soqs = bb.add_d(self.solve if step == "solve" else self.solve.adjoint(), **soqs)
            if damping is not None:
                soqs["damping"] = bb.add(self._turn(step == "undo"), q=damping)
        return soqs

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """2r + 1 solves, r of them inverse, and 2r reflections."""
        done, undone = (
            (self.rounds, self.rounds + 1) if self.is_adjoint else (self.rounds + 1, self.rounds)
        )
        counts: Counter[Bloq] = Counter({self.solve: done})
        counts[self.solve.adjoint()] += undone
        counts[ZeroReflection(sum(bits for _, bits in self._good))] += self.rounds
        counts[ZeroReflection(sum(bits for _, bits in self._zero), negated=True)] += self.rounds
        if self.half_angle is not None:
            counts[self._turn(False)] += done
            counts[self._turn(True)] += undone
        return {bloq: number for bloq, number in counts.items() if number}

    def my_static_costs(self, cost_key: CostKey) -> Any:
        """Qubits: the registers and the largest workspace of any step (one after the other)."""
        if not isinstance(cost_key, QubitCount):
            return NotImplemented
        return qubits_in_turn(
            self,
            [
                self.solve,
                *(
                    ZeroReflection(sum(bits for _, bits in held_registers))
                    for held_registers in (self._good, self._zero)
                ),
            ],
        )

    def _turn(self, inverse: bool) -> Ry:
        return Ry((-2 if inverse else 2) * (self.half_angle or 0.0))

    def _reflect(
        self,
        bb: BloqBuilder,
        soqs: dict[str, SoquetT],
        held_registers: RegisterValues,
        *,
        negated: bool,
    ) -> dict[str, SoquetT]:
        sizes = {register.name: register for register in self.signature}
        split = {name: bb.split(soqs[name]) for name, _ in held_registers}
        held = [bit for name, bits in held_registers for bit in split[name][:bits]]
        reflected = iter(
            bb.split(
                bb.add(ZeroReflection(len(held), negated), bits=bb.join(held, QAny(len(held))))
            )
        )
        for name, bits in held_registers:
            for bit in range(bits):
                split[name][bit] = next(reflected)
            soqs[name] = bb.join(split[name], sizes[name].dtype)
        return soqs


def amplified(
    solve: Reversible, success: RegisterValues, probability: float
) -> AmplitudeAmplification:
    """A solve of known success probability, under the fewest rounds that make success certain.

    Args:
        solve: every register starts in |0>.
        success: the registers that tell success, each with how many of its leading bits must be 0.
        probability: of its success.

    Example:
        >>> amplified(ZeroReflection(1), (("bits", 1),), probability=0.04).rounds
        4
    """
    rounds = rounds_needed(probability)
    return AmplitudeAmplification(solve, success, rounds, damping_half_angle(probability, rounds))
