"""How do queries grow with the number of steps T, and gates with the number of weights n?

    python benchmarks/scaling.py

Queries: a quadratic map of two unknowns (F_0, F_2 small), order 2, T from 8 to 128, kappa = alpha
||M^-1||, measured on the sparse factors of M. A run is kept with the probability of finding u_T;
amplitude amplification takes its root. The fitted slope of ln queries against ln T stands beside
the paper's 1 (fully dissipative) and 2 (almost); kappa alone, with and without F_0 at order 1 and
2, shows where the powers come from. Gates: the ledger's model of one solve at fixed kappa, under
QROM, QROAM and QRAM.
"""

import time

import numpy as np
import scipy.sparse as sparse
import torch
from protocol import environment, save
from scipy.sparse.linalg import LinearOperator, splu, svds

import qdescent as qd
from qdescent.linalg.chebyshev import minimax_inverse
from qdescent.quantum.gates.loaders import LOADERS
from qdescent.resources.ways.history import UNKNOWN, history_ways
from qdescent.resources.ways.priced import run_cost
from qdescent.resources.ways.queries import kernel_reflection_queries

FAMILIES = {  # eigenvalues of F_1 = I - eta H
    "fully dissipative": (0.9, 0.6),
    "almost dissipative": (1.0, 0.6),
    "not dissipative": (1.05, 0.6),
}
STEPS = (8, 16, 32, 64, 128)
# beyond, kappa passes 10^7 and the polynomial alone takes minutes
MOST_STEPS = {"not dissipative": 64}
EPSILON = 1e-3


def history(factors, steps, padding, order=2, pull=(0.05, -0.02)):
    """The history system of the family's map, F_0 = pull."""
    F2 = 0.01 * torch.tensor([[1.0, -0.5, -0.5, 0.3], [-0.5, 0.3, 0.3, 1.0]], dtype=torch.float64)
    f = qd.PolynomialMap(
        [torch.tensor(pull, dtype=torch.float64), torch.diag(torch.tensor(factors)).double(), F2]
    )
    lift = qd.carleman_linearize(f, order=order, symmetric=True)
    return qd.history_system(lift, torch.full((2,), 0.1, dtype=torch.float64), steps, padding)


def inverse_norm(system):
    """||M^-1||_2 from the sparse factors of M, and M^-1 B."""
    rows, columns, values = (part.numpy() for part in system.entries())
    factors = splu(sparse.csc_matrix((values, (rows, columns)), shape=(system.size, system.size)))
    inverse = LinearOperator(
        (system.size,) * 2,
        matvec=factors.solve,
        rmatvec=lambda x: factors.solve(x, trans="T"),
        dtype=np.float64,
    )
    largest = svds(inverse, k=1, return_singular_vectors=False, random_state=0)
    return float(largest[0]), torch.from_numpy(factors.solve(system.rhs.numpy()))


def queries(factors, steps, padding):
    """Queries until u_T is found, with amplification: QSVT, kernel reflection; and kappa."""
    system = history(factors, steps, padding)
    alpha = qd.BalancedEntries().plan(system).alpha
    norm, solution = inverse_norm(system)
    kappa = alpha * norm
    found = system.end_probability(solution) ** 0.5
    polynomial = minimax_inverse(kappa, EPSILON)
    kept = (
        float(torch.linalg.vector_norm(solution))
        * alpha
        / float(torch.linalg.vector_norm(system.rhs))
        / polynomial.supremum
    )
    return {
        "qsvt": polynomial.degree / (kept * found),
        "kernel reflection": kernel_reflection_queries(kappa, EPSILON) / found,
        "kappa": kappa,
    }


def against_steps():
    """The best padding for each T and solver, and the fitted slopes."""
    table = {}
    for family, factors in FAMILIES.items():
        rows = []
        for steps in STEPS:
            if steps > MOST_STEPS.get(family, steps):
                continue
            tried = {
                p: queries(factors, steps, p)
                for p in sorted({0, steps // 8, steps // 4, steps // 2, steps, 2 * steps})
            }
            row = {"steps": steps}
            for solver in ("qsvt", "kernel reflection"):
                p = min(tried, key=lambda p, solver=solver: tried[p][solver])
                row[solver] = {
                    "queries": tried[p][solver],
                    "padding": p,
                    "kappa": tried[p]["kappa"],
                }
                row[solver]["without padding"] = tried[0][solver]
            rows.append(row)
            print(family, row, flush=True)
        last = rows[-3:]  # the three longest T: the slope once the transient is over
        slopes = {
            solver: float(
                np.polyfit(
                    np.log([r["steps"] for r in last]),
                    np.log([r[solver]["queries"] for r in last]),
                    1,
                )[0]
            )
            for solver in ("qsvt", "kernel reflection")
        }
        table[family] = {"eigenvalues of F_1": factors, "rows": rows, "slope": slopes}
        print(family, "slopes", slopes, flush=True)
    return table


def kappa_against_steps():
    """alpha ||M^-1|| with p = T/4 at order 1 and 2, with F_0 and without: where the powers of T
    come from.
    """
    rows = []
    for family in ("fully dissipative", "almost dissipative"):
        for order in (1, 2):
            for pull in ((0.05, -0.02), (0.0, 0.0)):
                kappas = {}
                for steps in STEPS[2:]:
                    system = history(FAMILIES[family], steps, steps // 4, order, pull)
                    kappas[steps] = (
                        qd.BalancedEntries().plan(system).alpha * inverse_norm(system)[0]
                    )
                rows.append({"family": family, "order": order, "F_0": pull, "kappa": kappas})
                print(rows[-1], flush=True)
    return rows


def against_weights():
    """Toffoli gates, their layers and logical qubits of one solve by n, and how long the counting
    took.
    """
    rows = []
    for exponent in range(4, 13, 2):
        n = 10**exponent
        instance = qd.RoundSpec(
            n=n,
            parameters=10 * n,
            order=2,
            steps=100,
            padding=0,
            kappa=300.0,
            sparsity=10,
            batch=512,
            forward_macs=n,
        )
        start = time.perf_counter()
        way = next(way for way in history_ways(instance) if way.name == UNKNOWN)
        costs = {loader: run_cost(instance, way, loader) for loader in LOADERS}
        took = time.perf_counter() - start
        counts = {
            loader: {
                "toffoli": cost.counts.toffoli,
                "depth": cost.depth,
                "qubits": cost.counts.qubits,
            }
            for loader, cost in costs.items()
        }
        rows.append({"n": n, **counts, "seconds of counting": took})
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    content = {
        "question": (
            "How do queries grow with T (order 2, two unknowns, epsilon 1e-3), and gates with n"
            " (kappa 300, s 10)?"
        ),
        "queries_against_steps": against_steps(),
        "kappa_against_steps": kappa_against_steps(),
        "gates_against_weights": against_weights(),
        "environment": environment(),
    }
    save("scaling", content)
