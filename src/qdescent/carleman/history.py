"""All T steps of a map as one linear system."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_field,
    check_instance,
    check_integer,
    check_interval,
)
from qdescent.carleman.best_history import HistoryChoice
from qdescent.carleman.history_steps import ENTRY_LIMIT, lifted_steps
from qdescent.carleman.lifting.lifted import LiftedMap
from qdescent.carleman.state_norms import end_probability
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.polynomial_terms import check_scale
from qdescent.linalg.tensors import real_tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class HistorySystem(LinearSystem):
    """M Z = B with Z = (z_0, z_1, ..., z_T, z_T, ..., z_T): the history of a lifted map and p
    further copies of its end.

    Args:
        steps: T.
        padding: p.
        block: D, the length of each z_t.
        variables: n.
        order: N.
        sparsity: the most entries of M in a row or a column, what a sparse-access circuit pays for.
        success_probability: probability of finding u_T when |Z> is measured, from the T steps
            themselves; None where they overflow.
        scale: gamma: Z holds monomials of u / gamma; `extract` and `trajectory` give u.
        choice: the choice of unit and padding by which they stand; None for a lift, and where no
            unit leaves kappa finite.
    """

    steps: int
    padding: int
    block: int
    variables: int
    order: int
    sparsity: int
    success_probability: float | None
    scale: float
    choice: HistoryChoice | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_instance("choice", self.choice, HistoryChoice, optional=True)
        object.__setattr__(self, "scale", check_scale("scale", self.scale))
        check_field(self, "padding", check_integer, 0)
        for name in ("steps", "block", "variables", "order", "sparsity"):
            check_field(self, name, check_integer, 1)
        if (self.steps + self.padding + 1) * self.block != self.size:
            raise argument_error(
                "block", f"fit {self.size} unknowns in T + p + 1 blocks", self.block
            )
        if self.variables > self.block:
            raise argument_error("variables", f"be at most the block, {self.block}", self.variables)
        if self.success_probability is not None:
            check_field(self, "success_probability", check_interval, "[0, 1.000001]")

    @property
    def kappa_bound(self) -> float | None:
        """A bound on ||M|| ||M^-1||, the product of the declared ones; None without both."""
        if self.norm_bound is None or self.inverse_norm_bound is None:
            return None
        return self.norm_bound * self.inverse_norm_bound

    def extract(self, solution: Tensor) -> Tensor:
        """u_T, (n,), from Z: gamma times the mean over its copies."""
        return self.scale * super().extract(solution)

    def trajectory(self, solution: Tensor) -> Tensor:
        """u_0 ... u_T, (T + 1, n), from Z."""
        return self.scale * self._blocks(solution)[:, : self.variables]

    def end_probability(self, solution: Tensor) -> float:
        """The probability of finding u_T when |Z> is measured: in any of the p + 1 copies of z_T,
        in its block of degree 1.
        """
        norms = torch.linalg.vector_norm(self._blocks(solution), dim=1)
        end = torch.linalg.vector_norm(super().extract(solution))
        return end_probability(float(end), norms.tolist(), self.padding)

    def _blocks(self, solution: Tensor) -> Tensor:
        """z_0 ... z_T, (T + 1, D)."""
        whole = check_tensor("solution", solution, (self.size,), "complex", finite=False)
        return whole.reshape(-1, self.block)[: self.steps + 1]


def history_system(
    f: PolynomialMap | LiftedMap | Sequence[PolynomialMap] | Sequence[LiftedMap],
    u0: Tensor,
    steps: int | None = None,
    padding: int | None = None,
    *,
    order: int | None = None,
    scale: float | None = None,
    largest: int | None = None,
) -> HistorySystem:
    """M = I - sum_t |t+1><t| (x) A_t, with A_t = I for the p padding steps; B = (z_0, b_0, ...,
    b_{T-1}, 0, ..., 0).

    Args:
        f: the map, whose homogenised linearisation z -> A z + b is the step: its unit and its
            padding are those of the fewest queries until u_T is found (`best_history`), by the
            map's own norms and displacements. Or a lift, in the coordinates and the unit that it
            has. One for every step (gradient descent on one batch), or one for each step: SGD with
            a fresh batch a step, Euler steps of an equation (`LiftedField.euler_step`).
        u0: the displacement at t = 0, (n,); zero right after an upload.
        steps: T, at least 1; None: one for each of the sequence.
        padding: p >= 0, copies of the end: they raise the probability of finding it from about 1/T
            to about p/(T+p), and kappa with it. None: the best for a map, none for a lift.
        order: N, of a map.
        scale: gamma, of a map; None: the best. Where no unit leaves kappa finite, as for a map
            that diverges, it is 1, without copies.
        largest: the largest padding that is tried; None: 16 T.

    Returns:
        HistorySystem: (T + p + 1) D unknowns, with its sparsity, its success probability, and
            declared bounds
        ||M|| <= 1 + max(max_t ||A_t||, 1 if p) and
        ||M^-1|| <= sum_d max_t ||A_{t+d-1} ... A_t||, d = 0..T+p, the padding's A_t = I among
        them: the d-th block diagonal of M^-1 holds the products of d successive steps. Above
        500 unknowns a step (or 200 different steps) ||A|| <= sqrt(||A||_1 ||A||_inf) is declared
        instead, and nothing about M^-1: products of such bounds would be too far off to set a
        polynomial's degree by.

    Raises:
        ArgumentError: u0 = 0 and b = 0 (nothing moves, and |B> does not exist); lifts of unlike
            coordinates; a map without its order, a lift with one; more than 5e7 entries.

    Example:
        >>> import torch
        >>> f = PolynomialMap([torch.tensor([0.5, 1.0]), torch.diag(torch.tensor([0.5, 0.75]))])
        >>> system = history_system(f, torch.zeros(2), steps=3, order=1)
        >>> found = torch.linalg.solve(system.matrix.to_dense(), system.rhs)
        >>> system.extract(found).round(decimals=6).tolist(), system.padding
        ([0.875, 2.3125], 0)
    """
    lifts, padding, choice = lifted_steps(f, u0, steps, padding, order, scale, largest)
    padding = check_integer("padding", padding, 0, ENTRY_LIMIT // lifts[0].dimension)
    T, first = len(lifts), lifts[0]
    start = first.lift(check_tensor("u0", real_tensor("u0", u0), (first.size,)).to(first.offset))
    if not bool(start.any()) and not any(bool(each.offset.any()) for each in lifts):
        raise argument_error("u0", "not be zero where the map has F_0 = 0", "zero: nothing moves")
    # 1. Its size, refused before memory is taken.
    D, blocks = first.dimension, T + padding + 1
    stored = sum(each.rows.nnz for each in lifts) + (blocks + padding) * D
    if stored > ENTRY_LIMIT:
        must = (
            f"leave the history matrix at most {ENTRY_LIMIT:.0e} entries (series_descent needs no"
            " matrix)"
        )
        raise argument_error("steps", must, f"{T}: {stored:.1e} entries")
    # 2. The matrix: ones, -A_t beside the diagonal, and -I where the padding copies the end.
    entries_of = [each.matrix.indices() for each in lifts]
    pad = torch.arange(T * D, (blocks - 1) * D, device="cpu")
    diagonal = torch.arange(blocks * D, device="cpu")
    rows = torch.cat(
        [diagonal, *((t + 1) * D + each[0] for t, each in enumerate(entries_of)), pad + D]
    )
    columns = torch.cat([diagonal, *(t * D + each[1] for t, each in enumerate(entries_of)), pad])
    one = start.new_ones(1)
    values = torch.cat(
        [one.expand(blocks * D), *(-each.matrix.values() for each in lifts), -one.expand(len(pad))]
    )
    indices, shape = torch.stack([rows, columns]), (blocks * D, blocks * D)
    matrix = torch.sparse_coo_tensor(
        indices, values, shape, check_invariants=True, device=values.device
    ).coalesce()
    # 3. The right-hand side, where the answer sits, and what the structure says of ||M^-1||.
    rhs = torch.cat([start, *(each.offset for each in lifts), start.new_zeros(padding * D)])
    ends = torch.arange(T, blocks, device="cpu")[:, None] * D + torch.arange(
        first.size, device="cpu"
    )
    norm_bound, inverse_bound = _declared_bounds(lifts, padding)
    entries = max(int(torch.bincount(each).max()) for each in matrix.indices())
    return HistorySystem(
        matrix,
        rhs,
        ends,
        norm_bound,
        inverse_bound,
        steps=T,
        padding=padding,
        block=D,
        variables=first.size,
        order=first.order,
        sparsity=entries,
        success_probability=_success(lifts, start, padding),
        scale=first.coordinates.scale,
        choice=choice,
    )


DENSE_LIMIT = 500  # above this size the T norms of powers of A would take seconds
# steps of a sequence: its T^2 / 2 products of successive steps are each multiplied out
WINDOW_LIMIT = 200


def _declared_bounds(lifts: list[LiftedMap], padding: int) -> tuple[float | None, float | None]:
    distinct = list({id(each): each for each in lifts}.values())
    D, T = lifts[0].dimension, len(lifts)
    padded = 1.0 if padding else 0.0
    if D > DENSE_LIMIT or (len(distinct) > 1 and T > WINDOW_LIMIT):
        sizes = [abs(each.rows) for each in distinct]
        norm = max(
            math.sqrt(float(size.sum(axis=0).max()) * float(size.sum(axis=1).max()))
            for size in sizes
        )
        return 1 + max(norm, padded), None
    windows = _window_norms(lifts)
    if windows is None:
        return None, None
    inner, ending = windows
    inverse = 0.0
    # d successive steps: all of them proper, or the last j proper ones and then padding
    for d in range(T + padding + 1):
        with_padding = ending[max(0, d - padding) : min(d, T) + 1]
        inverse += max([*with_padding, inner[d] if d <= T else 0.0])
    return 1 + max(inner[1], padded), inverse


def _window_norms(lifts: list[LiftedMap]) -> tuple[list[float], list[float]] | None:
    """(max_t ||A_{t+j-1} ... A_t||, ||A_{T-1} ... A_{T-j}||), j = 0..T; None on overflow."""
    T = len(lifts)
    dense = {id(each): torch.from_numpy(each.rows.toarray()) for each in lifts}
    inner, ending = [1.0] + [0.0] * T, [1.0]
    for t in range(T) if len(dense) > 1 else range(1):  # one lift: all windows of j steps are alike
        product = torch.eye(lifts[0].dimension, dtype=torch.float64, device="cpu")
        for j in range(1, T - t + 1):
            product = dense[id(lifts[t + j - 1])] @ product
            finite = bool(torch.isfinite(product).all())
            norm = float(torch.linalg.matrix_norm(product, 2)) if finite else math.inf
            if not math.isfinite(norm * (T + 1)):  # nor may their sum overflow
                return None
            inner[j] = max(inner[j], norm)
        ending.insert(1, norm)
    return inner, ending if len(dense) > 1 else inner


def _success(lifts: list[LiftedMap], start: Tensor, padding: int) -> float | None:
    z, norms = start, [_length(start)]
    for each in lifts:
        z = each.step(z)
        norms.append(_length(z))
    if not all(math.isfinite(norm) for norm in norms) or not any(norms):
        return None
    return end_probability(_length(z[: lifts[-1].size]), norms, padding)


def _length(z: Tensor) -> float:
    """||z||, of numbers whose squares no float holds, too."""
    largest = float(z.abs().max())
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * float(torch.linalg.vector_norm(z / largest))
