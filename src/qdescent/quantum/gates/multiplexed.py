"""Gates that a register selects: rotations, phases and permutations read from tables; flips and
swaps by pattern.
"""

from __future__ import annotations

import math
from typing import ClassVar

import attrs
import numpy as np
import torch
from qualtran import Bloq, BloqBuilder, QAny, QUInt, Register, Signature, SoquetT
from qualtran.bloqs.basic_gates import CNOT, Hadamard, Ry, SGate, Toffoli, ZGate
from qualtran.bloqs.mcmt import MultiControlX
from qualtran.resource_counting import BloqCountDictT, SympySymbolAllocator

from qdescent.quantum.gates.loading.iteration import xor_into
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
from qdescent.quantum.gates.measured_clearing import MeasuredClearing
from qdescent.quantum.gates.table_lookup import TableLoad, TableRead
from qdescent.quantum.simulator.kernels import Kernel, gather, phases, rotations
from qdescent.quantum.tables.angles import AngleTable
from qdescent.quantum.tables.lookup import LookUpTable
from qdescent.quantum.tables.permutations import PermutationTable


@attrs.frozen
class TableRotation(Bloq):
    """|i>|t> -> |i> Ry(4 pi k_i/2^b)|t>, k_i from an angle table.

    The b bits of k_i are read by the loader. The top bit is Ry(2 pi) = -1: a Z on that bit. Every
    other bit turns the target by +-2 pi 2^i/2^b, the sign by two CNOTs, on top of one fixed
    rotation that makes zero bits turn by nothing. Without selection registers it is a single
    rotation.

    Args:
        table: the angles, one axis per selection register.
        loader: reads them, and undoes the reading.

    Registers: selection0, selection1, ... (as many bits as the table's axes need), target (1 bit).

    Cost: twice `loader.read_cost` and b rotations (the two largest of them Clifford or T-like).

    References:
        Low, Kliuchnikov, Schaeffer, arXiv:1812.00954, section 3 (multiplexed rotations from loaded
        angles).
    """

    label: ClassVar[str] = "rotate by table"
    table: AngleTable
    loader: Loader = DEFAULT_LOADER

    @property
    def selection_bits(self) -> tuple[int, ...]:
        """Bits of each selection register; a table of one angle has none."""
        shape = self.table.indices.shape if self.table.indices.size > 1 else ()
        return tuple((length - 1).bit_length() for length in shape)

    @property
    def signature(self) -> Signature:
        """The selection registers, then the target."""
        selections = [
            Register(f"selection{i}", QUInt(bits)) for i, bits in enumerate(self.selection_bits)
        ]
        return Signature([*selections, Register("target", QAny(1))])

    def adjoint(self) -> TableRotation:
        """The rotations by -theta."""
        return TableRotation(self.table.negated, self.loader)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Load, rotate by the bits, unload."""
        target, step = soqs.pop("target"), 2 * math.pi / 2**self.table.bits
        if not self.selection_bits:
            return {"target": bb.add(Ry(2 * step * self.table.indices.item()), q=target)}
        read = TableRead(self.table.look_up, self.loader)
        loaded = bb.add_d(read, **soqs)
        bits = bb.split(loaded["target"])
        bits[0] = bb.add(ZGate(), q=bits[0])
        target = bb.add(Ry(step * (2 ** (self.table.bits - 1) - 1)), q=target)
        for bit in range(1, self.table.bits):
            bits[bit], target = bb.add(CNOT(), ctrl=bits[bit], target=target)
            target = bb.add(Ry(-step * 2 ** (self.table.bits - 1 - bit)), q=target)
            bits[bit], target = bb.add(CNOT(), ctrl=bits[bit], target=target)
        loaded["target"] = bb.join(bits, QAny(self.table.bits))
        return {"target": target, **bb.add_d(read.adjoint(), **loaded)}

    def fast_kernel(self, dtype: torch.dtype, device: torch.device) -> Kernel:
        """The same map on amplitudes (2^n, rest): one 2 x 2 product per selected value."""
        return rotations(self.table.half_angles, dtype, device)


@attrs.frozen
class ColourPermutation(Bloq):
    """|c>|j> -> |c>|pi_c(j)>: pi_c(j) is made beside j, then j cleared as pi_c^-1 of it.

    What is loaded is j xor pi_c(j), and CNOTs add the rest: a fixed point is an entry of 0.

    Args:
        table: the permutations and their inverses, shape (2^k, 2^s), or one of them, shape (2^s,).
        loader: of both.

    Registers: colour (k bits; of several permutations), index (s bits).

    Cost: `loader.load_cost` of s bits and 2 s CNOTs; to clear j as much again, or measured the
        loader's `clear_cost`.
    """

    label: ClassVar[str] = "permute"
    table: PermutationTable
    loader: Loader = DEFAULT_LOADER

    @property
    def signature(self) -> Signature:
        """colour (k) of several permutations, index (s)."""
        colours = self.table.forward.shape[:-1]
        sizes = {"colour": (colours[0] - 1).bit_length()} if colours else {}
        return Signature.build_from_dtypes(
            **{name: QUInt(bits) for name, bits in (sizes | {"index": self.table.bits}).items()}
        )

    def adjoint(self) -> ColourPermutation:
        """The inverse permutations."""
        return ColourPermutation(self.table.inverted, self.loader)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """j to (j, j xor pi(j)) to (j, pi(j)) to (j xor pi(j), pi(j)) to pi(j)."""
        load, unload = (TableLoad(table, self.loader) for table in self.table.look_ups)
        several = {"colour": "selection0", "index": "selection1"}
        names = several if "colour" in soqs else {"index": "selection0"}
        loaded = bb.add_d(
            load,
            target=bb.allocate(self.table.bits),
            **{name: soqs[own] for own, name in names.items()},
        )
        old, new = xor_into(bb, loaded[names["index"]], loaded["target"])
        if self.loader.clearing == "measured":  # j itself is what pi^-1 finds beside pi(j)
            backward = LookUpTable(self.table.backward, self.table.bits)
            loaded |= {names["index"]: new, "target": old}
            cleared = bb.add_d(MeasuredClearing(backward), **loaded)
            return {own: cleared[name] for own, name in names.items()}
        loaded[names["index"]], loaded["target"] = xor_into(bb, new, old)
        cleared = bb.add_d(unload, **loaded)
        bb.free(cleared["target"])
        return {own: cleared[name] for own, name in names.items()}

    def fast_kernel(self, dtype: torch.dtype, device: torch.device) -> Kernel:
        """The same map on a block of amplitudes (2^n, rest): one gather."""
        backward = torch.as_tensor(self.table.backward, device=device).reshape(
            -1, 2**self.table.bits
        )
        source = (
            torch.arange(len(backward), device=device)[:, None] * 2**self.table.bits + backward
        ).reshape(-1)
        return gather(source)


@attrs.frozen
class TablePhase(Bloq):
    """|i> -> e^{i phi_i}|i>, phi_i the half angles of a table.

    A qubit in |0> + i|1>, an eigenstate of every Ry, takes the rotation by -2 phi_i as the phase
    phi_i and is then put back.

    Args:
        table: phi_i as half angles, one axis per selection register.
        loader: of the table.

    Registers: selection0, selection1, ...

    Cost: one `TableRotation`.
    """

    label: ClassVar[str] = "phase by table"
    table: AngleTable
    loader: Loader = DEFAULT_LOADER

    @property
    def signature(self) -> Signature:
        """The selection registers."""
        return Signature(self._rotation.signature[:-1])

    def adjoint(self) -> TablePhase:
        """The opposite phases."""
        return attrs.evolve(self, table=self.table.negated)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Prepare the eigenstate, rotate it, undo it."""
        target = bb.add(SGate(), q=bb.add(Hadamard(), q=bb.allocate(1)))
        soqs = bb.add_d(self._rotation, target=target, **soqs)
        target = bb.add(SGate(is_adjoint=True), q=soqs.pop("target"))
        bb.free(bb.add(Hadamard(), q=target))
        return soqs

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """One rotation and four Clifford gates."""
        return {self._rotation: 1, Hadamard(): 2, SGate(): 1, SGate(is_adjoint=True): 1}

    def fast_kernel(self, dtype: torch.dtype, device: torch.device) -> Kernel:
        """The same map on a block of amplitudes (2^n, rest): a diagonal."""
        return phases(torch.as_tensor(self.table.half_angles, device="cpu"), dtype, device)

    @property
    def _rotation(self) -> TableRotation:
        return TableRotation(self.table.negated, self.loader)


@attrs.frozen
class PatternFlip(Bloq):
    """Flips the mark where a register holds the given bits.

    Args:
        pattern: the bits, most significant first.

    Registers: register, mark (1 bit).

    Cost: one AND less than there are bits.

    Example:
        >>> from qdescent.quantum.simulator.state_vector import Simulator
        >>> Simulator().run(
        ...     PatternFlip((1,)), torch.tensor([0.6, 0.0, 0.8, 0.0])
        ... ).amplitudes.real.round(decimals=6).tolist()
        [0.6, 0.0, 0.0, 0.8]
    """

    pattern: tuple[int, ...]

    @property
    def label(self) -> str:
        """The question that its flip answers."""
        return "is it?" if any(self.pattern) else "is 0?"

    @property
    def signature(self) -> Signature:
        """register, mark (1)."""
        return Signature.build_from_dtypes(register=QAny(len(self.pattern)), mark=QAny(1))

    def adjoint(self) -> PatternFlip:
        """Itself."""
        return self

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """One flip with as many controls."""
        bits, mark = bb.add(
            MultiControlX(self.pattern), controls=bb.split(soqs["register"]), target=soqs["mark"]
        )
        return {"register": bb.join(bits, QAny(len(self.pattern))), "mark": mark}

    def fast_kernel(self, dtype: torch.dtype, device: torch.device) -> Kernel:
        """The same map on a block of amplitudes (2^n, rest): two rows exchanged."""
        first = 2 * int("".join(map(str, self.pattern)), 2)
        source = torch.arange(2 ** (len(self.pattern) + 1), device=device)
        source[first], source[first + 1] = first + 1, first
        return gather(source)


@attrs.frozen
class SelectedSwap(Bloq):
    """Exchanges two registers where the selection's entry of a table is true.

    Args:
        chosen: one truth value for each selected value.
        bits: of each of the two registers.
        loader: of the table.

    Registers: selection, x, y.

    Cost: a load of one bit, as much to clear it (or the loader's `clear_cost`), and one Toffoli a
        bit.
    """

    label: ClassVar[str] = "swap by table"
    chosen: tuple[bool, ...]
    bits: int
    loader: Loader = DEFAULT_LOADER

    @property
    def signature(self) -> Signature:
        """selection, x, y."""
        selection = QUInt((len(self.chosen) - 1).bit_length())
        return Signature.build_from_dtypes(
            selection=selection, x=QAny(self.bits), y=QAny(self.bits)
        )

    def adjoint(self) -> SelectedSwap:
        """Itself."""
        return self

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Load the choice, exchange bit by bit, unload."""
        table = LookUpTable(np.array(self.chosen, dtype=np.int64), bits=1)
        load = TableLoad(table, self.loader)
        selection, choice = bb.add(load, selection0=soqs["selection"], target=bb.allocate(1))
        xs, ys = bb.split(soqs["x"]), bb.split(soqs["y"])
        for i in range(self.bits):
            ys[i], xs[i] = bb.add(CNOT(), ctrl=ys[i], target=xs[i])
            (choice, xs[i]), ys[i] = bb.add(Toffoli(), ctrl=[choice, xs[i]], target=ys[i])
            ys[i], xs[i] = bb.add(CNOT(), ctrl=ys[i], target=xs[i])
        if self.loader.clearing == "measured":
            selection = bb.add(MeasuredClearing(table), selection0=selection, target=choice)
        else:
            selection, choice = bb.add(load, selection0=selection, target=choice)
            bb.free(choice)
        return {
            "selection": selection,
            "x": bb.join(xs, QAny(self.bits)),
            "y": bb.join(ys, QAny(self.bits)),
        }

    def fast_kernel(self, dtype: torch.dtype, device: torch.device) -> Kernel:
        """The same map on a block of amplitudes (2^n, rest): one gather."""
        size = 2**self.bits
        index = torch.arange(size * size, device=device)
        exchanged = index % size * size + index // size
        chosen = torch.as_tensor(self.chosen, device=device)[:, None]
        source = torch.arange(len(chosen), device=device)[:, None] * size * size + torch.where(
            chosen, exchanged, index
        )
        return gather(source.reshape(-1))
