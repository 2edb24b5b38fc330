"""The spectrum callback: right numbers, no trace in the training, and a budget that holds."""

import copy
from collections import Counter
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune
from training.trainers import disturbable_network, random

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence
from qdescent.learning.curvature import twins
from qdescent.learning.pruning.magnitude import magnitude_mask
from qdescent.learning.task import Task
from qdescent.linalg.operator import LinearOperator
from qdescent.training.callback import SpectrumCallback

DATA = random(1, 12, 1, 6, 6).double(), torch.arange(12) % 3


def network_of(*, pruned=False):
    network = disturbable_network().double()
    if pruned:
        prune.global_unstructured(
            [(network[0], "weight"), (network[5], "weight")], prune.L1Unstructured, amount=0.7
        )
    return network


def callback_of(**settings):
    return SpectrumCallback(
        F.cross_entropy,
        DATA,
        **{"at": 2, "learning_rate": 0.1, "steps": 6, "budget": float("inf"), **settings},
    )


def train(network, callback=None, updates=6):
    """A plain loop with global random numbers; what it leaves: state, gradients, momentum, the
    generator, the modes.
    """
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9)
    network.train()
    network[1].eval()  # one module frozen by hand: the callback must not wake it
    if callback is not None:
        callback(0, network)
    for _ in range(updates):
        places = torch.randint(0, 12, (8,))
        optimizer.zero_grad()
        F.cross_entropy(network(DATA[0][places]), DATA[1][places]).backward()
        optimizer.step()
        if callback is not None:
            callback.step(network)
    left = [
        *network.state_dict().values(),
        *(w.grad for w in network.parameters()),
        torch.random.get_rng_state(),
    ]
    left += [optimizer.state[w]["momentum_buffer"] for w in network.parameters()]
    return left, [module.training for module in network.modules()]


@pytest.mark.parametrize("pruned", [False, True])
def test_a_training_ends_where_it_would_have_ended_without(pruned):
    start, callback = network_of(pruned=pruned), callback_of()
    with_it, modes = train(
        copy.deepcopy(start) if not pruned else network_of(pruned=True), callback
    )
    without, modes_without = train(start)
    assert [step for step, _, _ in callback.measurements] == [0, 2, 4, 6]
    assert modes == modes_without
    for a, b in zip(with_it, without, strict=True):
        assert torch.equal(a, b)


def test_the_check_above_sees_a_careless_callback(monkeypatch):
    class Careless(SpectrumCallback):
        def _measure(self, step, network):
            torch.rand(1)
            for module in network.modules():
                module.training = True
            network(self.data[0])
            return super()._measure(step, network.eval())

    def left(callback):
        return train(network_of(), callback)

    without, modes = left(None)
    with_it, modes_with = left(callback_of())
    assert modes == modes_with
    monkeypatch.setattr("qdescent.training.measurement.untouched", lambda network: nullcontext())
    careless, _ = left(
        Careless(F.cross_entropy, DATA, at=2, learning_rate=0.1, steps=6, budget=float("inf"))
    )
    assert all(torch.equal(a, b) for a, b in zip(with_it, without, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(careless, without, strict=True))


def dense_eigenvalues(network, weights, keep):
    """Eigenvalues of the Hessian over the kept entries of `weights`, by forward over reverse,
    without the package.
    """
    sizes = [w.numel() for w in weights.values()]
    flat = torch.cat([w.detach().flatten() for w in weights.values()]) * keep
    chosen = keep.nonzero()[:, 0]

    def loss(part):
        parts = flat.index_put((chosen,), part).split(sizes)
        swapped = {
            name: p.view(w.shape) for (name, w), p in zip(weights.items(), parts, strict=True)
        }
        return F.cross_entropy(torch.func.functional_call(network, swapped, (DATA[0],)), DATA[1])

    return torch.linalg.eigvalsh(torch.func.jacfwd(torch.func.jacrev(loss))(flat[chosen]))


@pytest.mark.parametrize("way", ["prune", "mask", "frozen"])
def test_the_spectrum_is_that_of_the_kept_weights(way):
    network = network_of(pruned=way == "prune")
    mask = magnitude_mask(network, 0.3) if way == "mask" else None
    if way == "frozen":
        network[5].requires_grad_(False)
    callback = callback_of(mask=mask, steps=40, probes=1)
    seen = callback(0, network)
    weights = dict(network.named_parameters())
    if way == "frozen":  # at their value, not at zero
        weights = {name: w for name, w in weights.items() if w.requires_grad}
        keep = torch.ones(sum(w.numel() for w in weights.values()), dtype=torch.bool)
    elif way == "mask":
        keep = torch.cat([mask.keep[name].flatten() for name in weights])
    else:
        masks = dict(network.named_buffers())
        keep = torch.cat(
            [
                masks.get(name.replace("_orig", "_mask"), torch.ones_like(w)).flatten() != 0
                for name, w in weights.items()
            ]
        )
    truth = dense_eigenvalues(network.eval(), weights, keep)
    assert seen.spectrum.size == len(truth)
    assert seen.spectrum.lambda_max[0] == pytest.approx(float(truth[-1]), abs=1e-8)
    assert seen.spectrum.lambda_min[0] == pytest.approx(float(truth[0]), abs=1e-8)
    assert seen.dissipation.growth == pytest.approx(float((1 - 0.1 * truth).abs().max()) ** 60)
    everything = dense_eigenvalues(
        network.eval(),
        dict(network.named_parameters()),
        torch.ones(sum(w.numel() for w in network.parameters())).bool(),
    )
    # all weights as coordinates: another spectrum
    assert abs(float(everything.mean() / truth.mean()) - 1) > 0.05


@pytest.mark.parametrize(
    ("settings", "measured"),
    [
        ({"at": 5}, [0, 5, 10, 15, 20]),
        ({"at": [1, 3, 20]}, [1, 3, 20]),
        ({"at": (7,)}, [7]),
        ({"at": range(0, 9, 4)}, [0, 4, 8]),
    ],
)
def test_steps(settings, measured):
    network, callback = nn.Linear(36, 3).double(), callback_of(**settings, steps=1, probes=1)
    callback.data = DATA[0].flatten(1), DATA[1]
    callback(0, network)
    for _ in range(20):
        callback.step(network)
    assert [one.step for one in callback.measurements] == measured
    assert callback.skipped == []


def test_the_budget_holds_at_every_step():
    network, callback = (
        nn.Linear(36, 3).double(),
        callback_of(at=10, steps=2, probes=2, budget=0.1, batch=24),
    )
    callback.data = DATA[0].flatten(1), DATA[1]
    # half a training batch: half the cost
    assert callback.cost == pytest.approx(2 * 2 * 2.2 * 12 / 24)
    for _ in range(200):
        callback.step(network)
        assert callback.spent <= 0.1 * callback.taken
    assert [one.step for one in callback.measurements] == [50, 90, 140, 180]
    assert [step for step, _ in callback.skipped] == [
        k for k in range(10, 201, 10) if k not in (50, 90, 140, 180)
    ]
    assert (
        callback.skipped[0].reason
        == "over budget: 2 steps x 2 probes cost 4.4 gradients, 0 are spent, and budget 0.1 allows"
        " 1 after 10 steps"
    )
    assert callback.spent == pytest.approx(4 * callback.cost)


def test_the_start_is_measured_but_counts():
    network, callback = nn.Linear(36, 3).double(), callback_of(at=10, steps=1, probes=1, budget=0.1)
    callback.data = DATA[0].flatten(1), DATA[1]
    assert callback(0, network) is not None
    for _ in range(50):
        callback.step(network)
    # 4.4 gradients spent: allowed from step 44 on
    assert [one.step for one in callback.measurements] == [0, 50]


def test_the_products_are_no_more_than_were_counted(monkeypatch):
    seen = Counter()
    gradient, product = Task.loss_and_gradient, LinearOperator.__matmul__
    in_double = twins._in_double

    def counted(task, *args):
        seen["gradients"] += 1
        return gradient(task, *args)

    def counted_in_double(*args):
        seen["gradients"] += 1
        return in_double(*args)

    def multiplied(operator, x):
        seen["products"] += 1 if x.ndim == 1 else x.shape[1]
        return product(operator, x)

    monkeypatch.setattr(Task, "loss_and_gradient", counted)
    monkeypatch.setattr(twins, "_in_double", counted_in_double)  # of the check
    monkeypatch.setattr(LinearOperator, "__matmul__", multiplied)
    callback = callback_of(steps=5, probes=3)
    callback(0, network_of())
    # the checks: two products and two gradients, and two products made again
    assert 5 * 2 + 4 < seen["products"] <= 5 * 3 + 4
    assert seen["gradients"] == 1 + 2
    callback(1000, network_of())  # the same network and loss: it is not checked again
    assert seen["products"] <= 2 * 5 * 3 + 4
    assert seen["gradients"] == 2 + 2


def test_a_diverged_training_is_recorded_and_a_mistake_is_not_hidden():
    network, callback = network_of(), callback_of(at=1)
    callback(0, network)
    with torch.no_grad():
        network[5].weight[0, 0] = float("nan")
    assert callback(1, network) is None
    assert callback.skipped[0].step == 1
    assert "Argument `weights['5.weight']` must be finite" in callback.skipped[0].reason
    with pytest.raises(ArgumentError, match=r"`weights\['5.weight'\]` must be finite"):
        callback_of()(0, network.train())
    assert all(module.training for module in network.modules())
    with pytest.raises(
        ArgumentError,
        match="Argument `network` must have a kept weight with requires_grad, but is without one.",
    ):
        callback_of()(0, network_of().requires_grad_(False))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"at": 0}, "Argument `at` must be an integer of at least 1, but is 0."),
        ({"at": []}, "Argument `at` must hold at least one step, but is empty."),
        ({"at": [-1]}, "Argument `at` must be an integer of at least 0, but is -1."),
        ({"budget": 0}, r"Argument `budget` must be in \(0, inf\], but is 0\."),
        ({"learning_rate": 0.0}, r"Argument `learning_rate` must be in \(0, inf\), but is 0\.0\."),
        ({"momentum": 1.0}, r"Argument `momentum` must be in \[0, 1\), but is 1\.0\."),
        ({"batch": 0}, "Argument `batch` must be an integer of at least 1, but is 0."),
        ({"probes": 0}, "Argument `probes` must be an integer of at least 1, but is 0."),
    ],
)
def test_bad_settings(settings, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        callback_of(**settings)


def test_steps_do_not_go_back():
    network, callback = network_of(), callback_of()
    callback(4, network)
    assert callback(4, network) is None
    assert len(callback.measurements) == 1
    with pytest.raises(
        ArgumentError, match="Argument `step` must not fall below the last one, 4, but is 3."
    ):
        callback(3, network)


def test_rows():
    network, callback = network_of(), callback_of(at=10, budget=1.0, steps=3)
    for step in (0, 10, 20, 30):
        callback(step, network)
    rows = {row.name: row for row in callback.rows()}
    assert rows["through_training/step"].value == (0, 30)
    assert rows["through_training/lambda_max"].value == tuple(
        one.spectrum.lambda_max[0] for one in callback.measurements
    )
    assert rows["through_training/lambda_max"].error == tuple(
        one.spectrum.lambda_max[1] for one in callback.measurements
    )
    least, middle, most = (
        rows[f"through_training/negative_{name}"].value for name in ("at_least", "mass", "at_most")
    )
    assert all(a < b < c for a, b, c in zip(least, middle, most, strict=True))
    # a mean over probes
    assert rows["through_training/negative_at_most"].evidence is Evidence.MEASURED
    every = torch.ones(sum(w.numel() for w in network.parameters())).bool()
    truth = float(
        (dense_eigenvalues(network.eval(), dict(network.named_parameters()), every) <= 0)
        .double()
        .mean()
    )
    assert least[0] - 0.1 < truth < most[0] + 0.1
    shares = [
        rows[f"through_training/{kind}"].value for kind in ("dissipative", "neutral", "divergent")
    ]
    assert [sum(parts) for parts in zip(*shares, strict=True)] == pytest.approx([1, 1])
    assert "dissipative" in rows["through_training/verdict/30"].value
    assert "over budget" in rows["through_training/skipped/10"].value
    assert rows["through_training/overhead"].value == pytest.approx(2 * 3 * 2 * 2.2 / 30)
    assert rows["through_training/overhead"].evidence is Evidence.MODELLED
    assert {row.name.split("/")[0] for row in callback.rows("mine")} == {"mine"}
    assert next(row.name for row in callback_of().rows()) == "through_training/step"
