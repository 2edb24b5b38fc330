"""Two processes that share the batches find a segment as one does, and need not hold all of it."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.functional import mse_loss
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from two_processes import forked

import qdescent as qd
from qdescent.learning.parallel.ranks import joined
from qdescent.learning.parallel.shared_task import SharedTask
from qdescent.learning.parallel.spread import Spread
from qdescent.solvers.series import SeriesSteps

SIZES = (2, 5, 1)
SEGMENT = {"steps": 40, "learning_rate": 0.05, "tolerance": 1e-8}
RULE = {"learning_rate": 0.03, "momentum": 0.5, "dampening": 0.2, "weight_decay": 0.1}
WALKS = {  # order, settings
    "plain": (3, {"learning_rate": 0.05}),
    "momentum": (4, RULE),
    "decoupled": (2, {**RULE, "dampening": 0.0, "nesterov": True, "decoupled": True}),
}
CASES = [(False, "plain"), (True, "momentum"), (True, "decoupled")]
SHARE = 0.6  # of the numbers held by one of two processes: half, and a layer's own terms


class Tied(nn.Module):
    """A weight that two layers share, one that no loss sees, a norm, a bias and a table."""

    def __init__(self):
        super().__init__()
        self.table, self.norm = nn.Embedding(7, 4), nn.LayerNorm(4)
        self.inner, self.unseen = nn.Linear(4, 4), nn.Linear(3, 3)

    def forward(self, tokens):
        x = self.norm(torch.tanh(self.inner(self.table(tokens))))
        return self.inner(x) @ self.table.weight.T


def problem(*, tied=False):
    """The batches, and a space in which some weights are pruned."""
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(2, 3), nn.GELU(), nn.Linear(3, 2))
    network = (Tied() if tied else plain).double()
    inputs, targets = torch.randn(sum(SIZES), 2).double(), torch.randn(sum(SIZES), 2).double()
    if tied:
        inputs, targets = torch.arange(sum(SIZES)) % 7, torch.randn(sum(SIZES), 7).double()
    pairs = zip(inputs.split(SIZES), targets.split(SIZES), strict=True)
    mask = qd.magnitude_mask(network, density=0.5) if tied else None
    return [qd.Task(network, mse_loss, pair) for pair in pairs], qd.ParameterSpace(network, mask)


def alone(*, tied):
    """One task of all samples."""
    tasks, space = problem(tied=tied)
    data = tuple(torch.cat(part) for part in zip(*(t.data for t in tasks), strict=True))
    return tasks[0].with_data(data), space


class Counted(TorchDispatchMode):
    """Bytes of all tensors that live at once, made while it lasts."""

    def __init__(self):
        super().__init__()
        self._live, self.peak = {}, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if func.namespace != "c10d":
            for x in tree_leaves(found):
                if isinstance(x, torch.Tensor):
                    ref = StorageWeakRef(x.untyped_storage())
                    self._live[ref.cdata] = ref, x.untyped_storage().nbytes()
        self._live = {key: (r, n) for key, (r, n) in self._live.items() if not r.expired()}
        self.peak = max(self.peak, sum(n for _, n in self._live.values()))
        return found


def shared(tied, ranks):
    """The batch, of which each process has some samples."""
    whole, space = alone(tied=tied)
    mine = slice(0, 3) if ranks.rank == 0 else slice(3, None)
    data = tuple(part[mine] for part in whole.data)
    return SharedTask(whole.network, whole.loss, data, ranks), space


def walked(task, space, name):
    """Terms and velocity after five steps."""
    order, settings = WALKS[name]
    walk = SeriesSteps(task, space, space.theta, order, check=False, **settings)
    list(islice(walk, 5))
    return walk


def forwarded(task, space, **given):
    """With momentum from a velocity, and weights that shrink on their own."""
    rule = {"momentum": 0.5, "weight_decay": 0.1, "decoupled": True, "velocity": space.theta / 9}
    return qd.fast_forward(task, space, order=2, every_step=True, **rule, **SEGMENT, **given)


def schedules():
    """A round of each engine, as long as a tolerance allows, and by the price of shots."""
    free = {"steps": 6, "learning_rate": 0.02, "shots": None}
    priced = {"steps": 8, "learning_rate": 0.02, "momentum": 0.3, "shot_cost": 1e-9}
    yield qd.AdaptiveSchedule(0.05, engine="fast-forward", **free)
    yield qd.AdaptiveSchedule(0.05, orders=(1, 2), **priced)


def trained(task, space):
    """Losses and weights of a training by each schedule."""
    runs = [qd.train_hybrid([task], space, each, check=False) for each in schedules()]
    return [[each.loss for each in run.rounds] for run in runs], [run.theta for run in runs]


def numbers_held(joint, *, shard):
    """Numbers held at once by this process in a step of order 4, in vectors of the space."""
    torch.manual_seed(0)
    layers = [each for _ in range(9) for each in (nn.Linear(60, 60, bias=False), nn.Tanh())]
    network = nn.Sequential(*layers).double()
    task = SharedTask(
        network, mse_loss, (torch.ones(2, 60).double(),) * 2, replace(joint, shard_vectors=shard)
    )
    space = qd.ParameterSpace(network)
    walk = SeriesSteps(task, space, space.theta, 4, 0.01, 0.5, check=False)
    with Counted() as counted:
        list(islice(walk, 2))
    return counted.peak / 8 / space.n


def child(folder: Path) -> None:
    tasks, space = problem()
    with joined("cpu") as ranks:
        parted = replace(ranks, shard_vectors=True)
        spread = Spread(space.n, parted)
        found = qd.fast_forward(ranks.deal(tasks), space, order=3, ranks=ranks, **SEGMENT)
        own = qd.fast_forward(ranks.deal(tasks), space, order=3, **SEGMENT)  # planted: own share
        part = qd.fast_forward(ranks.deal(tasks), space, order=3, ranks=parted, **SEGMENT)
        assert part.terms.shape == (3, spread.held[1] - spread.held[0])
        sentence = ""
        try:  # one batch, two processes
            qd.fast_forward(ranks.deal(tasks[:1]), space, order=1, ranks=ranks, **SEGMENT)
        except qd.ArgumentError as error:
            sentence = str(error)
        kept = {"found": found.terms, "own": own.terms, "sentence": sentence}
        kept["spread"] = spread.fetch(part.terms, 0, space.n)
        for tied, name in CASES:
            plain, ours = (walked(*shared(tied, each), name) for each in (ranks, parted))
            assert ours.terms.shape[1] < plain.terms.shape[1]
            kept[name] = plain.terms, plain.velocity
            kept[f"{name}, spread"] = tuple(
                None if x is None else ours.spread.fetch(x, 0, ours.spread.n)
                for x in (ours.terms, ours.velocity)
            )
        task, space = shared(True, parted)
        forward, at = forwarded(task.own, space, ranks=parted), Spread(space.n, parted)
        kept["forward"] = [at.fetch(x, 0, space.n) for t in (40, 7) for x in forward.after(t)]
        kept["trained"] = trained(*shared(False, parted))
        kept["held"] = [numbers_held(ranks, shard=shard) for shard in (False, True)]
    torch.save(kept, folder / f"rank{ranks.rank}")


def same(found, wanted):
    """To rounding."""
    for a, b in zip(found, wanted, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert (a - b).norm() <= 1e-10 * b.norm()


@pytest.mark.slow
def test_two_processes_find_a_segment_as_one_does(tmp_path):
    assert [code for code, _ in forked(lambda: child(tmp_path))] == [0, 0]
    first, second = (torch.load(tmp_path / f"rank{rank}", weights_only=True) for rank in range(2))
    assert torch.equal(first["found"], second["found"])
    assert torch.equal(first["spread"], second["spread"])
    tasks, space = problem()
    one = qd.fast_forward(tasks, space, order=3, **SEGMENT)
    same([first["found"], first["spread"]], [one.terms, one.terms])
    assert (first["own"] - one.terms).abs().max() > 1e-3
    assert "`task`" in first["sentence"]
    assert first["sentence"] == second["sentence"]
    for tied, name in CASES:
        walk = walked(*alone(tied=tied), name)
        same(first[name], (walk.terms, walk.velocity))
        same(first[f"{name}, spread"], (walk.terms, walk.velocity))
    forward = forwarded(*alone(tied=True))
    same(first["forward"], [x for t in (40, 7) for x in forward.after(t)])
    losses, ends = trained(*alone(tied=False))
    assert [list(map(len, each)) for each in first["trained"][0]] == [
        list(map(len, each)) for each in losses
    ]
    same(first["trained"][1], ends)
    # the terms, their velocity, what a step makes of them: half of each
    everything, spread = first["held"]
    assert spread < SHARE * everything
    assert everything > 3 * 4
