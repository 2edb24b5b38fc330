"""A planned segment as a circuit: the bits that its promise needs, the run, and its rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from qdescent._arrays import Floats
from qdescent._checks import argument_error
from qdescent._evidence import Evidence, Row
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.tables.angles import MOST_ANGLE_BITS
from qdescent.rows import names
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.circuits.rows import amplification_rows, circuit_rows
from qdescent.solvers.polynomials.segment_plan import SegmentPlan
from qdescent.solvers.promise.limits import FREE_QUBITS, MOST_QUERIES

FIRST_BITS = 16  # of a loaded angle; raised by what the derived error asks for


@dataclass(frozen=True)
class Simulated:
    """What a circuit gave.

    Args:
        value: u_T/||F_0||, (n,).
        error: a bound on its distance from the planned polynomials' u_T, over ||F_0||.
        queries: calls, counted while simulating.
        probability: of success, of the circuit that was run.
        bare: the same without amplification.
        runs: of the circuit, forth and back, in its amplification; 1 without.
        rows: of the circuit.
        bloq: what was run.
    """

    value: Floats = field(repr=False)
    error: float
    queries: int
    probability: float
    bare: float
    runs: int
    rows: tuple[Row, ...] = field(repr=False)
    bloq: Any = field(repr=False)


def simulate(plan: SegmentPlan, asked: Circuit, epsilon: float) -> Simulated:
    """The plan's circuit with the fewest bits that keep its error within half of epsilon.

    Raises:
        ArgumentError: a circuit that no one would wait for, bits that are too few.
    """
    # Qualtran takes seconds to import: only a segment that runs a circuit pays for it.
    from qdescent.solvers.circuits.segment import build_segment, run_segment

    allowed = epsilon / 2 * plan.least
    bits = FIRST_BITS if asked.angle_bits is None else asked.angle_bits
    while True:
        circuit = build_segment(plan, bits, asked.loader)
        if circuit.error <= allowed:
            break
        if asked.angle_bits is not None:
            must = f"be large enough for epsilon = {epsilon:g}"
            raise argument_error("angle_bits", must, bits)
        if bits == MOST_ANGLE_BITS:
            least = circuit.error / allowed * epsilon
            must = f"be at least {least:.2g} for a circuit: its angles have at most {bits} bits"
            raise argument_error("epsilon", must, epsilon)
        bits = min(MOST_ANGLE_BITS, bits + max(1, math.ceil(math.log2(circuit.error / allowed))))
    qubits = circuit.bloq.signature.n_qubits()
    if plan.queries * 2.0 ** max(0, qubits - FREE_QUBITS) > MOST_QUERIES:
        must = (
            f"leave a circuit that can be simulated: at most {MOST_QUERIES:,} queries on"
            f" {FREE_QUBITS} qubits, half as many with each qubit more (fewer steps, order 1 or"
            " fewer unknowns help)"
        )
        actual = f"{plan.steps}: {plan.queries} queries on {qubits} qubits"
        raise argument_error("steps", must, actual)
    run = run_segment(plan, circuit, epsilon, amplify=False)
    bare, added = run.success_probability, []
    if asked.amplify:
        run = run_segment(plan, circuit, epsilon, amplify=True, bare=bare)
        added = amplification_rows(bare, run.rounds)
    value = run.value
    system = LinearSystem(torch.eye(len(value), dtype=value.dtype), value)
    rows = circuit_rows(
        system,
        run,
        value,
        bits=bits,
        loader=asked.loader,
        encoding_error=circuit.encoding_error,
        certificate=circuit.certificate,
    )
    kept = [each for each in rows if not each.name.endswith("answer_probability")]
    queries = run.forward_queries + run.adjoint_queries
    counted = Row(names.QUERIES, queries, "calls", Evidence.EXACT, "counted while simulating")
    return Simulated(
        np.asarray(value),
        circuit.error,
        queries,
        run.success_probability,
        bare,
        2 * run.rounds + 1,
        (counted, *kept, *added),
        run.bloq,
    )
