"""Bloqs of kernel reflection: the block-encoding of G = (I - b_t b_t^H) diag(A, 1/t), and the solve
built on it.
"""

from __future__ import annotations

import attrs
import torch
from qualtran import Bloq, BloqBuilder, QAny, Signature, SoquetT
from qualtran.bloqs.mcmt import MultiControlX
from qualtran.resource_counting import BloqCountDictT, SympySymbolAllocator
from torch import Tensor

from qdescent.quantum.encodings.composition import Part
from qdescent.quantum.gates.state_preparation import StatePreparation
from qdescent.quantum.simulator.kernels import Leaf


@attrs.frozen
class VectorFlip(Bloq):
    """(I - b b^H) (x) I + b b^H (x) X: the mark is flipped where the register holds b; kept at 0 it
    leaves I - b b^H.

    Args:
        vector: prepares b.

    Registers: system (s bits), mark (1 bit).

    Cost: two preparations of b and s - 1 ANDs.

    References:
        Dalzell, arXiv:2406.12086, section on block-encoding (projector by one reflection).
    """

    vector: StatePreparation

    @property
    def signature(self) -> Signature:
        """system (s), mark (1)."""
        return Signature.build_from_dtypes(system=QAny(self.vector.bitsize), mark=QAny(1))

    def adjoint(self) -> VectorFlip:
        """Itself."""
        return self

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Undo the preparation, flip the mark on |0...0>, prepare again."""
        system = bb.add(self.vector.adjoint(), state=soqs["system"])
        bits, mark = bb.add(
            MultiControlX((0,) * self.vector.bitsize),
            controls=bb.split(system),
            target=soqs["mark"],
        )
        return {
            "system": bb.add(self.vector, state=bb.join(bits, QAny(self.vector.bitsize))),
            "mark": mark,
        }

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """A preparation, its inverse, and one controlled flip."""
        return {
            self.vector: 1,
            self.vector.adjoint(): 1,
            MultiControlX((0,) * self.vector.bitsize): 1,
        }

    def fast_leaf(self, dtype: torch.dtype, device: torch.device) -> Leaf:
        """The same map on a block of amplitudes (2^n, rest): one overlap and one outer product."""
        b = torch.as_tensor(self.vector.prepared).to(device=device, dtype=dtype)

        def apply(state: Tensor, spare: Tensor) -> Tensor:
            block = state.reshape(len(b), -1)
            overlap = (b.conj() @ block).reshape(2, -1)
            block.addr_(b, (overlap.flip(0) - overlap).reshape(-1))
            return state

        return apply


@attrs.frozen
class KernelEncoding(Bloq):
    """U with <0|U|0> = G/alpha (its adjoint for the adjoint), G/alpha = (I - b_t b_t^H)
    diag(M/alpha, 1/t).

    Args:
        augmented: the block-encoding of diag(M, alpha/t), from `augmented_tables`, or
            `block_diagonal` of M's and a multiple of 1.
        vector: prepares b_t.
        is_adjoint: the inverse circuit.

    Registers: system (s + 1 bits, the first tells the added block), ancilla (those of `augmented`,
        then the mark).

    Cost: one query to `augmented`, two preparations of b_t.
    """

    augmented: Part
    vector: StatePreparation
    is_adjoint: bool = False

    @property
    def system_bitsize(self) -> int:
        """s + 1."""
        return self.augmented.system_bitsize

    @property
    def ancilla_bitsize(self) -> int:
        """One more than the ancillas of `augmented`."""
        return self.augmented.ancilla_bitsize + 1

    @property
    def signature(self) -> Signature:
        """system, ancilla."""
        return Signature.build_from_dtypes(
            system=QAny(self.system_bitsize), ancilla=QAny(self.ancilla_bitsize)
        )

    def adjoint(self) -> KernelEncoding:
        """The inverse circuit."""
        return KernelEncoding(self.augmented, self.vector, not self.is_adjoint)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The augmented matrix, then the projector; the adjoint in reverse."""
        system, bits = soqs["system"], bb.split(soqs["ancilla"])
        ancilla, mark = bb.join(bits[:-1], QAny(self.ancilla_bitsize - 1)), bits[-1]
        if self.is_adjoint:
            system, mark = bb.add(VectorFlip(self.vector), system=system, mark=mark)
            system, ancilla = bb.add(self.augmented.adjoint(), system=system, ancilla=ancilla)
        else:
            system, ancilla = bb.add(self.augmented, system=system, ancilla=ancilla)
            system, mark = bb.add(VectorFlip(self.vector), system=system, mark=mark)
        bits[:-1], bits[-1] = bb.split(ancilla), mark
        return {"system": system, "ancilla": bb.join(bits, QAny(self.ancilla_bitsize))}

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """One of each."""
        return {
            self.augmented.adjoint() if self.is_adjoint else self.augmented: 1,
            VectorFlip(self.vector): 1,
        }
