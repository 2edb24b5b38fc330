"""What a run may go on from: rounds of the same settings, for another call's would mix numbers."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from qdescent import (
    AdaptiveSchedule,
    ArgumentError,
    ParameterSpace,
    Pruning,
    Schedule,
    Task,
    train_hybrid,
)


@pytest.fixture(scope="module")
def quadratic():
    network = nn.Linear(3, 1, bias=False).double()
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, -0.5, 0.7]]))
    data = torch.eye(3, dtype=torch.float64), torch.zeros(3, 1, dtype=torch.float64)
    return Task(network, nn.functional.mse_loss, data), ParameterSpace(network)


BASE = {"order": 2, "segment": 2, "rounds": 3, "learning_rate": 0.1, "shots": 1000}
OTHERS = [
    ({"learning_rate": 0.2}, "learning_rate` was 0.1, here it is 0.2"),
    ({"learning_rate": (0.1, 0.2, 0.2)}, ""),  # the rounds that are done had the same rate
    ({"learning_rate": (0.3, 0.1, 0.1)}, "in round 0 `learning_rate` was 0.1, here it is 0.3"),
    ({"learning_rate": lambda r: 0.1 / (1 + (r == 0))}, "learning_rate` was 0.1, here it is 0.05"),
    ({"rate_schedule": "cosine"}, ""),  # which begins at the full rate
    ({"order": 1}, "order` was 2, here it is 1"),
    ({"segment": 1}, "segment` was 2, here it is 1"),
    ({"rounds": 7}, ""),
    ({"shots": 2000}, "shots` was 1000, here it is 2000"),
    ({"shots": None}, "shots` was 1000, here it is None"),
    ({"momentum": 0.5}, "momentum` was 0.0, here it is 0.5"),
    ({"weight_decay": 0.1}, "weight_decay` was 0.0, here it is 0.1"),
    ({"engine": "fast-forward"}, "engine` was 'series', here it is 'fast-forward'"),
    ({"engine_tolerance": 1e-6}, "engine_tolerance` was 0.001, here it is 1e-06"),
    ({"largest": 2}, "largest` was None, here it is 2"),
    ({"read_error": 0.1}, "read_error` was None, here it is 0.1"),
    ({"fresh_batches": True}, "fresh_batches` was False, here it is True"),
    ({"most_seconds": 7.0}, ""),
]


@pytest.mark.parametrize(("other", "sentence"), OTHERS)
def test_rounds_of_other_settings_are_refused_by_the_first_that_differs(quadratic, other, sentence):
    task, space = quadratic
    done = train_hybrid([task], space, Schedule(**BASE), seed=3).rounds[:1]
    schedule = Schedule(**BASE | other)
    if not sentence:
        whole = train_hybrid([task], space, schedule, seed=3)
        resumed = train_hybrid([task], space, schedule, seed=3, done=done)
        assert torch.equal(resumed.theta, whole.theta)
        return
    with pytest.raises(ArgumentError, match=r"`done` must hold rounds that were made") as refused:
        train_hybrid([task], space, schedule, seed=3, done=done)
    assert sentence in str(refused.value)


def test_another_seed_pruning_schedule_or_number_of_batches_is_refused(quadratic):
    task, space = quadratic
    schedule = Schedule(**BASE)
    done = train_hybrid([task], space, schedule, seed=3).rounds[:1]
    for given, sentence in (
        ({"seed": 4}, "`seed` was 3, here it is 4"),
        ({"pruning": Pruning(0.5)}, r"`pruning` was None, here it is \(0.5, 'magnitude', 0"),
        ({"tasks": [task] * 3}, "`tasks` was 1, here it is 'one a round'"),
        ({"schedule": AdaptiveSchedule(steps=6)}, "`schedule` was 'Schedule', here"),
    ):
        call = {"tasks": [task], "space": space, "schedule": schedule, "seed": 3} | given
        with pytest.raises(ArgumentError, match=sentence):
            train_hybrid(**call, done=done)
    with pytest.raises(ArgumentError, match="`settings` was|`schedule` was 'none'"):
        train_hybrid([task], space, schedule, seed=3, done=[replace(done[0], settings=())])


def test_an_adaptive_run_is_bound_to_its_tolerance_and_its_end(quadratic):
    task, space = quadratic
    given = {"steps": 6, "longest": 4, "learning_rate": 0.1, "shots": None}
    done = train_hybrid([task], space, AdaptiveSchedule(**given)).rounds[:1]
    for other in ({"tolerance": 0.1}, {"steps": 8}, {"orders": (2,)}, {"safety": 2.0}):
        with pytest.raises(ArgumentError, match=f"`{next(iter(other))}` was"):
            train_hybrid([task], space, AdaptiveSchedule(**given | other), done=done)


def test_a_pruned_run_goes_on_from_its_own_pivot_only(quadratic):
    task, space = quadratic
    schedule, law = Schedule(**BASE), Pruning(0.5)
    done = train_hybrid([task], space, schedule, pruning=law).rounds[:1]
    with pytest.raises(ArgumentError, match="`done` must hold rounds that began with this network"):
        train_hybrid([task], space, schedule, theta=2 * space.theta, pruning=law, done=done)


def test_a_function_of_rates_is_asked_before_the_first_round(quadratic):
    rates = iter(range(1, 99))
    for function, sentence in (
        (lambda r: 0.1 * (4 - r), "`learning_rate` must be in"),
        (lambda r: 0.1 * next(rates), "`learning_rate` must give a round the same rate"),
    ):
        with pytest.raises(ArgumentError, match=sentence):
            Schedule(rounds=6, learning_rate=function)
    # how many rounds an adaptive run has is not known: those before a bad rate stay
    task, _ = quadratic
    schedule = AdaptiveSchedule(
        steps=6, longest=3, orders=(2,), learning_rate=lambda r: 0.1 * (2 - r), shots=None,
        tolerance=1e-9,
    )  # fmt: skip
    task = Task(nn.Sequential(task.network, nn.Tanh()), task.loss, task.data)
    run = train_hybrid([task], ParameterSpace(task.network), replace(schedule, patience=9))
    assert len(run.rounds) == 2
    assert "`learning_rate` must be in (0, inf), but is 0.0" in run.stopped


def test_rounds_are_those_of_one_call_each_once_and_in_their_order(quadratic):
    task, space = quadratic
    first, second, third = train_hybrid([task], space, Schedule(**BASE), seed=3).rounds
    for done, where in (
        ((first, first), "round 0 in the place of round 1"),
        ((first, third), "round 2 in the place of round 1"),
        ((second,), "round 1 in the place of round 0"),
    ):
        with pytest.raises(
            ArgumentError, match=f"each once and in their order, but is with {where}"
        ):
            train_hybrid([task], space, Schedule(**BASE), seed=3, done=done)
