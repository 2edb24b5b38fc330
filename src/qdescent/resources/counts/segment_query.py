"""One query to F_1 - c, or to F_2, as a fast-forwarded segment makes it: balanced entries, from
sizes alone.
"""

from __future__ import annotations

from functools import lru_cache

from qdescent.quantum.gates.loading.loader import LoadCosts
from qdescent.resources.counts.history_query import QueryCost
from qdescent.resources.counts.history_tables import colour_level, vector_level
from qdescent.resources.counts.layout import Own, Piece, Table, axis
from qdescent.resources.counts.loads import (
    Part,
    bits_of,
    loaded,
    loaded_and_cleared,
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
    return QueryCost(tuple(_parts(n, colours, loader, bits, fixed=1)), index, width)


@lru_cache(maxsize=1 << 14)
def coupling_query(n: int, colours: int, loader: LoadCosts, bits: int) -> QueryCost:
    """A query to F_2, a pair of letters to one, with so many entries a row: like `step_query`, and
    the second letter, which follows from the first written and the colour, cleared.

    The simulated circuits take the n^2 pairs for the columns of a matrix of their own: fit for a
    few weights, not for many.
    """
    index, width = bits_of(n), bits_of(colours)
    line = axis(index, 0, Piece(0, n, Own()))
    second = Table(axis(width, index, Piece(0, colours, line)))
    tails = loaded("tails", loader, second, index)
    parts = [*_parts(n, colours, loader, bits), tails]
    return QueryCost(tuple(parts), 2 * index, width + 1)


def _parts(n: int, colours: int, loader: LoadCosts, bits: int, fixed: int = 0) -> list[Part]:
    """Colours and rows; so many colours, of a diagonal, leave all in place."""
    index, width = bits_of(n), bits_of(colours)
    # the colours of each column, and of each row; what is beyond n is wasted on the last one
    last = 2**width - 1
    usual = [colour_level(colours, None, width, k) for k in range(width)]
    wasted = [colour_level(0, last, width, k) for k in range(width)]
    by_column = [
        Table(axis(index, k, Piece(0, n, here), Piece(n, 2**index, beyond)))
        for k, (here, beyond) in enumerate(zip(usual, wasted, strict=True))
    ]
    by_row = [Table(axis(index, k, Piece(0, n, here))) for k, here in enumerate(usual)]
    line = axis(index, 0, Piece(0, n, Own()))
    table = Table(axis(width, index, Piece(fixed, colours, line)))
    return [
        prepared("colours", loader, [*by_column, *by_row], bits),
        loaded_and_cleared("rows", loader, table, table, index),
    ]


@lru_cache(maxsize=1 << 14)
def vector_preparation(n: int, loader: LoadCosts, bits: int) -> Part:
    """A vector of n values prepared, or its preparation undone: an angle for each beginning."""
    width = bits_of(n)
    levels = [Table(vector_level(0, n, width, k)) for k in range(1, width)]
    return prepared("upload", loader, levels, bits)
