"""One query to F_1 - c, or to F_2, as a fast-forwarded segment makes it: balanced entries, from
sizes alone.
"""

from __future__ import annotations

import math
from functools import lru_cache

from qdescent.quantum.gates.loading.loader import LoadCosts
from qdescent.quantum.tables.balanced import PAIRS_UP_TO
from qdescent.resources.counts.history_query import QueryCost
from qdescent.resources.counts.history_tables import colour_level, vector_level
from qdescent.resources.counts.layout import QUARTER, Alike, Layout, Own, Piece, Table, axis
from qdescent.resources.counts.loads import (
    Part,
    bits_of,
    loaded,
    loaded_and_cleared,
    prepared,
)

_FEW_ENTRIES = 1.5  # of a pair: with fewer it has one colour, whose beginnings turn or do not
_MOST_PIECES = 64  # of a layout that is spelled out


@lru_cache(maxsize=1 << 8)
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
    return QueryCost(tuple(_parts(n, colours, loader, bits)), index, width)


@lru_cache(maxsize=1 << 8)
def coupling_query(n: int, colours: int, loader: LoadCosts, bits: int) -> QueryCost:
    """A query to <f| beside F_2, as `solvers.circuits.segment` makes it: by pairs of letters up to
    `PAIRS_UP_TO` of them, else letter by letter.

        (order, letter, other) -> (order, letter, 0)

    Args:
        n: letters.
        colours: s_2, entries a row of F_2.
        loader: of all tables.
        bits: b, of an angle.
    """
    index, by_letters = bits_of(n), n > PAIRS_UP_TO
    width = bits_of(colours if by_letters else max(n, colours))
    parts = (_letter_parts if by_letters else _pair_parts)(n, colours, loader, bits)
    return QueryCost(parts, 2 * index + 1, width)


def _letter_parts(n: int, colours: int, loader: LoadCosts, bits: int) -> tuple[Part, ...]:
    """`quantum.encodings.letters.LetterCoupling`: the second letter follows from the first written
    and the colour, and is cleared by it.
    """
    index, (turned, table) = bits_of(n), _letter_tables(n, colours)
    return (
        _start_undone(n, loader, bits),
        prepared("colours", loader, turned, bits),
        loaded_and_cleared("letters", loader, table, table, index + 1),
        loaded("tails", loader, table, index),
    )


@lru_cache(maxsize=1 << 8)
def _letter_tables(n: int, colours: int) -> tuple[tuple[Table, ...], Table]:
    """Angles of the colours by the letter read and by the letter written; and where a colour leads:
    for all loaders, as what a table's rows are is known to it once counted.
    """
    index, width = bits_of(n), bits_of(colours)
    last = 2**width - 1
    prepare, unprepare = [], []
    for k in range(width):
        here, beyond = colour_level(colours, None, width, k), colour_level(0, last, width, k)
        column = axis(index, k, Piece(0, n, here), Piece(n, 2**index, beyond))
        row = axis(index, k, Piece(0, n, here))
        # of order 0 every letter stays, by the first colour
        prepare.append(Table(axis(1, index + k, Piece(1, 2, column))))
        unprepare.append(Table(axis(1, index + k, Piece(1, 2, row))))
    line = axis(1, index, Piece(1, 2, axis(index, 0, Piece(0, n, Own()))))
    return (*prepare, *unprepare), Table(axis(width, index + 1, Piece(0, colours, line)))


@lru_cache(maxsize=1 << 8)
def _start_undone(n: int, loader: LoadCosts, bits: int) -> Part:
    """F_0 of one letter, where the order is 0."""
    return prepared("start", loader, _start_tables(n), bits)


@lru_cache(maxsize=1 << 8)
def _start_tables(n: int) -> tuple[Table, ...]:
    """A vector of n values where the bit before it is 0."""
    index = bits_of(n)
    return tuple(Table(axis(1, k, Piece(0, 1, vector_level(0, n, index, k)))) for k in range(index))


def _pair_parts(n: int, colours: int, loader: LoadCosts, bits: int) -> tuple[Part, ...]:
    """A `BalancedEncoding` whose columns are the pairs: at order 0 every row holds all of f."""
    index, width = bits_of(n), bits_of(max(n, colours))
    prepare = [Table(_pair_columns(n, colours, index, width, k)) for k in range(width)]
    unprepare = [Table(_pair_rows(n, colours, index, width, k)) for k in range(width)]
    moved = Table(_pair_moves(n, colours, index, width))
    return (
        prepared("colours", loader, [*prepare, *unprepare], bits),
        loaded_and_cleared("pairs", loader, moved, moved, 2 * index + 1),
    )


def _by_order(
    index: int, inner: int, n: int, both: tuple[Layout, Layout], beyond: Layout
) -> Layout:
    """By the order, then by each of n first letters; inner: bits of what stands at one of them."""
    pieces = (Piece(n, 2**index, beyond),)
    halves = [axis(index, inner, Piece(0, n, each), *pieces) for each in both]
    return axis(1, index + inner, *(Piece(k, k + 1, each) for k, each in enumerate(halves)))


def _turn(k: int, place: int) -> Layout:
    """A quarter turn at one of 2^k beginnings of a colour."""
    return axis(k, 0, Piece(place, place + 1, Alike(0, QUARTER)))


def _pair_columns(n: int, colours: int, index: int, width: int, k: int) -> Layout:
    """Angles of the colour's k-th qubit by the pair read: of order 0 a pair has the colour of its
    second letter, of order 1 those of its entries; what has none wastes the last colour.
    """
    last, nothing = _turn(k, 2**k - 1), Alike(k)
    half = 1 << width - k - 1
    if 2 * half <= 1 << index:  # every second block of letters has a 1 here in its colour
        block = (2 * half).bit_length() - 1
        pair = axis(block, k, Piece(half, 2 * half, _turn(k, 0)))
        first = axis(index - block, block + k, Piece(0, -(-n // (2 * half)), pair))
    else:
        first = axis(index, k, Piece(0, n, nothing), Piece(n, 2**index, last))
    # pairs that F_2 reads, of entries that fall anywhere, and entries of each
    used = min(n, max(1, round(-n * math.expm1(-colours / n))))
    own = _scattered(k, colours / used)
    turned = used // 2 if own is None else used
    second = axis(
        index,
        k,
        Piece(0, turned, _turn(k, 0) if own is None else own),
        Piece(turned, used, nothing),
        Piece(used, 2**index, last),
    )
    wasted = axis(index, k, Piece(0, 2**index, last))
    return _by_order(index, index + k, n, (first, second), wasted)


def _scattered(k: int, entries: float) -> Layout | None:
    """Beginnings of k bits of so many colours, anywhere; None of a single one."""
    if entries < _FEW_ENTRIES:
        return None
    begun = 2**k * -math.expm1(entries * math.log1p(-(0.5**k))) if k else 1.0
    count = max(1, round(begun))
    if count > min(_MOST_PIECES, 2 ** max(0, k - 1)):
        return axis(k, 0, Piece(0, count, Own()))
    step = 2**k // count
    return axis(k, 0, *(Piece(j * step, j * step + 1, Own()) for j in range(count)))


def _pair_rows(n: int, colours: int, index: int, width: int, k: int) -> Layout:
    """Angles of the colour's k-th qubit by the word written: a letter, and none behind it."""
    rows = [
        axis(index, k, Piece(0, 1, colour_level(each, None, width, k))) for each in (n, colours)
    ]
    return _by_order(index, index + k, n, (rows[0], rows[1]), Alike(index + k))


def _pair_moves(n: int, colours: int, index: int, width: int) -> Layout:
    """Where a colour leads a pair, and what was there: two words for each first letter."""
    two = axis(index, 0, Piece(0, 1, Own()), Piece(n // 3 + 1, n // 3 + 2, Own()))
    nothing = Alike(index)
    both = _by_order(index, index, n, (two, two), nothing)
    few, many = sorted((n, colours))
    longer = (two, nothing) if n > colours else (nothing, two)
    more = _by_order(index, index, n, longer, nothing)
    return axis(width, 2 * index + 1, Piece(0, few, both), Piece(few, many, more))


def _parts(n: int, colours: int, loader: LoadCosts, bits: int) -> list[Part]:
    """Colours and rows; the first colour, the diagonal, leaves all in place."""
    turned, table = _step_tables(n, colours)
    return [
        prepared("colours", loader, turned, bits),
        loaded_and_cleared("rows", loader, table, table, bits_of(n)),
    ]


@lru_cache(maxsize=1 << 8)
def _step_tables(n: int, colours: int) -> tuple[tuple[Table, ...], Table]:
    """The colours of each column, and of each row; what is beyond n is wasted on the last one; and
    where a colour leads: for all loaders and bits.
    """
    index, width = bits_of(n), bits_of(colours)
    last = 2**width - 1
    usual = [colour_level(colours, None, width, k) for k in range(width)]
    wasted = [colour_level(0, last, width, k) for k in range(width)]
    by_column = [
        Table(axis(index, k, Piece(0, n, here), Piece(n, 2**index, beyond)))
        for k, (here, beyond) in enumerate(zip(usual, wasted, strict=True))
    ]
    by_row = [Table(axis(index, k, Piece(0, n, here))) for k, here in enumerate(usual)]
    line = axis(index, 0, Piece(0, n, Own()))
    return (*by_column, *by_row), Table(axis(width, index, Piece(1, colours, line)))


@lru_cache(maxsize=1 << 8)
def vector_preparation(n: int, loader: LoadCosts, bits: int) -> Part:
    """A vector of n values prepared, or its preparation undone: an angle for each beginning."""
    return prepared("upload", loader, _vector_tables(n), bits)


@lru_cache(maxsize=1 << 8)
def _vector_tables(n: int) -> tuple[Table, ...]:
    """Of each qubit but the first, whose angle is a single one."""
    width = bits_of(n)
    return tuple(Table(vector_level(0, n, width, k)) for k in range(1, width))
