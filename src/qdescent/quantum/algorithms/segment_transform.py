"""A segment of descent as one circuit: the polynomials of all nodes in time go through the same
queries, and are added up at the end.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
from qualtran import Bloq, BloqBuilder, QAny, Signature, SoquetT
from qualtran.resource_counting import BloqCountDictT, CostKey, QubitCount, SympySymbolAllocator

from qdescent.quantum.algorithms.amplification import AmplitudeAmplification
from qdescent.quantum.algorithms.selected_sequence import SelectedSequence
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.gates.force_preparation import StatePreparation
from qdescent.quantum.gates.qubit_count import qubits_in_turn
from qdescent.quantum.gates.state_preparation import RealStatePreparation
from qdescent.quantum.gates.steps import Layout, Step, add_steps, counted, inverse


@attrs.frozen
class SegmentTransform(Bloq):
    """sum_i v_i^2 a_i(A) K_i (b_i(A) f (x) b_i(A) f): weights v prepared, f twice, b by two
    sequences, K by one query, a by a third sequence, the weights undone.

    Without `inner` it is sum_i v_i^2 a_i(A) f: f once, one sequence.

    Args:
        start: prepares f: on `state`; or, sharpened by a segment's transform of its own, amplified,
            on that one's system, and its other registers in |0> before and after.
        weights: prepares v on the choice.
        outer: a.
        inner: b; None at order 1.
        coupling: a block-encoding of K on (order, system, other); None at order 1. K takes a pair
            to a vector with `other` = 0: where order = 0 (the node is not one of order 2) as
            1 (x) <f|.
        is_adjoint: the inverse circuit.

    Registers: system, other (at order 2), ancilla, part, choice; all start in |0>, and where all
        but the system end there, it holds the sum. The choice is, at order 2, order, node, and the
        parities of the three sequences; at order 1 that of one.

    Cost: of a's sequence, of b's twice, one query of K.
    """

    label: ClassVar[str] = "fast-forward"
    start: StatePreparation | AmplitudeAmplification
    weights: RealStatePreparation
    outer: SelectedSequence
    inner: SelectedSequence | None = None
    coupling: BlockEncoding | None = None
    is_adjoint: bool = False

    @property
    def signature(self) -> Signature:
        """system, other (at order 2), ancilla, part, choice."""
        sizes = {name: sum(bits.values()) for name, bits in self.layout().items()}
        return Signature.build_from_dtypes(**{name: QAny(bits) for name, bits in sizes.items()})

    def adjoint(self) -> SegmentTransform:
        """The inverse circuit."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    def layout(self) -> Layout:
        """The names of the bits of each register."""
        query = self.outer.encoding
        bits, ancillas = query.system_bitsize, query.ancilla_bitsize
        if self.coupling is None:
            return {
                "system": {"system": bits},
                "ancilla": {"outer": ancillas},
                "part": {"part": 1},
                "choice": {"short": 1},
            }
        node = self.outer.choice_bits - 2
        return {
            "system": {"system": bits},
            "other": {"other": bits},
            "ancilla": {
                "left": ancillas,
                "right": ancillas,
                "pair": self.coupling.ancilla_bitsize,
                "outer": ancillas,
            },
            "part": {"left_part": 1, "right_part": 1, "part": 1},
            "choice": {
                "order": 1,
                **({"node": node} if node else {}),
                "left_short": 1,
                "right_short": 1,
                "short": 1,
            },
        }

    def steps(self) -> list[Step]:
        """In the order of time."""
        choice = self.layout()["choice"]
        branch = tuple(name for name in ("order", "node") if name in choice)
        spread: Step = (self.weights, {"state": tuple(choice)})
        steps: list[Step] = [self._prepare("system"), spread]
        if self.inner is not None and self.coupling is not None:
            steps.insert(1, self._prepare("other"))
            steps += [
                (self.inner, _wires("system", "left", "left_part", (*branch, "left_short"))),
                (self.inner, _wires("other", "right", "right_part", (*branch, "right_short"))),
                (
                    self.coupling,
                    {"system": ("order", "system", "other"), "ancilla": ("pair",)},
                ),
            ]
        steps.append((self.outer, _wires("system", "outer", "part", (*branch, "short"))))
        return [*steps, *inverse([spread])]

    def _prepare(self, system: str) -> Step:
        """The start on these bits; what sharpens it works on those of the last sequence."""
        if isinstance(self.start, AmplitudeAmplification):
            return self.start, _wires(system, "outer", "part", ("short",))
        return self.start, {"state": (system,)}

    def directed(self) -> list[Step]:
        """The steps, inverted for the adjoint."""
        return inverse(self.steps()) if self.is_adjoint else self.steps()

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The steps in their order."""
        return add_steps(bb, soqs, self.layout(), self.directed())

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """Each step once."""
        return counted(self.directed())

    def my_static_costs(self, cost_key: CostKey) -> Any:
        """Qubits: the registers and the largest workspace of any step (one after the other)."""
        if not isinstance(cost_key, QubitCount):
            return NotImplemented
        return qubits_in_turn(self, {bloq for bloq, _ in self.steps()})


def _wires(
    system: str, ancilla: str, part: str, choice: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """Of one sequence."""
    return {"system": (system,), "ancilla": (ancilla,), "part": (part,), "choice": choice}
