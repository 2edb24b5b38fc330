"""The Hermitian dilation [[0, M], [M^H, 0]] of any block-encoding, under a control."""

from __future__ import annotations

from typing import ClassVar

import attrs
from qualtran.bloqs.basic_gates import XGate

from qdescent._arrays import Complexes, Floats, Ints
from qdescent._checks import check_interval
from qdescent.quantum.encodings.composition import Composition
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.gates.force_preparation import StatePreparation
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.multiplexed import PatternFlip
from qdescent.quantum.gates.steps import Layout, Step


@attrs.frozen
class HermitianDilation(Composition):
    """|1><1| (x) [[0, M], [M^H, 0]] from a query to M and its inverse: one qubit tells the halves,
    and is flipped between them.

        |1>|x> -> U|x>, flip, |0>|x'>;   |0>|x> -> flip, U^H|x>.

    The same circuit stands on both sides of the diagonal, so that what is encoded is Hermitian to
    the last bit.

    Args:
        encoding: of M.
        is_beside_one: diag of this and alpha 1, `augmented(1)`: one more bit of the system in
            front, where 1 nothing happens.

    Registers: system (the bit of `augmented`, the control, the half, then that of M), ancilla (a
        mark, then those of M).

    Cost: a controlled query to M and one to its inverse.

    References:
        Harrow, Hassidim, Lloyd, arXiv:0811.3171, equation 1.
    """

    label: ClassVar[str] = "dilation"
    encoding: BlockEncoding
    is_beside_one: bool = False

    @property
    def alpha(self) -> float:
        """That of M."""
        return self.encoding.alpha

    @property
    def epsilon(self) -> float:
        """That of M."""
        return self.encoding.epsilon

    @property
    def angle_bits(self) -> int:
        """Those of M."""
        return self.encoding.angle_bits

    @property
    def loader(self) -> Loader:
        """That of M."""
        return self.encoding.loader

    @property
    def basis_states(self) -> Ints:
        """Those of M, in one half."""
        return self.encoding.basis_states

    @property
    def right_side_bits(self) -> int:
        """Those of M: one half."""
        return self.encoding.right_side_bits

    def prepared(self, vector: Floats | Complexes) -> StatePreparation:
        """As M's, in one half."""
        return self.encoding.prepared(vector)

    def augmented(self, norm_estimate: float) -> BlockEncoding:
        """diag(H, (alpha/t) 1); at t = 1 without another ancilla, for nothing is turned."""
        t = check_interval("norm_estimate", norm_estimate, "[1, inf)")
        if t == 1 and not self.is_beside_one:
            return attrs.evolve(self, is_beside_one=True)
        return super().augmented(t)

    def layout(self) -> Layout:
        """The control and the half in front; the mark above the ancillas of M."""
        front = {"one": 1} if self.is_beside_one else {}
        front |= {"on": 1, "half": 1, "system": self.encoding.system_bitsize}
        return {"system": front, "ancilla": {"mark": 1, "ancilla": self.encoding.ancilla_bitsize}}

    @property
    def _guard(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Wires that must hold these values, or nothing happens."""
        found = [("one", 0)] if self.is_beside_one else []
        found += [("control", 1)] if self.is_controlled else []
        return tuple(name for name, _ in found), tuple(value for _, value in found)

    def scratch(self) -> dict[str, int]:
        """Whether the half is the second and anything is to happen."""
        return {"chosen": 1} if self._guard[0] else {}

    def steps(self) -> list[Step]:
        """Mark where the control is 0; M in the second half, flip, the inverse in the first."""
        wires, values = self._guard
        flip: Step = (XGate(), {"q": ("half",)})
        if wires:
            flip = (PatternFlip(values), {"register": wires, "mark": ("half",)})
        choose: Step = (
            PatternFlip((*values, 1)),
            {"register": (*wires, "half"), "mark": ("chosen",)},
        )
        around = [choose] if wires else []
        called = {
            "control": ("chosen" if wires else "half",),
            "system": ("system",),
            "ancilla": ("ancilla",),
        }
        forth, back = self.encoding.controlled(), self.encoding.adjoint().controlled()
        return [
            (PatternFlip((*values, 0)), {"register": (*wires, "on"), "mark": ("mark",)}),
            *around,
            (forth, called),
            *around,
            flip,
            *around,
            (back, called),
            *around,
        ]
