"""Segments with momentum and with a fresh batch a step: estimate against truth, the tolerance kept,
the velocity carried.
"""

import functools
import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.solvers.series import SeriesSteps
from qdescent.training.a_posteriori import check as check_module
from qdescent.training.descent import displacements
from qdescent.training.hybrid import train_hybrid
from qdescent.training.schedule import AdaptiveSchedule, Schedule
from qdescent.training.tail_estimate import estimate_tail

# eta, beta, fresh
WAYS = {
    "momentum": (0.02, 0.9, False),
    "fresh batches": (0.05, 0.0, True),
    "both": (0.02, 0.9, True),
}


def random_task(seed):
    g = torch.Generator().manual_seed(seed)
    network = nn.Sequential(
        nn.Linear(3, 5), (nn.GELU, nn.SiLU, nn.Tanh, nn.Softplus)[seed % 4](), nn.Linear(5, 3)
    ).double()
    with torch.no_grad():
        for w in network.parameters():
            w.copy_(0.7 * torch.randn(w.shape, generator=g, dtype=torch.float64))
    x = torch.randn(12, 3, generator=g, dtype=torch.float64)
    return Task(network, nn.functional.cross_entropy, (x, torch.randint(0, 3, (12,), generator=g)))


def batches(task, count, seed=0):
    """Four samples each, drawn anew."""
    (x, y), g = task.data, torch.Generator().manual_seed(seed)
    drawn = [torch.randperm(len(x), generator=g)[:4] for _ in range(count)]
    return [task.with_data((x[places], y[places])) for places in drawn]


def sgd(tasks, theta, eta, beta):
    """The weights after each step of PyTorch's own optimizer."""
    network = tasks[0].network
    nn.utils.vector_to_parameters(theta, network.parameters())
    optimizer = torch.optim.SGD(network.parameters(), eta, momentum=beta)
    for task in tasks:
        optimizer.zero_grad()
        task.loss(network(task.data[0]), task.data[1]).backward()
        optimizer.step()
        yield nn.utils.parameters_to_vector(network.parameters()).detach().clone()


def relative(x, y):
    return float((x - y).norm() / y.norm())


@functools.cache
def seen(way):
    """(inner products of four terms, true errors of order 1..3) after each step, from zero velocity
    and from that of ten steps.
    """
    (eta, beta, fresh), found = WAYS[way], []
    for seed, warm in itertools.product(range(4), (0, 10)):
        task, velocity = random_task(seed), None
        space = ParameterSpace(task.network)
        theta, tasks = space.theta, batches(task, 20, seed) if fresh else [task] * 20
        if warm and beta:
            before = [theta, *sgd(tasks[:warm], theta, eta, beta)]
            theta, velocity = before[-1], (before[-2] - before[-1]) / eta
        series = SeriesSteps(
            tasks[10:] if fresh else task, space, theta, 4, eta, beta, velocity=velocity
        )
        truth = displacements(tasks[10:], space, theta, eta, beta, velocity)
        for terms, (_, u) in zip(series, truth, strict=False):
            found.append(
                (terms @ terms.T, [relative(terms[:order].sum(0), u) for order in (1, 2, 3)])
            )
    return found


def quotients(way, order, known):
    return sorted(
        estimate_tail(gram[:known, :known], order).error / e[order - 1]
        for gram, e in seen(way)
        if 1e-9 < e[order - 1] < 0.1
    )


@pytest.mark.parametrize("way", WAYS)
def test_with_the_next_term_known_the_estimate_is_near_the_truth(way):
    for order in (1, 2, 3):
        found = quotients(way, order, order + 1)
        assert len(found) > 30
        assert found[0] > 1 / 3  # within the schedule's safety
        assert found[-1] < 15
        assert 1 <= found[len(found) // 2] < 3


def test_without_it_momentum_is_not_foretold():
    assert min(quotients("momentum", 2, 2)[0], quotients("momentum", 3, 3)[0]) < 1 / 3


@pytest.mark.parametrize("way", WAYS)
def test_descent_is_that_of_pytorch(way):
    eta, beta, fresh = WAYS[way]
    task = random_task(1)
    space = ParameterSpace(task.network)
    theta, tasks = space.theta, batches(task, 6) if fresh else [task] * 6
    found = [theta + u for _, u in displacements(tasks, space, theta, eta, beta)]
    torch.testing.assert_close(
        torch.stack(found), torch.stack(list(sgd(tasks, theta, eta, beta))), rtol=1e-12, atol=1e-13
    )


def adaptive(tolerance, way, **settings):
    eta, beta, fresh = WAYS[way]
    usual = {
        "learning_rate": eta,
        "steps": 16,
        "shots": None,
        "orders": (2,),
        "momentum": beta,
        "fresh_batches": fresh,
    }
    return AdaptiveSchedule(tolerance, **(usual | settings))


def worst(way, tolerance, seeds):
    found = []
    for seed in seeds:
        task = random_task(seed)
        tasks = batches(task, 16, seed) if WAYS[way][2] else [task]
        run = train_hybrid(tasks, ParameterSpace(task.network), adaptive(tolerance, way))
        found += [each.truncation[-1] / tolerance for each in run.rounds if each.steps > 1]
    assert len(found) > 3
    return max(found)


@pytest.mark.parametrize("tolerance", [1e-2, pytest.param(1e-3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", WAYS)
def test_the_true_error_stays_below_the_tolerance(way, tolerance):
    assert 0.05 < worst(way, tolerance, range(3)) < 1


def test_a_controller_that_does_not_look_ahead_is_caught(monkeypatch):
    monkeypatch.setattr(AdaptiveSchedule, "followed", 2)
    assert worst("momentum", 1e-3, (3, 6)) < 1  # the check of the gradient stands
    monkeypatch.setattr(
        check_module, "step_residual", lambda *given: (torch.zeros_like(given[2]),) * 2
    )
    assert worst("momentum", 1e-3, (3, 6)) > 1.5


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_rounds_are_one_descent_with_the_velocity_carried(regression, way, fixed):
    """A quadratic loss: every order is exact, so all rounds together are descent."""
    (_, beta, fresh), theta = WAYS[way], regression.theta
    space = ParameterSpace(regression.task.network)
    tasks = batches(regression.task, 12) if fresh else [regression.task]
    schedule = (
        Schedule(2, 4, 3, 0.05, None, beta, fresh)
        if fixed
        else adaptive(0.1, way, steps=12, longest=5, learning_rate=0.05)
    )
    run = train_hybrid(tasks, space, schedule)
    assert len(run.rounds) == 3
    *_, before, end = sgd(tasks if fresh else tasks * 12, theta, 0.05, beta)
    assert relative(run.theta, end) < 1e-12
    assert (run.rounds[-1].velocity is None) == (beta == 0)
    if beta:
        assert relative(run.rounds[-1].velocity, (before - end) / 0.05) < 1e-10
        first = run.rounds[0]
        at_rest = train_hybrid(
            tasks, space, schedule, done=[replace(first, velocity=torch.zeros_like(first.velocity))]
        )
        assert relative(at_rest.theta, end) > 1e-3  # wrong: the velocity forgotten
        with pytest.raises(
            ArgumentError, match="Argument `done` must hold rounds that were made with momentum"
        ):
            train_hybrid(tasks, space, schedule, done=[replace(first, velocity=None)])


@pytest.mark.parametrize("cut", [1, 2])
def test_resumed_runs_end_in_the_same_bits(cut):
    task, saved = random_task(1), []
    space, tasks, schedule = (
        ParameterSpace(task.network),
        batches(task, 16),
        adaptive(2e-3, "both", shots=10**4),
    )
    whole = train_hybrid(tasks, space, schedule, seed=4, on_round=saved.append)
    assert len(saved) > 2
    resumed = train_hybrid(tasks, space, schedule, seed=4, done=saved[:cut])
    assert torch.equal(resumed.theta, whole.theta)
    assert all(0 < each.readout_error < 0.5 for each in saved)


@pytest.mark.parametrize("eta", [3.0, 1e30])
def test_past_the_radius_of_convergence_there_are_no_numbers(eta):
    network = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        network.weight.fill_(1.0)
    one = torch.ones(1, 1, dtype=torch.float64)
    task = Task(network, lambda o, t: torch.exp(-o * o).sum(), (one, one))
    with pytest.raises(ArgumentError, match="step 2 at order 3 is past the radius of convergence"):
        train_hybrid(
            [task],
            ParameterSpace(network),
            adaptive(0.01, "momentum", orders=(3,), learning_rate=eta),
        )


def test_settings():
    for kind in (Schedule, AdaptiveSchedule):
        with pytest.raises(ArgumentError, match=r"Argument `momentum` must be in \[0, 1\)"):
            kind(momentum=1.0)
    for settings in ({"momentum": 0.9}, {"fresh_batches": True}):
        with pytest.raises(
            ArgumentError,
            match="Argument `orders` must be at most 5 with momentum or fresh batches",
        ):
            AdaptiveSchedule(orders=(2, 6), **settings)
    assert AdaptiveSchedule(orders=(2, 6)).followed == 6
    with pytest.raises(ArgumentError, match="Argument `tasks` must hold at least 1 task"):
        train_hybrid([], None, Schedule(fresh_batches=True))
