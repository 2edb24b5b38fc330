"""Select-swap as a circuit: rows of entries fetched at once, controlled swaps to the front; into
clean qubits that stay filled, or by borrowed ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import attrs
import numpy as np
import torch
from qualtran import Bloq, BloqBuilder, QAny, Register, Signature, SoquetT
from qualtran.bloqs.basic_gates import CSwap
from qualtran.bloqs.data_loading.qrom import QROM
from qualtran.resource_counting import BloqCountDictT, SympySymbolAllocator

from qdescent.quantum.gates.loading.iteration import xor_into
from qdescent.quantum.gates.selections import (
    joined_selections,
    parted_selections,
    selection_registers,
)
from qdescent.quantum.simulator.kernels import Kernel, look_up
from qdescent.quantum.tables.lookup import LookUpTable


@dataclass(frozen=True)
class BlockReading:
    """|i>|0>|0> -> |i>|d_i>|w_i>: a row of l entries, the chosen one at its front; w_i: the rest.

    Args:
        table: the entries d_i.
        block: l, at least 2.
    """

    table: LookUpTable
    block: int

    @property
    def work_bits(self) -> int:
        """(l - 1) b."""
        return (self.block - 1) * self.table.bits

    def work_tables(self) -> tuple[LookUpTable, ...]:
        """What the swaps leave in the other registers, by selection."""
        rows = np.repeat(self.table.padded.reshape(-1, self.block), self.block, axis=0)
        offset, half = np.arange(len(rows)) % self.block, self.block
        while half > 1:  # as `SwapNetwork` does it: the half, then the quarter, ...
            half //= 2
            chosen = (offset & half).astype(bool)
            rows[chosen, : 2 * half] = np.roll(rows[chosen, : 2 * half], half, axis=1)
        axes = [2**bits for bits in self.table.selection_bits]
        return tuple(LookUpTable(column.reshape(axes), self.table.bits) for column in rows.T[1:])

    def __call__(
        self, bb: BloqBuilder, selection: np.ndarray
    ) -> tuple[np.ndarray, SoquetT, SoquetT]:
        """A block by QROM, then the swaps."""
        network = SwapNetwork(self.block.bit_length() - 1, self.table.bits)
        row, offset = (bb.join(part) for part in np.split(selection, [-network.offset_bits]))
        fresh = np.array([bb.allocate(self.table.bits) for _ in range(self.block)])
        row, entries = bb.add(_rows(self.table, self.block), selection=row, target0_=fresh)
        offset, entries = bb.add(network, offset=offset, block=entries)
        work = bb.join(
            np.concatenate([bb.split(entry) for entry in entries[1:]]), QAny(self.work_bits)
        )
        return np.concatenate([bb.split(row), bb.split(offset)]), entries[0], work


@dataclass(frozen=True)
class Borrowing:
    """|i>|t> -> |i>|t xor d_i> by qubits that are borrowed and given back.

    Args:
        table: the entries d_i.
        block: l, at least 2.
    """

    table: LookUpTable
    block: int

    def __call__(self, bb: BloqBuilder, soqs: dict[str, SoquetT]) -> dict[str, SoquetT]:
        """On selection0, selection1, ..., and target."""
        borrowed = np.array([bb.allocate(self.table.bits, dirty=True) for _ in range(self.block)])
        loaded = bb.add_d(BorrowedLoad(self.table, self.block), borrowed=borrowed, **soqs)
        for entry in loaded.pop("borrowed"):
            bb.free(entry, dirty=True)
        return loaded


@attrs.frozen
class SwapNetwork(Bloq):
    """|p>|r_0>...|r_(l-1)> -> |p>|r_p>...: controlled swaps bring register p to the front, the
    others to offsets that p decides.

    Args:
        offset_bits: log2 l, at least 1.
        bits: b, of each register.

    Registers: offset (log2 l bits), block (l registers of b bits).

    Cost: b (l - 1) controlled swaps in log2 l layers.

    References:
        Low, Kliuchnikov, Schaeffer, arXiv:1812.00954, figure 1.
    """

    label: ClassVar[str] = "to the front"
    offset_bits: int
    bits: int

    @property
    def signature(self) -> Signature:
        """offset, block."""
        block = Register("block", QAny(self.bits), shape=(2**self.offset_bits,))
        return Signature([Register("offset", QAny(self.offset_bits)), block])

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The most significant bit chooses the half, the next the quarter, and so on."""
        offset, block = bb.split(soqs["offset"]), soqs["block"]
        half = len(block)
        for digit in range(self.offset_bits):
            half //= 2
            for j in range(half):
                offset[digit], block[j], block[j + half] = bb.add(
                    CSwap(self.bits), ctrl=offset[digit], x=block[j], y=block[j + half]
                )
        return {"offset": bb.join(offset, QAny(self.offset_bits)), "block": block}

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """l - 1 swaps of b bits."""
        return {CSwap(self.bits): 2**self.offset_bits - 1}


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
        row, offset = (
            bb.join(bits)
            for bits in np.split(joined_selections(bb, soqs, self.table), [-network.offset_bits])
        )
        target, block = soqs["target"], soqs["borrowed"]
        for _ in range(2):
            offset, block = bb.add(network, offset=offset, block=block)
            block[0], target = xor_into(bb, block[0], target)
            offset, block = bb.add(network.adjoint(), offset=offset, block=block)
            row, block = bb.add(rows, selection=row, target0_=block)
        selection = np.concatenate([bb.split(row), bb.split(offset)])
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


def _rows(table: LookUpTable, block: int) -> QROM:
    """QROM over ceil(2^n/l) rows of l entries."""
    return QROM.build_from_data(
        table.padded.reshape(-1, block), target_bitsizes=(table.bits,), target_shapes=((block,),)
    )
