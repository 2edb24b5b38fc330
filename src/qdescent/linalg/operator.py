"""A matrix known by what it does to vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from qdescent._array_checks import FLOATING, check_tensor
from qdescent._checks import (
    ArgumentError,
    argument_error,
    check_boolean,
    check_callable,
    check_field,
    check_instance,
    check_integer,
    check_interval,
    check_sequence,
    check_text,
    shown,
)

MOST_ROWS = 2**62  # an index of 64 bits can count no more
COMPUTED = (*FLOATING, torch.complex64, torch.complex128)


@dataclass(frozen=True)
class Shard:
    """The places of a vector that this process holds, where vectors are spread over several.

    Args:
        start, stop: the places, start <= i < stop.
        total: the sum over processes of a small tensor that each of them has; it may overwrite what
            it is given.
    """

    start: int
    stop: int
    total: Callable[[Tensor], Tensor] = field(repr=False)

    def __post_init__(self) -> None:
        check_field(self, "start", check_integer, 0)
        check_field(self, "stop", check_integer, self.start + 1)
        check_callable("total", self.total)

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class LinearOperator:
    """A linear map of shape (m, n); `A @ x` takes a vector (n,) or a block of vectors (n, k).

    Args:
        shape: (m, n).
        apply: maps a block (n, k) to a block (m, k).
        apply_adjoint: maps (m, k) to (n, k) by the conjugate transpose; None where it is not known.
        dtype: type of the vectors it takes and returns.
        device: place of these vectors.
        shard: the part of every vector that this process holds, of a square operator; None: all of
            it. `A @ x` then takes and returns these parts, and all processes must make the same
            products in the same order.
        steady: promise that its products are the same each time, so that nobody makes one again to
            see (`spectral_density`).
        rounding: relative error of its products where that is more than of `dtype` (half precision
            inside, finite differences): what is closer to 0 than this share of the largest
            eigenvalue has no sign; None: that of `dtype`.
        remark: sentence on what its products leave out, which goes on to its spectrum and to what
            is said of that; empty: nothing.

    Raises:
        ArgumentError: a field of another type; in a product, a vector of another length or of
            complex numbers for a real operator, or an `apply` that returns something else than it
            should.

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
    steady: bool = False
    rounding: float | None = None
    remark: str = ""

    def __post_init__(self) -> None:
        sides = check_sequence("shape", self.shape, object, called="two integers (m, n)")
        if len(sides) != 2:
            raise argument_error("shape", "be two integers (m, n)", shown(self.shape))
        rows, columns = (check_integer("shape", side, 1, MOST_ROWS) for side in sides)  # type: ignore[arg-type]
        object.__setattr__(self, "shape", (rows, columns))
        check_callable("apply", self.apply)
        check_callable("apply_adjoint", self.apply_adjoint, optional=True)
        if not isinstance(self.dtype, torch.dtype) or self.dtype not in COMPUTED:
            raise argument_error("dtype", "be a floating-point or complex type", shown(self.dtype))
        check_instance("device", self.device, torch.device)
        check_instance("shard", self.shard, Shard, optional=True)
        check_field(self, "steady", check_boolean)
        check_text("remark", self.remark, empty=True)
        if self.rounding is not None:
            rounding = check_interval("rounding", self.rounding, "(0, 1)")
            object.__setattr__(self, "rounding", rounding)

    def __matmul__(self, x: Tensor) -> Tensor:
        columns = self.shape[1] if self.shard is None else len(self.shard)
        rows = self.shape[0] if self.shard is None else len(self.shard)
        check_instance("x", x, Tensor, called="a tensor (torch.as_tensor makes one)")
        if x.ndim not in (1, 2) or x.shape[0] != columns:
            raise argument_error(
                "x", f"have shape ({columns},) or ({columns}, k)", f"of shape {tuple(x.shape)}"
            )
        if x.device.type != self.device.type:
            raise argument_error(
                "x", f"be on the operator's device, {self.device}", f"on {x.device}"
            )
        if x.is_complex() and not self.dtype.is_complex:
            raise argument_error("x", "be real, as the operator is", f"of type {x.dtype}")
        block = x.to(self.dtype) if x.ndim == 2 else x.to(self.dtype)[:, None]
        # tensors of inference mode count no changes
        version = None if block.is_inference() else block._version
        try:
            product = self.apply(block)
        except (RuntimeError, ArgumentError) as problem:
            if not torch._C._functorch.is_functorch_wrapped_tensor(x):
                raise
            must = "be plain vectors, outside of torch.vmap and torch.func (a block (n, k) is"
            must = f"{must} multiplied at once)"
            raise argument_error("x", must, "a tensor of theirs") from problem
        if version is not None and block._version != version:
            must = "leave the block that it is given as it is (block = block.clone() first)"
            raise argument_error("apply", must, "changing it in place")
        if not isinstance(product, Tensor) or product.shape != (rows, block.shape[1]):
            raise argument_error("apply", f"return a tensor of shape ({rows}, k)", shown(product))
        if product.dtype != self.dtype and not _holds(self.dtype, product.dtype):
            must = "return vectors of the operator's dtype, as it declares what its products are"
            actual = f"{product.dtype} for {self.dtype}"
            raise argument_error("apply", must, f"one that returns {actual}")
        product = product.to(self.dtype)
        return product if x.ndim == 2 else product[:, 0]

    @property
    def H(self) -> LinearOperator:
        """The adjoint (conjugate transpose)."""
        if self.apply_adjoint is None:
            raise argument_error("operator", "declare its adjoint to be used here", "without one")
        return replace(
            self, shape=self.shape[::-1], apply=self.apply_adjoint, apply_adjoint=self.apply
        )

    def to_dense(self) -> Tensor:
        """The matrix itself, (m, n), by n products: for small operators and for tests. A sharded
        one has no such form.
        """
        return self @ torch.eye(self.shape[1], dtype=self.dtype, device=self.device)


def _holds(declared: torch.dtype, found: torch.dtype) -> bool:
    """Whether numbers of this type lose nothing of those: no imaginary parts, no digits."""
    if found not in COMPUTED or (found.is_complex and not declared.is_complex):
        return False
    return torch.finfo(found).eps <= torch.finfo(declared).eps


def as_operator(matrix: LinearOperator | Tensor, name: str = "matrix") -> LinearOperator:
    """A `LinearOperator` from a dense or sparse tensor (m, n); operators pass through unchanged.

    Args:
        matrix: what is taken.
        name: of the caller's argument.

    Raises:
        ArgumentError: not two-dimensional, not of floating-point or complex numbers, NaN.
    """
    if isinstance(matrix, LinearOperator):
        return matrix
    if not isinstance(matrix, Tensor) or matrix.ndim != 2:
        raise argument_error(name, "be a LinearOperator or a tensor of shape (m, n)", shown(matrix))
    matrix = check_tensor(name, matrix, kind="complex", sparse=True)
    adjoint = matrix.mH if matrix.layout == torch.strided else matrix.transpose(0, 1).conj()
    return LinearOperator(
        shape=(matrix.shape[0], matrix.shape[1]),
        apply=lambda x: matrix @ x,
        apply_adjoint=lambda x: adjoint @ x,
        dtype=matrix.dtype,
        device=matrix.device,
    )


def symmetric_operator(matrix: LinearOperator | Tensor, name: str = "operator") -> LinearOperator:
    """As `as_operator`, for those that must be real, square and symmetric.

    A tensor is looked at; of an operator only the shape is known (`lanczos` finds out as it goes).

    Raises:
        ArgumentError: not square, complex, or a tensor with A_ij and A_ji apart by more than
            rounding.
    """
    operator = as_operator(matrix, name)
    if operator.shape[0] != operator.shape[1]:
        raise argument_error(name, "be square", f"of shape {operator.shape}")
    if operator.dtype not in (torch.float32, torch.float64):
        raise argument_error(name, "be of float32 or float64 numbers", f"of type {operator.dtype}")
    if isinstance(matrix, Tensor):
        entries = (
            matrix.detach() if matrix.layout == torch.strided else matrix.detach().to_sparse_coo()
        )
        gap, size = _largest(entries - entries.transpose(0, 1)), _largest(entries)
        if gap > torch.finfo(matrix.dtype).eps ** 0.5 * size:
            raise argument_error(
                name, "be symmetric", f"not: A_ij and A_ji differ by up to {gap:.3g}"
            )
    return operator


def product_error(
    approximate: LinearOperator, reference: LinearOperator, vectors: Tensor
) -> tuple[float, float]:
    """||(A - R) V|| / ||R V|| column by column: its mean and its largest value, e.g. of bfloat16
    against float32 products.
    """
    check_instance("approximate", approximate, LinearOperator)
    check_instance("reference", reference, LinearOperator)
    if approximate.shape != reference.shape:
        raise argument_error(
            "approximate",
            f"have shape {reference.shape}, as the reference has",
            f"of shape {approximate.shape}",
        )
    vectors = check_tensor("vectors", vectors, (reference.shape[1], None))
    truth = reference @ vectors
    found = approximate @ vectors
    lengths = torch.linalg.vector_norm(truth.double(), dim=0)
    errors = torch.linalg.vector_norm((found - truth).double(), dim=0) / lengths
    return float(errors.mean()), float(errors.max())


def _largest(matrix: Tensor) -> float:
    values = matrix if matrix.layout == torch.strided else matrix.coalesce().values()
    return float(values.abs().max()) if values.numel() else 0.0
