"""What a circuit of any solver is made of, counted over its call graph: queries, preparations, and
the rotations whose angles are loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qualtran import Bloq
from qualtran.resource_counting import QECGatesCost, QubitCount, get_cost_value

from qdescent.quantum.algorithms.amplification import AmplitudeAmplification
from qdescent.quantum.algorithms.phase_estimation import PhaseEstimationSolve
from qdescent.quantum.algorithms.qsvt import KernelTransform, LinearSolve
from qdescent.quantum.algorithms.segment_transform import SegmentTransform
from qdescent.quantum.gates.multiplexed import TableRotation
from qdescent.solvers.circuits.run import Solving

_TITLES: dict[type, str] = {
    LinearSolve: "QSVT",
    KernelTransform: "kernel reflection",
    PhaseEstimationSolve: "phase estimation",
    SegmentTransform: "fast-forwarded",
}


@dataclass(frozen=True)
class GateCount:
    """Gates of a bloq.

    Args:
        toffoli: AND, Toffoli and controlled swap.
        turns: rotations whose angle is read from a table.
        turned: what these are made of, b - 2 single rotations each.
        rotations: all others.
        qubits: of its decomposition.
    """

    toffoli: int
    turns: int
    turned: int
    rotations: int
    qubits: int


@dataclass(frozen=True)
class CircuitCount:
    """A circuit, one of its queries, one of its preparations.

    Args:
        title: of the algorithm, in words.
        whole: of a run.
        query: of one query to the matrix, as the circuit makes it.
        preparation: of the right-hand side, or of F_0.
        preparations: in a run.
        system_qubits, ancilla_qubits: of the query's registers.
    """

    title: str
    whole: GateCount
    query: GateCount
    preparation: GateCount
    preparations: int
    system_qubits: int
    ancilla_qubits: int


def count_circuit(bloq: Solving) -> CircuitCount:
    """Count a circuit that a solver ran.

    Args:
        bloq: `Solution.circuit` or `MapSegment.circuit`.

    Cost: a walk through its call graph.

    Example:
        >>> import torch
        >>> import qdescent as qd
        >>> system = qd.LinearSystem([[1.0, 0.5], [0.0, 1.0]], [1.0, 1.0])
        >>> found = count_circuit(qd.solve(system, qd.QSVT(epsilon=0.3, circuit=True)).circuit)
        >>> found.preparations, found.whole.turns
        (1, 6)
    """
    runs: int = 1
    solve: Any = bloq
    amplified = ""
    if isinstance(bloq, AmplitudeAmplification):
        runs, solve, amplified = 2 * bloq.rounds + 1, bloq.solve, ", amplified"
    query, preparation, preparations = _parts(solve)
    return CircuitCount(
        title=_TITLES[type(solve)] + amplified,
        whole=gate_count(bloq),
        query=gate_count(query),
        preparation=gate_count(preparation),
        preparations=runs * preparations,
        system_qubits=_bits(query, "system"),
        ancilla_qubits=_bits(query, "ancilla"),
    )


def _parts(solve: Any) -> tuple[Bloq, Bloq, int]:
    """A query, a preparation, and how many of these a run has."""
    if isinstance(solve, LinearSolve):
        return solve.sequence.encoding, solve.right_side, 1
    if isinstance(solve, KernelTransform):  # each reflection prepares and undoes
        encoding = solve.sequence.encoding
        return encoding.matrix, encoding.vector, 2 * solve.sequence.degree
    if isinstance(solve, PhaseEstimationSolve):
        sequence: Any = solve.evolutions[0].solve
        return sequence.encoding, solve.right_side, 1
    assert isinstance(solve, SegmentTransform)
    start: Any = solve.start
    copies = 1 if solve.coupling is None else 2
    if isinstance(start, AmplitudeAmplification):
        inner: Any = start.solve
        return solve.outer.encoding, inner.start, copies * (2 * start.rounds + 1)
    return solve.outer.encoding, start, copies


def gate_count(bloq: Bloq) -> GateCount:
    """Gates over the call graph."""
    gates = get_cost_value(bloq, QECGatesCost())
    _, leaves = bloq.call_graph(keep=lambda each: isinstance(each, TableRotation))
    turns = turned = 0
    for each, times in leaves.items():
        if isinstance(each, TableRotation) and each.selection_bits:
            turns += times
            turned += times * int(get_cost_value(each, QECGatesCost()).rotation)
    return GateCount(
        toffoli=int(gates.and_bloq + gates.toffoli + gates.cswap),
        turns=turns,
        turned=turned,
        rotations=int(gates.rotation) - turned,
        qubits=int(get_cost_value(bloq, QubitCount())),
    )


def _bits(bloq: Bloq, register: str) -> int:
    return sum(each.total_bits() for each in bloq.signature if each.name == register)
