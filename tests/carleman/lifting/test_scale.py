"""One change of units: the same answers, another matrix."""

import numpy as np
import pytest
import torch

import qdescent as qd
from qdescent.carleman.lifting.coordinates import Coordinates
from qdescent.carleman.lifting.linearization import LiftedMap
from qdescent.carleman.lifting.operator import carleman_operator
from qdescent.linalg.polynomial_field import PolynomialField
from qdescent.linalg.polynomial_map import PolynomialMap

SCALES = (1e-6, 0.03, 7.0, 1e5)


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def random_map(seed, n=2, degree=3, kind=PolynomialMap):
    draw = [
        torch.randn(n, n**k, generator=generator(10 * seed + k), dtype=torch.float64)
        for k in range(degree + 1)
    ]
    return kind([0.1 * draw[0], 0.4 * draw[1], *(0.1 * F for F in draw[2:])])


def solved(system):
    Z = torch.linalg.solve_triangular(system.matrix.to_dense(), system.rhs[:, None], upper=False)
    return Z[:, 0]


def the_same(x, y):
    torch.testing.assert_close(x, y, rtol=1e-11, atol=1e-13 * float(y.abs().max()))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("form", ["homogenised", "plain"])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("make", [random_map, lambda seed: random_map(seed).with_momentum(0.5)])
def test_histories_answer_in_the_users_units(scale, form, symmetric, make):
    f = make(1)
    u0 = 0.1 * torch.ones(f.size, dtype=torch.float64)
    found = [
        qd.history_system(qd.carleman_linearize(f, 3, form, symmetric, unit), u0, 4, 2)
        for unit in (1.0, scale)
    ]
    plain, scaled = (solved(system) for system in found)
    assert found[1].scale == scale
    assert float((plain - scaled).abs().max()) > 1e-3 * float(plain.abs().max())  # other monomials
    the_same(found[1].extract(scaled), found[0].extract(plain))
    the_same(found[1].trajectory(scaled), found[0].trajectory(plain))
    assert found[1].end_probability(scaled) == pytest.approx(
        found[1].success_probability, rel=1e-10
    )
    u, lift = u0, qd.carleman_linearize(f, 3, form, symmetric, scale)
    z = lift.lift(u0)
    for _ in range(4):
        z, u = lift.step(z), f(u)
    the_same(lift.project(z), found[0].extract(plain))


@pytest.mark.parametrize("kind", [PolynomialMap, PolynomialField])
@pytest.mark.parametrize("form", ["homogenised", "plain"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_matrix_and_operator_are_those_of_the_rescaled_map(kind, form, symmetric):
    f = random_map(2, kind=kind)
    z = torch.randn(
        Coordinates(2, 3, form, symmetric).dimension, generator=generator(0), dtype=torch.float64
    )
    for scale in SCALES:
        lift = qd.carleman_linearize(f, 3, form, symmetric, scale)
        operator = carleman_operator(f, 3, form, symmetric, scale)
        twin = qd.carleman_linearize(f.rescaled(scale), 3, form, symmetric)
        torch.testing.assert_close(lift.to_sparse(), twin.to_sparse(), rtol=1e-13, atol=0)
        torch.testing.assert_close(lift.offset, twin.offset, rtol=1e-13, atol=0)
        torch.testing.assert_close(operator @ z, twin.to_sparse() @ z, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(operator.offset, twin.offset, rtol=1e-12, atol=1e-300)
        u = f64([0.3, -0.2])
        the_same(operator.project(operator.lift(u)), u)


def test_fresh_maps_every_step():
    maps, u0 = [random_map(seed) for seed in (3, 4, 5)], f64([0.2, -0.1])
    answers = []
    for scale in (1.0, *SCALES):
        lifts = [qd.carleman_linearize(f, 2, scale=scale) for f in maps]
        system = qd.history_system(lifts, u0, padding=1)
        answers.append(system.extract(solved(system)))
    for answer in answers[1:]:
        the_same(answer, answers[0])
    mixed = [qd.carleman_linearize(f, 2, scale=k + 1.0) for k, f in enumerate(maps)]
    with pytest.raises(qd.ArgumentError, match="`f` must have the same n, order, form, coord"):
        qd.history_system(mixed, u0)


@pytest.mark.parametrize("form", ["homogenised", "plain"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_a_forced_equation(form, symmetric):
    terms = random_map(6, kind=PolynomialField).coefficients
    field = PolynomialField(terms, lambda t: torch.tensor([0.2 * np.cos(3 * t), 0.1]))
    u0 = f64([0.2, -0.1])
    paths = [
        qd.carleman_linearize(field, 3, form, symmetric, scale).integrate(u0, 0.05, 10)
        for scale in (1.0, *SCALES)
    ]
    for path in paths[1:]:
        the_same(path, paths[0])
    lift = qd.carleman_linearize(field, 3, form, symmetric, 7.0)
    steps = [lift.euler_step(0.05, 0.05 * t) for t in range(10)]
    system = qd.history_system(steps, u0)
    the_same(system.trajectory(solved(system)), paths[0])


@pytest.mark.parametrize("solver", [qd.Direct(), qd.KernelReflection(epsilon=1e-6)])
def test_solvers_answer_in_the_users_units(solver):
    f = random_map(7, degree=2)
    system = qd.history_system(
        qd.carleman_linearize(f, 2, scale=0.2), torch.zeros(2).double(), 3, 1
    )
    found = qd.solve(system, solver)
    assert found.solved
    path = qd.history_system(qd.carleman_linearize(f, 2), torch.zeros(2).double(), 3)
    torch.testing.assert_close(
        found.answer, path.extract(solved(path)), rtol=1e-4, atol=1e-6 * found.answer.abs().max()
    )


def test_a_lift_of_other_units_is_caught():
    """The planted fault: monomials of u where the matrix is that of u / gamma."""
    f, u0 = random_map(1), f64([0.1, 0.1])
    right = qd.carleman_linearize(f, 2, scale=4.0)
    wrong = LiftedMap(right.rows, right.offset, Coordinates(2, 2, "homogenised"))
    answer, other = (lift.project(lift.step(lift.lift(u0))) for lift in (right, wrong))
    the_same(
        answer,
        qd.carleman_linearize(f, 2).project(
            qd.carleman_linearize(f, 2).step(qd.carleman_linearize(f, 2).lift(u0))
        ),
    )
    assert float((answer - other).norm() / answer.norm()) > 0.1


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf"), 1e-120, 1e120, True])
@pytest.mark.parametrize("lift", [qd.carleman_linearize, carleman_operator])
def test_refused_scales(scale, lift):
    with pytest.raises(qd.ArgumentError, match="Argument `scale` must be "):
        lift(random_map(1), 2, scale=scale)


def test_monomials_and_coefficients_stay_numbers():
    f = random_map(1)
    with pytest.raises(qd.ArgumentError, match="`scale` must be from 1e-25 to 1e.25"):
        qd.carleman_linearize(f, 5, scale=1e-30)  # u~^5 would be lost
    large = PolynomialMap([f64([0.1]), f64([[0.5]]), f64([[1e250]])])
    with pytest.raises(qd.ArgumentError, match="`scale` must leave every coefficient gamma"):
        qd.carleman_linearize(large, 2, scale=1e80)
