"""A search for a vector that A shrinks by more than kappa allows: one is proof that kappa is too
small, none proves nothing.
"""

from __future__ import annotations

import math

import torch
from scipy.linalg import eigvalsh_tridiagonal
from torch import Tensor

from qdescent._random import named_generator
from qdescent.linalg.operator import LinearOperator
from qdescent.linalg.spectra.lanczos import LanczosState, lanczos

FIRST, MOST = (
    16,
    8192,
)  # Lanczos steps: when Ritz values are first seen, and when patience ends
# a start with a twentieth of its fair share of a singular vector finds it: 24 of 25 random ones
CHANCE = 20.0
ROOM = 4  # steps per unknown: exact arithmetic takes one, rounding makes it find values again
SLACK = 1e-6  # a kappa too small by less changes no error by more than its thousandth
ROUNDING = 64  # units of rounding by which a Ritz value of A A^H may be off


def square_of(operator: LinearOperator) -> LinearOperator:
    """A^H A as a real symmetric operator; a complex vector as real and imaginary parts, (2 n,)."""
    size, is_complex = operator.shape[0], operator.dtype.is_complex
    length = size * (2 if is_complex else 1)

    def square(x: Tensor) -> Tensor:
        vector = torch.view_as_complex(x.reshape(size, 2)) if is_complex else x.reshape(size)
        found = operator.H @ (operator @ vector)
        return (torch.view_as_real(found) if is_complex else found).reshape(length, 1)

    return LinearOperator(
        (length, length), square, square, operator.dtype.to_real(), operator.device
    )


def least_ritz_value(state: LanczosState) -> float:
    """The least eigenvalue of the tridiagonal matrix of the first probe."""
    rows = int(state.length[0])
    diagonal, beside = state.alpha[0, :rows].numpy(), state.beta[0, : rows - 1].numpy()
    return float(eigvalsh_tridiagonal(diagonal, beside, select="i", select_range=(0, 0))[0])


def refuting_kappa(
    operator: LinearOperator, value: Tensor, left: Tensor, kappa: float
) -> float | None:
    """A kappa that a vector proves to be needed, where it is above the given one; None where no
    such vector was met.

        ||A v||^2/||v||^2 < 1/kappa^2   for some v   =>   ||A^-1|| > kappa.

    v is the solution itself, or a Ritz vector of A A^H from a start that holds what the solve left
    over (where the singular vectors that it missed weigh most) and a random vector (which holds the
    others). Steps: as many as take a singular value below 1/kappa out of a random start that has a
    twentieth of its fair share of it, kappa/2 ln(40 kappa sqrt(n)).

    Args:
        operator: A = M/alpha in double precision, of norm at most 1, with its adjoint.
        value: Z.
        left: B/alpha - A Z.
        kappa: alpha ||M^-1|| as it was given, declared or estimated.

    Cost: kappa ln(40 kappa sqrt(n)) products, 16,384 at most; three vectors.

    Example:
        >>> from qdescent.linalg.operator import as_operator
        >>> A = as_operator(torch.diag(torch.tensor([1.0, 0.5, 1e-3], dtype=torch.float64)))
        >>> b = torch.ones(3, dtype=torch.float64)
        >>> round(refuting_kappa(A, b, b, kappa=3.0)), refuting_kappa(A, b, b, kappa=1001.0)
        (1000, None)
    """
    length = float(torch.linalg.vector_norm(value))
    if length:
        shrunk = float(torch.linalg.vector_norm(operator @ value)) / length
        if shrunk < (1 - SLACK) / kappa:
            return 1 / max(shrunk, 1e-300)
    draw = torch.randn(
        left.shape, generator=named_generator(0, "refutation"), dtype=left.dtype, device="cpu"
    ).to(left.device)
    rest = float(torch.linalg.vector_norm(left))
    start = draw / torch.linalg.vector_norm(draw) + (left / rest if rest else 0)
    symmetric = square_of(operator.H)
    vector = (torch.view_as_real(start) if start.is_complex() else start).reshape(-1, 1)
    most = min(
        MOST,
        ROOM * len(vector),
        math.ceil(kappa / 2 * math.log(2 * CHANCE * kappa * math.sqrt(len(vector)))),
    )
    rounding = ROUNDING * torch.finfo(symmetric.dtype).eps
    state: LanczosState | None = None
    steps = min(FIRST, most)
    while True:
        state = lanczos(symmetric, vector, steps, state)
        least = least_ritz_value(state)
        if least + rounding < ((1 - SLACK) / kappa) ** 2:
            return 1 / math.sqrt(least + rounding if least < rounding else least)
        if steps == most or not bool(state.alive[0]):
            return None
        steps = min(most, 2 * steps)
