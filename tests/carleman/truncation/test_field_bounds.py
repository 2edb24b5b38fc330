"""Bounds for equations against the errors of explicit linearisations (1,000 random instances each),
and published figures.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.carleman.truncation.field_bounds import (
    comparison_error_bound,
    comparison_time,
    field_norms,
    forced_error_bound,
    liu_error_bound,
    liu_number,
    rescaled_number,
)
from qdescent.carleman.truncation.norms import change_coordinates, field_coordinates
from qdescent.linalg.polynomial_field import PolynomialField

# 1,000 instances: a field with eight starts, since lifting it costs the most
FIELDS, STARTS = 125, 8
TIMES = np.linspace(0, 2, 5)[1:]


def f64(values):
    return torch.as_tensor(np.asarray(values), dtype=torch.float64)


def oracle_field():
    """oracles.md, "Bounds": F_1 has the double eigenvalue -1 and one eigenvector."""
    return [torch.zeros(2).double(), f64([[0, 1], [-1, -2]]), f64([[0, 0, 0, 1], [1, -2.2, 0, 0]])]


def truth(F0, F1, F2, starts):
    """u at TIMES by 1,200 classical Runge-Kutta steps of many fields at once, (fields, starts,
    times, n).
    """
    each = 300
    h, n = TIMES[0] / each, starts.shape[-1]
    F1, F2 = F1.transpose(0, 2, 1), F2.transpose(0, 2, 1)

    def rate(u):
        return (
            F0[:, None, :, 0]
            + u @ F1
            + (u[..., None] * u[..., None, :]).reshape(*u.shape[:2], n * n) @ F2
        )

    u, path = starts, []
    for _ in TIMES:
        for _ in range(each):
            k1 = rate(u)
            k2 = rate(u + h / 2 * k1)
            k3 = rate(u + h / 2 * k2)
            k4 = rate(u + h * k3)
            u = u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path.append(u)
    return np.stack(path, 2)


def truncated(F, starts, order):
    """u_N at TIMES by the matrix exponential of the plain form, (starts, times, n)."""
    lift = carleman_linearize(PolynomialField([f64(G) for G in F]), order, "plain")
    C, D = lift.to_sparse().to_dense().numpy(), lift.dimension
    whole = np.zeros((D + 1, D + 1))
    whole[:D, :D], whole[:D, D] = C, lift.offset.numpy()
    step = scipy.linalg.expm(TIMES[0] * whole)
    z = np.stack([np.append(lift.lift(f64(u0)).numpy(), 1.0) for u0 in starts])
    path = []
    for _ in TIMES:
        z = z @ step.T
        path.append(z[:, : starts.shape[1]])
    return np.stack(path, 1)


def fields(rng, kind):
    """(F_0, F_1, F_2), eight u_0 and N of one kind: "normal", "any", "lyapunov" (mu >= 0 > Re
    lambda_1) or "forced".

    One in four is a number with positive F_2, F_0 and u_0: there the comparison equation is the
    equation itself.
    """
    for i in range(FIELDS):
        n = 1 if i % 4 == 0 and kind != "lyapunov" else 2
        values = -rng.uniform(0.3, 2, n)
        rotation = np.linalg.qr(rng.standard_normal((n, n)))[0]
        F1 = rotation @ np.diag(values) @ rotation.T
        if kind == "lyapunov":
            F1 = (
                rotation
                @ (np.diag(values) + np.array([[0, rng.uniform(2, 4)], [0, 0]]))
                @ rotation.T
            )
        elif kind in ("any", "forced") and n == 2:
            F1 = (
                F1
                + rng.uniform(-1, 1) * np.array([[0, 1], [-1, 0]])
                + (kind == "any") * 0.3 * rng.standard_normal((2, 2))
            )
        F2 = rng.uniform(0.2, 1) * rng.standard_normal((n, n * n))
        # R = 1 at ||u_0|| = scale; forced, at .8 scale or more
        scale = -values.max() / np.linalg.norm(F2, 2)
        F0, starts = rng.standard_normal((n, 1)), rng.standard_normal((STARTS, n))
        F0 *= (kind == "forced") * -values.max() * scale * rng.uniform(0, 0.15) / np.linalg.norm(F0)
        starts *= (scale * rng.uniform(0.02, 0.999, STARTS) / np.linalg.norm(starts, axis=1))[
            :, None
        ]
        starts *= {"lyapunov": 0.15, "forced": 0.8}.get(kind, 1.0)
        if n == 1:
            F0, F2, starts = np.abs(F0), np.abs(F2), np.abs(starts)
        yield (F0, F1, F2), starts, int(rng.integers(1, 4))


def instances(kind, seed):
    """The norms of each instance, its measured errors at TIMES, its N, and itself."""
    made = list(fields(np.random.default_rng(seed), kind))
    for n in (1, 2):
        group = [one for one in made if one[1].shape[1] == n]
        if not group:
            continue
        paths = truth(
            *(np.stack([F[k] for F, _, _ in group]) for k in range(3)),
            np.stack([starts for _, starts, _ in group]),
        )
        for (F, starts, N), path in zip(group, paths, strict=True):
            errors = np.linalg.norm(path - truncated(F, starts, N), axis=2)
            tensors = [f64(G) for G in F]
            x = field_norms(tensors, f64(starts[0]))
            for u0, error in zip(starts, errors, strict=True):
                yield replace(x, start=float(np.linalg.norm(u0))), error, N, tensors, u0


def holds(errors, bounds):
    # Runge-Kutta and the exponential are good to 1e-11
    return bool((errors <= np.asarray(bounds) * (1 + 1e-9) + 1e-10).all())


def test_liu_and_comparison_bounds_hold_for_normal_fields_and_their_wrong_variants_do_not():
    violated = {"R^(N+1)": 0, "without 1/(1 - q)": 0, "one order too high": 0}
    for x, error, N, *_ in instances("normal", 1):
        assert x.normal
        assert x.rate == pytest.approx(x.abscissa)
        liu = np.array([liu_error_bound(x.start, x.abscissa, x.quadratic, N, t) for t in TIMES])
        sharp = np.array(
            [comparison_error_bound(x.start, x.rate, x.quadratic, N, t) for t in TIMES]
        )
        assert holds(error, sharp)
        assert (sharp <= liu * (1 + 1e-12)).all()  # so Liu et al.'s holds too
        R = liu_number(x.start, x.abscissa, x.quadratic)
        q = R * -np.expm1(x.rate * TIMES)
        violated["R^(N+1)"] += not holds(error, liu * R)
        violated["without 1/(1 - q)"] += not holds(error, sharp * (1 - q))
        violated["one order too high"] += not holds(
            error, [comparison_error_bound(x.start, x.rate, x.quadratic, N + 1, t) for t in TIMES]
        )
    assert min(violated.values()) > 50, violated


def test_log_norm_and_power_series_bounds_hold_for_any_field():
    """Where the solution grows in norm they end at a time, and still hold until then."""
    ended = 0
    for x, error, N, F, u0 in instances("any", 2):
        for norm in (x, field_norms(F, f64(u0), math.inf)):
            for rate in (norm.rate, norm.linear):
                bounds = [
                    comparison_error_bound(norm.start, rate, norm.quadratic, N, t) for t in TIMES
                ]
                # ||u||_2 <= sqrt n ||u||_inf
                assert holds(error / (1 if norm is x else len(u0) ** 0.5), bounds)
                ended += math.isinf(bounds[-1])
    assert ended > 50


def test_without_normality_re_lambda_is_no_rate_and_a_lyapunov_norm_is():
    violated = promised = 0
    for x, error, N, F, u0 in instances("lyapunov", 3):
        S = field_coordinates(F[1], 0.3 * x.abscissa)
        y = field_norms(change_coordinates(F, S), S @ f64(u0))
        assert y.rate < 0.3 * x.abscissa + 1e-9 < 0 <= x.rate + 1
        bounds = [comparison_error_bound(y.start, y.rate, y.quadratic, N, t) for t in TIMES]
        assert holds(error, bounds)
        promised += math.isfinite(bounds[-1])
        # planted
        violated += not holds(
            error, [comparison_error_bound(x.start, x.abscissa, x.quadratic, N, t) for t in TIMES]
        )
    assert violated > 50
    assert promised > 50


def test_forced_bound_holds_in_the_plain_form_and_its_wrong_variants_do_not():
    violated = {"the forcing forgotten": 0, "one order too high": 0}
    for x, error, N, *_ in instances("forced", 4):
        bound = forced_error_bound(x.start, x.rate, x.quadratic, x.forcing, N)
        assert math.isfinite(bound)
        assert holds(error, np.full(len(TIMES), bound))
        violated["the forcing forgotten"] += not holds(
            error, forced_error_bound(x.start, x.rate, x.quadratic, 0.0, N)
        )
        violated["one order too high"] += not holds(
            error, forced_error_bound(x.start, x.rate, x.quadratic, x.forcing, N + 1)
        )
    assert min(violated.values()) > 20, violated


def test_the_logistic_equation_loses_exactly_what_the_comparison_says():
    """oracles.md: a = -1, b = .5, x_0 = 1, t = 1, errors for N = 1, 2, 4, 8."""
    found = [comparison_error_bound(1.0, -1.0, 0.5, N, 1.0) for N in (1, 2, 4, 8)]
    np.testing.assert_allclose(
        found, [1.700034e-1, 5.373132e-2, 5.367442e-3, 5.356080e-5], rtol=1e-6
    )
    assert comparison_error_bound(0.5, 1.0, 1.0, 4, 2.0) == math.inf  # the diverging row, q = 3.19


def test_published_times_and_number():
    """oracles.md: the times are those of the l_inf norm, R that of l_2."""
    u0 = f64([0.1, 0.0])
    x = field_norms(oracle_field(), u0, math.inf)
    assert comparison_time(x.start, x.linear, x.quadratic) == pytest.approx(0.7797996887, abs=1e-10)
    assert comparison_time(x.start, x.rate, x.quadratic) == pytest.approx(
        math.log(4.125), abs=1e-13
    )
    x = field_norms(oracle_field(), u0)
    assert liu_number(x.start, x.abscissa, x.quadratic) == pytest.approx(
        0.2416609195, abs=1e-8
    )  # a defective eigenvalue: sqrt(eps)
    # planted: the l_2 norm
    assert comparison_time(x.start, x.linear, x.quadratic) != pytest.approx(0.7797996887, abs=1e-3)
    assert not x.normal
    with pytest.raises(
        ArgumentError,
        match=r"Argument `start_norm` must leave R = .* below 1, but is 0.5: R = 1.2083",
    ):
        liu_error_bound(0.5, x.abscissa, x.quadratic, 2, 1.0)


def burgers():
    """oracles.md: 16 points on [-1/2, 1/2], Re = 20, U_0 = 1/sqrt 15; the two walls stay at zero
    (here: decay by themselves).
    """
    m, U0 = 16, 1 / math.sqrt(15)
    x, dx = np.linspace(-0.5, 0.5, m), 1 / (m - 1)
    nu = U0 / 20
    F1 = np.zeros((m, m))
    F1[1:-1, 1:-1] = nu / dx**2 * (np.eye(m - 2, k=1) + np.eye(m - 2, k=-1) - 2 * np.eye(m - 2))
    F1[0, 0] = F1[-1, -1] = -2 * nu / dx**2
    F2 = np.zeros((m, m, m))
    for i in range(1, m - 1):
        F2[i, i + 1, i + 1], F2[i, i - 1, i - 1] = -1 / (4 * dx), 1 / (4 * dx)
    F0 = U0 * np.exp(-((x - 0.25) ** 2) / (2 / 32**2))  # at its largest, cos 2 pi t = 1
    F0[[0, -1]] = 0
    return [f64(F0), f64(F1), f64(F2.reshape(m, m * m))], f64(-U0 * np.sin(2 * math.pi * x))


def test_burgers():
    x = field_norms(*burgers())
    assert x.quadratic == pytest.approx(7.355889603, abs=1e-9)
    assert x.abscissa == pytest.approx(-0.126950967649, abs=1e-12)
    assert x.normal
    R = liu_number(x.start, x.abscissa, x.quadratic, x.forcing)
    assert pytest.approx(43.59302, abs=1e-5) == R
    assert liu_number(x.start, x.abscissa, x.quadratic) < 0.95 * R  # planted: the forcing forgotten
    # ||u_0|| is the larger
    assert rescaled_number(x.start, x.rate, x.quadratic, x.forcing)[0] == pytest.approx(R)
    assert forced_error_bound(x.start, x.rate, x.quadratic, x.forcing, 4) == math.inf


def test_the_best_gamma_is_the_best_of_many_and_where_the_forced_bound_begins():
    rng = np.random.default_rng(5)
    for _ in range(300):
        start, rate, quadratic, forcing = (
            rng.uniform(0, 2),
            -rng.uniform(0.1, 3),
            rng.uniform(0.1, 1),
            rng.uniform(0, 0.5),
        )
        R, gamma = rescaled_number(start, rate, quadratic, forcing)
        tried = np.append(gamma, np.geomspace(max(start, 1e-3), 10, 400))
        tried = tried[tried >= start]
        numbers = (tried * quadratic + forcing / tried) / -rate
        assert numbers.min() * (1 + 1e-12) >= R
        assert numbers[0] == pytest.approx(R)
        assert liu_number(start, rate, quadratic, forcing) * (1 + 1e-12) >= R
        assert math.isfinite(forced_error_bound(start, rate, quadratic, forcing, 3)) == (
            numbers.min() < 1
        )
        if R < 1:
            errors = [
                forced_error_bound(start, rate, quadratic, forcing, N) for N in (1, 4, 16, 400)
            ]
            assert errors == sorted(errors, reverse=True)
    assert liu_number(0.0, -1.0, 1.0, 0.1) == math.inf
    assert rescaled_number(0.0, -1.0, 1.0, 0.01) == pytest.approx((0.2, 0.1))
    assert rescaled_number(1.0, -1.0, 0.0, 0.1) == (0.0, math.inf)


def test_comparison_limits():
    assert (
        comparison_time(1.0, -1.0, 0.5)
        == comparison_time(1.0, -1.0, 1.0)
        == comparison_time(0.0, 1.0, 1.0)
        == math.inf
    )
    assert comparison_time(2.0, 0.0, 0.5) == 1.0
    near = [comparison_error_bound(1.0, rate, 0.5, 2, 0.7) for rate in (-1e-9, 0.0, 1e-9)]
    np.testing.assert_allclose(near, near[1], rtol=1e-8)
    assert comparison_error_bound(1.0, 1.0, 0.0, 1, 1e6) == 0.0  # linear: exact, whatever overflows
    assert liu_error_bound(0.5, -1.0, 1.0, 3, 100.0) == pytest.approx(
        forced_error_bound(0.5, -1.0, 1.0, 0.0, 3), rel=1e-12
    )


def test_errors():
    with pytest.raises(ArgumentError, match=r"Argument `rate` must be in \(-inf, 0\), but is 0.0"):
        liu_number(1.0, 0.0, 1.0)
    with pytest.raises(
        ArgumentError,
        match="Argument `coefficients` must be F_0, F_1 and at most F_2, but is 4 of them",
    ):
        field_norms([torch.zeros(1), *(torch.ones(1, 1) for _ in range(3))], torch.ones(1))
    with pytest.raises(
        ArgumentError, match="Argument `order` must be an integer of at least 1, but is 0."
    ):
        comparison_error_bound(1.0, -1.0, 0.5, 0, 1.0)
    with pytest.raises(ArgumentError, match=r"Argument `time` must be in \[0, inf\), but is -1"):
        comparison_error_bound(1.0, -1.0, 0.5, 1, -1)
