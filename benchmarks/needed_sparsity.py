"""How many entries of a row does the Hessian of a pruned network need, and how few vectors do?

    python benchmarks/needed_sparsity.py               # all cases; each is kept as it is found
    python benchmarks/needed_sparsity.py --only 0.01   # one density; --case "trained, random": one

The GELU CNN that comes with the package, batch 128, fp32, H stored (n products). Cases: density
0.01 to 0.1 (n about 10^3 to 10^4); trained for 4 epochs, untrained, and trained and then fine-tuned
after pruning; magnitude and random masks. For each: the error of a segment at order 1 and 2 when a
row keeps s entries, the s that 1 % asks for, the Krylov dimension that does the same, and alpha of
the entries over the norm of F_1 = I - eta H.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time

import numpy as np
import torch
from protocol import RESULTS, environment, save
from torch.nn.functional import cross_entropy

import qdescent as qd
from qdescent.solvers.segment.needed_sparsity import dense_hessian, needed_sparsity
from qdescent.training.descent import displacements

DENSITIES = (0.01, 0.02, 0.05, 0.1)
SEGMENTS = ((0.02, 10), (0.02, 20), (0.1, 10))
ACCURACIES = (0.1, 0.01, 0.001)
EPOCHS, BATCH = 4, 128
FINE_TUNING = (0.02, 100)  # rate and steps of sparse descent
# label: (trained, mask, fine-tuned), and the densities at which it is looked at
CASES = {
    "trained, magnitude": ((True, "magnitude", False), DENSITIES),
    "untrained, magnitude": ((False, "magnitude", False), DENSITIES[:3]),
    "trained, random": ((True, "random", False), DENSITIES[:3]),
    "trained, magnitude, fine-tuned": ((True, "magnitude", True), DENSITIES[:3]),
}


def problem(trained: bool, kind: str, tuned: bool, density: float, seed: int):
    """Task and kept weights."""
    data = qd.datasets.load_fashion_mnist()
    network = qd.networks.fashion_cnn(seed=seed)
    if trained:
        qd.train_dense(network, cross_entropy, data, epochs=EPOCHS, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    mask = qd.MASKS[kind](network, density=density, generator=generator)
    space = qd.ParameterSpace(network, mask)
    task = qd.Task(network, cross_entropy, (data.train_images[:BATCH], data.train_labels[:BATCH]))
    theta = space.theta
    if tuned:
        eta, steps = FINE_TUNING
        walk = displacements(task, space, theta, eta)
        theta = theta + next(itertools.islice(walk, steps - 1, None))[1]
    return task, space, theta


def norms(matrix: torch.Tensor, eta: float) -> dict[str, float]:
    """|| |F_1| ||_2, the least alpha that entries alone allow, beside ||F_1||."""
    step = torch.eye(len(matrix), dtype=matrix.dtype) - eta * matrix
    moduli = _norm(step.abs())
    return {"norm_of_moduli": moduli, "norm": (norm := _norm(step)), "ratio": moduli / norm}


def _norm(matrix: torch.Tensor, products: int = 60) -> float:
    """Power iteration on a symmetric matrix's square, from below."""
    x = torch.ones(len(matrix), dtype=matrix.dtype)
    x += 0.5 * torch.randn(len(matrix), generator=torch.Generator().manual_seed(0))
    for _ in range(products):
        y = matrix @ (matrix @ x)
        x = y / torch.linalg.vector_norm(y)
    return float(torch.linalg.vector_norm(matrix @ x))


def measured(case: str, density: float, seed: int) -> dict:
    """One network: H, and what each segment asks of it."""
    start = time.perf_counter()
    task, space, theta = problem(*CASES[case][0], density, seed)
    matrix = dense_hessian(task, space, theta)
    values = torch.linalg.eigvalsh(matrix.double()) if space.n <= 3000 else None
    found = {
        "case": case,
        "density": density,
        "seed": seed,
        "weights": space.n,
        "negative_share": None if values is None else float((values < -1e-6).double().mean()),
        "segments": [],
    }
    for eta, steps in SEGMENTS:
        entry = {"learning_rate": eta, "steps": steps, "alpha": norms(matrix, eta)}
        for order in (1, 2):
            tried = needed_sparsity(
                task, space, steps, eta, order=order, theta=theta, matrix=matrix
            )
            entry[f"order {order}"] = {
                "entries": tried.entries.tolist(),
                "errors": tried.errors.tolist(),
                "stored": tried.stored.tolist(),
                "needed": {str(a): tried.needed(a) for a in ACCURACIES},
            }
        entry["krylov_dimension"] = {str(a): tried.krylov_dimension(a) for a in ACCURACIES}
        found["segments"].append(entry)
    found["seconds"] = time.perf_counter() - start
    told = {
        f"{e['learning_rate']:g} x {e['steps']}": (
            round(e["order 2"]["needed"]["0.01"], 1),
            e["krylov_dimension"]["0.01"],
        )
        for e in found["segments"]
    }
    print(f"{case} n={space.n} seed {seed}: (s, Krylov dimension) for 1 %: {told}", flush=True)
    return found


def law(cases: list[dict], accuracy: str) -> dict[str, float]:
    """s = c n^p over trained, magnitude-pruned networks, by least squares in logarithms, at order 2
    and the first segment of `SEGMENTS`, with the residuals' spread as a factor.
    """
    points = [
        (case["weights"], case["segments"][0]["order 2"]["needed"][accuracy])
        for case in cases
        if case["case"] == "trained, magnitude"
    ]
    x = np.log([n for n, _ in points])
    y = np.log([max(s, 1.0) for _, s in points])
    power, offset = np.polyfit(x, y, 1)
    off = y - power * x - offset
    return {
        "power": float(power),
        "constant": math.exp(offset),
        "spread_factor": math.exp(float(off.std(ddof=2))),
    }


def main() -> None:
    """All cases, kept one by one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=float, help="one density")
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    path = RESULTS / "needed_sparsity.json"
    done = json.loads(path.read_text())["cases"] if path.exists() else []
    for case, (_, densities) in CASES.items():
        for density, seed in itertools.product(densities, range(given.seeds)):
            unwanted = given.only not in (None, density) or given.case not in (None, case)
            if unwanted or (density > 0.05 and seed):
                continue  # the largest once: two hours' worth of others
            if any((d["case"], d["density"], d["seed"]) == (case, density, seed) for d in done):
                continue
            done.append(measured(case, density, seed))
            content = {
                "question": "Entries a row that a segment needs, and the Krylov dimension that"
                " does the same: GELU CNN, batch 128, fp32",
                "cases": done,
                "environment": environment(),
            }
            if sum(d["case"] == "trained, magnitude" for d in done) > 3:
                content["law"] = {a: law(done, a) for a in ("0.1", "0.01")}
            save("needed_sparsity", content)


if __name__ == "__main__":
    main()
