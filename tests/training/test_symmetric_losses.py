"""Losses whose symmetry makes terms of the series vanish: no segment stands on what its terms say
alone.
"""

import itertools

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.training.a_posteriori import check as check_module
from qdescent.training.a_posteriori.residual import error_from_residual
from qdescent.training.hybrid import train_hybrid
from qdescent.training.schedule import AdaptiveSchedule, Schedule

WAYS = {
    "plain": (0.05, 0.0, False),
    "momentum": (0.005, 0.9, False),
    "fresh batches": (0.05, 0.0, True),
}


class Weight(nn.Module):
    """Its output is w x."""

    def __init__(self, start=0.0):
        super().__init__()
        self.w = nn.Parameter(torch.full((1,), start, dtype=torch.float64))

    def forward(self, x):
        return self.w * x


def polynomial(*coefficients, start=0.0):
    """L(w) = sum_k c_k w^k, with the weight at `start`."""

    def loss(output, target):
        return sum(c * output.sum() ** k for k, c in enumerate(coefficients))

    network = Weight(start)
    data = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    return Task(network, loss, data), ParameterSpace(network)


def adaptive(way="plain", **settings):
    eta, beta, fresh = WAYS[way]
    usual = {
        "steps": 40,
        "learning_rate": eta,
        "momentum": beta,
        "fresh_batches": fresh,
        "shots": None,
    }
    return AdaptiveSchedule(**(usual | settings))


def one_power(power):
    """w/3 + w^2/2 + 20 w^power from w = 0: of all terms past u_1 the first that is not zero is
    u_{power-1}.
    """
    return [0.0, 0.3, 0.5, *[0.0] * (power - 3), 20.0]


@pytest.mark.parametrize("orders", [(2,), (1, 3)])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "power",
    [4, 5, pytest.param(6, marks=pytest.mark.slow), pytest.param(8, marks=pytest.mark.slow)],
)
def test_the_true_error_stays_below_the_tolerance(power, way, orders):
    task, space = polynomial(*one_power(power))
    run = train_hybrid([task], space, adaptive(way, orders=orders, steps=5 * power))
    assert len(run.rounds) > 1
    assert max(itertools.chain(*(each.truncation for each in run.rounds))) < 0.01


@pytest.mark.parametrize(("power", "missed"), [(4, 1.03), (6, 0.167), (8, 0.0177)])
def test_a_controller_that_looks_at_its_terms_alone_is_caught(power, missed, monkeypatch):
    monkeypatch.setattr(
        check_module, "step_residual", lambda *given: (torch.zeros_like(given[2]),) * 2
    )
    task, space = polynomial(*one_power(power))
    run = train_hybrid([task], space, adaptive(orders=(2,)))
    assert [each.steps for each in run.rounds] == [40]
    assert run.rounds[0].estimate[-1] < 1e-12
    assert run.rounds[0].truncation[-1] == pytest.approx(missed, rel=0.01)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("way", WAYS)
def test_a_fixed_schedule_says_its_error_too(way, order):
    eta, beta, fresh = WAYS[way]
    task, space = polynomial(*one_power(4))
    only = train_hybrid([task], space, Schedule(order, 6, 1, eta, None, beta, fresh)).rounds[0]
    pairs = [(e, t) for e, t in zip(only.estimate, only.truncation, strict=True) if t > 1e-9]
    assert len(pairs) > 2
    assert all(e is None or t / 3 < e < 30 * t for e, t in pairs)
    assert pairs[0][0] is not None


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_even_and_odd_losses_about_their_centre(start):
    """cosh-like (even) and sinh-like (odd) polynomials, from the centre and from beside it."""
    even, odd = [0.0, 0.0, 0.5, 0.0, 2.0, 0.0, 3.0], [0.0, 0.3, 0.0, 2.0, 0.0, 3.0]
    for coefficients in (even, odd):
        task, space = polynomial(*coefficients, start=start)
        run = train_hybrid([task], space, adaptive(orders=(2,), learning_rate=0.002))
        assert max(itertools.chain(*(each.truncation for each in run.rounds))) < 0.01


def test_a_saddle_and_a_minimum_stay_where_they_are():
    for coefficients in ([0.0, 0.0, -0.5, 0.0, 1.0], [0.0, 0.0, 0.5]):
        task, space = polynomial(*coefficients)
        run = train_hybrid([task], space, adaptive())
        assert float(run.theta) == 0
        assert {each.estimate[-1] for each in run.rounds} == {0.0}
        assert {each.truncation[-1] for each in run.rounds} == {0.0}
    task, space = polynomial(0.0, 0.0, -0.5, 0.0, 1.0, start=1e-6)  # beside the saddle
    run = train_hybrid(
        [task], space, adaptive(orders=(2,), steps=100, learning_rate=0.1, longest=100)
    )
    assert max(itertools.chain(*(each.truncation for each in run.rounds))) < 0.01


def test_batches_that_cancel_in_first_order_hide_nothing():
    """Two batches of opposite slope bring u_1 back to zero; what is left is of higher order, and no
    share of it is known.
    """
    task, space = polynomial(0.0, 0.3, 0.5, 2.0)
    x, y = task.data
    run = train_hybrid(
        [task, task.with_data((-x, y))] * 20,
        space,
        adaptive("fresh batches", orders=(2,), learning_rate=0.02),
    )
    assert max(itertools.chain(*(each.truncation for each in run.rounds))) < 0.01


def test_the_error_from_a_residual_is_exact_for_a_power():
    """d(s) = s^(N+1): the sum of what every step missed, with momentum each carried on."""
    order, steps, beta = 2, 7, 0.6
    missed = [float(s) ** (order + 1) for s in range(steps)]
    error = speed = 0.0
    for each in missed:
        speed = beta * speed + each
        error += speed
    assert error_from_residual(missed[-1], steps, order, beta) == pytest.approx(error, rel=1e-12)
    assert error_from_residual(1.0, 1, order) == 0
    assert error_from_residual(float("inf"), 2, order) == float("inf")


def test_what_cannot_be_reached_is_refused():
    task, space = polynomial(*one_power(4))
    with pytest.raises(
        ArgumentError,
        match="Argument `learning_rate` must let at least two steps meet the tolerance",
    ):
        train_hybrid([task], space, adaptive(orders=(2,), tolerance=1e-9))


def saddle(bend, curvature, pull=0.5):
    """A weight that moves, and one on a ridge, which feels the first by w_0^3 w_1 alone: no term of
    order 2 holds it.
    """

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(2, dtype=torch.float64))

        def forward(self, x):
            return x * self.w

    def loss(output, target):
        a, b = output[0]
        return -pull * a - curvature * b**2 / 2 + bend * a**3 * b

    network = Pair()
    data = torch.ones(1, 2, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    return Task(network, loss, data), ParameterSpace(network)


@pytest.mark.parametrize("beta", [0.0, 0.5])
@pytest.mark.parametrize(
    ("bend", "eta", "curvature"),
    [(1e-2, 0.2, 5.0), (1e-4, 0.2, 5.0), (1e-6, 0.5, 1.0), (1e-6, 1.0, 1.0)],
)
def test_an_error_that_a_divergent_mode_makes_grow_is_seen(bend, eta, curvature, beta):
    task, space = saddle(bend, curvature)
    settings = {"learning_rate": eta / (1 + beta), "momentum": beta}
    run = train_hybrid([task], space, adaptive(orders=(2,), steps=30, **settings))
    for each in run.rounds:
        assert max(each.truncation) < 0.01
        assert all(
            e >= t * 0.999 - 1e-14 for e, t in zip(each.estimate, each.truncation, strict=True)
        )


def test_an_error_that_is_not_carried_on_is_caught(monkeypatch):
    monkeypatch.setattr(check_module.CarriedError, "norm", 0.0)
    run = train_hybrid(
        [saddle(1e-6, 1.0)[0]], saddle(1e-6, 1.0)[1], adaptive(orders=(2,), learning_rate=1.0)
    )
    assert max(itertools.chain(*(each.truncation for each in run.rounds))) > 0.5
