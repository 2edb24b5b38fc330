"""The norm of |M|: at least the true one, close to it, and shown by a positive vector, by the
direct and the iterative way.
"""

import numpy as np
import pytest
import scipy.sparse as sparse

from qdescent.quantum.tables import perron as module
from qdescent.quantum.tables.perron import absolute_norm

SIZE = 300


def chain(diagonal, coupling):
    return np.diag(diagonal) + coupling * (np.eye(SIZE, k=1) + np.eye(SIZE, k=-1))


def random_sparse(density, seed=0):
    draw = np.random.default_rng(seed)
    return np.abs(draw.normal(size=(SIZE, SIZE))) * (draw.random((SIZE, SIZE)) < density)


def blocks(size):
    draw = np.random.default_rng(1)
    matrix = np.zeros((SIZE, SIZE))
    for start in range(0, SIZE, size):
        matrix[start : start + size, start : start + size] = (
            draw.random((size, size)) * draw.random()
        )
    return matrix


MATRICES = {
    "localised": chain(np.linspace(1, 0.5, SIZE), 1e-2),
    "random chain": chain(np.random.default_rng(2).random(SIZE), 0.05),
    "no gap": chain(np.zeros(SIZE), 1.0),
    "history": np.eye(SIZE) + 0.9 * np.eye(SIZE, k=-10),
    "sparse, with empty lines": random_sparse(0.003),
    "dense": random_sparse(1.0),
    "many parts": blocks(5),
    "diagonal": np.diag(np.random.default_rng(3).random(SIZE)),
    "one entry": np.eye(SIZE)[:, :1] @ np.eye(SIZE)[7:8],
}


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
@pytest.mark.parametrize(
    ("close", "above"),
    [(True, 2e-12), (False, 1.1e-4), (None, 1.1e-2)],
    ids=["direct", "iterative", "rough"],
)
@pytest.mark.parametrize("name", MATRICES)
def test_from_above_and_close(name, close, above, scale, monkeypatch):
    matrix = MATRICES[name]
    if close is None:
        monkeypatch.setattr(module, "MOST_CLOSE", 10)
    alpha, x = absolute_norm(sparse.csr_array(scale * matrix), SIZE if close else 10)
    true = np.linalg.norm(matrix, 2)
    assert true * (1 - 1e-14) <= alpha / scale <= true * (1 + above)
    filled = matrix.any(axis=0)
    assert (x[filled] > 0).all()
    assert not x[~filled].any()
    assert (matrix.T @ (matrix @ x) <= (alpha / scale) ** 2 * x * (1 + 1e-12)).all()


def test_many_parts_take_no_loop_over_them():
    """65,000 parts in one go; a sign that the number of parts does not matter is that this ends."""
    size = 65_000
    values = np.random.default_rng(4).random(size)
    alpha, _ = absolute_norm(sparse.csr_array(sparse.diags_array(values)))
    assert values.max() * (1 - 1e-14) <= alpha <= values.max() * (1 + 1.1e-4)
