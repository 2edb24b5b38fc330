"""A matrix known by what it does to vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qdescent._checks import argument_error


@dataclass(frozen=True)
class Shard:
    """The places of a vector that this process holds, where vectors are spread over several processes.

    Args:
        start, stop: the places, start <= i < stop.
        total: the sum over processes of a small tensor that each of them has; it may overwrite what it is given.
    """

    start: int
    stop: int
    total: Callable[[Tensor], Tensor] = field(repr=False)

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class LinearOperator:
    """A linear map of shape (m, n); `A @ x` takes a vector (n,) or a block of vectors (n, k).

    Args:
        shape: (m, n).
        apply: maps a block (n, k) to a block (m, k).
        apply_adjoint: maps (m, k) to (n, k) by the conjugate transpose; None where it is not known.
        dtype: of the vectors it takes and returns.
        device: where these vectors live.
        shard: the part of every vector that this process holds, of a square operator; None: all of it. `A @ x` then takes and
            returns these parts, and all processes must make the same products in the same order.

    Example:
        >>> import torch
        >>> A = as_operator(torch.diag(torch.tensor([1.0, 2.0])))
        >>> (A @ torch.ones(2)).tolist()
        [1.0, 2.0]
    """

    shape: tuple[int, int]
    apply: Callable[[Tensor], Tensor] = field(repr=False)
    apply_adjoint: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)
    dtype: torch.dtype = torch.float64
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    shard: Shard | None = None

    def __matmul__(self, x: Tensor) -> Tensor:
        length = self.shape[1] if self.shard is None else len(self.shard)
        if x.ndim not in (1, 2) or x.shape[0] != length:
            raise argument_error("x", f"have shape ({length},) or ({length}, k)", f"of shape {tuple(x.shape)}")
        return self.apply(x) if x.ndim == 2 else self.apply(x[:, None])[:, 0]

    @property
    def H(self) -> LinearOperator:
        """The adjoint (conjugate transpose)."""
        if self.apply_adjoint is None:
            raise argument_error("operator", "declare its adjoint to be used here", "without one")
        return LinearOperator(self.shape[::-1], self.apply_adjoint, self.apply, self.dtype, self.device, self.shard)

    def to_dense(self) -> Tensor:
        """The matrix itself, (m, n), by n products: for small operators and for tests. A sharded one has no such form."""
        return self @ torch.eye(self.shape[1], dtype=self.dtype, device=self.device)


def as_operator(matrix: LinearOperator | Tensor) -> LinearOperator:
    """A `LinearOperator` from a dense or sparse tensor (m, n); operators pass through unchanged.

    Raises:
        ArgumentError: not two-dimensional.
    """
    if isinstance(matrix, LinearOperator):
        return matrix
    if not isinstance(matrix, Tensor) or matrix.ndim != 2:
        raise argument_error("matrix", "be a LinearOperator or a tensor of shape (m, n)", type(matrix).__name__)
    adjoint = matrix.mH if matrix.layout == torch.strided else matrix.transpose(0, 1).conj()
    return LinearOperator(
        shape=(matrix.shape[0], matrix.shape[1]),
        apply=lambda x: matrix @ x,
        apply_adjoint=lambda x: adjoint @ x,
        dtype=matrix.dtype,
        device=matrix.device,
    )
