"""The second order of a segment at R points in time: their number, and the polynomials of each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qdescent._arrays import Floats, Ints
from qdescent.linalg.gram import GramRule, gram_rule, nearest_weights
from qdescent.quantum.algorithms.bounded_polynomials import (
    DISTANCES,
    BoundedPolynomial,
    Shape,
    cut_series,
    let_down,
)
from qdescent.quantum.algorithms.power_sums import PowerSums, powers
from qdescent.quantum.algorithms.sharpening import SUBNORMALISATION

MOST_NODES = 40  # sources that want more change as fast as the steps themselves
MOVED = 3.1  # the product of three moves by so many times what each misses
MOST_MISSED = 1e-2  # of a node's polynomial


def choose_nodes(
    steps: int, points: Floats, tolerance: float, wanted: int | None
) -> tuple[int, GramRule, float]:
    """The least R for which every product of two modes, driving a third, is followed to within the
    tolerance; the rule and the error left.
    """
    left, right = np.triu_indices(len(points))
    sums = np.cumsum(points[:, None] ** np.arange(steps), axis=1)
    sums = np.hstack([np.zeros((len(points), 1)), sums[:, :-1]])  # sum_{t' < t}, t = 0 ... T - 1
    response = points[:, None] ** np.arange(steps)[::-1]
    truth = response @ (sums[left] * sums[right]).T
    most = min(steps, MOST_NODES)
    for count in range(1, most + 1) if wanted is None else (wanted,):
        rule = gram_rule(steps, count)
        inner = powers(_partial_sums(rule, steps), points)
        found = (response @ rule.interpolation) @ (inner[:, left] * inner[:, right])
        error = float(np.abs(found - truth).max())
        if error <= tolerance or count in (most, wanted):
            break
    return count, rule, error


def _partial_sums(rule: GramRule, steps: int) -> Floats:
    """The coefficients of y^t in sum_{t' < t_j} y^t', (R, T); between the steps by the polynomial
    through the nearest ones.
    """
    found = np.zeros((len(rule.nodes), steps))
    for row, node in zip(found, rule.nodes, strict=True):
        first, weights = nearest_weights(steps + 1, _whole(float(node)))
        row[:first] = 1.0
        row[first : first + len(weights) - 1] = np.cumsum(weights[::-1])[::-1][1:]
    return found


def _whole(time: float) -> float:
    """The node, or the step that it is but for rounding."""
    return float(round(time)) if abs(time - round(time)) < 1e-9 else time


@dataclass(frozen=True, eq=False)
class NodePolynomials:
    """p/g of the whole segment, b_j/g and a_j of its nodes, which go through the same queries.

    Args:
        first: p/g.
        inner, outer: b_j/g, a_j, of the nodes where they are not zero.
        off: a bound on F_2's error over ||F_2||, sum_j |a_j b_j b_j - exact|.
        queries: of a run, 2 (s + d_B) + 1 + d_A.
        attenuation: share_1 |p| + share_2 sum_j |a_j| |b_j|^2.
    """

    first: BoundedPolynomial
    inner: tuple[BoundedPolynomial, ...]
    outer: tuple[BoundedPolynomial, ...]
    off: float
    queries: int
    attenuation: float


@dataclass(frozen=True, eq=False)
class NodeSums:
    """What the polynomials of a segment of order 2 are made of, on one encoding.

    Args:
        rule: t_j.
        steps: T.
        shift, scale: c, a.
        points: y, for the sizes of all polynomials.
        window: beyond which they are let down; None: series.
        allowed: of p, absolute.
        tolerance: of sum_j |a_j b_j b_j - exact|.

    All nodes share their queries, so that none of little size may ask for more than the others:
    with errors tau |b_j| and tau |a_j| a term of size |a_j| |b_j|^2 moves by 3 tau of it and
    smaller parts, and the tolerance is shared by the roots of the sizes.
    """

    rule: GramRule
    steps: int
    shift: float
    scale: float
    points: Floats
    window: tuple[float, float] | None
    allowed: float
    tolerance: float

    @cached_property
    def whole(self) -> PowerSums:
        """Of p."""
        return PowerSums(np.ones((1, self.steps)), self.shift, self.scale)

    @cached_property
    def sums(self) -> tuple[PowerSums, PowerSums]:
        """Of b_j and a_j; before the first step nothing has moved, and such a node has none."""
        both = _partial_sums(self.rule, self.steps), self.rule.interpolation.T[:, ::-1]
        moved, felt = (powers(each, self.points).any(1) for each in both)
        used = moved & felt
        inner, outer = (PowerSums(each[used], self.shift, self.scale) for each in both)
        return inner, outer

    @cached_property
    def sizes(self) -> tuple[Floats, Floats, Floats]:
        """|b_j|, |a_j| on the points, and the share tau that each of both may miss."""
        b, a = (np.abs(powers(each.weights, self.points)).max(1) for each in self.sums)
        roots = np.sqrt(a) * b
        tau = np.minimum(MOST_MISSED, self.tolerance / (MOVED * roots * roots.sum()))
        return b, a, tau

    @cached_property
    def outer(self) -> list[list[BoundedPolynomial]]:
        """All that a_j may be, the same for every g."""
        _, a, tau = self.sizes
        return choices(self.sums[1], tau * a, Shape(self.window))

    def cheapest(
        self, floor: float, length: float, queries: int, shares: tuple[float, float]
    ) -> NodePolynomials:
        """Those of least queries times attenuation, each of least norm in the degrees all share.

        Args:
            floor: g at s = -1.
            length: ||g(A) f||: b_j/g acts on a start of unit length that stands for one of it.
            queries: s, of the start.
            shares: of |p|, and of sum_j |a_j| |b_j|^2, in the attenuation.
        """
        b, a, tau = self.sizes
        shape = Shape(self.window, floor)
        first = choices(self.whole, np.array([self.allowed / length]), shape)
        if not len(b):  # every node's polynomials vanish on the spectrum
            p = min(first[0], key=lambda each: each.degree * each.norm)
            return NodePolynomials(p, (), (), 0.0, queries + p.degree, shares[0] * p.norm)
        inner = choices(self.sums[0], tau * b / length, shape)
        within = [_within_degrees(each) for each in (first + self.outer, inner)]
        (outer_degrees, outer_norms, outer_places), (degrees, norms, places) = within
        lost = shares[0] * outer_norms[:, :1] + shares[1] * outer_norms[:, 1:] @ (norms**2).T
        asked = 2 * (queries + degrees) + 1 + outer_degrees[:, None]
        row, column = divmod(int(np.argmin(lost * asked)), len(degrees))
        p, *outer = _picked(first + self.outer, outer_places[row])
        chosen = _picked(inner, places[column])
        grown = [size + length * each.error for size, each in zip(b, chosen, strict=True)]
        missed = [size + each.error for size, each in zip(a, outer, strict=True)]
        off = float(np.array(missed) @ np.array(grown) ** 2 - a @ b**2)
        taken = 2 * (queries + _degree(chosen)) + 1 + _degree([p, *outer])
        return NodePolynomials(p, tuple(chosen), tuple(outer), off, taken, float(lost[row, column]))


def choices(sums: PowerSums, tolerances: Floats, shape: Shape) -> list[list[BoundedPolynomial]]:
    """All that stands for each row: the cut series, and what is let down near or far.

    Raises:
        OverflowError: a row has none.
    """
    if shape.window is None:
        return [[p] for p in cut_series(sums, tolerances, shape.floor)]
    made: list[Sequence[BoundedPolynomial | None]] = []
    with suppress(OverflowError):
        made.append(cut_series(sums, tolerances, shape.floor))
    made += [let_down(sums, tolerances, shape, distance) for distance in DISTANCES]
    found = [[p for p in row if p is not None] for row in zip(*made, strict=True)]
    if not all(found):
        raise OverflowError
    return found


def _within_degrees(rows: list[list[BoundedPolynomial]]) -> tuple[Ints, Floats, Ints]:
    """The degrees within which every row has a polynomial, (D,); the least norm of each row within
    them, (D, rows), and its place.
    """
    least = max(min(p.degree for p in row) for row in rows)
    degrees = np.array(sorted({p.degree for row in rows for p in row if p.degree >= least}))
    norms, places = [], []
    for row in rows:
        sizes = np.array([p.norm for p in row])
        fits = np.where(degrees[:, None] >= [p.degree for p in row], sizes, np.inf)
        norms.append(fits.min(1))
        places.append(fits.argmin(1))
    return degrees, np.stack(norms, axis=1), np.stack(places, axis=1)


def _degree(polynomials: Sequence[BoundedPolynomial]) -> int:
    return max(p.degree for p in polynomials)


def _picked(rows: list[list[BoundedPolynomial]], places: Ints) -> list[BoundedPolynomial]:
    return [row[place] for row, place in zip(rows, places.tolist(), strict=True)]


def weighed(length: float, overlap: float, coupling: float) -> tuple[float, float]:
    """What |p| and sum_j |a_j| |b_j|^2 weigh in the attenuation: each is brought to the largest
    value that phases are computed for, and the second copy of u_1's branch is asked for f, of which
    f' has the overlap.

    Args:
        length: ||g(A) f||.
        overlap: <f|f'>.
        coupling: ||F_0|| F_2, as it is normalised.
    """
    scale = SUBNORMALISATION
    return length / (scale * overlap), coupling * length**2 / scale**3
