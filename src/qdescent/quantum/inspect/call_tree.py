"""What a circuit is made of: its bloqs with what they call, how often, and what of the cost each of
them stands for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qdescent._checks import check_methods
from qdescent.quantum.inspect.drawing import NAMES

if TYPE_CHECKING:
    from qualtran import Bloq

# what is counted, not looked into
ATOMS = ("TableLoad", "TableRead", "MultiControlX", "And", "Toffoli", "CNOT", "Ry", "Rz")


@dataclass(frozen=True)
class CallNode:
    """A kind of bloq inside a circuit.

    Args:
        label: its name, short; a dagger marks an inverse.
        kind: the name of its class.
        calls: how often the whole circuit calls it here.
        ands: AND and Toffoli gates of all these calls.
        rotations: rotations of all these calls.
        parts: what it calls itself, the Clifford gates left out.
    """

    label: str
    kind: str
    calls: int
    ands: int
    rotations: int
    parts: tuple[CallNode, ...] = field(repr=False)


def call_tree(bloq: Bloq) -> CallNode:
    """The call graph of a bloq as a tree; calls that differ by angles or tables alone are one.

    The costly parts come first. Each kind of bloq is opened where it is met first and stands closed
    everywhere else; so the tree stays as small as the number of kinds.

    Args:
        bloq: any of this package.

    Returns:
        CallNode: the whole; the gates of an opened part are the sum over its parts.

    Cost: one visit of every distinct bloq of the call graph.

    Example:
        >>> from qdescent.quantum.algorithms.qsvt import ProjectorPhase
        >>> whole = call_tree(ProjectorPhase(0.25, 3))
        >>> whole.ands, [(part.label, part.calls, part.rotations) for part in whole.parts]
        (4, [('is 0?', 2, 0), ('Rz', 1, 1)])
    """
    from qualtran.resource_counting import (
        GateCounts,
        QECGatesCost,
        get_bloq_callee_counts,
        get_cost_value,
    )

    check_methods("bloq", bloq, ("call_graph", "decompose_bloq"), "a Qualtran bloq")
    costs: dict[Bloq, GateCounts] = {}
    opened = set(ATOMS)

    def gates(members: list[tuple[Bloq, int]]) -> tuple[int, int]:
        each = [
            (get_cost_value(member, QECGatesCost(), costs_cache=costs), calls)
            for member, calls in members
        ]
        ands = sum(int(cost.and_bloq + cost.toffoli + cost.cswap) * calls for cost, calls in each)
        return ands, sum(int(cost.rotation) * calls for cost, calls in each)

    def grow(label: str, members: list[tuple[Bloq, int]]) -> CallNode:
        kind = _kind(members[0][0])
        inside: dict[str, list[tuple[Bloq, int]]] = {}
        if kind not in opened:
            opened.add(kind)
            for member, calls in members:
                for callee, number in get_bloq_callee_counts(member):
                    inside.setdefault(_label(callee), []).append((callee, calls * int(number)))
        costly = sorted(
            (name for name in inside if any(gates(inside[name]))),
            key=lambda name: gates(inside[name]),
            reverse=True,
        )
        parts = tuple(grow(name, inside[name]) for name in costly)
        return CallNode(label, kind, sum(calls for _, calls in members), *gates(members), parts)

    return grow("the whole circuit" if _kind(bloq) in WHOLE else _label(bloq), [(bloq, 1)])


def _kind(bloq: Bloq) -> str:
    """The name of its class; an inverse that has no class of its own goes by its original's."""
    return type(_original(bloq)).__name__


def _original(bloq: Bloq) -> Bloq:
    return bloq.subbloq if type(bloq).__name__ == "Adjoint" else bloq


def _label(bloq: Bloq) -> str:
    kind = _kind(bloq)
    if kind in ("TableLoad", "TableRead"):
        table = _original(bloq).table
        return f"look-up, {len(table.padded)} lines of {table.bits} bits"
    return WORDS.get(kind, NAMES.get(kind, kind)) + (
        "†" if getattr(bloq, "is_adjoint", False) else ""
    )


WHOLE = ("LinearSolve", "KernelTransform", "PhaseEstimationSolve", "AmplitudeAmplification")
WORDS = {
    "ProjectorPhase": "φ",
    "QSVTSequence": "queries and phases",
    "And": "AND",
}
