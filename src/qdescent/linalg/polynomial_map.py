"""The map u -> F_0 + F_1 u + F_2 (u (x) u) + ..., by explicit coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import check_boolean, check_integer, check_interval
from qdescent.linalg.polynomial_terms import (
    checked_terms,
    digits_of,
    evaluate,
    point,
    recentre,
    rescale,
)
from qdescent.linalg.tensors import real_tensor

MOST_STEPS = 10_000_000  # each is a row of the result


@dataclass(frozen=True, eq=False)
class PolynomialMap:
    """One step of a polynomial iteration in R^n: u_{t+1} = sum_k F_k u_t^{(x)k}.

    An iteration that changes from step to step (SGD: a fresh batch each) is a sequence of such
    maps, one a step.

    Args:
        coefficients: F_0 of shape (n,) or (n, 1), F_1 (n, n), F_2 (n, n^2), ...; column index of
            F_2 is i_1 n + i_2 (the order of `torch.kron`). Tensors, NumPy or SciPy arrays, or
            lists; held as tensors of float32 or float64, dense or sparse COO.

    Raises:
        ArgumentError: fewer than two coefficients, a wrong shape, numbers that are not real or not
            finite.

    Example:
        >>> import torch
        >>> f = PolynomialMap([torch.tensor([0.0]), torch.tensor([[0.9]]), torch.tensor([[0.1]])])
        >>> round(float(f(torch.tensor([0.5]))[0]), 6)
        0.475
    """

    coefficients: Sequence[Tensor]

    def __post_init__(self) -> None:
        object.__setattr__(self, "coefficients", checked_terms(self.coefficients))

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
        return evaluate(tuple(self.coefficients), point("u", u, self.size))

    def iterate(self, u: Tensor, steps: int) -> Tensor:
        """`steps` steps from u: the trajectory, (steps + 1, n)."""
        path = [point("u", u, self.size)]
        for _ in range(check_integer("steps", steps, 0, MOST_STEPS)):
            path.append(self(path[-1]))
        return torch.stack(path)

    def rescaled(self, gamma: float) -> PolynomialMap:
        """The same iteration in x = u / gamma: F_k gamma^{k-1}.

        The order-N solution is the same, scaled; norms and kappa of the lifted system are not:
        gamma near the size of u keeps the monomials of all degrees alike.

        Args:
            gamma: > 0.

        References:
            Costa, Schleich, Morales, Berry, arXiv:2312.09518: rescaling removes a cost exponential
            in N.

        Example:
            >>> f = PolynomialMap(
            ...     [torch.tensor([1.0]), torch.tensor([[0.5]]), torch.tensor([[0.25]])]
            ... )
            >>> [float(F) for F in f.rescaled(2.0).coefficients]
            [0.5, 0.5, 0.5]
        """
        return PolynomialMap(rescale(tuple(self.coefficients), gamma))

    def recentred(self, pivot: Tensor) -> PolynomialMap:
        """The same iteration in x = u - pivot: x -> f(pivot + x) - pivot, multiplied out exactly.

        Args:
            pivot: new origin in the old coordinates, (n,).

        Cost: 2^k times the entries of F_k.

        Example:
            >>> f = PolynomialMap(
            ...     [torch.tensor([0.0]), torch.tensor([[0.5]]), torch.tensor([[0.25]])]
            ... )
            >>> # .5 (2 + x) + .25 (2 + x)^2 - 2
            >>> [float(F) for F in f.recentred(torch.tensor([2.0])).coefficients]
            [0.0, 1.5, 0.25]
        """
        pivot = real_tensor("pivot", pivot)
        constant, *others = recentre(tuple(self.coefficients), pivot)
        return PolynomialMap([constant.to_dense() - pivot.to(constant.dtype)[:, None], *others])

    def with_momentum(
        self,
        momentum: float,
        dampening: float = 0.0,
        nesterov: bool = False,
        shrink: float = 0.0,
        pivot: Tensor | None = None,
    ) -> PolynomialMap:
        """The iteration with momentum whose plain step this is, on (u, v) in R^{2n}: v' = beta v +
        (1 - d)(f(u) - u), u' = u + v', or u + f(u) - u + beta v' with Nesterov's momentum.

        With f(u) = u - eta grad L(u) this is torch.optim.SGD with v = -eta buffer.

        Args:
            momentum: beta in [0, 1).
            dampening: d in [0, 1).
            nesterov: Nesterov's form of the momentum.
            shrink: eta lambda of a weight decay beside the gradient: u' is less by eta lambda (u +
                pivot).
            pivot: the weights where u = 0, (n,); None: 0.

        Example:
            >>> # 1 - eta lambda = .8
            >>> f = PolynomialMap([torch.tensor([0.0]), torch.tensor([[0.8]])])
            >>> [
            ...     [round(x, 6) for x in row]
            ...     for row in f.with_momentum(0.5).coefficients[1].to_dense().tolist()
            ... ]
            [[0.8, 0.5], [-0.2, 0.5]]
        """
        momentum = check_interval("momentum", momentum, "[0, 1)")
        gain = 1 - check_interval("dampening", dampening, "[0, 1)")
        shrink = check_interval("shrink", shrink, "[0, inf)")
        along = momentum if check_boolean("nesterov", nesterov) else 1.0
        pulled = along * gain + nesterov  # of f(u) - u, in u
        if pivot is not None:
            pivot = check_tensor("pivot", point("pivot", pivot, self.size))
            pivot = pivot.to(self.coefficients[0])
        n, doubled = self.size, []
        for k, given in enumerate(self.coefficients):
            F = (given if given.is_sparse else given.to_sparse_coo()).coalesce()
            rows, columns, values = F.indices()[0], torch.zeros_like(F.indices()[0]), F.values()
            for digit in digits_of(F.indices()[1], n, k):
                columns = 2 * n * columns + digit
            rows, columns = torch.cat([rows, rows + n]), columns.repeat(2)
            values = torch.cat([pulled * values, gain * values])
            place = torch.arange(n, device=rows.device)
            if k == 0 and pivot is not None:
                rows, columns = torch.cat([rows, place]), torch.cat([columns, 0 * place])
                values = torch.cat([values, -shrink * pivot])
            if k == 1:
                rows = torch.cat([rows, place, place + n, place + n])
                columns = torch.cat([columns, place + n, place + n, place])
                one = values.new_ones(n)
                values = torch.cat([values, along * momentum * one, momentum * one, -gain * one])
            if k == 1 and (stays := 1 - pulled - shrink):
                rows, columns = torch.cat([rows, place]), torch.cat([columns, place])
                values = torch.cat([values, values.new_full((n,), stays)])
            whole = torch.sparse_coo_tensor(
                torch.stack([rows, columns]),
                values,
                (2 * n, (2 * n) ** k),
                check_invariants=True,
                device=values.device,
            ).coalesce()
            doubled.append(whole if given.is_sparse else whole.to_dense())
        return PolynomialMap(doubled)
