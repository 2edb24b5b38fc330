"""The second order of a segment at R points in time: their number, and the polynomials of each."""

from __future__ import annotations

import math

import numpy as np

from qdescent._arrays import Floats
from qdescent.linalg.gram import GramRule, gram_rule, nearest_weights
from qdescent.solvers.polynomials.bounded_polynomials import (
    BoundedPolynomial,
    bounded,
    powers,
)

MOST_NODES = 40  # sources that want more change as fast as the steps themselves


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


def node_polynomials(
    rule: GramRule,
    steps: int,
    shift: float,
    alpha: float,
    points: Floats,
    tolerance: float,
    window: tuple[float, float] | None,
    floor: float = 1.0,
    length: float = 1.0,
    known: tuple[BoundedPolynomial, ...] = (),
) -> tuple[tuple[BoundedPolynomial, ...], tuple[BoundedPolynomial, ...], float]:
    """b_j/g and a_j, and a bound on F_2's error over ||F_2||, sum_j |a_j b_j b_j - exact|.

    With errors tau |b_j| and tau |a_j| a term of size |a_j| |b_j|^2 moves by 3 tau of it and
    smaller parts. All nodes share their queries, so that none of little size may ask for more than
    the others: the tolerance is shared by the roots of the sizes. b_j/g acts on a start of unit
    length that stands for one of `length` = ||g(A) f||. a_j, the same for every g, may be `known`.
    """
    weights = _partial_sums(rule, steps), rule.interpolation.T[:, ::-1]
    sizes = [np.abs(powers(each, points)).max(1) for each in weights]
    roots = np.sqrt(sizes[1]) * sizes[0]
    pairs, off = list[tuple[BoundedPolynomial, BoundedPolynomial]](), 0.0
    for b, a, b_size, a_size in zip(*weights, *sizes, strict=True):
        if b_size == 0 or a_size == 0:
            continue  # before the first step nothing has moved
        tau = min(1e-2, tolerance / (3.1 * math.sqrt(a_size) * b_size * float(roots.sum())))
        inner = bounded(b, shift, alpha, tau * b_size / length, window, floor)
        place = len(pairs)
        outer = known[place] if known else bounded(a, shift, alpha, tau * a_size, window)
        grown = (b_size + length * inner.error) ** 2
        off += (a_size + outer.error) * grown - a_size * b_size**2
        pairs.append((inner, outer))
    return tuple(b for b, _ in pairs), tuple(a for _, a in pairs), off
