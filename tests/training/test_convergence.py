"""With perfect solver and readout the loop converges to descent as the order grows, at the rate
that the series has; what explodes ends it at the last good round; a partial download is what it
says.
"""

import itertools
import math

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.quantum.readout.tomography import Readout
from qdescent.training.hybrid import train_hybrid
from qdescent.training.rounds import download as download_module
from qdescent.training.schedule import AdaptiveSchedule, Schedule


def relative(x, y):
    return float((x - y).norm() / y.norm())


@pytest.fixture
def logistic():
    """x^2/2 - x^3/6 with slope: a map of degree two, f(u) = u - eta (g + h u - c u^2)."""
    one = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        one.weight.fill_(0.5)
    x = torch.ones(1, 1, dtype=torch.float64)
    return Task(one, lambda o, t: (o * o / 2 - o**3 / 6).sum(), (x, x))


@pytest.mark.parametrize("steps", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_the_error_falls_as_a_power_of_the_segments_length(seventeen, steps):
    """Homogenised order N is the Taylor polynomial of degree N of u(eps) that multiplies F_0 by
    eps. u_{k} after t steps goes with (eta t)^{k+1}, k >= 2, so that the relative error, u_{N+1}
    over u_1, goes with (eta t)^{N+1}: halving eta divides it by 2^{N+1}.
    """
    space = ParameterSpace(seventeen.task.network)
    for order in (1, 2, 3):
        errors = []
        for eta in (0.004, 0.002, 0.001):
            run = train_hybrid([seventeen.task], space, Schedule(order, steps, 1, eta, None))
            truth = seventeen.descend(seventeen.theta, eta, steps) - seventeen.theta
            errors.append(relative(run.theta - space.theta, truth))
        rates = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
        assert rates == pytest.approx([order + 1] * 2, abs=0.15)


def test_the_error_falls_geometrically_with_the_order(seventeen):
    """log error against N is a line, whose slope is log(c eta t): half of eta, log 2 steeper."""
    space, slopes = ParameterSpace(seventeen.task.network), []
    for eta in (0.02, 0.01):
        logs = []
        for order in (1, 2, 3, 4, 5):
            schedule = Schedule(order, 4, 3, eta, None)
            run = train_hybrid([seventeen.task], space, schedule, watch=False, beside=False)
            truth = seventeen.descend(seventeen.theta, eta, 12) - seventeen.theta
            logs.append(math.log(relative(run.theta - space.theta, truth)))
        slope = [b - a for a, b in itertools.pairwise(logs)]
        assert max(slope) < -1
        slopes.append(sum(slope) / len(slope))
    assert slopes[0] - slopes[1] == pytest.approx(math.log(2), abs=0.25)


def test_an_explosion_keeps_the_last_good_round(logistic):
    """Beyond x = 2 the cubic falls for ever: the third rate throws the weight there."""
    space = ParameterSpace(logistic.network)
    good = Schedule(2, 4, 2, (0.1, 0.1), None)
    truth = train_hybrid([logistic], space, good)
    bad = Schedule(2, 4, 4, (0.1, 0.1, 1e4, 0.1), None)
    run = train_hybrid([logistic], space, bad)
    assert torch.equal(run.theta, truth.theta)
    assert len(run.rounds) == 2
    assert run.stopped.startswith("Argument `")
    assert any(name in run.stopped for name in ("`segment`", "`learning_rate`"))
    with pytest.raises(ArgumentError, match="Argument `(segment|learning_rate)` must"):
        train_hybrid([logistic], space, Schedule(2, 4, 4, 1e4, None))


def test_a_readout_that_throws_the_weights_away_ends_the_run(seventeen, monkeypatch):
    space, whole = ParameterSpace(seventeen.task.network), download_module.read_out
    calls = []

    def wild(state, shots, seed, *rest):
        calls.append(whole(state, shots, seed, *rest))
        found = calls[-1]
        vector = found.vector * (1e9 if len(calls) == 3 else 1)
        return Readout(**(vars(found) | {"vector": vector}))

    monkeypatch.setattr(download_module, "read_out", wild)
    schedule = Schedule(2, 3, 5, 0.05, 10**5)
    run = train_hybrid([seventeen.task], space, schedule)
    assert len(run.rounds) == 2
    assert run.stopped.startswith("Argument `shots` must keep the loss from exploding")


@pytest.mark.parametrize("shots", [None, 10**7])
def test_a_partial_download_leaves_the_rest_at_the_pivot(small_conv, shots):
    space = ParameterSpace(small_conv.task.network)
    for largest in (8, 8 / 82):
        (found,) = train_hybrid(
            [small_conv.task], space, Schedule(2, 4, 1, 0.02, shots, largest=largest), seed=1
        ).rounds
        moved = found.theta != space.theta
        assert int(moved.sum()) == 8
        full = Schedule(2, 4, 1, 0.02, None)
        u = train_hybrid([small_conv.task], space, full).theta - space.theta
        assert set(moved.nonzero()[:, 0].tolist()) == set(u.abs().topk(8).indices.tolist())
        missing = 1 - float(u[moved].norm() / u.norm()) ** 2
        assert found.entry_share == pytest.approx(8 / 82)
        assert found.missing_share == pytest.approx(missing, abs=1e-12 if shots is None else 0.01)
        assert found.readout_error == pytest.approx(math.sqrt(missing), rel=0.05)
        assert found.readout_expected == pytest.approx(found.readout_error, rel=0.05)


@pytest.mark.parametrize("shots", [None, 10**7])
def test_as_many_are_read_as_the_progress_asks_for(small_conv, shots):
    space = ParameterSpace(small_conv.task.network)
    schedule = Schedule(2, 4, 1, 0.02, shots, unread=0.1)
    (found,) = train_hybrid([small_conv.task], space, schedule).rounds
    assert 0.07 < found.missing_share <= 0.105
    assert found.entry_share < 0.6


def test_a_planted_download_of_the_wrong_entries_is_seen(small_conv, monkeypatch):
    """The m largest of another vector: the measured error is far above the expected one."""
    space, whole = ParameterSpace(small_conv.task.network), download_module.read_out

    def wrong(state, shots, seed, largest, unread):
        other = whole(state.flip(0), shots, seed, largest, unread)
        return Readout(**(vars(other) | {"vector": torch.where(other.vector != 0, state, 0.0)}))

    schedule = Schedule(2, 4, 1, 0.02, 10**7, largest=20)
    right = train_hybrid([small_conv.task], space, schedule).rounds[0]
    monkeypatch.setattr(download_module, "read_out", wrong)
    found = train_hybrid([small_conv.task], space, schedule).rounds[0]
    assert right.readout_error < 1.1 * right.readout_expected
    assert found.readout_error > 1.3 * found.readout_expected


def test_errors(small_conv):
    space = ParameterSpace(small_conv.task.network)
    with pytest.raises(ArgumentError, match="`largest` must be at most the entries of the state"):
        train_hybrid([small_conv.task], space, Schedule(largest=83))
    train_hybrid([small_conv.task], space, Schedule(1, 1, 1, 0.01, largest=164, momentum=0.9))
    for settings, said in (
        ({"largest": 0}, "`largest` must be an integer of at least 1"),
        ({"largest": 1.5}, r"`largest` must be in \(0, 1\]"),
        ({"unread": 1.0}, r"`unread` must be in \[0, 1\)"),
        ({"unread": 0.1, "largest": 5}, "`largest` must be None where `unread`"),
        ({"shots": 0}, "`shots` must be an integer of at least 1"),
    ):
        for kind in (Schedule, AdaptiveSchedule):
            with pytest.raises(ArgumentError, match=said):
                kind(**settings)
