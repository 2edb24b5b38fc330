"""All T steps of a lifted map as one linear system."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from qdescent._checks import argument_error, check_integer, check_shape
from qdescent.carleman.linearization import ENTRY_LIMIT, LiftedMap
from qdescent.linalg.linear_system import LinearSystem


@dataclass(frozen=True)
class HistorySystem(LinearSystem):
    """M Z = B with Z = (z_0, z_1, ..., z_T, z_T, ..., z_T): the history of a lifted map and p further copies of its end.

    Args:
        steps: T.
        padding: p.
        block: D, the length of each z_t.
        variables: n.
    """

    steps: int = 0
    padding: int = 0
    block: int = 0
    variables: int = 0

    def trajectory(self, solution: Tensor) -> Tensor:
        """u_0 ... u_T, (T + 1, n), from Z."""
        return solution.view(-1, self.block)[: self.steps + 1, : self.variables]

    def end_probability(self, solution: Tensor) -> float:
        """The probability of finding u_T when |Z> is measured: in any of the p + 1 copies of z_T, within the monomials of degree 1.

        (p + 1) ||u_T||^2 / ||Z||^2.
        """
        answer = self.extract(solution)
        return float((self.padding + 1) * (answer @ answer) / (solution @ solution))


def history_system(lift: LiftedMap, u0: Tensor, steps: int, padding: int = 0) -> HistorySystem:
    """M = I - sum_t |t+1><t| (x) A_t, with A_t = A for t < T and A_t = I for the p padding steps; B = (z_0, b, ..., b, 0, ..., 0).

    Args:
        lift: the lifted map, z -> A z + b.
        u0: the displacement at t = 0, (n,); zero right after an upload.
        steps: T, at least 1.
        padding: p >= 0, copies of the end: they raise the probability of finding it from about 1/T to about p/(T+p), and kappa
        with it.

    Returns:
        HistorySystem: (T + p + 1) D unknowns, with declared bounds ||M|| <= 1 + max(||A||, 1 if p) and
        ||M^-1|| <= sum_d max_j ||A^j||, d = 0..T+p, j the possible numbers of proper steps among d successive ones.

    Raises:
        ArgumentError: u0 = 0 and b = 0 (nothing moves, and |B> does not exist).

    Example:
        >>> import torch
        >>> from qdescent.carleman.linearization import carleman_linearize
        >>> from qdescent.linalg.polynomial_map import PolynomialMap
        >>> f = PolynomialMap([torch.tensor([0.5, 1.0]), torch.diag(torch.tensor([0.5, 0.75]))])
        >>> system = history_system(carleman_linearize(f, order=1), torch.zeros(2), steps=3)
        >>> system.trajectory(torch.linalg.solve(system.matrix.to_dense(), system.rhs))[-1].tolist()
        [0.875, 2.3125]
    """
    check_integer("steps", steps, 1)
    check_integer("padding", padding, 0)
    check_shape("u0", u0, (lift.size,))
    start = lift.lift(u0.to(lift.offset))
    if not bool(start.any()) and not bool(lift.offset.any()):
        raise argument_error("u0", "not be zero where the map has F_0 = 0", "zero: nothing moves")
    D, blocks = lift.dimension, steps + padding + 1
    stored = steps * lift.matrix.coalesce().values().numel() + blocks * D
    if stored > ENTRY_LIMIT:
        must = f"leave the history matrix at most {ENTRY_LIMIT:.0e} entries (series_descent needs no matrix)"
        raise argument_error("steps", must, f"{steps}: {stored:.1e} entries")
    row, column = lift.matrix.coalesce().indices()
    value = lift.matrix.coalesce().values()
    time = torch.arange(steps)[:, None]
    pad = torch.arange(steps * D, (blocks - 1) * D)
    diagonal = torch.arange(blocks * D)
    rows = torch.cat([diagonal, ((time + 1) * D + row).flatten(), pad + D])
    columns = torch.cat([diagonal, (time * D + column).flatten(), pad])
    values = torch.cat([value.new_ones(blocks * D), -value.repeat(steps), -value.new_ones(len(pad))])
    indices, shape = torch.stack([rows, columns]), (blocks * D, blocks * D)
    matrix = torch.sparse_coo_tensor(indices, values, shape, check_invariants=True).coalesce()
    rhs = torch.cat([start, lift.offset.repeat(steps), start.new_zeros(padding * D)])
    ends = torch.arange(steps, blocks)[:, None] * D + torch.arange(lift.size)
    norm_bound, inverse_bound = _declared_bounds(lift.matrix, steps, padding)
    return HistorySystem(matrix, rhs, ends, norm_bound, inverse_bound, steps, padding, D, lift.size)


def lifted_norm(gram: Tensor) -> float:
    """||z_t|| of the homogenised order-N lifted state, from the inner products of the series terms alone.

    A word with m letters u and j - m letters w = 1 is the product of m series in eps, cut where its degree exceeds N - (j - m):
    ||z||^2 = sum_{j=1..N} sum_{m=1..j} C(j, m) sum_{K, L <= N - j + m} [a^K b^L] g(a, b)^m with g = sum_kl <u_k, u_l> a^k b^l.

    Args:
        gram: <u_k, u_l>, k, l = 1..N, shape (N, N).

    Example:
        >>> lifted_norm(torch.tensor([[9.0]], dtype=torch.float64))  # order 1: z = u
        3.0
    """
    order = gram.shape[0]
    g = torch.zeros(order + 1, order + 1, dtype=torch.float64)
    g[1:, 1:] = gram.double()
    power, total = torch.zeros_like(g), 0.0
    power[0, 0] = 1.0
    for m in range(1, order + 1):
        longer = torch.zeros_like(g)  # power * g, both truncated at degree N in each variable
        for k in range(1, order + 1):
            for i in range(1, order + 1):
                longer[k:, i:] += g[k, i] * power[: order + 1 - k, : order + 1 - i]
        power = longer
        for j in range(m, order + 1):
            cut = order - j + m + 1
            total += math.comb(j, m) * float(power[:cut, :cut].sum())
    return math.sqrt(total)


DENSE_LIMIT = 500  # above this size the T norms of powers of A would take seconds; no bound is declared then


def _declared_bounds(A: Tensor, steps: int, padding: int) -> tuple[float | None, float | None]:
    if A.shape[0] > DENSE_LIMIT:
        return None, None
    dense = A.to_dense()
    norms, power = [1.0], torch.eye(A.shape[0], dtype=dense.dtype)
    for _ in range(steps):
        power = dense @ power
        if not bool(torch.isfinite(power).all()):
            return None, None
        norms.append(float(torch.linalg.matrix_norm(power, 2)))
    inverse = sum(max(norms[max(0, d - padding) : min(d, steps) + 1]) for d in range(steps + padding + 1))
    return 1 + max(norms[1], 1.0 if padding else 0.0), inverse
