"""Quantum-emulated training with a perfect readout is plain descent as the order grows, and can be
cut between rounds.
"""

import itertools

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent._random import derived_seed
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.quantum.readout.tomography import read_out
from qdescent.solvers.series import series_descent
from qdescent.training.hybrid import train_hybrid
from qdescent.training.schedule import Schedule


def relative(x, y):
    return float((x - y).norm() / y.norm())


@pytest.mark.parametrize("order", [1, 2])
def test_a_quadratic_loss_is_plain_descent_to_rounding(regression, order):
    space = ParameterSpace(regression.task.network)
    run = train_hybrid(
        [regression.task],
        space,
        Schedule(order, segment=4, rounds=3, learning_rate=0.1, shots=None),
    )
    assert relative(run.theta, regression.descend(regression.theta, 0.1, 12)) < 1e-13
    # a step too few
    assert relative(run.theta, regression.descend(regression.theta, 0.1, 11)) > 1e-4
    for r in run.rounds:
        assert max(r.truncation) < 1e-12
        assert r.readout_error == 0
    assert torch.equal(run.theta, run.rounds[-1].theta)


def test_higher_orders_approach_descent_on_a_gelu_network(small_conv):
    space = ParameterSpace(small_conv.task.network)
    truth = small_conv.descend(small_conv.theta, 0.02, 12)
    runs = [
        train_hybrid([small_conv.task], space, Schedule(N, 4, 3, 0.02, None)) for N in (1, 2, 3, 4)
    ]
    errors = [relative(run.theta, truth) for run in runs]
    assert all(after < before / 3 for before, after in itertools.pairwise(errors))
    assert errors[-1] < 1e-4


def test_what_a_round_reports(seventeen):
    space = ParameterSpace(seventeen.task.network)
    schedule = Schedule(order=2, segment=3, rounds=1, learning_rate=0.2, shots=10**5)
    (found,) = train_hybrid([seventeen.task], space, schedule, seed=5).rounds
    assert (len(found.loss), len(found.truncation)) == (4, 3)
    assert found.loss[0] == pytest.approx(seventeen.loss(seventeen.theta).item(), rel=1e-13)
    for t in (1, 2, 3):
        u = series_descent(seventeen.task, space, 2, t, 0.2).value
        truth = seventeen.descend(seventeen.theta, 0.2, t) - seventeen.theta
        assert found.truncation[t - 1] == pytest.approx(relative(u, truth), rel=1e-8, abs=1e-14)
        assert sum(map(sum, found.gram[t - 1])) == pytest.approx(float(u.norm()) ** 2, rel=1e-12)
        assert found.loss[t] == pytest.approx(seventeen.loss(seventeen.theta + u).item(), rel=1e-12)
    read = read_out(u, 10**5, derived_seed(5, "round", 0)).vector
    torch.testing.assert_close(found.theta, seventeen.theta + read, rtol=1e-12, atol=1e-14)
    assert found.readout_error == pytest.approx(relative(read, u), rel=1e-9)
    assert 0 < found.readout_error < 0.1


def test_each_round_takes_its_own_batch(seventeen):
    x, y = seventeen.task.data
    tasks = [seventeen.task.with_data((x[:3], y[:3])), seventeen.task.with_data((x[3:], y[3:]))]
    space = ParameterSpace(seventeen.task.network)
    run = train_hybrid(
        tasks, space, Schedule(order=1, segment=1, rounds=2, learning_rate=0.1, shots=None)
    )
    theta = space.theta
    for task in tasks:  # one step of order 1 from an upload is one step of descent
        theta = theta - 0.1 * task.loss_and_gradient(space, theta)[1]
    torch.testing.assert_close(run.theta, theta, rtol=1e-13, atol=1e-15)
    swapped = train_hybrid(tasks[::-1], space, run.schedule)
    assert relative(swapped.theta, run.theta) > 1e-6


@pytest.mark.parametrize("shots", [None, 1000])
@pytest.mark.parametrize("cut", [1, 2])
def test_resumed_runs_end_in_the_same_bits(seventeen, shots, cut):
    space = ParameterSpace(seventeen.task.network)
    schedule, saved = Schedule(order=2, segment=2, rounds=3, learning_rate=0.2, shots=shots), []
    whole = train_hybrid([seventeen.task], space, schedule, seed=1, on_round=saved.append)
    assert len(saved) == 3
    torch.manual_seed(99)
    new = []
    resumed = train_hybrid(
        [seventeen.task], space, schedule, seed=1, done=saved[:cut], on_round=new.append
    )
    assert torch.equal(resumed.theta, whole.theta)
    assert len(new) == 3 - cut
    assert [r.truncation for r in resumed.rounds] == [r.truncation for r in whole.rounds]
    moved = 1.1 * space.theta
    with pytest.raises(ArgumentError, match="`done` must hold rounds that began with this network"):
        train_hybrid([seventeen.task], space, schedule, theta=moved, seed=1, done=saved[:cut])
    finished = train_hybrid([seventeen.task], space, schedule, seed=1, done=saved)
    assert torch.equal(finished.theta, whole.theta)
    if shots:
        assert not torch.equal(
            train_hybrid([seventeen.task], space, schedule, seed=2).theta, whole.theta
        )
        repeated = train_hybrid([seventeen.task], space, schedule, seed=1).rounds
        assert len({r.readout_error for r in repeated}) == 3  # each round draws its own shots


def test_more_shots_come_nearer(seventeen):
    space = ParameterSpace(seventeen.task.network)
    errors = [
        train_hybrid([seventeen.task], space, Schedule(2, 2, 1, 0.2, shots), seed=3)
        .rounds[0]
        .readout_error
        for shots in (10**2, 10**4, 10**6, 10**8)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 5e-4


def test_steps_are_counted_and_another_pivot_taken(regression):
    space, calls = ParameterSpace(regression.task.network), []
    theta = space.theta + 1
    run = train_hybrid(
        [regression.task], space, Schedule(1, 3, 2, 0.1, None), theta=theta,
        on_step=lambda: calls.append(1)
    )  # fmt: skip
    assert len(calls) == 6
    assert relative(run.theta, regression.descend(theta, 0.1, 6)) < 1e-13


def test_a_learning_rate_past_all_bounds_is_one_clear_error(seventeen):
    space = ParameterSpace(seventeen.task.network)
    with pytest.raises(
        ArgumentError,
        match="Argument `(segment|learning_rate)` must (stay within|keep the loss finite)",
    ):
        train_hybrid([seventeen.task], space, Schedule(3, 30, 1, 1e30, None))
    cubic = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        cubic.weight.fill_(1.0)
    one = torch.ones(1, 1, dtype=torch.float64)
    # flat far away: descent stays, its series does not
    task = Task(cubic, lambda o, t: torch.exp(-o * o).sum(), (one, one))
    with pytest.raises(
        ArgumentError, match="Argument `segment` must stay within the series' radius of convergence"
    ):
        train_hybrid([task], ParameterSpace(cubic), Schedule(6, 400, 1, 50.0, None))


def test_errors(seventeen):
    space = ParameterSpace(seventeen.task.network)
    for tasks in ([], [seventeen.task] * 2):
        with pytest.raises(
            ArgumentError, match="Argument `tasks` must hold 1 task or 3, one for each round"
        ):
            train_hybrid(tasks, space, Schedule(rounds=3))
    with pytest.raises(ArgumentError, match=r"must have shape \(17,\), but is of shape \(3,\)"):
        train_hybrid([seventeen.task], space, Schedule(), theta=torch.ones(3))
