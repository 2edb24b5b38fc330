"""A bucket-brigade QRAM as a circuit: routers are qubits, controlled swaps route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import attrs
import numpy as np
from qualtran import (
    Bloq,
    BloqBuilder,
    CompositeBloq,
    QAny,
    QUInt,
    Register,
    Side,
    Signature,
    SoquetT,
)
from qualtran.bloqs.basic_gates import CNOT, TwoBitCSwap, TwoBitSwap, XGate
from qualtran.bloqs.bookkeeping import Partition
from qualtran.resource_counting import BloqCountDictT, CostKey, QubitCount, SympySymbolAllocator

from qdescent.quantum.tables.lookup import LookUpTable


@dataclass(frozen=True)
class TreeReading:
    """|i>|0>|0> -> |i>|d_i>|w_i>: the tree filled by i, whose leaf i writes; w_i is the tree.

    Args:
        table: the entries d_i.
    """

    table: LookUpTable

    @property
    def tree(self) -> RouterTree:
        """One leaf for each selection."""
        return RouterTree(sum(self.table.selection_bits))

    @property
    def work_bits(self) -> int:
        """All of the tree."""
        return self.tree.leaves + self.tree.node_bits

    def work_tables(self) -> tuple[LookUpTable, ...]:
        """None: the routers lead back what they led down."""
        return ()

    def __call__(
        self, bb: BloqBuilder, selection: np.ndarray
    ) -> tuple[np.ndarray, SoquetT, SoquetT]:
        """The tree, then the leaves."""
        filled = bb.add_d(self.tree, selection=bb.join(selection))
        write, fresh = LeafWrite(self.table), bb.allocate(self.table.bits)
        filled["leaves"], target = bb.add(write, leaves=filled["leaves"], target=fresh)
        selection = bb.split(filled.pop("selection"))
        sizes = {"leaves": self.tree.leaves, "nodes": self.tree.node_bits}
        if not sizes["nodes"]:
            return selection, target, filled["leaves"]
        parts = [Register(name, QAny(bits)) for name, bits in sizes.items()]
        return selection, target, bb.add(Partition(self.work_bits, parts).adjoint(), **filled)


@attrs.frozen
class RouterTree(Bloq):
    """|i>|0...0> -> |i>|routers set by i>|leaf i holds 1, all others 0>.

    Level k has 2^k routers and as many wires; the root's router is the selection's first bit. A
    router passes its wire's qubit on by a swap to the left child and a controlled swap of both
    children. Bit k of the selection, copied to the root, is passed through k levels into the
    routers of level k, which it finds where all bits before it lead; then a 1 goes to the leaves.
    The wires of the last level are themselves the even leaves.

    Args:
        selection_bits: n.
        is_adjoint: empty the tree instead.

    Registers: selection (n bits); to the right (of the adjoint, to the left) also leaves (N = 2^n
        bits) and, for n > 1, nodes (3 N/2 - 3 bits).

    Cost: 2 N - n - 2 controlled swaps in 2 n - 2 layers (1 for n = 1): the bits follow each other
        down the tree.

    References:
        Giovannetti, Lloyd, Maccone, arXiv:0708.1879, arXiv:0807.4994; with two-level routers as
        Hann, Lee, Girvin, Jiang, arXiv:2012.05340.

    Example:
        >>> leaves = RouterTree(2).decompose_bloq().call_classically(selection=2)[1]
        >>> f"{leaves:04b}"
        '0010'
    """

    label: ClassVar[str] = "route"
    selection_bits: int
    is_adjoint: bool = False

    @property
    def leaves(self) -> int:
        """N."""
        return 2**self.selection_bits

    @property
    def node_bits(self) -> int:
        """Routers below the root, and wires above the last level."""
        return 3 * self.leaves // 2 - 3

    @property
    def signature(self) -> Signature:
        """selection; leaves and nodes, which appear (of the adjoint, disappear)."""
        sizes = {"leaves": self.leaves, "nodes": self.node_bits}
        side = Side.LEFT if self.is_adjoint else Side.RIGHT
        tree = [Register(name, QAny(bits), side=side) for name, bits in sizes.items() if bits]
        return Signature([Register("selection", QUInt(self.selection_bits)), *tree])

    def adjoint(self) -> RouterTree:
        """What empties the tree."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    def decompose_bloq(self) -> CompositeBloq:
        """The adjoint's gates are those of the filling in reverse."""
        return (
            self.adjoint().decompose_bloq().adjoint()
            if self.is_adjoint
            else super().decompose_bloq()
        )

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The bits of the selection one after the other, then the token."""
        n, bits = self.selection_bits, bb.split(soqs["selection"])
        wires = [[bb.allocate() for _ in range(2**level)] for level in range(n)]
        routers = [[bits[0]], *([bb.allocate() for _ in range(2**level)] for level in range(1, n))]

        def descend(level: int, children: list[Any]) -> None:
            for j, wire in enumerate(wires[level]):
                wires[level][j], left = bb.add(TwoBitSwap(), x=wire, y=children[2 * j])
                routers[level][j], children[2 * j], children[2 * j + 1] = bb.add(
                    TwoBitCSwap(), ctrl=routers[level][j], x=left, y=children[2 * j + 1]
                )

        for k in range(1, n):
            bits[k], wires[0][0] = bb.add(CNOT(), ctrl=bits[k], target=wires[0][0])
            for level in range(k - 1):
                descend(level, wires[level + 1])
            descend(k - 1, routers[k])
        wires[0][0] = bb.add(XGate(), q=wires[0][0])
        for level in range(n - 1):
            descend(level, wires[level + 1])
        even, odd = wires.pop(), [bb.allocate() for _ in range(2 ** (n - 1))]
        for j in range(len(odd)):
            routers[-1][j], even[j], odd[j] = bb.add(
                TwoBitCSwap(), ctrl=routers[-1][j], x=even[j], y=odd[j]
            )
        bits[0] = routers.pop(0)[0]
        leaves = np.stack([even, odd], axis=1).reshape(-1)
        done = {"selection": bb.join(bits, QUInt(n)), "leaves": bb.join(leaves, QAny(self.leaves))}
        if self.node_bits:
            nodes = np.array([node for level in (*routers, *wires) for node in level])
            done["nodes"] = bb.join(nodes, QAny(self.node_bits))
        return done

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """Written out: the same as either decomposition has, at any n."""
        n, N = self.selection_bits, self.leaves
        passes = 2 * N - n - 2  # sum_k (2^k - 1) of the bits, N - 1 of the token
        counts = {CNOT(): n - 1, XGate(): 1, TwoBitSwap(): passes - N // 2, TwoBitCSwap(): passes}
        return {bloq: count for bloq, count in counts.items() if count}

    def my_static_costs(self, cost_key: CostKey) -> Any:
        """Qubits: all that there are when the tree is filled; Qualtran would take minutes to read
        it off a thousand routers.
        """
        return (
            self.selection_bits + self.leaves + self.node_bits
            if isinstance(cost_key, QubitCount)
            else NotImplemented
        )


@attrs.frozen
class LeafWrite(Bloq):
    """|leaves>|t> -> |leaves>|t xor the entry of the leaf at 1>: a CNOT for every 1 in the table.

    Args:
        table: an entry for every leaf.

    Registers: leaves (N bits), target (b bits).

    Cost: CNOTs only.
    """

    label: ClassVar[str] = "write leaves"
    table: LookUpTable

    @property
    def signature(self) -> Signature:
        """leaves, target."""
        return Signature.build_from_dtypes(
            leaves=QAny(len(self.table.padded)), target=QAny(self.table.bits)
        )

    def adjoint(self) -> LeafWrite:
        """Itself."""
        return self

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Kernel by leaf."""
        leaves, target = bb.split(soqs["leaves"]), bb.split(soqs["target"])
        for leaf, entry in enumerate(self.table.padded.tolist()):
            for bit in range(self.table.bits):
                if entry >> (self.table.bits - 1 - bit) & 1:
                    leaves[leaf], target[bit] = bb.add(
                        CNOT(), ctrl=leaves[leaf], target=target[bit]
                    )
        return {
            "leaves": bb.join(leaves, QAny(len(leaves))),
            "target": bb.join(target, QAny(self.table.bits)),
        }

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """The ones of the table."""
        return {CNOT(): sum(entry.bit_count() for entry in self.table.padded.tolist())}

    def my_static_costs(self, cost_key: CostKey) -> Any:
        """Qubits: the registers."""
        return self.signature.n_qubits() if isinstance(cost_key, QubitCount) else NotImplemented
