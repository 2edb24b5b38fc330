"""Preparation of a real vector as a circuit: a tree of selected rotations."""

from __future__ import annotations

import attrs
import torch
from qualtran import Bloq, BloqBuilder, QAny, QUInt, Signature, SoquetT
from torch import Tensor

from qdescent.quantum.access import RotationTree
from qdescent.quantum.loaders import Leaf, TableRotation

DENSE_BITS = 6  # up to 64 amplitudes one matrix product is faster than a walk through the levels


@attrs.frozen
class RealStatePreparation(Bloq):
    """|0> -> sum_i x_i |i> for a real unit vector x, by rotation l of qubit l selected by the qubits before it.

    Args:
        tree: the quantised rotations; `tree.prepared` is x.
        is_adjoint: undo the preparation instead.

    Registers: state (s bits).

    Cost: s QROM loads and as many unloads of b bits, over 1, 2, 4, ... 2^(s-1) values, and about s b rotations.

    References:
        Grover, Rudolph, quant-ph/0208112; Low, Kliuchnikov, Schaeffer, arXiv:1812.00954.

    Example:
        >>> import numpy as np
        >>> from qdescent.quantum.access import rotation_tree
        >>> prepare = RealStatePreparation(rotation_tree(np.array([0.6, 0.0, 0.0, -0.8]), bits=16))
        >>> prepare.signature.n_qubits()
        2
    """

    tree: RotationTree
    is_adjoint: bool = False

    @property
    def signature(self) -> Signature:
        """state (s)."""
        return Signature.build_from_dtypes(state=QAny(self.tree.bitsize))

    def adjoint(self) -> RealStatePreparation:
        """The inverse circuit."""
        return RealStatePreparation(self.tree, not self.is_adjoint)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The levels from the first qubit to the last; the adjoint undoes them in reverse."""
        bits = bb.split(soqs["state"])
        levels = list(enumerate(self.tree.levels))
        for level, table in reversed(levels) if self.is_adjoint else levels:
            rotation = TableRotation(table.negated if self.is_adjoint else table)
            if level == 0:
                bits[0] = bb.add(rotation, target=bits[0])
                continue
            selection = bb.join(bits[:level], QUInt(level))
            selection, bits[level] = bb.add(rotation, selection0=selection, target=bits[level])
            bits[:level] = bb.split(selection)
        return {"state": bb.join(bits, QAny(self.tree.bitsize))}

    def fast_leaf(self, dtype: torch.dtype, device: torch.device) -> Leaf | None:
        """The same map as one orthogonal matrix, (2^s, 2^s); None above `DENSE_BITS` (the levels are fast themselves)."""
        size = self.tree.bitsize
        if size > DENSE_BITS:
            return None
        matrix = torch.eye(2**size, dtype=dtype, device=device)
        for level, table in enumerate(self.tree.levels):
            rotate = TableRotation(table).fast_leaf(dtype, device)
            matrix = rotate(matrix.reshape(2 ** (level + 1), -1)).reshape(2**size, -1)
        real = (matrix.mT if self.is_adjoint else matrix).real.contiguous()

        def apply(state: Tensor) -> Tensor:
            block = torch.view_as_real(state).reshape(2**size, -1)  # real times complex is half the work
            return torch.view_as_complex((real @ block).reshape(*state.shape, 2))

        return apply
