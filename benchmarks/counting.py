"""How long does it take to count the circuit of a network with 10^7, or 10^12, weights?

    python benchmarks/counting.py

One solve of the ledger's model (order 2, 100 steps, kappa 300, 10 non-zeros a row) for every loader
that it knows: logical gates, qubits, and depth where the model has it; then the whole price with
physical qubits. Qualtran's import, seconds once a process, is not in it; each size is counted in a
process's first call of that size, so that no cache helps.
"""

import time

from protocol import environment, save

import qdescent as qd
from qdescent.quantum.gates.loaders import LOADERS
from qdescent.resources.ways.history import UNKNOWN, history_ways
from qdescent.resources.ways.priced import run_cost

SIZES = (10**7, 10**12)


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


def counted(n):
    """Seconds of counting and of pricing, and what was counted."""
    start = time.perf_counter()
    costs = solve_costs(instance(n))
    counting = time.perf_counter() - start
    start = time.perf_counter()
    verdict = qd.price(instance(n)).verdict
    pricing = time.perf_counter() - start
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
        "seconds_of_counting": counting,
        "seconds_of_pricing": pricing,
        "solve": found,
        "verdict": verdict,
    }
    print(row, flush=True)
    return row


if __name__ == "__main__":
    qd.price(instance(10**3))  # Qualtran is imported here
    content = {
        "question": "Seconds to count one solve at n kept weights, all loaders, and to price it",
        "rows": [counted(n) for n in SIZES],
        "environment": environment("qualtran", "qdk"),
    }
    save("counting", content)
