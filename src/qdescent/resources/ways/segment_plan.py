"""What a run of a fast-forwarded segment takes: of any start as its sizes have it, of one that is
known as the solver plans it, by the same code.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qdescent._arrays import Floats
from qdescent.linalg.gram import GramRule
from qdescent.quantum.algorithms.bounded_polynomials import BoundedPolynomial, bounded
from qdescent.quantum.algorithms.node_polynomials import NodeSums, choose_nodes, weighed
from qdescent.quantum.algorithms.power_sums import geometric_sums
from qdescent.quantum.algorithms.rounds import runs_needed
from qdescent.quantum.algorithms.sharpening import WORTH, cheapest_place, floor_at, is_wasted
from qdescent.resources.ways.segment_polynomial import SegmentPolynomial, segment_polynomials
from qdescent.resources.ways.segment_start import Start

NODES_SHARE = 16  # of the tolerance: what each polynomial of a node may miss, of any start
_MOST_NODE_STEPS = 10**5  # whose weights are summed one by one, as the solver's
_POINTS = 12  # of the window, by which nodes are chosen, as of a solver's many weights
_FEW = 1e-3


@dataclass(frozen=True)
class SegmentPlan:
    """What one run of a fast-forwarded segment takes.

    Args:
        first: u_1's polynomial, over g of a start that was sharpened.
        queries: of a run.
        preparations: of F_0.
        success: probability that a run gives u_T.
        floor: g at s = -1; 1: the start is as it was given.
        nodes: points in time at order 2; 0: one polynomial stands for those of all.
        let_down: the polynomials end with the spectrum.
    """

    first: SegmentPolynomial
    queries: int
    preparations: int
    success: float
    floor: float = 1.0
    nodes: int = 0
    let_down: bool = False

    @property
    def cost(self) -> float:
        """Queries until success, amplified or repeated, whichever takes fewer."""
        return self.queries * runs_needed(self.success) if self.success > 0 else math.inf


@lru_cache(maxsize=2**12)  # of a sweep, where most inputs leave it alone
def planned_on(
    encodings: tuple[tuple[float, float], ...], steps: int, order: int,
    window: tuple[float, float], epsilon: float, start: Start, coupling: float,
    longer: float = 1.0,
) -> SegmentPlan:  # fmt: skip
    """The cheapest plan on one of these encodings.

    Args:
        encodings: c and a of each.
        steps, order: T, N.
        window: the least and the largest eigenvalue of F_1.
        epsilon: relative, of u_T.
        start: F_0 by modes.
        coupling: of ||F_0|| F_2, as it is normalised.
        longer: ||u_T|| over ||u_1||.
    """
    # half is left to a circuit; at order 2 a half of the rest is the nodes'
    allowed = epsilon / (2 * order) * (steps * _least_mean(*window, steps))
    shifts, scales = zip(*encodings, strict=True)
    series = segment_polynomials(steps, shifts, scales, allowed)
    best = min(series, key=lambda each: each.degree * each.supremum)
    by_nodes = order > 1 and coupling > 0 and steps <= _MOST_NODE_STEPS
    if not start.is_known or (order > 1 and not by_nodes):
        return _by_series(best, steps, order, allowed, start, coupling, longer)
    asked = _Asked(steps, window, allowed, start, coupling if by_nodes else 0.0, longer)
    plans = list[SegmentPlan]()
    with suppress(OverflowError):
        plans.append(_searched(asked, best.shift, best.scale, None))
    if is_wasted(steps, best.shift + best.scale - window[1]):
        with suppress(OverflowError):
            plans.append(_searched(asked, *_least_let_down(asked, encodings), window))
    return min(plans, key=lambda plan: plan.cost, default=_IMPOSSIBLE)


@dataclass(frozen=True)
class _Asked:
    """A segment whose start is known.

    Args:
        steps: T.
        window: of F_1.
        allowed: of u_1's polynomial, absolute.
        start: F_0 by modes.
        coupling: of ||F_0|| F_2; 0 at order 1.
        longer: ||u_T|| over ||u_1||.
    """

    steps: int
    window: tuple[float, float]
    allowed: float
    start: Start
    coupling: float
    longer: float

    @property
    def reached(self) -> float:
        """||u_1||/||F_0||."""
        return self.start.length(geometric_sums(self.start.values, self.steps))


def _least_let_down(
    asked: _Asked, encodings: tuple[tuple[float, float], ...]
) -> tuple[float, float]:
    """The encoding on which what ends with the window has the least degree times supremum."""
    made: dict[tuple[float, float], BoundedPolynomial] = {}
    for c, a in encodings:
        with suppress(OverflowError):
            made[c, a] = bounded(np.ones(asked.steps), c, a, asked.allowed, asked.window)
    if not made:
        raise OverflowError
    return min(made, key=lambda each: made[each].degree * made[each].norm)


def _searched(asked: _Asked, c: float, a: float, end: tuple[float, float] | None) -> SegmentPlan:
    """The plan of the cheapest floor on one encoding, by polynomials that end with the window or by
    series (None).

    Raises:
        OverflowError: polynomials are beyond floats.
    """
    steps, reached, coupling = asked.steps, asked.reached, asked.coupling
    ones, sums, count = np.ones(steps), None, 0
    if coupling:
        # half of the tolerance is that of the nodes' number
        tolerance = asked.allowed / 2 / coupling
        count, rule, points = _nodes(steps, asked.window, tolerance)
        sums = NodeSums(rule, steps, c, a, points, end, asked.allowed, tolerance)

    def at(place: int) -> SegmentPlan:
        floor = floor_at(place)
        begin = asked.start.sharpened(c, a, floor)
        if sums is None:
            p = bounded(ones, c, a, asked.allowed / begin.length, end, floor)
            attenuation = weighed(begin.length, 1.0, 0.0)[0] * p.norm
            queries, copies = begin.queries + p.degree, 1
        else:
            shares = weighed(begin.length, begin.overlap, coupling)
            found = sums.cheapest(floor, begin.length, begin.queries, shares)
            p, attenuation = found.first, found.attenuation
            queries, copies = found.queries, 2
        success = min(1.0, asked.longer * reached / attenuation) ** 2
        first = SegmentPolynomial(c, a, p.degree, p.norm)
        return SegmentPlan(
            first, queries, copies * max(1, begin.queries), success, floor, count, end is not None
        )

    plain = at(0)
    return plain if plain.first.supremum < WORTH * reached else cheapest_place(at)


@lru_cache(maxsize=2**6)
def _nodes(
    steps: int, window: tuple[float, float], tolerance: float
) -> tuple[int, GramRule, Floats]:
    low, high = window
    angles = np.pi * np.arange(_POINTS) / (_POINTS - 1)
    points: Floats = (low + high) / 2 + (high - low) / 2 * np.cos(angles)
    count, rule, _ = choose_nodes(steps, points, tolerance, None)
    return count, rule, points


def _by_series(
    best: SegmentPolynomial, steps: int, order: int, allowed: float, start: Start,
    coupling: float, longer: float,
) -> SegmentPlan:  # fmt: skip
    """One polynomial for all nodes, by series, of the start as it is."""
    attenuation, queries = weighed(1.0, 1.0, 0.0)[0] * best.supremum, best.degree
    if order == 2:
        node = segment_polynomials(steps, (best.shift,), (best.scale,), allowed / NODES_SHARE)[0]
        queries = 2 * node.degree + 1 + max(best.degree, node.degree)
        attenuation += weighed(1.0, 1.0, coupling)[1] * second_supremum(
            best.shift + best.scale, steps
        )
    reached = longer * start.length(geometric_sums(start.values, steps))
    success = min(1.0, reached / attenuation) ** 2 if math.isfinite(attenuation) else 0.0
    return SegmentPlan(best, queries, order, success)


_IMPOSSIBLE = SegmentPlan(SegmentPolynomial(0.0, 1.0, 1, math.inf), 1, 1, 0.0)


def _least_mean(low: float, high: float, steps: int) -> float:
    """min (1/T) |sum_t y^t| over the window; half of the mean's least where it vanishes."""
    found = np.abs(geometric_sums(np.linspace(low, high, 129), steps)) / steps
    return max(float(found.min()), 1 / (2 * steps))


def second_supremum(y: float, steps: int) -> float:
    """sum_t y^{T-1-t} (sum_{t'<t} y^t')^2: what all nodes' polynomials add up to where sum_t y^t is
    that of all steps.
    """
    if abs(y - 1) * steps < _FEW:
        return (steps - 1) * steps * (2 * steps - 1) / 6
    with np.errstate(all="ignore"):
        G = float(geometric_sums(np.array([y]), steps)[0])
        last = float(np.float64(y) ** (steps - 1))
        return float(last * G - 2 * steps * last + G) / (y - 1) ** 2
