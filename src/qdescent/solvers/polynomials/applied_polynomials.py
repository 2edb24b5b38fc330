"""Several polynomials of one matrix on a block, a column each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sparse

from qdescent._arrays import Floats
from qdescent.quantum.algorithms.bounded_polynomials import BoundedPolynomial

Halves = tuple[Floats, Floats]


def transform(
    matrix: sparse.csr_array, alpha: float, polynomials: Sequence[BoundedPolynomial], block: Floats
) -> tuple[Halves, int]:
    """The even and the odd part of each polynomial of matrix/alpha on its column, (n, R) each, and
    the products made.

    Example:
        >>> one = sparse.csr_array(np.eye(1))
        >>> p = BoundedPolynomial(np.array([1.0, 0.5]), 0.0)
        >>> (even, odd), made = transform(one, 1.0, [p], np.ones((1, 1)))
        >>> even.item(), odd.item(), made
        (1.0, 0.5, 1)
    """
    degree = max(p.degree for p in polynomials)
    table = np.zeros((degree + 1, len(polynomials)))
    for column, p in enumerate(polynomials):
        table[: p.degree + 1, column] = p.coefficients
    before, now = block, matrix @ block / alpha
    halves = [table[0] * before, table[1] * now]
    for k in range(2, degree + 1):
        before, now = now, 2 / alpha * (matrix @ now) - before
        halves[k % 2] = halves[k % 2] + table[k] * now
    return (halves[0], halves[1]), degree
