"""Gauss rules for sums over time steps: a few points t_j stand for all of t = 0 ... T - 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qdescent._arrays import Floats
from qdescent._checks import argument_error, check_integer


@dataclass(frozen=True, eq=False)
class GramRule:
    """The Gauss rule of R nodes for the uniform measure on t = 0 ... T - 1, and the polynomial
    through its nodes.

    sum_t f(t) = sum_j w_j f(t_j) for polynomials of degree 2R - 1; R = T: the nodes are the steps.

    Args:
        nodes: t_j, increasing, (R,), between 0 and T - 1.
        weights: w_j, (R,), which sum to T.
        interpolation: l_j(t) at t = 0 ... T - 1, (T, R): sum_j l_j(t) f(t_j) is the polynomial of
            degree R - 1 through the nodes.
    """

    nodes: Floats
    weights: Floats
    interpolation: Floats


def gram_rule(steps: int, nodes: int) -> GramRule:
    """The rule of `nodes` points for `steps` steps, by the Jacobi matrix of the Gram polynomials.

    Off-diagonal b_k = (k/2) sqrt((T^2 - k^2)/(4 k^2 - 1)), diagonal (T - 1)/2 (Golub-Welsch). The
    polynomials are orthonormal on the steps, so that the interpolation is sum_k P_k(t) w_j
    P_k(t_j).

    Args:
        steps: T, at least 1.
        nodes: R, 1 to T.

    References:
        Golub and Welsch, Math. Comp. 23, 221 (1969); Gautschi, Orthogonal Polynomials (2004), table
        1.2.

    Example:
        >>> rule = gram_rule(20, 2)
        >>> rule.nodes.round(6).tolist(), rule.weights.round(6).tolist()
        ([3.733719, 15.266281], [10.0, 10.0])
    """
    steps = check_integer("steps", steps, 1)
    nodes = check_integer("nodes", nodes, 1)
    if nodes > steps:
        raise argument_error("nodes", f"be at most the {steps} steps", nodes)
    middle = (steps - 1) / 2
    k = np.arange(1, nodes)
    beside = k / 2 * np.sqrt((steps**2 - k**2) / (4 * k**2 - 1.0))
    offsets, vectors = np.linalg.eigh(np.diag(beside, 1) + np.diag(beside, -1))
    weights = steps * vectors[0] ** 2
    at_nodes = _polynomials(offsets.astype(np.float64), steps, nodes)
    at_steps = _polynomials(np.arange(steps, dtype=np.float64) - middle, steps, nodes)
    return GramRule(offsets + middle, weights, at_steps.T @ (at_nodes * weights))


def gauss_rule(measure: Floats, nodes: int) -> GramRule:
    """The rule of `nodes` points for a measure on the steps t = 0 ... T - 1, by Lanczos' method on
    the times.

    sum_t m(t) f(t) = sum_j w_j f(t_j) for polynomials of degree 2R - 1. R = as many as the steps
    that weigh anything: the nodes are these.

    Args:
        measure: m(t) >= 0, (T,), not all zero.
        nodes: R, at least 1; no more are made than there are steps that weigh anything.

    References:
        Gautschi, Orthogonal Polynomials (2004), sections 2.2.3 and 3.1.1 (discrete measures).

    Example:
        >>> rule = gauss_rule(np.arange(4.0) ** 2, 1)  # sum t^3 / sum t^2
        >>> rule.nodes.round(6).tolist(), rule.weights.round(6).tolist()
        ([2.571429], [14.0])
    """
    measure = np.asarray(measure, dtype=np.float64)
    steps = np.flatnonzero(measure)
    total, count = float(measure.sum()), min(check_integer("nodes", nodes, 1), len(steps))
    middle, half = (len(measure) - 1) / 2, max(len(measure) / 2, 1.0)
    x, start = (steps - middle) / half, np.sqrt(measure[steps] / total)
    basis, diagonal, beside = [start], [], []
    for k in range(count):
        rest = x * basis[-1]
        diagonal.append(float(basis[-1] @ rest))
        for _ in range(2):  # twice is enough
            for other in basis:
                rest = rest - (other @ rest) * other
        if k < count - 1:
            beside.append(float(np.linalg.norm(rest)))
            basis.append(rest / beside[-1])
    found, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    # sum_k P_k(t) w_j P_k(t_j), with P_k(t_j) = vectors[k, j] / vectors[0, j]
    interpolation = np.zeros((len(measure), count))
    interpolation[steps] = (np.array(basis) / start).T @ (vectors * vectors[0])
    return GramRule(half * found + middle, total * vectors[0] ** 2, interpolation)


def _polynomials(x: Floats, steps: int, count: int) -> Floats:
    """P_0 ... P_{count-1} at x = t - (T - 1)/2, orthonormal over steps, (count, len(x))."""
    rows = [np.full(len(x), steps**-0.5)]
    before, b = np.zeros(len(x)), 0.0
    for k in range(1, count):
        after = k / 2 * np.sqrt((steps**2 - k**2) / (4 * k**2 - 1.0))
        rows.append((x * rows[-1] - b * before) / after)
        before, b = rows[-2], after
    return np.array(rows)


def interpolate(values: Floats, at: Floats, points: int = 10) -> Floats:
    """Rows values[0 ... T] at real times, by the polynomial through the `points` nearest steps;
    exact at whole steps.

    Args:
        values: (T + 1, d), one row a step.
        at: times in [0, T], (R,).
        points: nearest steps used, all where there are fewer. For a sequence that changes by a
            factor 1 - x a step the error is about x^points of it.

    Returns:
        (R, d).
    """
    found = []
    for time in at:
        start, weights = nearest_weights(len(values), float(time), points)
        found.append(weights @ values[start : start + len(weights)])
    return np.array(found)


def nearest_weights(length: int, time: float, points: int = 10) -> tuple[int, Floats]:
    """The first of the nearest of the steps 0 ... length - 1, and the weights that they have in the
    polynomial through them at a real time.

    Example:
        >>> start, weights = nearest_weights(5, 1.5, points=2)
        >>> start, weights.tolist()
        (1, [0.5, 0.5])
    """
    count = min(points, length)
    start = min(max(round(time) - count // 2, 0), length - count)
    distance = time - np.arange(start, start + count)
    if (hit := np.flatnonzero(distance == 0)).size:
        return start + int(hit[0]), np.ones(1)
    barycentric = _alternating_binomials(count) / distance
    return start, barycentric / barycentric.sum()


def _alternating_binomials(count: int) -> Floats:
    """(-1)^i C(count - 1, i): barycentric weights of equidistant points."""
    row = np.ones(count)
    for i in range(1, count):
        row[i] = -row[i - 1] * (count - i) / i
    return row
