"""A segment without its steps: equal to the series form, as the space and the nodes grow."""

import re
import weakref

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, mse_loss

import qdescent as qd
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.solvers.segment import reduced_descent
from qdescent.solvers.segment.fast_forward import FastForwardStatus, fast_forward
from qdescent.solvers.segment.reduced_descent import ReducedDescent

SGD = [
    {},
    {"momentum": 0.6},
    {"weight_decay": 0.02},
    {"momentum": 0.6, "weight_decay": 0.02},
]
OTHERS = [
    {"momentum": 0.6, "dampening": 0.3},
    {"momentum": 0.6, "nesterov": True, "weight_decay": 0.02},
    {"momentum": 0.6, "dampening": 0.3, "weight_decay": 0.2, "decoupled": True},
]
SLOW = pytest.mark.slow


def with_others(values, quick):
    """Each value with each rule; of the other rules all but one value when there is time."""
    return [(value, sgd) for value in values for sgd in SGD] + [
        pytest.param(value, sgd, marks=() if value == quick else SLOW)
        for value in values
        for sgd in OTHERS
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


@pytest.mark.parametrize(("order", "sgd"), with_others([1, 2, 3], quick=2), ids=str)
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


def test_after_any_number_of_steps_from_any_velocity():
    task, space = problem()
    velocity = torch.linspace(-1, 1, space.n).double()
    for sgd in OTHERS[1:]:
        given = {"learning_rate": 0.03, "velocity": velocity, **sgd}
        found = fast_forward(
            task, space, 9, tolerance=1e-12, dimension=92, nodes=9, every_step=True, **given
        )
        terms, speeds = found.after(5)
        series = qd.series_descent(task, space, 2, 5, **given)
        torch.testing.assert_close(terms, series.terms, rtol=1e-8, atol=1e-11)
        torch.testing.assert_close(speeds, series.velocity, rtol=1e-8, atol=1e-11)


RULES = {
    "dampened": {"momentum": 0.8, "dampening": 0.3},
    "nesterov": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.2},
    "decoupled": {"momentum": 0.9, "weight_decay": 0.2, "decoupled": True},
    "all": {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.2, "decoupled": True},
}


@pytest.mark.parametrize("rule", RULES)
def test_order_one_on_a_quadratic_loss_is_the_optimizer_of_pytorch(rule):
    """And none of the other rules, which is what a wrong companion block would be."""
    generator = torch.Generator().manual_seed(4)
    network = torch.nn.Linear(5, 2).double()
    data = torch.randn(16, 5, generator=generator, dtype=torch.float64)
    goal = torch.randn(16, 2, generator=generator, dtype=torch.float64)
    task, space = qd.Task(network, mse_loss, (data, goal)), qd.ParameterSpace(network)
    theta = space.theta
    found = {
        name: theta
        + fast_forward(task, space, 25, 0.05, 1, theta, tolerance=1e-13, **RULES[name]).value
        for name in RULES
    }
    given = dict(RULES[rule])
    shrink = given.pop("weight_decay", 0.0) if given.pop("decoupled", False) else 0.0
    optimizer = torch.optim.SGD(network.parameters(), 0.05, **given)
    for _ in range(25):
        optimizer.zero_grad()
        mse_loss(network(data), goal).backward()
        for weight in network.parameters():
            weight.data.mul_(1 - 0.05 * shrink)
        optimizer.step()
    truth = torch.nn.utils.parameters_to_vector(network.parameters()).detach()
    torch.testing.assert_close(found[rule], truth, rtol=1e-11, atol=1e-12)
    for name in RULES:
        assert name == rule or float((found[name] - truth).norm()) > 1e-2


@pytest.mark.parametrize(("tolerance", "sgd"), with_others([1e-2, 1e-4, 1e-6], quick=1e-4), ids=str)
def test_the_estimate_holds_and_is_no_waste(tolerance, sgd):
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


def test_sources_that_begin_at_zero_need_fewer_nodes(monkeypatch):
    """All steps alike, as before: more nodes, more gradients. A velocity that turns u_1 back to 0
    makes the nodes alike, which then are the fewer.
    """
    task, space = problem()
    gradient = task.loss_and_gradient(space, space.theta)[1]
    given = {"momentum": 0.9, "velocity": -9 * gradient, "tolerance": 1e-4}
    kinds = []
    choose = ReducedDescent.choose_nodes

    def seen(*values):
        kinds.append(choose(*values))
        return kinds[-1]

    monkeypatch.setattr(ReducedDescent, "choose_nodes", seen)
    found = [fast_forward(task, space, 60, 0.02, tolerance=1e-3)]
    fast_forward(task, space, 20, 0.02, **given)
    assert [each.alike for each in kinds] == [False] + [True] * (len(kinds) - 1)
    in_time = ReducedDescent.in_time
    monkeypatch.setattr(
        ReducedDescent, "in_time", lambda self, k, n: in_time(self, k, n._replace(alike=True))
    )
    found.append(fast_forward(task, space, 60, 0.02, tolerance=1e-3))
    assert found[0].nodes < found[1].nodes
    assert found[0].gradients < found[1].gradients
    series = qd.series_descent(task, space, 2, 60, 0.02)
    assert all(distance(each, series) <= each.error <= 1e-3 for each in found)


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
    full = fast_forward(task, space, 5, 1e-4, dimension=1)  # the second term finds no room
    series = qd.series_descent(task, space, 2, 5, 1e-4)
    assert full.error >= distance(full, series) > 0
    assert fast_forward(task, space, 60, 40.0, order=1).status is FastForwardStatus.UNSTABLE


def test_a_rate_beyond_2_over_lambda_is_followed_or_unstable():
    data = torch.eye(2).double(), torch.ones(2, 1).double()
    network = torch.nn.Linear(2, 1, bias=False).double()
    task, space = qd.Task(network, mse_loss, data), qd.ParameterSpace(network)  # H = 1
    found = fast_forward(task, space, 30, 2.2, order=1)
    exact = (1 - (-1.2) ** 30) * (1 - space.theta)
    torch.testing.assert_close(found.value, exact)
    assert found.status is FastForwardStatus.UNSTABLE


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


def random_segments():
    """Small networks, tanh to sigmoid, of two and three layers, at rates of .05 and .3 over the
    largest eigenvalue.
    """
    for place in range(8):
        torch.manual_seed(place)
        smooth = (torch.nn.Tanh, torch.nn.GELU, torch.nn.SiLU, torch.nn.Sigmoid)[place % 4]
        layers = [torch.nn.Linear(4, 6), smooth(), torch.nn.Linear(6, 2)]
        if place % 3 == 0:
            layers[2:2] = [torch.nn.Linear(6, 6), smooth()]
        network = torch.nn.Sequential(*layers).double()
        with torch.no_grad():
            for weight in network.parameters():
                weight *= 1.8
        data = torch.randn(24, 4).double(), torch.randn(24, 2).double()
        task, space = qd.Task(network, mse_loss, data), qd.ParameterSpace(network)
        curvature = qd.hessian(task, space, check=False) @ torch.eye(space.n).double()
        largest = float(torch.linalg.eigvalsh(curvature).abs().max())
        for share, steps in ((0.3, 10), (0.05, 60)):
            yield task, space, steps, share / largest


@pytest.mark.slow
def test_the_estimate_is_above_the_error_on_random_networks(monkeypatch):
    """And never below .8 of it; without the factor for what the stand-ins of the sources leave open
    it can be below half.
    """

    def ratio(segment, series, order):
        task, space, steps, rate = segment
        found = fast_forward(task, space, steps, rate, order, tolerance=1e-2, check=False)
        assert found.status in (FastForwardStatus.REACHED, FastForwardStatus.DEARER)
        return found.error / distance(found, series)

    ratios, doubtless = [], []
    for place, segment in enumerate(random_segments()):
        task, space, steps, rate = segment
        for order in (2, 3):
            series = qd.series_descent(task, space, order, steps, rate, check=False)
            ratios.append(ratio(segment, series, order))
            if order == 2 and place in (4, 5):
                with monkeypatch.context() as patch:
                    patch.setattr(reduced_descent, "DOUBT", 1.0)
                    doubtless.append(ratio(segment, series, order))
    assert len(ratios) == 32
    assert sum(each < 1 for each in ratios) <= 2
    assert min(ratios) > 0.8
    assert min(doubtless) < 0.5


def test_a_source_that_joined_is_let_go(monkeypatch):
    """Of six sources no more than two are alive at a time: at 103 million weights one is 413 MB."""
    taken, alive = ReducedDescent.sources, []

    def watched(segment, k, rule):
        seen = []
        for source in taken(segment, k, rule):
            seen.append(weakref.ref(source))
            alive.append(sum(each() is not None for each in seen))
            yield source

    monkeypatch.setattr(ReducedDescent, "sources", watched)
    task, space = problem()
    found = fast_forward(task, space, 30, 0.03, order=2, nodes=6, tolerance=1e-7)
    assert len(alive) >= 6
    assert max(alive) <= 2
    assert distance(found, qd.series_descent(task, space, 2, 30, 0.03)) < 1e-6


def test_a_segment_whose_first_term_overflows_is_told_without_a_warning(recwarn):
    torch.manual_seed(2)
    inputs, labels = 10 * torch.randn(20, 4).double(), torch.randint(0, 3, (20,))
    layers = torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)
    network = torch.nn.Sequential(*layers).double()
    task, space = qd.Task(network, cross_entropy, (inputs, labels)), qd.ParameterSpace(network)
    with pytest.raises(qd.ArgumentError, match="keep the segment from growing"):
        fast_forward(task, space, 200, 50.0)
    assert not recwarn.list
    with pytest.raises(qd.ArgumentError, match="but is 50: its terms overflow"):
        qd.series_descent(task, space, order=3, steps=200, learning_rate=50.0)


class Bowl(torch.nn.Module):
    """The weights themselves, d of them: their loss has curvatures of .7 to 1, and a cubic part."""

    def __init__(self, d):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(d, dtype=torch.float64))

    def forward(self, x):
        return self.w.expand(len(x), -1)


def bowl(d):
    h = torch.linspace(1.0, 0.7, d, dtype=torch.float64)

    def loss(w, y):
        sides = 0.5 * h * (w - 0.3) ** 2 + 0.1 * (w - 0.3) ** 3
        return (sides + 0.05 * w.sum(1, keepdim=True) ** 3).sum(1).mean()

    network = Bowl(d)
    data = torch.zeros(2, 1, dtype=torch.float64)
    return qd.Task(network, loss, (data, data)), qd.ParameterSpace(network)


@pytest.mark.parametrize("counted", [np.inf, 2.0])
def test_a_term_that_nearly_vanishes_hides_no_error(counted, monkeypatch):
    monkeypatch.setattr(reduced_descent, "CANCELLED", counted)
    task, space = bowl(3)
    given = {"order": 2, "momentum": 0.9, "check": False}
    found = fast_forward(task, space, 30, 0.5, tolerance=1e-3, **given)
    off = distance(found, qd.series_descent(task, space, 2, 30, 0.5, momentum=0.9, check=False))
    assert (off <= found.error <= 1e-3) == (counted == 2)  # planted: of the end alone


@pytest.mark.slow
def test_terms_that_swing_through_zero_hide_no_error(monkeypatch):
    """With momentum u_2 may nearly vanish at the end; what its nodes leave does not with it."""

    def share_above(count):
        held = []
        for seed in range(count):
            draw = np.random.default_rng(seed)
            given = {"momentum": (0.9, 0.95, 0.8, 0.97)[seed % 4], "check": False}
            steps, rate, order = int(draw.integers(10, 60)), draw.uniform(0.05, 1), 2 + seed % 2
            task, space = bowl(1 + seed % 4)
            found = fast_forward(task, space, steps, rate, order, tolerance=1e-3, **given)
            if found.status in (FastForwardStatus.REACHED, FastForwardStatus.DEARER):
                series = qd.series_descent(task, space, order, steps, rate, **given)
                held.append(distance(found, series) <= 1.2 * found.error + 1e-12)
        assert len(held) > count / 2
        return np.mean(held)

    assert share_above(24) == 1
    monkeypatch.setattr(reduced_descent, "CANCELLED", np.inf)  # planted: of the end alone
    assert share_above(24) < 0.7


def test_the_tolerance_is_that_of_the_end_and_a_shorter_segment_has_its_own():
    task, space = bowl(3)
    given = {"learning_rate": 0.3, "order": 2, "momentum": 0.97, "check": False}
    whole = fast_forward(task, space, 40, tolerance=1e-3, every_step=True, **given)
    series = {t: qd.series_descent(task, space, steps=t, **given) for t in (5, 40)}
    assert distance(whole, series[40]) <= whole.error <= 1e-3
    early = float((whole.after(5)[0].sum(0) - series[5].value).norm() / series[5].value.norm())
    assert early > 0.01  # as its docstring says
    found = fast_forward(task, space, 5, tolerance=1e-3, **given)
    assert distance(found, series[5]) <= found.error <= 1e-3
