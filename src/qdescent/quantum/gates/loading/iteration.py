"""Unary iteration as a circuit, and the copy by CNOTs: what every other load is made of."""

from __future__ import annotations

from dataclasses import dataclass

from qualtran import BloqBuilder, QAny, SoquetT
from qualtran.bloqs.basic_gates import CNOT
from qualtran.bloqs.data_loading.qrom import QROM

from qdescent.quantum.gates.selections import joined_selections, parted_selections
from qdescent.quantum.tables.lookup import LookUpTable


@dataclass(frozen=True)
class Iteration:
    """|i>|t> -> |i>|t xor d_i> by one QROM behind all selections.

    Args:
        table: the entries d_i.
    """

    table: LookUpTable

    def __call__(self, bb: BloqBuilder, soqs: dict[str, SoquetT]) -> dict[str, SoquetT]:
        """On selection0, selection1, ..., and target."""
        selection = joined_selections(bb, soqs, self.table)
        rows = QROM.build_from_data(self.table.padded, target_bitsizes=(self.table.bits,))
        selection, target = bb.add(rows, selection=bb.join(selection), target0_=soqs["target"])
        return {**parted_selections(bb, bb.split(selection), self.table), "target": target}


def xor_into(bb: BloqBuilder, source: SoquetT, target: SoquetT) -> tuple[SoquetT, SoquetT]:
    """|x>|y> -> |x>|y xor x> of two registers of equal size, by CNOTs.

    Args:
        bb: of the circuit that they belong to.
        source, target: the registers.

    Returns:
        tuple: both registers.
    """
    x, y = bb.split(source), bb.split(target)
    for bit in range(len(x)):
        x[bit], y[bit] = bb.add(CNOT(), ctrl=x[bit], target=y[bit])
    return bb.join(x, QAny(len(x))), bb.join(y, QAny(len(y)))
