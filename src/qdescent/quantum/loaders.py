"""Bloqs that load a table by QROM, use it, and unload it again: a selected rotation and a selected permutation."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import torch
from qualtran import Bloq, BloqBuilder, QAny, QUInt, Register, Signature, SoquetT
from qualtran.bloqs.basic_gates import CNOT, Ry, Swap, ZGate
from qualtran.bloqs.data_loading.qrom import QROM
from torch import Tensor

from qdescent.quantum.access import AngleTable, PermutationTable

Leaf = Callable[[Tensor], Tensor]


@attrs.frozen
class TableRotation(Bloq):
    """|i>|t> -> |i> Ry(4 pi k_i/2^b)|t>, k_i from an angle table.

    The b bits of k_i are loaded by QROM. The top bit is Ry(2 pi) = -1: a Z on that bit. Every other bit turns the target by
    +-2 pi 2^i/2^b, the sign by two CNOTs, on top of one fixed rotation that makes zero bits turn by nothing. Without
    selection registers it is a single rotation.

    Args:
        table: the angles, one axis per selection register.

    Registers: selection0, selection1, ... (as many bits as the table's axes need), target (1 bit).

    Cost: two QROM loads and b rotations (the two largest of them Clifford or T-like).

    References:
        Low, Kliuchnikov, Schaeffer, arXiv:1812.00954, section 3 (multiplexed rotations from loaded angles).
    """

    table: AngleTable

    @property
    def selection_bits(self) -> tuple[int, ...]:
        """Bits of each selection register."""
        return tuple((length - 1).bit_length() for length in self.table.indices.shape)

    @property
    def signature(self) -> Signature:
        """The selection registers, then the target."""
        selections = [Register(f"selection{i}", QUInt(bits)) for i, bits in enumerate(self.selection_bits)]
        return Signature([*selections, Register("target", QAny(1))])

    def adjoint(self) -> TableRotation:
        """The rotations by -theta."""
        return TableRotation(self.table.negated)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Load, rotate by the bits, unload."""
        target, step = soqs.pop("target"), 2 * math.pi / 2**self.table.bits
        if not self.selection_bits:
            return {"target": bb.add(Ry(2 * step * int(self.table.indices)), q=target)}
        loader = QROM.build_from_data(self.table.indices, target_bitsizes=(self.table.bits,))
        names = ["selection"] if len(soqs) == 1 else list(soqs)  # QROM's own name for a single selection register
        keys = dict(zip(names, soqs, strict=True))
        loaded = bb.add_d(loader, target0_=bb.allocate(self.table.bits), **{name: soqs[key] for name, key in keys.items()})
        bits = bb.split(loaded.pop("target0_"))
        bits[0] = bb.add(ZGate(), q=bits[0])
        target = bb.add(Ry(step * (2 ** (self.table.bits - 1) - 1)), q=target)
        for place in range(1, self.table.bits):
            bits[place], target = bb.add(CNOT(), ctrl=bits[place], target=target)
            target = bb.add(Ry(-step * 2 ** (self.table.bits - 1 - place)), q=target)
            bits[place], target = bb.add(CNOT(), ctrl=bits[place], target=target)
        loaded = bb.add_d(loader, target0_=bb.join(bits), **loaded)
        bb.free(loaded.pop("target0_"))
        return {"target": target, **{key: loaded[name] for name, key in keys.items()}}

    def fast_leaf(self, dtype: torch.dtype, device: torch.device) -> Leaf:
        """The same map on a block of amplitudes (2^n, rest): one 2 x 2 product per selected value."""
        half = torch.as_tensor(self.table.half_angles, device=device).reshape(-1, 1)
        cosine, sine = half.cos().to(dtype.to_real()), half.sin().to(dtype.to_real())

        def apply(state: Tensor) -> Tensor:
            pairs = torch.view_as_real(state).reshape(len(half), 2, -1)  # a real number times a complex one is half the work
            turned = cosine[:, None] * pairs
            turned[:, 0].addcmul_(sine, pairs[:, 1], value=-1)
            turned[:, 1].addcmul_(sine, pairs[:, 0])
            return torch.view_as_complex(turned.reshape(*state.shape, 2))

        return apply


@attrs.frozen
class ColourPermutation(Bloq):
    """|c>|j> -> |c>|pi_c(j)>: load pi_c(j) beside j, swap, and unload j as pi_c^-1 of what now stands in its place.

    Args:
        table: the permutations and their inverses, shape (2^k, 2^s).

    Registers: colour (k bits), index (s bits).

    Cost: two QROM loads of s bits and s swaps (Clifford).
    """

    table: PermutationTable

    @property
    def signature(self) -> Signature:
        """colour (k), index (s)."""
        colours, size = self.table.forward.shape
        return Signature.build_from_dtypes(colour=QUInt((colours - 1).bit_length()), index=QUInt((size - 1).bit_length()))

    def adjoint(self) -> ColourPermutation:
        """The inverse permutations."""
        return ColourPermutation(self.table.inverted)

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Load pi, swap, unload with pi^-1."""
        bits = (self.table.forward.shape[1] - 1).bit_length()
        load, unload = (QROM.build_from_data(data, target_bitsizes=(bits,)) for data in (self.table.forward, self.table.backward))
        colour, index = soqs["colour"], soqs["index"]
        colour, index, image = bb.add(load, selection0=colour, selection1=index, target0_=bb.allocate(bits))
        index, image = bb.add(Swap(bits), x=index, y=image)
        colour, index, image = bb.add(unload, selection0=colour, selection1=index, target0_=image)
        bb.free(image)
        return {"colour": colour, "index": index}

    def fast_leaf(self, dtype: torch.dtype, device: torch.device) -> Leaf:
        """The same map on a block of amplitudes (2^n, rest): one gather."""
        colours, size = self.table.backward.shape
        offset = torch.arange(colours, device=device)[:, None] * size
        source = (offset + torch.as_tensor(self.table.backward, device=device)).reshape(-1)
        return lambda state: state.index_select(0, source)
