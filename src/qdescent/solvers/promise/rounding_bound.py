"""How far rounding may have carried a direct solution from the true one, seen afterwards."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.linalg as sparse_linalg
from numpy.typing import NDArray

LARGEST_INVERSE = 512  # unknowns whose inverse is made: a tenth of a second
# on a norm's estimate from below: within 3 in all but constructed cases (Higham, Tisseur 2000)
CAUTION = 4.0
STEPS = 20  # of the power method: within a per cent where one singular value stands out
SEEN = 0.1  # ||I - A X|| above which the factors are no inverse to speak of


@np.errstate(over="ignore", invalid="ignore")  # a bound that is no number is infinite
def forward_error(
    matrix: sparse.csr_array, factors: Any, value: NDArray[Any], rhs: NDArray[Any]
) -> float:
    """A bound on ||z - A^-1 b||/||A^-1 b|| of a solution z from a factorisation; infinite where it
    shows nothing.

        |z - A^-1 b| <= |A^-1| (|r| + (m + 1) eps (|A||z| + |b|)),
        r = b - A z, m the most entries in a row,

    entry by entry: the residual as it was computed, and what rounding may have hidden of it.

    Args:
        matrix: A, (n, n), with entries of order one.
        factors: of A, with `solve(x, trans)`.
        value: z, (n,).
        rhs: b, (n,).

    Cost: n solves up to 512 unknowns (A^-1 itself, held against A), some ten beyond (an estimate,
    four times which is taken).

    References:
        Higham, Accuracy and Stability of Numerical Algorithms, section 7.4 and chapter 15; LAPACK's
        FERR.

    Example:
        >>> A = sparse.csr_array(np.array([[2.0, 1.0], [1.0, 3.0]]))
        >>> lu, b = sparse_linalg.splu(A.tocsc()), np.array([1.0, 1.0])
        >>> 0.0 < forward_error(A, lu, lu.solve(b), b) < 1e-14
        True
    """
    eps, modulus, n = float(np.finfo(np.float64).eps), abs(matrix), matrix.shape[0]
    if not np.isfinite(value).all():
        return math.inf
    most = int(np.diff(matrix.indptr).max()) * (2 if np.iscomplexobj(value) else 1)
    weights = np.abs(rhs - matrix @ value) + (most + 1) * eps * (
        modulus @ np.abs(value) + np.abs(rhs)
    )
    if n <= LARGEST_INVERSE:
        inverse = factors.solve(np.eye(n, dtype=value.dtype))
        missed = np.abs(np.eye(n) - matrix @ inverse)
        most_missed = float(missed.sum(axis=1).max())
        if not most_missed < SEEN:
            return math.inf
        # A^-1 = X (1 + E + E^2 + ...), E = I - A X: the terms from E^2 on by the norm of E.
        weights = weights + missed @ weights + most_missed**2 / (1 - most_missed) * weights.max()
        off = float(np.linalg.norm(np.abs(inverse) @ weights))
    else:
        off = CAUTION * math.sqrt(n) * _weighted_norm(factors, weights, value.dtype)
    length = float(np.linalg.norm(value))
    return off / (length - off) if off < length else math.inf


def is_singular(matrix: sparse.csr_array, factors: Any) -> bool:
    """Whether the factors show ||A||_2 ||A^-1||_2 >= 1/(n eps): singular to rounding.

    Both norms by twenty steps of the power method, from below.

    Args:
        matrix, factors: as in `forward_error`.

    Example:
        >>> A = sparse.csr_array(np.diag([1.0, 1e-13]))
        >>> lu = sparse_linalg.splu(A.tocsc())
        >>> is_singular(A, lu)
        False
    """
    n, dtype = matrix.shape[0], matrix.dtype
    adjoint = matrix.conj().T.tocsr()

    def norm_of(there: Any, back: Any) -> float:
        x = np.random.default_rng(0).standard_normal(n).astype(dtype)
        size = 0.0
        for _ in range(STEPS):
            x = there(x / np.linalg.norm(x))
            size = float(np.linalg.norm(x))
            if not (math.isfinite(size) and size > 0):
                return math.inf
            x = back(x)
        return size

    with np.errstate(over="ignore", invalid="ignore"):
        forward = norm_of(lambda x: matrix @ x, lambda x: adjoint @ x)
        inverse = norm_of(factors.solve, lambda x: factors.solve(x, trans="H"))
    return not forward * inverse * n * np.finfo(np.float64).eps < 1


def _weighted_norm(factors: Any, weights: NDArray[Any], dtype: Any) -> float:
    """|| |A^-1| w ||_inf = || A^-1 diag(w) ||_inf, its adjoint's 1-norm, from a few solves."""
    n = len(weights)
    adjoint = sparse_linalg.LinearOperator(
        (n, n),
        dtype=dtype,
        matvec=lambda x: (
            weights * factors.solve(np.ascontiguousarray(x.ravel().astype(dtype)), trans="H")
        ),
        rmatvec=lambda x: factors.solve(np.ascontiguousarray((weights * x.ravel()).astype(dtype))),
    )
    estimate = float(sparse_linalg.onenormest(adjoint))
    return estimate if math.isfinite(estimate) else math.inf
