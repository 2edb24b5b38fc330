"""Bounds for maps against the errors of explicit linearisations: 1,000 instances each, which
violate the wrong variants.
"""

import math

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.carleman.truncation import map_bounds
from qdescent.carleman.truncation.map_bounds import (
    descent_number,
    map_error_bounds,
    map_number,
    uniform_error_bounds,
)
from qdescent.carleman.truncation.norms import change_coordinates, coefficient_norm, map_coordinates
from qdescent.linalg.polynomial_map import PolynomialMap

MAPS, STARTS = 125, 8  # 1,000 instances: a map with eight starts, since lifting it costs the most


def measured(coefficients, starts, steps, order, form="homogenised"):
    """||u_t - u_N(t)|| of the explicit truncated matrix, (starts, T + 1)."""
    lift = carleman_linearize(
        PolynomialMap([torch.from_numpy(F) for F in coefficients]), order, form
    )
    A, b, u = lift.to_sparse().to_dense().numpy(), lift.offset.numpy(), starts
    z, errors = (
        np.stack([lift.lift(torch.from_numpy(u0)).numpy() for u0 in starts]),
        [np.zeros(len(starts))],
    )
    for _ in range(steps):
        powers = [np.ones((len(u), 1))]
        for _ in coefficients[1:]:
            powers.append((powers[-1][:, :, None] * u[:, None]).reshape(len(u), -1))
        u = sum(power @ F.T for F, power in zip(coefficients, powers, strict=True))
        z = z @ A.T + b
        errors.append(np.linalg.norm(u - z[:, : u.shape[1]], axis=1))
    return np.stack(errors, 1)


def instances(rng, forced):
    """(F_0, F_1, ...), eight u_0, T, N; one map in four is a positive number: the norm series is
    then the error itself.
    """
    for i in range(MAPS):
        scalar = i % 4 == 0
        n, degree = 1 if scalar else int(rng.integers(1, 3)), int(rng.integers(2, 4))
        sizes = np.array([0.2 * forced, 1.1, 0.4, 0.4])[: degree + 1] * rng.random(degree + 1)
        F = [size * rng.standard_normal((n, n**k)) / n ** (k / 2) for k, size in enumerate(sizes)]
        starts = 0.4 * rng.standard_normal((STARTS, n))
        if scalar:
            F, starts = [np.abs(G) for G in F], np.abs(starts)
        yield F, starts, int(rng.integers(1, 6)), int(rng.integers(1, 4))


def norms_of(F):
    return np.array([np.linalg.norm(G, 2) for G in F])


def holds(errors, bounds):
    # the measured error has rounding of its own
    return bool((errors <= bounds * (1 + 1e-10) + 1e-13 * (1 + errors)).all())


@pytest.mark.parametrize(
    ("form", "forced"),
    [
        ("homogenised", True),
        ("plain", False),
        pytest.param("homogenised", False, marks=pytest.mark.slow),
        pytest.param("plain", True, marks=pytest.mark.slow),
    ],
)
def test_norm_series_holds_and_its_wrong_variants_do_not(form, forced):
    rng = np.random.default_rng(2 * forced + (form == "plain"))
    violated = {"order one too high": 0, "F_2 halved": 0, "F_0 forgotten": 0, "one step too few": 0}
    tight = 0
    for F, starts, T, N in instances(rng, forced):
        a = norms_of(F)
        for u0, errors in zip(starts, measured(F, starts, T, N, form), strict=True):
            start = float(np.linalg.norm(u0))
            bounds = map_error_bounds(a, start, T, N + 1, form)
            assert holds(errors, bounds[:, N - 1])
            tight += errors[-1] > 0.999 * bounds[-1, N - 1] > 1e-9
            violated["order one too high"] += not holds(errors, bounds[:, N])
            violated["F_2 halved"] += not holds(
                errors, map_error_bounds(a * [1, 1, 0.5, 1][: len(a)], start, T, N, form)[:, -1]
            )
            violated["F_0 forgotten"] += not holds(
                errors, map_error_bounds(a * (np.arange(len(a)) > 0), start, T, N, form)[:, -1]
            )
            violated["one step too few"] += not holds(errors[1:], bounds[:-1, N - 1])
    if not forced:
        assert violated.pop("F_0 forgotten") == 0
    assert min(violated.values()) > 50, violated
    assert tight > 100


def test_series_against_the_composed_polynomial_itself():
    """f o f o f multiplied out by NumPy; F_0 as a second variable, set equal to the first."""
    a = np.array([0.3, 0.7, 0.2, 0.1])
    g = np.polynomial.Polynomial([0.0, 0.4])
    for _ in range(3):
        g = a[0] * np.polynomial.Polynomial([0.0, 1.0]) + a[1] * g + a[2] * g**2 + a[3] * g**3
    found = map_error_bounds(a, 0.4, steps=3, order=6)[-1]
    np.testing.assert_allclose(found, [g.coef[N + 1 :].sum() for N in range(1, 7)], rtol=1e-12)


def test_published_errors_of_the_discrete_map():
    """oracles.md; a one-dimensional map with positive coefficients loses exactly what its norms
    say.
    """
    found = map_error_bounds([0, 0.9, 0.1], 0.5, steps=10, order=8)[-1, [0, 1, 3, 7]]
    np.testing.assert_allclose(
        found, [9.225776e-2, 2.917393e-2, 2.595810e-3, 1.585670e-5], rtol=1e-6
    )


def test_small_bounds_keep_their_digits():
    """Where f(z) minus a partial sum would leave rounding, the carried tail is right: c_k(1) = a_k
    and z^5 = 1e-25.
    """
    found = map_error_bounds([0, 0.9, 0.1, 0, 0, 0.5], 1e-5, steps=1, order=4)[-1, 3]
    assert found == pytest.approx(0.5e-25, rel=1e-13)
    assert (0.9e-5 + 0.1e-10 + 0.5e-25) - (0.9e-5 + 0.1e-10) == 0  # planted: the subtraction


def test_forms_agree_without_a_pull_and_a_map_may_change_from_step_to_step():
    a = [0, 0.8, 0.3, 0.1]
    both = [map_error_bounds(a, 0.7, 6, 4, form) for form in ("plain", "homogenised")]
    np.testing.assert_allclose(*both, rtol=1e-12, atol=1e-15)
    steps = np.array([[0.1, 0.8, 0.3], [0.0, 1.1, 0.2], [0.2, 0.5, 0.4]])
    rng = np.random.default_rng(0)
    signs = np.concatenate([np.ones((1, 3, 3)), rng.choice([-1, 1], (20, 3, 3))])
    for form in ("plain", "homogenised"):
        bound = map_error_bounds(steps, 0.5, 3, 2, form)[-1, 1]
        worst = 0.0
        for F in signs * steps:
            lifts = [
                carleman_linearize(
                    PolynomialMap([torch.tensor([[x]], dtype=torch.float64) for x in one]), 2, form
                )
                for one in F
            ]
            u = torch.tensor([0.5], dtype=torch.float64)
            z = lifts[0].lift(u)
            for one, lift in zip(F, lifts, strict=True):
                u, z = one[0] + one[1] * u + one[2] * u**2, lift.step(z)
            worst = max(worst, float((u - z[:1]).abs()))
        assert 0.999 * bound < worst <= bound * (1 + 1e-12)  # all signs positive is the worst


def test_overflow_and_linear_maps():
    assert np.isinf(map_error_bounds([0, 2.0, 1.0], 10.0, 40, 3)[-1]).all()
    assert np.isinf(map_error_bounds([1.0, 2.0, 1.0], 10.0, 40, 3, "plain")[-1]).all()
    for form in ("plain", "homogenised"):
        assert not map_error_bounds([1.0, 0.5], 2.0, 10, 3, form).any()
    assert not uniform_error_bounds([1.0, 0.5], 2.0, 3).any()
    assert map_number([0, 1.0, 0.1], 0.1) == math.inf
    assert np.isinf(uniform_error_bounds([0, 1.0, 0.1], 0.1, 2)).all()


def cubic_loss(rng, n):
    """Gradient descent on lambda u^2/2 + T_3 u^3/6: F_1 = 1 - eta lambda, F_2 = -eta T_3/2, 0 < eta
    lambda <= 1; eight starts.
    """
    curvatures, eta = rng.uniform(0.05, 1.0, n), rng.uniform(0.2, 1.0)
    T3 = rng.standard_normal((n, n, n))
    T3 = (
        sum(
            T3.transpose(order)
            for order in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
        )
        / 6
    )
    starts, R = rng.standard_normal((STARTS, n)), rng.uniform(0.05, 0.999, STARTS)
    if n == 1:
        T3, starts = -np.abs(T3), np.abs(starts)
    third = np.linalg.norm(T3.reshape(n, -1), 2)
    starts *= (R * 2 * curvatures.min() / third / np.linalg.norm(starts, axis=1))[:, None]
    F = [np.zeros((n, 1)), np.eye(n) - eta * np.diag(curvatures), -eta / 2 * T3.reshape(n, -1)]
    return F, starts, float(curvatures.min()), float(third), R


def test_gradient_descent_number_holds_at_all_times_and_its_wrong_variant_does_not():
    rng = np.random.default_rng(5)
    violated = 0
    for i in range(MAPS):
        F, starts, least, third, numbers = cubic_loss(rng, 1 if i % 4 == 0 else 2)
        N, a = int(rng.integers(1, 4)), norms_of(F)
        for u0, R, errors in zip(starts, numbers, measured(F, starts, 25, N), strict=True):
            start = float(np.linalg.norm(u0))
            assert descent_number(least, third, start) == pytest.approx(R, rel=1e-12)
            assert map_number(a, start) == pytest.approx(R, rel=1e-9)  # whatever eta
            assert holds(errors, uniform_error_bounds(a, start, N)[-1])
            assert holds(errors, start * R**N)
            # planted: ||T_3|| taken for half of it
            violated += not holds(errors, start * (R / 2) ** N)
    assert violated > 50


def test_uniform_bound_with_a_pull_holds_and_without_it_does_not():
    rng = np.random.default_rng(6)
    checked = violated = 0
    while checked < MAPS * STARTS:
        for F, starts, _, N in instances(rng, forced=True):
            a = norms_of(F)
            inside = [
                u0
                for u0 in starts
                if np.isfinite(uniform_error_bounds(a, float(np.linalg.norm(u0)), N)).all()
            ]
            if not inside:
                continue
            checked += len(inside)
            for u0, errors in zip(inside, measured(F, np.stack(inside), 40, N), strict=True):
                start = float(np.linalg.norm(u0))
                assert map_number(a, start) <= 1
                assert holds(errors, uniform_error_bounds(a, start, N)[-1])
                # planted: the pull forgotten
                violated += not holds(errors, uniform_error_bounds([0, *a[1:]], start, N)[-1])
    assert violated > 50


def test_uniform_bound_without_a_pull_is_closed_and_with_one_near_the_best_radius():
    np.testing.assert_allclose(
        uniform_error_bounds([0, 0.5, 0.25], 0.5, 3), [0.5 * 0.25**N for N in (1, 2, 3)], rtol=1e-14
    )
    # u_0 = 0, f = .5 w + .25 w^2: a_0/(w/2 - w^2/4) is least at w = 1, R = 4 a_0
    assert map_number([0.1, 0.5, 0.25], 0.0) == pytest.approx(0.4, rel=1e-6)


@pytest.mark.parametrize("beta", [0.5, 0.9])
def test_momentum_is_bounded_in_its_lyapunov_norm_alone(beta):
    """||F_1|| > 1 with a spectral radius below 1: the series in l_2 explodes, in ||S u|| it stays,
    and above the error.
    """
    plain = PolynomialMap(
        [torch.zeros(1).double(), torch.tensor([[0.9]]).double(), torch.tensor([[0.02]]).double()]
    )
    f = plain.with_momentum(beta)
    u0 = np.array([0.02, 0.0])
    F = [G.numpy() for G in f.coefficients]
    radius = np.abs(np.linalg.eigvals(F[1])).max()
    S = map_coordinates(f.coefficients[1], radius + 0.3 * (1 - radius))
    b = [coefficient_norm(G) for G in change_coordinates(f.coefficients, S)]
    assert norms_of(F)[1] > 1 > b[1]
    start = float((S @ torch.from_numpy(u0)).norm())
    for N in (1, 2, 3):
        bounds = map_error_bounds(b, start, 60, N)[:, -1]
        assert holds(measured(F, u0[None], 60, N)[0], bounds)
        assert map_error_bounds(norms_of(F), 0.02, 60, N)[-1, -1] > 30 * bounds[-1]


def test_errors():
    with pytest.raises(
        ArgumentError,
        match=r"Argument `norms` must have shape \(degree \+ 1,\) or \(3, degree \+ 1\)",
    ):
        map_error_bounds([[0, 1.0]], 1.0, 3, 2)
    with pytest.raises(ArgumentError, match="Argument `norms` must be finite and not negative"):
        map_error_bounds([0, -1.0], 1.0, 3, 2)
    with pytest.raises(
        ArgumentError, match="Argument `form` must be one of 'homogenised', 'plain'"
    ):
        map_error_bounds([0, 1.0], 1.0, 3, 2, "full")
    with pytest.raises(
        ArgumentError, match=r"Argument `start_norm` must be in \[0, inf\), but is -1"
    ):
        map_error_bounds([0, 1.0], -1, 3, 2)
    assert descent_number(0.0, 1.0, 0.1) == descent_number(-0.1, 1.0, 0.1) == math.inf


@pytest.mark.parametrize("form", ["homogenised", "plain"])
@pytest.mark.parametrize("norms", [[0.01, 0.8, 0.1], [0.0, 0.9, 0.3], [0.1, 1.5, 0.2]])
def test_bounds_that_rest_are_those_of_every_later_step(form, norms):
    """As of so many maps that are not known to be one."""
    found = map_error_bounds(norms, 0.1, 600, 3, form)
    each = np.tile(norms, (600, 1))
    each[-1, 0] += 1e-300  # another map, by a number that rounding drops
    np.testing.assert_array_equal(found, map_error_bounds(each, 0.1, 600, 3, form))


def test_a_million_steps_of_a_map_at_rest_take_no_time_and_others_are_refused(monkeypatch):
    assert np.isfinite(map_error_bounds([0.01, 0.5, 0.1], 0.1, 1_000_000, 2)).all()
    monkeypatch.setattr(map_bounds, "PATIENCE", 200)
    with pytest.raises(ArgumentError, match="`steps` must be at most 100,000 where the bounds"):
        map_error_bounds([0.01, 1.0, 0.0], 0.1, 1_000_000, 1)
    map_error_bounds([0.01, 1.0, 0.0], 0.1, 1000, 1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("largest", [1.0, np.nextafter(1.0, 0), 1 - 1e-15, np.nextafter(1.0, 2)])
def test_a_map_within_a_rounding_of_no_contraction_is_bounded_without_a_word_of_numpy(largest):
    norms = [0.3, largest, 0.3]
    assert map_number(norms, 0.5) == np.inf or map_number(norms, 0.5) > 1e6
    assert uniform_error_bounds(norms, 0.5, 4).tolist() == [np.inf] * 4
