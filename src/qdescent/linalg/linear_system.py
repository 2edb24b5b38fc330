"""M Z = B: the noun between whoever poses a linear system and whoever solves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from qdescent._array_checks import check_shape, check_tensor
from qdescent._checks import argument_error, check_interval, shown
from qdescent.linalg.tensors import number_tensor


@dataclass(frozen=True, eq=False)
class LinearSystem:
    """A square system M Z = B, and where the answer sits in Z.

    What is given as a NumPy or SciPy array, as lists, integers, half precision or compressed rows
    is held as a tensor of float32, float64, complex64 or complex128, dense or sparse COO; no value
    is changed by that.

    Args:
        matrix: M, of shape (D, D), D at least 1.
        rhs: B, shape (D,), not zero.
        answer_index: integers (copies, n): each row lists the indices of Z that hold the answer u
            in R^n (a history system with p padding steps holds p + 1 copies of its last step).
            None: Z itself is the answer.
        norm_bound: a declared upper bound on ||M||_2, or None.
        inverse_norm_bound: a declared upper bound on ||M^-1||_2, or None.

    Raises:
        ArgumentError: not square, of unlike lengths or devices, not numbers, not finite, a
            right-hand side of zeros, indices that are none, or a bound that is not a positive
            number.

    Example:
        >>> import numpy as np
        >>> system = LinearSystem(np.eye(2), [3, 4])
        >>> system.extract(torch.tensor([3.0, 4.0])).tolist(), system.matrix.dtype
        ([3.0, 4.0], torch.float64)
    """

    matrix: Tensor
    rhs: Tensor
    answer_index: Tensor | None = None
    norm_bound: float | None = None
    inverse_norm_bound: float | None = None

    def __post_init__(self) -> None:
        matrix, rhs = number_tensor("matrix", self.matrix), number_tensor("rhs", self.rhs)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.shape[0]:
            must = "be square" if matrix.numel() else "be square, with at least one unknown"
            raise argument_error("matrix", must, f"of shape {tuple(matrix.shape)}")
        rhs = check_shape("rhs", rhs, (matrix.shape[0],)).to_dense()
        if rhs.device != matrix.device:
            raise argument_error(
                "rhs", f"be on the matrix's device, {matrix.device}", f"on {rhs.device}"
            )
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "rhs", rhs)
        if self.answer_index is not None:
            object.__setattr__(self, "answer_index", _indices(self.answer_index, self.size))
        for name in ("norm_bound", "inverse_norm_bound"):
            if getattr(self, name) is not None:
                object.__setattr__(
                    self, name, check_interval(name, getattr(self, name), "(0, inf)")
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

    @property
    def dtype(self) -> torch.dtype:
        """The common type of M and B, which is that of Z."""
        return torch.promote_types(self.matrix.dtype, self.rhs.dtype)

    @property
    def rhs_norm(self) -> float:
        """||B||, in double precision."""
        return float(
            torch.linalg.vector_norm(
                self.rhs.to(torch.promote_types(self.rhs.dtype, torch.float64))
            )
        )

    def entries(self) -> tuple[Tensor, Tensor, Tensor]:
        """The stored entries of M: rows (nnz,), columns (nnz,), values (nnz,), each pair once,
        zeros left out.
        """
        sparse = (self.matrix if self.matrix.is_sparse else self.matrix.to_sparse_coo()).coalesce()
        kept = sparse.values() != 0
        return sparse.indices()[0][kept], sparse.indices()[1][kept], sparse.values()[kept]

    def residual(self, solution: Tensor) -> float:
        """||M Z - B|| / ||B||, in double precision and whatever the scale of B.

        Example:
            >>> tiny = LinearSystem([[1e-200]], [1e-200])  # whose squares float64 cannot hold
            >>> tiny.residual(torch.tensor([1.5], dtype=torch.float64))
            0.5
        """
        solution = self._checked(solution)
        kind = torch.promote_types(self.dtype, torch.promote_types(solution.dtype, torch.float64))
        rhs = self.rhs.to(kind)
        unit = float(rhs.abs().max())
        left = self.matrix.to(kind) @ solution.to(kind) - rhs
        return float(torch.linalg.vector_norm(left / unit) / torch.linalg.vector_norm(rhs / unit))

    def extract(self, solution: Tensor) -> Tensor:
        """The answer u, shape (n,), from Z: the mean over its copies."""
        solution = self._checked(solution)
        return solution if self.answer_index is None else solution[self.answer_index].mean(0)

    def _checked(self, solution: Tensor) -> Tensor:
        """Z as it comes back: infinite where there is none."""
        return check_tensor("solution", solution, (self.size,), "complex", finite=False)


def _indices(given: Any, size: int) -> Tensor:
    """The indices of the answer as int64, (copies, n)."""
    must = f"be indices in [0, {size}), of shape (copies, n)"
    try:
        index = given if isinstance(given, Tensor) else torch.as_tensor(given, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        raise argument_error("answer_index", must, shown(given)) from error
    if index.device.type == "meta" or index.layout != torch.strided:
        raise argument_error("answer_index", must, shown(index))
    whole = not (index.is_floating_point() or index.is_complex() or index.dtype is torch.bool)
    if (
        not whole
        or index.ndim != 2
        or not index.numel()
        or int(index.min()) < 0
        or int(index.max()) >= size
    ):
        what = f"of shape {tuple(index.shape)}" if whole else f"of {index.dtype}"
        ends = [int(index.min()), int(index.max())] if whole and index.numel() else []
        outside = [end for end in ends if not 0 <= end < size]
        what += f", with {outside[0]} in it" if outside else ""
        raise argument_error("answer_index", must, what)
    return index.long()
