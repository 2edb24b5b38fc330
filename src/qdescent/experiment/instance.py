"""Stage (e) of the main job: the largest kept weights of the network, descended by a quantum circuit."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from qdescent._evidence import Evidence, Row
from qdescent.carleman.bounds import history_kappa_bound
from qdescent.carleman.history import HistorySystem, history_system
from qdescent.carleman.linearization import carleman_linearize
from qdescent.experiment.comparison import Pruned
from qdescent.experiment.workspace import Workspace
from qdescent.learning.gradient_map import gradient_map
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.solvers.classical import Direct
from qdescent.solvers.polynomial import QSVT
from qdescent.solvers.solve import solve
from qdescent.training.descent import displacements


@dataclass(frozen=True)
class CircuitInstance:
    """A few weights of a real network, small enough to be simulated as a circuit.

    Args:
        system: the homogenised history system of order N.
        linear: the same at order 1, which sees no change of curvature.
        linear_step: F_1 = I - eta H, (n, n).
        truth: u_T of true gradient descent, (n,).
    """

    system: HistorySystem = field(repr=False)
    linear: HistorySystem = field(repr=False)
    linear_step: Tensor = field(repr=False)
    truth: Tensor


def build_instance(workspace: Workspace, pruned: Pruned) -> CircuitInstance:
    """The trained network restricted to its largest kept weights, the others frozen; F_0 ... F_N by exact derivatives."""
    settings = workspace.settings
    count, order = settings.circuit_weights, settings.circuit_order
    network = copy.deepcopy(pruned.network).double()
    images, labels = pruned.tasks[0].data
    whole = ParameterSpace(network, pruned.mask)
    space = whole.restrict(whole.theta, whole.theta.abs().topk(min(count, whole.n)).indices)
    task = Task(network, pruned.tasks[0].loss, (images.double(), labels))
    rate = settings.circuit_learning_rate
    f = gradient_map(task, space, rate, degree=order, theta=space.theta)
    zero = torch.zeros(space.n, dtype=torch.float64)
    system, linear = (
        history_system(carleman_linearize(f, each), zero, settings.circuit_steps, settings.circuit_padding) for each in (order, 1)
    )
    walk = displacements(task, space, space.theta, rate)
    for _ in range(settings.circuit_steps):
        _, end = next(walk)
    return CircuitInstance(system, linear, f.coefficients[1], end)


def run_instance(workspace: Workspace, pruned: Pruned) -> list[Row]:
    """Solve the instance as a circuit, and show it beside the direct solution and true descent."""
    settings, progress = workspace.settings, workspace.progress
    progress.start("Quantum circuit", 1)
    with workspace.stage("circuit"):
        instance = build_instance(workspace, pruned)
        direct, linear = solve(instance.system, Direct()), solve(instance.linear, Direct())
        kappa = float(torch.linalg.cond(instance.system.matrix.to_dense(), 2))
        found = solve(instance.system, QSVT(epsilon=settings.circuit_epsilon, circuit=True))
    progress.advance()
    distance = _relative(found.answer, direct.answer)
    a = float(torch.linalg.matrix_norm(instance.linear_step, 2))
    model = history_kappa_bound(max(a, a**settings.circuit_order), settings.circuit_steps, settings.circuit_padding)
    qubits, degree = found.values["qubits"], found.values["degree"]
    progress.finish(f"{qubits:.0f} qubits, degree {degree:.0f}, {distance:.1e} from the direct solution")

    exact, assumed = Evidence.EXACT, Evidence.ASSUMED
    simulated = "state vector of the circuit, post-selected"
    rows = [
        Row("circuit/n", instance.system.variables, "weights", assumed, "setting `circuit_weights`, the largest kept ones"),
        Row("circuit/order", settings.circuit_order, "1", assumed, "setting `circuit_order`"),
        Row("circuit/learning_rate", settings.circuit_learning_rate, "1", assumed, "setting `circuit_learning_rate`"),
        Row("circuit/steps", settings.circuit_steps, "steps", assumed, "setting `circuit_steps`"),
        Row("circuit/padding", settings.circuit_padding, "steps", assumed, "setting `circuit_padding`"),
        Row("circuit/unknowns", instance.system.size, "1", exact, "rows of the history matrix"),
        Row("circuit/answer", found.answer.tolist(), "1", exact, f"u_T: {simulated}"),
        Row("circuit/direct", direct.answer.tolist(), "1", exact, "u_T: sparse LU of the same history system"),
        Row("circuit/descent", instance.truth.tolist(), "1", exact, "u_T: gradient descent on the same weights, no truncation"),
        Row("circuit/error_to_direct", distance, "1", exact, "||u_circuit - u_direct|| / ||u_direct||"),
        Row("circuit/error_to_descent", _relative(found.answer, instance.truth), "1", exact, "||u_circuit - u_GD|| / ||u_GD||"),
        Row(
            "circuit/order_error",
            _relative(direct.answer, instance.truth),
            "1",
            exact,
            "||u_direct - u_GD|| / ||u_GD||: truncation alone",
        ),
        Row("circuit/order_1_error", _relative(linear.answer, instance.truth), "1", exact, "the same at order 1, for comparison"),
        Row("circuit/matrix_kappa", kappa, "1", exact, "||M|| ||M^-1|| by singular values"),
        Row("circuit/kappa_over_model", kappa / model, "1", exact, "that, over the model of kappa by which the ledger prices"),
        Row("circuit/status", str(found.status), "", exact, "solver's own judgement by the residual"),
        Row("circuit/residual", found.residual, "1", exact, "||M Z - B|| / ||B||"),
        Row("circuit/bound", found.bound, "1", Evidence.BOUNDED, "relative error of Z: polynomial, angles (sampled), preparation"),
    ]
    return rows + [
        replace(row, name=row.name.replace("solver/", "circuit/"), source=row.source.replace("`epsilon`", "`circuit_epsilon`"))
        for row in found.cost
    ]


def _relative(x: Tensor, reference: Tensor) -> float:
    return float(torch.linalg.vector_norm(x - reference) / torch.linalg.vector_norm(reference))
