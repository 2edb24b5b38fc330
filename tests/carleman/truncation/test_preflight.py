"""What is promised before lifting is kept by the lift; what cannot be promised says why."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.carleman.truncation import theorems
from qdescent.carleman.truncation.bound import MOST
from qdescent.carleman.truncation.map_bounds import map_error_bounds
from qdescent.carleman.truncation.preflight import preflight
from qdescent.linalg.polynomial_field import PolynomialField
from qdescent.linalg.polynomial_map import PolynomialMap


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


def scalar_map(*coefficients):
    return PolynomialMap([f64([[c]]) for c in coefficients])


def named(found, name):
    return next(bound for bound in found.bounds if bound.name == name)


def map_error(f, u0, steps, order, form):
    lift = carleman_linearize(f, order, form)
    z = lift.lift(u0)
    for _ in range(steps):
        z = lift.step(z)
    return float((lift.project(z) - f.iterate(u0, steps)[-1]).norm())


def field_error(f, u0, time, order):
    lift = carleman_linearize(f, order, "plain")
    D = lift.dimension
    whole = np.zeros((D + 1, D + 1))
    whole[:D, :D], whole[:D, D] = lift.to_sparse().to_dense().numpy(), lift.offset.numpy()
    end = scipy.linalg.expm(time * whole) @ np.append(lift.lift(u0).numpy(), 1.0)
    u, h = u0, time / 200
    for _ in range(200):
        k1 = f(u)
        k2 = f(u + h / 2 * k1)
        k3 = f(u + h / 2 * k2)
        u = u + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(u + h * k3))
    return float(np.linalg.norm(end[: len(u)] - u.numpy()))


def random_map(seed, pull):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=generator)  # noqa: E731
    F1 = 0.6 * torch.eye(2).double() + 0.2 * draw(2, 2)
    return PolynomialMap([pull * draw(2), F1, 0.1 * draw(2, 4), 0.05 * draw(2, 8)]), 0.2 * draw(2)


@pytest.mark.parametrize("pull", [0.0, 0.03])
@pytest.mark.parametrize("seed", range(6))
def test_promises_for_a_map_are_kept(seed, pull):
    f, u0 = random_map(seed, pull)
    found = preflight(f, u0, steps=6)
    assert {bound.name for bound in found.bounds if bound.applies} >= {"norm series"}
    for bound in found.bounds:
        for form in ("plain", "homogenised") if bound.form == "either" else (bound.form,):
            for N in (1, 2, 3):
                assert map_error(f, u0, 6, N, form) <= bound.errors[N - 1] * (1 + 1e-9) + 1e-14
        assert list(bound.errors) == sorted(bound.errors, reverse=True)
        assert bound.applies or min(bound.errors) == math.inf
    if pull:
        assert {bound.form for bound in found.bounds} == {"plain", "homogenised"}


@pytest.mark.parametrize(
    ("forcing", "F1", "applying"),
    [
        (0.0, [[-1.0, 0.5], [-0.5, -1.2]], {"log-norm", "best rescaling", "Lyapunov norm"}),
        (0.0, [[-1.0, 0.0], [0.0, -2.0]], {"R-number", "log-norm", "best rescaling"}),
        (0.0, [[-1.0, 3.0], [0.0, -1.2]], {"log-norm", "Lyapunov norm"}),
        (0.05, [[-1.0, 0.3], [0.3, -1.2]], {"best rescaling"}),
        (0.001, [[-1.0, 3.0], [0.0, -1.2]], {"Lyapunov norm"}),
    ],
)
def test_promises_for_an_equation_are_kept(forcing, F1, applying):
    f = PolynomialField(
        [forcing * torch.ones(2).double(), f64(F1), f64([[0.2, 0, 0, 0.1], [0.1, -0.2, 0, 0]])]
    )
    u0 = f64([0.15, -0.1])
    found = preflight(f, u0, steps=1.0)
    assert {bound.name for bound in found.bounds if bound.applies} - {"power series"} == applying
    for N in (1, 2, 3):
        error = field_error(f, u0, 1.0, N)
        assert all(error <= bound.errors[N - 1] * (1 + 1e-9) + 1e-10 for bound in found.bounds)
        assert found.best(N).applies


def test_the_order_it_names_reaches_the_error_and_the_one_below_is_not_promised():
    f, u0 = scalar_map(0, 0.9, 0.1), f64([0.5])
    for error in (1e-1, 1e-3, 1e-6):
        found = preflight(f, u0, steps=10, error=error)
        N = found.order
        assert map_error(f, u0, 10, N, "plain") <= error
        assert N == 1 or min(bound.errors[N - 2] for bound in found.bounds) > error
        # here the series is the error itself
        assert map_error(f, u0, 10, N - 1, "plain") > error if N > 1 else True
    assert preflight(f, u0, steps=10, error=1e-300).order is None


def test_reasons():
    u0 = f64([0.5])
    found = preflight(scalar_map(0, 1.1, -0.1), u0, steps=40)
    assert "||F_1|| = 1.1 is not below 1" in named(found, "uniform in time (R_d)").reason
    assert found.order is None
    assert "no bound promises this" in str(found)
    assert found.best(2) is None
    assert preflight(scalar_map(0, 1.1, -0.1), u0, steps=3).best(2).name == "norm series"
    assert (
        "it overflows"
        in named(preflight(scalar_map(0, 3.0, 1.0), u0, steps=60), "norm series").reason
    )

    two = f64([0.3, 0.4])
    defective = PolynomialField(
        [torch.zeros(2).double(), f64([[0, 1], [-1, -2]]), f64([[0, 0, 0, 1], [1, -2.2, 0, 0]])]
    )
    found = preflight(defective, two, steps=1.0)
    assert (
        "R = 1.208 is not below 1; F_1 is not normal: mu(F_1) = 0 > Re lambda_1 = -1"
        in named(found, "R-number").reason
    )
    assert named(found, "log-norm").time == pytest.approx(1 / (0.5 * math.sqrt(5.84)))
    assert "bounds it only until t = 0.8276" in named(found, "log-norm").reason
    forced = PolynomialField(
        [torch.ones(2).double(), -torch.eye(2).double(), 0.1 * torch.ones(2, 4).double()]
    )
    found = preflight(forced, two, steps=1.0)
    assert "F_0 is not zero" in named(found, "log-norm").reason
    assert "best gamma" in named(found, "best rescaling").reason


def test_momentum_is_promised_in_a_lyapunov_norm():
    f = scalar_map(0, 0.8, 0.02).with_momentum(0.9)
    found = preflight(f, f64([0.05, 0.0]), steps=100)
    assert not named(found, "uniform in time (R_d)").applies
    assert named(found, "norm series").order_for(0.01) is None
    for name in ("norm series, Lyapunov norm", "uniform in time, Lyapunov norm"):
        assert named(found, name).order_for(0.01) is not None
    for N in (1, 2, 3):
        assert map_error(f, f64([0.05, 0.0]), 100, N, "plain") <= found.best(N).errors[N - 1]


@pytest.mark.parametrize("pull", [0.0, 0.03])
def test_a_map_for_each_step(pull):
    """SGD: each step its own coefficients, here also of different degrees; the last one twice as
    strong as the others.
    """
    maps, u0 = [random_map(seed, pull)[0] for seed in range(5)], f64([0.1, -0.2])
    maps[2] = PolynomialMap(maps[2].coefficients[:3])
    maps[4] = PolynomialMap([2 * F for F in maps[4].coefficients])
    found = preflight(maps, u0, steps=5)
    for N in (1, 2, 3):
        for form in ("plain", "homogenised"):
            u, z = u0, carleman_linearize(maps[0], N, form).lift(u0)
            for g in maps:
                lift = carleman_linearize(g, N, form)
                u, z = g(u), lift.step(z)
            error = float((u - lift.project(z)).norm())
            asked = [bound for bound in found.bounds if bound.form in (form, "either")]
            assert all(error <= bound.errors[N - 1] * (1 + 1e-9) + 1e-14 for bound in asked)
    strongest = PolynomialMap(
        [maps[4].coefficients[0], *(10 * F for F in maps[4].coefficients[1:])]
    )
    assert (
        preflight([*maps[:4], strongest], u0, steps=5).bounds[0].errors[0]
        > 5 * found.bounds[0].errors[0]
    )
    with pytest.raises(
        ArgumentError,
        match="Argument `f` must be one map, or one for each of the 6 steps, but is 5 maps.",
    ):
        preflight(maps, u0, steps=6)


def test_a_large_system_is_spared_dense_coordinates(monkeypatch):
    monkeypatch.setattr(theorems, "DENSE_LIMIT", 3)
    f, u0 = random_map(0, 0.0)
    assert (
        "dense in other coordinates"
        in named(preflight(f, u0, 3), "norm series, Lyapunov norm").reason
    )


def test_it_prints_a_table_and_gives_rows_with_evidence():
    found = preflight(scalar_map(0, 0.9, 0.1), f64([0.5]), steps=10, orders=(1, 4))
    text = str(found).splitlines()
    assert text[0] == (
        "truncation error after 10 steps (on the way it may be larger), at most 0.01 wanted: order"
        " 3 reaches it"
    )
    assert text[1].split() == ["N", "=", "1", "N", "=", "4", "order"]
    assert text[2].split() == ["norm", "series", "9.23e-02", "2.60e-03", "3"]
    rows = {row.name: row for row in found.rows()}
    row = rows["preflight/norm series/order 4"]
    assert row.value == map_error_bounds([0, 0.9, 0.1], 0.5, 10, MOST)[-1, 3]
    assert row.evidence is Evidence.BOUNDED
    assert "map_bounds" in row.source
    assert rows["preflight/uniform in time (R_d)/R"].value == pytest.approx(0.5)
    assert rows["preflight/norm series/order needed"].value == 3


def test_errors():
    f, u0 = scalar_map(0, 0.9, 0.1), f64([0.5])
    with pytest.raises(
        ArgumentError,
        match=r"Argument `orders` must be one or more integers from 1 to 32, but is \(33,\)",
    ):
        preflight(f, u0, 3, orders=(33,))
    with pytest.raises(
        ArgumentError, match="Argument `steps` must be an integer of at least 1, but is 2.5"
    ):
        preflight(f, u0, 2.5)
    with pytest.raises(ArgumentError, match=r"Argument `u0` must have shape \(1,\)"):
        preflight(f, f64([0.5, 0.5]), 3)
    with pytest.raises(ArgumentError, match=r"Argument `error` must be in \(0, inf\)"):
        preflight(f, u0, 3, error=0.0)
    field = PolynomialField(
        [F.reshape(1, -1) for F in f.coefficients], forcing=lambda t: torch.ones(1)
    )
    with pytest.raises(ArgumentError, match="Argument `f` must be autonomous"):
        preflight(field, u0, 3.0)


def test_the_error_is_that_at_the_end_and_on_the_way_it_may_be_larger():
    """u' = -u + u^2/2 shrinks: what its lift of order 2 loses is largest early."""
    field = PolynomialField([[0.0], [[-1.0]], [[0.5]]])
    u0, end = torch.tensor([0.6], dtype=torch.float64), 2.5
    found = preflight(field, u0, steps=end, error=0.006)
    lift = carleman_linearize(field, order=2, form="plain")
    A, start = lift.to_sparse().to_dense(), lift.lift(u0)

    def missed(t):
        truth = 0.6 * math.exp(-t) / (1 - 0.3 * (1 - math.exp(-t)))
        return abs(float((torch.linalg.matrix_exp(A * t) @ start)[0]) - truth)

    stated = found.best(2).errors[1]
    assert missed(end) <= stated <= 0.006 < missed(0.85)
    assert found.order == 2
    assert "after time 2.5 (on the way it may be larger)" in str(found)
    there = preflight(field, u0, steps=0.85).best(2).errors[1]
    assert missed(0.85) <= there * (1 + 1e-12)  # equal but for rounding
