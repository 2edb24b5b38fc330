"""How many queries does a fast-forwarded segment take until it succeeds, over those that the ledger
declares?

    python benchmarks/declared_counted.py    # minutes

Random maps of 2 to 8 weights, F_0 in whatever modes, 3 to 59 steps, order 1 and 2. Counted: the
solver's plan, which knows the map (queries of a run and its success, amplified or repeated).
Declared: the ledger's, on the solver's c and alpha, which knows norms alone: of F_0, of F_2 as it
is encoded, of every step's displacement, and the ends of the spectrum. By series, where the
polynomials are cut series; let down, where they end with the spectrum. At order 2 once with the
length of u_1 + u_2, as a run measures it, and once with that of u_1 alone.
"""

import statistics

import numpy as np
import scipy.sparse as sparse
from protocol import environment, save

import qdescent as qd
from qdescent.carleman.majorant import norms_of
from qdescent.quantum.algorithms.rounds import runs_needed
from qdescent.quantum.tables.perron import absolute_norm
from qdescent.resources.ways.segment_plan import planned_on
from qdescent.resources.ways.segment_start import known_start

MAPS, EPSILON = 40, 1e-3


def random_descent(seed):
    """A map of 2 to 8 weights, F_0 in whatever modes; its steps, and the order it is asked for."""
    rng = np.random.default_rng(seed)
    n, steps, order = int(rng.integers(2, 9)), int(rng.integers(3, 60)), int(rng.integers(1, 3))
    h, F2 = rng.standard_normal((n, n)), 0.02 * rng.standard_normal((n, n, n))
    F2 = ((F2 + F2.transpose(0, 2, 1)) / 2).reshape(n, n * n)
    F1 = np.eye(n) - rng.uniform(0.1, 0.6) * h @ h.T / n
    return qd.PolynomialMap([0.1 * rng.standard_normal(n), F1, F2]), steps, order


def declared(f, steps, order, found, *, length=None, start=known_start):
    """The ledger's plan on the encoding that the solver chose.

    Args:
        f, steps, order: the segment.
        found: what the solver returned.
        length: of u_T; None: of u_1.
        start: what norms say of F_0.
    """
    at, norms = found.cost.number, norms_of(f, steps)
    F1, F2 = (part.to_dense().double().numpy() for part in f.coefficients[1:])
    window = tuple(float(y) for y in np.linalg.eigvalsh(F1)[[0, -1]])
    coupling = absolute_norm(abs(sparse.csr_array(F2.reshape(f.size, -1)))).alpha * norms.constant
    encodings = ((at("shift"), at("alpha")),)
    longer = 1.0 if length is None else length / norms.drift[steps]
    known = start(norms, steps, window)
    return planned_on(encodings, steps, order, window, EPSILON, known, coupling, longer)


def compared(seed):
    """Order and way of one map, and its counted over declared queries until success: with the
    length of u_T, and with that of u_1.
    """
    f, steps, order = random_descent(seed)
    found = qd.fast_forward_map(f, steps, order, epsilon=EPSILON)
    at = found.cost.number
    counted = at("declared_queries") * runs_needed(at("success_probability"))
    known = declared(f, steps, order, found, length=float(found.value.norm()))
    first = declared(f, steps, order, found)
    way = "let down" if known.let_down else "by series"
    return {
        "way": f"order {order}, {way}",
        "counted over declared": counted / known.cost,
        "by the length of u_1": counted / first.cost,
    }


def summary(found):
    """Least, median and largest of each way."""
    table = {}
    for way in sorted({each["way"] for each in found}):
        rows = [each for each in found if each["way"] == way]
        table[way] = {"maps": len(rows)}
        for name in ("counted over declared", "by the length of u_1"):
            ratios = [each[name] for each in rows]
            table[way][name] = {
                "least": min(ratios),
                "median": statistics.median(ratios),
                "largest": max(ratios),
                "within 1 %": sum(abs(ratio - 1) < 0.01 for ratio in ratios),
            }
    return table


if __name__ == "__main__":
    content = {
        "question": "queries until success of a fast-forwarded segment over those declared",
        "ways": summary([compared(seed) for seed in range(MAPS)]),
        "environment": environment(),
    }
    for way, row in content["ways"].items():
        print(way, *row.items())
    save("declared_counted", content)
