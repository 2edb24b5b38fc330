"""A small map as a quantum circuit: stage (e) of the main job, on the network's largest kept
weights, and `qdescent circuit`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row
from qdescent.carleman.best_history import LARGEST_FACTOR
from qdescent.carleman.history import HistorySystem, history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.experiment.run.beside import at_rate, both_ways
from qdescent.experiment.run.settings import UNKNOWNS_LIMIT, Settings, history_unknowns
from qdescent.experiment.run.training import Pruned
from qdescent.experiment.workspace import Workspace
from qdescent.learning.gradient_map import gradient_map
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.linalg.inner_product import power_of_two
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.report.files import write_arrays
from qdescent.rows import names
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.classical import Direct
from qdescent.solvers.encodings import ColouredEntries, ComposedHistory
from qdescent.solvers.kernel_reflection import KernelReflection
from qdescent.solvers.segment.map_segment import MapSegment
from qdescent.solvers.solve import Solution, Solver, solve
from qdescent.training.descent import displacements

INSTANCE_FILE = "instance.npz"  # F_0, F_1, ...: what `qdescent circuit` reads


@dataclass(frozen=True, eq=False)
class CircuitInstance:
    """A few unknowns, small enough to be simulated as a circuit.

    Args:
        system: the homogenised history system of order N; its unit and padding are those of the
            fewest queries where they are not given.
        linear: the same at order 1, which sees no change of curvature.
        unscaled: the system in units of 1.
        truth: u_T without truncation, (n,).
        order: N.
    """

    system: HistorySystem = field(repr=False)
    linear: HistorySystem = field(repr=False)
    unscaled: HistorySystem = field(repr=False)
    truth: Tensor
    order: int


def instance_of(
    f: PolynomialMap,
    start: Tensor,
    order: int,
    steps: int,
    truth: Tensor,
    padding: int | None = None,
    scale: float | None = None,
) -> CircuitInstance:
    """The instance of a map: T steps from `start`, p copies of the end, at orders N and 1; the
    padding and the unit of fewest queries where they are not given.
    """
    block = history_unknowns(f.size, order, 1, 0) // 2
    most = int(min(UNKNOWNS_LIMIT // block - steps - 1, LARGEST_FACTOR * steps))
    system = history_system(
        f, start, steps, padding, order=order, scale=scale, largest=max(most, 0)
    )
    linear, unscaled = (
        history_system(carleman_linearize(f, each, scale=unit), start, steps, system.padding)
        for each, unit in ((1, system.scale), (order, 1.0))
    )
    return CircuitInstance(system, linear, unscaled, truth, order)


def network_map(workspace: Workspace[Settings], pruned: Pruned) -> tuple[PolynomialMap, Tensor]:
    """The trained network restricted to its largest kept weights, the others frozen: F_0 ... F_N by
    exact derivatives, and u_T.
    """
    settings = workspace.settings
    network = copy.deepcopy(pruned.network).double()
    images, labels = pruned.tasks[0].data
    whole = ParameterSpace(network, pruned.mask)
    space = whole.restrict(
        whole.theta, whole.theta.abs().topk(min(settings.circuit_weights, whole.n)).indices
    )
    task = Task(network, pruned.tasks[0].loss, (images.double(), labels))
    rate = settings.circuit_learning_rate
    walk = displacements(task, space, space.theta, rate)
    for _ in range(settings.circuit_steps):
        _, end = next(walk)
    return gradient_map(task, space, rate, degree=settings.circuit_order, theta=space.theta), end


def run_instance(workspace: Workspace[Settings], pruned: Pruned) -> list[Row]:
    """Solve the network's instance as a circuit, show it beside the direct solution and true
    descent, and keep its map.
    """
    settings, progress = workspace.settings, workspace.progress
    progress.start("Quantum circuit", 1)
    order, steps, padding = task = (
        settings.circuit_order,
        settings.circuit_steps,
        settings.circuit_padding,
    )
    assumed, source = Evidence.ASSUMED, "setting `circuit_{}`".format
    with workspace.stage("circuit"):
        f, truth = network_map(workspace, pruned)
        arrays = {f"F{k}": F.to_dense() for k, F in enumerate(f.coefficients)}
        write_arrays(workspace.directory / INSTANCE_FILE, arrays)
        given = [
            Row(
                names.CIRCUIT_N,
                f.size,
                "weights",
                assumed,
                f"{source('weights')}, the largest kept ones",
            ),
            Row(names.CIRCUIT_ORDER, order, "1", assumed, source("order")),
            Row(
                names.CIRCUIT_LEARNING_RATE,
                settings.circuit_learning_rate,
                "1",
                assumed,
                source("learning_rate"),
            ),
            Row(names.CIRCUIT_STEPS, steps, "steps", assumed, source("steps")),
            Row(names.CIRCUIT_PADDING, padding, "steps", assumed, source("padding")),
        ]
        start = torch.zeros(f.size, dtype=torch.float64, device="cpu")
        solver = KernelReflection(
            epsilon=settings.circuit_epsilon,
            circuit=Circuit(most_seconds=settings.most_seconds),
            seed=settings.seed,
        )
        own = settings.learning_rate / settings.circuit_learning_rate
        try:
            instance = instance_of(f, start, order, steps, truth, padding)
            found, rows = solve_instance(instance, solver)
            outcome = summary(found, rows)
        except ArgumentError as refusal:  # hours of training are not to be lost for it
            rows, outcome = [_refused(refusal)], "not solved, see the page"
    progress.advance()
    progress.finish(outcome)
    rows += both_ways(f, *task, settings.circuit_epsilon, names.CIRCUIT)
    rows += both_ways(at_rate(f, own), *task, settings.circuit_epsilon, "circuit/own_rate_")
    return given + [
        replace(row, source=source("epsilon")) if row.name.endswith(f"/{names.EPSILON}") else row
        for row in rows
    ]


def _refused(refusal: ArgumentError) -> Row:
    """Why there is no circuit, in the words of whoever refused it and the names of the run."""
    own = ("epsilon", "order", "steps", "padding")
    said = refusal.called(**{name: f"circuit_{name}" for name in own})
    source = "the solver's refusal; `qdescent circuit` solves instance.npz with other settings"
    return Row(names.CIRCUIT_STATUS, f"not solved: {said}", "", Evidence.EXACT, source)


def solve_instance(instance: CircuitInstance, solver: Solver) -> tuple[Solution, list[Row]]:
    """The circuit's solution, and rows that hold it against the direct one and the map itself."""
    direct, linear = solve(instance.system, Direct()), solve(instance.linear, Direct())
    kappa = float(torch.linalg.cond(instance.system.matrix.to_dense(), 2))
    found = solve(instance.system, solver)
    exact = Evidence.EXACT
    simulated = "state vector of the circuit, post-selected"
    descent = "u_T: the map's own steps, no truncation"
    zero = "" if bool(instance.truth.any()) else " (u_T = 0: the distance itself)"
    facts: list[tuple[str, float | str | list[float], str]] = [
        (names.UNKNOWNS, instance.system.size, "rows of the history matrix"),
        (names.CIRCUIT_ANSWER, found.answer.tolist(), f"u_T: {simulated}"),
        (names.CIRCUIT_DIRECT, direct.answer.tolist(), "u_T: sparse LU of the same history system"),
        (names.CIRCUIT_DESCENT, instance.truth.tolist(), descent),
        (
            names.ERROR_TO_DIRECT,
            relative(found.answer, direct.answer),
            f"||u_circuit - u_direct|| / ||u_direct||{zero}",
        ),
        (
            names.ERROR_TO_DESCENT,
            relative(found.answer, instance.truth),
            f"||u_circuit - u_GD|| / ||u_GD||{zero}",
        ),
        (
            "circuit/order_error",
            relative(direct.answer, instance.truth),
            "||u_direct - u_GD|| / ||u_GD||: truncation alone",
        ),
        (
            names.ORDER_1_ERROR,
            relative(linear.answer, instance.truth),
            "the same at order 1, for comparison",
        ),
        ("circuit/matrix_kappa", kappa, "||M|| ||M^-1|| by singular values"),
        (
            names.CIRCUIT_STATUS,
            str(found.status),
            "solver's own judgement by residual, second solve and kappa",
        ),
        ("circuit/residual", found.residual, "||M Z - B|| / ||B||"),
    ]
    rows = [
        Row(name, value, "" if name == names.CIRCUIT_STATUS else "1", exact, source)
        for name, value, source in facts
    ]
    return found, [
        *rows,
        *_unit_rows(instance, kappa, solver, found),
        *found.cost.under(names.CIRCUIT),
    ]


def _unit_rows(
    instance: CircuitInstance, kappa: float, solver: Solver, found: Solution
) -> list[Row]:
    """The unit, the bound on kappa, and what both units make of kappa, alpha and ANDs."""
    system, unscaled, chosen = instance.system, instance.unscaled, instance.system.choice
    chose, exact = Evidence.MODELLED, Evidence.EXACT
    fewest = "gamma of u = gamma u~: fewest queries by the bound on kappa and the success"
    rows = [Row("circuit/scale", system.scale, "1", chose, fewest)]
    if chosen is not None:
        source = "history_kappa_bound of ||F_0||, ||F_1^d||, ||F_2||, ... in these units"
        rows += [
            Row("circuit/kappa_bound", chosen.kappa_bound, "1", Evidence.BOUNDED, source),
            Row("circuit/kappa_over_bound", kappa / chosen.kappa_bound, "1", exact, "matrix_kappa"),
        ]
    before = float(torch.linalg.cond(unscaled.matrix.to_dense(), 2))
    same = "the same map, steps and padding in units of 1"
    rows += [Row("circuit/unscaled_matrix_kappa", before, "1", exact, f"||M|| ||M^-1||: {same}")]
    built = getattr(solver, "circuit", None)
    if (
        found.circuit is None
        or not isinstance(built, Circuit)
        or names.ANGLE_BITS not in found.cost
    ):
        return rows
    bits = int(found.cost.number(names.ANGLE_BITS))
    for name, one, of in (("", system, "of this system"), ("unscaled_", unscaled, same)):
        encoding = getattr(solver, "encoding", ColouredEntries())
        if isinstance(encoding, ComposedHistory):
            encoding = replace(encoding, scale=one.scale)
        plan = encoding.plan(one)
        ands = _and_gates(plan.encode(bits, built.loader))
        rows += [
            Row(f"circuit/{name}query_ands", ands, "AND gates", exact, f"one query: {of}"),
            *([Row(f"circuit/{name}alpha", plan.alpha, "1", exact, of)] if name else []),
        ]
    return rows


def _and_gates(query: Any) -> int:
    # Qualtran takes seconds to import
    from qualtran.resource_counting import QECGatesCost, get_cost_value

    return int(get_cost_value(query, QECGatesCost()).and_bloq)


def summary(found: Solution | MapSegment, rows: list[Row]) -> str:
    """Qubits, degree and error in a few words."""
    distance = next(row.value for row in rows if row.name == names.ERROR_TO_DIRECT)
    cost = found.cost
    # a phase estimation is no polynomial of one degree
    length = (
        f"degree {cost.number(names.DEGREE)}"
        if names.DEGREE in cost
        else f"{cost.number(names.QUERIES)} queries"
    )
    size = f"{cost.number(names.QUBITS)} qubits, {length}"
    return f"{size}, {distance:.1e} from the direct solution"


def relative(x: Tensor, reference: Tensor) -> float:
    """||x - reference|| / ||reference||; the distance itself where the reference is 0."""
    unit = power_of_two(reference.abs().max())  # float64 need not hold the squares
    x, reference = x / unit, reference / unit
    length = float(torch.linalg.vector_norm(reference))
    return float(torch.linalg.vector_norm(x - reference)) / (length or 1.0)
