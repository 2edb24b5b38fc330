"""What a quantum solver must know of a system before it starts: alpha, kappa, and products with
M/alpha, counted.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qdescent._checks import check_instance, check_interval
from qdescent._evidence import Evidence, Row
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.operator import LinearOperator
from qdescent.rows import names
from qdescent.rows.collection import Rows
from qdescent.solvers.encodings import DEFAULT_ENCODING, EncodingPlan
from qdescent.solvers.promise.estimated_kappa import estimated_kappa
from qdescent.solvers.promise.refutation import SLACK

LARGEST_SVD = 2048  # singular values of 2048 x 2048 take a few seconds
MOST_SHORT = 2**31  # entries that an index of 32 bits can count
# kappa of an orthogonal matrix is 1; a polynomial needs an interval [1/kappa, 1] of some length
SHORTEST_INTERVAL = 1.01


@dataclass
class Products:
    """How many products with M/alpha and its adjoint were made; the one thing here that changes
    while a solver runs.
    """

    forward: int = 0
    adjoint: int = 0

    @property
    def total(self) -> int:
        """All products, with M and with its adjoint."""
        return self.forward + self.adjoint


@dataclass(frozen=True, eq=False)
class Conditioning:
    """The numbers that set the cost of a solve.

    Args:
        alpha: the block-encoding's normalisation, at least ||M||.
        kappa: alpha ||M^-1||, or what stands for it; infinite where M is singular to rounding.
        singular_values: in descending order, where they were measured.
        rows: alpha, kappa and alpha/||M|| with their evidence.
        needed: alpha ||M^-1|| by the singular values, where they were measured.
    """

    alpha: float
    kappa: float
    singular_values: Tensor | None = field(repr=False)
    rows: Rows = field(repr=False)
    needed: float | None = None

    @property
    def refuted(self) -> bool:
        """Singular values show that kappa is too small."""
        return self.needed is not None and self.kappa < (1 - SLACK) * self.needed

    @property
    def singular(self) -> bool:
        """||M^-1|| was measured, and is infinite to rounding."""
        return math.isinf(self.kappa)


def conditioning(
    system: LinearSystem, kappa: float | None, plan: EncodingPlan | None = None
) -> Conditioning:
    """alpha and kappa of a system.

    Args:
        system: real or complex.
        kappa: alpha ||M^-1|| as the caller gives it; None takes the system's declared
            `inverse_norm_bound`, and without one the singular values (up to 2048 unknowns) or an
            estimate (`estimated_kappa`).
        plan: of the matrix's encoding; None balances the weights of its entries.

    Raises:
        ArgumentError: a matrix without entries, or no kappa for a large system of which no estimate
            settles.

    Cost: that of alpha (`BalancedEntries`); O(D^3) where the singular values are measured, some 2
        kappa products where estimated.

    Example:
        >>> M = torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)
        >>> found = conditioning(LinearSystem(M, torch.ones(2, dtype=torch.float64)), kappa=None)
        >>> round(found.alpha, 3), round(found.kappa, 3)
        (1.281, 1.64)
    """
    check_instance("system", system, LinearSystem)
    check_instance("plan", plan, EncodingPlan, optional=True)
    if kappa is not None:
        kappa = check_interval("kappa", kappa, "[1, inf)")
    plan = plan or DEFAULT_ENCODING.plan(system)
    alpha = plan.alpha
    measured = _singular_values(
        system, declared=kappa is not None or system.inverse_norm_bound is not None
    )
    rows = [Row(names.ALPHA, alpha, "1", Evidence.EXACT, plan.source)]
    # 1. What singular values show, where there are few: that M is singular, or the kappa needed.
    needed: float | None = None
    if measured is not None:
        if bool(measured[-1] <= system.size * torch.finfo(system.matrix.dtype).eps * measured[0]):
            return Conditioning(alpha, math.inf, measured, Rows(rows))
        # of the singular values themselves
        rounding = system.size * torch.finfo(measured.dtype).eps * float(measured[0])
        needed = alpha / (float(measured[-1]) + rounding)
    # 2. kappa as it was given; or declared; or, of a large system, estimated; or measured.
    if kappa is not None:
        rows.append(Row(names.KAPPA, kappa, "1", Evidence.ASSUMED, "setting `kappa`"))
    elif system.inverse_norm_bound is not None:
        kappa = max(alpha * system.inverse_norm_bound, SHORTEST_INTERVAL)
        rows.append(
            Row(
                names.KAPPA,
                kappa,
                "1",
                Evidence.BOUNDED,
                "alpha times the declared bound on ||M^-1||",
            )
        )
    elif measured is None:
        kappa, steps = estimated_kappa(scaled_operator(system, alpha)[0])
        kappa = max(kappa, SHORTEST_INTERVAL)
        source = (
            f"estimate: 1.1 over the root of the least Ritz value of A^H A after {steps} Lanczos"
            " steps"
        )
        rows.append(Row(names.KAPPA, kappa, "1", Evidence.MEASURED, source))
    else:
        kappa = max(alpha / float(measured[-1]), SHORTEST_INTERVAL)
        rows.append(
            Row(names.KAPPA, kappa, "1", Evidence.EXACT, "alpha over the smallest singular value")
        )
    # 3. What the encoding wastes.
    if measured is not None:
        share = alpha / float(measured[0])
        rows.append(
            Row(
                "alpha_over_norm",
                share,
                "1",
                Evidence.EXACT,
                "alpha over the largest singular value",
            )
        )
    return Conditioning(alpha, kappa, measured, Rows(rows), needed)


def scaled_operator(system: LinearSystem, alpha: float) -> tuple[LinearOperator, Products]:
    """M/alpha in double precision, as products that are counted, without any factorisation.

    Example:
        >>> operator, products = scaled_operator(
        ...     LinearSystem(2 * torch.eye(2), torch.ones(2)), alpha=4.0
        ... )
        >>> (operator @ torch.ones(2).double()).tolist(), products.total
        ([0.5, 0.5], 1)
    """
    dtype = torch.promote_types(system.dtype, torch.float64)
    matrix = (system.matrix.coalesce() if system.matrix.is_sparse else system.matrix).to(
        dtype
    ) / alpha
    # compressed rows: several times faster than coordinates, for both orientations
    if matrix.is_sparse:
        adjoint = _compressed(matrix.transpose(0, 1).conj().coalesce())
        matrix = _compressed(matrix)
    else:
        adjoint = matrix.mH
    products = Products()

    def forward(x: Tensor) -> Tensor:
        products.forward += x.shape[1]
        return _product(matrix, x)

    def backward(x: Tensor) -> Tensor:
        products.adjoint += x.shape[1]
        return _product(adjoint, x)

    return (
        LinearOperator((system.size, system.size), forward, backward, dtype, matrix.device),
        products,
    )


def _singular_values(system: LinearSystem, declared: bool) -> Tensor | None:
    # with kappa known they only serve a row
    if system.size > (LARGEST_SVD // 4 if declared else LARGEST_SVD):
        return None
    matrix = system.matrix.to_dense()
    return torch.linalg.svdvals(matrix.to(torch.promote_types(matrix.dtype, torch.float64)))


def _compressed(matrix: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        rows = matrix.to_sparse_csr()
        if rows.values().numel() >= MOST_SHORT:
            return rows
        # Indices of 32 bits are what the vendors' libraries read: a third faster than 64 bits,
        # converted at every product.
        index = rows.crow_indices().int(), rows.col_indices().int()
        return torch.sparse_csr_tensor(
            *index, rows.values(), rows.shape, check_invariants=True, device=rows.device
        )


def _product(matrix: Tensor, x: Tensor) -> Tensor:
    return (matrix @ x[:, 0])[:, None] if x.shape[1] == 1 else matrix @ x
