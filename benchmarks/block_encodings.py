"""What does a query cost that is composed of F_0, F_1, ..., and what one that loads the entries of
the history matrix?

    python benchmarks/block_encodings.py

Generic maps with F_0 and an F_2 without symmetry (dense for n = 2, 3; beyond, 3 entries in a row of
F_1 and 4 in one of F_2), T = 4, no padding, angles of 20 bits. alpha / ||M|| multiplies the
queries; the gates are those of one query, counted over the call graphs. "balanced" loads the
entries, too, with weights that give alpha the norm of the moduli. Then alpha / ||M|| alone for the
largest kept weights of a network trained here for one epoch, learning rate 3: what the ledger
assumes at full size.
"""

import torch
from network import largest_weights_map, pruned_network
from protocol import environment, save
from qualtran.resource_counting import QECGatesCost, get_cost_value
from scipy.sparse import coo_array
from scipy.sparse.linalg import svds

import qdescent as qd
from qdescent.quantum.encodings.balanced import BalancedEncoding
from qdescent.quantum.encodings.coloured import SparseBlockEncoding
from qdescent.quantum.encodings.history import HistoryEncoding
from qdescent.quantum.tables.balanced import balanced_matrix
from qdescent.quantum.tables.coloured import matrix_entries, matrix_tables
from qdescent.quantum.tables.history import history_tables

SIZES = (2, 3, 8, 16)
STEPS, BITS = 4, 20
# (n, order); 10 weights at order 2 take minutes of third derivatives
WEIGHTS = ((3, 1), (3, 2), (10, 1), (30, 1))


def generic_map(n, generator):
    """F_1 near .8 I, F_0 and F_2 small enough for a contraction near 0."""
    draw = torch.randn(n, n, generator=generator, dtype=torch.float64)
    F2 = 0.075 * torch.randn(n, n * n, generator=generator, dtype=torch.float64)
    if n > 3:
        places = torch.arange(n)
        distance = (places[:, None] - places).abs()
        draw = draw * (distance <= 1)
        kept = torch.zeros(n, n * n, dtype=torch.bool)
        for i in range(n):
            kept[i, torch.randint(n * n, (4,), generator=generator)] = True
        F2 = F2 * kept
    F0 = 0.3 * torch.randn(n, generator=generator, dtype=torch.float64)
    return qd.PolynomialMap(
        [F0, 0.8 * torch.eye(n, dtype=torch.float64) - 0.2 * (draw + draw.T), F2]
    )


def norm(rows, columns, values, size):
    """||M||_2 from its entries."""
    matrix = coo_array((values, (rows, columns)), shape=(size, size)).tocsr()
    return float(svds(matrix, k=1, return_singular_vectors=False, random_state=0)[0])


def gates(encoding):
    """Toffoli-like gates and rotations of one query."""
    counts = get_cost_value(encoding, QECGatesCost())
    return {"and_or_toffoli": counts.and_bloq + counts.toffoli, "rotations": counts.rotation}


def compare(n, order, changing):
    """alpha / ||M|| and the gates of both encodings."""
    generator = torch.Generator().manual_seed(n)
    maps = [generic_map(n, generator) for _ in range(STEPS if changing else 1)]
    lifts = [qd.carleman_linearize(f, order=order) for f in maps]
    start = torch.full((n,), 0.1, dtype=torch.float64)
    system = qd.history_system(lifts if changing else lifts[0], start, STEPS)
    rows, columns, values = matrix_entries(system)
    length = norm(rows, columns, values, system.size)
    coloured = SparseBlockEncoding(matrix_tables(rows, columns, values, system.size, BITS))
    composed = HistoryEncoding(
        history_tables(maps if changing else maps[0], order, STEPS, bits=BITS)
    )
    balanced = BalancedEncoding(balanced_matrix(rows, columns, values, system.size, BITS))
    found = {
        "n": n,
        "order": order,
        "maps": "one a step" if changing else "one",
        "unknowns": system.size,
        "norm": length,
    }
    for name, encoding in (("composed", composed), ("coloured", coloured), ("balanced", balanced)):
        found[name] = {
            "alpha / norm": encoding.alpha / length,
            "epsilon": encoding.epsilon,
            "qubits": encoding.system_bitsize + encoding.ancilla_bitsize,
            **gates(encoding),
        }
    print(found, flush=True)
    return found


def of_a_network():
    """alpha / ||M|| for histories of a pruned CNN's own gradient map, by each encoding."""
    task, whole = pruned_network()
    rows = []
    for n, order in WEIGHTS:
        f = largest_weights_map(task, whole, n, degree=order)
        system = qd.history_system(
            qd.carleman_linearize(f, order), torch.zeros(n, dtype=torch.float64), STEPS
        )
        length = norm(*matrix_entries(system), system.size)
        encodings = {
            "composed": qd.ComposedHistory(f, order, STEPS),
            "coloured": qd.ColouredEntries(),
            "balanced": qd.BalancedEntries(),
        }
        ratios = {
            name: encoding.plan(system).alpha / length for name, encoding in encodings.items()
        }
        rows.append(
            {
                "n": n,
                "order": order,
                "unknowns": system.size,
                "norm": length,
                "alpha / norm": ratios,
            }
        )
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    table = [
        compare(n, order, changing) for n in SIZES for order in (1, 2) for changing in (False, True)
    ]
    content = {
        "question": __doc__.splitlines()[0],
        "rows": table,
        "network": of_a_network(),
        "environment": environment("qualtran"),
    }
    save("block_encodings", content)
