"""Bloqs of kernel reflection: the block-encoding of G = (I - b_t b_t^H) diag(A, 1/t), and the solve
built on it.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
from qualtran import Bloq, BloqBuilder, QAny, Signature, SoquetT
from qualtran.resource_counting import BloqCountDictT, SympySymbolAllocator
from torch import Tensor

from qdescent._arrays import Ints
from qdescent.quantum.encodings.composition import Composition
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.gates.force_preparation import StatePreparation
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.multiplexed import PatternFlip
from qdescent.quantum.gates.steps import Layout, Step, add_steps, counted
from qdescent.quantum.simulator.kernels import Kernel


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

    label: ClassVar[str] = "flip b"
    vector: StatePreparation

    @property
    def signature(self) -> Signature:
        """system (s), mark (1)."""
        return Signature.build_from_dtypes(system=QAny(self.vector.bitsize), mark=QAny(1))

    def adjoint(self) -> VectorFlip:
        """Itself."""
        return self

    @property
    def _steps(self) -> list[Step]:
        """Undo the preparation, flip the mark on |0...0>, prepare again."""
        flip = PatternFlip((0,) * self.vector.bitsize)
        state = {"state": ("system",)}
        return [
            (self.vector.adjoint(), state),
            (flip, {"register": ("system",), "mark": ("mark",)}),
            (self.vector, state),
        ]

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """As `_steps` says."""
        sizes = {register.name: register.total_bits() for register in self.signature}
        layout = {name: {name: bits} for name, bits in sizes.items()}
        return add_steps(bb, soqs, layout, self._steps)

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """A preparation, its inverse, and one flip."""
        return counted(self._steps)

    def fast_kernel(self, dtype: torch.dtype, device: torch.device) -> Kernel:
        """The same map on a block of amplitudes (2^n, rest): one overlap and one outer product."""
        b = torch.as_tensor(self.vector.prepared, device=device).to(dtype)

        def apply(state: Tensor, spare: Tensor) -> Tensor:
            block = state.reshape(len(b), -1)
            overlap = (b.conj() @ block).reshape(2, -1)
            block.addr_(b, (overlap.flip(0) - overlap).reshape(-1))
            return state

        return apply


@attrs.frozen
class KernelEncoding(Composition):
    """U with <0|U|0> = G/alpha (its adjoint for the adjoint), G/alpha = (I - b_t b_t^H)
    diag(M/alpha, 1/t).

    Args:
        matrix: the block-encoding of diag(M, alpha/t), `augmented(t)` of M's.
        vector: prepares b_t; G is that of the vector as it is prepared.

    Registers: system (s + 1 bits, the first tells the added block), ancilla (those of `matrix`,
        then the mark).

    Cost: one query to `matrix`, two preparations of b_t.
    """

    label: ClassVar[str] = "G"
    matrix: BlockEncoding
    vector: StatePreparation

    @property
    def alpha(self) -> float:
        """That of the matrix: a projector has norm 1."""
        return self.matrix.alpha

    @property
    def epsilon(self) -> float:
        """That of the matrix."""
        return self.matrix.epsilon

    @property
    def angle_bits(self) -> int:
        """Those of the matrix."""
        return self.matrix.angle_bits

    @property
    def loader(self) -> Loader:
        """That of the matrix."""
        return self.matrix.loader

    @property
    def basis_states(self) -> Ints:
        """Those of the matrix: the unknowns of M, then what was added."""
        return self.matrix.basis_states

    def layout(self) -> Layout:
        """The mark behind the ancillas of the matrix."""
        return {
            "system": {"system": self.matrix.system_bitsize},
            "ancilla": {"ancilla": self.matrix.ancilla_bitsize, "mark": 1},
        }

    def steps(self) -> list[Step]:
        """The augmented matrix, then the projector. Controlled, the mark is flipped under it, and
        the preparations around the flip cancel where it is 0.
        """
        query: Step = (
            self.part(self.matrix),
            self.control | {"system": ("system",), "ancilla": ("ancilla",)},
        )
        if not self.is_controlled:
            flip = VectorFlip(self.vector)
            return [query, (flip, {"system": ("system",), "mark": ("mark",)})]
        flipped = PatternFlip((1,) + (0,) * self.vector.bitsize)
        state = {"state": ("system",)}
        return [
            query,
            (self.vector.adjoint(), state),
            (flipped, {"register": ("control", "system"), "mark": ("mark",)}),
            (self.vector, state),
        ]
