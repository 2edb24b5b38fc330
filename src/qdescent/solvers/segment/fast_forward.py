"""A segment of gradient descent without its steps: the terms of the series form as functions of H.

    u_1(t+1) = u_1(t) - eta (H u_1(t) + g)              u_k(t+1) = u_k(t) - eta (H u_k(t) + s_k(t))

with g the gradient at the pivot, H its Hessian, and s_k the coefficient of eps^k in the gradient
along sum_{j<k} eps^j u_j(t). So u_1(T) is a polynomial of H on g, seen in a Krylov space; and
u_k(T) is one of H on the sources s_k, which change slowly with t: R points in time stand for all T.
The cost does not depend on T. In numerical analysis this is an exponential Rosenbrock method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

import numpy as np
import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_boolean,
    check_choice,
    check_field,
    check_instance,
    check_integer,
    check_interval,
    check_sequence,
)
from qdescent.carleman.growth import grown
from qdescent.learning.descent.sgd import SGD
from qdescent.learning.mean_series import MeanSeries
from qdescent.learning.parallel.ranks import Ranks
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.taylor.gradient_series import GRADIENTS, WAYS
from qdescent.solvers.promise.limits import ORDER_LIMIT
from qdescent.solvers.segment.reduced_descent import MOST_GROWTH, MOST_NODES, ReducedDescent

MOST_STEPS = 10**6  # each is a step of scalar recurrences: about a second of them
MOST_VECTORS = 1000
# ||u_2|| / ||u|| before it is known; where it proves larger, the nodes are chosen again
SHARE = 0.1
NODES_PART = 0.8  # of the tolerance; the rest is for the space, where a product more gains most


class FastForwardStatus(StrEnum):
    """How it ended; the text says what to try next."""

    REACHED = "within the tolerance, by its own estimate"
    DEARER = (
        "within the tolerance, but plain descent takes fewer gradients: use it for so few steps"
    )
    UNRESOLVED = (
        "the space or the nodes were exhausted: raise `dimension` or `nodes`, or take fewer steps"
    )
    UNSTABLE = (
        "a mode grows more than tenfold over the segment: take fewer steps or a smaller learning"
        " rate"
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class FastForward:
    """u(T) = sum_k u_k(T), the order-N Carleman solution after T steps, from a number of gradients
    that does not grow with T.

    Args:
        terms: u_1 ... u_N at the end, (N, n); where `ranks` shard vectors this process's places of
            them.
        velocity: the velocity's terms at the end, (N, n); None without momentum.
        steps: T.
        nodes: R, the points in time at which the higher terms' sources were taken; 0 at order 1.
        dimension: d, of the space in which H was seen.
        products: Hessian products taken.
        calls: series calls taken, (order 2, order 3, ...).
        gradients: cost of all that in gradients, modelled: see `gradients_of`.
        error: estimated distance to the series form after all T steps, relative to ||u(T)||: what
            leaves the space, and what R nodes leave out of each higher term. On 292 segments of
            small random networks it was above the distance in 286, and never below .83 of it
            (orders 2 and 3, measured); where a higher term swings through 0 at the end (momentum),
            it is of the term where it does not.
        growth: the largest factor by which a mode that was seen grows over the segment.
        status: outcome in a word.
        reduced: paths that `after` reads; None without `every_step`.
    """

    terms: Tensor = field(repr=False)
    velocity: Tensor | None = field(repr=False)
    steps: int
    nodes: int
    dimension: int
    products: int
    calls: tuple[int, ...]
    gradients: float
    error: float
    growth: float
    status: FastForwardStatus
    reduced: ReducedDescent | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        terms = check_tensor("terms", self.terms, (None, None))
        if self.velocity is not None:
            check_tensor("velocity", self.velocity, tuple(terms.shape))
        for name in ("nodes", "dimension", "products"):
            check_field(self, name, check_integer, 0)
        check_field(self, "steps", check_integer, 1)
        called = "numbers of calls"
        calls = check_sequence("calls", self.calls, object, called=called, empty=True)
        numbers = tuple(check_integer("calls", each, 0) for each in calls)  # type: ignore[arg-type]
        object.__setattr__(self, "calls", numbers)
        for name in ("gradients", "error", "growth"):
            check_field(self, name, check_interval, "[0, inf]")
        check_instance("status", self.status, FastForwardStatus)
        check_instance("reduced", self.reduced, ReducedDescent, optional=True)

    def after(self, steps: int) -> tuple[Tensor, Tensor | None]:
        """u_1 ... u_N after so many of the T steps, (N, n), and with momentum the velocity's terms.

        The path on the way, not to the tolerance: space and nodes are chosen for u(T), and `error`
        is of that alone. Of the higher terms, which are small there, early steps may miss much
        (some per cent of u(t) where eta lambda is near 2, or with momentum). A displacement within
        the tolerance after t steps is that of `fast_forward` of t steps.

        Raises:
            ArgumentError: steps above T; a segment that was found without `every_step`.
        """
        steps = check_integer("steps", steps, 1, self.steps)
        if self.reduced is None:
            must = "be T where the segment was found without every_step=True"
            if steps < self.steps:
                raise argument_error("steps", must, steps)
            return self.terms, self.velocity
        return self.reduced.after(steps)

    @property
    def value(self) -> Tensor:
        """The displacement u(T), (n,)."""
        return self.terms.sum(0)

    @property
    def answer(self) -> Tensor:
        """The same: what `read_out` measures."""
        return self.value


@np.errstate(over="ignore", invalid="ignore")  # what grows beyond floats is told as such
def fast_forward(
    task: Task | Sequence[Task],
    space: ParameterSpace,
    steps: int,
    learning_rate: float,
    order: int = 2,
    theta: Tensor | None = None,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    velocity: Tensor | None = None,
    tolerance: float = 1e-3,
    dimension: int = 60,
    nodes: int | None = None,
    method: str = "auto",
    check: bool = True,
    ranks: Ranks | None = None,
    every_step: bool = False,
    dampening: float = 0.0,
    nesterov: bool = False,
    decoupled: bool = False,
) -> FastForward:
    """T steps of gradient descent on one mean loss, from the pivot theta, without taking them.

    The same answer as `series_descent`, as the space and the nodes grow. H is seen through its
    Galerkin model on a space that begins as the Krylov space of the gradient and grows where the
    model's residual is largest, until the estimate

        eta sum_t ||(I - W W^T) H W c(t)|| max_lambda |response of lambda over T - 1 - t steps|

    is below the tolerance. The sources s_k of u_k are taken at the R nodes of the Gauss rule for
    the measure ||u_1(t)||^k on the steps, and the polynomial through s_k / ||u_1||^k, which changes
    slowly, drives the recurrence: exact where that is of degree R - 1 in t, and up to degree 2R - 1
    as far as the response is constant. Where u_1 comes back towards 0 all steps weigh alike. R and
    the measure are chosen beforehand, from products of the coordinates of u_1(t).

    Args:
        task: network, loss and batch; or several batches of one network, whose mean is the loss.
            Fresh batches a step have no fixed H and are outside of it: `series_descent` takes
            those.
        space: the kept weights.
        steps: T.
        learning_rate: eta.
        order: N, 1 to 6.
        theta: the pivot, (n,); None: the network's own weights,
            which must be those that the space was made with.
        momentum: beta of `torch.optim.SGD`, in [0, 1).
        weight_decay: weight decay as of `torch.optim.SGD`.
        velocity: the velocity at the pivot, (n,); None: there was no step yet, so that the first
            has no dampening.
        tolerance: wanted distance to the series form, relative to ||u||: .2 of it for the space and
            .8 for the nodes.
        dimension: most vectors of the space.
        nodes: R; None: as many as the tolerance asks for.
        method: as for `series_descent`.
        check: comparison of the first batch's series with the loss moved in float64
            (`check_series`).
        ranks: the processes, where torchrun started several; `task` is then this process's share.
            Where they shard vectors, each holds its places of the space and of the terms.
        every_step: keep the d vectors of the space, so that `after(t)` gives the path on the way
            to u(T), to which alone the tolerance belongs.
        dampening, nesterov: as of `torch.optim.SGD`; each changes the block of two by two that a
            mode's displacement and velocity go through.
        decoupled: weight decay beside the gradient, as in SGDW; with momentum the weights are then
            a second source, and it takes as many products again.

    Returns:
        FastForward.

    Raises:
        ArgumentError: an operation without a Taylor rule; nodes above steps.

    Cost: in gradients, one, 1.8 a product and 4.0 a series call of order 2, whatever T is; d
        vectors of length n, and one more for each source that joined them.

    References:
        Hochbruck, Ostermann, Schweitzer, SIAM J. Numer. Anal. 47, 786 (2009) (exponential
        Rosenbrock methods); Golub and Meurant, Matrices, Moments and Quadrature (2010).

    Example:
        >>> network = torch.nn.Linear(2, 1, bias=False).double()
        >>> data = torch.eye(2, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
        >>> task, space = Task(network, torch.nn.functional.mse_loss, data), ParameterSpace(network)
        >>> found = fast_forward(task, space, steps=50, learning_rate=0.1, order=1)
        >>> exact = (1 - 0.9**50) * (1 - space.theta)  # H = I
        >>> torch.allclose(found.value, exact), found.dimension
        (True, 1)
    """
    steps = check_integer("steps", steps, 1, MOST_STEPS)
    order = check_integer("order", order, 1)
    if order > ORDER_LIMIT:
        raise argument_error("order", f"be at most {ORDER_LIMIT} in series form", order)
    rule = SGD(learning_rate, momentum, weight_decay, dampening, nesterov, decoupled)
    tolerance = check_interval("tolerance", tolerance, "(0, 1)")
    dimension = check_integer("dimension", dimension, 1, MOST_VECTORS)
    if nodes is not None:
        nodes, most = check_integer("nodes", nodes, 1), min(steps, MOST_NODES)
        if nodes > most:
            raise argument_error("nodes", f"be at most {most} for these steps", nodes)
    method = check_choice("method", method, WAYS)
    check_instance("space", space, ParameterSpace)
    check = check_boolean("check", check)
    every_step = check_boolean("every_step", every_step)
    if ranks is None:
        tasks = _tasks(task)
    else:  # a share that is refused in one process would leave the others waiting
        check_instance("ranks", ranks, Ranks)
        tasks = ranks.together(lambda: _tasks(task))
    pivot = partial(space.pivot, theta, tasks[0].network if tasks else None)
    theta = pivot() if ranks is None else ranks.together(pivot)
    if velocity is not None:
        velocity = check_tensor("velocity", velocity, (space.n,)).to(theta)
    series = MeanSeries(tasks, space, theta, order, method, check, ranks)
    segment = ReducedDescent(series, steps, rule, dimension, begun=velocity is not None)

    # Order 1: the Krylov space of the gradient, of the velocity where there is one, and of the
    # weights where they shrink on their own.
    first, within, apart = series.gradient, rule.decay_within, rule.decay_apart
    here = series.spread.part(theta)
    first = first + within * here if within else first
    velocity = None if velocity is None else series.spread.part(velocity)
    segment.drive([first], np.ones((steps, 1)), velocity, apart * here if apart else None)
    resolved = segment.resolve((1 - NODES_PART) * tolerance)

    # The points in time for the higher terms, and from those the terms, one after the other.
    if order == 1:
        return _report(segment, 0, 0.0, resolved, every_step)
    shares, second = [SHARE**k for k in range(1, order)], None
    for again in (True, False):
        chosen = segment.choose_nodes(NODES_PART * tolerance, shares, nodes, second)
        for k in range(2, order + 1):
            times, profile = segment.in_time(k, chosen)
            segment.drive(segment.sources(k, times), profile)
            resolved = segment.resolve((1 - NODES_PART) * tolerance)
        shares, second = segment.shares(), segment.paths[1]
        missed = segment.missed(chosen, shares, second)
        within = missed <= NODES_PART * tolerance
        if not again or within or nodes is not None or not np.isfinite(shares).all():
            break
        segment.forget_all_but_first()
    resolved = resolved and (nodes is not None or missed <= NODES_PART * tolerance)
    return _report(segment, chosen.number, missed, resolved, every_step)


def _tasks(task: Task | Sequence[Task]) -> list[Task]:
    called = "a task or several of them"
    return (
        [task]
        if isinstance(task, Task)
        else list(check_sequence("task", task, Task, called=called))
    )


def _report(
    found: ReducedDescent, nodes: int, missed: float, resolved: bool, every_step: bool
) -> FastForward:
    """The result in full coordinates."""
    values = torch.from_numpy(np.linalg.eigvalsh(found.model.matrix))
    factors = found.recurrence.factor(values + found.rule.decay_within)
    growth = grown(float(factors.max()), found.steps) if len(factors) else 1.0
    terms, velocity = found.after(found.steps)
    if not found.series.spread.finite(terms) or not np.isfinite(found.leak + missed):
        raise found.diverged()
    gradients = gradients_of(found.model.products, found.calls)
    if not resolved:
        status = FastForwardStatus.UNRESOLVED
    elif growth > MOST_GROWTH:
        status = FastForwardStatus.UNSTABLE
    else:
        dearer = gradients > found.steps
        status = FastForwardStatus.DEARER if dearer else FastForwardStatus.REACHED
    return FastForward(
        terms=terms,
        velocity=velocity,
        steps=found.steps,
        nodes=nodes,
        dimension=found.model.dimension,
        products=found.model.products,
        calls=tuple(found.calls),
        gradients=gradients,
        error=found.leak + missed,
        growth=growth,
        status=status,
        reduced=found if every_step else None,
    )


def gradients_of(products: int, calls: Sequence[int]) -> float:
    """The cost in gradients: one for the pivot, and what products and series calls of order 2, 3,
    ... were measured to take.
    """
    higher = sum(GRADIENTS[k] * count for k, count in enumerate(calls, 2))
    return 1 + GRADIENTS[1] * products + higher
