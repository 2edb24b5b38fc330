"""The block-encoding of this package: Qualtran's interface, and what a linear solver needs."""

from __future__ import annotations

import abc
from typing import ClassVar

import numpy as np
from qualtran.bloqs.block_encoding import BlockEncoding as QualtranBlockEncoding
from qualtran.bloqs.reflections.prepare_identity import PrepareIdentity
from qualtran.bloqs.state_preparation.black_box_prepare import BlackBoxPrepare

from qdescent._arrays import Complexes, Floats, Ints
from qdescent._checks import argument_error
from qdescent.quantum.gates.force_preparation import StatePreparation
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
from qdescent.quantum.gates.state_preparation import checked_vector, state_preparation

DEFAULT_ANGLE_BITS = 30  # of what has no angles of its own


class BlockEncoding(QualtranBlockEncoding):
    """U with ||A - alpha <0|U|0>||_2 <= epsilon: a bloq with the registers `system` and `ancilla`.

    It is one of Qualtran's, so that `Product`, `TensorProduct`, `Phase` and `LinearCombination` of
    `qualtran.bloqs.block_encoding` take it. Controlled by one bit it has a first register
    `control`; where that is 0 and the ancilla |0>, nothing happens, so that what stands at another
    ancilla stays orthogonal to |0> there, and encodings may share their ancillas.
    """

    label: ClassVar[str] = "U"

    @property
    def resource_bitsize(self) -> int:
        """None: every register that a loader fills is emptied inside."""
        return 0

    @property
    def signal_state(self) -> BlackBoxPrepare:
        """|0> on the ancilla."""
        return BlackBoxPrepare(PrepareIdentity.from_bitsizes([self.ancilla_bitsize]))

    @property
    def angle_bits(self) -> int:
        """Bits of a loaded angle, the most of any part."""
        return DEFAULT_ANGLE_BITS

    @property
    def loader(self) -> Loader:
        """Of its tables, and of what `augmented` adds."""
        return DEFAULT_LOADER

    @property
    def basis_states(self) -> Ints:
        """The index of the system's basis state that stands for each unknown: all of them."""
        return np.arange(2**self.system_bitsize)

    @property
    def right_side_bits(self) -> int:
        """s, the bits that a right-hand side is prepared on: all of the system, unless some of
        these are a control of its own.
        """
        return self.system_bitsize

    def right_side(self, vector: Floats | Complexes) -> StatePreparation:
        """The preparation of a vector on the system's register, or with more bits in front.

        Args:
            vector: shape (2^s,), s = `right_side_bits`, or a power of two times as long, not zero.

        Raises:
            ArgumentError: a vector of another length, or that is zero or not finite.
        """
        vector, least = checked_vector(vector), 2**self.right_side_bits
        times, rest = divmod(len(vector), least)
        if rest or times.bit_count() != 1:
            must = (
                f"have {least} entries, one for each basis state, or a power of two times as many"
            )
            raise argument_error("vector", must, f"{len(vector)} entries long")
        return self.prepared(vector)

    def prepared(self, vector: Floats | Complexes) -> StatePreparation:
        """The preparation of a vector that `right_side` has checked: entry by entry."""
        return state_preparation(vector, self.angle_bits, self.loader)

    @abc.abstractmethod
    def adjoint(self) -> BlockEncoding:
        """The inverse circuit, which encodes the conjugate transpose."""

    @abc.abstractmethod
    def augmented(self, norm_estimate: float) -> BlockEncoding:
        """diag(A, (alpha/t) I), of the same alpha; the system's first bit tells the blocks.

        Args:
            norm_estimate: t, at least 1.
        """

    def __str__(self) -> str:
        return f"B[{self.label}]"
