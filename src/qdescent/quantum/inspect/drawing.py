"""What a circuit looks like: its gates in order, each with the registers it touches, read off a
bloq's own decomposition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import attrs

from qdescent._checks import check_callable, check_methods
from qdescent.quantum.inspect.labels import label

if TYPE_CHECKING:
    from qualtran import Bloq

MOST_PHASES = 12  # at each end of a sequence that is drawn: a page shows eight gates and four
WORK = "work"  # qubits that a bloq takes and gives back


@dataclass(frozen=True)
class Gate:
    """One box of a drawing.

    Args:
        label: its name, short.
        registers: the registers of the whole circuit that it touches.
        kind: the name of its bloq's class.
    """

    label: str
    registers: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Drawing:
    """A circuit as a sequence of boxes on registers.

    Args:
        registers: name and bits of each, from top to bottom; "work" stands for qubits taken and
            given back, with 0 bits.
        first: gates in the order of time; of a long circuit those of its beginning.
        left_out: gates between `first` and `last` that are not shown.
        last: those of the end of a long circuit.
    """

    registers: tuple[tuple[str, int], ...]
    first: tuple[Gate, ...]
    left_out: int
    last: tuple[Gate, ...]

    @property
    def gates(self) -> tuple[Gate, ...]:
        """All that are shown."""
        return self.first + self.last

    def shortened(self, head: int, tail: int) -> tuple[tuple[Gate, ...], int, tuple[Gate, ...]]:
        """The first and last gates, and how many between them are left out."""
        first, last = self.first, self.last
        if not self.left_out:
            if len(self.gates) <= head + tail:
                return self.gates, 0, ()
            first, last = self.gates[: len(self.gates) - tail], self.gates
        first, last = first[:head], last[max(0, len(last) - tail) :]
        return first, self.left_out + len(self.gates) - len(first) - len(last), last


def draw(bloq: Bloq, expand: Callable[[Bloq], bool] = lambda bloq: False) -> Drawing:
    """The gates of a bloq's decomposition, one level deep, or deeper where `expand` says so.

    Args:
        bloq: with a decomposition whose registers all pass through.
        expand: whether a bloq inside is to be replaced by its own parts.

    Example:
        >>> from qdescent.quantum.algorithms.qsvt import ProjectorPhase
        >>> [gate.label for gate in draw(ProjectorPhase(0.25, 2)).gates]
        ['is 0?', 'CNOT', 'Rz 0.500', 'CNOT', 'is 0?']
    """
    check_methods("bloq", bloq, ("call_graph", "decompose_bloq"), "a Qualtran bloq")
    check_callable("expand", expand, "a function of a bloq")
    registers, gates = _read_off(bloq, expand)
    return Drawing(registers, gates, 0, ())


def _read_off(
    bloq: Bloq, expand: Callable[[Bloq], bool]
) -> tuple[tuple[tuple[str, int], ...], tuple[Gate, ...]]:
    """The registers of a bloq and the gates on them."""
    from qualtran import LeftDangle, Soquet
    from qualtran.bloqs.bookkeeping import Allocate, Cast, Free, Join, Partition, Split

    bookkeeping = (Allocate, Cast, Free, Join, Partition, Split)

    circuit = bloq.decompose_bloq().flatten(lambda instance: expand(instance.bloq))
    sizes = {register.name: register.total_bits() for register in bloq.signature}
    names = [*sizes, WORK]
    holds = {
        Soquet(LeftDangle, register, index): {register.name}
        for register in bloq.signature.lefts()
        for index in register.all_idxs()
    }
    gates = []
    for instance, before, after in circuit.iter_bloqnections():
        is_gate = not isinstance(instance.bloq, bookkeeping)
        carried = {connection.right: holds[connection.left] for connection in before}
        touched = set().union(*carried.values()) or {WORK}
        for connection in after:  # what goes in by a register comes out by it; bookkeeping mixes
            same = [
                origin
                for soquet, origin in carried.items()
                if soquet.reg.name == connection.left.reg.name
            ]
            holds[connection.left] = set().union(*same) if is_gate and same else touched
        if is_gate:
            on = tuple(name for name in names if name in touched)
            gates.append(Gate(_text(instance.bloq), on, type(instance.bloq).__name__))
    used = {name for gate in gates for name in gate.registers}
    shown = [name for name in names if name in sizes or name in used]
    return tuple((name, sizes.get(name, 0)) for name in shown), tuple(gates)


def draw_solve(solve: Any) -> Drawing:
    """The gates of a solve (`LinearSolve`, `KernelTransform`): its preparation, then queries and
    phases in turn.

    A sequence has thousands of queries, and to write them all out takes as long as to simulate
    them; so a long one is drawn from its first and last phases alone, and the drawing says how many
    gates are between them.

    Args:
        solve: with a `sequence`.
    """
    short = abridged(solve)
    registers, gates = _read_off(short, lambda bloq: bloq == short.sequence)
    left_out = len(solve.sequence.phases) - len(short.sequence.phases)
    cut = len(gates) // 2 if left_out else len(gates)
    # each phase with the query that follows it
    return Drawing(registers, gates[:cut], 2 * left_out, gates[cut:])


def abridged(solve: Any) -> Any:
    """The solve with the first and last phases of its sequence alone: another circuit, which begins
    and ends as this one.
    """
    return attrs.evolve(
        solve, sequence=attrs.evolve(solve.sequence, phases=_ends(solve.sequence.phases))
    )


def _ends(phases: tuple[float, ...]) -> tuple[float, ...]:
    """The phases at both ends; as many are left out as let the queries take turns as before."""
    middle = len(phases) - 2 * MOST_PHASES
    return (
        phases
        if middle <= 1
        else phases[:MOST_PHASES] + phases[MOST_PHASES + middle - middle % 2 :]
    )


def _text(bloq: Bloq) -> str:
    """The label, and the angle of a gate that has one."""
    angle = getattr(bloq, "angle", None)
    turn = "" if angle is None else f" {float(angle):.3f}".replace("-", "−")
    return label(bloq) + turn
