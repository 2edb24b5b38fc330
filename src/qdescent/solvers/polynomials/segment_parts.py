"""What a segment's plan needs of its map: F_1, its window and the best shift, F_0 and F_2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sparse
import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from qdescent._arrays import Floats
from qdescent._checks import argument_error
from qdescent._random import named_generator
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.operator import LinearOperator
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.polynomial_terms import to_scipy
from qdescent.linalg.spectra.lanczos import lanczos
from qdescent.quantum.algorithms.bounded_polynomials import BoundedPolynomial
from qdescent.quantum.algorithms.power_sums import powers
from qdescent.solvers.encodings import EncodingPlan, MatrixEncoding

LARGEST_DENSE = 2048  # eigenvalues of so many weights take seconds
SHIFTS = 4  # beyond the least diagonal entry, to the middle of the diagonal
EXACT_POINTS = 16  # eigenvalues whose triples are all tried for the error of the nodes
PRODUCTS = 300  # of Lanczos' method, where an edge of many eigenvalues converges slowly
ASYMMETRY = 1e3  # roundings


def linear_part(f: PolynomialMap) -> tuple[sparse.csr_array, Floats, float]:
    """F_1, f and ||F_0||, once they are what polynomials of F_1 need."""
    given = f.coefficients[0].to_dense().reshape(-1).double().cpu().numpy()
    largest = float(np.abs(given).max())
    if largest == 0:
        raise argument_error(
            "f", "have an F_0 other than zero (from u = 0 its steps stay at 0)", "without one"
        )
    length = largest * float(np.linalg.norm(given / largest))
    step = to_scipy(f.coefficients[1])
    size = float(abs(step).max()) if step.nnz else 0.0
    apart = float(abs(step - step.T).max()) if step.nnz else 0.0
    if apart > ASYMMETRY * torch.finfo(f.coefficients[1].dtype).eps * size:
        raise argument_error(
            "f",
            "have a symmetric F_1, as plain gradient descent has (momentum and unsymmetric maps:"
            " `history_system`)",
            f"one with |F_1 - F_1^T| up to {apart:.3g}",
        )
    return sparse.csr_array((step + step.T) / 2), given / length, length


def extremes(step: sparse.csr_array) -> tuple[float, float]:
    """The least and the largest eigenvalue; of many weights the ends that Lanczos' method sees,
    each moved out by its residual.
    """
    n = step.shape[0]
    if n <= LARGEST_DENSE:
        values = np.linalg.eigvalsh(step.toarray())
        return float(values[0]), float(values[-1])

    def apply(block: Tensor) -> Tensor:
        return torch.from_numpy(step @ block.numpy())

    start = torch.randn(
        n, 1, generator=named_generator(0, "extremes"), dtype=torch.float64, device="cpu"
    )
    state = lanczos(LinearOperator((n, n), apply, apply), start, PRODUCTS)
    length = int(state.length[0])
    beside = state.beta[0, : length - 1].numpy()
    values, vectors = eigh_tridiagonal(state.alpha[0, :length].numpy(), beside)
    left = float(state.beta[0, length - 1]) * np.abs(vectors[-1])
    return float(values[0] - left[0]), float(values[-1] + left[-1])


def least_mean(window: tuple[float, float], steps: int) -> float:
    """min |(1/T) sum_t y^t| over the window; where it vanishes (T even, y = -1) half of the mean's
    least value for odd T.
    """
    y = np.linspace(*window, 1025)
    found = float(np.abs(powers(np.full((1, steps), 1 / steps), y)).min())
    return max(found, 1 / (2 * steps))


def best_shift(
    step: sparse.csr_array,
    start: Floats,
    encoding: MatrixEncoding,
    polynomial: Callable[[float, float], BoundedPolynomial],
) -> tuple[float, EncodingPlan, BoundedPolynomial]:
    """c, the plan of F_1 - c, and p: the one of least degree times supremum, c from 0 to the middle
    of the diagonal.

    Up to the least diagonal entry alpha(c) = alpha(0) - c for balanced entries: a shift costs
    nothing there.
    """
    diagonal = step.diagonal()
    first, middle = float(diagonal.min()), float(diagonal.min() + diagonal.max()) / 2
    shifts = {0.0, *(first + k / SHIFTS * (middle - first) for k in range(SHIFTS + 1))}
    best: tuple[tuple[float, float], Any] | None = None
    over: OverflowError | None = None
    for shift in sorted(c for c in shifts if c >= 0):
        matrix = sparse.coo_array(step - shift * sparse.eye_array(len(start)))
        if not matrix.nnz or not matrix.data.any():
            continue  # F_1 = c: nothing to encode
        plan = encoding.plan(as_system(matrix, start))
        try:
            found = polynomial(shift, plan.alpha)
        except OverflowError as beyond:
            over = beyond
            continue
        cost = (found.degree * found.norm, plan.alpha)
        if best is None or cost < best[0]:
            best = cost, (shift, plan, found)
    if best is None and over is not None:
        raise over
    if best is None:
        raise argument_error("f", "have an F_1 other than zero", "zero")
    return best[1]


def as_system(matrix: sparse.coo_array, start: Floats) -> LinearSystem:
    """The matrix with a right-hand side, as encodings take it."""
    places = torch.from_numpy(np.array([matrix.row, matrix.col], dtype=np.int64))
    entries = torch.sparse_coo_tensor(
        places, torch.from_numpy(matrix.data), matrix.shape, check_invariants=True, device="cpu"
    )
    return LinearSystem(entries.coalesce(), torch.from_numpy(start))


def coupling_of(f: PolynomialMap, length: float) -> sparse.csr_array | None:
    """||F_0|| F_2; None where it is zero."""
    found = length * to_scipy(f.coefficients[2])
    found.eliminate_zeros()
    return sparse.csr_array(found) if found.nnz else None


def letters_of(coupling: sparse.csr_array) -> sparse.csr_array:
    """sum_k |F_2[i; j, k]|, (n, n): what is left where the second letter is not told apart."""
    n = coupling.shape[0]
    given = abs(coupling).tocoo()
    entries = (given.data, (given.row, given.col // n))
    return sparse.csr_array(sparse.coo_array(entries, shape=(n, n)))


def points_of(step: sparse.csr_array, window: tuple[float, float]) -> Floats:
    """The eigenvalues, or of many weights Chebyshev points of the window."""
    if step.shape[0] <= EXACT_POINTS:
        return np.linalg.eigvalsh(step.toarray())
    low, high = window
    return (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * np.arange(12) / 11)
