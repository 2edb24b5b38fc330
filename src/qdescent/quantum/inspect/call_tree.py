"""What a circuit is made of: its bloqs with what they call, how often, and what of the cost each of
them stands for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qdescent._checks import check_methods
from qdescent.quantum.inspect.labels import label, original

if TYPE_CHECKING:
    from qualtran import Bloq


@dataclass(frozen=True)
class CallNode:
    """A kind of bloq inside a circuit.

    Args:
        label: its name, short; a dagger marks an inverse; "the whole circuit" at the root.
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
    opened: set[type[Bloq]] = set()
    looked_into: dict[Bloq, bool] = {}

    def gates(members: list[tuple[Bloq, int]]) -> tuple[int, int]:
        each = [
            (get_cost_value(member, QECGatesCost(), costs_cache=costs), calls)
            for member, calls in members
        ]
        ands = sum(int(cost.and_bloq + cost.toffoli + cost.cswap) * calls for cost, calls in each)
        return ands, sum(int(cost.rotation) * calls for cost, calls in each)

    def is_opened(bloq: Bloq) -> bool:
        """Ours are looked into unless they say no; others where one of ours is inside."""
        inner = original(bloq)
        if inner not in looked_into:
            looked_into[inner] = (
                getattr(inner, "is_opened", True)
                if hasattr(inner, "label")
                else any(
                    hasattr(original(callee), "label") or is_opened(callee)
                    for callee, _ in get_bloq_callee_counts(inner)
                )
            )
        return looked_into[inner]

    def grow(name: str, members: list[tuple[Bloq, int]]) -> CallNode:
        kind = type(original(members[0][0]))
        inside: dict[str, list[tuple[Bloq, int]]] = {}
        if kind not in opened and is_opened(members[0][0]):
            opened.add(kind)
            for member, calls in members:
                for callee, number in get_bloq_callee_counts(member):
                    inside.setdefault(label(callee), []).append((callee, calls * int(number)))
        costly = sorted(
            (name for name in inside if any(gates(inside[name]))),
            key=lambda name: gates(inside[name]),
            reverse=True,
        )
        parts = tuple(grow(name, inside[name]) for name in costly)
        calls = sum(number for _, number in members)
        return CallNode(name, kind.__name__, calls, *gates(members), parts)

    return grow("the whole circuit", [(bloq, 1)])
