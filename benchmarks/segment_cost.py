"""What does a segment of T steps cost, four ways? Queries, T gates, gradients.

    python benchmarks/segment_cost.py

The demo's CNN, trained and pruned, all but its two largest weights frozen, so that every figure can
be computed: (1) the history system in units of 1, as in the paper; (2) in its best units; (3)
fast-forwarded, also after eight steps that a classical computer takes; each with the queries until
a run succeeds, and the T gates of one query; (4) classically, in gradients. kappa = alpha ||M^-1||
is exact, by singular values. The learning rate is the network's own, and one so large that two
weights move.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from network import RATE, pruned_network
from protocol import environment, save
from qualtran.resource_counting import QECGatesCost, get_cost_value

import qdescent as qd
from qdescent.carleman.best_history import best_history
from qdescent.carleman.majorant import norms_of
from qdescent.quantum.algorithms.rounds import rounds_needed
from qdescent.solvers.encodings import BalancedEntries
from qdescent.solvers.segment.map_segment import fast_forward_map

OWN_RATE = 0.1
STEPS = (4, 20, 64)
ORDERS = (1, 2)
EPSILON = 1e-4
TAKEN = 8  # steps of the map before the rest is fast-forwarded
T_PER_ROTATION = 1.149 * math.log2(100 / EPSILON) + 9.2  # Kliuchnikov et al., arXiv:2203.10064


def t_gates(matrix) -> float:
    """Of one query to the balanced block-encoding: its angles good to a hundredth of epsilon, four
    a Toffoli, and rotations by synthesis at the same error.
    """
    counts = get_cost_value(qd.block_encode(matrix, epsilon=EPSILON / 100), QECGatesCost())
    toffoli = counts.and_bloq + counts.toffoli + counts.cswap
    return float(counts.t + 4 * toffoli + T_PER_ROTATION * counts.rotation)


def until_success(queries: float, probability: float) -> float:
    """Repeated, or amplified, whichever takes fewer."""
    return min(queries / probability, queries * (2 * rounds_needed(probability) + 1))


def history(f: qd.PolynomialMap, order: int, steps: int, scaled: bool) -> dict:
    """One kernel reflection, norm known, until it succeeds and u_T is found."""
    norms = norms_of(f, steps, order)
    unit = None if scaled else 1.0
    choice = best_history(norms, order, steps, scale=unit)
    lift = qd.carleman_linearize(f, order, scale=choice.scale)
    start = torch.zeros(f.size, dtype=torch.float64)
    system = qd.history_system(lift, start, steps, choice.padding)
    alpha = BalancedEntries().plan(system).alpha
    matrix = system.matrix.to_dense()
    values = torch.linalg.svdvals(matrix)
    kappa = alpha / float(values[-1])
    queries = qd.KernelReflection(epsilon=EPSILON).forecast(kappa)
    probability = float(system.success_probability)
    each = t_gates(matrix.numpy())
    expected = until_success(queries, probability)
    return {
        "scale": choice.scale,
        "padding": choice.padding,
        "unknowns": system.size,
        "alpha_over_norm": alpha / float(values[0]),
        "kappa": kappa,
        "kappa_bound": choice.kappa_bound,
        "queries_of_a_run": queries,
        "success_probability": probability,
        "queries": expected,
        "t_gates_of_a_query": each,
        "t_gates": expected * each,
    }


def forwarded(f: qd.PolynomialMap, order: int, steps: int) -> dict:
    """Polynomials of F_1; repeated, each run ended where an ancilla is not 0, or amplified."""
    found = fast_forward_map(f, steps, order, EPSILON)
    cost = {each.name: float(each.value) for each in found.cost if not isinstance(each.value, str)}
    step = f.coefficients[1].to_dense().numpy()
    each = t_gates(step - cost["shift"] * np.eye(f.size))
    expected = min(
        cost["expected_queries"],
        until_success(cost["declared_queries"], cost["success_probability"]),
    )
    return {
        "queries_of_a_run": cost["declared_queries"],
        "state_preparations": cost["state_preparations"],
        "success_probability": cost["success_probability"],
        "queries": expected,
        "t_gates_of_a_query": each,
        "t_gates": expected * each,
        "nodes": found.nodes,
        "bound": found.bound,
        "status": found.status.name,
    }


def main() -> None:
    """All instances."""
    task, whole = pruned_network()
    space = whole.restrict(whole.theta, whole.theta.abs().topk(2).indices)
    rows = []
    for eta in (OWN_RATE, RATE):
        f = qd.gradient_map(task, space, eta, degree=2, theta=space.theta)
        rest = f.recentred(f.iterate(torch.zeros_like(space.theta), TAKEN)[-1])
        for order in ORDERS:
            for steps in STEPS:
                classical = qd.fast_forward(task, space, steps, eta, order, tolerance=EPSILON)
                row = {
                    "learning_rate": eta,
                    "order": order,
                    "steps": steps,
                    "history": history(f, order, steps, scaled=False),
                    "scaled_history": history(f, order, steps, scaled=True),
                    "fast_forward": forwarded(f, order, steps),
                    "fast_forward_after_8_steps": (
                        forwarded(rest, order, steps - TAKEN) if steps > TAKEN else None
                    ),
                    "gradients": {"descent": steps, "fast_forward": classical.gradients},
                }
                rows.append(row)
                told = {k: round(row[k]["queries"]) for k in ("history", "scaled_history")}
                told["fast_forward"] = round(row["fast_forward"]["queries"])
                print(f"eta {eta:g}, order {order}, T {steps}: {told}", flush=True)
    content = {
        "question": (
            "Queries until success, T gates and gradients of a segment, four ways: two"
            f" weights of the demo's CNN, epsilon {EPSILON:g}"
        ),
        "instances": rows,
        "target": {"kernel reflection over fast-forward, T = 4 and 20": 10},
        "environment": environment(),
    }
    save("segment_cost", content)


if __name__ == "__main__":
    main()
