"""The gradient-descent step of a network as an explicit polynomial map: dense for a small one,
thresholded for a moderate one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor
from torch.func import jacfwd, jacrev, jvp, vmap

from qdescent._array_checks import check_finite
from qdescent._checks import (
    argument_error,
    check_choice,
    check_field,
    check_instance,
    check_integer,
    check_interval,
    check_numbers,
)
from qdescent.learning.curvature.third_derivatives import check_third
from qdescent.learning.parameters import ParameterSpace, check_space
from qdescent.learning.task import Task
from qdescent.learning.taylor.nested_jvp import elementary
from qdescent.linalg.polynomial_map import PolynomialMap

MOST_DEGREE = 12  # derivatives nested in each other: every one multiplies the work
# float64 entries of the largest F_k: 400 MB, what a laptop holds next to the derivative's own graph
ENTRY_LIMIT = 50_000_000


def gradient_map(
    task: Task,
    space: ParameterSpace,
    learning_rate: float,
    degree: int = 2,
    theta: Tensor | None = None,
) -> PolynomialMap:
    """u -> u - eta grad L(theta + u), expanded at theta: F_0 = -eta grad L, F_1 = I - eta H, F_k =
    -(eta/k!) grad^{k+1} L.

    By nested exact derivatives (PyTorch's forward over forward over ... over reverse mode),
    independent of the Taylor rules of `taylor_rules.py`. Of a network with kinks (ReLU), which have
    no series and which `series_descent` refuses, it is the map of the piece around theta: right
    until an activation crosses its kink, and another one beyond.

    Args:
        task: network, loss and batch.
        space: the kept weights (small n: F_k has n^{k+1} entries).
        learning_rate: eta.
        degree: the highest k, at least 1.
        theta: the pivot, (n,); None: the network's own weights,
            which must be those that the space was made with.

    Returns:
        PolynomialMap in float64 or the network's dtype.

    Raises:
        ArgumentError: F_degree would have more than 5e7 entries.

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(1, 1, bias=False).double()
        >>> data = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        >>> task = Task(network, torch.nn.functional.mse_loss, data)
        >>> f = gradient_map(task, ParameterSpace(network), learning_rate=0.1, degree=1)
        >>> round(float(f.coefficients[1]), 6)  # 1 - eta * 2
        0.8
    """
    check_instance("task", task, Task)
    learning_rate = check_interval("learning_rate", learning_rate, "(0, inf)")
    degree = check_integer("degree", degree, 1, MOST_DEGREE)
    n = check_space(space, task.network).n
    if n ** (degree + 1) > ENTRY_LIMIT:
        raise argument_error(
            "degree",
            f"leave F_degree at most {ENTRY_LIMIT:.0e} entries (use series_descent at this size)",
            f"{degree} with n = {n}",
        )
    theta = space.pivot(theta, task.network)
    if degree > 1:
        check_third(task, space, theta)
    derivative = jacrev(lambda point: task.loss_at(space, point))
    coefficients = []
    factorial = 1
    for k in range(degree + 1):
        factorial *= max(k, 1)
        with elementary():
            value = derivative(theta).detach().reshape(n, n**k)
        F = -(learning_rate / factorial) * value
        coefficients.append(F + torch.eye(n, dtype=F.dtype, device=F.device) if k == 1 else F)
        derivative = jacfwd(derivative)
    return PolynomialMap(coefficients)


@dataclass(frozen=True, kw_only=True, eq=False)
class ThresholdedMap(PolynomialMap):
    """A gradient map of which only the large entries are kept, with what was dropped.

    Args:
        threshold: relative to the largest entry of each derivative.
        kept: entries kept of eta H and of F_2, up to the degree.
        largest: the largest entry of each, in absolute value.
        dropped: Frobenius norm of what was dropped from each.
    """

    threshold: float
    kept: tuple[int, ...]
    largest: tuple[float, ...]
    dropped: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_field(self, "threshold", check_interval, "[0, 1]")
        for name, interval in (
            ("kept", "[0, inf)"),
            ("largest", "[0, inf)"),
            ("dropped", "[0, inf)"),
        ):
            called = f"{self.degree} numbers, one for each F_k from k = 1"
            taken = check_numbers(name, getattr(self, name), interval, called)
            if len(taken) != self.degree:
                raise argument_error(name, f"be {called}", f"{len(taken)} of them")
            object.__setattr__(self, name, tuple(map(int, taken)) if name == "kept" else taken)

    def step_error(self, radius: float) -> float:
        """A bound on the error of one step that the dropped entries cause: sum_k dropped_k ||u||^k,
        for ||u|| up to `radius`.
        """
        radius = check_interval("radius", radius, "[0, inf)")
        return sum(lost * math.prod([radius] * k) for k, lost in enumerate(self.dropped, start=1))


def sparse_gradient_map(
    task: Task,
    space: ParameterSpace,
    learning_rate: float,
    degree: int = 2,
    threshold: float = 1e-3,
    theta: Tensor | None = None,
    chunk: int = 64,
) -> ThresholdedMap:
    """The map of `gradient_map` with sparse F_1 and F_2: entries below a relative threshold are
    dropped as they are found.

    Row by row, by products: H e_i, and for j <= i the directional third derivatives grad^3 L [e_i,
    e_j, .], of which the entries k <= j are kept and then set at every permutation of (i, j, k). So
    F_1 - I and F_2 stay exactly symmetric, and no array of n^3 numbers is made.

    Args:
        task: network, loss and batch.
        space: the kept weights; hundreds to a few thousand for degree 2.
        learning_rate: eta.
        degree: 1 or 2.
        threshold: an entry is kept if it is at least so many times the largest of its derivative.
            1e-3: as for `row_sparsity`.
        theta: the pivot, (n,); None: the network's own weights,
            which must be those that the space was made with.
        chunk: products made at once. 64 keep a small network's matrix products large enough.

    Returns:
        ThresholdedMap: kept, dropped.

    Raises:
        ArgumentError: more than 5e7 entries of F_2 stay.

    Cost: n Hessian products; for degree 2 another n (n + 1) / 2 products of third order.

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(2, 1, bias=False).double()
        >>> data = (
        ...     torch.tensor([[1.0, 0.0], [0.0, 2.0]]).double(),
        ...     torch.zeros(2, 1, dtype=torch.float64),
        ... )
        >>> task = Task(network, torch.nn.functional.mse_loss, data)
        >>> f = sparse_gradient_map(
        ...     task, ParameterSpace(network), learning_rate=0.1, degree=1, threshold=0.5
        ... )
        >>> f.kept, f.largest, f.dropped  # H = diag(1, 4): the first is below half of the second
        ((1,), (0.4,), (0.1,))
    """
    check_instance("task", task, Task)
    check_space(space, task.network)
    learning_rate = check_interval("learning_rate", learning_rate, "(0, inf)")
    degree = check_choice("degree", degree, [1, 2])
    threshold = check_interval("threshold", threshold, "[0, 1]")
    chunk = min(check_integer("chunk", chunk, 1), space.n)
    theta = space.pivot(theta, task.network).detach()
    if degree == 2:
        check_third(task, space, theta)
    n, eye = space.n, torch.arange(space.n, device=theta.device)
    gradient = jacrev(lambda point: task.loss_at(space, point))
    with elementary():
        coefficients = [-learning_rate * gradient(theta).detach()[:, None]]

    # Products with the Hessian, some at once, and with the derivative of each of its rows: of every
    # symmetric coefficient the entries at and below the diagonals, as far as they are large enough.
    found = [_Kept(threshold), _Kept(threshold)][:degree]
    for rows in eye.split(chunk):
        products = _along(gradient, theta, rows) * -learning_rate
        below = eye <= rows[:, None]
        found[0].add(
            (rows[:, None].expand_as(products)[below], eye.expand_as(products)[below]),
            products[below],
        )
    if degree == 2:
        for i in range(n):

            def hessian_row(point: Tensor, i: int = i) -> Tensor:
                return jvp(gradient, (point,), (_unit(eye[i : i + 1], theta)[0],))[1]

            for columns in eye[: i + 1].split(chunk):
                products = _along(hessian_row, theta, columns) * (-learning_rate / 2)
                below = eye <= columns[:, None]
                places = columns[:, None].expand_as(products)[below], eye.expand_as(products)[below]
                found[1].add((torch.full_like(places[0], i), *places), products[below])

    # The entries as F_1 = I - eta H and F_2 in the columns of u (x) u.
    counts, identity = (
        [],
        torch.sparse_coo_tensor(
            eye.expand(2, n), torch.ones_like(theta), check_invariants=True, device=theta.device
        ),
    )
    for k, kept in enumerate(found, start=1):
        indices, values = kept.finish()
        columns = indices[1] if k == 1 else indices[1] * n + indices[2]
        F = torch.sparse_coo_tensor(
            torch.stack([indices[0], columns]),
            values,
            (n, n**k),
            check_invariants=True,
            device=values.device,
        ).coalesce()
        counts.append(F.values().numel())
        coefficients.append((F + identity).coalesce() if k == 1 else F)
    return ThresholdedMap(
        coefficients,
        threshold=threshold,
        kept=tuple(counts),
        largest=tuple(kept.largest for kept in found),
        dropped=tuple(math.sqrt(kept.dropped) for kept in found),
    )


def _unit(places: Tensor, theta: Tensor) -> Tensor:
    """Unit vectors as rows, (m, n)."""
    return torch.zeros(len(places), len(theta), dtype=theta.dtype, device=theta.device).scatter_(
        1, places[:, None], 1.0
    )


def _along(function: Callable[[Tensor], Tensor], theta: Tensor, places: Tensor) -> Tensor:
    """Derivatives of `function` along unit vectors, (m, n)."""
    with elementary():
        return vmap(lambda direction: jvp(function, (theta,), (direction,))[1])(
            _unit(places, theta)
        ).detach()


class _Kept:
    """Entries i >= j (>= k) of a symmetric tensor that may be above the threshold; the largest is
    known at the end only.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold, self.largest, self.dropped = threshold, 0.0, 0.0
        self.places: list[Tensor] = []
        self.values: list[Tensor] = []
        self.count = 0

    def add(self, places: tuple[Tensor, ...], values: Tensor) -> None:
        """Take those that are large enough so far; count the others as dropped, once for each
        permutation of their indices.
        """
        check_finite("network derivatives", values)
        self.largest = max(self.largest, float(values.abs().max()))
        self._take(torch.stack(places), values)
        if self.count > ENTRY_LIMIT // 6:
            must = (
                f"leave at most {ENTRY_LIMIT:.0e} entries (a higher threshold, or series_descent)"
            )
            raise argument_error("threshold", must, f"{self.threshold}: more")

    def _take(self, places: Tensor, values: Tensor) -> None:
        keep = (values.abs() >= self.threshold * self.largest) & (values != 0)
        lost = values[~keep].double() ** 2 * _orders(places[:, ~keep])
        self.dropped += float(lost.sum())
        self.places.append(places[:, keep])
        self.values.append(values[keep])
        self.count += int(keep.sum())

    def finish(self) -> tuple[Tensor, Tensor]:
        """Indices (2 or 3, entries) and values of all that stay, at every permutation of their
        indices, to be added up.

        Equal indices give the same place several times, each with its share of the value.
        """
        places, values = torch.cat(self.places, dim=1), torch.cat(self.values)
        self.places, self.values = [], []
        self._take(places, values)
        places, values = self.places[0], self.values[0]
        orders = list(permutations(range(len(places))))
        share = values * (_orders(places) / len(orders)).to(values)
        return torch.cat([places[list(order)] for order in orders], dim=1), share.repeat(
            len(orders)
        )


def _orders(places: Tensor) -> Tensor:
    """How many different permutations the indices i >= j (>= k) have: 2 or 1; 6, 3 or 1."""
    distinct = 1 + (places[1:] != places[:-1]).sum(0)
    return (
        distinct
        if len(places) == 2
        else torch.tensor([0.0, 1.0, 3.0, 6.0], dtype=torch.float64, device=places.device)[distinct]
    )
