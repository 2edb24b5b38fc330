"""How much less than declared does a query take where the rows of F_1 and F_2 are unlike?

    python benchmarks/uneven_rows.py

The ledger knows sizes alone and takes every row of F_k to be as full as the fullest, s. Here rows
have 1 to s entries, one of them s, in generic maps of order 1 and 2 with 6 to 24 weights (some with
up to 96); the Toffoli gates of a query are those of its tables, which the tests hold to the
circuit's to the last gate. A share is what was counted over what is declared from sizes alone. The
least and the largest of each loader, rounded away, are `UNEVEN` of resources/ledger_rows.py. More
than declared it is where what balancing wastes has no room among s colours and takes as many again.
"""

import statistics

import numpy as np
import torch
from protocol import environment, save

import qdescent as qd
from qdescent.quantum.gates.loading.loaders import LOADERS
from qdescent.quantum.tables.history import history_tables
from qdescent.resources.counts.circuit_tables import loads_of
from qdescent.resources.counts.history_query import history_query, query_of
from qdescent.resources.counts.history_tables import HistorySize
from qdescent.resources.ledger_rows import UNEVEN

BITS = 16
MAPS, LARGER = 400, 12


def uneven_map(n, order, most, seed):
    """Rows of 1 to `most` entries, one of them full; and the most of a row or a first letter."""
    draws = torch.Generator().manual_seed(seed)
    parts, fullest = [0.1 + torch.rand(n, generator=draws)], []
    for degree in range(1, order + 1):
        part = torch.zeros(n, n**degree)
        lengths = torch.randint(1, most + 1, (n,), generator=draws).tolist()
        for row, length in enumerate([most, *lengths[1:]]):
            places = torch.randperm(n**degree, generator=draws)[:length]
            part[row, places] = 0.1 + torch.rand(length, generator=draws)
        by_first = (part != 0).reshape(n, n, -1).sum(dim=(0, 2))
        fullest.append(int(max((part != 0).sum(1).max(), by_first.max())))
        parts.append(part)
    return qd.PolynomialMap(parts), tuple(fullest)


def shares(seed, most_weights):
    """Counted over declared Toffoli gates of one map's query, by loader."""
    draws = np.random.default_rng(seed)
    n, order = int(draws.integers(6, most_weights)), int(draws.integers(1, 3))
    most, steps, padding = (int(draws.integers(*ends)) for ends in ((2, 6), (2, 9), (0, 3)))
    f, fullest = uneven_map(n, order, most, seed)
    loads = loads_of(history_tables(f, order, steps, padding, bits=BITS))
    size = HistorySize(n, order, steps, padding, fullest)
    return {
        name: query_of(loads, loader, BITS).toffoli / history_query(size, loader, BITS).toffoli
        for name, loader in LOADERS.items()
    }


def summary(found):
    """Least, median and largest share of each loader."""
    return {
        name: {
            "least": min(each[name] for each in found),
            "median": statistics.median(each[name] for each in found),
            "largest": max(each[name] for each in found),
            "said": list(UNEVEN[name]),
        }
        for name in LOADERS
    }


if __name__ == "__main__":
    content = {
        "question": "Toffoli gates of a query over those declared from sizes alone, rows unlike",
        "maps": MAPS,
        "up_to_24_weights": summary([shares(seed, 24) for seed in range(MAPS)]),
        "up_to_96_weights": summary([shares(10**6 + seed, 96) for seed in range(LARGER)]),
        "environment": environment("qualtran"),
    }
    for size in ("up_to_24_weights", "up_to_96_weights"):
        for name, row in content[size].items():
            print(size, name, *row.items())
    save("uneven_rows", content)
