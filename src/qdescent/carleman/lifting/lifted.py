"""Lifted systems: a polynomial map or equation, truncated to a linear one on monomials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_callable,
    check_instance,
    check_integer,
    check_interval,
)
from qdescent.carleman.lifting.coordinates import Coordinates
from qdescent.linalg.operator import LinearOperator
from qdescent.linalg.tensors import real_tensor

MOST_STEPS = 10_000_000  # each is a product and a row of the result


@dataclass(frozen=True, eq=False)
class LiftedMap:
    """The truncated linear map z -> A z + b, and the way into its space and back.

    Args:
        rows: A, (D, D), compressed sparse rows in float64: 12 bytes an entry below 2^31 unknowns.
        offset: b, (D,): what the known constant monomials contribute at each step.
        coordinates: the monomials that z holds.

    `A @ z` applies A alone; `step(z)` is A z + b.
    """

    rows: sparse.csr_array = field(repr=False)
    offset: Tensor = field(repr=False)
    coordinates: Coordinates

    def __post_init__(self) -> None:
        _check_lift(self.rows, self.offset, self.coordinates)

    @property
    def size(self) -> int:
        """n, the number of variables of the map."""
        return self.coordinates.size

    @property
    def order(self) -> int:
        """N, the highest degree of a monomial that z holds."""
        return self.coordinates.order

    @property
    def form(self) -> str:
        """The form of the linearisation, "homogenised" or "plain"."""
        return self.coordinates.form

    @property
    def dimension(self) -> int:
        """D, the number of monomials carried along."""
        return self.coordinates.dimension

    @cached_property
    def words(self) -> tuple[Tensor, ...]:
        """For each block j = 1..N the Kronecker positions that are kept, among n^j (plain) or
        (n+1)^j (homogenised).
        """
        return tuple(self.coordinates.positions(j) for j in range(1, self.order + 1))

    @cached_property
    def matrix(self) -> Tensor:
        """A as a sparse COO tensor: 24 bytes an entry, made when it is first asked for."""
        return _to_torch(self.rows)

    def to_sparse(self) -> Tensor:
        """A as a sparse COO tensor."""
        return self.matrix

    @property
    def operator(self) -> LinearOperator:
        """A as a `LinearOperator`, with its adjoint, on the stored rows."""
        columns = self.rows.T
        return LinearOperator(
            self.rows.shape, lambda z: _product(self.rows, z), lambda z: _product(columns, z)
        )

    def __matmul__(self, z: Tensor) -> Tensor:
        return _product(self.rows, z)

    def step(self, z: Tensor) -> Tensor:
        """One step of the truncated dynamics, (D,) -> (D,)."""
        check_tensor("z", z, (self.dimension,), finite=False)
        return _product(self.rows, z) + self.offset

    def lift(self, u: Tensor) -> Tensor:
        """z(u): the monomials of u, (n,) -> (D,)."""
        return self.coordinates.lift(u)

    def project(self, z: Tensor) -> Tensor:
        """u, the monomials of degree 1: (D,) -> (n,)."""
        return self.coordinates.project(z)


@dataclass(frozen=True, eq=False)
class Forcing:
    """The part of a lifted equation that is linear in a forcing F_0(t): P (F_0(t) (x) z_s) + Q
    F_0(t), with constant P and Q.

    Args:
        value: t -> F_0(t), (n,).
        sources: s, the places of z that the forcing acts on, increasing, (S,).
        pattern: P, (D, n S): how often a word has the letter.
        offset: Q, (D, n).
    """

    value: Callable[[float], Tensor]
    sources: np.ndarray = field(repr=False)
    pattern: sparse.csr_array = field(repr=False)
    offset: sparse.csr_array = field(repr=False)

    def __post_init__(self) -> None:
        check_callable("value", self.value, "a function of time")

    def _force(self, t: float) -> np.ndarray:
        return self.value(t).detach().cpu().double().numpy()

    def derivative(self, z: np.ndarray, t: float) -> np.ndarray:
        """What the forcing adds to dz/dt: no matrix changes, F_0(t) multiplies the vector."""
        force = self._force(t)
        return self.pattern @ np.outer(force, z[self.sources]).ravel() + self.offset @ force

    def at(self, t: float) -> tuple[sparse.csr_array, np.ndarray]:
        """(C, c) of the forcing at time t: (D, D) and (D,)."""
        force, P = self._force(t), sparse.coo_array(self.pattern)
        component, source = np.divmod(P.col, len(self.sources))
        D = self.pattern.shape[0]
        C = sparse.csr_array(
            (P.data * force[component], (P.row, self.sources[source])), shape=(D, D)
        )
        return C, self.offset @ force


@dataclass(frozen=True, eq=False)
class LiftedField:
    """The truncated linear equation dz/dt = C(t) z + c(t), from du/dt = sum_k F_k u^{(x)k}.

    Args:
        rows: C without the forcing, (D, D), compressed sparse rows in float64.
        offset: c without the forcing, (D,).
        coordinates: the monomials that z holds.
        forcing: the part of C and c that depends on time; None: nothing does.
    """

    rows: sparse.csr_array = field(repr=False)
    offset: Tensor = field(repr=False)
    coordinates: Coordinates
    forcing: Forcing | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _check_lift(self.rows, self.offset, self.coordinates)
        check_instance("forcing", self.forcing, Forcing, optional=True)

    @property
    def dimension(self) -> int:
        """D, the number of monomials carried along."""
        return self.coordinates.dimension

    def lift(self, u: Tensor) -> Tensor:
        """z(u): the monomials of u, (n,) -> (D,)."""
        return self.coordinates.lift(u)

    def project(self, z: Tensor) -> Tensor:
        """u, the monomials of degree 1: (D,) -> (n,)."""
        return self.coordinates.project(z)

    def at(self, t: float) -> tuple[sparse.csr_array, Tensor]:
        """(C(t), c(t)): (D, D) in CSR and (D,)."""
        t = check_interval("t", t, "(-inf, inf)")
        if self.forcing is None:
            return self.rows, self.offset
        C, c = self.forcing.at(t)
        return sparse.csr_array(self.rows + C), self.offset + torch.from_numpy(c)

    def to_sparse(self, t: float = 0.0) -> Tensor:
        """C(t) as a sparse COO tensor."""
        return _to_torch(self.at(t)[0])

    def derivative(self, z: Tensor, t: float = 0.0) -> Tensor:
        """C(t) z + c(t), (D,) -> (D,)."""
        t = check_interval("t", t, "(-inf, inf)")
        check_tensor("z", z, (self.dimension,), finite=False)
        rate = _product(self.rows, z) + self.offset
        if self.forcing is None:
            return rate
        return rate + torch.from_numpy(
            self.forcing.derivative(z.detach().cpu().double().numpy(), t)
        )

    def euler_step(self, step: float, t: float = 0.0) -> LiftedMap:
        """z -> z + h (C(t) z + c(t)) as a `LiftedMap`, e.g. a block of a history system.

        This is an Euler step of the *linearised equation*, not the linearised Euler step of the
        equation, which is `carleman_linearize(field.euler_map(h, t), ...)`.
        """
        step = check_interval("step", step, "(0, inf)")
        C, c = self.at(t)
        return LiftedMap(
            sparse.csr_array(sparse.eye_array(self.dimension) + step * C),
            step * c,
            self.coordinates,
        )

    def integrate(self, u0: Tensor, step: float, steps: int) -> Tensor:
        """u at t = 0, h, ..., T h, (T + 1, n), by Euler steps of the linearised equation.

        Args:
            u0: (n,).
            step: h > 0, in the equation's unit of time.
            steps: T.

        Cost: a product with C each, and one with the few entries that the forcing acts through.

        Example:
            >>> from qdescent.carleman.lifting.linearization import carleman_linearize
            >>> from qdescent.linalg.polynomial_field import PolynomialField
            >>> decay = PolynomialField([torch.zeros(1), torch.tensor([[-1.0]])])
            >>> carleman_linearize(decay, order=2).integrate(
            ...     torch.ones(1), step=0.5, steps=2
            ... ).flatten().tolist()
            [1.0, 0.5, 0.25]
        """
        u0 = check_tensor("u0", real_tensor("u0", u0), (self.coordinates.size,)).to(self.offset)
        step = check_interval("step", step, "(0, inf)")
        steps = check_integer("steps", steps, 1, MOST_STEPS)
        z, offset, path = self.lift(u0).numpy().copy(), self.offset.numpy(), [u0]
        for t in range(steps):
            rate = self.rows @ z + offset
            if self.forcing is not None:
                rate += self.forcing.derivative(z, step * t)
            rate *= step
            z += rate
            path.append(self.project(torch.from_numpy(z)).clone())
        return torch.stack(path)


def _check_lift(rows: sparse.csr_array, offset: Tensor, coordinates: Coordinates) -> None:
    D = check_instance("coordinates", coordinates, Coordinates).dimension
    check_instance("rows", rows, sparse.csr_array)
    if rows.shape != (D, D):
        raise argument_error(
            "rows", f"have shape {(D, D)}, as the coordinates have", f"of shape {rows.shape}"
        )
    if not np.isfinite(rows.data).all():
        raise argument_error("rows", "be finite", "not")
    check_tensor("offset", offset, (D,))


def _product(rows: sparse.sparray, z: Tensor) -> Tensor:
    check_instance("z", z, Tensor, called="a tensor (torch.as_tensor makes one)")
    if z.is_complex() or z.device.type == "meta" or z.layout != torch.strided:
        raise argument_error("z", "be dense and hold real numbers", z)
    if z.ndim == 0 or z.shape[0] != rows.shape[1]:
        raise argument_error("z", f"have {rows.shape[1]} rows", f"of shape {tuple(z.shape)}")
    return torch.from_numpy(rows @ z.detach().cpu().double().numpy())


def _to_torch(rows: sparse.csr_array) -> Tensor:
    entries = sparse.coo_array(rows)
    indices = torch.from_numpy(np.stack([entries.row, entries.col]).astype(np.int64))
    return torch.sparse_coo_tensor(
        indices, torch.from_numpy(entries.data), entries.shape, check_invariants=True, device="cpu"
    ).coalesce()
