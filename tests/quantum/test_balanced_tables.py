"""Balanced weights: the labels add up to the matrix, and alpha is the norm of the matrix of moduli."""

import numpy as np
import pytest
import scipy.sparse as sparse

from qdescent.quantum.access import full_permutations
from qdescent.quantum.balance import balance, balance_error, schur_bound
from qdescent.quantum.edge_colouring import colour_entries, colour_weights, matching_colours
from qdescent.quantum.selected_tree import selected_tree


def random_sparse(size, density, seed):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(size, size)) * (draw.random((size, size)) < density)


def labelled(matrix, labels=None):
    rows, columns = np.nonzero(matrix)
    colours = matching_colours(rows, columns)
    shape = (labels or colours.max() + 1, len(matrix))
    values = np.zeros(shape)
    values[colours, columns] = matrix[rows, columns]
    return full_permutations(rows, columns, colours, shape).forward, values


def rebuilt(targets, right, left):
    labels, size = targets.shape
    total = np.zeros((size, size))
    for c in range(labels):
        total[targets[c], np.arange(size)] += right[:, c] * left[targets[c], c]
    return total


ARROW = np.diag(np.linspace(1, 2, 7)) + np.outer(np.eye(7)[0], np.linspace(0.1, 0.3, 7))
MATRICES = {
    "arrow": ARROW,
    "dense": random_sparse(6, 1.0, 0),
    "sparse, with empty lines": random_sparse(16, 0.1, 1),
    "parts of unlike norm": np.diag([3.0, -1.0, 0.0, 0.5]),
    "long chain": np.eye(40) - 0.9 * np.eye(40, k=-1),
}


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES.keys())
def test_the_labels_add_up_to_the_matrix(matrix):
    targets, values = labelled(matrix)
    weights = balance(targets, values)
    if weights is None:  # no room for what must be wasted: one more label is enough
        targets, values = labelled(matrix, len(targets) + 1)
        weights = balance(targets, values)
    np.testing.assert_allclose(weights.alpha * rebuilt(targets, weights.right, weights.left), matrix, atol=1e-10)
    for part in (weights.right, weights.left):
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1)
    assert weights.alpha == pytest.approx(np.linalg.norm(np.abs(matrix), 2), rel=1e-9)
    planted = rebuilt(targets, weights.right**2, weights.left**2)  # weights without the square root
    assert np.linalg.norm(weights.alpha * planted - matrix, 2) > 0.02 * weights.alpha


def test_alpha_is_never_above_that_of_weighted_colours():
    for seed in range(5):
        matrix = random_sparse(12, 0.3, seed)
        rows, columns = np.nonzero(matrix)
        values = matrix[rows, columns]
        coloured = colour_weights(values, colour_entries(rows, columns, values)).sum()
        assert np.linalg.norm(matrix, 2) <= np.linalg.norm(np.abs(matrix), 2) < 0.9 * coloured


def test_the_error_bounds_what_quantised_angles_miss():
    matrix = random_sparse(8, 0.5, 3)
    targets, values = labelled(matrix, 8)
    weights = balance(targets, values)
    for bits in (5, 10, 20):
        right, left = (selected_tree(part, bits).prepared for part in (weights.right, weights.left))
        measured = np.linalg.norm(matrix - weights.alpha * rebuilt(targets, right, left), 2)
        bound = schur_bound(balance_error(targets, values, weights.alpha, right, left))
        assert bound / 20 < measured <= bound < 30 * weights.alpha / 2**bits


def test_colours_are_as_few_as_the_fullest_line():
    draw = np.random.default_rng(0)
    for density in (0.1, 0.5, 1.0):
        matrix = sparse.random_array((15, 15), density=density, rng=draw).toarray()
        rows, columns = (np.tile(part, 2) for part in np.nonzero(matrix))  # every pair twice
        order = draw.permutation(len(rows))
        rows, columns = rows[order], columns[order]
        colours = matching_colours(rows, columns)
        for line in (rows, columns):
            assert len(set(zip(line, colours, strict=True))) == len(colours)
        assert colours.max() + 1 == max(np.bincount(rows).max(), np.bincount(columns).max())
