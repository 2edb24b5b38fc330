"""How do queries grow with the number of steps T, and gates with the number of weights n?

    python benchmarks/scaling.py             # all parts, each kept as it is found
    python benchmarks/scaling.py --only maps # or: network, gates
    python benchmarks/scaling.py --forward   # fast-forward anew beside the known histories

Maps of two unknowns u <- F_0 + F_1 u + F_2 u (x) u whose orbits stay bounded (checked for 20,000
steps), fully, almost and not dissipative, order 1 to 4, T to 512; and the maps of the two to four
largest weights of a trained network. For each T the history as it stands (units of 1, best padding)
and in the unit that `best_history` finds: kappa = ||M|| ||M^-1|| by the sparse factors of M, the
probability P of finding u_T, kappa/sqrt(P) and its bound, the truncation error against the true
orbit; and at order 1 and 2 the queries of the fast-forwarded segment. Slopes of the logarithms
over the last four T, with their standard errors, beside the paper's 1 (fully dissipative) and 2
(almost). Gates: the ledger's model of one solve at fixed kappa, under QROM, QROAM and QRAM.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import scipy.sparse as sparse
import torch
from network import RATE, pruned_network
from protocol import RESULTS, environment, save
from scipy.sparse.linalg import LinearOperator, splu, svds

import qdescent as qd
from qdescent.carleman.majorant import norms_of
from qdescent.quantum.gates.loading.loaders import LOADERS
from qdescent.resources.ways.history import UNKNOWN, history_ways
from qdescent.resources.ways.priced import run_cost

# eigenvalues of F_1 = I - eta H, F_0, and the size of F_2: the neutral and the growing mode are
# held by the quadratic term, at sqrt(F_0 / c) and (lambda - 1) / c
FAMILIES = {
    "fully dissipative": ((0.9, 0.6), (0.05, -0.02), 0.01),
    "almost dissipative": ((1.0, 0.6), (1e-4, 0.02), 0.001),
    "almost dissipative, ten times the coupling": ((1.0, 0.6), (1e-4, 0.02), 0.01),
    "almost dissipative, to the radius": ((1.0, 0.6), (5e-4, -0.02), 0.01),
    "not dissipative": ((1.02, 0.6), (1e-4, 0.02), 0.01),
}
PAPER = {"fully dissipative": 1, "not dissipative": None}  # all others: 2
STEPS = (16, 32, 64, 128, 256, 512)
ORDERS = (1, 2, 3, 4)
FITTED = 4  # the longest T: the slope once the transient is over
OWN_RATE = 0.1
EPSILON = 1e-3
MOST_KAPPA = 1e11  # beyond, double precision no longer tells ||M^-1||
ORBIT = 20_000


def family_map(name):
    """The map: F_2 is the third derivative of a function, as a gradient's is."""
    factors, constant, size = FAMILIES[name]
    coupling = size * torch.tensor([[-1.0, -0.5, -0.5, 0.3], [-0.5, 0.3, 0.3, 1.0]]).double()
    linear = torch.diag(torch.tensor(factors, dtype=torch.float64))
    return qd.PolynomialMap([torch.tensor(constant, dtype=torch.float64), linear, coupling])


def orbit(f, steps):
    """u_0 ... u_T of the true map, (T + 1, n)."""
    F = [coefficient.to_dense().numpy() for coefficient in f.coefficients]
    u, found = np.zeros(f.size), [np.zeros(f.size)]
    for _ in range(steps):
        power, new = np.ones(1), F[0][:, 0].copy()
        for coefficient in F[1:]:
            power = np.kron(power, u)
            new += coefficient @ power
        u = new
        found.append(u)
    return np.array(found)


def solved(f, order, steps, padding, scale):
    """||M|| ||M^-1|| from the sparse factors of M, the probability of u_T, and u_T."""
    lift = qd.carleman_linearize(f, order, scale=scale)  # the bound is one of full coordinates
    system = qd.history_system(lift, torch.zeros(f.size, dtype=torch.float64), steps, padding)
    rows, columns, values = (part.numpy() for part in system.entries())
    matrix = sparse.csc_matrix((values, (rows, columns)), shape=(system.size, system.size))
    factors = splu(matrix)
    inverse = LinearOperator(
        (system.size,) * 2,
        matvec=factors.solve,
        rmatvec=lambda x: factors.solve(x, trans="T"),
        dtype=np.float64,
    )
    largest = [
        float(svds(each, k=1, return_singular_vectors=False, random_state=0)[0])
        for each in (matrix, inverse)
    ]
    solution = torch.from_numpy(factors.solve(system.rhs.numpy()))
    return (
        largest[0] * largest[1],
        system.end_probability(solution),
        system.extract(solution).numpy(),
    )


def histories(f, order, steps, truth):
    """As it stands and in its best unit; None where kappa is beyond double precision."""
    norms, found = norms_of(f, steps, order), {}
    for name, unit in (("as it stands", 1.0), ("scaled", None)):
        try:
            choice = qd.best_history(norms, order, steps, scale=unit)
        except qd.ArgumentError:
            return None
        kappa, probability, end = solved(f, order, steps, choice.padding, choice.scale)
        if not kappa < MOST_KAPPA:
            return None
        found[name] = {
            "scale": choice.scale,
            "padding": choice.padding,
            "kappa": kappa,
            "probability": probability,
            "cost": kappa / probability**0.5,
            "bound on the cost": choice.kappa_bound / probability**0.5,
        }
    found["truncation error"] = float(np.linalg.norm(end - truth) / np.linalg.norm(truth))
    return found


def forwarded(f, order, steps):
    """Queries of the polynomials until they succeed, repeated or amplified, whichever takes fewer;
    and by how much the largest mode of u_T has to be raised over its share of F_0.
    """
    try:
        found = qd.fast_forward_map(f, steps, order, EPSILON)
    except qd.ArgumentError as refused:
        return {"refused": str(refused)}
    cost = {row.name: row.value for row in found.cost}
    start = float(torch.linalg.vector_norm(f.coefficients[0].to_dense()))
    return {
        "queries": min(float(cost[name]) for name in ("expected_queries", "amplified_queries")),
        "queries of a run": int(cost["declared_queries"]),
        "queries of the start": int(cost["start_queries"]),
        "degree": int(cost["degree"]),
        "success probability": float(cost["success_probability"]),
        "T ||F_0|| / ||u_T||": steps * start / float(torch.linalg.vector_norm(found.value)),
        "status": found.status.name,
    }


def slope(rows, value, fitted=FITTED):
    """Of ln value against ln T over the last rows with one, and its standard error."""
    points = [(row["steps"], value(row)) for row in rows]
    points = [point for point in points if point[1] is not None][-fitted:]
    if len(points) < 3:
        return None
    x, y = np.log(np.array(points, dtype=float)).T
    (power, _), covariance = np.polyfit(x, y, 1, cov="unscaled")
    rest = y - np.polyval(np.polyfit(x, y, 1), x)
    error = float(np.sqrt(covariance[0, 0] * (rest @ rest) / (len(x) - 2)))
    return {"slope": float(power), "standard error": error, "steps": [p[0] for p in points]}


def forward_slopes(rows):
    """Of the queries until success, of a run, and of its polynomials alone."""
    return {
        f"fast-forward, {name}": slope(rows, lambda r, name=name: r["fast-forward"].get(name))
        for name in ("queries", "queries of a run", "degree")
    }


def forward_again(maps, table):
    """The fast-forwarded columns of maps whose histories are known."""
    for f, known in zip(maps, table, strict=True):
        for order, part in known["orders"].items():
            if int(order) <= 2:
                for row in part["rows"]:
                    row["fast-forward"] = forwarded(f, int(order), row["steps"])
                part["slopes"] |= forward_slopes(part["rows"])
                told = {k: v and round(v["slope"], 2) for k, v in part["slopes"].items()}
                print(order, told, flush=True)


def against_steps(f, orders, most=STEPS[-1]):
    """Rows by order, and their slopes."""
    table = {}
    path = orbit(f, most)
    for order in orders:
        rows = []
        for steps in (each for each in STEPS if each <= most):
            row = {"steps": steps, "history": histories(f, order, steps, path[steps])}
            if order <= 2:
                row["fast-forward"] = forwarded(f, order, steps)
            rows.append(row)
        slopes = {
            name: slope(rows, lambda r, name=name: r["history"] and r["history"][name]["cost"])
            for name in ("as it stands", "scaled")
        }
        slopes["bound, scaled"] = slope(
            rows, lambda r: r["history"] and r["history"]["scaled"]["bound on the cost"]
        )
        if order <= 2:
            slopes |= forward_slopes(rows)
        table[order] = {"rows": rows, "slopes": slopes}
        told = {
            k: v and f"{v['slope']:.2f} +- {v['standard error']:.2f}" for k, v in slopes.items()
        }
        last = rows[-1]["history"]
        print(f"  order {order}: {told}, error {last and last['truncation error']}", flush=True)
    return table


def maps():
    """The families."""
    table = {}
    for name in FAMILIES:
        f = family_map(name)
        reach = float(np.abs(orbit(f, ORBIT)).max())
        if not reach < 10:
            raise SystemExit(f"{name}: its orbit reaches {reach:g}")
        print(f"{name}, orbit within {reach:.3g}", flush=True)
        factors, constant, size = FAMILIES[name]
        table[name] = {
            "eigenvalues of F_1": factors,
            "F_0": constant,
            "size of F_2": size,
            "largest of the orbit": reach,
            "paper's exponent": PAPER.get(name, 2),
            "orders": against_steps(f, ORDERS),
        }
    return table


def network_maps():
    """Of the largest weights of the demo's pruned network, the others frozen: rate, orders, map."""
    task, whole = pruned_network()
    for n, eta in ((2, OWN_RATE), (3, OWN_RATE), (4, OWN_RATE), (2, RATE)):
        space = whole.restrict(whole.theta, whole.theta.abs().topk(n).indices)
        orders = (1, 2, 3) if n == 2 else (1, 2)
        yield eta, orders, qd.gradient_map(task, space, eta, degree=orders[-1], theta=space.theta)


def of_a_network():
    """The same against T."""
    table = []
    for eta, orders, f in network_maps():
        values = torch.linalg.eigvalsh(f.coefficients[1].to_dense())
        print(f"{f.size} weights, eta {eta:g}", flush=True)
        table.append(
            {
                "weights": f.size,
                "learning rate": eta,
                "eigenvalues of F_1": values.tolist(),
                "truncation error against": f"the orbit of the map to degree {orders[-1]}",
                "orders": against_steps(f, orders, 256),
            }
        )
    return table


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


PARTS = {
    "maps": maps,
    "network": of_a_network,
    "gates": against_weights,
}


def main():
    """The parts that are asked for; what is known of the others stays."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--forward", action="store_true", help="anew, beside the known histories")
    given = parser.parse_args()
    path = RESULTS / "scaling.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    content = {
        "question": (
            "How do queries grow with T (bounded orbits, epsilon 1e-3), and gates with n (kappa"
            " 300, s 10)?"
        ),
        **{name: known[name] for name in PARTS if name in known},
    }
    if given.forward:
        forward_again(map(family_map, content["maps"]), content["maps"].values())
        forward_again((f for _, _, f in network_maps()), content["network"])
        save("scaling", content | {"environment": environment()})
        return
    for name, part in PARTS.items():
        if given.only in (None, name):
            content[name] = part()
            content["environment"] = environment()
            save("scaling", content)


if __name__ == "__main__":
    main()
