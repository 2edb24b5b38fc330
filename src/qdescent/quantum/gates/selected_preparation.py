"""Bloqs that a register selects: one of many real vectors prepared, and a mark flipped."""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
from qualtran import Bloq, BloqBuilder, QAny, QUInt, Signature, SoquetT

from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
from qdescent.quantum.gates.multiplexed import TableRotation
from qdescent.quantum.simulator.kernels import Kernel, real_matrices, rotation_matrices
from qdescent.quantum.tables.angles import SelectedTree

# up to as many matrix entries a batch of products is faster than a walk through the levels
DENSE_ENTRIES = 2**18


@attrs.frozen
class SelectedPreparation(Bloq):
    """|j>|0> -> |j> sum_i x_j(i) |i> for a table of real unit vectors x_j.

    Args:
        tree: the quantised rotations; `tree.prepared[j]` is x_j.
        is_adjoint: undo the preparation instead.
        loader: of the rotations' angles.

    Registers: selection, state (k bits).

    Cost: k reads of b bits and as many to undo them, over 1, 2, ... 2^(k-1) values for each j, and
        about k b rotations.

    References:
        Grover, Rudolph, quant-ph/0208112; Low, Kliuchnikov, Schaeffer, arXiv:1812.00954.

    Example:
        >>> import numpy as np
        >>> from qdescent.quantum.tables.angles import selected_tree
        >>> SelectedPreparation(
        ...     selected_tree(np.array([[0.6, -0.8], [1.0, 0.0]]), bits=16)
        ... ).signature.n_qubits()
        2
    """

    label: ClassVar[str] = "prepare by table"
    tree: SelectedTree
    is_adjoint: bool = False
    loader: Loader = DEFAULT_LOADER

    @property
    def signature(self) -> Signature:
        """selection, state (k)."""
        return Signature.build_from_dtypes(
            selection=QUInt(self.tree.selection_bits), state=QAny(self.tree.bitsize)
        )

    def adjoint(self) -> SelectedPreparation:
        """The inverse circuit."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The levels from the first qubit to the last; the adjoint undoes them in reverse."""
        selection, bits = soqs["selection"], bb.split(soqs["state"])
        levels = list(enumerate(self.tree.levels))
        for level, table in reversed(levels) if self.is_adjoint else levels:
            rotation = TableRotation(table.negated if self.is_adjoint else table, self.loader)
            if level == 0:
                selection, bits[0] = bb.add(rotation, selection0=selection, target=bits[0])
                continue
            before = bb.join(bits[:level], QUInt(level))
            selection, before, bits[level] = bb.add(
                rotation, selection0=selection, selection1=before, target=bits[level]
            )
            bits[:level] = bb.split(before)
        return {"selection": selection, "state": bb.join(bits, QAny(self.tree.bitsize))}

    def fast_kernel(self, dtype: torch.dtype, device: torch.device) -> Kernel | None:
        """The same map as a batch of orthogonal matrices, (S, 2^k, 2^k); None if that is large."""
        count, size = len(self.tree.levels[0].indices), 2**self.tree.bitsize
        if count * size**2 > DENSE_ENTRIES:
            return None
        matrices = rotation_matrices([level.half_angles for level in self.tree.levels], count)
        return real_matrices(matrices.mT if self.is_adjoint else matrices, dtype, device)
