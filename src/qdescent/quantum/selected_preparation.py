"""Bloqs that a register selects: the preparation of one of many real vectors, and the flip of a mark."""

from __future__ import annotations

import attrs
import numpy as np
import torch
from qualtran import Bloq, BloqBuilder, QAny, QUInt, Signature, SoquetT
from qualtran.bloqs.basic_gates import CNOT, Toffoli
from qualtran.bloqs.mcmt import MultiControlX

from qdescent.quantum.loaded_gates import TableRotation
from qdescent.quantum.loading import DEFAULT_LOADER, Loader
from qdescent.quantum.simulator.kernels import Leaf, gather, real_matrices, rotation_matrices
from qdescent.quantum.table_load import TableLoad
from qdescent.quantum.tables.angles import SelectedTree
from qdescent.quantum.tables.lookup import LookUpTable

DENSE_ENTRIES = 2**18  # up to as many matrix entries a batch of products is faster than a walk through the levels


@attrs.frozen
class SelectedPreparation(Bloq):
    """|j>|0> -> |j> sum_i x_j(i) |i> for a table of real unit vectors x_j.

    Args:
        tree: the quantised rotations; `tree.prepared[j]` is x_j.
        is_adjoint: undo the preparation instead.
        loader: of the rotations' angles.

    Registers: selection, state (k bits).

    Cost: k reads of b bits and as many to undo them, over 1, 2, ... 2^(k-1) values for each j, and about k b rotations.

    References:
        Grover, Rudolph, quant-ph/0208112; Low, Kliuchnikov, Schaeffer, arXiv:1812.00954.

    Example:
        >>> import numpy as np
        >>> from qdescent.quantum.tables.angles import selected_tree
        >>> SelectedPreparation(selected_tree(np.array([[0.6, -0.8], [1.0, 0.0]]), bits=16)).signature.n_qubits()
        2
    """

    tree: SelectedTree
    is_adjoint: bool = False
    loader: Loader = DEFAULT_LOADER

    @property
    def signature(self) -> Signature:
        """selection, state (k)."""
        return Signature.build_from_dtypes(selection=QUInt(self.tree.selection_bits), state=QAny(self.tree.bitsize))

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
            selection, before, bits[level] = bb.add(rotation, selection0=selection, selection1=before, target=bits[level])
            bits[:level] = bb.split(before)
        return {"selection": selection, "state": bb.join(bits, QAny(self.tree.bitsize))}

    def fast_leaf(self, dtype: torch.dtype, device: torch.device) -> Leaf | None:
        """The same map as a batch of orthogonal matrices, (S, 2^k, 2^k); None where that would be large."""
        count, size = len(self.tree.levels[0].indices), 2**self.tree.bitsize
        if count * size**2 > DENSE_ENTRIES:
            return None
        matrices = rotation_matrices([level.half_angles for level in self.tree.levels], count)
        return real_matrices(matrices.mT if self.is_adjoint else matrices, dtype, device)


@attrs.frozen
class PatternFlip(Bloq):
    """Flips the mark where a register holds the given bits.

    Args:
        pattern: the bits, most significant first.

    Registers: register, mark (1 bit).

    Cost: one AND less than there are bits.

    Example:
        >>> from qdescent.quantum.simulator.state_vector import Simulator
        >>> Simulator().run(PatternFlip((1,)), torch.tensor([0.6, 0.0, 0.8, 0.0])).amplitudes.real.round(decimals=6).tolist()
        [0.6, 0.0, 0.0, 0.8]
    """

    pattern: tuple[int, ...]

    @property
    def signature(self) -> Signature:
        """register, mark (1)."""
        return Signature.build_from_dtypes(register=QAny(len(self.pattern)), mark=QAny(1))

    def adjoint(self) -> PatternFlip:
        """Itself."""
        return self

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """One flip with as many controls."""
        bits, mark = bb.add(MultiControlX(self.pattern), controls=bb.split(soqs["register"]), target=soqs["mark"])
        return {"register": bb.join(bits, QAny(len(self.pattern))), "mark": mark}

    def fast_leaf(self, dtype: torch.dtype, device: torch.device) -> Leaf:
        """The same map on a block of amplitudes (2^n, rest): two rows exchanged."""
        place = 2 * int("".join(map(str, self.pattern)), 2)
        source = torch.arange(2 ** (len(self.pattern) + 1), device=device)
        source[place], source[place + 1] = place + 1, place
        return gather(source)


@attrs.frozen
class SelectedSwap(Bloq):
    """Exchanges two registers where the selection's entry of a table is true.

    Args:
        chosen: one truth value for each selected value.
        bits: of each of the two registers.
        loader: of the table.

    Registers: selection, x, y.

    Cost: two loads of one bit, and one Toffoli a bit.
    """

    chosen: tuple[bool, ...]
    bits: int
    loader: Loader = DEFAULT_LOADER

    @property
    def signature(self) -> Signature:
        """selection, x, y."""
        selection = QUInt((len(self.chosen) - 1).bit_length())
        return Signature.build_from_dtypes(selection=selection, x=QAny(self.bits), y=QAny(self.bits))

    def adjoint(self) -> SelectedSwap:
        """Itself."""
        return self

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Load the choice, exchange bit by bit, unload."""
        load = TableLoad(LookUpTable(np.array(self.chosen, dtype=np.int64), bits=1), self.loader)
        selection, choice = bb.add(load, selection0=soqs["selection"], target=bb.allocate(1))
        xs, ys = bb.split(soqs["x"]), bb.split(soqs["y"])
        for i in range(self.bits):
            ys[i], xs[i] = bb.add(CNOT(), ctrl=ys[i], target=xs[i])
            (choice, xs[i]), ys[i] = bb.add(Toffoli(), ctrl=[choice, xs[i]], target=ys[i])
            ys[i], xs[i] = bb.add(CNOT(), ctrl=ys[i], target=xs[i])
        selection, choice = bb.add(load, selection0=selection, target=choice)
        bb.free(choice)
        return {"selection": selection, "x": bb.join(xs, QAny(self.bits)), "y": bb.join(ys, QAny(self.bits))}

    def fast_leaf(self, dtype: torch.dtype, device: torch.device) -> Leaf:
        """The same map on a block of amplitudes (2^n, rest): one gather."""
        size = 2**self.bits
        place = torch.arange(size * size, device=device)
        exchanged = place % size * size + place // size
        chosen = torch.as_tensor(self.chosen, device=device)[:, None]
        source = torch.arange(len(chosen), device=device)[:, None] * size * size + torch.where(chosen, exchanged, place)
        return gather(source.reshape(-1))
