"""What the controller chooses besides lengths and orders: the engine, shots and entries; the window
that it reports; and that no true descent is asked.
"""

import itertools
import math

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.train.settings import TrainSettings
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.quantum.readout.expected import expected_error
from qdescent.rows import names
from qdescent.training import segment as segment_module
from qdescent.training.a_posteriori import check as check_module
from qdescent.training.hybrid import train_hybrid
from qdescent.training.rounds.download import fewest_shots
from qdescent.training.schedule import AdaptiveSchedule, Schedule


def adaptive(**settings):
    usual = {"tolerance": 1e-2, "orders": (2,), "steps": 60, "learning_rate": 0.005, "shots": None}
    return AdaptiveSchedule(**(usual | settings))


def test_the_cheaper_engine_is_taken(small_conv):
    """Long segments of small steps are forwarded; a fresh batch a step is not."""
    space = ParameterSpace(small_conv.task.network)
    runs = {
        engine: train_hybrid([small_conv.task], space, adaptive(engine=engine), beside=False)
        for engine in ("cheapest", "series", "fast-forward")
    }
    assert {each.engine for each in runs["cheapest"].rounds} == {"fast-forward"}
    assert max(each.truncation[-1] for each in runs["cheapest"].rounds) < 1e-2
    spent = {name: sum(r.gradients for r in run.rounds) for name, run in runs.items()}
    assert spent["cheapest"] == spent["fast-forward"] < spent["series"]
    fresh = adaptive(engine="cheapest", fresh_batches=True, steps=6)
    assert {r.engine for r in train_hybrid([small_conv.task], space, fresh).rounds} == {"series"}
    short = adaptive(engine="cheapest", steps=2, learning_rate=0.02)
    assert {r.engine for r in train_hybrid([small_conv.task], space, short).rounds} == {"series"}
    for kind in (Schedule, Settings, TrainSettings):
        with pytest.raises(ArgumentError, match="Argument `engine` must be one of"):
            kind(engine="cheapest")
        if kind is not Schedule:
            assert kind(engine="cheapest", tolerance=0.01).schedule.engine == "cheapest"


@pytest.mark.parametrize(
    "rule",
    [
        {"weight_decay": 5.0},
        {"momentum": 0.9, "weight_decay": 0.3, "learning_rate": 0.002},
        pytest.param({"weight_decay": 0.3}, marks=pytest.mark.slow),
        pytest.param(
            {"momentum": 0.9, "nesterov": True, "learning_rate": 0.002}, marks=pytest.mark.slow
        ),
        pytest.param(
            {"momentum": 0.5, "weight_decay": 0.3, "decoupled": True}, marks=pytest.mark.slow
        ),
    ],
)
def test_the_tolerance_is_kept_by_every_rule(small_conv, seventeen, rule):
    for twin in (small_conv, seventeen):
        space = ParameterSpace(twin.task.network)
        for tolerance in (1e-2, 1e-3):
            schedule = adaptive(tolerance=tolerance, steps=24, patience=24, **rule)
            run = train_hybrid([twin.task], space, schedule, beside=False)
            assert max(each.truncation[-1] for each in run.rounds) < tolerance
            assert max(each.steps for each in run.rounds) > 2


def test_a_controller_that_forgets_the_decay_is_caught(seventeen, monkeypatch):
    """Its check of the gradient without the decay sees an error in every step: segments of one."""
    space = ParameterSpace(seventeen.task.network)
    whole, schedule = check_module.step_residual, adaptive(weight_decay=5.0, patience=60)

    def forgetful(task, space, theta, step, velocity, rule):
        plain = type(rule)(rule.learning_rate, rule.momentum)
        return whole(task, space, theta, step, velocity, plain)

    right = train_hybrid([seventeen.task], space, schedule, beside=False)
    monkeypatch.setattr(check_module, "step_residual", forgetful)
    wrong = train_hybrid([seventeen.task], space, schedule, beside=False)
    assert max(r.steps for r in wrong.rounds) < max(r.steps for r in right.rounds) / 2


@pytest.mark.parametrize("shape", ["flat", "sparse", "heavy", "steep"])
@pytest.mark.parametrize("error", [0.3, 0.03])
def test_no_other_number_of_entries_needs_fewer_shots(shape, error):
    g = torch.Generator().manual_seed(1)
    x = torch.randn(400, generator=g, dtype=torch.float64)
    x = {
        "flat": torch.ones(400, dtype=torch.float64),
        "sparse": x * (torch.arange(400) < 20) + 1e-6,
        "heavy": x.abs() ** 4,
        "steep": 0.9 ** torch.arange(400, dtype=torch.float64),
    }[shape]
    shots, m = fewest_shots(x, error)
    assert expected_error(x, shots, m).number == pytest.approx(error, rel=0.02)
    for other in {max(1, m // 2), min(400, m + 30), min(400, 2 * m), 400}:
        assert float(expected_error(x, int(0.9 * shots), other).number) > error * 0.98


def test_the_readout_costs_what_its_error_asks_for(small_conv):
    space, shots = ParameterSpace(small_conv.task.network), []
    for error in (0.2, 0.05, 0.0125):
        run = train_hybrid(
            [small_conv.task], space, Schedule(2, 4, 6, 0.01, read_error=error), beside=False
        )
        assert math.sqrt(
            sum(r.readout_error**2 for r in run.rounds) / len(run.rounds)
        ) == pytest.approx(error, rel=0.3)
        assert all(r.readout_expected == pytest.approx(error, rel=0.1) for r in run.rounds)
        shots.append(sum(r.shots for r in run.rounds))
    assert all(6 < after / before < 30 for before, after in itertools.pairwise(shots))
    assert run.rounds[0].entry_share > 0.5
    with pytest.raises(ArgumentError, match="`largest` must be None where `read_error`"):
        Schedule(read_error=0.1, largest=3)


def window_case(steps=12, **settings):
    """A loss that is steep at first, and a quadratic bowl after: x + log(1 + e^(9 (1 - x)))."""
    one = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        one.weight.fill_(0.0)
    x = torch.ones(1, 1, dtype=torch.float64)

    def loss(o, t):
        return (0.05 * (o - 3) ** 2 + nn.functional.softplus(9 * (1 - o)) / 9).sum()

    task = Task(one, loss, (x, x))
    return train_hybrid(
        [task], ParameterSpace(one), adaptive(steps=steps, learning_rate=0.5, **settings)
    )


def test_the_window_opens_where_the_curvature_no_longer_changes():
    run = window_case(steps=40, patience=40)
    window = run.window
    assert 0 < window.first < window.last == 40
    assert "truncation error of step 2" in window.opens or "radius" in window.opens
    assert window.closes == ""
    assert window.longest > 5
    assert [each.steps for each in run.rounds[: window.first]] == [1] * window.first
    assert {row.name for row in window.rows} >= {
        names.WINDOW_FIRST,
        names.WINDOW_LAST,
        names.WINDOW_CLOSES,
    }


def test_the_window_closes_with_a_reason(small_conv):
    """A rate that is raised in the third round: segments of that rate are refused."""
    space = ParameterSpace(small_conv.task.network)
    schedule = adaptive(steps=24, longest=8, learning_rate=(0.005, 0.005, 0.9), tolerance=1e-3)
    run = train_hybrid([small_conv.task], space, schedule)
    assert run.window.first == 0
    assert run.window.opens == ""
    assert run.window.last == sum(each.steps for each in run.rounds) < 24
    assert run.window.closes == run.stopped != ""
    free = adaptive(steps=16, round_cost=0.0)
    assert train_hybrid([small_conv.task], space, free).window.first is None  # descent is cheaper


def test_nothing_is_decided_by_the_true_descent(small_conv, monkeypatch):
    space = ParameterSpace(small_conv.task.network)
    schedule = adaptive(orders=(2, 3), steps=12, learning_rate=0.02, shots=10**7)
    seen = train_hybrid([small_conv.task], space, schedule)
    blind = train_hybrid([small_conv.task], space, schedule, watch=False, beside=False)
    assert torch.equal(blind.theta, seen.theta)
    monkeypatch.setattr(
        segment_module, "displacements", lambda *a, **k: itertools.repeat((0.0, torch.ones(82)))
    )
    misled = train_hybrid([small_conv.task], space, schedule)
    assert torch.equal(misled.theta, seen.theta)


def test_the_budget_adds_up(small_conv):
    space = ParameterSpace(small_conv.task.network)
    schedule = Schedule(2, 5, 3, 0.02, 10**5, largest=0.3, engine="fast-forward")
    run = train_hybrid([small_conv.task], space, schedule, dense=space)
    rows = {row.name: row for row in run.budget}
    for r, each in enumerate(run.rounds):
        noise, unread = (rows[f"budget/{k}_by_round"].value[r] for k in ("shot_noise", "unread"))
        assert math.hypot(noise, unread) == pytest.approx(each.readout_error, rel=0.25)
        assert rows["budget/solver_by_round"].value[r] < 1e-3
    assert rows["gradients/sparse"].value == rows["gradients/dense"].value == (5, 10, 15)
    assert rows["gradients/hybrid"].value[-1] == sum(each.gradients for each in run.rounds)
