"""SGD as people run it is `torch.optim.SGD` to rounding: as plain descent, in the series, and over
rounds.
"""

import itertools

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.learning.descent.sgd import SGD
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.solvers.series import series_descent
from qdescent.training.descent import displacements
from qdescent.training.hybrid import train_hybrid
from qdescent.training.schedule import AdaptiveSchedule, Schedule

SLOW = pytest.mark.slow
RULES = {
    "plain": {},
    "decay": {"weight_decay": 0.2},
    "decoupled": {"weight_decay": 0.2, "decoupled": True},
    "momentum": {"momentum": 0.9},
    "dampened": {"momentum": 0.8, "dampening": 0.3},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "nesterov, decay": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.2},
    "momentum, decay": {"momentum": 0.9, "weight_decay": 0.2},
    "momentum, decoupled": {"momentum": 0.9, "weight_decay": 0.2, "decoupled": True},
    "all": {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.2, "decoupled": True},
}

FEW = [
    rule if rule in ("decay", "dampened", "nesterov, decay") else pytest.param(rule, marks=SLOW)
    for rule in RULES
]


def torch_sgd(tasks, theta, rates, momentum=0.0, weight_decay=0.0, dampening=0.0, nesterov=False,
              decoupled=False):  # fmt: skip
    """The weights after each step of PyTorch's own optimizer; decoupled decay as its AdamW has it,
    weights times 1 - eta lambda before the step.
    """
    network = tasks[0].network
    nn.utils.vector_to_parameters(theta.clone(), network.parameters())
    optimizer = torch.optim.SGD(
        network.parameters(), 1.0, momentum, dampening, 0.0 if decoupled else weight_decay, nesterov
    )
    for task, rate in zip(tasks, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        task.loss(network(task.data[0]), task.data[1]).backward()
        if decoupled:
            with torch.no_grad():
                for weight in network.parameters():
                    weight.mul_(1 - rate * weight_decay)
        optimizer.step()
        yield nn.utils.parameters_to_vector(network.parameters()).detach().clone()
    nn.utils.vector_to_parameters(theta.clone(), network.parameters())


def batches(twin, count):
    (x, y), g = twin.task.data, torch.Generator().manual_seed(3)
    drawn = [torch.randperm(len(x), generator=g)[:3] for _ in range(count)]
    return [twin.task.with_data((x[places], y[places])) for places in drawn]


def close(found, truth):
    torch.testing.assert_close(found, truth, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("rule", RULES)
def test_descent_is_that_of_pytorch(seventeen, rule):
    tasks, theta = batches(seventeen, 6), seventeen.theta
    space = ParameterSpace(seventeen.task.network)
    truth = list(torch_sgd(tasks, theta, [0.05] * 6, **RULES[rule]))
    walk = displacements(tasks, space, theta, 0.05, **RULES[rule])
    close(torch.stack([theta + u for _, u in walk]), torch.stack(truth))


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("rule", RULES)
def test_rounds_are_that_of_pytorch_with_a_rate_of_their_own(regression, rule, fresh):
    """A quadratic loss: every order is exact, so rounds with the velocity carried are descent."""
    theta, rates = regression.theta, (0.05, 0.02, 0.01)
    space = ParameterSpace(regression.task.network)
    tasks = batches(regression, 12) if fresh else [regression.task]
    truth = list(
        torch_sgd(
            tasks if fresh else tasks * 12, theta, [r for r in rates for _ in range(4)],
            **RULES[rule],
        )
    )  # fmt: skip
    for rate in (rates, lambda place: rates[place]):
        schedule = Schedule(2, 4, 3, rate, None, fresh_batches=fresh, **RULES[rule])
        run = train_hybrid(tasks, space, schedule)
        close(run.theta, truth[-1])
        close(run.rounds[-1].sparse.theta, truth[-1])
        assert max(each.truncation[-1] for each in run.rounds) < 1e-11
    wrong = Schedule(2, 4, 3, 0.05, None, fresh_batches=fresh, **RULES[rule])
    assert float((train_hybrid(tasks, space, wrong).theta - truth[-1]).norm()) > 1e-4


@pytest.mark.parametrize("rule", FEW)
def test_higher_orders_approach_it(small_conv, rule):
    space, theta = ParameterSpace(small_conv.task.network), small_conv.theta
    *_, truth = torch_sgd([small_conv.task] * 4, theta, [0.005] * 4, **RULES[rule])
    errors = [
        float((theta + series_descent(small_conv.task, space, N, 4, 0.005, **RULES[rule]).value
               - truth).norm() / (truth - theta).norm())
        for N in (1, 2, 3, 4)
    ]  # fmt: skip
    assert all(after < before / 3 for before, after in itertools.pairwise(errors))
    assert errors[-1] < 1e-3


@pytest.mark.parametrize("rule", FEW)
def test_the_controllers_estimate_knows_the_rule(seventeen, rule):
    """The error that is carried from step to step is that of this rule, near the true one."""
    space = ParameterSpace(seventeen.task.network)
    schedule = Schedule(2, 8, 1, 0.05, None, **RULES[rule])
    (found,) = train_hybrid([seventeen.task], space, schedule).rounds
    assert 1 / 3 < found.estimate[-1] / found.truncation[-1] < 6


def test_what_pytorch_refuses_is_refused():
    for settings in ({"nesterov": True}, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}):
        for kind in (SGD, Schedule, AdaptiveSchedule):
            with pytest.raises(ArgumentError, match="Argument `nesterov` must be False without"):
                kind(learning_rate=0.1, **settings)
    for name, value in (("dampening", 1.0), ("weight_decay", -1.0), ("decoupled", 1)):
        with pytest.raises(ArgumentError, match=f"Argument `{name}` must be"):
            Schedule(**{name: value})
    for rate, said in (
        ((0.1, 0.2), "hold 5 rates, one for each round"),
        ((0.1, 0.2, 0.1, -1, 0.1), r"be in \(0, inf\), but is -1"),
        ((), "at least one"),
        ("fast", r"be in \(0, inf\), but is 'fast'"),
        (lambda place: None, r"be in \(0, inf\), but is None"),
    ):
        with pytest.raises(ArgumentError, match=f"Argument `learning_rate` must.*{said}"):
            Schedule(learning_rate=rate)


def test_a_rate_for_each_round_of_an_adaptive_run(regression):
    space = ParameterSpace(regression.task.network)
    schedule = AdaptiveSchedule(
        steps=9, longest=3, learning_rate=(0.1, 0.05), shots=None, orders=(2,)
    )
    assert [schedule.rule(r).learning_rate for r in range(3)] == [0.1, 0.05, 0.05]
    run = train_hybrid([regression.task], space, schedule)
    truth = regression.descend(regression.descend(regression.theta, 0.1, 3), 0.05, 6)
    close(run.theta, truth)


def test_a_momentum_run_of_float32_keeps_its_rule():
    network = nn.Linear(3, 1, bias=False)
    task = Task(network, nn.functional.mse_loss, (torch.eye(3), torch.ones(3, 1)))
    space = ParameterSpace(network)
    schedule = Schedule(1, 3, 2, 0.1, None, momentum=0.9, weight_decay=0.1)
    run = train_hybrid([task], space, schedule)
    *_, truth = torch_sgd([task] * 6, space.theta, [0.1] * 6, 0.9, 0.1)
    torch.testing.assert_close(run.theta, truth, rtol=1e-6, atol=1e-7)
