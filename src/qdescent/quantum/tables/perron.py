"""The norm of |M|, by absolute values, from above, with a positive vector that shows it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sparse
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, cg, eigsh

from qdescent._arrays import Complexes, Floats, Ints

LARGEST_DENSE = 512  # columns: an eigenvalue and a solve of that size take a twentieth of a second
# how far above the norm's square a direct solve may start: its residual then stays below 1
SHARP = 1e-12
CLOSE = 1e-4  # the same for an iterative solve, some 200 products
# columns; beyond it each product costs as much as a step of the solve that alpha is for
MOST_CLOSE = 2**16
NEAR = 1e-2  # and there some 20 products must do


class AbsoluteNorm(NamedTuple):
    """The norm of |M| from above, and what shows it.

    Args:
        alpha: at least || |M| ||_2.
        vector: x, 0 at empty columns and positive elsewhere, with |M|^T |M| x <= alpha^2 x.
    """

    alpha: float
    vector: Floats


def absolute_norm(absolute: sparse.csr_array, dense: int = LARGEST_DENSE) -> AbsoluteNorm:
    """alpha at least || |M| ||_2, and x > 0 with |M|^T |M| x <= alpha^2 x in every entry (which
    proves it: Collatz, Wielandt).

        x = (mu - |M|^T |M|)^-1 1,   mu a little above the norm's square:
        x >= 1/mu,   |M|^T |M| x = mu x - 1.

    Perron's vector itself would do where it is positive; it is 0 on all but one of the parts that
    are not connected, and below any float64 where it is localised. x never is.

    Args:
        absolute: |M|, not zero, not negative, shape (S, S).
        dense: columns up to which alpha is the norm to 1e-12; beyond it to 1e-4, and to 1e-2 above
            65,536.

    Returns:
        AbsoluteNorm: alpha, and x of shape (S,).

    Cost: O(S^3) up to `dense` columns, then 20 to 300 products.

    Example:
        >>> alpha, x = absolute_norm(sparse.csr_array(np.array([[1.0, 0.0], [0.5, 1.0]])))
        >>> round(alpha, 6), bool(x[0] > x[1] > 0)
        (1.280776, True)
    """
    largest = float(absolute.max())
    scaled = absolute / largest
    filled = np.asarray(scaled.sum(axis=0)).ravel() > 0
    if absolute.shape[1] <= dense:
        x = _direct(scaled.toarray())
    else:
        x = _iterative(scaled, CLOSE if absolute.shape[1] <= MOST_CLOSE else NEAR)
    x = np.where(filled, x, 0.0)
    rate = (scaled.T @ (scaled @ x))[filled] / x[filled]
    return AbsoluteNorm(largest * math.sqrt(float(rate.max())), x)


def absolute_matrix(
    rows: Ints, columns: Ints, values: Floats | Complexes, size: int
) -> sparse.csr_array:
    """|M| from the entries of M, shape (D, D).

    Args:
        rows, columns, values: shape (nnz,), each pair once.
        size: D.
    """
    moduli = sparse.coo_array((np.abs(values), (rows, columns)), shape=(size, size))
    return sparse.csr_array(moduli)


def _direct(matrix: Floats) -> Floats:
    square: Floats = matrix.T @ matrix
    size = len(square)
    top = float(
        scipy.linalg.eigh(square, eigvals_only=True, subset_by_index=[size - 1, size - 1])[0]
    )
    above = SHARP
    while True:
        mu = top * (1 + above)
        factors = scipy.linalg.lu_factor(mu * np.eye(size) - square)
        x = np.asarray(scipy.linalg.lu_solve(factors, np.ones(size)), dtype=np.float64)
        if _shows(x, mu * x - square @ x):
            break
        above *= 10  # the eigenvalue was rounded down
    # Any positive vector will do on the right: x itself brings the solution near Perron's, with
    # less left over.
    finer = np.asarray(scipy.linalg.lu_solve(factors, x / x.max()), dtype=np.float64)
    return finer if _shows(finer, mu * finer - square @ finer) else x


def _iterative(matrix: sparse.csr_array, above: float) -> Floats:
    size = matrix.shape[1]
    adjoint = sparse.csr_array(matrix.T)
    square = LinearOperator((size, size), matvec=lambda v: adjoint @ (matrix @ v), dtype=np.float64)
    ones = np.ones(size)
    try:
        top = float(eigsh(square, k=1, v0=ones, tol=above / 2, return_eigenvectors=False)[0])
    # any number below the norm's square will do: mu is raised until it is above
    except ArpackNoConvergence:
        v = square.matvec(ones)
        top = float(v @ ones) / size
    while True:
        mu = top * (1 + above)
        shifted = LinearOperator(
            (size, size), matvec=lambda v, mu=mu: mu * v - square.matvec(v), dtype=np.float64
        )
        x, _ = cg(
            shifted, ones, rtol=0.5 / math.sqrt(size), maxiter=math.ceil(10 / math.sqrt(above))
        )
        if _shows(x, shifted.matvec(x)):
            return x
        above *= 2


def _shows(x: Floats, left: Floats) -> bool:
    """x > 0 and mu x - |M|^T |M| x > 0."""
    return bool(np.isfinite(x).all() and x.min() > 0 and left.min() > 0)
