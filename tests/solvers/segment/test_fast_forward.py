"""A segment without its steps: equal to the series form, as the space and the nodes grow."""

import re

import pytest
import torch
from torch.nn.functional import cross_entropy, mse_loss

import qdescent as qd
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.solvers.segment.fast_forward import FastForwardStatus, fast_forward

SGD = [
    {},
    {"momentum": 0.6},
    {"weight_decay": 0.02},
    {"momentum": 0.6, "weight_decay": 0.02},
]


def problem(dtype=torch.float64, batches=1, density=None):
    generator = torch.Generator().manual_seed(3)
    network = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4))
    for weight in network.parameters():
        weight.data = 0.5 * torch.randn(weight.shape, generator=generator)
    network = network.to(dtype)
    x = torch.randn(32, 6, generator=generator).to(dtype)
    y = torch.randint(0, 4, (32,), generator=generator)
    parts = zip(x.chunk(batches), y.chunk(batches), strict=True)
    tasks = [qd.Task(network, cross_entropy, part) for part in parts]
    mask = None if density is None else qd.magnitude_mask(network, density)
    return tasks if batches > 1 else tasks[0], qd.ParameterSpace(network, mask)


def distance(found, series):
    return float((found.value - series.value).norm() / series.value.norm())


@pytest.mark.parametrize("sgd", SGD, ids=str)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_equals_the_series_form_to_1e_10(order, sgd):
    task, space = problem()
    steps, rate = 15, 0.03
    series = qd.series_descent(task, space, order, steps, rate, **sgd)
    found = fast_forward(
        task, space, steps, rate, order, tolerance=1e-12, dimension=90, nodes=steps, **sgd
    )
    assert distance(found, series) < 1e-10
    torch.testing.assert_close(found.terms, series.terms, rtol=1e-8, atol=1e-11)
    if sgd.get("momentum"):
        torch.testing.assert_close(found.velocity, series.velocity, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("sgd", SGD, ids=str)
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-6])
def test_the_estimate_holds_and_is_no_waste(sgd, tolerance):
    task, space = problem()
    series = qd.series_descent(task, space, 2, 60, 0.02, **sgd)
    found = fast_forward(task, space, 60, 0.02, 2, tolerance=tolerance, **sgd)
    assert distance(found, series) <= found.error <= tolerance
    assert found.status in (FastForwardStatus.REACHED, FastForwardStatus.DEARER)


def test_the_cost_does_not_grow_with_the_steps():
    task, space = problem()
    found = [fast_forward(task, space, T, 0.8 / T) for T in (40, 400, 4000)]
    costs = [each.gradients for each in found]
    assert max(costs) <= min(costs) + 4
    assert max(costs) < 30


def test_masks_batches_velocity_and_single_precision():
    tasks, space = problem(batches=2, density=0.5)
    whole, _ = problem(density=0.5)
    velocity = torch.linspace(-1, 1, space.n).double()
    wanted = qd.series_descent(whole, space, 2, 30, 0.02, momentum=0.5, velocity=velocity)
    found = fast_forward(tasks, space, 30, 0.02, momentum=0.5, velocity=velocity, tolerance=1e-8)
    assert distance(found, wanted) < 1e-8
    task, space = problem(torch.float32)
    assert (
        distance(fast_forward(task, space, 30, 0.02), qd.series_descent(task, space, 2, 30, 0.02))
        < 1e-3
    )


def test_equals_explicit_carleman():
    network = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Tanh()).double()
    data = torch.tensor([[0.5], [-1.0]]).double(), torch.tensor([[0.7], [0.1]]).double()
    task, space = qd.Task(network, mse_loss, data), qd.ParameterSpace(network)
    f = qd.gradient_map(task, space, 0.2, degree=2)
    lift = carleman_linearize(f, order=2)
    z = lift.lift(torch.zeros(2).double())
    for _ in range(12):
        z = lift.step(z)
    found = fast_forward(task, space, 12, 0.2, tolerance=1e-12, nodes=12)
    torch.testing.assert_close(found.value, lift.project(z), rtol=1e-9, atol=1e-13)


def test_a_planted_order_is_rejected():
    """The terms without the sources' change in time: one node too few shows."""
    task, space = problem()
    series = qd.series_descent(task, space, 2, 60, 0.05)
    one = fast_forward(task, space, 60, 0.05, nodes=1, tolerance=1e-6)
    assert distance(one, series) > 1e-3
    assert one.error > 1e-3


def test_statuses_say_what_to_do():
    task, space = problem()
    assert fast_forward(task, space, 3, 0.02).status is FastForwardStatus.DEARER
    narrow = fast_forward(task, space, 200, 0.05, dimension=2)
    assert narrow.status is FastForwardStatus.UNRESOLVED
    assert narrow.error > 1e-3
    assert fast_forward(task, space, 60, 40.0, order=1).status is FastForwardStatus.UNSTABLE


def test_a_rate_beyond_2_over_lambda_is_followed_or_unstable():
    data = torch.eye(2).double(), torch.ones(2, 1).double()
    network = torch.nn.Linear(2, 1, bias=False).double()
    task, space = qd.Task(network, mse_loss, data), qd.ParameterSpace(network)  # H = 1
    found = fast_forward(task, space, 30, 2.2, order=1)
    exact = (1 - (-1.2) ** 30) * (1 - space.theta)
    torch.testing.assert_close(found.value, exact)
    assert found.status is FastForwardStatus.UNSTABLE


@pytest.mark.filterwarnings("ignore:overflow|invalid:RuntimeWarning")
@pytest.mark.parametrize("sgd", [{}, {"momentum": 0.9}])
@pytest.mark.parametrize(("rate", "steps"), [(50.0, 60), (1e9, 60), (1e200, 20)])
def test_what_grows_beyond_bounds_names_a_rate_that_does_not(rate, steps, sgd):
    task, space = problem()
    with pytest.raises(qd.ArgumentError, match="`learning_rate` must keep the segment from") as it:
        fast_forward(task, space, steps, rate, **sgd)
    named = float(re.search(r"at (\S+) none that was seen", str(it.value))[1])
    # one digit is named, and ten products see the ends to some per cent
    assert fast_forward(task, space, steps, named, order=1, **sgd).growth < 100
    assert (
        fast_forward(task, space, steps, 8 * named, order=1, **sgd).growth > 10
    )  # no idle caution


@pytest.mark.filterwarnings("ignore:overflow|invalid:RuntimeWarning")
def test_a_decay_that_grows_is_named_whatever_overflows_first():
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)
    )  # in single precision
    task = qd.Task(network, mse_loss, (torch.randn(16, 3), torch.randn(16, 2)))
    space = qd.ParameterSpace(network)
    for steps in (20, 200):
        with pytest.raises(qd.ArgumentError, match="`weight_decay` must keep the segment finite"):
            fast_forward(task, space, steps, 0.01, weight_decay=1e4)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"steps": 0}, "`steps` must be an integer"),
        ({"order": 7}, "`order` must be at most 6"),
        ({"tolerance": 0.0}, "`tolerance` must be in"),
        ({"nodes": 41}, "`nodes` must be at most 20"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be in"),
        ({"task": []}, "`task` must be"),
        ({"method": "magic"}, "`method` must be one of"),
    ],
)
def test_refusals(changed, sentence):
    task, space = problem()
    given = {"task": task, "space": space, "steps": 20, "learning_rate": 0.02, **changed}
    with pytest.raises(qd.ArgumentError, match=sentence):
        fast_forward(**given)


def test_the_space_grows_where_it_misses_most():
    """Greedy directions need fewer products than the frontier's vectors by turns."""
    task, space = problem()
    found = fast_forward(task, space, 60, 0.05, tolerance=1e-6)
    assert found.products == found.dimension < space.n / 2
