"""`qdescent circuit`: a small map, or the instance of a saved run, as a quantum circuit that is
drawn, run and counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from qdescent._checks import argument_error, shown
from qdescent._evidence import Evidence, Row
from qdescent.carleman.history import HistorySystem
from qdescent.experiment.circuit.export_remarks import export_remarks
from qdescent.experiment.circuit.map_file import load_map
from qdescent.experiment.circuit.parts import Found, drawings_of, query_of
from qdescent.experiment.circuit.segment_job import FAST_FORWARD, segment_remarks, solve_segment
from qdescent.experiment.circuit.settings import CircuitSettings
from qdescent.experiment.estimate.counted import circuit_of
from qdescent.experiment.estimate.recorded import recorded
from qdescent.experiment.progress import Progress, Silent
from qdescent.experiment.run.beside import both_ways
from qdescent.experiment.run.instance import instance_of, relative, solve_instance, summary
from qdescent.experiment.run.settings import UNKNOWNS_LIMIT, history_unknowns
from qdescent.experiment.setting import named_as_settings
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.algorithms.hhl_inverse import least_epsilon
from qdescent.quantum.gates.loading.loaders import LOADERS
from qdescent.quantum.inspect.call_tree import call_tree
from qdescent.quantum.readout.noise import noisy_solution
from qdescent.report.files import write_document
from qdescent.report.pages.circuit_page import write_circuit_page
from qdescent.report.record import Record, installed_versions, stopwatch, write_record
from qdescent.report.reservation import held
from qdescent.resources.ways.queries import query_rows
from qdescent.rows import names
from qdescent.rows.collection import Rows
from qdescent.rows.numbers import at_least
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.encodings import (
    BalancedEntries,
    ColouredEntries,
    ComposedHistory,
    MatrixEncoding,
)
from qdescent.solvers.hhl import HHL
from qdescent.solvers.kernel_reflection import KernelReflection
from qdescent.solvers.promise.conditioning import SHORTEST_INTERVAL, conditioning
from qdescent.solvers.promise.limits import MOST_QUERIES
from qdescent.solvers.qsvt import QSVT
from qdescent.solvers.segment.map_segment import MapSegment

AnySolver = QSVT | KernelReflection | HHL
HISTORY_SOLVERS: dict[str, Callable[[CircuitSettings, Circuit, MatrixEncoding], AnySolver]] = {
    "kernel-reflection": lambda settings, circuit, encoding: KernelReflection(
        settings.epsilon, circuit=circuit, encoding=encoding
    ),
    "qsvt": lambda settings, circuit, encoding: QSVT(
        settings.epsilon, circuit=circuit, encoding=encoding
    ),
    # it colours the entries itself, as the settings say
    "hhl": lambda settings, circuit, encoding: HHL(settings.epsilon, circuit=circuit),
}
SOLVERS = (*HISTORY_SOLVERS, FAST_FORWARD)
ENCODINGS: dict[str, Callable[[PolynomialMap, int, HistorySystem], MatrixEncoding]] = {
    "balanced": lambda f, order, system: BalancedEntries(),
    "coloured": lambda f, order, system: ColouredEntries(),
    "composed": lambda f, order, system: ComposedHistory(
        f, order, system.steps, system.padding, system.scale
    ),
}
EXPORT_FILE = "encoding.qasm"
# errors a query: from beyond any plan to today's physical gates
NOISE_RATES = tuple(10.0**k for k in range(-8, -1))


def run_circuit_job(
    settings: CircuitSettings, directory: Path, progress: Progress | None = None
) -> Record:
    """Build, simulate and count the circuit; write run.json, circuit.html and, if asked, QASM.

    Args:
        settings: what to run.
        directory: where results go; must not exist yet, or be empty.
        progress: who is told.

    Returns:
        Record: also written to the directory.

    Raises:
        ArgumentError: the source cannot be read or does not fit the settings (nothing is written
            then), or another process works in the directory.
    """
    with held(directory, new=True), named_as_settings(settings, "source"):
        return _made(settings, directory, progress or Silent())


def _check_size(n: int, settings: CircuitSettings) -> None:
    """Refuse what no state vector holds, by the name of what makes it so."""
    order, steps, padding = settings.order, settings.steps, settings.padding
    unknowns = history_unknowns(n, order, steps, padding)
    if unknowns <= UNKNOWNS_LIMIT:
        return
    name = "order"  # which one is too much while the others are least
    if history_unknowns(n, order, 1, 0) <= UNKNOWNS_LIMIT:
        if history_unknowns(n, 1, steps, 0) > UNKNOWNS_LIMIT:
            name = "steps"
        elif history_unknowns(n, 1, 1, padding) > UNKNOWNS_LIMIT:
            name = "padding"
    actual = f"{shown(getattr(settings, name))}: {unknowns:.5g} of them"
    raise argument_error(name, f"leave at most {UNKNOWNS_LIMIT} unknowns to simulate", actual)


def _made(settings: CircuitSettings, directory: Path, progress: Progress) -> Record:
    f, start = load_map(Path(settings.source))
    if not bool(start.any()) and not bool(f.coefficients[0].to_dense().any()):
        nothing = f"{settings.source!r}, whose F0 and u0 are zero or missing: nothing moves"
        raise argument_error("source", "hold an F0 or a u0 that is not zero", nothing)
    timings: dict[str, float] = {}
    progress.start("Quantum circuit", 1)
    with stopwatch(timings, "circuit"):
        found, rows, system = _solved(f, start, settings)
    progress.advance()
    progress.finish(summary(found, rows))
    progress.start("Gates", 3 if settings.export else 2)
    given = [
        Row(
            names.CIRCUIT_N,
            f.size,
            "1",
            Evidence.EXACT,
            f"unknowns of the map in {settings.source}",
        )
    ]
    sizes = {
        names.CIRCUIT_ORDER: (settings.order, "1", "setting `order`"),
        names.CIRCUIT_STEPS: (settings.steps, "steps", "setting `steps`"),
    }
    if system is not None:
        sizes[names.CIRCUIT_PADDING] = (settings.padding, "steps", "setting `padding`")
    given += [
        Row(name, value, unit, Evidence.ASSUMED, source)
        for name, (value, unit, source) in sizes.items()
    ]
    if settings.loader != "bucket-brigade":  # its trees have too many gates to walk through
        rows.append(_depth_row(found))
    rows = [*given, *rows, *_noise_rows(settings, found)]
    rows += recorded(lambda: circuit_of(found))
    if not bool(start.any()):
        task = settings.order, settings.steps, settings.padding
        rows += both_ways(f, *task, settings.epsilon, names.WAYS)
    progress.advance()
    if settings.export:
        rows += _exported(found, system, settings.order, directory)
        progress.advance()
    record = Record(directory.name, asdict(settings), 0, installed_versions(), Rows(rows), timings)
    write_circuit_page(
        record, drawings_of(found), directory / "circuit.html", call_tree(found.circuit)
    )
    write_record(record, directory)
    progress.advance()
    progress.finish(
        "counted and drawn" + (f", one query in {EXPORT_FILE}" if settings.export else "")
    )
    return record


def _solved(
    f: PolynomialMap, start: Tensor, settings: CircuitSettings
) -> tuple[Found, list[Row], HistorySystem | None]:
    """What the circuit found, its rows, and the history where there is one."""
    circuit = Circuit(
        loader=LOADERS[settings.loader],
        amplify=settings.amplify,
        most_seconds=settings.most_seconds,
    )
    if settings.solver == FAST_FORWARD:
        entries = ColouredEntries() if settings.encoding == "coloured" else BalancedEntries()
        return *solve_segment(f, start, settings, entries, circuit), None
    _check_size(f.size, settings)
    instance = instance_of(
        f,
        start,
        settings.order,
        settings.steps,
        f.iterate(start, settings.steps)[-1],
        settings.padding,
        settings.scale or None,
    )
    encoding = ENCODINGS[str(settings.encoding)](f, settings.order, instance.system)
    solver = HISTORY_SOLVERS[settings.solver](settings, circuit, encoding)
    kappa = conditioning(instance.system, None, encoding.plan(instance.system)).kappa
    _check_queries(settings, kappa, solver)
    found, rows = solve_instance(instance, solver)
    if found.circuit is None:
        raise argument_error(
            "source",
            "hold a map whose history a circuit can solve",
            f"one whose history is not: {found.status}",
        )
    used = found.cost[names.KAPPA]
    others = query_rows(used.number, settings.epsilon, used.evidence).under(names.OTHER_SOLVERS)
    return found, [*rows, *others], instance.system


def _check_queries(settings: CircuitSettings, kappa: float, solver: AnySolver) -> None:
    """An iteration that grows has a kappa that grows exponentially with T, and a circuit that no
    one would wait for; a phase estimation may be too long for its epsilon alone.
    """
    if not math.isfinite(kappa):
        return
    if isinstance(solver, HHL):
        least = least_epsilon(max(kappa, SHORTEST_INTERVAL), MOST_QUERIES)
        if least < 1 and settings.epsilon < least:
            must = (
                f"be at least {at_least(least)} for a phase estimation of at most"
                f" {MOST_QUERIES:,} queries at kappa = {kappa:.4g}"
            )
            raise argument_error("epsilon", must, settings.epsilon)
        is_long = least >= 1
    else:
        is_long = solver.forecast(kappa) > MOST_QUERIES
    if is_long:
        must = (
            f"leave a circuit of at most {MOST_QUERIES:,} queries to simulate (does the map grow?"
            " fewer steps help)"
        )
        raise argument_error("steps", must, f"{settings.steps}: kappa = {kappa:.3g}")


def circuit_headline(record: Record) -> list[tuple[str, Row]]:
    """The few rows that the command line shows at the end, each with a label."""
    labels = {
        names.UNKNOWNS: "unknowns",
        names.CIRCUIT + "nodes": "nodes in time",
        names.CIRCUIT + names.QUBITS: "simulated qubits",
        names.CIRCUIT + names.LOGICAL_QUBITS: "logical qubits",
        names.CIRCUIT + names.DEGREE: "degree of the polynomial",
        names.CIRCUIT + names.QUERIES: "queries",
        names.CIRCUIT + names.T_GATES: "T gates",
        names.CIRCUIT + names.SUCCESS_PROBABILITY: "success probability",
        names.ERROR_TO_DIRECT: "error to direct solution",
        names.ERROR_TO_DESCENT: "error to the map itself",
        names.CIRCUIT_STATUS: "Outcome",
    }
    return [(label, record.rows[name]) for name, label in labels.items() if name in record.rows]


def _depth_row(found: Found) -> Row:
    """Layers of Toffoli gates of one query."""
    # Qualtran takes seconds to import
    from qdescent.quantum.inspect.toffoli_depth import toffoli_depth

    source = "one query gate by gate, each as soon as its qubits allow"
    return Row(
        "circuit/query_depth",
        toffoli_depth(query_of(found)),
        "layers of Toffoli gates",
        Evidence.EXACT,
        source,
    )


def _exported(found: Found, system: HistorySystem | None, order: int, directory: Path) -> list[Row]:
    """Write one query as gates with what is needed to use it, and say how many gates there are."""
    # Qualtran takes seconds to import
    from qdescent.quantum.inspect.qasm import gate_list, to_openqasm

    query = query_of(found)
    gates = gate_list(query)
    if isinstance(found, MapSegment):
        remarks = segment_remarks(found, len(found.value))
    else:
        assert system is not None
        remarks = export_remarks(found, system, order, query)
    write_document(directory / EXPORT_FILE, to_openqasm(gates, remarks))
    source = f"one query down to single gates, in {EXPORT_FILE}"
    counted: list[tuple[str, int, str]] = [
        ("qubits", sum(gates.registers.values()) + gates.work, "qubits"),
        ("gates", len(gates.operations), "gates"),
        ("toffoli", gates.counts.get("ccx", 0) + gates.counts.get("cswap", 0), "Toffoli gates"),
    ]
    return [
        Row(f"circuit/export_{name}", value, unit, Evidence.EXACT, source)
        for name, value, unit in counted
    ]


def _noise_rows(settings: CircuitSettings, found: Found) -> list[Row]:
    """How far u_T is off where each query may fail."""
    rates = sorted({*NOISE_RATES, settings.noise} - {0.0})
    of = found.cost.number
    # of the last run, without a search before it
    queries = of(names.FORWARD_QUERIES) + of(names.ADJOINT_QUERIES)
    machine = of(names.SUCCESS_PROBABILITY), int(queries), int(of(names.QUBITS))
    value = found.value
    errors = [relative(noisy_solution(value, *machine, rate), value) for rate in rates]
    model = (
        "depolarising: a query leaves the fully mixed state with this chance (closed form), signs"
        " taken as right"
    )
    rows = [
        Row(names.NOISE_RATES, rates, "errors a query", Evidence.ASSUMED, "a scale of rates"),
        Row(
            names.NOISE_ERRORS, errors, "1", Evidence.MODELLED, f"||Z_noisy - Z|| / ||Z||; {model}"
        ),
    ]
    if settings.noise:
        here = errors[rates.index(settings.noise)]
        rows.append(
            Row(
                "noise/error",
                here,
                "1",
                Evidence.MODELLED,
                f"the same at setting `noise` = {settings.noise:g}",
            )
        )
    return rows
