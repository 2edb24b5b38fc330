"""Two processes that share the batches train as one does: `qdescent train` under torchrun."""

import subprocess
import sys
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from qdescent.experiment.progress import Silent
from qdescent.experiment.train import pipeline, rounds
from qdescent.experiment.train.settings import TrainSettings
from qdescent.experiment.workspace import Workspace, create_workspace
from qdescent.learning.parallel.ranks import joined
from qdescent.learning.parallel.shared_task import SharedTask
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.report.record import read_record

MODULE = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 3))

def data():
    g = torch.Generator().manual_seed(1)
    x = torch.randn(61, 5, generator=g)
    return x, (x @ torch.randn(5, 3, generator=g)).argmax(1)
"""
SETTINGS = {
    "network": "shared_project:network", "data": "shared_project:data", "epochs": 1, "batch": 21,
    "density": 0.5, "segment": 3, "rounds": 2, "shots": 10**9,
}  # fmt: skip
# name -> settings; each is spread over the processes once more, and stopped after a round
RUNS = {
    "series": {"engine": "series", "momentum": 0.5},
    "fast-forward": {"engine": "fast-forward", "momentum": 0.5},
    "priced": {"tolerance": 0.05, "shot_cost": 1e-9},
}


class EnoughError(Exception):
    """After a round."""


def batch():
    g = torch.Generator().manual_seed(2)
    return torch.randn(7, 2, generator=g).double(), torch.randn(7, 2, generator=g).double()


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.GELU(), nn.Linear(3, 2)).double()


def child(folder: Path) -> None:
    torch.set_num_threads(1)
    sys.path.insert(0, str(folder))
    with joined("cpu") as ranks:
        inputs, targets = batch()
        mine = slice(0, 2) if ranks.rank == 0 else slice(2, 7)  # unequal shares
        shared = SharedTask(network(), nn.functional.mse_loss, (inputs[mine], targets[mine]), ranks)
        space = ParameterSpace(shared.network)
        loss, gradient = shared.loss_and_gradient(space, space.theta)
        found = [loss, gradient, shared.loss_at(space, space.theta), shared.share]
        found += [shared.own.loss_at(space, space.theta).detach()]  # planted: the share alone
        torch.save(found, folder / f"rank{ranks.rank}")
        pipeline.joined = lambda device: nullcontext(ranks)  # gloo joins once in a process
        for name, given in RUNS.items():
            settings = TrainSettings(**SETTINGS, **given)
            pipeline.run_training(Workspace(folder / f"two-{name}", settings, Silent()))
            spread = replace(settings, shard_vectors=True)
            pipeline.run_training(Workspace(folder / f"spread-{name}", spread, Silent()))
            workspace = Workspace(folder / f"stopped-{name}", spread, Silent())
            with stopped_after_a_round(), suppress(EnoughError):
                pipeline.run_training(workspace)
            pipeline.run_training(workspace)


@contextmanager
def stopped_after_a_round():
    """The training ends once its first round is saved."""
    whole = rounds.train_hybrid

    def until(*given, on_round, **named):
        def saved(each):
            on_round(each)
            raise EnoughError

        return whole(*given, on_round=saved, **named)

    rounds.train_hybrid = until
    try:
        yield
    finally:
        rounds.train_hybrid = whole


@pytest.mark.slow  # two imports of everything
def test_two_processes_train_as_one_does(tmp_path, monkeypatch):
    (tmp_path / "shared_project.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    call = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    result = subprocess.run(
        [*call, __file__, str(tmp_path)], capture_output=True, text=True, timeout=500
    )
    assert result.returncode == 0, result.stderr
    found = [torch.load(tmp_path / f"rank{rank}", weights_only=True) for rank in range(2)]
    whole = Task(network(), nn.functional.mse_loss, batch())
    space = ParameterSpace(whole.network)
    loss, gradient = whole.loss_and_gradient(space, space.theta)
    for theirs in found:
        torch.testing.assert_close(theirs[0], loss, rtol=1e-12, atol=0)
        torch.testing.assert_close(theirs[1], gradient, rtol=1e-12, atol=1e-15)
        torch.testing.assert_close(theirs[2], loss, rtol=1e-12, atol=0)
        assert abs(float(theirs[4] - loss)) > 1e-3
    assert [round(theirs[3], 12) for theirs in found] == [round(2 / 7, 12), round(5 / 7, 12)]

    for name, given in RUNS.items():
        one = pipeline.run_training(
            create_workspace(tmp_path / name, TrainSettings(**SETTINGS, **given))
        )
        two, spread = (read_record(tmp_path / f"{way}-{name}") for way in ("two", "spread"))
        for each in (two, spread):
            assert each.rows["data/processes"].value == 2
            assert each.rows["gradients/hybrid"].value == one.rows["gradients/hybrid"].value, name
            for row in one.rows:
                if row.name.startswith(("train/", "readout/")) and isinstance(row.value, tuple):
                    theirs = each.rows[row.name].value
                    assert theirs == pytest.approx(row.value, rel=2e-3, abs=2e-5), row.name
        ends = [tmp_path / f"{way}-{name}/weights.safetensors" for way in ("spread", "stopped")]
        assert ends[0].read_bytes() == ends[1].read_bytes()
        again = read_record(tmp_path / f"stopped-{name}")
        for row in spread.rows:
            if row.name.startswith(("train/", "readout/", "truncation/")):
                assert again.rows[row.name] == row


if __name__ == "__main__":
    child(Path(sys.argv[1]))
