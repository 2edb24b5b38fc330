"""Segments that end at a tolerance: the true error stays below it, the choice is the cheapest,
divergence is refused.
"""

import itertools

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.solvers.series import SeriesSteps, series_descent
from qdescent.training import segment as segment_module
from qdescent.training.a_posteriori import check as check_module
from qdescent.training.hybrid import train_hybrid
from qdescent.training.schedule import AdaptiveSchedule, Schedule
from qdescent.training.tail import Tail
from qdescent.training.tail_estimate import estimate_tail


def random_task(seed):
    """A network of 38 weights, of another activation and loss each time."""
    g = torch.Generator().manual_seed(1000 + seed)
    activation = (nn.GELU, nn.SiLU, nn.Tanh, nn.Softplus)[seed % 4]
    network = nn.Sequential(nn.Linear(3, 5), activation(), nn.Linear(5, 3)).double()
    with torch.no_grad():
        for w in network.parameters():
            w.copy_(0.7 * torch.randn(w.shape, generator=g, dtype=torch.float64))
    x = torch.randn(12, 3, generator=g, dtype=torch.float64)
    if seed % 3:
        return Task(
            network, nn.functional.cross_entropy, (x, torch.randint(0, 3, (12,), generator=g))
        )
    return Task(
        network, nn.functional.mse_loss, (x, torch.randn(12, 3, generator=g, dtype=torch.float64))
    )


def worst(schedule_of, tasks):
    """The largest true error over tolerance, of the rounds of random networks at several
    tolerances.
    """
    found = []
    for seed, tolerance in itertools.product(range(tasks), (1e-2, 1e-4)):
        task = random_task(seed)
        try:
            run = train_hybrid([task], ParameterSpace(task.network), schedule_of(tolerance))
        except ArgumentError:  # refused
            continue
        found += [each.truncation[-1] / tolerance for each in run.rounds]
    return found


def adaptive(tolerance, **settings):
    return AdaptiveSchedule(
        **({"tolerance": tolerance, "steps": 24, "learning_rate": 0.05, "shots": None} | settings)
    )


@pytest.mark.parametrize("orders", [(2, 3), pytest.param((3,), marks=pytest.mark.slow)])
def test_the_true_error_stays_below_the_tolerance(orders):
    found = worst(lambda tolerance: adaptive(tolerance, orders=orders), tasks=5)
    assert len(found) > 18
    assert max(found) < 1
    assert max(found) > 0.2  # it is no idle caution either


def test_a_controller_without_a_tail_and_one_without_eyes_are_caught(monkeypatch):
    # wrong: a geometric series through the last two terms of the order
    def through_two(gram, order):
        a, b = (float(gram[k, k]) ** 0.5 for k in (order - 2, order - 1))
        return Tail(
            b * (b / a) / (1 - b / a) / float(gram[:order, :order].sum()) ** 0.5 if a else 0.0, 0.0
        )

    # wrong: no check of the error at all
    assert max(worst(lambda tolerance: Schedule(2, 12, 1, 0.05, None), tasks=3)) > 3
    monkeypatch.setattr(segment_module, "estimate_tail", through_two)
    # for the check of the gradient stands
    assert max(worst(lambda tolerance: adaptive(tolerance, orders=(2,)), tasks=3)) < 1
    monkeypatch.setattr(
        check_module, "step_residual", lambda *given: (torch.zeros_like(given[2]),) * 2
    )
    assert max(worst(lambda tolerance: adaptive(tolerance, orders=(2,)), tasks=3)) > 3


@pytest.mark.parametrize(
    ("orders", "round_cost"),
    [
        pytest.param((2, 3), 30.0, marks=pytest.mark.slow),
        ((1, 2, 4), 0.0),
        pytest.param((2, 3), 0.0, marks=pytest.mark.slow),
        pytest.param((2, 3), 1e4, marks=pytest.mark.slow),
        pytest.param((1, 2, 4), 30.0, marks=pytest.mark.slow),
        pytest.param((1, 2, 4), 1e4, marks=pytest.mark.slow),
    ],
)
def test_the_segment_is_the_cheapest_of_the_longest(orders, round_cost):
    for seed in range(3):
        task = random_task(seed)
        space = ParameterSpace(task.network)
        schedule = adaptive(1e-3, orders=orders, round_cost=round_cost, learning_rate=0.02)
        # by hand: every order to its end
        lengths, passed, checked = dict.fromkeys(orders, 0), set(), dict.fromkeys(orders, 0.0)
        before = torch.zeros(orders[-1], space.n, dtype=torch.float64)
        for t, terms in enumerate(
            itertools.islice(SeriesSteps(task, space, space.theta, orders[-1], 0.02), 24), 1
        ):
            for order in orders:
                u, last = terms[:order].sum(0), before[:order].sum(0)
                _, gradient = task.loss_and_gradient(space, space.theta + last)
                missed = float((u - last + 0.02 * gradient).norm())
                share = sum((s / (t - 1)) ** (order + 1) for s in range(1, t))
                checked[order] = max(checked[order], missed * share)
                found = max(
                    estimate_tail(terms @ terms.T, order).error, checked[order] / float(u.norm())
                )
                if schedule.safety * found > 1e-3:
                    passed.add(order)
                lengths[order] += order not in passed
            before = terms
        cost = {
            order: order * (order + 3) / 2 + round_cost / length
            for order, length in lengths.items()
            if length > 1
        }
        best = min(cost, key=cost.__getitem__)
        first = train_hybrid([task], space, schedule).rounds[0]
        assert (first.order, first.steps) == (best, lengths[best])
        # the last accepted step's terms are the segment's end
        u = series_descent(task, space, best, lengths[best], 0.02).value
        torch.testing.assert_close(first.theta, space.theta + u, rtol=1e-12, atol=1e-14)
        assert len(first.loss) - 1 == len(first.estimate) == len(first.gram) == first.steps
        assert max(first.estimate) * schedule.safety <= 1e-3
        assert len(first.gram[0]) == best


def test_a_tighter_tolerance_takes_more_rounds_and_ends_nearer(small_conv):
    space = ParameterSpace(small_conv.task.network)
    truth = small_conv.descend(small_conv.theta, 0.02, 20) - small_conv.theta
    counts, errors = [], []
    for tolerance in (3e-2, 1e-3, 1e-4):
        run = train_hybrid(
            [small_conv.task], space, adaptive(tolerance, steps=20, learning_rate=0.02),
            beside=False, watch=False,
        )  # fmt: skip
        assert sum(each.steps for each in run.rounds) == 20
        counts.append(len(run.rounds))
        errors.append(float((run.theta - small_conv.theta - truth).norm() / truth.norm()))
    assert counts == sorted(set(counts))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-4


def test_a_segment_is_not_longer_than_allowed(regression):
    space, calls = ParameterSpace(regression.task.network), []
    schedule = adaptive(1e-3, steps=11, longest=4)
    run = train_hybrid([regression.task], space, schedule, on_step=lambda: calls.append(1))
    assert [each.steps for each in run.rounds] == [4, 4, 3]
    # a quadratic loss: nothing is gained by order 3
    assert {each.order for each in run.rounds} == {2}
    assert {each.end for each in run.rounds} == {""}
    assert len(calls) == 11


def test_steps_are_announced_once_each():
    task, calls = random_task(1), []
    run = train_hybrid(
        [task],
        ParameterSpace(task.network),
        adaptive(1e-3, round_cost=30.0),
        on_step=lambda: calls.append(1),
    )
    assert len(run.rounds) > 1
    assert len(calls) == 24


def cliff():
    """L = exp(-w^2): at a steep place with a large eta its series diverges at once, though descent
    itself does not.
    """
    network = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        network.weight.fill_(1.0)
    one = torch.ones(1, 1, dtype=torch.float64)
    return Task(network, lambda o, t: torch.exp(-o * o).sum(), (one, one))


@pytest.mark.parametrize("eta", [3.0, 50.0, 1e30])
def test_past_the_radius_of_convergence_there_are_no_numbers(eta):
    task = cliff()
    sentence = (
        "Argument `learning_rate` must let at least two steps meet the tolerance .lower it, raise"
        " the tolerance, or allow a higher order., but is .*: step 2 at order 3 is past the radius"
        " of convergence"
    )
    with pytest.raises(ArgumentError, match=sentence):
        train_hybrid(
            [task], ParameterSpace(task.network), adaptive(0.01, orders=(3,), learning_rate=eta)
        )


def test_a_tolerance_out_of_reach_is_refused_with_its_figure():
    task = random_task(2)
    with pytest.raises(
        ArgumentError, match="the truncation error of step 2 at order 2 would be about [0-9.e-]+"
    ):
        train_hybrid([task], ParameterSpace(task.network), adaptive(1e-12, orders=(2,)))


def stopping():
    """The second batch is thirty times as steep as the first."""
    task = random_task(1)
    x, y = task.data
    return [task, task.with_data((30 * x, y))], ParameterSpace(task.network)


def test_a_later_pivot_without_a_way_on_ends_the_run_and_says_why():
    tasks, space = stopping()
    run = train_hybrid(tasks, space, adaptive(1e-3))
    assert len(run.rounds) == 1
    assert (
        run.stopped.startswith("step 2 at order 3 is past the radius of convergence")
        or "would be about" in run.stopped
    )
    assert torch.equal(run.theta, run.rounds[-1].theta)
    again = train_hybrid(tasks, space, adaptive(1e-3), done=run.rounds)
    assert again.stopped == run.stopped
    assert torch.equal(again.theta, run.theta)


@pytest.mark.parametrize("shots", [None, 1000])
@pytest.mark.parametrize("cut", [1, 2])
def test_resumed_runs_end_in_the_same_bits(shots, cut):
    task, saved = random_task(1), []
    space, schedule = ParameterSpace(task.network), adaptive(1e-4, shots=shots)
    whole = train_hybrid([task], space, schedule, seed=4, on_round=saved.append)
    assert len(saved) > 2
    torch.manual_seed(99)
    resumed = train_hybrid([task], space, schedule, seed=4, done=saved[:cut])
    assert torch.equal(resumed.theta, whole.theta)
    assert [(r.steps, r.order, r.estimate, r.end) for r in resumed.rounds] == [
        (r.steps, r.order, r.estimate, r.end) for r in saved
    ]
    assert torch.equal(train_hybrid([task], space, schedule, seed=4, done=saved).theta, whole.theta)


def test_rows_tell_each_round():
    task = random_task(1)
    run = train_hybrid([task], ParameterSpace(task.network), adaptive(1e-3))
    rows = {row.name: row for row in run.rows}
    assert rows["schedule/segment_by_round"].value == tuple(each.steps for each in run.rounds)
    assert rows["schedule/order_by_round"].value == tuple(each.order for each in run.rounds)
    assert rows["truncation/tail_by_round"].curve == tuple(each.estimate[-1] for each in run.rounds)
    assert rows["truncation/tail_by_round"].evidence == Evidence.MODELLED
    assert rows["truncation/by_round"].evidence == Evidence.MEASURED
    first_order = train_hybrid([task], ParameterSpace(task.network), Schedule(1, 2, 1, 0.05, None))
    (start, end), (_, truth) = first_order.rounds[0].estimate, first_order.rounds[0].truncation
    assert start == 0  # one term tells no tail, but the gradient at its end does
    assert truth / 2 < end < 2 * truth
    assert {row.name: row for row in first_order.rows}["truncation/tail_by_round"].value == (end,)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"tolerance": 0.0}, r"`tolerance` must be in \(0, 1\)"),
        ({"tolerance": 1}, r"`tolerance` must be in \(0, 1\)"),
        ({"orders": ()}, "`orders` must hold an order of at least 2"),
        ({"orders": (1,)}, "`orders` must hold an order of at least 2"),
        ({"orders": (2, 7)}, r"`orders` must be in \[1, 6\]"),
        ({"steps": 0}, "`steps` must be an integer of at least 1"),
        ({"longest": 1}, "`longest` must be an integer of at least 2"),
        ({"learning_rate": -1.0}, r"`learning_rate` must be in \(0, inf\)"),
        ({"round_cost": -1.0}, r"`round_cost` must be in \[0, inf\)"),
        ({"safety": 0.5}, r"`safety` must be in \[1, inf\)"),
        ({"shots": 0}, "`shots` must be an integer of at least 1"),
    ],
)
def test_settings(settings, text):
    with pytest.raises(ArgumentError, match="Argument " + text):
        AdaptiveSchedule(**settings)


def test_errors(seventeen):
    space = ParameterSpace(seventeen.task.network)
    with pytest.raises(
        ArgumentError, match="Argument `tasks` must hold at least 1 task, but is 0 of them"
    ):
        train_hybrid([], space, AdaptiveSchedule())
    done = train_hybrid([seventeen.task], space, Schedule(1, 3, 2, 0.1, None)).rounds
    with pytest.raises(
        ArgumentError,
        match="Argument `done` must hold at most the schedule's 5 steps, but is 6 of them",
    ):
        train_hybrid([seventeen.task], space, AdaptiveSchedule(steps=5), done=done)
