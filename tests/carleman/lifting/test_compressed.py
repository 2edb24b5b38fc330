"""Symmetric coordinates and the matrix-free operator are the full sparse matrix by other means."""

import tracemalloc

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.carleman.lifting.operator import carleman_operator
from qdescent.linalg.polynomial_field import PolynomialField
from qdescent.linalg.polynomial_map import PolynomialMap

FORMS = ["plain", "homogenised"]


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


def random_terms(n, degree, seed, pull=True):
    generator = torch.Generator().manual_seed(seed)
    terms = [
        torch.randn(n, n**k, dtype=torch.float64, generator=generator) / n ** (k / 2)
        for k in range(degree + 1)
    ]
    return terms if pull else [0 * terms[0], *terms[1:]]


def places_in_full(full, small):
    """Where the sorted words stand among the unknowns of the full coordinates."""
    return torch.cat(
        [
            torch.searchsorted(all_words, sorted_words) + full.coordinates.starts[j]
            for j, (all_words, sorted_words) in enumerate(
                zip(full.words, small.words, strict=True), start=1
            )
        ]
    )


@pytest.mark.parametrize("kind", [PolynomialMap, PolynomialField])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(("n", "degree"), [(1, 3), (2, 2), (3, 3)])
def test_compressed_is_full(kind, form, order, n, degree):
    for pull in (True, False):
        f = kind(random_terms(n, degree, seed=7 * n + degree, pull=pull))
        full, small = (carleman_linearize(f, order, form, symmetric) for symmetric in (False, True))
        full, small = (
            each.euler_step(0.1) if kind is PolynomialField else each for each in (full, small)
        )
        kept = places_in_full(full, small)
        u = f64([0.3, -0.2, 0.1][:n])
        z, y = full.lift(u), small.lift(u)
        for _ in range(3):
            torch.testing.assert_close(y, z[kept], rtol=1e-12, atol=1e-13)
            z, y = full.step(z), small.step(y)


def test_the_published_compressed_rows():
    """In (x, y, xx, xy, yy); and the peer's bug, -1 at (4, 4), is told apart."""
    terms = [torch.zeros(2).double(), f64([[3, 0], [1, -1]]), f64([[0, 0, 0, 1], [1, -2.2, 0, 0]])]
    rows = [
        [3, 0, 0, 0, 1],
        [1, -1, 1, -2.2, 0],
        [0, 0, 6, 0, 0],
        [0, 0, 1, 2, 0],
        [0, 0, 0, 2, -2],
    ]
    ours = (
        carleman_linearize(PolynomialField(terms), 2, "plain", symmetric=True)
        .to_sparse()
        .to_dense()
        .numpy()
    )
    np.testing.assert_array_equal(ours, rows)
    rows[3][3] = -1
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(ours, rows)


@pytest.mark.parametrize("kind", [PolynomialMap, PolynomialField])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize(
    ("n", "degree", "order"), [(1, 2, 4), (2, 3, 4), (3, 2, 3), (4, 1, 2), (2, 4, 2)]
)
def test_matrix_free_is_the_sparse_matrix(kind, form, symmetric, n, degree, order):
    for pull in (True, False):
        f = kind(random_terms(n, degree, seed=n + degree, pull=pull))
        lift, operator = (
            carleman_linearize(f, order, form, symmetric),
            carleman_operator(f, order, form, symmetric),
        )
        z = torch.randn(
            lift.dimension, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
        )
        dense = lift.to_sparse().to_dense()
        size = float(dense.abs().max())
        torch.testing.assert_close(operator @ z, dense @ z, rtol=1e-12, atol=1e-12 * size)
        torch.testing.assert_close(operator.H @ z, dense.T @ z, rtol=1e-12, atol=1e-12 * size)
        torch.testing.assert_close(operator.offset, lift.offset, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(
            operator.step(z[:, 0]), dense @ z[:, 0] + lift.offset, rtol=1e-12, atol=1e-12 * size
        )
        u = torch.ones(n).double()
        assert torch.equal(operator.project(operator.lift(u)), u)


def test_the_stored_operator_has_its_adjoint(random_step):
    lift = carleman_linearize(random_step(2, 2, seed=0), 2)
    z = torch.randn(lift.dimension, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    dense = lift.matrix.to_dense()
    torch.testing.assert_close(lift.operator @ z, dense @ z)
    torch.testing.assert_close(lift.operator.H @ z, dense.T @ z)


def tridiagonal_map(n):
    place = torch.arange(n)
    rows, columns = (
        torch.cat([place[1:], place, place[:-1]]),
        torch.cat([place[:-1], place, place[1:]]),
    )
    values = (
        torch.rand(len(rows), dtype=torch.float64, generator=torch.Generator().manual_seed(n)) / 3
    )
    F1 = torch.sparse_coo_tensor(
        torch.stack([rows, columns]), values, (n, n), check_invariants=True
    )
    F2 = torch.sparse_coo_tensor(
        torch.stack([rows, columns * n + columns]), values, (n, n * n), check_invariants=True
    )
    return PolynomialMap([torch.zeros(n).double(), F1.coalesce(), F2.coalesce()])


def test_assembly_takes_little_more_memory_than_the_matrix():
    f = tridiagonal_map(400)
    tracemalloc.start()
    try:
        lift = carleman_linearize(f, 2, "plain", symmetric=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    matrix = lift.rows.data.nbytes + lift.rows.indices.nbytes + lift.rows.indptr.nbytes
    assert lift.dimension == 400 + 400 * 401 // 2
    assert lift.rows.indices.dtype == np.int32
    assert peak < 1.25 * matrix + 20e6  # 20 MB: the products of one chunk
    u = torch.rand(400, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    np.testing.assert_allclose(lift.project(lift @ lift.lift(u)), f(u), rtol=1e-13)
    z = lift.lift(u) + 0.1
    torch.testing.assert_close(
        carleman_operator(f, 2, "plain", symmetric=True) @ z, lift @ z, rtol=1e-12, atol=1e-13
    )


def test_what_is_too_large_is_refused(random_step):
    with pytest.raises(
        ArgumentError,
        match=r"Argument `order` must leave the explicit matrix at most 1e\+08 entries",
    ):
        carleman_linearize(random_step(12, 2, seed=0), 7, symmetric=True)
    with pytest.raises(
        ArgumentError,
        match=(
            r"Argument `order` must leave at most 1e\+09 words \(series_descent needs none\), but"
            r" is 9"
        ),
    ):
        carleman_operator(random_step(12, 2, seed=0), 9)
    lift = carleman_linearize(random_step(2, 2, seed=0), 2)
    with pytest.raises(ArgumentError, match=r"Argument `z` must have shape \(10,\)"):
        lift.step(torch.ones(7))
    with pytest.raises(ArgumentError, match=r"Argument `z` must have shape \(10,\)"):
        lift.project(torch.ones(7))
