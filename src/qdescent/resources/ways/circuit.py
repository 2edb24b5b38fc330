"""A circuit that was run, as one of the ways: its gates as they were counted, not from sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qdescent._evidence import Evidence, Row, derived
from qdescent.resources.counts.history_query import QueryCost
from qdescent.resources.counts.loads import Part
from qdescent.resources.counts.logical_counts import LogicalCounts
from qdescent.resources.input_rows import modelled
from qdescent.resources.physical.closed_form import run_seconds
from qdescent.resources.physical.surface_code import SurfaceCode
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.priced import PricedWay, RunCost, product, together
from qdescent.resources.ways.way import CIRCUIT, Way
from qdescent.rows import names

COUNTED = "counted over the circuit's call graph"


@dataclass(frozen=True, kw_only=True)
class CountedCircuit:
    """One run of a circuit that is there, gate by gate.

    Args:
        title: of the algorithm, in words.
        loader: of its tables.
        encoding: what its queries go to, `HISTORY` or `SEGMENT`.
        queries: calls of it in a run, in both directions.
        preparations: of the right-hand side, or of F_0.
        success: probability that a run gives u_T.
        success_source: of that.
        bits: b, of a loaded angle.
        system_qubits, ancilla_qubits: of its registers.
        query, preparation: gates of one of each; their turns are rotations by loaded angles.
        toffoli: AND, Toffoli and controlled-swap gates of a run.
        turned: rotations by loaded angles in a run, b - 2 a turn.
        rotations: all others.
        qubits: of the whole, work qubits among them.
    """

    title: str
    loader: str
    encoding: str
    queries: int
    preparations: int
    success: float
    success_source: str
    bits: int
    system_qubits: int
    ancilla_qubits: int
    query: Part
    preparation: Part
    toffoli: int
    turned: int
    rotations: int
    qubits: int

    @property
    def way(self) -> Way:
        """As a way among the others."""
        return Way(
            name=CIRCUIT,
            title=f"the circuit that was run, {self.title}",
            encoding=self.encoding,
            queries=float(self.queries),
            preparations=float(self.preparations),
            success=self.success,
            counted=True,
            evidence=Evidence.EXACT,
            source="counted while it was simulated",
            success_source=self.success_source,
        )

    @property
    def cost(self) -> RunCost:
        """Of one run; rotations by loaded angles are additions into a phase gradient, one Toffoli
        each, as of every other way.
        """
        toffoli = self.toffoli + self.turned
        query = QueryCost((self.query,), self.system_qubits, self.ancilla_qubits)
        counts = LogicalCounts(
            qubits=self.qubits + self.bits,  # the last for the phase gradient
            toffoli=toffoli,
            rotations=self.rotations,
            measurements=toffoli,
        )
        return RunCost(query, self.preparation, None, self.bits, counts, toffoli)


def priced_circuit(spec: RoundSpec, circuit: CountedCircuit, machine: SurfaceCode) -> PricedWay:
    """The circuit on the machine, run until it gives u_T."""
    way, cost = circuit.way, circuit.cost
    runs, _ = way.runs
    once = run_seconds(machine, cost.counts, together(spec, way)) if math.isfinite(runs) else runs
    copy = once * runs
    return PricedWay(way, circuit.loader, cost, copy, spec.copies, product(copy, spec.copies))


def circuit_rows(circuit: CountedCircuit, priced: PricedWay, best: PricedWay) -> list[Row]:
    """What was counted of the circuit, as it stands and before any price."""
    exact, at = Evidence.EXACT, names.CIRCUIT
    counted: list[tuple[str, float, str]] = [
        ("queries", circuit.queries, "queries a run"),
        ("preparations", circuit.preparations, "uploads a run"),
        ("query_toffoli", circuit.query.toffoli, "Toffoli"),
        ("upload_toffoli", circuit.preparation.toffoli, "Toffoli"),
        ("toffoli", circuit.toffoli, "Toffoli a run"),
        ("loaded_rotations", circuit.turned, "rotations a run"),
        ("rotations", circuit.rotations, "rotations a run"),
        ("qubits", circuit.qubits, "logical qubits"),
        ("value_bits", circuit.bits, "bits"),
    ]
    rows = [Row(f"{at}{name}", value, unit, exact, COUNTED) for name, value, unit in counted]
    rows.append(
        Row(f"{at}success_probability", circuit.success, "1", exact, circuit.success_source)
    )
    if priced.is_within_reach:
        known = derived(Evidence.MODELLED, exact)
        rows.append(Row(f"{at}time", priced.seconds, "s", known, "copies of u_T x runs x a run"))
        rows.append(
            modelled(f"{at}over_best", priced.seconds / best.seconds, "1", "time / the best way's")
        )
    return rows
