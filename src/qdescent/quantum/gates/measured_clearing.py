"""Registers that hold values of a table, cleared by measurement and a phase that is made good.

A register that holds d_i beside |i> is measured in the X basis. Each outcome m leaves the sign
(-1)^(m . d_i), a function of i alone: one bit an entry, however many bits d_i has, so that its
look-up takes about 2 sqrt N Toffoli gates where a coherent inverse takes as many as the read did.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import attrs
import numpy as np
from qualtran import Bloq, BloqBuilder, QAny, QBit, Register, Side, Signature, SoquetT
from qualtran.bloqs.basic_gates import CNOT, Hadamard, XGate
from qualtran.bloqs.data_loading.qrom import QROM
from qualtran.bloqs.mcmt import And
from qualtran.resource_counting import (
    BloqCountDictT,
    CostKey,
    QubitCount,
    SympySymbolAllocator,
)

from qdescent._arrays import Ints
from qdescent._checks import argument_error, check_field, check_integer
from qdescent.quantum.gates.loading.load_cost import fix_up_block
from qdescent.quantum.gates.selections import (
    joined_selections,
    parted_selections,
    selection_registers,
)
from qdescent.quantum.tables.lookup import LookUpTable


@attrs.frozen
class XOutcome(Bloq):
    """A qubit measured in the X basis, and what it was found in: sqrt 2 <+| or sqrt 2 <-|.

    The factor is that of an outcome of probability 1/2, which both are for a qubit that holds a
    value beside other registers.

    Args:
        minus: found in |->.

    Registers: q, which ends here.

    Cost: a measurement.
    """

    label: ClassVar[str] = "measure X"
    minus: bool

    @property
    def signature(self) -> Signature:
        """q, to the left."""
        return Signature([Register("q", QBit(), side=Side.LEFT)])

    @property
    def gate_matrix(self) -> np.ndarray:
        """What a simulator does to the qubit's amplitudes, (1, 2)."""
        return np.array([[1.0, -1.0 if self.minus else 1.0]])

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """No gate."""
        return {}

    def my_static_costs(self, cost_key: CostKey) -> Any:
        """One qubit."""
        return 1 if isinstance(cost_key, QubitCount) else NotImplemented


@attrs.frozen
class OneHot(Bloq):
    """|p> -> |p>|e_p>: bit p of 2^k fresh ones is set; its adjoint clears them.

    Each bit of p splits the ones so far: an AND leads a one to its right half, a CNOT takes it out
    of the left.

    Args:
        offset_bits: k, at least 1.

    Registers: offset (k bits); to the right ones (2^k bits).

    Cost: 2^k - 2 ANDs in k - 1 layers; none to clear.
    """

    label: ClassVar[str] = "one hot"
    offset_bits: int

    def __attrs_post_init__(self) -> None:
        check_field(self, "offset_bits", check_integer, 1, 30)

    @property
    def signature(self) -> Signature:
        """offset, and ones which appear."""
        ones = Register("ones", QAny(2**self.offset_bits), side=Side.RIGHT)
        return Signature([Register("offset", QAny(self.offset_bits)), ones])

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The most significant bit first: NOT p and p; then every one is split in two."""
        offset = bb.split(soqs["offset"])
        right, left = bb.allocate(1), bb.allocate(1)
        offset[0], right = bb.add(CNOT(), ctrl=offset[0], target=right)
        offset[0], left = bb.add(CNOT(), ctrl=offset[0], target=left)
        ones = [bb.add(XGate(), q=left), right]
        for digit in range(1, self.offset_bits):
            halves = []
            for one in ones:
                (one, offset[digit]), right = bb.add(And(), ctrl=[one, offset[digit]])
                right, left = bb.add(CNOT(), ctrl=right, target=one)
                halves += [left, right]
            ones = halves
        ones = bb.join(np.array(ones), QAny(2**self.offset_bits))
        return {"offset": bb.join(offset, QAny(self.offset_bits)), "ones": ones}


@attrs.frozen
class SignLookUp(Bloq):
    """|i> -> (-1)^(f_i) |i>.

    The last bits of i become one of l ones; a QROM over the other bits turns the signs of those
    that its row names (between Hadamards its CNOTs are CZs).

    Args:
        signs: f as a table of one bit.
        block: l, a power of two up to half of the selections; 1: one sign a row.

    Registers: selection0, selection1, ...

    Cost: ceil(N/l) - 2 and l - 2 ANDs (each at least 0), fewer where rows are uniform.

    References:
        Berry, Gidney, Motta, McClean, Babbush, arXiv:1902.02134, appendix C.
    """

    label: ClassVar[str] = "signs by table"
    signs: LookUpTable
    block: int

    def __attrs_post_init__(self) -> None:
        if self.signs.bits != 1:
            raise argument_error("signs", "be a table of one bit", f"of {self.signs.bits}")
        largest = len(self.signs.padded) // 2
        check_field(self, "block", check_integer, 1, largest)
        if self.block & (self.block - 1):
            raise argument_error("block", "be a power of two", self.block)

    @property
    def signature(self) -> Signature:
        """The selection registers."""
        return Signature(selection_registers(self.signs))

    def adjoint(self) -> SignLookUp:
        """Itself."""
        return self

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Ones, Hadamards, rows, Hadamards, and the ones cleared."""
        offset_bits = self.block.bit_length() - 1
        bits = joined_selections(bb, soqs, self.signs)
        row, offset = np.split(bits, [len(bits) - offset_bits])
        if offset_bits:
            joined, ones = bb.add(OneHot(offset_bits), offset=bb.join(offset))
            ones = bb.split(ones)
        else:
            ones = np.array([bb.add(XGate(), q=bb.allocate(1))])
        ones = np.array([bb.add(Hadamard(), q=one) for one in ones])
        rows = QROM.build_from_data(
            self.signs.padded.reshape(-1, self.block),
            target_bitsizes=(1,),
            target_shapes=((self.block,),),
        )
        targets = ones.reshape(self.block)
        selection, targets = bb.add(rows, selection=bb.join(row), target0_=targets)
        ones = np.array([bb.add(Hadamard(), q=one) for one in targets.reshape(-1)])
        if offset_bits:
            joined = bb.add(
                OneHot(offset_bits).adjoint(), offset=joined, ones=bb.join(ones, QAny(self.block))
            )
            offset = bb.split(joined)
        else:
            bb.free(bb.add(XGate(), q=ones[0]))
        return parted_selections(bb, np.concatenate([bb.split(selection), offset]), self.signs)


@attrs.frozen
class MeasuredClearing(Bloq):
    """|i>|d_i>|w_i> -> |i>: measured in the X basis, and the sign of the outcome made good.

    Any outcome leaves the same state. A simulator runs the one that is named here; what is declared
    is the most that any can take.

    Args:
        table: d_i.
        work: w_i, further values that stand beside; None for none. Its axes are the table's.
        outcome: 1 for each bit that was found in |->, d's first; None: all of them.

    Registers: selection0, selection1, ...; to the left also target (b bits) and work.

    Cost: that of a `SignLookUp`, with the block of fewest ANDs: about 2 sqrt N.

    References:
        Berry et al., arXiv:1902.02134, appendix C.

    Example:
        >>> from qualtran.resource_counting import QECGatesCost, get_cost_value
        >>> table = LookUpTable(np.arange(1024) % 509, bits=9)
        >>> get_cost_value(MeasuredClearing(table), QECGatesCost()).and_bloq
        60
    """

    label: ClassVar[str] = "clear by measurement"
    is_opened: ClassVar[bool] = False  # in a call tree: as the read that it clears
    table: LookUpTable
    work: tuple[LookUpTable, ...] = ()
    outcome: tuple[int, ...] | None = None

    def __attrs_post_init__(self) -> None:
        if self.outcome is not None and len(self.outcome) != self.table.bits + self.work_bits:
            must = f"hold {self.table.bits + self.work_bits} bits"
            raise argument_error("outcome", must, len(self.outcome))

    @property
    def work_bits(self) -> int:
        """Bits beside the target."""
        return sum(table.bits for table in self.work)

    @property
    def signature(self) -> Signature:
        """The selection registers; target and work, which end here."""
        sizes = {"target": self.table.bits, "work": self.work_bits}
        ending = [
            Register(name, QAny(bits), side=Side.LEFT) for name, bits in sizes.items() if bits
        ]
        return Signature([*selection_registers(self.table), *ending])

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Measure every bit, then turn the signs."""
        outcome = self._outcome()
        held = np.concatenate([bb.split(soqs.pop(n)) for n in ("target", "work") if n in soqs])
        for found, qubit in zip(outcome, held, strict=True):
            bb.add(XOutcome(bool(found)), q=qubit)
        return bb.add_d(self._sign_look_up(_parities((self.table, *self.work), outcome)), **soqs)

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """Signs that alternate within every row and from row to row, so that no row is skipped."""
        block = fix_up_block(len(self.table.padded))
        offset = np.arange(len(self.table.padded))
        worst = (offset // block + offset) % 2 if block > 1 else offset % 2
        outcomes = Counter(XOutcome(bool(found)) for found in self._outcome())
        return {**outcomes, self._sign_look_up(worst): 1}

    def _outcome(self) -> tuple[int, ...]:
        return self.outcome or (1,) * (self.table.bits + self.work_bits)

    def _sign_look_up(self, signs: Ints) -> SignLookUp:
        axes = [2**bits for bits in self.table.selection_bits]
        return SignLookUp(LookUpTable(signs.reshape(axes), 1), fix_up_block(signs.size))


def _parities(tables: tuple[LookUpTable, ...], outcome: tuple[int, ...]) -> Ints:
    """m . (d_i, w_i) mod 2 for every selection."""
    found, start = np.zeros(len(tables[0].padded), dtype=np.int64), 0
    for table in tables:
        mask = int("".join(str(int(bit)) for bit in outcome[start : start + table.bits]), 2)
        masked = table.padded & mask
        for shift in (32, 16, 8, 4, 2, 1):
            masked = masked ^ (masked >> shift)
        found ^= masked & 1
        start += table.bits
    return found
