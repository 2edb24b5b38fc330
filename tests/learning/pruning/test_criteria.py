"""Every criterion of `MASKS`: as many weights as were asked for, by its own rule, and nothing of
the network is changed.

A new criterion is a line in `MASKS` and one in `RULES`, where its scores are computed by another
route; the tests below then hold for it, too.
"""

import ast
import copy
import math
import random as python_random
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrizations, prune

import qdescent.learning.pruning.criteria as room
from qdescent._checks import ArgumentError
from qdescent._random import named_generator
from qdescent.learning.masks import Mask
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.task import Task

H = 1e-5


def removed(network, task, name):
    """dL/dc at c = 1 with every weight of a tensor times its own c: central differences, no
    autograd. To first order what removing a weight changes is minus this.
    """
    weight = dict(network.named_parameters())[name].detach()

    def loss(place, factor):
        moved = weight.clone()
        moved.view(-1)[place] *= factor
        outputs = functional_call(network, {name: moved}, (task.data[0],))
        return float(task.loss(outputs, task.data[1]).detach())

    slopes = [(loss(i, 1 + H) - loss(i, 1 - H)) / (2 * H) for i in range(weight.numel())]
    return np.array(slopes).reshape(tuple(weight.shape))


def flow(network, task, name):
    """d(||g||^2 / 2)/dc as above: no Hessian is formed, the gradient is differenced."""
    weights = {n: w.detach() for n, w in network.named_parameters() if w.requires_grad}

    def energy(place, factor):
        moved = {n: w.clone().requires_grad_() for n, w in weights.items()}
        with torch.no_grad():
            moved[name].view(-1)[place] *= factor
        loss = task.loss(functional_call(network, moved, (task.data[0],)), task.data[1])
        slopes = torch.autograd.grad(loss, list(moved.values()))
        return sum(float((slope**2).sum()) for slope in slopes) / 2

    slopes = [(energy(i, 1 + H) - energy(i, 1 - H)) / (2 * H) for i in range(weights[name].numel())]
    return np.array(slopes).reshape(tuple(weights[name].shape))


def size(network, task, name):
    return np.abs(dict(network.named_parameters())[name].detach().numpy())


def carried(network, task, name):
    """dR/dc as above: R of ones through the moduli of the trained weights."""
    moduli = {n: w.detach().abs() for n, w in network.named_parameters() if w.requires_grad}
    ones = torch.ones_like(task.data[0])

    def flow(place, factor):
        moved = {n: w.clone() for n, w in moduli.items()}
        moved[name].view(-1)[place] *= factor
        return float(functional_call(network, moved, (ones,)).sum())

    slopes = [(flow(i, 1 + H) - flow(i, 1 - H)) / (2 * H) for i in range(moduli[name].numel())]
    return np.array(slopes).reshape(tuple(moduli[name].shape))


# name -> (score of the weights of a tensor by an independent route; None: it draws, a scope)
RULES = {
    "magnitude": (size, "global"),
    "layerwise-magnitude": (size, "layer"),
    "random": (None, "global"),
    "snip": (lambda *given: np.abs(removed(*given)), "global"),
    "gradient-times-weight": (lambda *given: -removed(*given), "global"),
    "grasp": (flow, "global"),
    "synflow": (carried, "global"),
}


def filled(network):
    network = network.double().eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) / 2)
    return network


def plain():
    return filled(nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2)))


class Counting(nn.Module):
    """Keeps a count, a buffer and a cache, and draws random numbers, in every call."""

    def __init__(self):
        super().__init__()
        self.layer, self.calls, self.seen = nn.Linear(3, 2), 0, []
        self.register_buffer("level", torch.zeros(3, dtype=torch.float64))

    def forward(self, x):
        self.calls += 1
        self.seen.append(x)
        self.level += x.mean(0)
        torch.rand(1), np.random.rand(), python_random.random()
        return self.layer(x)


def normed():
    return filled(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)))


def frozen():
    network = plain()
    network[0].requires_grad_(False)
    return network


def tied():
    network = filled(nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)))
    network[2].weight = network[0].weight
    return network


def pruned():
    network = plain()
    prune.random_unstructured(network[0], "weight", amount=6)
    return network


def parametrized():
    network = plain()
    parametrizations.weight_norm(network[0])
    return network


# maker -> prunable tensors
NETWORKS = {
    plain: ["0.weight", "2.weight"],
    lambda: filled(Counting()): ["layer.weight"],
    normed: ["0.weight", "3.weight"],
    frozen: ["2.weight"],
    tied: ["0.weight"],
    pruned: ["0.weight_orig", "2.weight"],
    parametrized: ["2.weight"],
}
each_network = pytest.mark.parametrize("make", NETWORKS, ids=list(map(str, range(len(NETWORKS)))))
each_criterion = pytest.mark.parametrize("name", MASKS)


def with_task(make):
    network = make()
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    outputs = 3 if make is tied else 2
    targets = torch.randn(5, outputs, generator=generator, dtype=torch.float64)
    return network, Task(network, F.mse_loss, (inputs, targets))


def called(name, network, task, density=0.3, seed=0):
    return MASKS[name](network, task, density, named_generator(seed, "test"))


def state(network):
    """All that a call might change, by value."""
    modules = {
        (name, key): copy.copy(value)
        for name, module in network.named_modules()
        for key, value in vars(module).items()
        if not key.startswith("_") or key == "_buffers" or key.endswith("_hooks")
    }
    tensors = {name: x.detach().clone() for name, x in network.state_dict(keep_vars=True).items()}
    gradients = {name: x.grad for name, x in network.named_parameters()}
    asked = {name: x.requires_grad for name, x in network.named_parameters()}
    draws = torch.get_rng_state(), np.random.get_state()[1].tolist(), python_random.getstate()
    return tensors, (str(modules), str(gradients), asked, draws[1:]), draws[0]


def is_same(one, other):
    return (
        one[0].keys() == other[0].keys()
        and all(torch.equal(x, other[0][name]) for name, x in one[0].items())
        and one[1] == other[1]
        and torch.equal(one[2], other[2])
    )


def test_every_criterion_has_a_rule_and_every_function_of_the_room_is_a_criterion():
    assert set(RULES) == set(MASKS)
    assert [name for name, (rule, _) in RULES.items() if rule is None] == ["random"]
    homes = {
        f"{path.stem}:{node.name}"
        for path in Path(room.__file__).parent.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and [a.arg for a in node.args.args] == ["network", "task", "density", "generator"]
    }
    assert homes == {criterion.home for criterion in MASKS.values()}


@each_criterion
@each_network
@pytest.mark.parametrize("density", [1e-9, 0.1, 0.3, 0.75, 1.0])
def test_as_many_as_asked_and_all_that_is_not_prunable(make, name, density):
    network, task = with_task(make)
    mask = called(name, network, task, density)
    weights, prunable = dict(network.named_parameters()), NETWORKS[make]
    assert mask.keep.keys() == weights.keys()
    counts = [weights[each].numel() for each in prunable]
    wanted = counts if RULES[name][1] == "layer" else [sum(counts)]
    chosen = sum(int(mask.keep[each].sum()) for each in prunable)
    assert chosen == sum(max(1, round(density * count)) for count in wanted)
    assert all(bool(keep.all()) for each, keep in mask.keep.items() if each not in prunable)
    # what torch.nn.utils.prune has left suffices here: none of the removed is kept
    if density <= 0.3:
        trained = sum(w.numel() for n, w in weights.items() if w.requires_grad)
        assert ParameterSpace(network, mask).n == chosen + trained - sum(counts)


@each_criterion
@each_network
def test_nothing_of_the_network_is_changed_and_a_seed_is_a_mask(make, name):
    network, task = with_task(make)
    next(network.parameters()).grad = torch.ones_like(next(network.parameters()))
    before = state(network)
    one, again = (called(name, network, task) for _ in range(2))
    assert is_same(before, state(network))
    assert all(torch.equal(keep, again.keep[each]) for each, keep in one.keep.items())


@each_criterion
@each_network
def test_the_rule_by_another_route(make, name):
    network, task = with_task(make)
    score, scope = RULES[name]
    if score is None or make is pruned:
        return
    mask = called(name, network, task)
    groups = [[each] for each in NETWORKS[make]] if scope == "layer" else [NETWORKS[make]]
    for group in groups:
        scores = np.concatenate([score(network, task, each).ravel() for each in group])
        kept = np.concatenate([mask.keep[each].numpy().ravel() for each in group])
        assert set(np.flatnonzero(kept)) == set(np.argsort(-scores)[: kept.sum()])


def test_the_criteria_differ_where_they_should():
    network, task = with_task(plain)
    found = {name: called(name, network, task).keep["0.weight"] for name in MASKS}
    assert not torch.equal(found["snip"], found["magnitude"])
    assert not torch.equal(found["snip"], found["gradient-times-weight"])


def test_random_masks_are_drawn_by_their_generator():
    network, _ = with_task(plain)
    masks = [MASKS["random"](network, None, 0.3, named_generator(s, "x")) for s in range(100)]
    shares = torch.stack([mask.keep["0.weight"].double() for mask in masks]).mean(0)
    assert abs(float(shares.mean()) - 0.3) < 0.02
    assert float((shares - 0.3).abs().max()) < 4 * math.sqrt(0.3 * 0.7 / 100)
    default = MASKS["random"](network, density=0.3)
    drawn = MASKS["random"](network, None, 0.3, named_generator(0, "random mask"))
    assert torch.equal(default.keep["0.weight"], drawn.keep["0.weight"])


def test_a_planted_criterion_that_changes_the_network_or_keeps_too_few_is_seen():
    network, task = with_task(plain)
    before = state(network)
    F.mse_loss(network(task.data[0]), task.data[1]).backward()  # how most codes get a gradient
    assert not is_same(before, state(network))
    network, task = with_task(lambda: filled(Counting()))
    before = state(network)
    network(task.data[0])
    assert not is_same(before, state(network))
    scores = removed(*with_task(plain), "0.weight")
    assert set(np.argsort(scores.ravel())[:3]) != set(np.argsort(np.abs(scores).ravel())[:3])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"density": 1.5}, r"Argument `density` must be in \(0, 1\], but is 1.5."),
        ({"density": math.nan}, r"Argument `density` must be in \(0, 1\], but is nan."),
        (
            {"task": None},
            "Argument `task` must be a Task: this criterion looks at its network's outputs or loss",
        ),
        ({"task": 3}, "Argument `task` must be a Task or None, but is 3."),
        ({"task": "other"}, "Argument `task` must be of the network to be pruned"),
        ({"task": "dead"}, "Argument `task` must have a loss that the weights to be pruned change"),
        ({"network": nn.LayerNorm(3)}, "Argument `task` must be of the network to be pruned"),
        ({"generator": 3}, "Argument `generator` must be a torch.Generator or None, but is 3."),
    ],
)
def test_refusals(given, sentence):
    network, task = with_task(plain)
    if given.get("task") == "other":
        given = {"task": with_task(plain)[1]}
    if given.get("task") == "dead":
        given = {"task": Task(network, lambda y, _: (0 * y).sum(), task.data)}
    with pytest.raises(ArgumentError, match=sentence):
        MASKS["snip"](**{"network": network, "task": task, "density": 0.3, **given})


@each_criterion
def test_what_looks_at_data_asks_for_a_task_and_nothing_else_does(name):
    """Whoever forgets `needs_task` finds it here."""
    network = with_task(plain)[0]
    if MASKS[name].needs_task:
        with pytest.raises(ArgumentError, match="must be a Task: this criterion looks at"):
            MASKS[name](network, None, 0.5)
    else:
        assert isinstance(MASKS[name](network, None, 0.5), Mask)


@each_criterion
def test_weights_without_numbers_are_refused(name):
    network, task = nn.Linear(3, 3, device="meta"), None
    if MASKS[name].needs_task:
        network, task = with_task(plain)
        network.to("meta")
    with pytest.raises(ArgumentError, match="must (have weights that hold numbers|be finite)"):
        MASKS[name](network, task, 0.5)
    with pytest.raises(ArgumentError, match="`keep.'w'.` must hold values, but is on the meta"):
        Mask({"w": torch.ones(2, dtype=torch.bool, device="meta")})


def test_tiny_gradients_rank_as_large_ones_do():
    network = plain().float()
    data = torch.ones(2, 3), torch.zeros(2, 2)
    masks = [
        MASKS["snip"](network, Task(network, lambda y, t, s=s: s * F.mse_loss(y, t), data), 0.4)
        for s in (1.0, 2.0**-110)  # |g w| below what float32 holds
    ]
    assert isinstance(masks[0], Mask)
    assert torch.equal(masks[0].keep["0.weight"], masks[1].keep["0.weight"])
