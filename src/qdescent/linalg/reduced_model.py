"""A symmetric operator seen through a few of its products: linear recurrences with it at the cost
of scalar ones, a companion block of two by two for each eigenvalue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
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
        operator: H, symmetric, (n, n). Where it is sharded, so are all vectors here.

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
        return self._along(self._basis, vector)

    def combine(self, coordinates: Floats) -> Tensor:
        """The vector W c, (n,)."""
        return _combined(self._basis, coordinates)

    def outside(self, vector: Tensor) -> float:
        """||(I - W W^T) vector||, what the space does not hold of it."""
        return self._norm(self._orthogonal(vector, self._basis)[0])

    def add(self, vector: Tensor) -> bool:
        """Let a vector join, at the cost of one product; False where it lies in the space already,
        to rounding.
        """
        rest, size = self._orthogonal(vector, self._basis)
        if self._norm(rest) <= DEPENDENT * torch.finfo(vector.dtype).eps * size:
            return False
        inside = self._along(self._frontier, rest)
        beyond, size = self._orthogonal(rest, self._frontier)
        far = self._norm(beyond)
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
        corner = self._dot(joins, image)
        self.matrix = np.block(
            [[self.matrix, beside[:, None]], [beside[None, :], np.array([[corner]])]]
        )
        self._basis.append(joins)
        self._frontier = others
        # 3. What leaves the space: along the other vectors of F, and along a new one.
        rest, _ = self._orthogonal(image, self._basis)
        inside = self._along(others, rest)
        self.leaving = np.column_stack(
            [self.leaving.reshape(len(others), self.dimension - 1), inside]
        )
        beyond, _ = self._orthogonal(rest, others)
        far = self._norm(beyond)
        if far > DEPENDENT * torch.finfo(image.dtype).eps * self._norm(image):
            self._widen(beyond / far)
            self.leaving[-1, -1] = far

    def _along(self, basis: list[Tensor], vector: Tensor) -> Floats:
        return np.array([self._dot(w, vector) for w in basis])

    def _orthogonal(self, vector: Tensor, basis: list[Tensor]) -> tuple[Tensor, float]:
        """What is left of a vector beside an orthonormal basis, and the length of the whole; twice
        is enough (Kahan, Parlett).
        """
        rest = vector.clone()
        for _ in range(2):
            for w in basis:
                rest.sub_(w * self._total(dot(w, rest)).to(w.dtype))
        return rest, self._norm(vector)

    def _norm(self, vector: Tensor) -> float:
        return self._dot(vector, vector) ** 0.5

    def _dot(self, x: Tensor, y: Tensor) -> float:
        return float(self._total(dot(x, y)))

    def _total(self, own: Tensor) -> Tensor:
        shard = self.operator.shard
        return own if shard is None else shard.total(own)


@dataclass(frozen=True)
class Recurrence:
    """What a step does in a mode of curvature lambda, driven by a_t and a constant pull b.

        g = lambda c + a_t      v <- beta v + w g      c <- c - eta (p v + q g + s c + b)

    As one recurrence in c, from the second step on (before it v is given),

        c_{t+1} = (1 + beta - eta ((p w + q) lambda + s)) c_t
                  - beta (1 - eta (q lambda + s)) c_{t-1}
                  - eta ((p w + q) a_t - beta q a_{t-1} + (1 - beta) b)

    Args:
        learning_rate: eta.
        momentum: beta in [0, 1).
        gain: w, share of the gradient that enters the velocity: 1 - dampening.
        first_gain: the same in the first step: 1 where there was no velocity before.
        along: p, of the velocity in the step; beta with Nesterov's momentum, else 1.
        aside: q, of the gradient besides; 1 with Nesterov's momentum, else 0.
        shrink: s, of a weight decay beside the gradient.

    References:
        Polyak, USSR Comput. Math. Math. Phys. 4, 1 (1964); Sutskever, Martens, Dahl, Hinton, ICML
        2013 (Nesterov's form).

    Example:
        >>> c, v = Recurrence(1.0).path(np.array([0.5]), np.ones((3, 1)))
        >>> c[:, 0].tolist(), v.tolist()  # c <- c/2 - 1
        ([0.0, -1.0, -1.5, -1.75], [0.25])
        >>> round(float(Recurrence(0.1, 0.81).factor(torch.tensor(1.0))), 6)  # sqrt(beta)
        0.9
    """

    learning_rate: float
    momentum: float = 0.0
    gain: float = 1.0
    first_gain: float = 1.0
    along: float = 1.0
    aside: float = 0.0
    shrink: float = 0.0

    def factor(self, eigenvalue: Tensor) -> Tensor:
        """|r|, by which a mode's amplitude changes per step: the larger root of the block.

        z^2 - b z + k, with b and -k the coefficients of c_t and c_{t-1}; |b| without momentum.

        Args:
            eigenvalue: lambda, any shape.
        """
        eta, beta = self.learning_rate, self.momentum
        b = 1 + beta - eta * (self._pull * eigenvalue + self.shrink)
        if beta == 0:
            return b.abs()
        k = torch.full_like(b, beta)
        if self.aside or self.shrink:
            k = beta * (1 - eta * (self.aside * eigenvalue + self.shrink))
        discriminant = b * b - 4 * k
        real = (b.abs() + discriminant.clamp(min=0).sqrt()) / 2
        real = torch.where(discriminant.isfinite(), real, b.abs())  # b^2 may overflow: 4 k is small
        return torch.where(discriminant >= 0, real, k.abs().sqrt())

    def path(
        self,
        values: Floats,
        sources: Floats,
        velocity: Floats | None = None,
        pull: Floats | None = None,
    ) -> tuple[Floats, Floats]:
        """c_0 = 0, c_1, ... c_T of each mode, (T + 1, d), and the last v, (d,).

        Args:
            values: lambda of each mode, coupled weight decay included, (d,).
            sources: a_0 ... a_{T-1} of each mode, (T, d).
            velocity: v at the start, (d,); None: 0.
            pull: b, (d,); None: 0.
        """
        from scipy.linalg.blas import dtbsv

        eta, beta = self.learning_rate, self.momentum
        sources = np.asarray(sources, dtype=np.float64)
        given = self._pull * sources
        given[0] = (self.along * self.first_gain + self.aside) * sources[0]
        if self.aside:
            given[1:] -= beta * self.aside * sources[:-1]
        if velocity is not None:
            given[0] += self.along * beta * velocity
        if pull is not None:
            given[0] += pull
            given[1:] += (1 - beta) * pull
        path = np.zeros((len(given) + 1, len(values)))
        band = np.ones((3, len(given)))  # a lower triangle: BLAS solves it by recurrence
        for mode, value in enumerate(values):
            band[1] = eta * (self._pull * value + self.shrink) - 1.0 - beta
            band[2] = beta * (1.0 - eta * (self.aside * value + self.shrink))
            path[1:, mode] = dtbsv(2, band, -eta * given[:, mode], lower=1, diag=1)
        gradient = values * path[-2] + sources[-1]
        return path, self.velocity(path[-2], path[-1], gradient, pull)

    def velocity(
        self, before: Floats, after: Floats, gradient: Floats, pull: Floats | None
    ) -> Floats:
        """v after a step, from where it led: ((c - c')/eta - q g - s c - b) / p.

        Args:
            before, after: c at both ends of the step.
            gradient: g at its start.
            pull: b; None: 0.
        """
        found = (before - after) / self.learning_rate
        if self.aside:
            found = found - self.aside * gradient
        if self.shrink:
            found = found - self.shrink * before
        if pull is not None:
            found = found - pull
        return found / self.along

    @property
    def _pull(self) -> float:
        """p w + q, the gradient's share of its own step."""
        return self.along * self.gain + self.aside


def _combined(basis: list[Tensor], coordinates: Floats) -> Tensor:
    total = torch.zeros_like(basis[0])
    for w, c in zip(basis, coordinates.tolist(), strict=True):
        total.add_(w, alpha=c)
    return total
