"""The series form is the homogenised Carleman system's solution, to rounding."""

import itertools

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.learning.gradient_map import gradient_map
from qdescent.learning.mean_series import MeanSeries
from qdescent.learning.parallel.shared_task import SharedTask
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.task import Task
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.solvers.classical import Direct
from qdescent.solvers.segment.fast_forward import fast_forward
from qdescent.solvers.series import SeriesSteps, series_descent
from qdescent.solvers.solve import solve

ETA = 0.1


def explicit(f, order, steps, form="homogenised"):
    lift = carleman_linearize(f, order, form)
    z = lift.lift(torch.zeros(f.size, dtype=torch.float64))
    for _ in range(steps):
        z = lift.step(z)
    return lift.project(z)


def relative(x, y):
    return float((x - y).norm() / y.norm())


@pytest.mark.parametrize("order", [1, 2, 3])
def test_series_is_the_explicit_homogenised_matrix(seventeen, order):
    space = ParameterSpace(seventeen.task.network)
    lift = carleman_linearize(gradient_map(seventeen.task, space, ETA, degree=order), order)
    z = lift.lift(torch.zeros(17, dtype=torch.float64))
    for steps in range(1, 5):
        z = lift.step(z)
        ours = series_descent(seventeen.task, space, order, steps, ETA)
        assert relative(ours.value, lift.project(z)) < 1e-12
        assert (ours.steps, ours.terms.shape) == (steps, (order, 17))
        if order > 1 and steps > 2:
            assert relative(ours.terms[:-1].sum(0), lift.project(z)) > 1e-4  # one order less


def test_order_four_on_three_weights_is_the_explicit_matrix(seventeen):
    full = ParameterSpace(seventeen.task.network)
    space = full.restrict(full.theta, torch.tensor([2, 9, 15]))
    f = gradient_map(seventeen.task, space, ETA, degree=4, theta=space.theta)
    ours = series_descent(seventeen.task, space, 4, 5, ETA, space.theta).value
    assert relative(ours, explicit(f, 4, 5)) < 1e-12
    assert relative(ours, explicit(f, 3, 5)) > 1e-9  # one order less


@pytest.mark.parametrize("order", [2, 3])
def test_masked_and_at_another_pivot(seventeen, order):
    space = ParameterSpace(
        seventeen.task.network, MASKS["random"](seventeen.task.network, density=0.4)
    )
    theta = space.theta + 0.2
    f = gradient_map(seventeen.task, space, ETA, order, theta)
    ours = series_descent(seventeen.task, space, order, 4, ETA, theta).value
    assert relative(ours, explicit(f, order, 4)) < 1e-12
    # another truncation, as F_0 is not zero
    assert relative(ours, explicit(f, order, 4, "plain")) > 1e-10


def test_the_history_system_gives_the_same(seventeen):
    full = ParameterSpace(seventeen.task.network)
    space = full.restrict(full.theta, torch.tensor([2, 9, 15]))
    f = gradient_map(seventeen.task, space, ETA, 2)
    system = history_system(carleman_linearize(f, 2), torch.zeros(3), steps=4, padding=2)
    ours = series_descent(seventeen.task, space, 2, 4, ETA)
    assert relative(ours.answer, solve(system, Direct()).answer) < 1e-12


def test_order_one_is_descent_on_the_quadratic_model(seventeen):
    """u_1(T) = -(I - (I - eta H)^T) H^+ g, here by the recursion with a dense H."""
    space = ParameterSpace(seventeen.task.network)
    g, H, u = (
        seventeen.gradient(seventeen.theta),
        seventeen.hessian(seventeen.theta),
        torch.zeros(17).double(),
    )
    for _ in range(20):
        u = u - ETA * (g + H @ u)
    assert relative(series_descent(seventeen.task, space, 1, 20, ETA).value, u) < 1e-12
    assert relative(-20 * ETA * g, u) > 1e-2  # the gradient alone


@pytest.mark.parametrize("order", [1, 2, 4])
def test_exact_for_a_quadratic_loss(regression, order):
    space = ParameterSpace(regression.task.network)
    truth = regression.descend(regression.theta, 0.1, 30) - regression.theta
    assert relative(series_descent(regression.task, space, order, 30, 0.1).value, truth) < 1e-12


@pytest.mark.parametrize("name", ["seventeen", "small_conv"])
def test_higher_orders_come_nearer_to_descent_inside_the_radius(name, request):
    twin = request.getfixturevalue(name)
    space = ParameterSpace(twin.task.network)
    truth = twin.descend(twin.theta, 0.02, 5) - twin.theta
    found = [series_descent(twin.task, space, order, 5, 0.02) for order in (1, 2, 3, 4)]
    errors = [relative(s.value, truth) for s in found]
    assert all(after < before / 3 for before, after in itertools.pairwise(errors))
    # the last term tells the size of the error one order below
    for order, s in enumerate(found[1:], 1):
        assert 0.2 < s.last_term / errors[order - 1] < 5


def test_beyond_the_radius_a_higher_order_is_worse(seventeen):
    space = ParameterSpace(seventeen.task.network)
    truth = seventeen.descend(seventeen.theta, 0.5, 20) - seventeen.theta
    errors = [
        relative(series_descent(seventeen.task, space, order, 20, 0.5).value, truth)
        for order in (1, 2, 3, 4)
    ]
    assert errors == sorted(errors)
    assert errors[0] > 10


def test_steps_go_on_without_an_end(seventeen):
    space = ParameterSpace(seventeen.task.network)
    walk = SeriesSteps(seventeen.task, space, space.theta, 2, ETA)
    for t, terms in enumerate(itertools.islice(walk, 4), 1):
        assert torch.equal(terms, series_descent(seventeen.task, space, 2, t, ETA).terms)


@pytest.fixture
def three(seventeen):
    """Three of the seventeen weights, and four tasks on different samples."""
    full = ParameterSpace(seventeen.task.network)
    space = full.restrict(full.theta + 0.1, torch.tensor([2, 9, 15]))
    inputs, targets = seventeen.task.data
    tasks = [seventeen.task.with_data((inputs[t : t + 3], targets[t : t + 3])) for t in range(4)]
    return seventeen.task, space, tasks


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_fresh_batches_are_the_product_of_the_explicit_matrices(three, order):
    _, space, tasks = three
    lifts = [
        carleman_linearize(gradient_map(task, space, ETA, order, space.theta), order)
        for task in tasks
    ]
    z = lifts[0].lift(torch.zeros(3, dtype=torch.float64))
    for lift in lifts:
        z = lift.step(z)
    ours = series_descent(tasks, space, order, 4, ETA).value
    assert relative(ours, lifts[0].project(z)) < 1e-12
    # another order of batches
    assert (
        relative(series_descent(tasks[::-1], space, order, 4, ETA).value, lifts[0].project(z))
        > 1e-4
    )
    # the first batch's values kept for all
    stale = series_descent(tasks[0], space, order, 4, ETA).value
    assert relative(stale, lifts[0].project(z)) > 1e-2


def momentum_map(task, space, eta, beta, decay, degree):
    """(u, v) -> (u - eta v', v') with v' = beta v + grad L + decay (theta + u), from the
    coefficients of plain descent.
    """
    n, f = space.n, gradient_map(task, space, eta, degree, space.theta)
    coefficients = []
    for k, F in enumerate(f.coefficients):
        rate = -F.to_dense().reshape(n, n**k) / eta  # of v', on u^(x)k
        if k == 0:
            rate = rate + decay * space.theta[:, None]
        if k == 1:
            rate = rate + torch.eye(n).double() / eta + decay * torch.eye(n).double()
        wide = torch.zeros(n, *(2 * n,) * k, dtype=torch.float64)
        wide[(slice(None), *(slice(0, n),) * k)] = rate.reshape(n, *(n,) * k)
        if k == 1:
            wide[:, n:] = beta * torch.eye(n).double()
        wide = wide.reshape(n, (2 * n) ** k)
        above = -eta * wide
        if k == 1:
            above[:, :n] += torch.eye(n)
        coefficients.append(torch.cat([above, wide]))
    return PolynomialMap(coefficients)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_momentum_is_the_explicit_map_on_both(three, order):
    task, space, _ = three
    settings = {"momentum": 0.8, "weight_decay": 0.3}
    lift = carleman_linearize(momentum_map(task, space, ETA, 0.8, 0.3, order), order)
    z = lift.lift(torch.zeros(6, dtype=torch.float64))
    for steps in range(1, 5):
        z = lift.step(z)
        ours = series_descent(task, space, order, steps, ETA, **settings)
        assert relative(torch.cat([ours.value, ours.velocity.sum(0)]), lift.project(z)) < 1e-12
    for wrong in ({"momentum": 0.8}, {"weight_decay": 0.3}):
        assert (
            relative(series_descent(task, space, order, 4, ETA, **wrong).value, lift.project(z)[:3])
            > 1e-3
        )


def test_a_velocity_at_the_pivot_goes_on(three):
    task, space, _ = three
    velocity = torch.tensor([0.1, -0.2, 0.05]).double()
    lift = carleman_linearize(momentum_map(task, space, ETA, 0.8, 0.0, 3), 3)
    z = lift.lift(torch.cat([torch.zeros(3).double(), velocity]))
    for _ in range(3):
        z = lift.step(z)
    ours = series_descent(task, space, 3, 3, ETA, momentum=0.8, velocity=velocity)
    assert relative(ours.value, lift.project(z)[:3]) < 1e-12
    assert (
        relative(series_descent(task, space, 3, 3, ETA, momentum=0.8).value, lift.project(z)[:3])
        > 1e-3
    )
    # all its terms go on, not their sum alone
    halves = SeriesSteps(task, space, space.theta, 3, ETA, 0.8, velocity=ours.velocity)
    expected = 0.8 * ours.velocity
    # of the first degree, for the displacement is still 0
    expected[0] += task.loss_and_gradient(space, space.theta)[1]
    assert relative(next(halves), -ETA * expected) < 1e-12


def test_momentum_and_decay_are_those_of_torch(regression):
    """A quadratic loss is exact at any order."""
    space = ParameterSpace(regression.task.network)
    ours = series_descent(regression.task, space, 2, 20, 0.02, momentum=0.9, weight_decay=0.1)
    w = nn.Parameter(space.theta.clone())
    optimizer = torch.optim.SGD([w], lr=0.02, momentum=0.9, weight_decay=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        regression.loss(w).backward()
        optimizer.step()
    assert relative(ours.value, w.detach() - space.theta) < 1e-12
    assert relative(ours.velocity.sum(0), optimizer.state[w]["momentum_buffer"]) < 1e-12


@pytest.mark.parametrize("order", [1, 2, 3])
def test_nested_derivatives_give_the_same(three, order):
    task, space, tasks = three
    for given in (task, tasks):
        fast, slow = (
            series_descent(given, space, order, 3, ETA, momentum=0.5, method=m).terms
            for m in ("taylor", "jvp")
        )
        assert relative(fast, slow) < 1e-12


def test_a_module_without_rules_goes_the_slow_way_and_a_kink_goes_no_way(seventeen):
    def task_with(activation):
        network = nn.Sequential(
            nn.Linear(2, 3), activation, nn.LayerNorm(3), nn.Linear(3, 2)
        ).double()
        return Task(network, nn.functional.mse_loss, seventeen.task.data), ParameterSpace(network)

    class Branch(nn.Module):
        """A question that no Jet answers as a tensor does."""

        def forward(self, x):
            return torch.atan(x) if isinstance(x, torch.Tensor) else x[None, "no"]

    task, space = task_with(Branch())
    truth, theta = [], space.theta
    for _ in range(3):
        theta = theta - 0.001 * task.loss_and_gradient(space, theta)[1]
        truth.append(theta - space.theta)
    errors = [
        relative(series_descent(task, space, order, 3, 0.001).value, truth[-1])
        for order in (1, 2, 3)
    ]
    assert all(after < before / 3 for before, after in itertools.pairwise(errors))
    assert "some 12 gradients a step" in series_descent(task, space, 2, 2, ETA).how
    for kink in (nn.ReLU(), nn.ReLU6(), nn.ELU(), nn.Hardtanh(), nn.LeakyReLU()):
        task, space = task_with(kink)
        for method in ("taylor", "jvp"):
            with pytest.raises(ArgumentError, match="Argument `network` must be .*using"):
                series_descent(task, space, 2, 2, ETA, method=method)


def test_what_is_recorded_does_not_follow_a_later_change(three):
    task, space, _ = three
    theta = space.theta.clone()
    walk, other = (
        SeriesSteps(task, space, space.theta, 3, ETA),
        SeriesSteps(task, space, theta + 1, 3, ETA),
    )
    views = SeriesSteps(task, space, theta, 3, ETA)
    expected = series_descent(task, space, 3, 3, ETA).terms
    next(walk), next(other)
    theta += 1
    with torch.no_grad():
        for w in task.network.parameters():
            w += 1
    next(walk), next(other)
    assert torch.equal(next(walk), expected)
    assert relative(next(other), expected) > 1e-2
    with pytest.raises(
        ArgumentError, match="Argument `theta` must stay as it is while its series is used"
    ):
        next(views)


def test_errors(seventeen):
    space = ParameterSpace(seventeen.task.network)
    with pytest.raises(
        ArgumentError, match="Argument `order` must be at most 6 in series form, but is 7."
    ):
        series_descent(seventeen.task, space, 7, 1, ETA)
    with pytest.raises(ArgumentError, match="Argument `order` must be an integer of at least 1"):
        series_descent(seventeen.task, space, 0, 1, ETA)
    with pytest.raises(ArgumentError, match="Argument `steps` must be an integer of at least 1"):
        series_descent(seventeen.task, space, 1, 0, ETA)
    with pytest.raises(
        ArgumentError, match=r"Argument `learning_rate` must be in \(0, inf\), but is nan."
    ):
        series_descent(seventeen.task, space, 1, 1, float("nan"))
    for name, value in (("momentum", 1.0), ("weight_decay", -1.0)):
        with pytest.raises(ArgumentError, match=f"Argument `{name}` must be in"):
            series_descent(seventeen.task, space, 1, 1, ETA, **{name: value})
    with pytest.raises(
        ArgumentError, match="Argument `method` must be one of 'auto', 'taylor', 'jvp'"
    ):
        series_descent(seventeen.task, space, 1, 1, ETA, method="exact")
    with pytest.raises(
        ArgumentError,
        match="Argument `task` must hold at least 3 tasks, one for each step, but is 2 of them.",
    ):
        series_descent([seventeen.task] * 2, space, 1, 3, ETA)
    with pytest.raises(ArgumentError, match=r"Argument `velocity` must have shape \(17,\)"):
        series_descent(seventeen.task, space, 1, 1, ETA, velocity=torch.zeros(3))
    relu = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    task = Task(relu, nn.functional.mse_loss, seventeen.task.data)
    with pytest.raises(
        ArgumentError, match="Argument `network` must be made of operations .* using 'relu'"
    ):
        series_descent(task, ParameterSpace(relu), 2, 1, ETA)


def test_a_shared_batch_costs_what_it_costs_alone(three):
    """In gradients over all of it, whoever holds it."""
    task, space, _ = three
    shared = SharedTask(task.network, task.loss, task.data)
    for order in (1, 2, 3):
        alone = SeriesSteps(task, space, space.theta, order, ETA)
        dealt = SeriesSteps(shared, space, space.theta, order, ETA)
        assert alone.price == dealt.price > 0
        assert alone.how == dealt.how
    several = MeanSeries([task, task], space, space.theta, 2)  # each recorded anew at each call
    assert several.price == SeriesSteps(task, space, space.theta, 2, ETA).price + 1


@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (2, 3), (4,), ()])
def test_a_velocity_of_another_shape_is_refused(three, shape):
    task, space, _ = three
    velocity = torch.ones(shape, dtype=torch.float64)
    for find in (series_descent, fast_forward):
        given = (task, space, 2, 4, ETA) if find is series_descent else (task, space, 4, ETA, 2)
        with pytest.raises(ArgumentError, match=r"`velocity` must have shape \(3,\), but is of"):
            find(*given, momentum=0.5, velocity=velocity)
    if shape != (2, 3):  # its terms at order 2
        with pytest.raises(ArgumentError, match=r"have shape \(3,\), or \(2, 3\) for its terms"):
            SeriesSteps(task, space, space.theta, 2, ETA, 0.5, velocity=velocity)
