"""Colours for the entries of a sparse matrix: none stands twice in a row or a column."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from qdescent._arrays import Complexes, Floats, Ints

MOST_IN_ORDER = 2**14  # entries; a full matrix in the order of its rows has a path for most of them


def colour_entries(rows: Ints, columns: Ints, values: Floats | Complexes) -> Ints:
    """A colour for every entry of a matrix, no colour twice in a row or a column; large entries
    take the first colours.

    First fit in descending order of |value|: entries of one size share colours, which keeps alpha =
    sum_c max |D_c| small. At most (row sparsity + column sparsity - 1) colours.

    Args:
        rows, columns, values: shape (nnz,), each pair once.

    Returns:
        array: shape (nnz,), colours from 0.

    Example:
        >>> colour_entries(
        ...     np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([1.0, 0.1, 1.0])
        ... ).tolist()
        [0, 1, 0]
    """
    colours = np.empty(len(values), dtype=np.int64)
    in_row: dict[int, int] = {}  # bit masks of the colours in use
    in_column: dict[int, int] = {}
    for entry in np.argsort(-np.abs(values), kind="stable").tolist():
        i, j = int(rows[entry]), int(columns[entry])
        taken = in_row.get(i, 0) | in_column.get(j, 0)
        free = ~taken & (taken + 1)  # the lowest zero bit
        in_row[i] = in_row.get(i, 0) | free
        in_column[j] = in_column.get(j, 0) | free
        colours[entry] = free.bit_length() - 1
    return colours


@dataclass(frozen=True, eq=False)
class Colouring:
    """A colour for every entry of a matrix, and what each colour weighs.

    Args:
        colours: (nnz,), from 0; none twice in a row or a column.
        weights: max |D_c|, one for each colour.
    """

    colours: Ints = field(repr=False)
    weights: Floats = field(repr=False)

    @cached_property
    def alpha(self) -> float:
        """The sum of the weights."""
        return float(self.weights.sum())


def coloured_entries(rows: Ints, columns: Ints, values: Floats | Complexes) -> Colouring:
    """The colouring of `colour_entries` with its weights.

    Args:
        rows, columns, values: shape (nnz,), each pair once.
    """
    colours = colour_entries(rows, columns, values)
    weights = np.zeros(int(colours.max()) + 1)
    np.maximum.at(weights, colours, np.abs(values))
    return Colouring(colours, weights)


def matching_colours(rows: Ints, columns: Ints) -> Ints:
    """The fewest colours for the entries of a matrix, no colour twice in a row or a column.

    As many as the maximum degree, the most entries in a row or a column (Koenig), by alternating
    paths. A pair may occur more than once.

    Args:
        rows, columns: shape (nnz,).

    Returns:
        array: shape (nnz,), colours from 0.

    Cost: O(nnz) paths of at most the matrix's size; above 16,384 entries they are taken by
        diagonals, which meet no path where the matrix is full or a band.

    Example:
        >>> matching_colours(np.array([0, 0, 1]), np.array([0, 1, 0])).tolist()
        [1, 0, 0]
    """
    if len(rows) > MOST_IN_ORDER:
        diagonals = np.argsort((columns - rows) % (1 + max(rows.max(), columns.max())))
        sorted_colours = _matched(rows[diagonals], columns[diagonals])
        colours = np.empty_like(sorted_colours)
        colours[diagonals] = sorted_colours
        return colours
    return _matched(rows, columns)


def _matched(rows: Ints, columns: Ints) -> Ints:
    """The entries in their order, each with the exchange of two colours that makes room for it."""
    ends = rows.tolist(), columns.tolist()
    # of each row and of each column: colour -> the entry that has it, and the colours as a bit mask
    held: tuple[dict[int, dict[int, int]], ...] = ({}, {})
    taken: tuple[dict[int, int], ...] = ({}, {})
    colours = [0] * len(rows)
    for entry, (i, j) in enumerate(zip(*ends, strict=True)):
        # 1. a is free in the row, b in the column: the lowest of each
        row, column = held[0].setdefault(i, {}), held[1].setdefault(j, {})
        a, b = (_lowest_zero(masks.get(end, 0)) for masks, end in zip(taken, (i, j), strict=True))
        # 2. the path of colours a, b, a, ... that begins in the column; it alternates columns and
        #    rows, so that it would enter the row by a, which is free there: it ends elsewhere
        path, line, side, colour = [], column, 0, a
        while colour in line:
            step = line[colour]
            path.append(step)
            line, side, colour = held[side][ends[side][step]], 1 - side, a + b - colour
        # 3. exchange a and b along it: now a is free in the column, too
        for step in path:
            for kind in (0, 1):
                del held[kind][ends[kind][step]][colours[step]]
        for step in path:
            colours[step] = a + b - colours[step]
            for kind in (0, 1):
                held[kind][ends[kind][step]][colours[step]] = step
        if path:  # both ends of the path have exchanged a bit, whatever lies between has both
            for kind, end in ((1, j), (1 - side, ends[1 - side][path[-1]])):
                taken[kind][end] ^= (1 << a) ^ (1 << b)
        # 4. the entry takes a
        colours[entry] = a
        row[a] = column[a] = entry
        for masks, end in zip(taken, (i, j), strict=True):
            masks[end] = masks.get(end, 0) | 1 << a
    return np.array(colours, dtype=np.int64)


def _lowest_zero(mask: int) -> int:
    """The index of the lowest bit of a mask that is 0."""
    return (~mask & (mask + 1)).bit_length() - 1


def maximum_degree(rows: Ints, columns: Ints) -> int:
    """The most entries in a row or a column.

    Example:
        >>> maximum_degree(np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0]))
        3
    """
    return max(int(np.bincount(line, minlength=1).max()) for line in (rows, columns))
