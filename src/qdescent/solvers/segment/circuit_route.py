"""A planned segment as a circuit: the bits that its promise needs, the run, and its rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from qdescent.quantum.simulator.forecast import Forecast
    from qdescent.solvers.circuits.segment import SegmentCircuit

FIRST_BITS = 16  # of a loaded angle; raised by what the derived error asks for


@dataclass(frozen=True, eq=False)
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
    """The plan's circuit with the fewest bits that keep its error within half of epsilon, run.

    Raises:
        ArgumentError: a circuit that no one would wait for, bits that are too few.
    """
    # Qualtran takes seconds to import: only a segment that runs a circuit pays for it.
    from qdescent.solvers.circuits.segment import run_segment
    from qdescent.solvers.circuits.simulation import (
        amplified_runs,
        check_runs,
        checked_simulator,
    )

    circuit = fitting_circuit(plan, asked, epsilon)
    simulator = checked_simulator(circuit.bloq, asked, torch.device("cpu"))
    run = run_segment(plan, circuit, epsilon, simulator)
    bare, added = run.success_probability, []
    if asked.amplify:
        check_runs(simulator, circuit.bloq, asked, amplified_runs(bare))
        run = run_segment(plan, circuit, epsilon, simulator, amplify=True, bare=bare)
        added = amplification_rows(bare, run.rounds)
    value = run.value
    system = LinearSystem(torch.eye(len(value), dtype=value.dtype, device="cpu"), value)
    rows = circuit_rows(
        system,
        run,
        value,
        bits=circuit.bits,
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


def expected_simulation(plan: SegmentPlan, asked: Circuit, epsilon: float) -> Forecast:
    """What the simulation of the plan's circuit would take, without amplification: the circuit is
    built for that, and not run.
    """
    from qdescent.solvers.circuits.simulation import expected

    return expected(fitting_circuit(plan, asked, epsilon).bloq, torch.device("cpu"))


def fitting_circuit(plan: SegmentPlan, asked: Circuit, epsilon: float) -> SegmentCircuit:
    """The plan's circuit with the fewest bits that keep its error within half of epsilon.

    Raises:
        ArgumentError: bits that are too few.
    """
    from qdescent.solvers.circuits.segment import build_segment

    allowed = epsilon / 2 * plan.least
    bits = FIRST_BITS if asked.angle_bits is None else asked.angle_bits
    while True:
        circuit = build_segment(plan, bits, asked.loader)
        if circuit.error <= allowed:
            return circuit
        if asked.angle_bits is not None:
            must = f"be large enough for epsilon = {epsilon:g}"
            raise argument_error("angle_bits", must, bits)
        if bits == MOST_ANGLE_BITS:
            least = circuit.error / allowed * epsilon
            must = f"be at least {least:.2g} for a circuit: its angles have at most {bits} bits"
            raise argument_error("epsilon", must, epsilon)
        bits = min(MOST_ANGLE_BITS, bits + max(1, math.ceil(math.log2(circuit.error / allowed))))
