"""Bloqs that load a table by a loader of one's choice: xored into a target, or read into fresh
qubits until undone.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
from qualtran import Adjoint, Bloq, BloqBuilder, QAny, Register, Side, Signature, SoquetT

from qdescent.quantum.gates.loading.iteration import xor_into
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
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
        >>> import numpy as np
        >>> from qdescent.quantum.gates.loading.qroam import QROAMLoader
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
        """In place where the loader can; otherwise read, copied by CNOTs, and undone."""
        if (xor := self.loader.in_place(self.table)) is not None:
            return xor(bb, soqs)
        read, target = TableRead(self.table, self.loader.reader(self.table)), soqs.pop("target")
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
    def work_bits(self) -> int:
        """Qubits that stay filled until the adjoint empties them."""
        reading = self.loader.reading(self.table)
        return 0 if reading is None else reading.work_bits

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
        if self.loader.clearing != "measured":
            return Adjoint(self)
        reading = self.loader.reading(self.table)
        return MeasuredClearing(self.table, () if reading is None else reading.work_tables())

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """As the loader reads; or a load into fresh qubits."""
        reading = self.loader.reading(self.table)
        if reading is None:
            fresh = bb.allocate(self.table.bits)
            return bb.add_d(TableLoad(self.table, self.loader), target=fresh, **soqs)
        selection = joined_selections(bb, soqs, self.table)
        selection, target, work = reading(bb, selection)
        return {**parted_selections(bb, selection, self.table), "target": target, "work": work}
