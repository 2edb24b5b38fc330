"""Classical solvers: the truth that quantum ones are held against."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.linalg as sparse_linalg
import torch

from qdescent._checks import check_field, check_integer, check_interval
from qdescent._evidence import Row
from qdescent.linalg.linear_system import LinearSystem
from qdescent.rows.collection import Rows
from qdescent.solvers.promise.conditioning import scaled_operator
from qdescent.solvers.promise.judgement import refuted_row, returned_rounding
from qdescent.solvers.promise.refutation import refuting_kappa
from qdescent.solvers.promise.rounding_bound import forward_error, is_singular
from qdescent.solvers.promise.unit_scale import unit_scale
from qdescent.solvers.solve import Solution, Status

# of the error's bound: the epsilon that other solvers promise, and are held against this one for
TRUSTED = 1e-4
# unknowns whose singular values bound the error of an iterative solve: a tenth of a second
LARGEST_SVD = 512


@dataclass(frozen=True)
class Direct:
    """Sparse LU (SuperLU through SciPy), in float64 or complex128, with a bound on what rounding
    did to the answer.

    Example:
        >>> import torch
        >>> system = LinearSystem(
        ...     2 * torch.eye(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
        ... )
        >>> found = Direct().solve(system)
        >>> found.value.tolist(), found.bound < 1e-14
        ([0.5, 0.5], True)
    """

    def solve(self, system: LinearSystem) -> Solution:
        """Factorise and solve.

        Returns:
            Solution: SOLVED where the bound is below 1e-4; SINGULAR where it is above 1 and the
                factors show a condition number of 1/(n eps) or more; else INACCURATE. The bound is
                that of `forward_error`: from the residual as it was left, entry by entry, the
                rounding of that residual, and |M^-1| (from the factors).
        """
        unit = unit_scale(system)
        return unit.restored(self._solve(unit.system))

    def _solve(self, system: LinearSystem) -> Solution:
        matrix, rhs = _scipy_system(system)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sparse_linalg.MatrixRankWarning)
            try:
                factors = sparse_linalg.splu(matrix.tocsc())
            except RuntimeError:  # "Factor is exactly singular"
                return _solution(
                    system,
                    matrix,
                    rhs,
                    np.full_like(rhs, np.inf),
                    math.inf,
                    lambda *_: Status.SINGULAR,
                )
        value = factors.solve(rhs)
        # one refinement: small entries, too, are then right
        value = value + factors.solve(rhs - matrix @ value)
        bound = forward_error(matrix, factors, value, rhs)

        def status(residual: float, bound: float) -> Status:
            if not bound < 1 and is_singular(matrix, factors):
                return Status.SINGULAR
            return Status.SOLVED if bound <= TRUSTED else Status.INACCURATE

        return _solution(system, matrix, rhs, value, bound, status)


MOST_VECTORS, MOST_RESTARTS = 100_000, 10**9


@dataclass(frozen=True)
class GMRES:
    """Restarted GMRES (SciPy), matrix by vector only.

    Its bound is kappa times the residual: by singular values up to 512 unknowns, beyond it by the
    declared `inverse_norm_bound`, unless a vector is met that M shrinks by more than it allows.

    Args:
        tolerance: bound on ||M Z - B|| / ||B||.
        restart: Krylov vectors kept; 50 is a usual compromise of memory and convergence.
        limit: restarts at most.
    """

    tolerance: float = 1e-10
    restart: int = 50
    limit: int = 200

    def __post_init__(self) -> None:
        check_field(self, "tolerance", check_interval, "(0, 1)")
        check_field(self, "restart", check_integer, 1, MOST_VECTORS)
        check_field(self, "limit", check_integer, 1, MOST_RESTARTS)

    def solve(self, system: LinearSystem) -> Solution:
        """Iterate until the residual is below the tolerance.

        Returns:
            Solution: KAPPA_REFUTED where the declared bound is seen to be wrong; NOT_CONVERGED
                where the residual stays above the tolerance; SOLVED where the bound is below 1, on
                the condition that the declared one is right where it rests on that; SINGULAR where
                the singular values say so; without any knowledge of ||M^-1||, UNBOUNDED; else
                INACCURATE.
        """
        unit = unit_scale(system)
        return unit.restored(self._solve(unit.system))

    def _solve(self, system: LinearSystem) -> Solution:
        matrix, rhs = _scipy_system(system)
        value, _ = sparse_linalg.gmres(
            matrix, rhs, rtol=self.tolerance, atol=0.0, restart=self.restart, maxiter=self.limit
        )
        inverse, known = _inverse_norm(system, matrix)
        left = float(np.linalg.norm(rhs - matrix @ value))
        size = float(np.linalg.norm(value))
        rounding = np.finfo(np.float64).eps * sparse_linalg.norm(matrix) * size * matrix.shape[0]
        off = inverse * (left + rounding)  # ||Z - M^-1 B|| <= ||M^-1|| ||r||
        bound = off / (size - off) if off < size else math.inf
        rows: list[Row] = []
        if not known and math.isfinite(inverse):
            rows = _refuting(system, value, inverse)
            bound = math.inf if rows else bound  # it was derived from what is not true

        def status(residual: float, bound: float) -> Status:
            if rows:
                return Status.KAPPA_REFUTED
            if residual > 2 * self.tolerance:
                return Status.NOT_CONVERGED
            if math.isinf(inverse):
                return Status.SINGULAR if known else Status.UNBOUNDED
            if bound >= 1:
                return Status.INACCURATE
            return Status.SOLVED if known else Status.SOLVED_IF_KAPPA_IS_RIGHT

        return _solution(system, matrix, rhs, value, bound, status, rows)


def _refuting(system: LinearSystem, value: np.ndarray, inverse: float) -> list[Row]:
    """The kappa that is needed where the declared ||M^-1|| is refuted; else nothing."""
    # ||M||^2 <= ||M||_1 ||M||_inf
    matrix, _ = _scipy_system(system)
    alpha = math.sqrt(math.prod(float(sparse_linalg.norm(matrix, p)) for p in (1, np.inf)))
    operator, _ = scaled_operator(system, alpha)
    wide = torch.from_numpy(value).to(operator.device, operator.dtype)
    left = system.rhs.to(operator.dtype) / alpha - operator @ wide
    needed = refuting_kappa(operator, wide, left, alpha * inverse)
    return [] if needed is None else [refuted_row(needed)]


def _inverse_norm(system: LinearSystem, matrix: sparse.csr_array) -> tuple[float, bool]:
    """||M^-1||, and whether it was measured."""
    if system.size <= LARGEST_SVD:
        values = np.linalg.svd(matrix.toarray(), compute_uv=False)
        least = float(values[-1]) - system.size * np.finfo(np.float64).eps * float(values[0])
        return (1 / least if least > 0 else math.inf), True
    return (system.inverse_norm_bound or math.inf), False


def _scipy_system(system: LinearSystem) -> tuple[sparse.csr_array, np.ndarray]:
    """M and B in double precision, both complex where one of them is."""
    kind = torch.promote_types(system.dtype, torch.float64)
    rows, columns, values = (part.cpu() for part in system.entries())
    indices = (rows.numpy(), columns.numpy())
    matrix = sparse.csr_array((values.to(kind).numpy(), indices), shape=(system.size, system.size))
    return matrix, system.rhs.cpu().to(kind).numpy()


def _solution(
    system: LinearSystem,
    matrix: sparse.csr_array,
    rhs: np.ndarray,
    value: np.ndarray,
    bound: float,
    judge: Callable[[float, float], Status],
    rows: Sequence[Row] = (),
) -> Solution:
    """The solution in the system's own type, its residual measured in double precision."""
    finite = bool(np.isfinite(value).all())
    z = torch.from_numpy(value if finite else np.full_like(value, np.inf)).to(
        device=system.rhs.device, dtype=system.dtype
    )
    residual = (
        float(np.linalg.norm(matrix @ value - rhs) / np.linalg.norm(rhs)) if finite else math.inf
    )
    status = judge(residual, bound)
    bound = (
        bound + returned_rounding(system)
        if status not in (Status.SINGULAR, Status.UNBOUNDED)
        else math.inf
    )
    return Solution(
        value=z,
        answer=system.extract(z),
        residual=residual,
        bound=bound,
        status=status,
        cost=Rows(rows),
    )
