"""The plan of a segment as polynomials of a block-encoded F_1 - c: which c, which polynomials,
which points in time, and what they promise. In units of ||F_0||.

    u = p(A) f + sum_j a_j(A) F_2 (b_j(A) f (x) b_j(A) f),   A = (F_1 - c)/alpha,  f = F_0/||F_0||,
    p ~ sum_{t<T} y^t,  b_j ~ sum_{t<t_j} y^t,  a_j ~ sum_t l_j(t) y^{T-1-t},  y = c + alpha s;

of a sharpened start f' = g(A) f/||g(A) f||, with p/g and b_j/g in their places.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sparse

from qdescent._arrays import Floats
from qdescent._checks import argument_error
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.tables.balanced import PAIRS_UP_TO
from qdescent.quantum.tables.perron import absolute_norm
from qdescent.solvers.encodings import EncodingPlan, MatrixEncoding
from qdescent.solvers.polynomials.applied_polynomials import transform
from qdescent.solvers.polynomials.bounded_polynomials import WASTED, BoundedPolynomial, bounded
from qdescent.solvers.polynomials.node_polynomials import choose_nodes, node_polynomials
from qdescent.solvers.polynomials.segment_parts import (
    EXACT_POINTS,
    LARGEST_DENSE,
    best_shift,
    coupling_of,
    extremes,
    least_mean,
    letters_of,
    linear_part,
    points_of,
)
from qdescent.solvers.polynomials.sharpened_start import (
    SUBNORMALISATION,
    SharpenedStart,
    sharpened,
)

MOST_GROWTH = 1e6  # of a mode: beyond it the polynomials' suprema are all that is left
MOST_ATTENUATION = 1e100  # beyond, one run in 1e200 succeeds, and amplitudes round to nothing
WORTH = 2.0  # |p| over ||p(A) f|| from which on a sharper start is tried
LEAST_FLOOR = 2.0**-16  # 1/g takes a degree of some 1/sqrt(floor)


@dataclass(frozen=True, eq=False)
class SegmentPlan:
    """What is applied to F_0, and how far it is from the order-N Carleman solution.

    Args:
        steps: T.
        length: ||F_0||.
        start: f, and f' that the polynomials act on.
        window: the least and the largest eigenvalue of F_1.
        shift: c.
        encoding: of F_1 - c, with its alpha.
        matrix: F_1 - c.
        first: p/g.
        inner: b_j/g, of the nodes where they are not zero.
        outer: a_j.
        nodes: R.
        coupling: ||F_0|| F_2, (n, n^2); None at order 1.
        coupling_norm: its normalisation: || |that| ||, or letter by letter that of
            sum_k |F_2[.; ., k]|.
        by_letters: the circuit reads one letter after the other, not pairs.
        least: of ||u_1||: T min |q| over the window, q the mean of y^t.
        error: a bound on the distance of the planned u from the order-N Carleman solution.
        resolved: the nodes are as many as the tolerance asked for.
    """

    steps: int
    length: float
    start: SharpenedStart
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
    by_letters: bool = False

    @property
    def alpha(self) -> float:
        """Of the encoding of F_1 - c."""
        return self.encoding.alpha

    @property
    def window_known(self) -> bool:
        """Whether all eigenvalues were computed; of more weights the extremes are Lanczos' own."""
        return len(self.start.given) <= LARGEST_DENSE

    @property
    def error_proven(self) -> bool:
        """Whether `error` holds for certain: with many eigenvalues that of the nodes is sampled."""
        return self.window_known and (not self.inner or len(self.start.given) <= EXACT_POINTS)

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
    def copies(self) -> int:
        """Of the start."""
        return 2 if self.inner else 1

    @property
    def queries(self) -> int:
        """Of one run: s + d, or 2 s + 2 d_B + 1 + d_A, s those of the start."""
        inner = 2 * self.inner_degree + 1 if self.inner else 0
        return self.copies * self.start.queries + inner + self.outer_degree

    @property
    def shares(self) -> Floats:
        """What u_1 and each node weigh in the sum: the bounds of their polynomials. Of order 2 the
        second copy of u_1's branch is asked for f, of which f' has the overlap.
        """
        scale, length = SUBNORMALISATION, self.start.length
        kept = self.start.overlap if self.inner else 1.0
        return np.array(
            [length * self.first.norm / (scale * kept)]
            + [
                self.coupling_norm * (length * b.norm) ** 2 * a.norm / scale**3
                for b, a in zip(self.inner, self.outer, strict=True)
            ]
        )

    @property
    def attenuation(self) -> float:
        """u over the amplitudes that are kept, in units of ||F_0||."""
        return float(self.shares.sum())

    def sensitivity(self, query: float, start: float, choice: float, sharp: float = 0.0) -> float:
        """How far u moves, in units of ||F_0||, where the circuit's parts are off.

        What acts within a branch moves it by its own share; what mixes them, the sum by all.

        Args:
            query: ||A - encoded||.
            start: ||f - prepared||.
            choice: what the weights, the coupling and the angles miss together.
            sharp: the same of what sharpens the start.
        """
        start, left = self.start.moved(query, start, sharp)
        p, length = self.first, self.start.length
        kept = self.start.overlap if self.inner else 1.0
        moved = length * (p.lipschitz * query + 2 * p.norm * start / kept)
        for b, a in zip(self.inner, self.outer, strict=True):
            outer = a.lipschitz * b.norm**2 + 2 * a.norm * b.norm * b.lipschitz
            off = outer * query + 2 * a.norm * b.norm**2 * start
            moved += self.coupling_norm * length**2 * off
        # second-order terms
        return 1.1 * (moved + self.attenuation * (choice + self.copies * left))


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
    step, start, length = linear_part(f)
    window = extremes(step)
    if max(abs(y) for y in window) > MOST_GROWTH ** (1 / steps):
        largest = max(window, key=abs)
        must = (
            f"keep every mode's growth within {MOST_GROWTH:.0e} (take fewer steps or a smaller"
            " learning rate)"
        )
        raise argument_error("steps", must, f"{steps} steps with an eigenvalue {largest:.6g}")
    # of more weights the largest eigenvalue is seen from inside: nothing may end there
    ends = (None,) if len(start) > LARGEST_DENSE else (None, window)
    asked = _Asked(step, start, length, window, steps, f, order, epsilon, nodes, encoding)
    plans = list[SegmentPlan]()
    for end in ends:
        with suppress(OverflowError):
            plans.append(_planned(asked, end))
        beyond = max((plan.shift + plan.alpha - window[1] for plan in plans), default=math.inf)
        if steps * beyond <= math.log(WASTED):
            break
    plans = [plan for plan in plans if plan.attenuation < MOST_ATTENUATION]
    if not plans:
        must = "leave polynomials of F_1 within floats (its moduli allow too much: take fewer)"
        raise argument_error("steps", must, steps)
    return min(plans, key=lambda plan: _cost(plan, epsilon))


@dataclass(frozen=True, eq=False)
class _Asked:
    """A map and what is wanted of it."""

    step: sparse.csr_array
    start: Floats
    length: float
    window: tuple[float, float]
    steps: int
    f: PolynomialMap
    order: int
    epsilon: float
    nodes: int | None
    encoding: MatrixEncoding


def _cost(plan: SegmentPlan, epsilon: float) -> tuple[bool, float]:
    """Queries until success, up to what all plans share; behind, where it misses epsilon."""
    return plan.error > epsilon * plan.least, plan.queries * plan.attenuation


def _planned(asked: _Asked, end: tuple[float, float] | None) -> SegmentPlan:
    """The plan whose polynomials are bounded beyond the window `end`, or cut series (None): of the
    start as it is, and where much of p is not in it, of sharper ones, as long as they help.
    """
    step, steps, window = asked.step, asked.steps, asked.window
    least = steps * least_mean(window, steps)
    coupling = None
    if asked.order > 1 and asked.f.degree > 1 and steps > 1:
        coupling = coupling_of(asked.f, asked.length)
    half, ones = asked.epsilon / 2 * least, np.ones(steps)
    allowed = half if coupling is None else half / 2
    shift, encoded, first = best_shift(
        step, asked.start, asked.encoding, lambda c, a: bounded(ones, c, a, half, end)
    )
    matrix = sparse.csr_array(step - shift * sparse.eye_array(len(asked.start)))
    start = sharpened(matrix, encoded.alpha, asked.start, 1.0)
    plan = SegmentPlan(
        steps, asked.length, start, window, shift, encoded, matrix, first, (), (), 0,
        coupling, 0.0, least, first.error, True,
    )  # fmt: skip
    nodes = None
    if coupling is not None:
        size = float(sparse.linalg.norm(coupling))
        points = points_of(step, window)
        count, rule, missed = choose_nodes(steps, points, allowed / 2 / size, asked.nodes)
        by_letters = len(asked.start) > PAIRS_UP_TO
        norm = absolute_norm(letters_of(coupling) if by_letters else abs(coupling)).alpha
        resolved = missed * size <= allowed / 2
        plan = replace(
            plan, nodes=count, coupling_norm=norm, by_letters=by_letters, resolved=resolved
        )
        nodes = rule, points, missed * size, min(norm, size)

    def at(floor: float, known: tuple[BoundedPolynomial, ...] = ()) -> SegmentPlan:
        start = sharpened(matrix, encoded.alpha, asked.start, floor)
        first = bounded(ones, shift, encoded.alpha, allowed / start.length, end, floor)
        found = replace(plan, start=start, first=first, error=start.length * first.error)
        if nodes is None:
            return found
        rule, points, missed, norm = nodes
        inner, outer, off = node_polynomials(
            rule, steps, shift, encoded.alpha, points, allowed / 2 / norm, end, floor,
            start.length, known,
        )  # fmt: skip
        error = found.error + missed + off * norm
        return replace(found, inner=inner, outer=outer, error=error)

    best, floor = at(1.0), 0.5
    halves, _ = transform(matrix, encoded.alpha, [best.first], asked.start[:, None])
    if best.first.norm < WORTH * float(np.linalg.norm(halves[0] + halves[1])):
        return best
    while floor >= LEAST_FLOOR:
        with suppress(OverflowError):
            tried = at(floor, best.outer)
            if _cost(tried, asked.epsilon) < _cost(best, asked.epsilon):
                best = tried
        if floor < best.start.floor / 4:  # twice in a row no better
            break
        floor /= 2
    return best
