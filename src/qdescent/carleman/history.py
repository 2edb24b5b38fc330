"""All T steps of a lifted map as one linear system."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qdescent._array_checks import check_array, check_tensor
from qdescent._checks import argument_error, check_integer, check_interval, check_sequence
from qdescent.carleman.lifting.lifted import LiftedMap
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.polynomial_terms import check_scale
from qdescent.linalg.tensors import real_tensor

# stored entries of M: 1.2 GB in COO, about three times that while it is assembled
ENTRY_LIMIT = 50_000_000


@dataclass(frozen=True, kw_only=True)
class HistorySystem(LinearSystem):
    """M Z = B with Z = (z_0, z_1, ..., z_T, z_T, ..., z_T): the history of a lifted map and p
    further copies of its end.

    Args:
        steps: T.
        padding: p.
        block: D, the length of each z_t.
        variables: n.
        sparsity: the most entries of M in a row or a column, what a sparse-access circuit pays for.
        success_probability: probability of finding u_T when |Z> is measured, from the T steps
            themselves; None where they overflow.
        scale: gamma: Z holds monomials of u / gamma; `extract` and `trajectory` give u.
    """

    steps: int
    padding: int
    block: int
    variables: int
    sparsity: int
    success_probability: float | None
    scale: float

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "scale", check_scale("scale", self.scale))
        check_integer("padding", self.padding, 0)
        for name in ("steps", "block", "variables", "sparsity"):
            check_integer(name, getattr(self, name), 1)
        if (self.steps + self.padding + 1) * self.block != self.size:
            raise argument_error(
                "block", f"fit {self.size} unknowns in T + p + 1 blocks", self.block
            )
        if self.variables > self.block:
            raise argument_error("variables", f"be at most the block, {self.block}", self.variables)
        if self.success_probability is not None:
            check_interval("success_probability", self.success_probability, "[0, 1.000001]")

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
        if self.block == 0:
            raise argument_error("block", "be the length of each z_t for this", 0)
        return whole.reshape(-1, self.block)[: self.steps + 1]


def end_probability(end: float, norms: Sequence[float], padding: int) -> float:
    """(p + 1) ||u_T||^2 / (sum_{t<T} ||z_t||^2 + (p + 1) ||z_T||^2): the probability of finding u_T
    in the history state.

    Args:
        end: ||u_T||.
        norms: ||z_t||, t = 0..T.
        padding: p.

    Example:
        >>> round(end_probability(3.0, [4.0, 5.0], padding=1), 6)  # 2 * 9 / (16 + 2 * 25)
        0.272727
    """
    end, padding = (
        check_interval("end", end, "[0, inf]"),
        check_integer("padding", padding, 0, 10**18),
    )
    lengths = check_array("norms", norms, (None,)).tolist()
    longest = max(lengths)
    if longest <= 0:
        raise argument_error("norms", "not be zero all together", "zero: there is no state")
    # relative to the longest: the square of a length may be below or above every number
    *before, last = ((norm / longest) ** 2 for norm in lengths)
    return (padding + 1) * (end / longest) ** 2 / (sum(before) + (padding + 1) * last)


def history_system(
    lift: LiftedMap | Sequence[LiftedMap], u0: Tensor, steps: int | None = None, padding: int = 0
) -> HistorySystem:
    """M = I - sum_t |t+1><t| (x) A_t, with A_t = I for the p padding steps; B = (z_0, b_0, ...,
    b_{T-1}, 0, ..., 0).

    Args:
        lift: the lifted map, z -> A z + b, of every step (gradient descent on one batch); or one
            for each step: SGD with a fresh batch a step, Euler steps of an equation
            (`LiftedField.euler_step`). All in the same coordinates, whose scale is that of Z.
        u0: the displacement at t = 0, (n,); zero right after an upload.
        steps: T, at least 1; None: one for each lift of the sequence.
        padding: p >= 0, copies of the end: they raise the probability of finding it from about 1/T
            to about p/(T+p), and kappa with it.

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
            coordinates; more than 5e7 entries.

    Example:
        >>> import torch
        >>> from qdescent.carleman.lifting.linearization import carleman_linearize
        >>> from qdescent.linalg.polynomial_map import PolynomialMap
        >>> f = PolynomialMap([torch.tensor([0.5, 1.0]), torch.diag(torch.tensor([0.5, 0.75]))])
        >>> system = history_system(carleman_linearize(f, order=1), torch.zeros(2), steps=3)
        >>> system.trajectory(torch.linalg.solve(system.matrix.to_dense(), system.rhs))[-1].tolist()
        [0.875, 2.3125]
    """
    lifts = _one_a_step(lift, steps)
    check_integer("padding", padding, 0, ENTRY_LIMIT // lifts[0].dimension)
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
    pad = torch.arange(T * D, (blocks - 1) * D)
    diagonal = torch.arange(blocks * D)
    rows = torch.cat(
        [diagonal, *((t + 1) * D + each[0] for t, each in enumerate(entries_of)), pad + D]
    )
    columns = torch.cat([diagonal, *(t * D + each[1] for t, each in enumerate(entries_of)), pad])
    one = start.new_ones(1)
    values = torch.cat(
        [one.expand(blocks * D), *(-each.matrix.values() for each in lifts), -one.expand(len(pad))]
    )
    indices, shape = torch.stack([rows, columns]), (blocks * D, blocks * D)
    matrix = torch.sparse_coo_tensor(indices, values, shape, check_invariants=True).coalesce()
    # 3. The right-hand side, where the answer sits, and what the structure says of ||M^-1||.
    rhs = torch.cat([start, *(each.offset for each in lifts), start.new_zeros(padding * D)])
    ends = torch.arange(T, blocks)[:, None] * D + torch.arange(first.size)
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
        sparsity=entries,
        success_probability=_success(lifts, start, padding),
        scale=first.coordinates.scale,
    )


def _one_a_step(lift: LiftedMap | Sequence[LiftedMap], steps: int | None) -> list[LiftedMap]:
    if isinstance(lift, LiftedMap):
        if steps is None:
            raise argument_error("steps", "be given where one lift serves every step", "None")
        return [lift] * check_integer("steps", steps, 1, ENTRY_LIMIT // lift.dimension)
    lifts = list(
        check_sequence(
            "lift", lift, LiftedMap, called="a LiftedMap, or one for each step", empty=True
        )
    )
    if not lifts or steps not in (None, len(lifts)):
        raise argument_error(
            "lift", "hold one lift for each of the steps", f"{len(lifts)} for {steps} steps"
        )
    if any(each.coordinates != lifts[0].coordinates for each in lifts):
        raise argument_error(
            "lift", "have the same n, order, form, coordinates and scale at every step", "a mixture"
        )
    return lifts


def lifted_norm(gram: Tensor) -> float:
    """||z_t|| of the homogenised order-N lifted state, from the series terms' inner products.

    Args:
        gram: <u_k, u_l>, k, l = 1..N, shape (N, N).

    Example:
        >>> lifted_norm(torch.tensor([[9.0]], dtype=torch.float64))  # order 1: z = u
        3.0
    """
    return math.sqrt(sum(letter_weights(gram)))


def letter_weights(gram: Tensor) -> list[float]:
    """||z_t||^2 by the number m = 1..N of letters u of a word: of u / gamma they are gamma^{-2m}
    times as large.

    A word with m letters u and j - m letters w = 1 is the product of m series in eps, cut where its
    degree exceeds N - (j - m):
    ||z||^2 = sum_{m=1..N} sum_{j=m..N} C(j, m) sum_{K, L <= N - j + m} [a^K b^L] g(a, b)^m
    with g = sum_kl <u_k, u_l> a^k b^l.

    Args:
        gram: <u_k, u_l>, k, l = 1..N, shape (N, N).
    """
    gram = check_tensor("gram", gram, (None, None))
    order = gram.shape[0]
    check_tensor("gram", gram, (order, order))
    g = torch.zeros(order + 1, order + 1, dtype=torch.float64)
    g[1:, 1:] = gram.double()
    power, weights = torch.zeros_like(g), [0.0] * order
    power[0, 0] = 1.0
    for m in range(1, order + 1):
        longer = torch.zeros_like(g)  # power * g, both truncated at degree N in each variable
        for k in range(1, order + 1):
            for i in range(1, order + 1):
                longer[k:, i:] += g[k, i] * power[: order + 1 - k, : order + 1 - i]
        power = longer
        for j in range(m, order + 1):
            cut = order - j + m + 1
            weights[m - 1] += math.comb(j, m) * float(power[:cut, :cut].sum())
    return weights


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
        product = torch.eye(lifts[0].dimension, dtype=torch.float64)
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
