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
from qdescent.resources.logical import solve_cost
from qdescent.resources.round_spec import LOADERS

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


def counted(n):
    """Seconds of counting and of pricing, and what was counted."""
    start = time.perf_counter()
    costs = {loader: solve_cost(instance(n), loader) for loader in LOADERS}
    counting = time.perf_counter() - start
    start = time.perf_counter()
    verdict = qd.price(instance(n)).verdict
    pricing = time.perf_counter() - start
    found = {
        loader: {
            "toffoli": cost.counts.toffoli,
            "qubits": cost.counts.qubits,
            "depth": getattr(cost, "depth", None),
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
    solve_cost(instance(10**3), LOADERS[0])  # Qualtran is imported here
    content = {
        "question": "Seconds to count one solve at n kept weights, all loaders, and to price it",
        "rows": [counted(n) for n in SIZES],
        "environment": environment("qualtran", "qdk"),
    }
    save("counting", content)
