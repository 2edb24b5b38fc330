"""Tables: colourings are matchings, permutations are permutations, and the tables add up to the
matrix.
"""

import numpy as np
import pytest

from qdescent._checks import ArgumentError
from qdescent.quantum.tables.angles import AngleTable, rotation_tree
from qdescent.quantum.tables.coloured import matrix_tables
from qdescent.quantum.tables.colouring import colour_entries


def arrow(size):
    """One full row and one full column: row and column sparsity as unequal as they come."""
    matrix = np.diag(np.linspace(1, 2, size))
    matrix[0] = np.linspace(0.1, 0.3, size)
    matrix[3:5, 0] = -0.7
    return matrix


def random_sparse(size, density, seed):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(size, size)) * (draw.random((size, size)) < density)


MATRICES = [
    arrow(9),
    random_sparse(6, 0.5, 0),
    random_sparse(20, 0.15, 1),
    np.array([[-2.5]]),
    np.eye(4)[[1, 2, 3, 0]],
]


@pytest.mark.parametrize("matrix", MATRICES, ids=lambda m: f"{len(m)}x{len(m)}")
def test_tables_add_up_to_the_matrix(matrix):
    rows, columns = np.nonzero(matrix)
    values = matrix[rows, columns]
    colours = colour_entries(rows, columns, values)
    for line in (rows, columns):
        assert len(set(zip(line, colours, strict=True))) == len(values)
    row_sparsity, column_sparsity = (matrix != 0).sum(1).max(), (matrix != 0).sum(0).max()
    assert colours.max() < row_sparsity + column_sparsity - 1 or len(values) == 1

    tables = matrix_tables(rows, columns, values, len(matrix), bits=20)
    side = tables.permutations.forward.shape[1]
    rebuilt = np.zeros((side, side))
    for c, weight in enumerate(tables.colours.prepared**2):
        pi = tables.permutations.forward[c]
        assert sorted(pi) == list(range(side))
        np.testing.assert_array_equal(tables.permutations.backward[c][pi], np.arange(side))
        rebuilt[pi, np.arange(side)] += (
            tables.alpha * weight * np.cos(tables.entries.half_angles[c])
        )
    padded = np.zeros((side, side))
    padded[: len(matrix), : len(matrix)] = matrix
    assert np.linalg.norm(rebuilt - padded, 2) <= tables.error + 1e-14
    assert tables.error < tables.alpha * 10 * np.pi / 2**20
    assert tables.alpha >= np.linalg.norm(matrix, 2) * (1 - 1e-12)


def test_weighted_colours_keep_alpha_small():
    matrix = np.eye(16) + 0.01 * random_sparse(16, 0.3, 2)
    rows, columns = np.nonzero(matrix)
    values = matrix[rows, columns]
    tables = matrix_tables(rows, columns, values, 16, bits=16)
    uniform = tables.used_colours * np.abs(values).max()  # what equal weights would give
    assert tables.alpha < 0.3 * uniform
    assert tables.alpha < 1.25 * np.linalg.norm(matrix, 2)


def test_rotation_tree_error_halves_with_each_bit():
    vector = np.random.default_rng(3).normal(size=11)
    exact = np.zeros(16)
    exact[:11] = vector / np.linalg.norm(vector)
    for bits in (8, 14, 24):
        prepared = rotation_tree(vector, bits).prepared
        assert np.linalg.norm(prepared - exact) <= 4 * np.pi / 2**bits
    # planted: signs forgotten
    assert np.linalg.norm(rotation_tree(np.abs(vector), 24).prepared - exact) > 0.5


def test_negated_and_inverted_tables_return_to_themselves():
    table = AngleTable.nearest(np.array([0.1, 3.0]), 10)
    assert table.negated.negated is table
    np.testing.assert_allclose(
        np.cos(table.negated.half_angles), np.cos(table.half_angles), atol=1e-15
    )


def test_refusals():
    with pytest.raises(
        ArgumentError, match="Argument `angle_bits` must be an integer of at least 3, but is 2"
    ):
        AngleTable.nearest(np.array([0.1]), 2)
    with pytest.raises(ArgumentError, match="Argument `angle_bits` must be at most 45, but is 60"):
        AngleTable.nearest(np.array([0.1]), 60)
    with pytest.raises(ArgumentError, match="Argument `vector` must be finite and not zero"):
        rotation_tree(np.zeros(4), 10)
