"""The parts of a circuit that was run: one solve of it, one query, and their drawings."""

from __future__ import annotations

from typing import Any

from qdescent.quantum.inspect.drawing import Drawing, abridged, draw, draw_solve
from qdescent.solvers.segment.map_segment import MapSegment
from qdescent.solvers.solve import Solution

Found = Solution | MapSegment


def solve_of(found: Found) -> Any:
    """The circuit that prepares and solves, without the rounds of an amplification."""
    return getattr(found.circuit, "solve", found.circuit)


def query_of(found: Found) -> Any:
    """The block-encoding that the circuit calls, in the direction that multiplies by the matrix.

    Phase estimation calls that of |1><1| (x) H, the controlled evolutions of its clock.
    """
    solve = solve_of(found)
    if estimates_phases(found):
        return solve.evolutions[0].solve.encoding
    sequence = solve.outer if isinstance(found, MapSegment) else solve.sequence
    encoding = sequence.encoding
    return encoding.adjoint() if getattr(encoding, "is_adjoint", False) else encoding


def estimates_phases(found: Found) -> bool:
    """Whether the circuit is a phase estimation; the others are one sequence of queries."""
    return hasattr(solve_of(found), "evolutions")


def drawings_of(found: Found) -> dict[str, Drawing]:
    """The circuit that was run (once, if it was amplified), one of its queries, and one of its
    phases; of a phase estimation one of its evolutions in the place of a phase, of a segment one of
    its sequences, too.
    """
    solve, query = solve_of(found), draw(query_of(found))
    if estimates_phases(found):
        evolution = solve.evolutions[0].solve
        return {"circuit": draw(solve), "query": query, "evolution": draw(evolution)}
    if isinstance(found, MapSegment):
        phase = next(bloq for bloq, _ in solve.outer.steps() if hasattr(bloq, "phi"))
        whole, sequence = draw(solve), draw(solve.outer)
        return {"circuit": whole, "sequence": sequence, "query": query, "phase": draw(phase)}
    parts = abridged(solve).sequence.decompose_bloq().bloq_instances
    phase = next(part.bloq for part in parts if hasattr(part.bloq, "phi"))
    return {"circuit": draw_solve(solve), "query": query, "phase": draw(phase)}
