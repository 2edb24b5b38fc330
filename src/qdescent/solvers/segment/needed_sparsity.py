"""How many entries of a row of the Hessian a segment of gradient descent needs, and how few vectors
do instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_callable,
    check_field,
    check_instance,
    check_integer,
    check_interval,
    check_sequence,
)
from qdescent.learning.curvature.hessian import hessian
from qdescent.learning.mean_series import MeanSeries
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.linalg.gram import gram_rule, interpolate
from qdescent.linalg.operator import as_operator
from qdescent.linalg.reduced_model import Recurrence, ReducedModel

MOST_WEIGHTS = 16_384  # H is stored: 1 GB in single precision, and once more thinned
MOST_STEPS = 10_000  # each one product with a stored matrix
MOST_VECTORS = 200
NODES = 6  # of the rule for order 2's sources: an error far below what dropped entries make
BLOCK = 512  # rows that are sorted, or products that are taken, at a time


@dataclass(frozen=True, kw_only=True, eq=False)
class NeededSparsity:
    """The error of a segment against the entries kept in each row of H, and against the dimension
    of a Krylov space.

    Args:
        entries: s, increasing: each row keeps its s largest entries, (S,).
        errors: ||u_s - u|| / ||u|| at each of them, (S,).
        stored: the mean number of entries a row that this leaves, (S,): an entry is kept where its
            row or its column asks for it, so that the matrix stays symmetric.
        krylov: the same error at order 1 where H is seen on a Krylov space of dimension 1, 2, ...,
            (D,).
        size: n.
        order, steps, learning_rate: of the segment.
    """

    entries: Tensor
    errors: Tensor
    stored: Tensor = field(repr=False)
    krylov: Tensor
    size: int
    order: int
    steps: int
    learning_rate: float

    def __post_init__(self) -> None:
        check_tensor("entries", self.entries, (None,))
        for name in ("errors", "stored"):
            check_tensor(name, getattr(self, name), tuple(self.entries.shape))
        check_tensor("krylov", self.krylov, (None,))
        for name in ("size", "order", "steps"):
            check_field(self, name, check_integer, 1)
        check_field(self, "learning_rate", check_interval, "(0, inf)")

    def needed(self, accuracy: float) -> float:
        """The entries a row from which on the error stays below `accuracy`: between two that were
        tried, on the straight line in log s and log error; infinite where none suffices.

        Example:
            >>> tried = dict(size=100, order=1, steps=9, learning_rate=0.1)
            >>> found = NeededSparsity(
            ...     entries=torch.tensor([1.0, 10.0, 100.0]),
            ...     errors=torch.tensor([0.1, 0.1, 0.001]),
            ...     stored=torch.tensor([1.0, 15.0, 100.0]),
            ...     krylov=torch.tensor([0.1, 0.001]),
            ...     **tried,
            ... )
            >>> round(found.needed(0.01), 6), found.krylov_dimension(0.01)
            (31.622777, 2)
        """
        accuracy = check_interval("accuracy", accuracy, "(0, 1)")
        failing = np.flatnonzero(~(self.errors <= accuracy).numpy())
        if not failing.size:
            return float(self.entries[0])
        last = int(failing[-1])
        if last + 1 == len(self.entries):
            return math.inf
        (s, after), (high, low) = (
            pair[last : last + 2].double().tolist() for pair in (self.entries, self.errors)
        )
        if s <= 0 or low <= 0:
            return float(after)
        share = math.log(high / accuracy) / math.log(high / low)
        return float(s * (after / s) ** share)

    def krylov_dimension(self, accuracy: float) -> int | None:
        """The least dimension that suffices at order 1; None where none that was tried does."""
        accuracy = check_interval("accuracy", accuracy, "(0, 1)")
        found = np.flatnonzero((self.krylov <= accuracy).numpy())
        return int(found[0]) + 1 if found.size else None


def needed_sparsity(
    task: Task | Sequence[Task],
    space: ParameterSpace,
    steps: int,
    learning_rate: float,
    order: int = 1,
    entries: Sequence[int] | None = None,
    theta: Tensor | None = None,
    matrix: Tensor | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> NeededSparsity:
    """The error of a segment when each row of its Hessian keeps the s largest entries alone.

        u_1(t+1) = u_1(t) - eta (H_s u_1(t) + g),   u_2(t+1) = u_2(t) - eta (H_s u_2(t) + s_2(t))

    from 0, compared with the same for all of H; s_2 is the exact second derivative of the gradient
    along u_1(t), so that at order 2 the error is what thinning H alone does. s = 0: u = -eta T g,
    for which one gradient suffices.

    Args:
        task: network, loss and batch; or several, whose mean is the loss.
        space: the kept weights, n up to 16,384.
        steps: T.
        learning_rate: eta.
        order: 1 or 2.
        entries: the s to try; None: 0, 1, 3, 10, 30, ..., n.
        theta: the pivot, (n,); None: the network's own weights,
            which must be those that the space was made with.
        matrix: H, (n, n), where it is at hand; None: from n products.
        on_rows: called with the number of rows of H that are known, to move a progress bar.

    Returns:
        NeededSparsity.

    Raises:
        ArgumentError: more weights than a stored matrix may have; a segment that diverges.

    Cost: n Hessian products; for each s, T products with a stored matrix of n^2 entries; at order 2
        six series calls more.

    Example:
        >>> network = torch.nn.Linear(3, 1, bias=False).double()
        >>> data = torch.eye(3, dtype=torch.float64), torch.ones(3, 1, dtype=torch.float64)
        >>> task, space = Task(network, torch.nn.functional.mse_loss, data), ParameterSpace(network)
        >>> found = needed_sparsity(task, space, steps=20, learning_rate=0.1)  # H = 2/3 I
        >>> found.entries.tolist(), found.needed(1e-6), found.krylov_dimension(1e-6)
        ([0.0, 1.0, 3.0], 1.0, 1)
    """
    check_instance("space", space, ParameterSpace)
    n = space.n
    steps = check_integer("steps", steps, 1, MOST_STEPS)
    eta = check_interval("learning_rate", learning_rate, "(0, inf)")
    order = check_integer("order", order, 1, 2)
    if n > MOST_WEIGHTS:
        must = f"keep at most {MOST_WEIGHTS} weights (`space.restrict` to some, or a lower density)"
        raise argument_error("space", must, n)
    check_callable("on_rows", on_rows, "a function of a number", optional=True)
    called = "a task or several of them"
    if isinstance(task, Task):
        tasks = [task]
    else:
        tasks = list(check_sequence("task", task, Task, called=called))
    theta = space.pivot(theta, tasks[0].network)
    tried = _entries(entries, n)

    # What the segment is made of: the gradient, the Hessian, and the source of the second order.
    series = MeanSeries(tasks, space, theta, order)
    if matrix is None:
        matrix = dense_hessian(tasks, space, theta, on_rows)
    else:
        matrix = check_tensor("matrix", matrix, (n, n)).to(theta)
    sources = None if order == 1 else lambda u: series([u, torch.zeros_like(u)])[1]

    # The segment with all of H, and with the s largest entries of each row.
    truth = _segment(matrix, series.gradient, steps, eta, sources)
    if not bool(torch.isfinite(truth).all()):
        raise argument_error("learning_rate", "keep the segment finite (try a tenth of it)", eta)
    thresholds = _thresholds(matrix, tried)
    errors, stored = [], []
    for column in range(len(tried)):
        thin = _thinned(matrix, thresholds[:, column])
        stored.append(float((thin != 0).sum()) / n)
        found = _segment(thin, series.gradient, steps, eta, sources)
        errors.append(_distance(found, truth))
    return NeededSparsity(
        entries=torch.tensor(tried, dtype=torch.float64, device="cpu"),
        errors=torch.tensor(errors, dtype=torch.float64, device="cpu"),
        stored=torch.tensor(stored, dtype=torch.float64, device="cpu"),
        krylov=torch.tensor(
            _krylov_errors(matrix, series.gradient, steps, eta), device="cpu"
        ).double(),
        size=n,
        order=order,
        steps=steps,
        learning_rate=eta,
    )


def dense_hessian(
    task: Task | Sequence[Task],
    space: ParameterSpace,
    theta: Tensor | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> Tensor:
    """H as a stored symmetric matrix, (n, n), from n products."""
    product = hessian(task, space, theta)
    n = space.n
    matrix = torch.empty(n, n, dtype=space.theta.dtype, device=space.theta.device)
    width = 8  # columns that share one pass; more would take the memory of as many passes
    for start in range(0, n, width):
        count = min(width, n - start)
        columns = torch.zeros(n, count, dtype=matrix.dtype, device=matrix.device)
        columns[start + torch.arange(count, device="cpu"), torch.arange(count, device="cpu")] = 1.0
        matrix[start : start + count] = (product @ columns).T
        if on_rows is not None:
            on_rows(start + count)
    for start in range(0, n, BLOCK):  # symmetric to the last bit, block by block to save memory
        mean = (matrix[start : start + BLOCK, start:] + matrix[start:, start : start + BLOCK].T) / 2
        matrix[start : start + BLOCK, start:] = mean
        matrix[start:, start : start + BLOCK] = mean.T
    return matrix


def _entries(entries: Sequence[int] | None, n: int) -> list[int]:
    """The s to try, increasing; by default two a decade, and all."""
    if entries is None:
        ladder = [0, *(round(10 ** (k / 2)) for k in range(2 * len(str(n))))]
        return [s for s in ladder if s < n] + [n]
    found = check_sequence("entries", entries, object, called="numbers of entries a row")
    return sorted({check_integer("entries", s, 0, n) for s in found})  # type: ignore[arg-type]


def _thresholds(matrix: Tensor, tried: list[int]) -> Tensor:
    """The modulus from which on an entry is among the s largest of its row, (n, S)."""
    found = []
    indices = torch.tensor([max(s, 1) - 1 for s in tried], device=matrix.device)
    none = torch.tensor([s == 0 for s in tried], device=matrix.device)
    for rows in matrix.split(BLOCK):
        ordered = rows.abs().sort(dim=1, descending=True).values
        found.append(torch.where(none, math.inf, ordered[:, indices]))
    return torch.cat(found)


def _thinned(matrix: Tensor, least: Tensor) -> Tensor:
    """The entries that their row or their column keeps."""
    thin = torch.empty_like(matrix)
    for start in range(0, len(matrix), BLOCK):
        rows = matrix[start : start + BLOCK]
        wanted = torch.minimum(least[start : start + BLOCK, None], least)
        thin[start : start + BLOCK] = torch.where(rows.abs() >= wanted, rows, 0.0)
    return thin


def _segment(
    matrix: Tensor,
    gradient: Tensor,
    steps: int,
    eta: float,
    sources: Callable[[Tensor], Tensor] | None,
) -> Tensor:
    """u(T), with the second order where there is a source of it."""
    u, path = torch.zeros_like(gradient), [torch.zeros_like(gradient)]
    for _ in range(steps):
        u = u - eta * (matrix @ u + gradient)
        path.append(u)
    if sources is None or not bool(torch.isfinite(u).all()):
        return u
    rule = gram_rule(steps, min(steps, NODES))
    # Interpolation is linear in the path: weights of the steps for each node.
    weights = torch.from_numpy(interpolate(np.eye(steps + 1), rule.nodes)).to(u)
    at_nodes = torch.stack([sources(weight @ torch.stack(path)) for weight in weights])
    profile = torch.from_numpy(rule.interpolation).to(u)
    second = torch.zeros_like(u)
    for share in profile:
        second = second - eta * (matrix @ second + share @ at_nodes)
    return u + second


def _krylov_errors(matrix: Tensor, gradient: Tensor, steps: int, eta: float) -> list[float]:
    """The error at order 1 of the Galerkin model of dimension 1, 2, ..., until it is rounding."""
    truth = _segment(matrix, gradient, steps, eta, None)
    model, errors = ReducedModel(as_operator(matrix)), []
    model.add(gradient)
    while True:
        values, vectors = np.linalg.eigh(model.matrix)
        given = np.tile(model.coordinates(gradient) @ vectors, (steps, 1))
        path, _ = Recurrence(eta).path(values, given)
        errors.append(_distance(model.combine(vectors @ path[-1]), truth))
        floor = 100 * torch.finfo(gradient.dtype).eps
        full = model.dimension >= min(MOST_VECTORS, len(gradient))
        if errors[-1] <= floor or full or not len(model.leaving):
            return errors
        model.grow(np.ones(1))


def _distance(found: Tensor, truth: Tensor) -> float:
    """||found - truth|| / ||truth||, 0 where both are 0."""
    off = float(torch.linalg.vector_norm((found - truth).double()))
    return off / float(torch.linalg.vector_norm(truth.double())) if off else 0.0
