"""The map u -> F_0 + F_1 u + F_2 (u (x) u) + ..., by explicit coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from qdescent._checks import argument_error, check_finite, check_shape


@dataclass(frozen=True)
class PolynomialMap:
    """One step of a polynomial iteration in R^n: u_{t+1} = sum_k F_k u_t^{(x)k}.

    Args:
        coefficients: F_0 of shape (n,) or (n, 1), F_1 (n, n), F_2 (n, n^2), ..., dense or sparse COO; column index of F_2 is
            i_1 n + i_2 (the order of `torch.kron`).

    Raises:
        ArgumentError: fewer than two coefficients, a wrong shape, NaN.

    Example:
        >>> import torch
        >>> f = PolynomialMap([torch.tensor([0.0]), torch.tensor([[0.9]]), torch.tensor([[0.1]])])
        >>> round(float(f(torch.tensor([0.5]))[0]), 6)
        0.475
    """

    coefficients: Sequence[Tensor]

    def __post_init__(self) -> None:
        given = list(self.coefficients)
        if len(given) < 2:
            raise argument_error("coefficients", "hold at least F_0 and F_1", f"{len(given)} of them")
        if given[0].ndim == 1:
            given[0] = given[0][:, None]
        n = given[0].shape[0]
        for k, F in enumerate(given):
            check_shape(f"coefficients[{k}]", F, (n, n**k))
            check_finite(f"coefficients[{k}]", F.coalesce().values() if F.is_sparse else F)
        object.__setattr__(self, "coefficients", tuple(given))

    @property
    def size(self) -> int:
        """n, the number of variables."""
        return self.coefficients[0].shape[0]

    @property
    def degree(self) -> int:
        """The highest k with a coefficient F_k."""
        return len(self.coefficients) - 1

    def __call__(self, u: Tensor) -> Tensor:
        """One step, (n,) -> (n,)."""
        check_shape("u", u, (self.size,))
        value, power = torch.zeros_like(u), torch.ones(1, dtype=u.dtype, device=u.device)
        for F in self.coefficients:
            value = value + F.to(u.dtype) @ power
            power = torch.kron(power, u)
        return value

    def iterate(self, u: Tensor, steps: int) -> Tensor:
        """`steps` steps from u: the trajectory, (steps + 1, n)."""
        path = [u]
        for _ in range(steps):
            path.append(self(path[-1]))
        return torch.stack(path)

    def scipy_coefficients(self) -> list[sparse.csr_array]:
        """F_k as SciPy sparse arrays (float64), for assembling larger matrices out of them."""
        return [_to_scipy(F) for F in self.coefficients]


def _to_scipy(F: Tensor) -> sparse.csr_array:
    entries = (F if F.is_sparse else F.to_sparse_coo()).coalesce().cpu()
    rows, columns = (np.asarray(index) for index in entries.indices())
    return sparse.csr_array((np.asarray(entries.values(), dtype=np.float64), (rows, columns)), shape=tuple(F.shape))
