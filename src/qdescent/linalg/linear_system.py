"""M Z = B: the noun between whoever poses a linear system and whoever solves it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qdescent._checks import argument_error, check_finite, check_shape


@dataclass(frozen=True)
class LinearSystem:
    """A square system M Z = B, and where the answer sits in Z.

    Args:
        matrix: M, a sparse COO (or dense) tensor of shape (D, D).
        rhs: B, shape (D,), not zero.
        answer_index: integers (copies, n): each row lists the places of Z that hold the answer u in R^n (a history system
            with p padding steps holds p + 1 copies of its last step). None: Z itself is the answer.
        norm_bound: a declared upper bound on ||M||_2, or None.
        inverse_norm_bound: a declared upper bound on ||M^-1||_2, or None.

    Example:
        >>> system = LinearSystem(torch.eye(2, dtype=torch.float64), torch.tensor([3.0, 4.0], dtype=torch.float64))
        >>> system.extract(torch.tensor([3.0, 4.0])).tolist()
        [3.0, 4.0]
    """

    matrix: Tensor
    rhs: Tensor
    answer_index: Tensor | None = None
    norm_bound: float | None = None
    inverse_norm_bound: float | None = None

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or self.matrix.shape[0] != self.matrix.shape[1]:
            raise argument_error("matrix", "be square", f"of shape {tuple(self.matrix.shape)}")
        check_shape("rhs", self.rhs, (self.matrix.shape[0],))
        check_finite("matrix", self.matrix.coalesce().values() if self.matrix.is_sparse else self.matrix)
        check_finite("rhs", self.rhs)
        index = self.answer_index
        if index is not None and (index.ndim != 2 or index.numel() == 0 or int(index.min()) < 0 or int(index.max()) >= self.size):
            raise argument_error(
                "answer_index", f"be places in [0, {self.size}), of shape (copies, n)", f"of shape {tuple(index.shape)}"
            )
        if not bool(self.rhs.any()):
            raise argument_error("rhs", "have a non-zero entry (the state |B> must exist)", "zero")

    @property
    def size(self) -> int:
        """D, the number of unknowns."""
        return self.matrix.shape[0]

    @property
    def is_complex(self) -> bool:
        """Whether M or B is of a complex type."""
        return self.matrix.is_complex() or self.rhs.is_complex()

    def entries(self) -> tuple[Tensor, Tensor, Tensor]:
        """The stored entries of M: rows (nnz,), columns (nnz,), values (nnz,), each pair once, zeros left out."""
        sparse = (self.matrix if self.matrix.is_sparse else self.matrix.to_sparse_coo()).coalesce()
        kept = sparse.values() != 0
        return sparse.indices()[0][kept], sparse.indices()[1][kept], sparse.values()[kept]

    def residual(self, solution: Tensor) -> float:
        """||M Z - B|| / ||B||."""
        return float(torch.linalg.vector_norm(self.matrix @ solution - self.rhs) / torch.linalg.vector_norm(self.rhs))

    def extract(self, solution: Tensor) -> Tensor:
        """The answer u, shape (n,), from Z: the mean over its copies."""
        return solution if self.answer_index is None else solution[self.answer_index].mean(0)
