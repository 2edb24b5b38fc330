"""How many entries of a row does the Hessian of a pruned network need, and how few vectors do?

    python benchmarks/needed_sparsity.py --device cuda # all cases; each is kept as it is found
    python benchmarks/needed_sparsity.py --only 0.01   # one density; --case "trained, random": one

The GELU CNN that comes with the package, batch 128, fp32, H stored (n products), n from 10^3 to
10^4: trained for 4 epochs or not at all, pruned by magnitude or at random, as it is then or after
100 steps of sparse descent. For each: the error of a segment at order 1 and 2 when a row keeps its
s largest entries, the s that an accuracy asks for, the Krylov dimension that does the same, and
alpha over the norm of what is encoded: of H, and of the history system of order 1. The law
s(n, accuracy) is fitted to the trained networks pruned by magnitude.
"""

from __future__ import annotations

import argparse
import copy
import functools
import itertools
import json
import math

import numpy as np
import torch
from protocol import RESULTS, add_device, environment, now, on_gpu, own_peak, save
from torch import nn
from torch.func import grad, jvp, vmap
from torch.nn.functional import cross_entropy, unfold

import qdescent as qd
from qdescent.learning.parallel.ranks import computing_on
from qdescent.solvers.segment.needed_sparsity import needed_sparsity
from qdescent.training.descent import displacements

DENSITIES = (0.01, 0.02, 0.04, 0.1)
SEGMENTS = ((0.02, 10), (0.02, 20), (0.1, 10))
ACCURACIES = (0.1, 0.03, 0.01, 0.003, 0.001)
FITTED = ACCURACIES[1:]  # a tenth is what no entry at all often reaches
LARGE = 4_000  # of fewer weights nearly a tenth and more are biases, which are all kept
LARGEST_RATE = 0.3  # of alpha alone: no segment of order 2 holds there
EPOCHS, BATCH = 4, 128
FINE_TUNING = (0.02, 100)  # rate and steps of sparse descent
# label: trained, mask, fine-tuned
CASES = {
    f"{'trained' if trained else 'untrained'}, {mask}{', fine-tuned' if tuned else ''}": (
        trained,
        mask,
        tuned,
    )
    for tuned in (False, True)
    for trained in (True, False)
    for mask in ("magnitude", "random")
}
LAW, AFTER = "trained, magnitude", "trained, magnitude, fine-tuned"
OTHERS = tuple(case for case in CASES if case not in (LAW, AFTER))


def plan():
    """(case, density, seed), what matters most first. The law is one of trained networks pruned by
    magnitude; of the other kinds the smallest tells whether they are of another.
    """
    yield from ((LAW, density, seed) for seed in (0, 1, 2) for density in DENSITIES)
    yield from ((AFTER, density, 0) for density in DENSITIES)
    yield from ((AFTER, density, 1) for density in DENSITIES[:-1])
    yield from ((case, DENSITIES[0], seed) for seed in (0, 1) for case in OTHERS)


@functools.cache
def dense_network(trained: bool, seed: int, device: str):
    """The network before pruning, and its data."""
    data = qd.datasets.load_fashion_mnist().to(device)
    network = qd.networks.fashion_cnn(seed=seed).to(device)
    if trained:
        qd.train_dense(network, cross_entropy, data, epochs=EPOCHS, seed=seed)
    return network, data


def ladder(n: int) -> list[int]:
    """The s that are tried: four a decade, the half, three quarters, and all."""
    steps = {round(10 ** (k / 4)) for k in range(4 * len(str(n)))}
    return sorted({0, *(s for s in steps if s < n), n // 2, 3 * n // 4, n})


def problem(trained: bool, kind: str, tuned: bool, density: float, seed: int, device: str):
    """Task and kept weights."""
    network, data = dense_network(trained, seed, device)
    network = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    mask = qd.MASKS[kind](network, density=density, generator=generator)
    space = qd.ParameterSpace(network, mask)
    task = qd.Task(network, cross_entropy, (data.train_images[:BATCH], data.train_labels[:BATCH]))
    theta = space.theta
    if tuned:
        eta, steps = FINE_TUNING
        for _, (_, u) in zip(range(steps), displacements(task, space, theta, eta), strict=False):
            end = u
        theta = theta + end
    return task, space, theta


def outputs(network: nn.Sequential, weights: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """What the network says, convolutions as products of matrices: many of one shape are one call
    to a GPU, which convolutions of a kernel each are not.
    """
    weights = iter(weights)
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            kernel, bias = next(weights), next(weights)
            side = (x.shape[-1] + 2 * layer.padding[0] - kernel.shape[-1]) // layer.stride[0] + 1
            patches = unfold(
                x, layer.kernel_size, padding=layer.padding, stride=layer.stride
            )  # (samples, values of a patch, places)
            x = kernel.flatten(1) @ patches + bias[:, None]
            x = x.unflatten(2, (side, side))
        elif isinstance(layer, nn.Linear):
            x = x @ next(weights).T + next(weights)
        else:
            x = layer(x)
    return x


def stored_hessian(task, space, theta, together: int = 64) -> torch.Tensor:
    """H, (n, n), forward over reverse, many columns at once; compared with three products of
    `qd.hessian`.
    """
    shapes = {name: full.shape for name, full in space.embed(theta).items()}
    whole = torch.cat([full.flatten() for full in space.embed(theta).values()])
    keep = torch.cat([space.mask.keep[name].flatten() for name in shapes])
    places = keep.nonzero()[:, 0].to(theta.device)
    images, labels = task.data

    def loss(kept):
        parts = whole.index_put((places,), kept).split([shape.numel() for shape in shapes.values()])
        weights = [part.view(shape) for part, shape in zip(parts, shapes.values(), strict=True)]
        return cross_entropy(outputs(task.network, weights, images), labels)

    def product(vector):
        return jvp(grad(loss), (theta,), (vector,))[1]

    matrix = torch.empty(space.n, space.n, dtype=theta.dtype, device=theta.device)
    for start in range(0, space.n, together):
        count = min(together, space.n - start)
        rows = torch.zeros(count, space.n).to(theta)
        rows[torch.arange(count), start + torch.arange(count)] = 1
        matrix[start : start + count] = vmap(product)(rows)
    probes = torch.randn(space.n, 3, generator=torch.Generator().manual_seed(0)).to(theta)
    expected = qd.hessian(task, space, theta) @ probes
    off = torch.linalg.vector_norm(matrix @ probes - expected)
    assert off < 1e-3 * torch.linalg.vector_norm(expected), float(off)
    return (matrix + matrix.T) / 2


def largest(matrix: torch.Tensor, products: int = 100) -> float:
    """The largest modulus of a symmetric matrix's eigenvalues, from below: the root of the largest
    Rayleigh quotient of its square; exact to 1e-6 and better where power iteration has converged.
    """
    generator = torch.Generator().manual_seed(0)
    x = 1 + 0.5 * torch.randn(len(matrix), generator=generator).to(matrix)
    for _ in range(products):
        y = matrix @ (matrix @ (x / torch.linalg.vector_norm(x)))
        x = y
    return float(torch.linalg.vector_norm(matrix @ (x / torch.linalg.vector_norm(x))))


def history_norm(factor: float, steps: int) -> float:
    """||I + factor S||, S the shift of T + 1 blocks."""
    matrix = np.eye(steps + 1) + factor * np.eye(steps + 1, k=-1)
    return float(np.linalg.norm(matrix, 2))


def alphas(matrix: torch.Tensor, values: torch.Tensor) -> dict:
    """|| |A| || / ||A||, the least alpha that the entries' moduli allow, for A = H and for the
    history matrix M of order 1. M = I - S (x) F_1 falls apart over the eigenvectors of F_1, |M|
    = I + S (x) |F_1| over those of |F_1|, so that both norms are those of a bidiagonal matrix.
    """
    ends = float(values[0]), float(values[-1])
    whole = max(-ends[0], ends[1])
    found = {"H": largest(matrix.abs()) / whole, "M": []}
    for eta, steps in (*SEGMENTS, (LARGEST_RATE, 10)):
        step = torch.eye(len(matrix)).to(matrix) - eta * matrix
        moduli, norm = largest(step.abs()), max(abs(1 - eta * end) for end in ends)
        found["M"].append(
            {
                "learning_rate": eta,
                "steps": steps,
                "F_1": moduli / norm,
                "M": history_norm(moduli, steps) / history_norm(norm, steps),
            }
        )
    return found


def measured(case: str, density: float, seed: int, device: str) -> dict:
    """One network: H, and what each segment asks of it."""
    start = now()
    task, space, theta = problem(*CASES[case], density, seed, device)
    matrix = stored_hessian(task, space, theta)
    stored = now() - start
    values = torch.linalg.eigvalsh(matrix.double())
    scale = float(values.abs().max())
    found = {
        "case": case,
        "density": density,
        "seed": seed,
        "weights": space.n,
        "extremes": [float(values[0]), float(values[-1])],
        "negative_share": float((values < -1e-5 * scale).double().mean()),
        "alpha over norm": alphas(matrix, values),
        "segments": [],
    }
    for eta, steps in SEGMENTS:
        entry = {"learning_rate": eta, "steps": steps}
        for order in (1, 2):
            tried = needed_sparsity(
                task, space, steps, eta, order, ladder(space.n), theta=theta, matrix=matrix
            )
            entry[f"order {order}"] = {
                "errors": [float(f"{error:.4g}") for error in tried.errors],
                "needed": {str(a): tried.needed(a) for a in ACCURACIES},
            }
        entry["krylov_dimension"] = {str(a): tried.krylov_dimension(a) for a in ACCURACIES}
        found["segments"].append(entry)
    found["entries"] = tried.entries.tolist()
    found["stored"] = [float(f"{mean:.4g}") for mean in tried.stored]
    found["seconds"] = {"matrix": stored, "all": now() - start}
    told = {
        f"{e['learning_rate']:g} x {e['steps']}": (
            round(e["order 2"]["needed"]["0.01"], 1),
            e["krylov_dimension"]["0.01"],
        )
        for e in found["segments"]
    }
    ratio = max(each["M"] for each in found["alpha over norm"]["M"])
    print(
        f"{case} n={space.n} seed {seed}: (s, Krylov dimension) for 1 %: {told}; alpha/||M|| to"
        f" {ratio:.2f}; {stored:.1f} of {found['seconds']['all']:.1f} s",
        flush=True,
    )
    return found


def law(cases: list[dict], free: bool) -> dict | None:
    """s = c n^p (eta T)^r / error^q over networks of 4,000 weights or more and all segments, at
    order 2, by least squares in logarithms; p = 1 unless it is free. With standard errors, and the
    residuals' spread (one standard deviation) as a factor.
    """
    points = []
    for case, segment in itertools.product(cases, range(len(SEGMENTS))):
        eta, steps = SEGMENTS[segment]
        needed = case["segments"][segment]["order 2"]["needed"]
        if case["weights"] >= LARGE:
            points += [(case["weights"], a, eta * steps, needed[str(a)]) for a in FITTED]
    if len({n for n, *_ in points}) < 2:
        return None
    n, accuracy, time, s = np.log(np.array(points)).T
    columns = [np.ones_like(n), -accuracy, time] + [n] * free
    design, target = np.column_stack(columns), s if free else s - n
    fitted, *_ = np.linalg.lstsq(design, target, rcond=None)
    rest = target - design @ fitted
    variance = rest @ rest / (len(s) - len(columns))
    errors = np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design)))
    return {
        "constant": math.exp(fitted[0]),
        "power of 1/error": float(fitted[1]),
        "power of eta T": float(fitted[2]),
        "power of n": float(fitted[3]) if free else 1,
        "standard errors": errors.tolist(),  # of the constant's logarithm, and of the powers
        "spread factor": math.exp(math.sqrt(variance)),
        "largest factor": math.exp(float(np.abs(rest).max())),
        "points": len(points),
        "weights": [min(p[0] for p in points), max(p[0] for p in points)],
    }


def laws(cases: list[dict]) -> dict:
    """Of trained networks, right after pruning by magnitude."""
    pruned = [case for case in cases if case["case"] == LAW]
    return {"a share of the row": law(pruned, False), "any power of n": law(pruned, True)}


def main() -> None:
    """All cases, kept one by one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=float, help="one density")
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--law", action="store_true", help="fitted anew to what a GPU has found")
    add_device(parser)
    given = parser.parse_args()
    if given.law:
        path = RESULTS / "needed_sparsity_gpu.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"law": laws(content["cases"])}, indent=1) + "\n")
        return
    with computing_on(given.device):
        measure(given)


def measure(given: argparse.Namespace) -> None:
    """What is asked for and not yet known."""
    files = {end: RESULTS / f"needed_sparsity{end}.json" for end in ("", "_gpu")}
    cases = {e: json.loads(p.read_text())["cases"] if p.exists() else [] for e, p in files.items()}
    done, elsewhere = (
        cases[end] for end in (("_gpu", "") if given.device == "cuda" else ("", "_gpu"))
    )
    for case, density, seed in plan():
        unwanted = given.only not in (None, density) or given.case not in (None, case)
        if unwanted or seed >= given.seeds:
            continue
        if any(
            (d["case"], d["density"], d["seed"]) == (case, density, seed) for d in done + elsewhere
        ):
            continue
        done.append(measured(case, density, seed, given.device))
        content = {
            "question": "Entries a row that a segment needs, and the Krylov dimension that"
            " does the same: GELU CNN, batch 128, fp32",
            "cases": done,
            "law": laws(done),
            "peak_bytes": own_peak(),
            "environment": environment(),
        }
        assert on_gpu() == (given.device == "cuda")
        save("needed_sparsity", content)


if __name__ == "__main__":
    main()
