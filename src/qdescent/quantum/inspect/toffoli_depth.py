"""How many layers of Toffoli gates a circuit has, read off its own decomposition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import Any

from qualtran import Bloq, LeftDangle, Register, Soquet
from qualtran.bloqs.basic_gates import (
    CNOT,
    Hadamard,
    Ry,
    Rz,
    Toffoli,
    TwoBitCSwap,
    TwoBitSwap,
    XGate,
    ZGate,
)
from qualtran.bloqs.bookkeeping import Allocate, Cast, Free, Join, Partition, Split
from qualtran.bloqs.data_loading.qrom import QROM
from qualtran.bloqs.mcmt import And
from qualtran.resource_counting import QECGatesCost, get_cost_value

from qdescent._checks import check_instance
from qdescent.quantum.gates.measured_clearing import XOutcome

RENAMES = (Split, Join, Partition, Cast)
GATES = (
    QROM,
    And,
    Toffoli,
    TwoBitCSwap,
    CNOT,
    TwoBitSwap,
    XGate,
    ZGate,
    Hadamard,
    Ry,
    Rz,
    Allocate,
    Free,
    XOutcome,
)
READ_ONLY = ("ctrl", "selection")  # registers of a gate that it leaves as they are


def toffoli_depth(bloq: Bloq) -> int:
    """Layers of AND, Toffoli and controlled-swap gates when every gate starts as soon as its qubits
    allow it.

    A qubit that gates only read, as their control, is read by all of them at once: the copies are
    CNOTs (Clifford). A QROM lasts as long as it has ANDs, since its iteration uses the same few
    qubits again and again. Rotations and Clifford gates take no time.

    Args:
        bloq: with a decomposition into gates and QROMs.

    Cost: a walk through the whole decomposition.

    References:
        Low, Kliuchnikov, Schaeffer, arXiv:1812.00954, section 2 (swaps that share a control in one
        layer).

    Example:
        >>> from qdescent.quantum.gates.loading.select_swap import SwapNetwork
        >>> toffoli_depth(SwapNetwork(offset_bits=3, bits=5))
        3
    """
    check_instance("bloq", bloq, Bloq, called="a Qualtran bloq")
    circuit = bloq.decompose_bloq().flatten(
        lambda instance: not isinstance(instance.bloq, (*RENAMES, *GATES))
    )
    fresh = count()
    held: dict[Soquet, list[int]] = {}  # the qubits behind a wire of the graph
    # when a qubit was last changed, and when it was last read
    changed: defaultdict[int, int] = defaultdict(int)
    read: defaultdict[int, int] = defaultdict(int)

    def hand_over(owner: Any, registers: Iterable[Register], qubits: Iterator[int]) -> None:
        for register in registers:
            for index in register.all_idxs():
                held[Soquet(owner, register, index)] = list(islice(qubits, register.bitsize))

    hand_over(LeftDangle, bloq.signature.lefts(), fresh)
    for instance, before, _ in circuit.iter_bloqnections():
        arriving = {(link.right.reg, link.right.idx): held[link.left] for link in before}
        groups = {
            register: [
                qubit for index in register.all_idxs() for qubit in arriving[register, index]
            ]
            for register in instance.bloq.signature.lefts()
        }
        leaving = list(instance.bloq.signature.rights())
        if not isinstance(instance.bloq, RENAMES):
            groups |= {
                register: list(islice(fresh, register.total_bits()))
                for register in leaving
                if register not in groups
            }
            controls = [
                qubit
                for register, group in groups.items()
                if register.name.startswith(READ_ONLY)
                for qubit in group
            ]
            targets = [
                qubit
                for register, group in groups.items()
                if not register.name.startswith(READ_ONLY)
                for qubit in group
            ]
            start = max(
                [
                    0,
                    *(changed[qubit] for qubit in controls),
                    *(max(changed[qubit], read[qubit]) for qubit in targets),
                ]
            )
            gates = get_cost_value(instance.bloq, QECGatesCost())
            end = start + int(gates.and_bloq + gates.toffoli + gates.cswap)
            read.update({qubit: max(read[qubit], end) for qubit in controls})
            changed.update(dict.fromkeys(targets, end))
            groups = {register: groups[register] for register in leaving}
        hand_over(instance, leaving, iter([qubit for group in groups.values() for qubit in group]))
    return max(changed.values(), default=0)
