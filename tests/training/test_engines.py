"""Every engine ends a segment where the others do, and says in one sentence what it cannot do."""

import math

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.learning.descent.sgd import SGD
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.quantum.simulator.state_vector import _Machine
from qdescent.solvers.series import series_descent
from qdescent.training import jump
from qdescent.training.engines import circuit_path
from qdescent.training.engines.choices import CIRCUIT_WEIGHTS, ENGINES
from qdescent.training.engines.circuit_path import CircuitPath
from qdescent.training.engines.forward_path import ForwardPath
from qdescent.training.engines.path import Upload
from qdescent.training.hybrid import train_hybrid
from qdescent.training.schedule import AdaptiveSchedule, Schedule

SLOW = pytest.mark.slow
WAYS = {
    "plain": {},
    "decay": {"weight_decay": 0.3},
    "momentum": {"momentum": 0.5},
    "both": {"momentum": 0.5, "weight_decay": 0.3},
    "dampened": {"momentum": 0.5, "dampening": 0.3},
    "nesterov": {"momentum": 0.5, "nesterov": True, "weight_decay": 0.3},
    "decoupled": {"momentum": 0.5, "weight_decay": 0.3, "decoupled": True},
}


def relative(x, y):
    return float((x - y).norm() / y.norm())


def two_weights(seventeen):
    """The task, and the two of its weights that move most."""
    space = ParameterSpace(seventeen.task.network)
    gradient = seventeen.task.loss_and_gradient(space, space.theta)[1]
    return seventeen.task, space.restrict(space.theta, gradient.abs().topk(2).indices)


def end_of(task, space, engine, segment=6, rate=0.3, **settings):
    schedule = Schedule(2, segment, 1, rate, None, engine=engine, engine_tolerance=1e-4, **settings)
    return train_hybrid([task], space, schedule, beside=False).rounds[0]


@pytest.mark.parametrize(
    "way", [way if way in ("plain", "both") else pytest.param(way, marks=SLOW) for way in WAYS]
)
def test_circuit_series_and_fast_forward_agree_on_two_weights(seventeen, way):
    task, space = two_weights(seventeen)
    truth = series_descent(task, space, 2, 6, 0.3, **WAYS[way]).value
    for engine in ENGINES:
        found = end_of(task, space, engine, **WAYS[way])
        assert relative(found.theta - space.theta, truth) < 2e-4
        assert found.solver_error < 2e-4
        assert (found.solver_error == 0) == (engine == "series")
        if found.velocity is not None:
            exact = series_descent(task, space, 2, 6, 0.3, **WAYS[way]).velocity.sum(0)
            assert (
                0.3 * float((found.velocity - exact).norm() / truth.norm()) < 1e-3
            )  # of u, and less


@pytest.mark.parametrize("way", ["plain", "momentum"])
def test_a_circuit_is_forecast_and_refused_beyond_the_limit_before_it_is_run(
    seventeen, way, monkeypatch
):
    """As many gates as are then made, by fast-forward and by the history; the limit can be
    raised.
    """
    task, space = two_weights(seventeen)
    space = space.restrict(space.theta, torch.tensor([0]))
    rule = SGD(0.3, **WAYS[way])
    upload = Upload(task, space, space.theta, rule, 2, 2, tolerance=1e-4)
    expected = CircuitPath(upload).forecast(2, 2)
    made = []
    whole = _Machine.bring_forward
    monkeypatch.setattr(
        _Machine, "bring_forward", lambda self, qubits: (made.append(1), whole(self, qubits))[1]
    )
    scaled = _Machine.multiply
    monkeypatch.setattr(
        _Machine, "multiply", lambda self, *given: (made.append(1), scaled(self, *given))[1]
    )
    assert end_of(task, space, "circuit", 2, **WAYS[way]).solver_error < 2e-4
    assert len(made) == expected.gates + 1  # the registers are brought into order at last
    made.clear()
    with pytest.raises(ArgumentError, match=f"`most_seconds` must be .*{expected.gates:,} gates"):
        end_of(task, space, "circuit", 2, most_seconds=0.9 * expected.seconds, **WAYS[way])
    assert not made


def test_the_circuit_takes_every_rule(seventeen):
    """Two steps of one weight: dampening after an undamped first step, Nesterov, decay apart."""
    task, space = two_weights(seventeen)
    space = space.restrict(space.theta, torch.tensor([0]))
    for rule in (WAYS["dampened"], WAYS["nesterov"], WAYS["decoupled"]):
        found = end_of(task, space, "circuit", 2, **rule)
        truth = series_descent(task, space, 2, 2, 0.3, **rule).value
        assert relative(found.theta - space.theta, truth) < 2e-4
        assert 0 < found.solver_error < 2e-4


def test_a_circuit_of_another_map_is_caught_by_what_it_is_compared_with(seventeen, monkeypatch):
    """The decay planted away from the circuit's map alone: the measured solver error shows it."""
    task, space = two_weights(seventeen)
    whole = circuit_path.gradient_map

    def bent(task, space, rate, *rest):
        return whole(task, space, 1.05 * rate, *rest)

    monkeypatch.setattr(circuit_path, "gradient_map", bent)
    assert end_of(task, space, "circuit").solver_error > 1e-2


@pytest.mark.slow
def test_the_circuit_takes_fresh_batches_and_order_three_through_the_history(seventeen):
    task, space = two_weights(seventeen)
    x, y = task.data
    tasks = [task.with_data((x[:3], y[:3])), task.with_data((x[3:], y[3:]))]
    for order, fresh in ((2, True), (3, False)):
        schedule = Schedule(
            order, 2, 1, 0.3, None, fresh_batches=fresh, engine="circuit", engine_tolerance=1e-4
        )
        run = train_hybrid(tasks if fresh else [task], space, schedule, beside=False)
        truth = series_descent(tasks if fresh else task, space, order, 2, 0.3).value
        assert relative(run.theta - space.theta, truth) < 2e-4


@pytest.mark.slow
@pytest.mark.parametrize("momentum", [0.0, pytest.param(0.9, marks=SLOW)])
def test_fast_forward_searches_the_lengths_that_the_series_walks_to(small_conv, momentum):
    space, runs = ParameterSpace(small_conv.task.network), {}
    for engine in ("series", "fast-forward"):
        schedule = AdaptiveSchedule(
            1e-2, orders=(2, 3), steps=24, longest=24, learning_rate=0.02 * (1 - momentum),
            shots=None, momentum=momentum, engine=engine, engine_tolerance=1e-4,
        )  # fmt: skip
        runs[engine] = train_hybrid([small_conv.task], space, schedule, beside=False)
        assert max(each.truncation[-1] for each in runs[engine].rounds) < 1e-2
    first, found = (runs[engine].rounds[0] for engine in ("series", "fast-forward"))
    assert 0.5 * first.steps <= found.steps <= 1.2 * first.steps
    truth = series_descent(
        small_conv.task, space, found.order, found.steps, 0.02 * (1 - momentum), momentum=momentum
    ).value
    assert relative(found.theta - space.theta, truth) < 1e-4
    assert sum(each.steps for each in runs["fast-forward"].rounds) == 24


def test_a_single_step_that_is_left_over_is_that_of_descent(seventeen):
    space = ParameterSpace(seventeen.task.network)
    for engine in ("series", "fast-forward"):
        schedule = AdaptiveSchedule(
            0.1, orders=(2,), steps=3, longest=2, learning_rate=0.05, shots=None, engine=engine
        )
        rounds = train_hybrid([seventeen.task], space, schedule, beside=False).rounds
        assert [each.steps for each in rounds] == [2, 1]
        _, gradient = seventeen.task.loss_and_gradient(space, rounds[0].theta)
        torch.testing.assert_close(rounds[1].theta, rounds[0].theta - 0.05 * gradient)


@pytest.mark.slow
def test_no_length_is_tried_for_an_order_that_cannot_become_the_cheapest(small_conv, monkeypatch):
    """Order 3 is dearer at any length where a round costs nothing, not where it costs much."""
    space = ParameterSpace(small_conv.task.network)
    lengths = []

    def tried(upload):
        lengths.append(upload.longest)
        return ForwardPath(upload)

    monkeypatch.setattr(jump, "ForwardPath", tried)
    for cost in (0.0, 1e6):
        lengths.clear()
        schedule = AdaptiveSchedule(
            1e-3, steps=30, longest=30, learning_rate=0.02, shots=None, engine="fast-forward",
            round_cost=cost, engine_tolerance=1e-5,
        )  # fmt: skip
        run = train_hybrid([small_conv.task], space, schedule, beside=False, watch=False)
        assert (3 in {each.order for each in run.rounds}) == (cost > 0)
        assert (len(lengths) <= len(run.rounds) + 1) == (cost == 0)  # a path a round


@pytest.mark.parametrize("engine", ["series", "fast-forward"])
def test_without_watching_the_weights_are_the_same(small_conv, engine):
    space = ParameterSpace(small_conv.task.network)
    schedule = Schedule(2, 5, 2, 0.05, None, engine=engine)
    watched = train_hybrid([small_conv.task], space, schedule)
    blind = train_hybrid([small_conv.task], space, schedule, watch=False)
    assert relative(blind.theta, watched.theta) < 1e-14
    for seen, unseen in zip(watched.rounds, blind.rounds, strict=True):
        assert unseen.steps == seen.steps
        assert all(map(math.isnan, unseen.loss[1:-1] + unseen.truncation))
        assert unseen.loss[-1] == pytest.approx(seen.loss[-1], rel=1e-12)
        assert unseen.estimate[-1] == pytest.approx(seen.estimate[-1], rel=0.5)


def test_what_an_engine_cannot_do_is_one_sentence(seventeen, small_conv):
    sentence = "Argument `engine` must be 'series' for a fresh batch a step"
    for kind in (Schedule, AdaptiveSchedule):
        with pytest.raises(ArgumentError, match=sentence):
            kind(engine="fast-forward", fresh_batches=True)
    with pytest.raises(ArgumentError, match="Argument `engine` must be one of 'series', 'fast-"):
        Schedule(engine="gmres")
    space = ParameterSpace(small_conv.task.network)
    assert space.n > CIRCUIT_WEIGHTS
    with pytest.raises(
        ArgumentError,
        match="Argument `engine` must be 'series' or 'fast-forward' above 8 weights .* with 82",
    ):
        train_hybrid([small_conv.task], space, Schedule(engine="circuit", segment=2))


def test_an_engine_that_does_not_resolve_a_segment_says_so():
    """A loss of a thousand curvatures: sixty vectors do not see it in full."""
    network = nn.Linear(200, 1, bias=False).double()
    x = torch.diag(torch.logspace(-2, 1, 200, dtype=torch.float64))
    task = Task(network, nn.functional.mse_loss, (x, torch.ones(200, 1, dtype=torch.float64)))
    space = ParameterSpace(network)
    stiff = {"engine": "fast-forward", "engine_tolerance": 1e-9}
    with pytest.raises(ArgumentError, match="Argument `engine` must resolve the segment within"):
        train_hybrid([task], space, Schedule(1, 3_000, 1, 0.5, None, **stiff))


@pytest.mark.parametrize("engine", ["series", "fast-forward", "circuit"])
def test_a_stationary_point_stays(engine):
    network = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        network.weight.zero_()
    data = torch.eye(2, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64)
    task, space = Task(network, nn.functional.mse_loss, data), ParameterSpace(network)
    for settings in ({}, {"momentum": 0.5}, {"read_error": 0.1}, {"unread": 0.1}):
        run = train_hybrid([task], space, Schedule(2, 3, 2, 0.1, engine=engine, **settings))
        assert run.theta.tolist() == [0.0, 0.0]


def test_a_hessian_that_overflows_is_one_sentence():
    network = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(1.0)
    task = Task(
        network,
        lambda o, t: (1e-12 * (o * o).square()).sum(),
        (torch.full((1, 2), 1e9), torch.zeros(1, 1)),
    )
    with pytest.raises(ArgumentError, match="^Argument `[a-z_]+` must .*, but is .*[.]$"):
        train_hybrid([task], ParameterSpace(network), Schedule(2, 3, 1, 0.1, engine="fast-forward"))


def test_a_rate_that_makes_a_segment_grow_is_named_as_the_reason(small_conv):
    """Not the engine, whose space no longer reaches what it grew to."""
    space = ParameterSpace(small_conv.task.network)
    schedule = Schedule(2, 30, 1, 5.0, None, engine="fast-forward")
    with pytest.raises(ArgumentError, match="`learning_rate` must keep the segment from growing"):
        train_hybrid([small_conv.task], space, schedule, beside=False)
