"""Balanced weights: the labels add up to the matrix; alpha is the norm of |M|."""

import numpy as np
import pytest
import scipy.sparse as sparse
import torch

from qdescent.quantum.encodings.balanced import BalancedEncoding
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.angles import selected_tree
from qdescent.quantum.tables.balanced import balanced_matrix
from qdescent.quantum.tables.colouring import coloured_entries, matching_colours
from qdescent.quantum.tables.permutations import full_permutations
from qdescent.quantum.tables.weights import balance, balance_error, schur_bound


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
    np.testing.assert_allclose(
        weights.alpha * rebuilt(targets, weights.right, weights.left), matrix, atol=1e-10
    )
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
        coloured = coloured_entries(rows, columns, values).alpha
        assert (
            np.linalg.norm(matrix, 2)
            <= balanced_matrix(rows, columns, values, 12, 12).alpha
            < 0.9 * coloured
        )


def test_the_error_bounds_what_quantised_angles_miss():
    matrix = random_sparse(8, 0.5, 3)
    targets, values = labelled(matrix, 8)
    weights = balance(targets, values)
    for bits in (5, 10, 20):
        right, left = (selected_tree(part, bits).prepared for part in (weights.right, weights.left))
        measured = np.linalg.norm(matrix - weights.alpha * rebuilt(targets, right, left), 2)
        bound = schur_bound(balance_error(targets, values, weights.alpha, right, left))
        assert bound / 20 < measured <= bound < 30 * weights.alpha / 2**bits


def test_there_are_as_many_colours_as_the_maximum_degree():
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


HARD = {
    "localised vector": (
        np.diag(np.linspace(1, 0.5, 64)) + 1e-8 * (np.eye(64, k=1) + np.eye(64, k=-1))
    ),
    "tiny couplings": np.array([[1, 1e-170, 0], [0, 0.5, 1e-170], [0, 1e-170, 0.4]]),
    "many parts": np.diag([1.0, 1e-3, 0, 2e-5, 1]),
    "empty row": np.eye(3)[:, [1, 1, 2]],
}


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200])
@pytest.mark.parametrize("matrix", HARD.values(), ids=HARD.keys())
def test_tables_where_the_perron_vector_is_not_positive(matrix, scale):
    """Its far entries would be below any float64, or 0: the tables still hold the matrix, at the
    norm of |M|.
    """
    rows, columns = np.nonzero(matrix)
    tables = balanced_matrix(rows, columns, scale * matrix[rows, columns], len(matrix), 30)
    assert tables.alpha / scale == pytest.approx(np.linalg.norm(np.abs(matrix), 2), rel=1e-9)
    assert tables.error < 1e-6 * tables.alpha
    shown = rebuilt(
        tables.permutations.forward, tables.prepare.prepared, tables.unprepare.prepared
    )[: len(matrix), : len(matrix)]
    assert np.abs(tables.alpha / scale * shown - matrix).max() < 1e-6


def test_a_balanced_query_multiplies_by_the_matrix():
    """Read off the circuit, of a part that must waste most of its weight."""
    matrix = np.diag([1.0, 0.01, -0.02, 0.5])
    matrix[0, 1] = 1e-3
    rows, columns = np.nonzero(matrix)
    encoding = BalancedEncoding(balanced_matrix(rows, columns, matrix[rows, columns], 4, 24))
    identity = torch.eye(2 ** encoding.signature.n_qubits(), dtype=torch.float64)[
        :: 2**encoding.ancilla_bitsize
    ]
    found = torch.stack(
        [Simulator().run(encoding, column).project(ancilla=0).real for column in identity], dim=1
    )
    assert np.linalg.norm(encoding.alpha * found.numpy() - matrix, 2) <= encoding.epsilon < 1e-5
