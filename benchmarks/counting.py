"""How long does it take to count the circuit of a network with 10^7, or 10^12, weights, and to
price it with the region where the verdict flips?

    python benchmarks/counting.py
    python benchmarks/counting.py --sweep    # that alone, printed
    python benchmarks/counting.py --pairs    # sweeps over every two of nine inputs, 24 x 24 points

One solve of the ledger's model (order 2, 100 steps, kappa 300, 10 non-zeros a row) for every loader
that it knows: logical gates, qubits, and depth where the model has it; then its whole price; and
the default round of `qdescent estimate` at this size, with its region. Imports, seconds once a
process, are not in it; medians of five neighbours of each size, so that no cache helps. Then a
sweep of ten thousand points, once, and the help of `qdescent estimate`, the median of five.
"""

import itertools
import statistics
import subprocess
import sys
import time

from protocol import environment, save

import qdescent as qd
from qdescent.experiment.estimate.pipeline import estimated
from qdescent.experiment.estimate.ranges import ranges_of
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.experiment.estimate.sweep import swept
from qdescent.quantum.gates.loading.loaders import LOADERS
from qdescent.resources.ways.history import UNKNOWN, history_ways
from qdescent.resources.ways.priced import run_cost

# of nine inputs, as the maps of the ledger's region have them
ENDS = {
    "n": "1e4:1e12", "s": "1:1e3", "T": "10:1e3", "eta": "1e-4:.1", "kappa": "1e3:1e7",
    "epsilon": "1e-6:.1", "m": "1e3:6e5", "error_rate": "1e-5:5e-3", "cycle_time_ns": "10:1e5",
}  # fmt: skip
SIDE, LARGE_SWEEP = 24, 10_000  # values of each of two; points for which the seconds are given
SIZES = (10**7, 10_300_000, 10**12)  # the second: the kept weights of 103 million
ROUNDS = 5


def instance(n):
    """A round with n kept weights of 10 n."""
    return qd.RoundSpec(
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


def solve_costs(spec):
    """One solve by kernel reflection, norm unknown, with each loader."""
    way = next(way for way in history_ways(spec) if way.name == UNKNOWN)
    return {loader: run_cost(spec, way, loader) for loader in LOADERS}


def timed(work):
    """Seconds by the clock and of the processor, and what came of it."""
    wall, cpu = time.perf_counter(), time.process_time()
    made = work()
    return time.perf_counter() - wall, time.process_time() - cpu, made


def counted(n):
    """Seconds of counting and of pricing, and what was counted."""
    seconds = {"counting": [], "pricing": [], "estimate_with_region": []}
    for neighbour in reversed(range(ROUNDS)):  # n itself last
        spec = instance(n + neighbour)
        *took, costs = timed(lambda spec=spec: solve_costs(spec))
        seconds["counting"].append(took)
        *took, ledger = timed(lambda spec=spec: qd.price(spec))
        seconds["pricing"].append(took)
        asked = EstimateSettings(n=n + ROUNDS + neighbour)
        *took, _ = timed(lambda asked=asked: estimated(asked))
        seconds["estimate_with_region"].append(took)
    found = {
        loader: {
            "toffoli": cost.counts.toffoli,
            "qubits": cost.counts.qubits,
            "depth": cost.depth,
        }
        for loader, cost in costs.items()
    }
    row = {
        "n": n,
        "seconds": {name: spread(each) for name, each in seconds.items()},
        "solve": found,
        "verdict": ledger.verdict,
    }
    print(row, flush=True)
    return row


def spread(took):
    """Median, least and most of both clocks."""
    walls, cpus = zip(*took, strict=True)
    return {
        name: {"median": statistics.median(each), "min": min(each), "max": max(each)}
        for name, each in (("wall", walls), ("cpu", cpus))
    }


def swept_once():
    """Ten thousand points of n and s on both clocks."""
    found = estimated(EstimateSettings())
    ranges = ranges_of(("n=1e4:1e12:100", "s=1:1e3:100"))
    *took, points = timed(lambda: sum(1 for _ in swept(found.case, found.settings, ranges)))
    return {"points": points, "seconds": dict(zip(("wall", "cpu"), took, strict=True))}


def pairs():
    """Processor seconds of ten thousand points of each pair, from 24 x 24 of them, with the first
    point's search in them.
    """
    found = {}
    for one, other in itertools.combinations(ENDS, 2):
        case = estimated(EstimateSettings())
        ranges = ranges_of([f"{name}={ENDS[name]}:{SIDE}" for name in (one, other)])
        _, cpu, _ = timed(lambda r=ranges, c=case: sum(1 for _ in swept(c.case, c.settings, r)))
        found[f"{one} x {other}"] = cpu * LARGE_SWEEP / SIDE**2
        print(f"{one} x {other}: {found[f'{one} x {other}']:.1f} s", flush=True)
    content = {
        "question": (
            "Processor seconds of ten thousand points of a sweep over two inputs of the default"
            f" round, from {SIDE} x {SIDE} points of each pair"
        ),
        "seconds": found,
        "environment": environment("qualtran", "qdk"),
    }
    save("sweep_pairs", content)


def help_seconds():
    """Of the command's help, in a process of its own."""
    asked = [sys.executable, "-m", "qdescent", "estimate", "--help"]
    took = [timed(lambda: subprocess.run(asked, check=True, capture_output=True))[0]
            for _ in range(ROUNDS)]  # fmt: skip
    return {"median": statistics.median(took), "min": min(took), "max": max(took)}


if __name__ == "__main__":
    estimated(EstimateSettings(n=10**3))  # Qualtran and the estimator are imported here
    if "--sweep" in sys.argv[1:]:
        print(swept_once())
        sys.exit()
    if "--pairs" in sys.argv[1:]:
        pairs()
        sys.exit()
    content = {
        "question": "Seconds to count one solve at n kept weights, all loaders, and to price it",
        "rows": [counted(n) for n in SIZES],
        "sweep": swept_once(),
        "help_seconds": help_seconds(),
        "environment": environment("qualtran", "qdk"),
    }
    save("counting", content)
