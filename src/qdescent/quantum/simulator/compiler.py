"""A bloq compiled to calls on local wires: what the simulator runs and the exporter writes is one
and the same program.

A program is a *kernel* (whatever its reader makes of one bloq) or a list of calls of
other programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, TypeVar

from qualtran import (
    Bloq,
    BloqInstance,
    CompositeBloq,
    Connection,
    LeftDangle,
    Register,
    RightDangle,
    Side,
    Soquet,
)
from qualtran.bloqs.bookkeeping import Cast, Join, Partition, Split

L = TypeVar("L")


@dataclass(frozen=True)
class Program(Generic[L]):
    """inputs and outputs are local wires; each step calls a program on local wires and names the
    wires it returns.
    """

    bloq: Bloq
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    kernel: L | None = None
    steps: tuple[tuple[Program[L], tuple[int, ...], tuple[int, ...]], ...] = ()


class Compiler(Generic[L]):
    """Compiles bloqs; it keeps the programs it made.

    Args:
        kernel: what a bloq is to its reader, from the bloq and the number of its qubits; None
            decomposes it.

    Example:
        >>> from qualtran.bloqs.basic_gates import Swap, TwoBitSwap
        >>> program = Compiler(
        ...     lambda bloq, qubits: "swap" if isinstance(bloq, TwoBitSwap) else None
        ... ).compile(Swap(2))
        >>> [(step.kernel, taken) for step, taken, _ in program.steps]
        [('swap', (0, 2)), ('swap', (1, 3))]
    """

    def __init__(self, kernel: Callable[[Bloq, int], L | None]) -> None:
        self._kernel = kernel
        self._programs: dict[Bloq, Program[L]] = {}

    def compile(self, bloq: Bloq) -> Program[L]:
        """The program of a bloq, from memory where it was compiled before."""
        if bloq not in self._programs:
            self._programs[bloq] = self._compile(bloq)
        return self._programs[bloq]

    def _compile(self, bloq: Bloq) -> Program[L]:
        inputs, outputs = _boundary(bloq)
        if isinstance(bloq, (Split, Join, Partition, Cast)):
            # the same wires under another name
            return Program(bloq, inputs, tuple(range(len(inputs))))
        kernel = self._kernel(bloq, len(inputs))
        return (
            Program(bloq, inputs, outputs, kernel)
            if kernel is not None
            else self._compile_composite(bloq)
        )

    def _compile_composite(self, bloq: Bloq) -> Program[L]:
        inputs, _ = _boundary(bloq)
        fresh = count(len(inputs))
        wires: dict[Soquet, tuple[int, ...]] = {}
        _assign(wires, LeftDangle, bloq.signature.lefts(), inputs)
        steps = []
        circuit = bloq if isinstance(bloq, CompositeBloq) else bloq.decompose_bloq()
        entering: dict[Any, list[Connection]] = {}
        for link in circuit.connections:
            entering.setdefault(link.right.binst, []).append(link)
        for instance in _in_time(circuit, entering):
            arriving = {
                (link.right.reg, link.right.idx): wires[link.left]
                for link in entering.get(instance, ())
            }
            taken = tuple(
                wire
                for reg in instance.bloq.signature.lefts()
                for idx in reg.all_idxs()
                for wire in arriving[reg, idx]
            )
            program = self.compile(instance.bloq)
            given = tuple(
                taken[wire] if wire < len(taken) else next(fresh) for wire in program.outputs
            )
            _assign(wires, instance, instance.bloq.signature.rights(), given)
            if program.kernel is not None or program.steps:
                steps.append((program, taken, given))
        ending = {
            (link.right.reg, link.right.idx): wires[link.left]
            for link in entering.get(RightDangle, ())
        }
        outputs = tuple(
            wire
            for reg in bloq.signature.rights()
            for idx in reg.all_idxs()
            for wire in ending[reg, idx]
        )
        return Program(bloq, inputs, outputs, steps=tuple(steps))


def _in_time(circuit: CompositeBloq, entering: dict[Any, list[Connection]]) -> list[BloqInstance]:
    """The calls in the order of time. A builder numbers them so, which is found sooner than by
    sorting the graph again.
    """
    numbered = sorted(circuit.bloq_instances, key=lambda instance: instance.i)
    for instance in numbered:
        for link in entering.get(instance, ()):
            # as in flattened circuits
            if isinstance(link.left.binst, BloqInstance) and link.left.binst.i >= instance.i:
                return [each for each, _, _ in circuit.iter_bloqnections()]
    return numbered


def _boundary(bloq: Bloq) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Local wires that enter and leave: what passes through keeps its wires, what appears gets the
    next ones.
    """
    entering = {reg.name: reg for reg in bloq.signature.lefts()}
    wires, start = {}, 0
    for name, reg in entering.items():
        wires[name] = range(start, start + reg.total_bits())
        start += reg.total_bits()
    inputs = tuple(range(start))
    outputs: list[int] = []
    for reg in bloq.signature.rights():
        if reg.side == Side.THRU:
            outputs.extend(wires[reg.name])
        else:
            outputs.extend(range(start, start + reg.total_bits()))
            start += reg.total_bits()
    return inputs, tuple(outputs)


def _assign(
    wires: dict[Soquet, tuple[int, ...]],
    owner: Any,
    registers: Iterable[Register],
    flat: tuple[int, ...],
) -> None:
    start = 0
    for reg in registers:
        for idx in reg.all_idxs():
            wires[Soquet(owner, reg, idx)] = flat[start : start + reg.bitsize]
            start += reg.bitsize
