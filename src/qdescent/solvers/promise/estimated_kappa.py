"""kappa of a matrix too large for its singular values: from below, by Lanczos on A^H A."""

from __future__ import annotations

import math

import torch

from qdescent._checks import argument_error
from qdescent._random import named_generator
from qdescent.linalg.operator import LinearOperator
from qdescent.linalg.spectra.lanczos import LanczosState, lanczos
from qdescent.solvers.promise.refutation import least_ritz_value, square_of

FIRST, MOST = 64, 8192  # steps: the first estimate, and where patience ends
SETTLED = 0.02  # change of the least Ritz value while the steps grow by half
MARGIN = 1.1  # the least Ritz value lies above the least eigenvalue
LEAST = 500  # of A^H A, in units of rounding: below it rounding is what is seen


def estimated_kappa(operator: LinearOperator) -> tuple[float, int]:
    """1.1 over the root of the least Ritz value of A^H A, and the Lanczos steps that it took.

    Steps are added until half as many more change the value by less than 2 %. It can settle too
    high where the start vector, drawn from a seed, hardly meets the smallest singular vector: kappa
    is then too small, which the solvers search for.

    Args:
        operator: A, of norm at most 1, with its adjoint; real or complex.

    Returns:
        tuple: kappa, steps.

    Raises:
        ArgumentError: a value that does not settle, or drowns in rounding: kappa must be given.

    Cost: twice as many products as steps, some kappa of them; three vectors.

    Example:
        >>> from qdescent.linalg.operator import as_operator
        >>> kappa, steps = estimated_kappa(
        ...     as_operator(torch.diag(torch.linspace(0.05, 1, 300, dtype=torch.float64)))
        ... )
        >>> 20 <= kappa <= 1.1 * 20
        True
    """
    symmetric = square_of(operator)
    real = symmetric.dtype
    start = torch.randn(
        symmetric.shape[0], 1, generator=named_generator(0, "kappa"), dtype=real, device="cpu"
    ).to(operator.device)
    state: LanczosState | None = None
    before, steps = math.inf, FIRST
    while True:
        state = lanczos(symmetric, start, steps, state)
        rows, value = int(state.length[0]), least_ritz_value(state)
        if value < LEAST * torch.finfo(real).eps:
            raise argument_error(
                "kappa",
                "be given: the matrix is singular, or nearly, and rounding hides by how much",
                None,
            )
        if value >= (1 - SETTLED) * before or not bool(state.alive[0]):
            return MARGIN / math.sqrt(value), rows
        if steps == MOST:
            raise argument_error(
                "kappa", f"be given: an estimate did not settle within {MOST} Lanczos steps", None
            )
        before, steps = value, min(MOST, steps + steps // 2)
