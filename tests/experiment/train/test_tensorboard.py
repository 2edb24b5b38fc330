"""TensorBoard during `qdescent train`: every number of metrics.jsonl once, after a kill, too; a
stand-in for its writer everywhere, the real one where installed.
"""

import json
import math
import sys
import types
from collections import defaultdict
from typing import ClassVar

import pytest
from experiment.killed import KilledAt, KilledError

from qdescent._checks import ArgumentError
from qdescent.experiment.train.pipeline import run_training
from qdescent.experiment.train.settings import TrainSettings
from qdescent.experiment.workspace import create_workspace, resume_workspace

MODULE = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    return nn.Linear(4, 3)

def data():
    g = torch.Generator().manual_seed(1)
    x = torch.randn(60, 4, generator=g)
    return x, (x[:, :3]).argmax(1)
"""
SETTINGS = TrainSettings(
    "told_project:network", "told_project:data", epochs=1, batch=20, density=0.5, segment=2,
    rounds=3, learning_rate=0.05, shots=10_000, tensorboard=True,
)  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "told_project.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "told_project", raising=False)
    return tmp_path


def told(directory):
    """Curves of metrics.jsonl: name -> step -> value."""
    found = defaultdict(dict)
    for line in (directory / "metrics.jsonl").read_text().splitlines():
        line = json.loads(line)
        at = line["step"] if line["kind"] == "round" else line["epoch"]
        for name, value in line.items():
            if isinstance(value, (int, float)) and name not in ("round", "step", "epoch"):
                found[f"{line['kind']}/{name}"][at] = value
    return found


def interrupted(directory):
    """A training that was killed in its third round and went on."""
    with pytest.raises(KilledError):
        run_training(create_workspace(directory, SETTINGS, KilledAt(1 + 5)))
    run_training(resume_workspace(directory, TrainSettings))


class Writer:
    """As `torch.utils.tensorboard.SummaryWriter` has it; a run purges what stood there before."""

    seen: ClassVar = defaultdict(dict)

    def __init__(self, folder, purge_step=None):
        if purge_step == 0:
            self.seen.clear()
        self.open = True

    def add_scalar(self, name, value, step):
        assert self.open
        assert math.isfinite(value)
        assert step not in self.seen[name]  # once
        self.seen[name][step] = value

    def flush(self):
        pass

    def close(self):
        self.open = False


def test_every_number_is_told_once_after_a_kill_too(project, monkeypatch):
    stand_in = types.ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    interrupted(project / "out")
    assert Writer.seen == told(project / "out")
    assert set(Writer.seen["round/hybrid_loss"]) == {2, 4, 6}
    assert set(Writer.seen["dense/test_accuracy"]) == {1}


def test_where_it_is_not_installed_one_sentence_says_so(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ArgumentError, match=r"`tensorboard` must be off where .*pip install tens"):
        run_training(create_workspace(project / "without", SETTINGS))


def test_tensorboard_itself_reads_the_same_numbers(project):
    pytest.importorskip("tensorboard", reason="optional; its writer has a stand-in above")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    interrupted(project / "out")
    events = EventAccumulator(str(project / "out" / "tensorboard")).Reload()
    wanted = told(project / "out")
    assert set(events.Tags()["scalars"]) == set(wanted)
    for name, curve in wanted.items():
        seen = events.Scalars(name)
        assert [each.step for each in seen] == list(curve)
        assert [each.value for each in seen] == pytest.approx(list(curve.values()), rel=1e-6)
