"""`qdescent circuit --solver fast-forward`: a segment's circuit, held against the map's steps."""

from __future__ import annotations

import torch
from torch import Tensor

from qdescent._checks import ArgumentError, argument_error
from qdescent._evidence import Evidence, Row
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.experiment.circuit.settings import CircuitSettings
from qdescent.experiment.run.instance import relative
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.rows import names
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.encodings import MatrixEncoding
from qdescent.solvers.segment.map_segment import MapSegment, fast_forward_map

FAST_FORWARD = "fast-forward"


def solve_segment(
    f: PolynomialMap,
    start: Tensor,
    settings: CircuitSettings,
    encoding: MatrixEncoding,
    circuit: Circuit,
) -> tuple[MapSegment, list[Row]]:
    """The circuit's u_T, and rows that hold it against the lifted map and the map without
    truncation, each step by step.

    Raises:
        ArgumentError: a start that is not 0, a composed encoding, a unit, a map without a
            fast-forward.
    """
    if bool(start.any()):
        must = "be 'kernel-reflection' or 'qsvt' for a map with a start u0 other than 0"
        raise argument_error("solver", must, f"{settings.solver!r}")
    if settings.encoding == "composed":
        must = f"be 'balanced' or 'coloured' with solver {settings.solver!r} (no history is built)"
        raise argument_error("encoding", must, f"{settings.encoding!r}")
    if settings.scale:  # what is given is used, or refused; 3 copies are the default
        must = f"be 0 with solver {settings.solver!r} (no history is built)"
        raise argument_error("scale", must, settings.scale)
    try:
        found = fast_forward_map(
            f,
            settings.steps,
            settings.order,
            settings.epsilon,
            encoding=encoding,
            circuit=circuit,
        )
    except ArgumentError as problem:  # the map is what `source` holds, a history another solver
        raise problem.called(f="source", history_system="--solver kernel-reflection") from None
    truth = f.iterate(start, settings.steps)[-1]
    direct, linear = (lifted(f, order, settings.steps) for order in (settings.order, 1))
    simulated, lifting = "state vector of the circuit, post-selected", "u_T: the lifted map's steps"
    facts: list[tuple[str, str | list[float] | float, str]] = [
        ("answer", found.answer.tolist(), f"u_T: {simulated}"),
        ("direct", direct.tolist(), lifting),
        ("descent", truth.tolist(), "u_T: the map's own steps, no truncation"),
        ("error_to_direct", relative(found.answer, direct), "||u_circuit - u_N|| / ||u_N||"),
        ("error_to_descent", relative(found.answer, truth), "||u_circuit - u_GD|| / ||u_GD||"),
        ("order_error", relative(direct, truth), "||u_N - u_GD|| / ||u_GD||: truncation alone"),
        ("order_1_error", relative(linear, truth), "the same at order 1, for comparison"),
        ("status", str(found.status), "by its own bound and the growth of the modes"),
    ]
    rows = [
        Row(f"circuit/{name}", value, "" if name == "status" else "1", Evidence.EXACT, source)
        for name, value, source in facts
    ]
    return found, [*rows, *found.cost.under(names.CIRCUIT)]


def lifted(f: PolynomialMap, order: int, steps: int) -> Tensor:
    """u_T of the order-N linearisation from u = 0, by its own steps."""
    lift = carleman_linearize(f, order)
    z = lift.lift(torch.zeros(f.size, dtype=torch.float64, device="cpu"))
    for _ in range(steps):
        z = lift.step(z)
    return lift.project(z)


def segment_remarks(found: MapSegment, n: int) -> list[str]:
    """Lines of comment for the program of one query."""
    shift, alpha = found.cost.number("shift"), found.cost.number(names.ALPHA)
    return [
        f"<0|U|0> = (F_1 - c) / alpha on ancilla = 0 before and after, c = {shift!r}, alpha ="
        f" {alpha!r}.",
        f"system: basis state k is the k-th of {n} unknowns of the map; from {n} on it is padding.",
    ]
