"""The equation du/dt = F_0(t) + F_1 u + F_2 (u (x) u) + ..., by explicit coefficients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qdescent._array_checks import check_shape
from qdescent._checks import check_callable, check_interval
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.polynomial_terms import (
    Terms,
    checked_terms,
    evaluate,
    point,
    recentre,
    rescale,
)
from qdescent.linalg.tensors import real_tensor


@dataclass(frozen=True, eq=False)
class PolynomialField:
    """The right-hand side of du/dt = sum_k F_k u^{(x)k} in R^n; the forcing may depend on time.

    Args:
        coefficients: F_0, F_1, F_2, ... as of `PolynomialMap`; F_0 is the constant part of the
            forcing.
        forcing: t -> (n,), added to F_0; None: the equation is autonomous.

    Raises:
        ArgumentError: fewer than two coefficients, a wrong shape, numbers that are not real or not
            finite, or a forcing that is not such a function.

    Example:
        >>> import torch
        >>> logistic = PolynomialField(
        ...     [torch.zeros(1), torch.tensor([[-1.0]]), torch.tensor([[0.5]])]
        ... )
        >>> float(logistic(torch.ones(1)))
        -0.5
    """

    coefficients: Sequence[Tensor]
    forcing: Callable[[float], Tensor] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "coefficients", checked_terms(self.coefficients))
        check_callable("forcing", self.forcing, "a function of the time", optional=True)
        self.at(0.0)

    @property
    def size(self) -> int:
        """n, the number of variables."""
        return self.coefficients[0].shape[0]

    @property
    def degree(self) -> int:
        """The highest k with a coefficient F_k."""
        return len(self.coefficients) - 1

    def at(self, t: float) -> Terms:
        """F_0(t), F_1, F_2, ... at time t."""
        t = check_interval("t", t, "(-inf, inf)")
        terms = tuple(self.coefficients)
        if self.forcing is None:
            return terms
        force = check_shape("forcing", real_tensor("forcing", self.forcing(t)), (self.size,))
        return (terms[0].to_dense() + force.to(terms[0])[:, None], *terms[1:])

    def __call__(self, u: Tensor, t: float = 0.0) -> Tensor:
        """du/dt at u and time t, (n,) -> (n,)."""
        return evaluate(self.at(t), point("u", u, self.size))

    def euler_map(self, step: float, t: float = 0.0) -> PolynomialMap:
        """u -> u + h f(u, t), one Euler step as a map.

        Its Carleman linearisation (`carleman_linearize`) is that of a discrete map; an Euler step
        of the linearised *equation* is `carleman_linearize(field, ...).euler_step`. The two differ
        at O(h^2) in every monomial of degree 2 and more.

        Args:
            step: h > 0.
            t: the time at which the step begins.
        """
        step = check_interval("step", step, "(0, inf)")
        scaled = [step * F for F in self.at(t)]
        eye = torch.eye(self.size, dtype=scaled[1].dtype, device=scaled[1].device)
        scaled[1] = (
            (scaled[1] + eye.to_sparse_coo()).coalesce() if scaled[1].is_sparse else scaled[1] + eye
        )
        return PolynomialMap(scaled)

    def rescaled(self, gamma: float) -> PolynomialField:
        """The same equation for x = u / gamma: F_k gamma^{k-1}, forcing / gamma."""
        forcing = self.forcing
        return PolynomialField(
            rescale(tuple(self.coefficients), gamma),
            None if forcing is None else lambda t: real_tensor("forcing", forcing(t)) / gamma,
        )

    def recentred(self, pivot: Tensor) -> PolynomialField:
        """The same equation for x = u - pivot, multiplied out exactly."""
        return PolynomialField(recentre(tuple(self.coefficients), pivot), self.forcing)
