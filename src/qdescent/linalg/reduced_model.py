"""A symmetric operator seen through a few of its products: linear recurrences with it at the cost
of scalar ones.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg.blas import dtbsv
from torch import Tensor

from qdescent._arrays import Floats
from qdescent.linalg.inner_product import dot
from qdescent.linalg.operator import LinearOperator

# times the dtype's rounding: what is left of a vector after projection is then noise
DEPENDENT = 30.0


class ReducedModel:
    """The space W = span(w_1 ... w_d), the operator on it, A = W^T H W, and where its images leave
    it: H W = W A + F C.

    The Galerkin (Rayleigh-Ritz) model of a symmetric operator. For W = span(g, H g, H^2 g, ...) it
    is Lanczos' method with full orthogonalisation, and F holds one vector; further right-hand sides
    may join at any time and use what is there. What the model does not see of H W c is F C c: its
    norm is ||C c||, to rounding.

    Args:
        operator: H, symmetric, (n, n).

    Attributes:
        matrix: A, (d, d).
        leaving: C, (p, d).
        products: how many products with H were taken.
    """

    def __init__(self, operator: LinearOperator) -> None:
        self.operator = operator
        self.matrix, self.leaving = np.zeros((0, 0)), np.zeros((0, 0))
        self.products = 0
        self._basis: list[Tensor] = []  # W
        self._frontier: list[Tensor] = []  # F, orthonormal, and orthogonal to W

    @property
    def dimension(self) -> int:
        """d, the number of basis vectors."""
        return len(self._basis)

    def coordinates(self, vector: Tensor) -> Floats:
        """The coordinates W^T vector, (d,)."""
        return _along(self._basis, vector)

    def combine(self, coordinates: Floats) -> Tensor:
        """The vector W c, (n,)."""
        return _combined(self._basis, coordinates)

    def add(self, vector: Tensor) -> bool:
        """Let a vector join, at the cost of one product; False where it lies in the space already,
        to rounding.
        """
        rest, size = _orthogonal(vector, self._basis)
        if norm(rest) <= DEPENDENT * torch.finfo(vector.dtype).eps * size:
            return False
        inside = _along(self._frontier, rest)
        beyond, size = _orthogonal(rest, self._frontier)
        far = norm(beyond)
        if far > DEPENDENT * torch.finfo(vector.dtype).eps * size:
            self._widen(beyond / far)
            inside = np.append(inside, far)
        self._join(inside)
        return True

    def grow(self, direction: Floats) -> None:
        """Let F y join, for y = `direction`, (p,): at the cost of one product."""
        self._join(direction)

    def _widen(self, vector: Tensor) -> None:
        """One vector more in F, which no image has reached yet."""
        self._frontier.append(vector)
        self.leaving = np.vstack([self.leaving, np.zeros((1, self.dimension))])

    def _join(self, direction: Floats) -> None:
        # 1. Turn F so that its first vector is the one that joins.
        turned, _ = np.linalg.qr(np.column_stack([direction, np.eye(len(direction))]))
        joins, *others = [_combined(self._frontier, column) for column in turned.T]
        leaving = turned.T @ self.leaving
        beside, self.leaving = leaving[0], leaving[1:]
        # 2. Its image: along W known by symmetry, but measured, because that is what the product is
        #   worth.
        image = self.operator @ joins
        self.products += 1
        corner = float(dot(joins, image))
        self.matrix = np.block(
            [[self.matrix, beside[:, None]], [beside[None, :], np.array([[corner]])]]
        )
        self._basis.append(joins)
        self._frontier = others
        # 3. What leaves the space: along the other vectors of F, and along a new one.
        rest, _ = _orthogonal(image, self._basis)
        inside = _along(others, rest)
        self.leaving = np.column_stack(
            [self.leaving.reshape(len(others), self.dimension - 1), inside]
        )
        beyond, _ = _orthogonal(rest, others)
        far = norm(beyond)
        if far > DEPENDENT * torch.finfo(image.dtype).eps * norm(image):
            self._widen(beyond / far)
            self.leaving[-1, -1] = far


def heavy_ball(
    values: Floats,
    sources: Floats,
    learning_rate: float,
    momentum: float = 0.0,
    velocity: Floats | None = None,
) -> tuple[Floats, Floats]:
    """v <- beta v + lambda c + a_t,  c <- c - eta v  from c = 0, for each scalar lambda.

    As one recurrence, c_{t+1} = (1 + beta - eta lambda) c_t - beta c_{t-1} - eta a_t.

    Args:
        values: lambda of each mode, weight decay included, (d,).
        sources: a_0 ... a_{T-1} of each mode, (T, d).
        learning_rate, momentum: eta, beta.
        velocity: v at the start, (d,); None: 0.

    Returns:
        c_0 ... c_T, (T + 1, d), and the last v, (d,).

    Example:
        >>> c, v = heavy_ball(np.array([0.5]), np.ones((3, 1)), 1.0)
        >>> c[:, 0].tolist(), v.tolist()  # c <- c/2 - 1
        ([0.0, -1.0, -1.5, -1.75], [0.25])
    """
    given = np.array(sources, dtype=np.float64)
    if velocity is not None:
        given[0] += momentum * velocity
    path = np.zeros((len(given) + 1, len(values)))
    band = np.full((3, len(given)), momentum)  # a lower triangle: BLAS solves it by recurrence
    for mode, value in enumerate(values):
        band[1] = learning_rate * value - 1.0 - momentum
        path[1:, mode] = dtbsv(2, band, -learning_rate * given[:, mode], lower=1, diag=1)
    return path, (path[-2] - path[-1]) / learning_rate


def norm(x: Tensor) -> float:
    """The Euclidean norm ||x||."""
    return float(dot(x, x)) ** 0.5


def _along(basis: list[Tensor], vector: Tensor) -> Floats:
    return np.array([float(dot(w, vector)) for w in basis])


def _combined(basis: list[Tensor], coordinates: Floats) -> Tensor:
    total = torch.zeros_like(basis[0])
    for w, c in zip(basis, coordinates.tolist(), strict=True):
        total.add_(w, alpha=c)
    return total


def _orthogonal(vector: Tensor, basis: list[Tensor]) -> tuple[Tensor, float]:
    """What is left of a vector beside an orthonormal basis, and the length of the whole; twice is
    enough (Kahan, Parlett).
    """
    rest = vector.clone()
    for _ in range(2):
        for w in basis:
            rest.sub_(w * dot(w, rest).to(w.dtype))
    return rest, norm(vector)
