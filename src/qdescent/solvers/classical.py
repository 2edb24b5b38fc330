"""Classical solvers: the truth that quantum ones are held against."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.linalg as sparse_linalg
import torch

from qdescent._checks import check_integer, check_interval
from qdescent.linalg.linear_system import LinearSystem
from qdescent.solvers.solve import Solution, Status


@dataclass(frozen=True)
class Direct:
    """Sparse LU (SuperLU through SciPy), in float64 or complex128.

    Example:
        >>> import torch
        >>> system = LinearSystem(2 * torch.eye(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))
        >>> Direct().solve(system).value.tolist()
        [0.5, 0.5]
    """

    def solve(self, system: LinearSystem) -> Solution:
        """Factorise and solve; a matrix that is singular to rounding ends with `Status.SINGULAR`."""
        matrix, rhs = _scipy_system(system)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sparse_linalg.MatrixRankWarning)
            value = sparse_linalg.spsolve(matrix.tocsc(), rhs)
        return _solution(system, matrix, rhs, value, 1e-8, Status.SINGULAR)


@dataclass(frozen=True)
class GMRES:
    """Restarted GMRES (SciPy), matrix by vector only.

    Args:
        tolerance: on ||M Z - B|| / ||B||.
        restart: Krylov vectors kept; 50 is a usual compromise of memory and convergence.
        limit: restarts at most.
    """

    tolerance: float = 1e-10
    restart: int = 50
    limit: int = 200

    def __post_init__(self) -> None:
        check_interval("tolerance", self.tolerance, "(0, 1)")
        check_integer("restart", self.restart, 1)
        check_integer("limit", self.limit, 1)

    def solve(self, system: LinearSystem) -> Solution:
        """Iterate until the residual is below the tolerance, or end with `Status.NOT_CONVERGED`."""
        matrix, rhs = _scipy_system(system)
        value, _ = sparse_linalg.gmres(matrix, rhs, rtol=self.tolerance, atol=0.0, restart=self.restart, maxiter=self.limit)
        return _solution(system, matrix, rhs, value, 2 * self.tolerance, Status.NOT_CONVERGED)


def _scipy_system(system: LinearSystem) -> tuple[sparse.csr_array, np.ndarray]:
    """M and B in double precision, both complex where one of them is."""
    kind = torch.promote_types(torch.promote_types(system.matrix.dtype, system.rhs.dtype), torch.float64)
    rows, columns, values = (part.detach().cpu() for part in system.entries())
    places = (rows.numpy(), columns.numpy())
    matrix = sparse.csr_array((values.to(kind).numpy(), places), shape=(system.size, system.size))
    return matrix, system.rhs.detach().cpu().to(kind).numpy()


def _solution(
    system: LinearSystem, matrix: sparse.csr_array, rhs: np.ndarray, value: np.ndarray, allowed: float, failure: Status
) -> Solution:
    """The solution, judged by its residual in double precision (the system itself may be float32)."""
    finite = bool(np.isfinite(value).all())
    residual = float(np.linalg.norm(matrix @ value - rhs) / np.linalg.norm(rhs)) if finite else float("inf")
    kind = torch.promote_types(system.matrix.dtype, system.rhs.dtype)
    z = torch.from_numpy(value if finite else np.full_like(value, np.inf)).to(device=system.rhs.device, dtype=kind)
    status = Status.SOLVED if residual <= allowed else failure
    # ||Z - M^-1 B|| <= ||M^-1|| ||r||, and ||M^-1 B|| >= ||B|| / ||M||: relative error <= kappa ||r|| / ||B||.
    declared = system.norm_bound is not None and system.inverse_norm_bound is not None
    bound = system.norm_bound * system.inverse_norm_bound * max(residual, 1e-16) if declared else float("inf")  # type: ignore[operator]
    return Solution(value=z, answer=system.extract(z), residual=residual, bound=bound, status=status)
