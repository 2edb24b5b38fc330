"""e^{i t H} from a block-encoding of H: a cosine and a sine by one sequence of queries, amplified
to a unitary.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

import attrs
import numpy as np
from qualtran import Bloq, BloqBuilder, QAny, Signature, SoquetT
from qualtran.bloqs.basic_gates import Hadamard, SGate, XGate
from qualtran.resource_counting import BloqCountDictT, CostKey, QubitCount, SympySymbolAllocator

from qdescent._checks import check_interval
from qdescent.linalg.jacobi_anger import jacobi_anger, jacobi_anger_order
from qdescent.quantum.algorithms.amplification import AmplitudeAmplification
from qdescent.quantum.algorithms.qsp_angles import qsp_angles
from qdescent.quantum.algorithms.qsvt import projector_phases
from qdescent.quantum.algorithms.selected_sequence import SelectedPhase
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.gates.qubit_count import qubits_in_turn

# delta of max |p| <= 1 - delta: amplification makes delta^2 of it, and angles need max |p| < 1
SHORTFALL = 1e-5


# the outer complement varies on the scale sqrt(2 delta)/t: 4 sqrt(1/(2 delta)) points a
# coefficient, and more
OVERSAMPLING = 4096


# > sqrt 3: an amplitude (1 + e)/2 in the place of 1/2 leaves sqrt(3 + |e|) |e| outside the block
LEAK = 1.75


@attrs.frozen
class EvolutionSequence(Bloq):
    """<0|W|0> = (p_0(H) + i p_1(H))/2, p_0 even of degree 2m, p_1 odd of 2m + 1, H Hermitian.

    The bit `choice` takes both polynomials in turn through the same 2m queries, with its own
    phases; the odd one's last query is a query to H (choice = 1) and to 1 (choice = 0) at once: no
    query is controlled.

    Args:
        encoding: of H, Hermitian.
        selected: of diag(H, alpha 1), `augmented(1)` of the encoding.
        even: projector phases of p_0, 2m + 1 of them.
        odd: projector phases of p_1, 2m + 2 of them.
        is_adjoint: the inverse circuit.

    Registers: system, ancilla, part (1 bit), choice (1 bit).

    Cost: 2m + 1 queries, 4m + 4 rotations.

    References:
        Gilyen, Su, Low, Wiebe, arXiv:1806.01838, theorem 58 (cosine and sine added by one qubit).
    """

    label: ClassVar[str] = "evolve"
    encoding: BlockEncoding
    selected: BlockEncoding
    even: tuple[float, ...] = attrs.field(repr=False)
    odd: tuple[float, ...] = attrs.field(repr=False)
    is_adjoint: bool = False

    @property
    def queries(self) -> int:
        """2m + 1."""
        return len(self.even)

    @property
    def signature(self) -> Signature:
        """system, ancilla, part (1), choice (1)."""
        sizes = {
            "system": self.encoding.system_bitsize,
            "ancilla": self.encoding.ancilla_bitsize,
            "part": 1,
            "choice": 1,
        }
        return Signature.build_from_dtypes(**{name: QAny(bits) for name, bits in sizes.items()})

    def adjoint(self) -> EvolutionSequence:
        """The inverse circuit."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    @property
    def _steps(self) -> list[tuple[Bloq, tuple[str, ...]]]:
        """The gates in the order of time, each with its registers."""
        ancillas = self.encoding.ancilla_bitsize
        around: list[tuple[Bloq, tuple[str, ...]]] = [
            (Hadamard(), ("part",)),
            (Hadamard(), ("choice",)),
        ]
        steps = list(around)
        query: BlockEncoding = self.encoding
        for phi in zip(self.even[:0:-1], self.odd[:1:-1], strict=True):
            steps += [
                (SelectedPhase(phi, ancillas), ("part", "choice", "ancilla")),
                (query, ("system", "ancilla")),
            ]
            query = query.adjoint()
        steps.append(
            (SelectedPhase((self.even[0], self.odd[1]), ancillas), ("part", "choice", "ancilla"))
        )
        steps += [
            (XGate(), ("choice",)),
            (self.selected, ("choice", "system", "ancilla")),
            (XGate(), ("choice",)),
        ]
        steps.append((SelectedPhase((0.0, self.odd[0]), ancillas), ("part", "choice", "ancilla")))
        steps += [(SGate(), ("choice",)), *around]
        return (
            [(bloq.adjoint(), names) for bloq, names in reversed(steps)]
            if self.is_adjoint
            else steps
        )

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The last phases first."""
        bits = self.encoding.system_bitsize
        for bloq, names in self._steps:
            if names[0] == "choice" and len(names) == 3:
                joined = bb.join(
                    np.concatenate([[soqs["choice"]], bb.split(soqs["system"])]), QAny(bits + 1)
                )
                joined, soqs["ancilla"] = bb.add(bloq, system=joined, ancilla=soqs["ancilla"])
                parts = bb.split(joined)
                soqs["choice"], soqs["system"] = parts[0], bb.join(parts[1:], QAny(bits))
            elif len(names) == 1:
                soqs[names[0]] = bb.add(bloq, q=soqs[names[0]])
            else:
                soqs |= bb.add_d(bloq, **{name: soqs[name] for name in names})
        return soqs

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """2m queries, one selected query, 2m + 2 phases."""
        return dict(Counter(bloq for bloq, _ in self._steps))

    def my_static_costs(self, cost_key: CostKey) -> Any:
        """Qubits: the registers and the largest workspace of any step (one after the other)."""
        if not isinstance(cost_key, QubitCount):
            return NotImplemented
        # its angles change no wire
        phase = SelectedPhase((0.0, 0.0), self.encoding.ancilla_bitsize)
        return qubits_in_turn(self, (self.encoding, self.selected, phase))


@dataclass(frozen=True)
class Evolution:
    """e^{i t H} as a circuit, and how far it is from it.

    Args:
        bloq: registers system, ancilla, part, choice, all but the system from |0> back to |0>.
        error: ||<0|bloq|0> - e^{i t H}||.
        leak: the largest amplitude that leaves or enters ancilla = part = choice = 0.
        certificate: of the angles.
    """

    bloq: AmplitudeAmplification
    error: float
    leak: float
    certificate: float


def evolution(encoding: BlockEncoding, time: float, error: float) -> Evolution:
    """The circuit of e^{i t H}, H = <0|encoding|0> Hermitian.

    The block of the sequence is (1 - delta)/2 (e^{i t H} + E); one round of oblivious amplification
    gives X -> 3 X - 4 X X^H X of it, within 3/2 delta^2 + ||E|| to first order, and leaves sqrt 3
    (delta + ||E||) outside.

    Args:
        encoding: of H.
        time: t.
        error: allowed to the series, ||E|| but for the angles; in (0, .01].

    Cost: 3 (2m + 1) queries, 2m + 1 = `jacobi_anger_order(t, error)`.

    References:
        Berry, Childs, Cleve, Kothari, Somma, arXiv:1312.1414, lemma 3.6 (oblivious amplification).

    Example:
        >>> from qdescent.quantum.encodings.coloured import SparseBlockEncoding
        >>> from qdescent.quantum.tables.coloured import controlled_hermitian_tables
        >>> tables = controlled_hermitian_tables(
        ...     np.array([0]), np.array([0]), np.array([1.0]), size=1, bits=12
        ... )
        >>> found = evolution(SparseBlockEncoding(tables), time=2.0, error=1e-6)
        >>> found.bloq.rounds, found.error < 2e-6
        (1, True)
    """
    order = jacobi_anger_order(time, check_interval("error", error, "(0, 0.01]"))
    short = SHORTFALL + error  # a series cut off may exceed 1
    even, odd = (
        qsp_angles((1 - short) * p, oversampling=OVERSAMPLING) for p in jacobi_anger(time, order)
    )
    selected = encoding.augmented(1.0)
    sequence = EvolutionSequence(encoding, selected, projector_phases(even), projector_phases(odd))
    ancillas = (("ancilla", encoding.ancilla_bitsize), ("part", 1), ("choice", 1))
    off = error + (even.certificate + odd.certificate) / (1 - short)
    whole = 1.5 * short**2 + (1 + 2 * short) * off + 2 * off**2
    return Evolution(
        bloq=AmplitudeAmplification(sequence, ancillas, rounds=1, start=ancillas),
        error=whole,
        leak=LEAK * (short + off),
        certificate=max(even.certificate, odd.certificate),
    )


def product_error(steps: list[Evolution]) -> float:
    """||<0|product|0> - product of the evolutions||: errors add, and what leaks out in one step may
    come back in a later one.

    sum_i error_i + sum_{i<j} leak_i leak_j,   the second at most (sum_i leak_i)^2/2.
    """
    return math.fsum(step.error for step in steps) + math.fsum(step.leak for step in steps) ** 2 / 2
