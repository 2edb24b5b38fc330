"""The norms that truncation bounds are made of, and the coordinates in which they are small."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from qdescent._array_checks import check_shape, check_tensor
from qdescent._checks import argument_error, check_choice, check_interval
from qdescent.linalg.polynomial_terms import to_scipy

# rows up to which ||F||_2 comes from the eigenvalues of F F^T (seconds); above: ||F||_1 ||F||_inf
GRAM_LIMIT = 2000


def coefficient_norm(F: Tensor, p: float = 2.0) -> float:
    """||F||_p, the operator norm of one coefficient F_k, (n, n^k), between l_p spaces.

    ||F||_1 is the largest column sum, ||F||_inf the largest row sum,
    ||F||_2 = sqrt(lambda_max(F F^T)); above 2,000 rows the upper bound sqrt(||F||_1 ||F||_inf)
    takes the place of ||F||_2. On all three, ||A (x) B|| = ||A|| ||B||: what every bound rests on.

    Args:
        F: dense or sparse COO, (n, m).
        p: 1, 2 or inf.

    Cost: the non-zeros of F; for p = 2 an n x n eigenvalue problem.

    Example:
        >>> round(coefficient_norm(torch.tensor([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 1.0, 2.0]])), 12)
        5.0
        >>> coefficient_norm(torch.tensor([[3.0, -4.0]]), float("inf"))
        7.0
    """
    p = check_choice("p", p, [1, 2, float("inf")])
    F = check_tensor("F", F, finite=False, sparse=True).double()
    if F.ndim == 1:
        F = F[:, None]
    check_shape("F", F, (None, None))
    if p != 2:
        return _largest_sum(F, 0 if p == 1 else 1)
    if F.shape[0] > GRAM_LIMIT:
        return (_largest_sum(F, 0) * _largest_sum(F, 1)) ** 0.5
    size = _largest_sum(F, 1)
    if size == 0 or not np.isfinite(size):
        return size
    scaled = F / size  # squares of very small entries would underflow
    if scaled.is_sparse:
        rows = to_scipy(scaled)
        gram = torch.from_numpy((rows @ rows.T).toarray())
    else:
        gram = scaled @ scaled.T
    return size * max(float(torch.linalg.eigvalsh(gram)[-1]), 0.0) ** 0.5


def _largest_sum(F: Tensor, dim: int) -> float:
    sums = torch.sparse.sum(F.coalesce().abs(), dim).to_dense() if F.is_sparse else F.abs().sum(dim)
    return float(sums.max())


def log_norm(F1: Tensor, p: float = 2.0) -> float:
    """mu(F_1) = lim_{h -> 0+} (||I + h F_1|| - 1)/h: ||exp(F_1 t)|| <= exp(mu t), and no smaller
    rate holds for small t.

    mu_2 = lambda_max((F_1 + F_1^T)/2), which is Re lambda_1 where F_1 is normal; mu_inf and mu_1
    are the largest row and column sums with the diagonal taken with its sign.

    Args:
        F1: dense or sparse, (n, n).
        p: 1, 2 or inf.

    References:
        Dahlquist (1958); in this place: Krovi, Quantum 7, 913 (2023), arXiv:2202.01054.

    Example:
        >>> F1 = torch.tensor([[0.0, 1.0], [-1.0, -2.0]])  # both eigenvalues are -1
        >>> log_norm(F1), log_norm(F1, float("inf"))
        (0.0, 1.0)
    """
    p = check_choice("p", p, [1, 2, float("inf")])
    dense = check_tensor("F1", F1, (None, None), sparse=True).to_dense().double()
    check_shape("F1", dense, (dense.shape[0], dense.shape[0]))
    if p == 2:
        return float(torch.linalg.eigvalsh((dense + dense.T) / 2)[-1])
    diagonal = torch.diagonal(dense)
    return float(((dense - torch.diag(diagonal)).abs().sum(0 if p == 1 else 1) + diagonal).max())


def change_coordinates(coefficients: Sequence[Tensor], S: Tensor) -> list[Tensor]:
    """The same map or field in y = S u: S F_k (S^-1)^(x)k, dense.

    The truncation commutes with the change: z_j becomes S^(x)j z_j, so its error in y is S times
    its error in u, in both forms.

    Args:
        coefficients: F_0, F_1, ..., each (n, n^k).
        S: (n, n), invertible.
    """
    n = S.shape[0]
    S, inverse = S.double(), torch.linalg.inv(S.double())
    changed = []
    for k, F in enumerate(coefficients):
        tensor = (S @ F.to_dense().double().reshape(n, -1)).reshape((n,) * (k + 1))
        # contracts axis 1 and puts the new one last: after k turns all are back in place
        for _ in range(k):
            tensor = torch.tensordot(tensor, inverse, dims=([1], [0]))
        changed.append(tensor.reshape(n, n**k))
    return changed


def field_coordinates(F1: Tensor, rate: float) -> Tensor:
    """Coordinates y = S u in which the field u' = F_1 u has the log-norm mu(S F_1 S^-1) < rate.

    S^T S = P solves the Lyapunov equation (F_1 - rate)^T P + P (F_1 - rate) = -1, so that d/dt ||S
    u||^2 < 2 rate ||S u||^2: x^T P x is a quadratic Lyapunov function for rate < 0. S is scaled so
    that ||u|| <= ||S u||.

    Args:
        F1: (n, n).
        rate: above the real parts of the eigenvalues of F_1.

    Raises:
        ArgumentError: an eigenvalue with a real part of `rate` or more.

    References:
        One R-number for each quadratic Lyapunov function: Jennings et al. (September 2025).

    Example:
        >>> F1 = torch.tensor([[0.0, 1.0], [-1.0, -2.0]], dtype=torch.float64)
        >>> S = field_coordinates(F1, rate=-0.8)
        >>> bool(log_norm(S @ F1 @ S.inverse()) < -0.8 < log_norm(F1))
        True
    """
    A = F1.detach().to_dense().double().cpu().numpy()
    abscissa = float(np.linalg.eigvals(A).real.max())
    if not rate > abscissa:
        raise argument_error(
            "rate",
            f"be above the largest real part of an eigenvalue of F_1, {abscissa:.6g}",
            repr(rate),
        )
    shifted, eye = A - rate * np.eye(len(A)), np.eye(len(A))
    return _square_root(scipy.linalg.solve_continuous_lyapunov(shifted.T, -eye))


def map_coordinates(F1: Tensor, factor: float) -> Tensor:
    """Coordinates y = S u in which the map u <- F_1 u has the norm ||S F_1 S^-1|| < factor.

    S^T S = P solves Stein's equation (F_1/factor)^T P (F_1/factor) - P = -1. Heavy-ball momentum
    needs them: the norm of its F_1 is above 1 even where every mode decays. S is scaled so that
    ||u|| <= ||S u||.

    Args:
        F1: (n, n).
        factor: above the spectral radius of F_1.

    Raises:
        ArgumentError: a spectral radius of `factor` or more.

    Example:
        >>> F1 = torch.tensor([[0.5, 2.0], [0.0, 0.5]], dtype=torch.float64)
        >>> S = map_coordinates(F1, factor=0.6)
        >>> bool(coefficient_norm(S @ F1 @ S.inverse()) < 0.6 < coefficient_norm(F1))
        True
    """
    A = F1.detach().to_dense().double().cpu().numpy()
    radius = float(np.abs(np.linalg.eigvals(A)).max())
    factor = check_interval("factor", factor, "(0, inf)")
    if not factor > radius:
        raise argument_error(
            "factor", f"be above the spectral radius of F_1, {radius:.6g}", repr(factor)
        )
    return _square_root(scipy.linalg.solve_discrete_lyapunov(A.T / factor, np.eye(len(A))))


def _square_root(P: np.ndarray) -> Tensor:
    """S with S^T S proportional to P and its smallest singular value 1."""
    values, vectors = np.linalg.eigh((P + P.T) / 2)
    return torch.from_numpy((vectors * np.sqrt(values / values[0])) @ vectors.T)
