"""A bloq as elementary gates, in OpenQASM 3 or Cirq: written from the program that the simulator
runs with `fast=False`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from qualtran import Bloq, Side
from qualtran.bloqs.basic_gates import (
    CNOT,
    Hadamard,
    Ry,
    Rz,
    SGate,
    Toffoli,
    TwoBitCSwap,
    TwoBitSwap,
    XGate,
    ZGate,
)
from qualtran.bloqs.bookkeeping import Allocate, Free
from qualtran.bloqs.data_loading.qrom import QROM
from qualtran.bloqs.mcmt import And

from qdescent._checks import argument_error, check_instance, check_sequence
from qdescent.quantum.gates.measured_clearing import XOutcome
from qdescent.quantum.inspect.unary_iteration import Operation, look_up_gates
from qdescent.quantum.simulator.compiler import Compiler, Program

if TYPE_CHECKING:
    import cirq

NAMES = {
    XGate: "x",
    ZGate: "z",
    SGate: "s",
    Hadamard: "h",
    CNOT: "cx",
    Toffoli: "ccx",
    TwoBitSwap: "swap",
    TwoBitCSwap: "cswap",
    Ry: "ry",
    Rz: "rz",
}
# names that a register may not have in OpenQASM 3: gates of stdgates.inc and words of the language
TAKEN = (
    "p x y z h s sdg t tdg sx rx ry rz cx cy cz cp crx cry crz ch swap ccx cswap cu CX phase cphase"
    " id u1 u2 u3 U gphase work qubit bit gate def input output measure reset barrier let box if"
    " else for in while const int uint float angle bool"
)


@dataclass(frozen=True)
class GateList:
    """A bloq down to gates on numbered qubits: first those of its registers, most significant
    first, then work qubits.

    Args:
        title: of the bloq.
        registers: bits of each register, in the order of the signature.
        work: qubits that start and end in |0>; one that is free again is taken again.
        operations: in the order of time.
    """

    title: str
    registers: Mapping[str, int]
    work: int
    operations: tuple[Operation, ...] = field(repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each gate."""
        return dict(Counter(operation.name for operation in self.operations))


def gate_list(bloq: Bloq) -> GateList:
    """The gates x, z, s, sdg, h, cx, ccx, swap, cswap, ry, rz that a bloq stands for.

    An And is a Toffoli on a fresh qubit; its inverse, the same Toffoli, leaves that qubit in |0> (a
    machine would measure it instead). A table look-up becomes the walk over its indices
    (`look_up_gates`).

    Args:
        bloq: whose registers all pass through; any bloq of this package.

    Raises:
        ArgumentError: a register that does not pass through.

    Cost: a gate for each set bit of each line of each table: a block-encoding of 80 unknowns has
        some 10^5.

    Example:
        >>> from qdescent.quantum.algorithms.qsvt import ProjectorPhase
        >>> found = gate_list(ProjectorPhase(0.25, 2))
        >>> found.counts, found.work
        ({'x': 16, 'ccx': 4, 'cx': 4, 'rz': 1}, 2)
    """
    check_instance("bloq", bloq, Bloq, called="a Qualtran bloq")
    if any(register.side != Side.THRU for register in bloq.signature):
        raise argument_error("bloq", "have only registers that pass through", str(bloq.signature))
    writer = _Writer(bloq.signature.n_qubits())
    outputs = writer.execute(Compiler(_kernel).compile(bloq), tuple(range(writer.registers)))
    writer.restore(outputs)
    registers = {register.name: register.total_bits() for register in bloq.signature}
    return GateList(
        type(bloq).__name__, registers, writer.total - writer.registers, tuple(writer.operations)
    )


def to_openqasm(bloq: Bloq | GateList, remarks: Iterable[str] = ()) -> str:
    """A bloq as OpenQASM 3: `qubit` registers under the bloq's own names, then `work`, then one
    gate a line.

    Args:
        bloq: as for `gate_list`, or what it returned.
        remarks: lines of comment that stand at the head: what the program is, in which units.

    Returns:
        str: a program with include "stdgates.inc". The first qubit of a register is its most
            significant; a name that the language needs for itself gets an underscore.

    References:
        Cross et al., "OpenQASM 3", arXiv:2104.14722.

    Example:
        >>> from qdescent.quantum.algorithms.qsvt import ProjectorPhase
        >>> print(to_openqasm(ProjectorPhase(0.25, 1)))  # doctest: +ELLIPSIS
        OPENQASM 3.0;
        include "stdgates.inc";
        // ProjectorPhase. The first qubit of a register is its most significant; work ...
        qubit[1] part;
        qubit[1] ancilla;
        qubit[1] work;
        x ancilla[0];
        cx ancilla[0], work[0];
        x ancilla[0];
        cx part[0], work[0];
        rz(0.5) work[0];
        cx part[0], work[0];
        x ancilla[0];
        cx ancilla[0], work[0];
        x ancilla[0];
        <BLANKLINE>
    """
    remarks = check_sequence("remarks", remarks, str, called="lines of text", empty=True)
    gates = bloq if isinstance(bloq, GateList) else gate_list(bloq)
    sizes = {name + "_" * (name in TAKEN.split()): bits for name, bits in gates.registers.items()}
    sizes |= {"work": gates.work} if gates.work else {}
    names = [f"{name}[{index}]" for name, bits in sizes.items() for index in range(bits)]
    order = (
        "The first qubit of a register is its most significant; work qubits start and end in |0>."
    )
    head = ["OPENQASM 3.0;", 'include "stdgates.inc";', f"// {gates.title}. {order}"]
    head += [f"// {' '.join(line.split())}" for line in remarks]
    declared = (f"qubit[{bits}] {name};" for name, bits in sizes.items() if bits)
    lines = (
        f"{name}{'' if angle is None else f'({angle!r})'}"
        f" {', '.join(names[qubit] for qubit in qubits)};"
        for name, qubits, angle in gates.operations
    )
    return "\n".join(chain(head, declared, lines)) + "\n"


def to_cirq(bloq: Bloq | GateList) -> cirq.Circuit:
    """A bloq as a Cirq circuit on `LineQubit`s: those of its registers in order, most significant
    first, then work qubits.

    Args:
        bloq: as for `gate_list`, or what it returned.

    Example:
        >>> from qdescent.quantum.algorithms.qsvt import ProjectorPhase
        >>> to_cirq(ProjectorPhase(0.25, 2)).all_qubits() == frozenset(
        ...     __import__("cirq").LineQubit.range(5)
        ... )
        True
    """
    import cirq  # it comes with Qualtran, and takes as long to import

    fixed = {
        "x": cirq.X,
        "z": cirq.Z,
        "s": cirq.S,
        "sdg": cirq.S**-1,
        "h": cirq.H,
        "cx": cirq.CNOT,
        "ccx": cirq.CCNOT,
    }
    fixed |= {"swap": cirq.SWAP, "cswap": cirq.CSWAP}
    turns = {"ry": cirq.ry, "rz": cirq.rz}
    gates = bloq if isinstance(bloq, GateList) else gate_list(bloq)
    line = cirq.LineQubit.range(sum(gates.registers.values()) + gates.work)
    return cirq.Circuit(
        (fixed[name] if angle is None else turns[name](angle)).on(
            *(line[qubit] for qubit in qubits)
        )
        for name, qubits, angle in gates.operations
    )


# writes gates on qubits, and returns the qubits that leave
Emit = Callable[["_Writer", tuple[int, ...]], tuple[int, ...]]


class _Writer:
    """Walks a program and writes gates down; freed qubits are taken again."""

    def __init__(self, registers: int) -> None:
        self.registers = self.total = registers
        self.free: list[int] = []
        self.operations: list[Operation] = []

    def take(self) -> int:
        if self.free:
            return self.free.pop()
        self.total += 1
        return self.total - 1

    def execute(self, program: Program[Emit], qubits: tuple[int, ...]) -> tuple[int, ...]:
        if program.kernel is not None:
            return program.kernel(self, qubits)
        held = dict(zip(program.inputs, qubits, strict=True))
        for step, taken, given in program.steps:
            held.update(
                zip(given, self.execute(step, tuple(held[wire] for wire in taken)), strict=True)
            )
        return tuple(held[wire] for wire in program.outputs)

    def restore(self, outputs: tuple[int, ...]) -> None:
        """Swap what the registers hold at the end to where they held it at the start."""
        wires = dict(enumerate(outputs))
        for qubit in range(self.registers):
            index = wires[qubit]
            if index != qubit:
                self.operations.append(Operation("swap", (qubit, index)))
                wires = {wire: index if at == qubit else at for wire, at in wires.items()}


def _kernel(bloq: Bloq, qubits: int) -> Emit | None:
    if isinstance(bloq, Allocate):
        return lambda writer, on: tuple(writer.take() for _ in range(bloq.signature.n_qubits()))
    if isinstance(bloq, Free):
        return _freed
    if isinstance(bloq, And):
        return _and_kernel(bloq)
    if isinstance(bloq, QROM) and not bloq.num_controls and len(bloq.data) == 1:
        return lambda writer, on: _written(
            writer, on, look_up_gates(bloq, on, writer.take, writer.free.append)
        )
    if isinstance(bloq, XOutcome):
        must = "clear coherently to be written as OpenQASM, where no gate depends on an outcome"
        raise argument_error("loader", must, "measured")
    if type(bloq) not in NAMES:
        return None
    name = NAMES[type(bloq)] + ("dg" if isinstance(bloq, SGate) and bloq.is_adjoint else "")
    angle = float(bloq.angle) if isinstance(bloq, (Ry, Rz)) else None
    return lambda writer, on: _written(writer, on, [Operation(name, on, angle)])


def _and_kernel(bloq: And) -> Emit:
    def emit(writer: _Writer, on: tuple[int, ...]) -> tuple[int, ...]:
        controls = on[:2]
        target = on[2] if bloq.uncompute else writer.take()
        zeros = [
            Operation("x", (qubit,))
            for qubit, value in zip(controls, (bloq.cv1, bloq.cv2), strict=True)
            if not value
        ]
        _written(writer, on, [*zeros, Operation("ccx", (*controls, target)), *zeros])
        if not bloq.uncompute:
            return (*controls, target)
        writer.free.append(target)
        return controls

    return emit


def _freed(writer: _Writer, on: tuple[int, ...]) -> tuple[int, ...]:
    writer.free.extend(reversed(on))
    return ()


def _written(writer: _Writer, on: tuple[int, ...], gates: Iterable[Operation]) -> tuple[int, ...]:
    writer.operations.extend(gates)
    return on
