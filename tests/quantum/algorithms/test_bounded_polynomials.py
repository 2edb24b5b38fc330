"""Cut series of sums of powers: positive, bounded, and off by what was dropped."""

import math

import numpy as np
import pytest

from qdescent.quantum.algorithms.bounded_polynomials import (
    BoundedPolynomial,
    bounded,
    cut,
    supremum,
)
from qdescent.quantum.algorithms.power_sums import PowerSums, powers

GRID = np.linspace(-1, 1, 4001)


def mean_of_powers(y, steps):
    """By the closed form, where the sum has one."""
    y = np.asarray(y)
    near = np.abs(1 - y) < 1e-9
    safe = np.where(near, 0.5, y)
    return np.where(near, 1.0, (1 - safe**steps) / (steps * (1 - safe)))


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.8, 0.2), (0.3, 0.75)])
@pytest.mark.parametrize("steps", [1, 2, 7, 300])
def test_the_series_is_the_sum_and_positive(shift, scale, steps):
    c = PowerSums(np.full((1, steps), 1 / steps), shift, scale).series[0]
    whole = BoundedPolynomial(c, 0.0)
    exact = mean_of_powers(shift + scale * GRID, steps)
    np.testing.assert_allclose(whole(GRID), exact, atol=1e-12 * exact.max())
    assert c.min() >= -1e-14 * c.max()
    assert sum(c) == pytest.approx(float(mean_of_powers(shift + scale, steps)), rel=1e-12)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6])
@pytest.mark.parametrize("steps", [5, 64, 1000])
def test_a_cut_is_off_by_at_most_its_error_and_bounded(steps, tolerance):
    shift, scale = 0.4, 0.6
    c = PowerSums(np.full((1, steps), 1 / steps), shift, scale).series[0]
    p = cut(c, tolerance)
    off = np.abs(p(GRID) - mean_of_powers(shift + scale * GRID, steps)).max()
    assert off - 1e-13 <= p.error <= tolerance  # the closed form cancels near 1
    assert np.abs(p(GRID)).max() <= (1 + 1e-12) * p.norm <= 1 + 2e-12
    # Sachdeva and Vishnoi with laziness: the number of moves has the mean (T - 1) scale
    degree = math.ceil(math.sqrt(2 * (steps - 1) * math.log(2 / tolerance)))
    assert p.degree <= degree
    if p.degree > 1:  # planted: one coefficient less is off by more than is promised
        shorter = BoundedPolynomial(p.coefficients[:-1], p.error)
        exact = mean_of_powers(shift + scale * GRID, steps)
        assert np.abs(shorter(GRID) - exact).max() > p.error


def test_the_degree_grows_as_the_root_of_the_moves():
    """sqrt(T alpha): a shift to .8 takes the root of 5 off, an unshifted H would take T."""
    degrees = {}
    for steps in (64, 256, 1024):
        for shift in (0.0, 0.8):
            c = PowerSums(np.full((1, steps), 1 / steps), shift, 1 - shift).series[0]
            degrees[steps, shift] = cut(c, 1e-4).degree
    for shift in (0.0, 0.8):
        slope = math.log(degrees[1024, shift] / degrees[64, shift]) / math.log(16)
        assert 0.4 < slope < 0.6
    assert 1.8 < degrees[1024, 0.0] / degrees[1024, 0.8] < 2.6


def test_neutral_modes_inside_cost_the_steps():
    """With H itself encoded, y = 1 - 2 s, the sum is large inside the interval: Bernstein."""
    degrees = []
    for steps in (64, 128, 256):
        s = np.cos(np.pi * (np.arange(2 * steps) + 0.5) / (2 * steps))
        y = np.where(s > 0, 1 - 2 * s, 1.0)  # what any bounded polynomial may do for s < 0
        slope = np.gradient(mean_of_powers(y, steps), s)
        degrees.append(np.abs(slope).max())  # >= d forces degree >= d at s = 0
    assert degrees[2] / degrees[0] == pytest.approx(4, rel=0.1)


def test_suprema_and_lipschitz_constants_are_bounds():
    rng = np.random.default_rng(0)
    for degree in (1, 2, 9, 40):
        c = rng.standard_normal(degree + 1) / (1 + np.arange(degree + 1))
        p = BoundedPolynomial(c, 0.0)
        for half, norm in zip(p.halves, p.norms, strict=True):
            found = np.abs(BoundedPolynomial(half, 0.0)(GRID)).max()
            assert found <= norm <= 1.01 * found + 1e-12
        a, b = (m / np.linalg.norm(m, 2) for m in (_symmetric(rng), _symmetric(rng)))
        b = (a + 1e-3 * b) / np.linalg.norm(a + 1e-3 * b, 2)
        moved = np.linalg.norm(_of(p, a) - _of(p, b), 2)
        assert moved <= (1 + 1e-9) * p.lipschitz * np.linalg.norm(a - b, 2)
    # planted: the sum of |c_k| k is no bound where T_20 is steepest
    steep = BoundedPolynomial(np.eye(21)[20], 0.0)
    a, b = np.diag([1.0, 0.3]), np.diag([1.0 - 1e-6, 0.3])
    assert 20 < np.linalg.norm(_of(steep, a) - _of(steep, b), 2) / 1e-6 <= steep.lipschitz


def _symmetric(rng):
    m = rng.standard_normal((4, 4))
    return m + m.T


def _of(p, matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(p(np.clip(values, -1, 1))) @ vectors.T


def test_powers_in_blocks_are_horners():
    rng = np.random.default_rng(1)
    weights, y = rng.standard_normal((3, 700)), np.linspace(-1.01, 1.01, 11)
    exact = np.array([[np.polyval(w[::-1], each) for each in y] for w in weights])
    np.testing.assert_allclose(powers(weights, y), exact, rtol=1e-9, atol=1e-9)


def test_an_alternating_sum_is_bounded_by_its_values():
    """Where coefficients cancel the sum of their moduli is no use."""
    k = np.arange(41)
    c = np.where(k % 2, 0.0, (-1.0) ** (k // 2))  # sum |c| = 21, p(0) = 21, elsewhere small
    assert supremum(c) == pytest.approx(21)
    c = np.where(k % 2, 0.0, np.cos(k**2 / 9))
    found = np.abs(BoundedPolynomial(c, 0.0)(GRID)).max()
    assert found <= supremum(c) <= 1.01 * found
    assert supremum(c) < np.abs(c).sum()


@pytest.mark.parametrize("weights", [np.ones(120), np.linspace(-1, 2, 120)], ids=["sum", "signed"])
@pytest.mark.parametrize(("low", "top"), [(0.3, 1.0), (-0.1, 0.98)])
def test_a_window_bounds_what_the_eigenvalues_do_not_reach(weights, low, top):
    """y to 1.08, which no eigenvalue has: the cut series reaches 1e5 there, and succeeds never."""
    shift, scale, tolerance = 0.48, 0.6, 1e-4
    free, narrow = (
        bounded(weights, shift, scale, tolerance, window) for window in (None, (low, top))
    )
    y = shift + scale * GRID
    inside = (y >= low) & (y <= top)
    exact = np.polynomial.polynomial.polyval(y, weights)
    for p in (free, narrow):
        assert np.abs(p(GRID) - exact)[inside].max() <= p.error <= tolerance
        assert np.abs(p(GRID)).max() <= p.norm
    assert free.norm > 100 * narrow.norm
    assert narrow.degree * narrow.norm < free.degree * free.norm / 10
    # planted: the window is no promise beyond its end
    assert np.abs(narrow(GRID) - exact)[y > top + 0.03].max() > 1e3 * tolerance


def test_without_waste_a_window_changes_nothing():
    for shift, scale in ((0.5, 0.5), (0.5, 0.502)):
        p, q = (bounded(np.ones(60), shift, scale, 1e-6, w) for w in (None, (0.1, 1.0)))
        assert np.array_equal(p.coefficients, q.coefficients)
    nothing = bounded(np.zeros(5), 0.5, 0.6, 1e-6, (0.0, 1.0))
    assert nothing.norm == 0
