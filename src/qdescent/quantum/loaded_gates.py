"""Gates that read a table: a rotation by loaded angles, and a loaded permutation."""

from __future__ import annotations

import math

import attrs
import torch
from qualtran import Bloq, BloqBuilder, QAny, QUInt, Register, Signature, SoquetT
from qualtran.bloqs.basic_gates import CNOT, Ry, ZGate

from qdescent.quantum.loading import DEFAULT_LOADER, Loader
from qdescent.quantum.simulator.kernels import Leaf, gather, rotations
from qdescent.quantum.table_load import TableLoad, TableRead, xor_into
from qdescent.quantum.tables.angles import AngleTable
from qdescent.quantum.tables.permutations import PermutationTable


@attrs.frozen
class TableRotation(Bloq):
    """|i>|t> -> |i> Ry(4 pi k_i/2^b)|t>, k_i from an angle table.

    The b bits of k_i are read by the loader. The top bit is Ry(2 pi) = -1: a Z on that bit. Every other bit turns the target by
    +-2 pi 2^i/2^b, the sign by two CNOTs, on top of one fixed rotation that makes zero bits turn by nothing. Without
    selection registers it is a single rotation.

    Args:
        table: the angles, one axis per selection register.
        loader: reads them, and undoes the reading.

    Registers: selection0, selection1, ... (as many bits as the table's axes need), target (1 bit).

    Cost: twice `loader.read_cost` and b rotations (the two largest of them Clifford or T-like).

    References:
        Low, Kliuchnikov, Schaeffer, arXiv:1812.00954, section 3 (multiplexed rotations from loaded angles).
    """

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
        selections = [Register(f"selection{i}", QUInt(bits)) for i, bits in enumerate(self.selection_bits)]
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
        for place in range(1, self.table.bits):
            bits[place], target = bb.add(CNOT(), ctrl=bits[place], target=target)
            target = bb.add(Ry(-step * 2 ** (self.table.bits - 1 - place)), q=target)
            bits[place], target = bb.add(CNOT(), ctrl=bits[place], target=target)
        loaded["target"] = bb.join(bits, QAny(self.table.bits))
        return {"target": target, **bb.add_d(read.adjoint(), **loaded)}

    def fast_leaf(self, dtype: torch.dtype, device: torch.device) -> Leaf:
        """The same map on a block of amplitudes (2^n, rest): one 2 x 2 product per selected value."""
        return rotations(self.table.half_angles, dtype, device)


@attrs.frozen
class ColourPermutation(Bloq):
    """|c>|j> -> |c>|pi_c(j)>: pi_c(j) is made beside j, then j cleared as pi_c^-1 of it.

    What is loaded is j xor pi_c(j), and CNOTs add the rest: a fixed point is a line of 0.

    Args:
        table: the permutations and their inverses, shape (2^k, 2^s), or one of them, shape (2^s,).
        loader: of both.

    Registers: colour (k bits; of several permutations), index (s bits).

    Cost: twice `loader.load_cost` of s bits, and 2 s CNOTs.
    """

    table: PermutationTable
    loader: Loader = DEFAULT_LOADER

    @property
    def signature(self) -> Signature:
        """colour (k) of several permutations, index (s)."""
        colours = self.table.forward.shape[:-1]
        sizes = {"colour": (colours[0] - 1).bit_length()} if colours else {}
        return Signature.build_from_dtypes(**{name: QUInt(bits) for name, bits in (sizes | {"index": self.table.bits}).items()})

    def adjoint(self) -> ColourPermutation:
        """The inverse permutations."""
        return ColourPermutation(self.table.inverted, self.loader)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """j to (j, j xor pi(j)) to (j, pi(j)) to (j xor pi(j), pi(j)) to pi(j)."""
        load, unload = (TableLoad(table, self.loader) for table in self.table.look_ups)
        several = {"colour": "selection0", "index": "selection1"}
        names = several if "colour" in soqs else {"index": "selection0"}
        loaded = bb.add_d(load, target=bb.allocate(self.table.bits), **{name: soqs[own] for own, name in names.items()})
        old, new = xor_into(bb, loaded[names["index"]], loaded["target"])
        loaded[names["index"]], loaded["target"] = xor_into(bb, new, old)
        cleared = bb.add_d(unload, **loaded)
        bb.free(cleared["target"])
        return {own: cleared[name] for own, name in names.items()}

    def fast_leaf(self, dtype: torch.dtype, device: torch.device) -> Leaf:
        """The same map on a block of amplitudes (2^n, rest): one gather."""
        backward = torch.as_tensor(self.table.backward, device=device).reshape(-1, 2**self.table.bits)
        source = (torch.arange(len(backward), device=device)[:, None] * 2**self.table.bits + backward).reshape(-1)
        return gather(source)
