"""The series form is the homogenised Carleman system's solution, to rounding."""

import itertools

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.carleman.history import history_system
from qdescent.carleman.linearization import carleman_linearize
from qdescent.learning.gradient_map import gradient_map
from qdescent.learning.masks import random_mask
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.solvers.classical import Direct
from qdescent.solvers.series import series_descent, series_steps
from qdescent.solvers.solve import solve

ETA = 0.1


def explicit(f, order, steps, form="homogenised"):
    lift = carleman_linearize(f, order, form)
    z = lift.lift(torch.zeros(f.size, dtype=torch.float64))
    for _ in range(steps):
        z = lift.step(z)
    return lift.project(z)


def relative(x, y):
    return float((x - y).norm() / y.norm())


@pytest.mark.parametrize("order", [1, 2, 3])
def test_series_is_the_explicit_homogenised_matrix(seventeen, order):
    space = ParameterSpace(seventeen.task.network)
    lift = carleman_linearize(gradient_map(seventeen.task, space, ETA, degree=order), order)
    z = lift.lift(torch.zeros(17, dtype=torch.float64))
    for steps in range(1, 5):
        z = lift.step(z)
        ours = series_descent(seventeen.task, space, order, steps, ETA)
        assert relative(ours.value, lift.project(z)) < 1e-12
        assert (ours.steps, ours.terms.shape) == (steps, (order, 17))
        if order > 1 and steps > 2:
            assert relative(ours.terms[:-1].sum(0), lift.project(z)) > 1e-4  # one order less


@pytest.mark.parametrize("order", [2, 3])
def test_masked_and_at_another_pivot(seventeen, order):
    space = ParameterSpace(seventeen.task.network, random_mask(seventeen.task.network, 0.4))
    theta = space.theta + 0.2
    f = gradient_map(seventeen.task, space, ETA, order, theta)
    ours = series_descent(seventeen.task, space, order, 4, ETA, theta).value
    assert relative(ours, explicit(f, order, 4)) < 1e-12
    assert relative(ours, explicit(f, order, 4, "plain")) > 1e-10  # another truncation, as F_0 is not zero


def test_the_history_system_gives_the_same(seventeen):
    full = ParameterSpace(seventeen.task.network)
    space = full.restrict(full.theta, torch.tensor([2, 9, 15]))
    f = gradient_map(seventeen.task, space, ETA, 2)
    system = history_system(carleman_linearize(f, 2), torch.zeros(3), steps=4, padding=2)
    ours = series_descent(seventeen.task, space, 2, 4, ETA)
    assert relative(ours.answer, solve(system, Direct()).answer) < 1e-12


def test_order_one_is_descent_on_the_quadratic_model(seventeen):
    """u_1(T) = -(I - (I - eta H)^T) H^+ g, here by the recursion with a dense H."""
    space = ParameterSpace(seventeen.task.network)
    g, H, u = seventeen.gradient(seventeen.theta), seventeen.hessian(seventeen.theta), torch.zeros(17).double()
    for _ in range(20):
        u = u - ETA * (g + H @ u)
    assert relative(series_descent(seventeen.task, space, 1, 20, ETA).value, u) < 1e-12
    assert relative(-20 * ETA * g, u) > 1e-2  # the gradient alone


@pytest.mark.parametrize("order", [1, 2, 4])
def test_exact_for_a_quadratic_loss(regression, order):
    space = ParameterSpace(regression.task.network)
    truth = regression.descend(regression.theta, 0.1, 30) - regression.theta
    assert relative(series_descent(regression.task, space, order, 30, 0.1).value, truth) < 1e-12


@pytest.mark.parametrize("name", ["seventeen", "small_conv"])
def test_higher_orders_come_nearer_to_descent_inside_the_radius(name, request):
    twin = request.getfixturevalue(name)
    space = ParameterSpace(twin.task.network)
    truth = twin.descend(twin.theta, 0.02, 5) - twin.theta
    found = [series_descent(twin.task, space, order, 5, 0.02) for order in (1, 2, 3, 4)]
    errors = [relative(s.value, truth) for s in found]
    assert all(after < before / 3 for before, after in itertools.pairwise(errors))
    for order, s in enumerate(found[1:], 1):  # the last term tells the size of the error one order below
        assert 0.2 < s.last_term / errors[order - 1] < 5


def test_beyond_the_radius_a_higher_order_is_worse(seventeen):
    space = ParameterSpace(seventeen.task.network)
    truth = seventeen.descend(seventeen.theta, 0.5, 20) - seventeen.theta
    errors = [relative(series_descent(seventeen.task, space, order, 20, 0.5).value, truth) for order in (1, 2, 3, 4)]
    assert errors == sorted(errors)
    assert errors[0] > 10


def test_steps_go_on_without_an_end(seventeen):
    space = ParameterSpace(seventeen.task.network)
    walk = series_steps(seventeen.task, space, space.theta, 2, ETA)
    for t, terms in enumerate(itertools.islice(walk, 4), 1):
        assert torch.equal(terms, series_descent(seventeen.task, space, 2, t, ETA).terms)


def test_errors(seventeen):
    space = ParameterSpace(seventeen.task.network)
    with pytest.raises(ArgumentError, match="Argument `order` must be at most 6 in series form, but is 7."):
        series_descent(seventeen.task, space, 7, 1, ETA)
    with pytest.raises(ArgumentError, match="Argument `order` must be an integer of at least 1"):
        series_descent(seventeen.task, space, 0, 1, ETA)
    with pytest.raises(ArgumentError, match="Argument `steps` must be an integer of at least 1"):
        series_descent(seventeen.task, space, 1, 0, ETA)
    with pytest.raises(ArgumentError, match=r"Argument `learning_rate` must be in \(0, inf\), but is nan."):
        series_descent(seventeen.task, space, 1, 1, float("nan"))
    relu = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    task = Task(relu, nn.functional.mse_loss, seventeen.task.data)
    with pytest.raises(ArgumentError, match="Argument `network` must be made of operations .* using 'relu'"):
        series_descent(task, ParameterSpace(relu), 2, 1, ETA)
