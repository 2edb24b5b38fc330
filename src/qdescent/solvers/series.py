"""The exact solution of the homogenised order-N Carleman system at any number of weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_boolean,
    check_choice,
    check_instance,
    check_integer,
    check_iterable,
    check_text,
)
from qdescent.learning.curvature.hessian import check_series
from qdescent.learning.descent.sgd import SGD, step_change
from qdescent.learning.mean_series import MeanSeries
from qdescent.learning.parallel.shared_task import SharedTask, ranks_of
from qdescent.learning.parallel.spread import Curve, Spread
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.taylor.gradient_series import WAYS, GradientSeries, series_of
from qdescent.learning.taylor.nested_jvp import NestedSeries
from qdescent.solvers.promise.limits import ORDER_LIMIT

MOST_STEPS, MOST_GROWTH = 10_000_000, 1e3  # beyond it no term is near the truth


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesSolution:
    """u(T) = sum_k u_k(T), the order-N Carleman solution after T steps.

    Args:
        terms: u_1 ... u_N at the end, (N, n); of tasks whose ranks shard vectors this process's
            places of them.
        steps: T.
        velocity: the velocity's terms v_1 ... v_N at the end, (N, n); None without momentum.
        how: way in which the coefficients were found, in words, with the price where it is not
            by Taylor rules alone.
    """

    terms: Tensor = field(repr=False)
    steps: int
    velocity: Tensor | None = field(repr=False)
    how: str = field(compare=False)

    def __post_init__(self) -> None:
        terms = check_tensor("terms", self.terms, (None, None))
        object.__setattr__(self, "steps", check_integer("steps", self.steps, 1))
        if self.velocity is not None:
            check_tensor("velocity", self.velocity, tuple(terms.shape))
        check_text("how", self.how)

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
        """||u_N|| / ||u||: close to the relative truncation error of order N - 1, so pessimistic
        for N; needs no reference run.
        """
        return float(torch.linalg.vector_norm(self.terms[-1])) / (
            float(torch.linalg.vector_norm(self.value)) or 1.0
        )


class SeriesSteps(Iterator[Tensor]):
    """The terms u_1 ... u_N, (N, n), after 1, 2, 3, ... steps: endless on one batch, else as long
    as there are batches.

    v_k <- beta v_k + (1 - d) (g_k + lambda u_k + [k = 1] (grad L_t(theta) + lambda theta)),
    u_k <- u_k - eta v_k

    with g_k the coefficient of eps^k in grad L_t(theta + sum_j eps^j u_j): the map of
    `torch.optim.SGD` on (u, velocity) in R^{2n} (`SGD` has all of its forms), whose constant part
    and whose initial velocity carry one power of eps each.

    Args:
        task: one task (gradient descent), or an iterable of tasks of one network, one for each step
            (stochastic gradient descent).
        space: the kept weights.
        theta: the pivot, (n,).
        order: N, 1 to 6.
        learning_rate: eta.
        momentum: beta in [0, 1).
        weight_decay: lambda.
        velocity: the velocity at the pivot, (n,) as the terms of degree 1, or its terms (N, n);
            None: there was no step yet, so that the first has no dampening.
        method: as for `series_descent`.
        check: comparison of the first step's series with the loss moved in float64
            (`check_series`).
        dampening: d in [0, 1).
        nesterov: Nesterov's form of the momentum.
        decoupled: weight decay beside the gradient, as in SGDW.

    Attributes:
        terms: u_1 ... u_N now, (N, n); of tasks whose ranks shard vectors this process's places of
            them (`spread`).
        velocity: v_1 ... v_N now, likewise; None without momentum.
        how: way in which the gradient's coefficients are found, see `SeriesSolution`.
        price: of a step on a batch that is known already, in gradients.
    """

    def __init__(
        self,
        task: Task | Iterable[Task],
        space: ParameterSpace,
        theta: Tensor,
        order: int,
        learning_rate: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        velocity: Tensor | None = None,
        method: str = "auto",
        check: bool = True,
        dampening: float = 0.0,
        nesterov: bool = False,
        decoupled: bool = False,
    ) -> None:
        if not isinstance(task, Task):
            check_iterable("task", task, called="a Task, or one for each step")
        theta = check_instance("space", space, ParameterSpace).point(theta)
        method = check_choice("method", method, WAYS)
        check = check_boolean("check", check)
        order = check_integer("order", order, 1)
        if order > ORDER_LIMIT:
            raise argument_error("order", f"be at most {ORDER_LIMIT} in series form", order)
        self._rule = SGD(learning_rate, momentum, weight_decay, dampening, nesterov, decoupled)
        self._space, self._theta, self._order, self._method = space, theta, order, method
        self.spread = Spread(len(theta), ranks_of(task))
        self._pivot = self.spread.part(theta)
        self.terms = torch.zeros(order, len(self._pivot), dtype=theta.dtype, device=theta.device)
        self.velocity: Tensor | None = None
        if velocity is not None:
            velocity, n = check_tensor("velocity", velocity).to(theta), len(theta)
            if tuple(velocity.shape) not in ((n,), (order, n)):
                must = f"have shape ({n},), or ({order}, {n}) for its terms"
                raise argument_error("velocity", must, f"of shape {tuple(velocity.shape)}")
            self.velocity = torch.zeros_like(self.terms)
            first = len(velocity) if velocity.ndim == 2 else 1
            self.velocity[:first] = self.spread.part(velocity)
        self.how, self.price = "", 0.0
        self._check, fixed = check, isinstance(task, Task)
        self._gradient = self._series(task) if fixed else None  # type: ignore[arg-type]
        self._tasks = iter(()) if fixed else iter(task)  # type: ignore[arg-type]

    def __next__(self) -> Tensor:
        gradient = self._gradient
        if gradient is None:
            gradient = self._series(next(self._tasks))
        rate = gradient(self.terms)
        rate[0] += gradient.gradient
        change, self.velocity = step_change(
            self._rule, rate, self.terms, self._pivot, self.velocity
        )
        self.terms = change.add_(self.terms)
        return self.terms

    def _series(self, task: Task) -> GradientSeries | NestedSeries | MeanSeries:
        check_instance("task", task, Task)
        check, self._check = self._check, False  # the same network and loss at every step
        series: GradientSeries | NestedSeries | MeanSeries
        if isinstance(task, SharedTask):
            # of a stream of tasks it is not known beforehand that their ranks shard vectors
            ranks = replace(task.ranks, shard_vectors=self.spread.ranks.sharding)
            series = MeanSeries(
                [task.own], self._space, self._theta, self._order, self._method, check, ranks
            )
        else:
            series = series_of(task, self._space, self._theta, self._order, self._method)
            if check:
                check_series(series, task, self._space, self._theta)
        self.how, self.price = series.how, series.price
        return series


def series_descent(
    task: Task | Iterable[Task],
    space: ParameterSpace,
    order: int,
    steps: int,
    learning_rate: float,
    theta: Tensor | None = None,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    velocity: Tensor | None = None,
    method: str = "auto",
    check: bool = True,
    dampening: float = 0.0,
    nesterov: bool = False,
    decoupled: bool = False,
) -> SeriesSolution:
    """T steps of (stochastic) gradient descent by the homogenised order-N Carleman linearisation,
    from the pivot theta, exactly.

    The truncated linear system of sum_j ((n+1)^j - 1) unknowns a step has, as its block of degree
    1, the degree-N Taylor polynomial of the T-step map in a parameter eps that multiplies F_0; so N
    vectors of length n carry the whole solution. Exactly equal to
    `carleman_linearize(form="homogenised")`; the plain form differs for N >= 2 where F_0 != 0. With
    momentum the map is that on (u, velocity) in R^{2n}.

    Args:
        task: network, loss and one fixed batch (gradient descent); or an iterable of tasks, one for
            each step.
        space: the kept weights.
        order: N, 1 to 6.
        steps: T.
        learning_rate: eta.
        theta: the pivot, (n,); None: the network's own weights,
            which must be those that the space was made with.
        momentum: beta of `torch.optim.SGD`, in [0, 1); 0: none, as in the paper.
        weight_decay: lambda of `torch.optim.SGD`.
        velocity: the velocity at the pivot, (n,); None: none yet, as at the start of a training.
        method: "taylor": by the rules of learning/taylor/rules; "jvp": by nested forward
            derivatives of any smooth network, some 1.3 3^N gradients a step; "auto": the first
            where it is possible, else the second, and the answer's `how` says which.
        check: comparison of the series with the loss moved in float64 along a fixed random
            direction. False: for those who have compared the same network and loss before.

    Returns:
        SeriesSolution.

    Raises:
        ArgumentError: an operation with a kink, or that has neither a Taylor rule nor forward
            derivatives; a series that is not the loss's; fewer tasks than steps.

    Cost: N(N+3)/2 forward and reverse convolutions a step, in batches, and one gradient before the
        first; with a fresh batch at each step one gradient more a step. Memory about N + 2 times a
        gradient's. The check: one gradient, two calls of the series, two gradients in float64.

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(1, 1, bias=False).double()
        >>> data = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        >>> task, space = Task(network, torch.nn.functional.mse_loss, data), ParameterSpace(network)
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> found = series_descent(task, space, order=2, steps=2, learning_rate=0.1, theta=one)
        >>> round(float(found.value), 6)  # 0.8^2 - 1
        -0.36
    """
    steps = check_integer("steps", steps, 1, MOST_STEPS)
    first = task[0] if isinstance(task, (list, tuple)) and task else task
    if theta is None:
        network = first.network if isinstance(first, Task) else None  # of a stream nothing is taken
        theta = check_instance("space", space, ParameterSpace).pivot(None, network)
    if velocity is not None:
        velocity = check_tensor("velocity", velocity, (len(theta),))
    rule = SGD(learning_rate, momentum, weight_decay, dampening, nesterov, decoupled)
    walk = SeriesSteps(
        task, space, theta, order, velocity=velocity, method=method, check=check, **vars(rule)
    )
    for t in range(steps):
        if next(walk, None) is None:
            raise argument_error(
                "task", f"hold at least {steps} tasks, one for each step", f"{t} of them"
            )
    sizes = Curve(walk.terms, walk.spread).sizes
    powers = 1 / torch.arange(1, len(sizes) + 1, dtype=torch.float64, device=sizes.device)
    growth = float(((sizes / sizes[0]) ** powers).max()) if bool(sizes[0] > 0) else 1.0
    overflowed = not bool(sizes.isfinite().all()) or math.isinf(growth)
    if overflowed or growth > MOST_GROWTH:
        must = (
            "keep the series within reach of its radius of convergence (fewer steps, or a lower"
            " rate)"
        )
        grow = "overflow" if overflowed else f"grow {growth:.3g}-fold from order to order"
        raise argument_error("learning_rate", must, f"{learning_rate:g}: its terms {grow}")
    return SeriesSolution(terms=walk.terms, steps=steps, velocity=walk.velocity, how=walk.how)
