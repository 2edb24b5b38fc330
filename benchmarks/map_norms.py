"""What is kappa of a real network's history system? The norms of its map, and the bound from them.

    python benchmarks/map_norms.py --checkpoint C [--batch 128] [--degree 2] [--samples 12]
        [--products 40] [--density 0.1] [--large]
    python benchmarks/map_norms.py --device cuda --train 3 --data-root D    # trained in place

C is made by trained_resnet.py; its largest weights are kept. The norms are taken once, at eta = 1:
for another eta ||F_0|| and ||F_k|| are eta times as large, and ||F_1|| follows from the extremes.
For each order, learning rate and number of steps: the bound on kappa in units of 1 and in the best
units, with the padding of each.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from protocol import environment, now, on_gpu, own_peak, save
from trained_resnet import add_training, asked_problem

import qdescent as qd
from qdescent.carleman.majorant import history_kappa_bound
from qdescent.learning.descent.sgd import SGD
from qdescent.learning.mean_series import MeanSeries
from qdescent.learning.parallel.ranks import computing_on
from qdescent.solvers.segment.drift import drift_bounds
from qdescent.solvers.segment.map_norms import NetworkNorms

FEW = 6  # chains: what the first result had
VECTORS = 16  # of the space in which the gradient's drift is seen
RATES = {0.02: (9, 20), 0.005: (36, 80), 0.0004: (1000,)}  # eta: T


def at(
    norms: NetworkNorms, rate: float, series: MeanSeries, theta: torch.Tensor, steps: int
) -> qd.MapNorms:
    """The norms at another rate, from those at eta = 1, and how far the gradient drifts."""
    low, high = norms.extremes
    linear = max(abs(1 - rate * low), abs(1 - rate * high))
    powers = linear ** np.arange(steps + 1.0)
    drift, _ = drift_bounds(series, theta, SGD(rate), steps, powers, VECTORS)
    return qd.MapNorms(
        constant=rate * norms.constant,
        linear=linear,
        higher=tuple(rate * norm for norm in norms.higher),
        drift=drift,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--degree", type=int, default=2)
    parser.add_argument("--samples", type=int, default=12)
    parser.add_argument("--products", type=int, default=40)
    parser.add_argument("--density", type=float, default=0.1)
    add_training(parser)
    given = parser.parse_args()
    if given.checkpoint is None and not given.train:
        parser.error("--checkpoint: trained_resnet.py makes one (or --train 3)")
    with computing_on(given.device):
        measure(given)


def measure(given: argparse.Namespace) -> None:
    """The norms, and the bounds that follow from them."""
    task, space, state = asked_problem(given, given.density)
    if on_gpu():
        torch.cuda.reset_peak_memory_stats()
    calls: list[float] = []
    busy: list[float] = []  # of the processor, which others share

    def called() -> None:
        calls.append(now())
        busy.append(time.process_time())
        print(f"call {len(calls)}: {calls[-1] - begin:.1f} s", flush=True)

    begin, busy_from = now(), time.process_time()
    norms = qd.map_norms(
        task,
        space,
        1.0,
        given.degree,
        samples=given.samples,
        products=given.products,
        vectors=0,  # at each rate below
        check=False,
        on_call=called,
    )
    spectrum = calls[given.products - 1] - begin
    beyond = calls[-1] - calls[given.products - 1]
    worked = [busy[given.products - 1] - busy_from, busy[-1] - busy[given.products - 1]]
    rows = []
    series = MeanSeries([task], space, space.theta, 1)
    for rate, horizons in RATES.items():
        here = at(norms, rate, series, space.theta, horizons[-1])
        blind = replace(here, drift=None)
        likely = replace(here, higher=tuple(rate * norm for norm in norms.seen))
        for steps in horizons:
            for order in range(1, given.degree + 1):
                start = time.perf_counter()
                best = qd.best_history(here, order, steps)
                took = time.perf_counter() - start
                other = qd.best_history(likely, order, steps)
                rows.append(
                    {
                        "eta": rate,
                        "T": steps,
                        "N": order,
                        "scale": best.scale,
                        "padding": best.padding,
                        "kappa bound": best.kappa_bound,
                        "kappa bound, units of 1": best.unscaled_kappa_bound,
                        "kappa bound without the drift": qd.best_history(
                            blind, order, steps
                        ).kappa_bound,
                        "drift": here.drift[steps],
                        "drift, from norms": blind.drift_bounds(steps)[-1],
                        "queries over kappa": best.queries / best.kappa_bound,
                        "kappa of the norms as seen": other.kappa_bound,
                        "seconds of the search": took,
                    }
                )
                print(rows[-1], flush=True)
    start = time.perf_counter()
    history_kappa_bound(blind, min(3, given.degree), 10_000, 2_500, scale=0.1)
    longest = time.perf_counter() - start
    content = {
        "question": "What bounds kappa of a real network's history system, and what does it cost?",
        "weights": space.n,
        "epochs": state.epoch,
        "test_accuracy_before_pruning": state.test_accuracy[-1],
        "density": given.density,
        "batch": given.batch,
        "norms at eta = 1": {
            "gradient": norms.constant,
            "spectrum within": norms.extremes,
            "unfoldings, bounded": norms.higher,
            "unfoldings, as seen": norms.seen,
            "probability of failure": norms.failure,
            "samples": given.samples,
            "products": given.products,
        },
        "seconds": {
            "spectrum": spectrum,
            "beyond the spectrum": beyond,
            "of the processor": worked,
            "calls beyond": len(calls) - given.products,
            "bound at T = 10,000": longest,
        },
        "peak bytes": own_peak(),
        "kappa": rows,
        "environment": environment(),
    }
    chains = "" if given.samples == FEW else f"_{given.samples}_chains"
    save(f"map_norms_{'103M' if given.large else '7M'}{chains}", content)


if __name__ == "__main__":
    main()
