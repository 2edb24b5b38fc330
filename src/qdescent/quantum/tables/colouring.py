"""Colours for the entries of a sparse matrix: none stands twice in a row or a column."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from qdescent._arrays import Complexes, Floats, Ints


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

    As many as the fullest row or column has entries (Koenig), by alternating paths. A pair may
    occur more than once.

    Args:
        rows, columns: shape (nnz,).

    Returns:
        array: shape (nnz,), colours from 0.

    Cost: O(nnz) paths of at most the matrix's size.

    Example:
        >>> matching_colours(np.array([0, 0, 1]), np.array([0, 1, 0])).tolist()
        [1, 0, 0]
    """
    in_row: dict[int, dict[int, int]] = {}  # line -> colour -> entry
    in_column: dict[int, dict[int, int]] = {}
    colours = np.zeros(len(rows), dtype=np.int64)
    lines, fullest = (rows.tolist(), columns.tolist()), fullest_line(rows, columns)
    for entry, (i, j) in enumerate(zip(*lines, strict=True)):
        row, column = in_row.setdefault(i, {}), in_column.setdefault(j, {})
        a, b = (
            next(colour for colour in range(fullest) if colour not in line)
            for line in (row, column)
        )
        # the path of colours a, b, a, ... that begins in the column: it cannot end in the row
        path, line, turn = [], column, True
        while (colour := a if turn else b) in line:
            step = line[colour]
            path.append(step)
            line = in_row[lines[0][step]] if turn else in_column[lines[1][step]]
            turn = not turn
        for step in path:
            del in_row[lines[0][step]][colours[step]], in_column[lines[1][step]][colours[step]]
        for step in path:
            colours[step] = a + b - colours[step]
            in_row[lines[0][step]][int(colours[step])] = in_column[lines[1][step]][
                int(colours[step])
            ] = step
        colours[entry] = a
        row[a] = column[a] = entry
    return colours


def fullest_line(rows: Ints, columns: Ints) -> int:
    """The most entries in a row or a column.

    Example:
        >>> fullest_line(np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0]))
        3
    """
    return max(int(np.bincount(line, minlength=1).max()) for line in (rows, columns))
