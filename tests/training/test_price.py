"""A price per shot: length, order, shots and entries of least work, and a tolerance that truncation
and readout share.
"""

import itertools
import math

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.experiment.train.settings import TrainSettings
from qdescent.learning.parallel.ranks import Ranks
from qdescent.learning.parallel.spread import Curve, Spread
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.quantum.readout.expected import expected_error
from qdescent.rows import names
from qdescent.solvers.series import SeriesSteps
from qdescent.training.descent import displacements
from qdescent.training.hybrid import train_hybrid
from qdescent.training.rounds.offer import offer
from qdescent.training.schedule import AdaptiveSchedule
from qdescent.training.tail import Tail

TOLERANCE, RATE, PRICES = 0.05, 0.02, (1e-7, 1e-3, 1e-2, 1.0)


def small_task(seed):
    g = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x, y = (torch.randn(16, k, generator=g, dtype=torch.float64) for k in (3, 2))
    return Task(network, nn.functional.mse_loss, (x, y))


def priced(**settings):
    usual = {
        "tolerance": TOLERANCE, "orders": (2, 3), "steps": 60, "longest": 60, "shots": None,
        "learning_rate": RATE, "round_cost": 20.0,
    }  # fmt: skip
    return AdaptiveSchedule(**(usual | settings))


def fewest(x, error):
    """By search over shots and entries, both on a grid; no formula of shots is asked."""
    best = math.inf
    for m in range(len(x) // 2, len(x) + 1, 4):
        low, high = 1.0, 1e9
        if expected_error(x, int(high), m).number > error:
            continue
        while high / low > 1.01:
            middle = math.sqrt(low * high)
            enough = expected_error(x, round(middle), m).number <= error
            low, high = (low, middle) if enough else (middle, high)
        best = min(best, 2 * high)
    return best


@pytest.mark.slow
def test_no_other_length_or_order_is_cheaper():
    """Every sixth end of each order is priced by hand."""
    task = small_task(0)
    space = ParameterSpace(task.network)
    prices = {price: {} for price in PRICES}
    longest = {}
    for order in (2, 3):
        whole = priced(orders=(order,), steps=40, longest=40)
        longest[order] = train_hybrid([task], space, whole, beside=False).rounds[0]
    walk = itertools.islice(SeriesSteps(task, space, space.theta, 3, RATE), 40)
    for t, terms in enumerate(walk, 1):
        for order, each in longest.items():
            if t % 6 != 2 or t > each.steps:
                continue
            left = TOLERANCE**2 - (3 * each.estimate[t - 1]) ** 2
            u = terms[:order].sum(0)
            shots = fewest(u, math.sqrt(left)) if left > 1e-12 else math.inf
            for price in PRICES:
                work = order * (order + 3) / 2 + (20.0 + price * shots) / t
                prices[price][order, t] = work
    chosen = []
    for price, ends in prices.items():
        schedule = priced(shot_cost=price, steps=40, longest=40)
        found = train_hybrid([task], space, schedule, beside=False, watch=False).rounds[0]
        work = schedule.work(found.order, found.steps, found.shots)
        assert work <= 1.02 * min(ends.values()), price
        chosen.append((found.order, found.steps, found.shots / found.steps))
    assert chosen[0][0] == 2  # where shots cost nothing, the order of fewer gradients
    assert all(a[2] >= 0.98 * b[2] for a, b in itertools.pairwise(chosen))
    assert chosen[0][2] > 1.5 * chosen[-1][2]


@pytest.mark.parametrize("order", [2, 3])
def test_where_shots_are_all_that_costs_the_best_length_is_in_closed_form(order):
    """The truncation goes with t^(N+1), shots with 1/(1 - (t/T)^(2N+2)), and their number a step is
    least at t = T (2N+3)^(-1/(2N+2)).
    """
    schedule = priced(shot_cost=1e6, round_cost=0.0, safety=1.0)
    ones, limit = torch.ones(order, 5000, dtype=torch.float64), 1000
    terms = Curve(ones, Spread(5000, Ranks()))

    def work(t):
        tail = Tail(TOLERANCE * (t / limit) ** (order + 1), 0.5)
        return offer(schedule, t, terms, None, RATE, tail).work

    best = min(range(2, limit), key=work)
    assert best == pytest.approx(limit * (2 * order + 3) ** (-1 / (2 * order + 2)), abs=1.5)
    assert offer(schedule, limit, terms, None, RATE, Tail(TOLERANCE, 0.5)).work == math.inf


def worst_shares(schedule, seeds=range(3), **wrong):
    """Root mean square of each round's whole error, over the tolerance."""
    found = []
    for seed in seeds:
        task = small_task(seed)
        space = ParameterSpace(task.network)
        run = train_hybrid([task], space, schedule, seed=seed, beside=False, watch=False)
        pivot, velocity = space.theta, None
        for each in run.rounds:
            walk = displacements(task, space, pivot, RATE, schedule.momentum, velocity=velocity)
            for _ in range(each.steps):
                _, u = next(walk)
            if each.shots:
                error = torch.linalg.vector_norm(each.theta - pivot - u)
                found.append(float(error / torch.linalg.vector_norm(u)) / TOLERANCE)
            pivot, velocity = each.theta, each.velocity
    return math.sqrt(sum(x**2 for x in found) / len(found))


@pytest.mark.parametrize(
    ("engine", "momentum"),
    [
        ("series", 0.5),
        ("fast-forward", 0.0),
        pytest.param("series", 0.0, marks=pytest.mark.slow),
        pytest.param("fast-forward", 0.5, marks=pytest.mark.slow),
    ],
)
def test_truncation_and_readout_together_keep_the_tolerance(engine, momentum):
    schedule = priced(shot_cost=1e-3, engine=engine, momentum=momentum, patience=60, steps=40)
    assert 0.4 < worst_shares(schedule) < 1.05


def test_a_readout_that_takes_the_whole_tolerance_is_caught(monkeypatch):
    whole = lambda self, tail, solver: 1.2 * self.tolerance  # noqa: E731
    monkeypatch.setattr(AdaptiveSchedule, "left_to_read", whole)
    assert worst_shares(priced(shot_cost=1e-3, steps=40)) > 1.05


def test_a_price_that_grows_with_the_segment_makes_it_shorter():
    """A solve costs as its steps do: then only uploads ask for long segments."""
    task = small_task(0)
    space = ParameterSpace(task.network)
    lengths = {}
    for name, price in {"flat": 1e-1, "by steps": lambda order, steps: 1e-1 * steps}.items():
        seen = []

        def asked(order, steps, price=price, seen=seen):
            seen.append((order, steps))
            return price(order, steps) if callable(price) else price

        schedule = priced(shot_cost=asked, steps=36, longest=36)
        run = train_hybrid([task], space, schedule, beside=False, watch=False)
        lengths[name] = run.rounds[0].steps
        assert {order for order, _ in seen} == {2, 3}
        total = next(row for row in run.rows if row.name == names.PRICE_BY_ROUND)
        each = run.rounds[0]
        paid = each.shots * asked(each.order, each.steps) + 20
        assert total.curve[0] == pytest.approx(
            each.steps * each.order * (each.order + 3) / 2 + paid
        )
    assert lengths["by steps"] < lengths["flat"]
    unpriced = train_hybrid([task], space, priced(steps=6), beside=False, watch=False)
    assert not any(row.name == names.PRICE_BY_ROUND for row in unpriced.rows)


def test_nothing_is_paid_for_shots_that_are_not_taken():
    """At a stationary point nothing moves, and nothing is read."""
    one = nn.Linear(1, 1, bias=False).double()
    data = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    task, space = Task(one, nn.functional.mse_loss, data), ParameterSpace(one)
    zero = torch.zeros(1, dtype=torch.float64)
    run = train_hybrid([task], space, priced(shot_cost=1e3, steps=8), theta=zero, beside=False)
    assert [(each.steps, each.shots) for each in run.rounds] == [(8, 0)]
    (prices,) = [row.curve for row in run.rows if row.name == names.PRICE_BY_ROUND]
    assert prices == (8 * 5 + 20.0,)


def test_a_tolerance_that_no_number_of_shots_reaches_is_said():
    task = small_task(0)
    space = ParameterSpace(task.network)
    for engine in ("series", "fast-forward"):
        schedule = priced(
            tolerance=1e-9, shot_cost=1e-3, learning_rate=1e-7, engine=engine,
            engine_tolerance=1e-10,
        )  # fmt: skip
        with pytest.raises(
            ArgumentError, match="leaves the readout of step .* no error that shots"
        ):
            train_hybrid([task], space, schedule, beside=False)


def test_what_a_price_chooses_is_not_given():
    for name in ("largest", "unread", "read_error"):
        with pytest.raises(ArgumentError, match=f"`{name}` must be None where `shot_cost` chooses"):
            AdaptiveSchedule(shot_cost=1.0, **{name: 0.1})
    for wrong in (0.0, -1.0, math.nan, math.inf, 1e308, "1", True, torch.ones(2)):
        with pytest.raises(ArgumentError, match="Argument `shot_cost` must"):
            AdaptiveSchedule(shot_cost=wrong)
    for wrong in (lambda: 1.0, lambda order: 1.0, lambda order, steps, shots: 1.0):
        with pytest.raises(ArgumentError, match="`shot_cost` must be .* that takes 2 arguments"):
            AdaptiveSchedule(shot_cost=wrong)
    with pytest.raises(ArgumentError, match=r"`shot_cost` must be in \[0, 1e\+200\], but is -1"):
        AdaptiveSchedule(shot_cost=lambda order, steps: -1).work(2, 3, 4)
    with pytest.raises(ArgumentError, match="`tolerance` must be above 0 where shots have a price"):
        TrainSettings(shot_cost=1.0)
    assert TrainSettings(shot_cost=1.0, tolerance=0.1).schedule.shot_cost == 1.0
