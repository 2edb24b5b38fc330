"""The plan of a segment as polynomials of a block-encoded F_1 - c: which c, which polynomials,
which points in time, and what they promise. In units of ||F_0||.

    u = p(A) f + sum_j a_j(A) F_2 (b_j(A) f (x) b_j(A) f),   A = (F_1 - c)/alpha,  f = F_0/||F_0||,
    p ~ sum_{t<T} y^t,  b_j ~ sum_{t<t_j} y^t,  a_j ~ sum_t l_j(t) y^{T-1-t},  y = c + alpha s.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sparse
import torch
from scipy.sparse.linalg import eigsh

from qdescent._arrays import Floats
from qdescent._checks import argument_error
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.polynomial_terms import to_scipy
from qdescent.quantum.tables.perron import absolute_norm
from qdescent.solvers.encodings import EncodingPlan, MatrixEncoding
from qdescent.solvers.polynomials.bounded_polynomials import (
    WASTED,
    BoundedPolynomial,
    bounded,
    powers,
)
from qdescent.solvers.polynomials.node_polynomials import choose_nodes, node_polynomials

MOST_GROWTH = 1e6  # of a mode: beyond it the polynomials' suprema are all that is left
LARGEST_DENSE = 2048  # eigenvalues of so many weights take seconds
EXACT_POINTS = 16  # eigenvalues whose triples are all tried for the error of the nodes
# max |p| of a circuit's polynomials: nearer to 1 the angles need more points of the transform
SUBNORMALISATION = 0.98
MOST_ATTENUATION = 1e100  # beyond, one run in 1e200 succeeds, and amplitudes round to nothing
SHIFTS = 4  # beyond the least diagonal entry, to the middle of the diagonal
ASYMMETRY = 1e3  # roundings


@dataclass(frozen=True, eq=False)
class SegmentPlan:
    """What is applied to F_0, and how far it is from the order-N Carleman solution.

    Args:
        steps: T.
        length: ||F_0||.
        start: f, (n,).
        window: the least and the largest eigenvalue of F_1.
        shift: c.
        encoding: of F_1 - c, with its alpha.
        matrix: F_1 - c.
        first: p.
        inner: b_j, of the nodes where they are not zero.
        outer: a_j.
        nodes: R.
        coupling: ||F_0|| F_2, (n, n^2); None at order 1.
        coupling_norm: || |that| ||, its normalisation.
        least: of ||u_1||: T min |q| over the window, q the mean of y^t.
        error: a bound on the distance of the planned u from the order-N Carleman solution.
        resolved: the nodes are as many as the tolerance asked for.
    """

    steps: int
    length: float
    start: Floats = field(repr=False)
    window: tuple[float, float]
    shift: float
    encoding: EncodingPlan = field(repr=False)
    matrix: sparse.csr_array = field(repr=False)
    first: BoundedPolynomial
    inner: tuple[BoundedPolynomial, ...]
    outer: tuple[BoundedPolynomial, ...]
    nodes: int
    coupling: sparse.csr_array | None = field(repr=False)
    coupling_norm: float
    least: float
    error: float
    resolved: bool

    @property
    def alpha(self) -> float:
        """Of the encoding of F_1 - c."""
        return self.encoding.alpha

    @property
    def window_known(self) -> bool:
        """Whether all eigenvalues were computed; of more weights the extremes are Lanczos' own."""
        return len(self.start) <= LARGEST_DENSE

    @property
    def error_proven(self) -> bool:
        """Whether `error` holds for certain: with many eigenvalues that of the nodes is sampled."""
        return self.window_known and (not self.inner or len(self.start) <= EXACT_POINTS)

    @property
    def growth(self) -> float:
        """The largest factor by which a mode grows over the segment."""
        return max(1.0, max(abs(y) for y in self.window) ** self.steps)

    @property
    def inner_degree(self) -> int:
        """Queries of each of the two inner sequences."""
        return max((p.degree for p in self.inner), default=0)

    @property
    def outer_degree(self) -> int:
        """Queries of the outer sequence, which also makes u_1."""
        return max([self.first.degree, *(p.degree for p in self.outer)])

    @property
    def queries(self) -> int:
        """Of one run: d, or 2 d_B + 1 + d_A."""
        return self.outer_degree + (2 * self.inner_degree + 1 if self.inner else 0)

    @property
    def shares(self) -> Floats:
        """What u_1 and each node weigh in the sum: the bounds of their polynomials."""
        scale = SUBNORMALISATION
        return np.array(
            [self.first.norm / scale]
            + [
                self.coupling_norm * b.norm**2 * a.norm / scale**3
                for b, a in zip(self.inner, self.outer, strict=True)
            ]
        )

    @property
    def attenuation(self) -> float:
        """u over the amplitudes that are kept, in units of ||F_0||."""
        return float(self.shares.sum())

    def sensitivity(self, query: float, start: float, choice: float) -> float:
        """How far u moves, in units of ||F_0||, where the circuit's parts are off.

        What acts within a branch moves it by its own share; what mixes them, the sum by all.

        Args:
            query: ||A - encoded||.
            start: ||f - prepared||.
            choice: what the weights, the coupling and the angles miss together.
        """
        p = self.first
        moved = p.lipschitz * query + 2 * p.norm * start
        for b, a in zip(self.inner, self.outer, strict=True):
            outer = a.lipschitz * b.norm**2 + 2 * a.norm * b.norm * b.lipschitz
            moved += self.coupling_norm * (outer * query + 2 * a.norm * b.norm**2 * start)
        return 1.1 * (moved + self.attenuation * choice)  # second-order terms


def plan_segment(
    f: PolynomialMap,
    steps: int,
    order: int,
    epsilon: float,
    nodes: int | None,
    encoding: MatrixEncoding,
) -> SegmentPlan:
    """The polynomials for u_T within epsilon of it, half of which is left to a circuit.

    Args:
        f: F_1 symmetric.
        steps: T.
        order: 1 or 2.
        epsilon: relative.
        nodes: R; None: as many as epsilon asks for.
        encoding: of F_1 - c.

    Raises:
        ArgumentError: F_1 not symmetric, F_0 = 0, a mode that grows beyond 1e6.
    """
    step, start, length = _linear_part(f)
    window = _extremes(step)
    if max(abs(y) for y in window) > MOST_GROWTH ** (1 / steps):
        largest = max(window, key=abs)
        must = (
            f"keep every mode's growth within {MOST_GROWTH:.0e} (take fewer steps or a smaller"
            " learning rate)"
        )
        raise argument_error("steps", must, f"{steps} steps with an eigenvalue {largest:.6g}")
    # of more weights the largest eigenvalue is seen from inside: nothing may end there
    ends = (None,) if len(start) > LARGEST_DENSE else (None, window)
    linear, plans = (step, start, length), list[SegmentPlan]()
    for end in ends:
        with suppress(OverflowError):
            plans.append(_planned(linear, window, steps, f, order, epsilon, nodes, encoding, end))
        beyond = max((plan.shift + plan.alpha - window[1] for plan in plans), default=math.inf)
        if steps * beyond <= math.log(WASTED):
            break
    plans = [plan for plan in plans if plan.attenuation < MOST_ATTENUATION]
    if not plans:
        must = "leave polynomials of F_1 within floats (its moduli allow too much: take fewer)"
        raise argument_error("steps", must, steps)
    return min(
        plans, key=lambda plan: (plan.error > epsilon * plan.least, plan.queries * plan.attenuation)
    )


def _planned(
    linear: tuple[sparse.csr_array, Floats, float],
    window: tuple[float, float],
    steps: int,
    f: PolynomialMap,
    order: int,
    epsilon: float,
    nodes: int | None,
    encoding: MatrixEncoding,
    end: tuple[float, float] | None,
) -> SegmentPlan:
    """The plan whose polynomials are bounded beyond the window `end`, or cut series (None)."""
    step, start, length = linear
    mean = _least_mean(window, steps)
    least = steps * mean
    ones = np.ones(steps)
    shift, encoded, first = _best_shift(
        step,
        start,
        encoding,
        lambda c, a: bounded(ones, c, a, epsilon / 2 * least, end),
    )
    coupling = None if order == 1 or f.degree < 2 or steps == 1 else _coupling(f, length)
    inner: tuple[BoundedPolynomial, ...] = ()
    outer: tuple[BoundedPolynomial, ...] = ()
    count, error, resolved, norm = 0, first.error, True, 0.0
    if coupling is not None:
        allowed = epsilon / 4 * least
        first = bounded(ones, shift, encoded.alpha, allowed, end)
        size = float(sparse.linalg.norm(coupling))
        norm = absolute_norm(abs(coupling)).alpha
        points = _points(step, window, steps)
        count, rule, missed = choose_nodes(steps, points, allowed / 2 / size, nodes)
        resolved = missed * size <= allowed / 2
        inner, outer, off = node_polynomials(
            rule, steps, shift, encoded.alpha, points, allowed / 2 / min(norm, size), end
        )
        error = first.error + missed * size + off * min(norm, size)
    matrix = sparse.csr_array(step - shift * sparse.eye_array(len(start)))
    return SegmentPlan(
        steps, length, start, window, shift, encoded, matrix, first, inner, outer, count,
        coupling, norm, least, error, resolved,
    )  # fmt: skip


def _linear_part(f: PolynomialMap) -> tuple[sparse.csr_array, Floats, float]:
    """F_1, f and ||F_0||, once they are what polynomials of F_1 need."""
    given = f.coefficients[0].to_dense().reshape(-1).double().cpu().numpy()
    largest = float(np.abs(given).max())
    if largest == 0:
        raise argument_error(
            "f", "have an F_0 other than zero (from u = 0 its steps stay at 0)", "without one"
        )
    length = largest * float(np.linalg.norm(given / largest))
    step = to_scipy(f.coefficients[1])
    size = float(abs(step).max()) if step.nnz else 0.0
    apart = float(abs(step - step.T).max()) if step.nnz else 0.0
    if apart > ASYMMETRY * torch.finfo(f.coefficients[1].dtype).eps * size:
        raise argument_error(
            "f",
            "have a symmetric F_1, as plain gradient descent has (momentum and unsymmetric maps:"
            " `history_system`)",
            f"one with |F_1 - F_1^T| up to {apart:.3g}",
        )
    return sparse.csr_array((step + step.T) / 2), given / length, length


def _extremes(step: sparse.csr_array) -> tuple[float, float]:
    """The least and the largest eigenvalue."""
    n = step.shape[0]
    if n <= LARGEST_DENSE:
        values = np.linalg.eigvalsh(step.toarray())
        return float(values[0]), float(values[-1])
    low, high = (float(eigsh(step, k=1, which=end)[0][0]) for end in ("SA", "LA"))
    return low, high


def _least_mean(window: tuple[float, float], steps: int) -> float:
    """min |(1/T) sum_t y^t| over the window; where it vanishes (T even, y = -1) half of the mean's
    least value for odd T.
    """
    y = np.linspace(*window, 1025)
    found = float(np.abs(powers(np.full((1, steps), 1 / steps), y)).min())
    return max(found, 1 / (2 * steps))


def _best_shift(
    step: sparse.csr_array,
    start: Floats,
    encoding: MatrixEncoding,
    polynomial: Callable[[float, float], BoundedPolynomial],
) -> tuple[float, EncodingPlan, BoundedPolynomial]:
    """c, the plan of F_1 - c, and p: the one of least degree times supremum, c from 0 to the middle
    of the diagonal.

    Up to the least diagonal entry alpha(c) = alpha(0) - c for balanced entries: a shift costs
    nothing there.
    """
    diagonal = step.diagonal()
    first, middle = float(diagonal.min()), float(diagonal.min() + diagonal.max()) / 2
    shifts = {0.0, *(first + k / SHIFTS * (middle - first) for k in range(SHIFTS + 1))}
    best: tuple[tuple[float, float], Any] | None = None
    over: OverflowError | None = None
    for shift in sorted(c for c in shifts if c >= 0):
        matrix = sparse.coo_array(step - shift * sparse.eye_array(len(start)))
        if not matrix.nnz or not matrix.data.any():
            continue  # F_1 = c: nothing to encode
        plan = encoding.plan(as_system(matrix, start))
        try:
            found = polynomial(shift, plan.alpha)
        except OverflowError as beyond:
            over = beyond
            continue
        cost = (found.degree * found.norm, plan.alpha)
        if best is None or cost < best[0]:
            best = cost, (shift, plan, found)
    if best is None and over is not None:
        raise over
    if best is None:
        raise argument_error("f", "have an F_1 other than zero", "zero")
    return best[1]


def as_system(matrix: sparse.coo_array, start: Floats) -> LinearSystem:
    """The matrix with a right-hand side, as encodings take it."""
    places = torch.from_numpy(np.array([matrix.row, matrix.col], dtype=np.int64))
    entries = torch.sparse_coo_tensor(
        places, torch.from_numpy(matrix.data), matrix.shape, check_invariants=True
    )
    return LinearSystem(entries.coalesce(), torch.from_numpy(start))


def _coupling(f: PolynomialMap, length: float) -> sparse.csr_array | None:
    """||F_0|| F_2; None where it is zero."""
    found = length * to_scipy(f.coefficients[2])
    found.eliminate_zeros()
    return sparse.csr_array(found) if found.nnz else None


def _points(step: sparse.csr_array, window: tuple[float, float], steps: int) -> Floats:
    """The eigenvalues, or of many weights Chebyshev points of the window."""
    if step.shape[0] <= EXACT_POINTS:
        return np.linalg.eigvalsh(step.toarray())
    low, high = window
    return (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * np.arange(12) / 11)
