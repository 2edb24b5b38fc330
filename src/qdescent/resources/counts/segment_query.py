"""One query to F_1 - c, or to F_2, as a fast-forwarded segment makes it: balanced entries, from
sizes alone.
"""

from __future__ import annotations

from functools import lru_cache

from qdescent.quantum.gates.loading.loader import LoadCosts
from qdescent.resources.counts.history_query import QueryCost
from qdescent.resources.counts.loads import (
    Part,
    TableSize,
    bits_of,
    loaded,
    loaded_and_cleared,
    prefixes,
    prepared,
)


@lru_cache(maxsize=1 << 14)
def step_query(n: int, colours: int, loader: LoadCosts, bits: int) -> QueryCost:
    """A query to an n x n matrix with so many entries a row: prepare a colour by the column,
    permute, unprepare by the row, as `quantum.encodings.balanced.BalancedEncoding` does.

    Args:
        n: rows.
        colours: most entries of a row or a column.
        loader: of all tables.
        bits: b, of an angle.
    """
    index, width = bits_of(n), bits_of(colours)
    return QueryCost(tuple(_parts(n, colours, index, width, loader, bits)), index, width)


@lru_cache(maxsize=1 << 14)
def coupling_query(n: int, colours: int, loader: LoadCosts, bits: int) -> QueryCost:
    """A query to F_2, a pair of letters to one, with so many entries a row: like `step_query`, and
    the second letter, which follows from the first written and the colour, cleared.

    The simulated circuits take the n^2 pairs for the columns of a matrix of their own: fit for a
    few weights, not for many.
    """
    index, width = bits_of(n), bits_of(colours)
    tails = loaded("tails", loader, TableSize(colours * n, 2 ** (index + width)), index)
    parts = [*_parts(n, colours, index, width, loader, bits), tails]
    return QueryCost(tuple(parts), 2 * index, width + 1)


def _parts(
    n: int, colours: int, index: int, width: int, loader: LoadCosts, bits: int
) -> list[Part]:
    beyond = (2**index - n).bit_count()  # aligned runs of entries that no row has
    levels = [
        TableSize(n * (some + int(some < 2**k)) + beyond, 2 ** (index + k))
        for k, some in enumerate(prefixes(colours, width))
    ]
    table = TableSize(colours * (n + beyond), 2 ** (index + width))
    return [
        prepared("colours", loader, levels, bits, times=2),
        loaded_and_cleared("rows", loader, table, index),
    ]


@lru_cache(maxsize=1 << 14)
def vector_preparation(n: int, loader: LoadCosts, bits: int) -> Part:
    """A vector of n values prepared, or its preparation undone: an angle for each beginning."""
    width = bits_of(n)
    levels = [TableSize(some, 2**k) for k, some in enumerate(prefixes(n, width))]
    return prepared("upload", loader, levels, bits)
