"""Two processes that share the batches forward a segment as one does."""

from pathlib import Path

import torch
from torch import nn
from two_processes import forked

from qdescent._checks import ArgumentError
from qdescent.learning.parallel.ranks import joined
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.solvers.segment.fast_forward import fast_forward

SIZES = (2, 5, 1)
SEGMENT = {"steps": 40, "learning_rate": 0.05, "tolerance": 1e-8}


def problem():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 3), nn.GELU(), nn.Linear(3, 2)).double()
    inputs, targets = torch.randn(sum(SIZES), 2).double(), torch.randn(sum(SIZES), 2).double()
    pairs = zip(inputs.split(SIZES), targets.split(SIZES), strict=True)
    return [Task(network, nn.functional.mse_loss, pair) for pair in pairs], ParameterSpace(network)


def child(folder: Path) -> None:
    tasks, space = problem()
    with joined("cpu") as ranks:
        found = fast_forward(ranks.deal(tasks), space, order=3, ranks=ranks, **SEGMENT)
        alone = fast_forward(ranks.deal(tasks), space, order=3, **SEGMENT)  # planted: own share
        sentence = ""
        try:  # one batch, two processes
            fast_forward(ranks.deal(tasks[:1]), space, order=1, ranks=ranks, **SEGMENT)
        except ArgumentError as error:
            sentence = str(error)
    torch.save(
        {"found": found.terms, "alone": alone.terms, "sentence": sentence},
        folder / f"rank{ranks.rank}",
    )


def test_two_processes_forward_as_one_does(tmp_path):
    assert [code for code, _ in forked(lambda: child(tmp_path))] == [0, 0]
    first, second = (torch.load(tmp_path / f"rank{rank}", weights_only=True) for rank in range(2))
    assert torch.equal(first["found"], second["found"])
    tasks, space = problem()
    one = fast_forward(tasks, space, order=3, **SEGMENT)
    torch.testing.assert_close(first["found"], one.terms, rtol=1e-9, atol=1e-12)
    assert (first["alone"] - one.terms).abs().max() > 1e-3
    assert "`task`" in first["sentence"]
    assert first["sentence"] == second["sentence"]
