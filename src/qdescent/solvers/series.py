"""The exact solution of the homogenised order-N Carleman system at any number of weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qdescent._checks import argument_error, check_integer, check_interval
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.taylor import gradient_series

ORDER_LIMIT = 6  # above it the rounding of the recurrences outgrows the term itself in float32


@dataclass(frozen=True)
class SeriesSolution:
    """u(T) = sum_k u_k(T), the order-N Carleman solution after T steps.

    Args:
        terms: u_1 ... u_N at the end, (N, n).
        steps: T.
    """

    terms: Tensor = field(repr=False)
    steps: int

    @property
    def value(self) -> Tensor:
        """The displacement u(T), (n,)."""
        return self.terms.sum(0)

    @property
    def answer(self) -> Tensor:
        """The same: what `read_out` measures."""
        return self.value

    @property
    def last_term(self) -> float:
        """||u_N|| / ||u||: close to the relative truncation error of order N - 1, so pessimistic for N; needs no reference run."""
        return float(torch.linalg.vector_norm(self.terms[-1])) / (float(torch.linalg.vector_norm(self.value)) or 1.0)


def series_steps(task: Task, space: ParameterSpace, theta: Tensor, order: int, learning_rate: float) -> Iterator[Tensor]:
    """The terms u_1 ... u_N, (N, n), after 1, 2, 3, ... steps; endless.

    u_k <- u_k - eta (g_k + [k = 1] grad L(theta)), g_k the coefficient of eps^k in grad L(theta + sum_j eps^j u_j).
    """
    check_integer("order", order, 1)
    if order > ORDER_LIMIT:
        raise argument_error("order", f"be at most {ORDER_LIMIT} in series form", order)
    check_interval("learning_rate", learning_rate, "(0, inf)")
    _, pull = task.loss_and_gradient(space, theta)
    terms = torch.zeros(order, space.n, dtype=theta.dtype, device=theta.device)
    while True:
        change = torch.stack(gradient_series(task, space, theta, list(terms)))
        change[0] += pull
        terms = terms - learning_rate * change
        yield terms


def series_descent(
    task: Task, space: ParameterSpace, order: int, steps: int, learning_rate: float, theta: Tensor | None = None
) -> SeriesSolution:
    """T steps of gradient descent by the homogenised order-N Carleman linearisation, from the pivot theta (u_0 = 0), exactly.

    The truncated linear system of sum_j ((n+1)^j - 1) unknowns a step has, as its block of degree 1, the degree-N Taylor
    polynomial of the T-step map in a
    parameter eps that multiplies F_0; so N vectors of length n carry the whole solution. Exactly equal to
    `carleman_linearize(form="homogenised")`; the plain form differs for N >= 2 where F_0 != 0.

    Args:
        task: network, loss and batch (one fixed batch: gradient descent).
        space: the kept weights.
        order: N, 1 to 6.
        steps: T.
        learning_rate: eta.
        theta: the pivot, (n,); None: the network's own weights.

    Returns:
        SeriesSolution.

    Cost: about (N(N+3)/2 + 1) forward and reverse convolutions a step, N vectors of length n besides one graph.

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(1, 1, bias=False).double()
        >>> data = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        >>> task, space = Task(network, torch.nn.functional.mse_loss, data), ParameterSpace(network)
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> round(float(series_descent(task, space, order=2, steps=2, learning_rate=0.1, theta=one).value), 6)  # 0.8^2 - 1
        -0.36
    """
    check_integer("steps", steps, 1)
    theta = space.theta if theta is None else theta
    walk = series_steps(task, space, theta, order, learning_rate)
    for _ in range(steps - 1):
        next(walk)
    return SeriesSolution(terms=next(walk), steps=steps)
