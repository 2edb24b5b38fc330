"""Bloqs that load a table by a loader of one's choice: xored into a target, or read into fresh
qubits until undone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import attrs
import numpy as np
import torch
from qualtran import Adjoint, Bloq, BloqBuilder, QAny, Register, Side, Signature, SoquetT
from qualtran.bloqs.basic_gates import CNOT, CSwap
from qualtran.bloqs.bookkeeping import Partition
from qualtran.bloqs.data_loading.qrom import QROM
from qualtran.resource_counting import BloqCountDictT, SympySymbolAllocator

from qdescent.quantum.gates.bucket_brigade import LeafWrite, RouterTree
from qdescent.quantum.gates.loaders import (
    DEFAULT_LOADER,
    BucketBrigade,
    Loader,
    QROAMLoader,
)
from qdescent.quantum.gates.measured_clearing import MeasuredClearing
from qdescent.quantum.gates.selections import (
    joined_selections,
    parted_selections,
    selection_registers,
)
from qdescent.quantum.simulator.kernels import Kernel, look_up
from qdescent.quantum.tables.lookup import LookUpTable


@attrs.frozen
class TableLoad(Bloq):
    """|i>|t> -> |i>|t xor d_i>, its own inverse.

    Args:
        table: the entries d_i.
        loader: how they are loaded.

    Registers: selection0, selection1, ... (as many bits as the table's axes need), target (b bits).

    Cost: `loader.load_cost(N, b)`.

    Example:
        >>> from qdescent.quantum.simulator.state_vector import Simulator
        >>> load = TableLoad(LookUpTable(np.array([3, 1, 2]), bits=2), QROAMLoader(block=2))
        >>> selected = torch.zeros(16, dtype=torch.float64)
        >>> selected[2 * 4 + 1] = 1  # |2>|1>
        >>> # 1 xor 2 = 3
        >>> Simulator(fast=False).run(load, selected).project(selection0=2).real.tolist()
        [0.0, 0.0, 0.0, 1.0]
    """

    is_opened: ClassVar[bool] = False  # in a call tree: it is counted, not looked into
    table: LookUpTable
    loader: Loader = DEFAULT_LOADER

    @property
    def label(self) -> str:
        """By its table: a load, a read and what undoes it are one kind of part."""
        return self.table.label

    @property
    def signature(self) -> Signature:
        """The selection registers, then the target."""
        return Signature(
            [*selection_registers(self.table), Register("target", QAny(self.table.bits))]
        )

    def adjoint(self) -> TableLoad:
        """Itself."""
        return self

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """QROM and borrowed qubits xor by themselves; others read, copy by CNOTs, and undo."""
        bits, loader = self.table.bits, self.loader
        block = loader.load_block(self.table) if isinstance(loader, QROAMLoader) else 1
        if block == 1 and not isinstance(loader, BucketBrigade):
            selection = joined_selections(bb, soqs, self.table)
            rows = QROM.build_from_data(self.table.padded, target_bitsizes=(bits,))
            selection, target = bb.add(rows, selection=bb.join(selection), target0_=soqs["target"])
            return {**parted_selections(bb, bb.split(selection), self.table), "target": target}
        if isinstance(loader, QROAMLoader) and loader.dirty:
            borrowed = np.array([bb.allocate(bits, dirty=True) for _ in range(block)])
            loaded = bb.add_d(BorrowedLoad(self.table, block), borrowed=borrowed, **soqs)
            for line in loaded.pop("borrowed"):
                bb.free(line, dirty=True)
            return loaded
        if isinstance(loader, QROAMLoader):
            loader = replace(loader, block=block)
        read, target = TableRead(self.table, loader), soqs.pop("target")
        loaded = bb.add_d(read, **soqs)
        loaded["target"], target = xor_into(bb, loaded["target"], target)
        return {**bb.add_d(read.adjoint(), **loaded), "target": target}

    def fast_kernel(self, dtype: torch.dtype, device: torch.device) -> Kernel:
        """The same map on a block of amplitudes (2^(n + b), rest): one gather."""
        return look_up(self.table.padded, self.table.bits, device)


@attrs.frozen
class TableRead(Bloq):
    """|i>|0>|0> -> |i>|d_i>|w_i>: what is read is used, then cleared by the adjoint, which finds
    the w_i that it needs.

    Clearing costs as much again, where a `TableLoad` before and after the use would each read and
    clear; or, measured, far less (`MeasuredClearing`).

    Args:
        table: the entries d_i.
        loader: how they are loaded.

    Registers: selection0, selection1, ...; to the right also target (b bits) and, where the loader
        fills some, work.

    Cost: `loader.read_cost(N, b)`.
    """

    is_opened: ClassVar[bool] = False  # in a call tree: it is counted, not looked into
    table: LookUpTable
    loader: Loader = DEFAULT_LOADER

    @property
    def label(self) -> str:
        """By its table: a load, a read and what undoes it are one kind of part."""
        return self.table.label

    @property
    def block(self) -> int:
        """Lines fetched at once."""
        return self.loader.read_block(self.table) if isinstance(self.loader, QROAMLoader) else 1

    @property
    def work_bits(self) -> int:
        """Qubits that stay filled until the adjoint empties them."""
        if isinstance(self.loader, BucketBrigade):
            tree = RouterTree(sum(self.table.selection_bits))
            return tree.leaves + tree.node_bits
        clean = isinstance(self.loader, QROAMLoader) and not self.loader.dirty
        return (self.block - 1) * self.table.bits if clean else 0

    @property
    def signature(self) -> Signature:
        """The selection registers, then target and work, which appear."""
        sizes = {"target": self.table.bits, "work": self.work_bits}
        fresh = [
            Register(name, QAny(bits), side=Side.RIGHT) for name, bits in sizes.items() if bits
        ]
        return Signature([*selection_registers(self.table), *fresh])

    def adjoint(self) -> Bloq:
        """The way back, or measurements and a sign, as the loader clears."""
        measured = self.loader.clearing == "measured"
        return MeasuredClearing(self.table, self._work_tables()) if measured else Adjoint(self)

    def _work_tables(self) -> tuple[LookUpTable, ...]:
        """What the swaps of a block leave in its other registers, by selection."""
        if not self.work_bits:
            return ()
        rows = np.repeat(self.table.padded.reshape(-1, self.block), self.block, axis=0)
        place, half = np.arange(len(rows)) % self.block, self.block
        while half > 1:  # as `SwapNetwork` does it: the half, then the quarter, ...
            half //= 2
            chosen = (place & half).astype(bool)
            rows[chosen, : 2 * half] = np.roll(rows[chosen, : 2 * half], half, axis=1)
        axes = [2**bits for bits in self.table.selection_bits]
        return tuple(LookUpTable(column.reshape(axes), self.table.bits) for column in rows.T[1:])

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """A tree whose leaves write; a block by QROM and its entry to the front; or a load into
        fresh qubits.
        """
        if not self.work_bits:
            return bb.add_d(
                TableLoad(self.table, self.loader), target=bb.allocate(self.table.bits), **soqs
            )
        selection = joined_selections(bb, soqs, self.table)
        selection, target, work = (
            self._by_tree if isinstance(self.loader, BucketBrigade) else self._by_block
        )(bb, selection)
        return {**parted_selections(bb, selection, self.table), "target": target, "work": work}

    def _by_block(
        self, bb: BloqBuilder, selection: np.ndarray
    ) -> tuple[np.ndarray, SoquetT, SoquetT]:
        bits, block = self.table.bits, self.block
        network = SwapNetwork(block.bit_length() - 1, bits)
        row, place = (bb.join(part) for part in np.split(selection, [-network.place_bits]))
        fresh = np.array([bb.allocate(bits) for _ in range(block)])
        row, lines = bb.add(_rows(self.table, block), selection=row, target0_=fresh)
        place, lines = bb.add(network, place=place, block=lines)
        work = bb.join(np.concatenate([bb.split(line) for line in lines[1:]]), QAny(self.work_bits))
        return np.concatenate([bb.split(row), bb.split(place)]), lines[0], work

    def _by_tree(
        self, bb: BloqBuilder, selection: np.ndarray
    ) -> tuple[np.ndarray, SoquetT, SoquetT]:
        tree = RouterTree(len(selection))
        filled = bb.add_d(tree, selection=bb.join(selection))
        write, fresh = LeafWrite(self.table), bb.allocate(self.table.bits)
        filled["leaves"], target = bb.add(write, leaves=filled["leaves"], target=fresh)
        selection = bb.split(filled.pop("selection"))
        if not tree.node_bits:
            return selection, target, filled["leaves"]
        parts = [Register("leaves", QAny(tree.leaves)), Register("nodes", QAny(tree.node_bits))]
        return selection, target, bb.add(Partition(self.work_bits, parts).adjoint(), **filled)


@attrs.frozen
class SwapNetwork(Bloq):
    """|p>|r_0>...|r_(l-1)> -> |p>|r_p>...: controlled swaps bring register p to the front, the
    others to places that p decides.

    Args:
        place_bits: log2 l, at least 1.
        bits: b, of each register.

    Registers: place (log2 l bits), block (l registers of b bits).

    Cost: b (l - 1) controlled swaps in log2 l layers.

    References:
        Low, Kliuchnikov, Schaeffer, arXiv:1812.00954, figure 1.
    """

    label: ClassVar[str] = "to the front"
    place_bits: int
    bits: int

    @property
    def signature(self) -> Signature:
        """place, block."""
        block = Register("block", QAny(self.bits), shape=(2**self.place_bits,))
        return Signature([Register("place", QAny(self.place_bits)), block])

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The most significant bit chooses the half, the next the quarter, and so on."""
        place, block = bb.split(soqs["place"]), soqs["block"]
        half = len(block)
        for digit in range(self.place_bits):
            half //= 2
            for j in range(half):
                place[digit], block[j], block[j + half] = bb.add(
                    CSwap(self.bits), ctrl=place[digit], x=block[j], y=block[j + half]
                )
        return {"place": bb.join(place, QAny(self.place_bits)), "block": block}

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """l - 1 swaps of b bits."""
        return {CSwap(self.bits): 2**self.place_bits - 1}


@attrs.frozen
class BorrowedLoad(Bloq):
    """|i>|t>|r> -> |i>|t xor d_i>|r> with borrowed qubits r, in any state and left unchanged.

    With r_p the chosen one of l registers and d the block: t xor r_p, then r xor d, then t xor (r_p
    xor d_p), then r xor d.

    Args:
        table: the entries d_i.
        block: l, at least 2.

    Registers: selection0, selection1, ..., target (b bits), borrowed (l registers of b bits).

    Cost: two QROMs of ceil(N/l) rows and four networks of b (l - 1) controlled swaps.

    References:
        Low, Kliuchnikov, Schaeffer, arXiv:1812.00954, figure 1d.
    """

    label: ClassVar[str] = "look-up with borrowed qubits"
    table: LookUpTable
    block: int

    @property
    def signature(self) -> Signature:
        """The selection registers, target, borrowed."""
        borrowed = Register("borrowed", QAny(self.table.bits), shape=(self.block,))
        return Signature(
            [*selection_registers(self.table), Register("target", QAny(self.table.bits)), borrowed]
        )

    def adjoint(self) -> BorrowedLoad:
        """Itself."""
        return self

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Twice: copy the chosen register, then xor the block into all of them."""
        rows, network = (
            _rows(self.table, self.block),
            SwapNetwork(self.block.bit_length() - 1, self.table.bits),
        )
        row, place = (
            bb.join(bits)
            for bits in np.split(joined_selections(bb, soqs, self.table), [-network.place_bits])
        )
        target, block = soqs["target"], soqs["borrowed"]
        for _ in range(2):
            place, block = bb.add(network, place=place, block=block)
            block[0], target = xor_into(bb, block[0], target)
            place, block = bb.add(network.adjoint(), place=place, block=block)
            row, block = bb.add(rows, selection=row, target0_=block)
        selection = np.concatenate([bb.split(row), bb.split(place)])
        return {**parted_selections(bb, selection, self.table), "target": target, "borrowed": block}

    def fast_kernel(self, dtype: torch.dtype, device: torch.device) -> Kernel:
        """The same map on a block of amplitudes (2^(n + b), rest), the borrowed registers among the
        rest: one gather.
        """
        load, size = (
            look_up(self.table.padded, self.table.bits, device),
            len(self.table.padded) * 2**self.table.bits,
        )
        return lambda state, spare: load(state.reshape(size, -1), spare.reshape(size, -1)).reshape(
            state.shape
        )


def xor_into(bb: BloqBuilder, source: SoquetT, target: SoquetT) -> tuple[SoquetT, SoquetT]:
    """|x>|y> -> |x>|y xor x> of two registers of equal size, by CNOTs.

    Args:
        bb: of the circuit that they belong to.
        source, target: the registers.

    Returns:
        tuple: both registers.
    """
    x, y = bb.split(source), bb.split(target)
    for place in range(len(x)):
        x[place], y[place] = bb.add(CNOT(), ctrl=x[place], target=y[place])
    return bb.join(x, QAny(len(x))), bb.join(y, QAny(len(y)))


def _rows(table: LookUpTable, block: int) -> QROM:
    """QROM over ceil(2^n/l) rows of l lines."""
    return QROM.build_from_data(
        table.padded.reshape(-1, block), target_bitsizes=(table.bits,), target_shapes=((block,),)
    )
