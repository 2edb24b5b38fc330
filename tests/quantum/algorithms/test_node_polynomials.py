"""Polynomials of several nodes that share their queries: against every choice of each, and against
what they stand for.
"""

import itertools

import numpy as np
import pytest

from qdescent.quantum.algorithms.bounded_polynomials import DISTANCES, Shape
from qdescent.quantum.algorithms.node_polynomials import NodeSums, choices, choose_nodes, weighed

STEPS, SHIFT, SCALE = 60, 0.5, 0.6
WINDOW, TOLERANCE = (0.1, 1.0), 1e-3
POINTS = np.linspace(*WINDOW, 7)
# g at -1, ||g(A) f||, queries of the start, <f|f'>, ||F_0|| F_2
STARTS = [(1.0, 1.0, 0, 1.0, 0.02), (0.2, 0.5, 3, 0.9, 1.0), (0.05, 0.2, 9, 0.7, 1e-3)]


def sums(window, nodes=2, steps=STEPS):
    count, rule, missed = choose_nodes(steps, POINTS, 0.0, nodes)
    assert (count, missed > 1e-9) == (nodes, nodes < steps)
    return NodeSums(rule, steps, SHIFT, SCALE, POINTS, window, TOLERANCE * steps, TOLERANCE)


def every_choice(made, floor, length):
    """All that p/g, b_1/g, b_2/g, a_1 and a_2 may be."""
    b, a, tau = made.sizes
    shape = Shape(made.window, floor)
    first = choices(made.whole, np.array([made.allowed / length]), shape)
    inner = choices(made.sums[0], tau * b / length, shape)
    return itertools.product(*first, *inner, *choices(made.sums[1], tau * a, Shape(made.window)))


def cost(p, b, a, start):
    """Queries of a run times what it takes from the amplitudes."""
    _, length, queries, overlap, coupling = start
    first, node = weighed(length, overlap, coupling)
    lost = first * p.norm + node * sum(y.norm * x.norm**2 for x, y in zip(b, a, strict=True))
    inner, outer = max(x.degree for x in b), max(y.degree for y in (p, *a))
    return (2 * (queries + inner) + 1 + outer) * lost


@pytest.mark.parametrize("start", STARTS, ids=str)
@pytest.mark.parametrize("window", [None, WINDOW])
def test_no_other_choice_takes_fewer_queries(window, start):
    """All 3^5 of two nodes."""
    floor, length, queries, overlap, coupling = start
    made = sums(window)
    found = made.cheapest(floor, length, queries, weighed(length, overlap, coupling))
    taken = cost(found.first, found.inner, found.outer, start)
    assert taken == pytest.approx(found.queries * found.attenuation)
    every = [
        cost(five[0], five[1:3], five[3:], start) for five in every_choice(made, floor, length)
    ]
    assert len(every) in (1, (1 + len(DISTANCES)) ** 5)
    assert taken == pytest.approx(min(every))
    if window is not None:  # planted: the cut series of each
        assert every[0] > 2 * taken


@pytest.mark.parametrize("window", [None, WINDOW])
@pytest.mark.parametrize("nodes", [3, 12])
def test_they_stand_for_the_sum_over_all_steps(nodes, window):
    """sum_j a_j(x) b_j(y) b_j(z) against the steps, one by one, over g of a sharper start."""
    made, (floor, length) = sums(window, nodes), (0.3, 0.6)
    found = made.cheapest(floor, length, 3, (1.0, 1.0))
    s = (POINTS - SHIFT) / SCALE
    g = 1 - (1 - floor) * (1 - s) / 2
    inner = np.array([b(s) for b in found.inner]) * g
    outer = np.array([a(s) for a in found.outer])
    x, y, z = np.meshgrid(*3 * [np.arange(len(POINTS))], indexing="ij")
    summed = sum(a[x] * b[y] * b[z] for a, b in zip(outer, inner, strict=True))
    exact, moved = np.zeros(x.shape), np.zeros(len(POINTS))
    for _ in range(STEPS):  # u_2 <- y u_2 + u_1 u_1, u_1 <- 1 + y u_1
        exact = POINTS[x] * exact + moved[y] * moved[z]
        moved = 1 + POINTS * moved
    _, _, missed = choose_nodes(STEPS, POINTS, 0.0, nodes)
    off = np.abs(summed - exact).max()
    assert off <= missed + found.off + 1e-9
    assert found.off <= TOLERANCE
    assert np.abs(found.first(s) * g - moved).max() <= TOLERANCE * STEPS
    # planted: b_j not divided by g
    wrong = sum(a[x] * b[y] * b[z] for a, b in zip(outer, inner / g, strict=True))
    assert np.abs(wrong - exact).max() > 10 * (missed + found.off)


def test_before_the_first_step_there_is_no_node():
    """R = T: at t = 0 nothing has moved."""
    made = sums(None, 24, 24)
    assert len(made.rule.nodes) == 24
    assert len(made.cheapest(1.0, 1.0, 0, (1.0, 1.0)).inner) == 23


def test_nodes_that_vanish_on_the_spectrum_are_none():
    """Two steps of y = -1: their sum is 0."""
    count, rule, _ = choose_nodes(2, np.array([-1.0]), 0.0, 1)
    made = NodeSums(rule, 2, 0.0, 1.0, np.array([-1.0]), None, 1e-3, 1e-3)
    found = made.cheapest(1.0, 1.0, 0, (1.0, 1.0))
    assert (count, found.inner, found.outer, found.queries) == (1, (), (), 1)
