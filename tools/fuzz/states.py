"""State files as the package writes them, signed again after a change."""

from __future__ import annotations

import copy
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from qdescent.experiment.origin import origin_of
from qdescent.experiment.progress import Silent
from qdescent.experiment.train.dense import dense_training
from qdescent.experiment.train.rounds import hybrid_rounds
from qdescent.experiment.workspace import Workspace
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.report.state import STATE_FORMAT, fingerprint, saved_stages
from qdescent.training.samples import Samples
from qdescent.training.schedule import Schedule


def state(stage: str, tensors: dict[str, torch.Tensor], extra: dict[str, Any]) -> bytes:
    """A state file as `save_state` writes it, of a run with these settings."""
    content = {
        "stage": stage,
        "origin": origin_of(extra.get("settings", extra), "x"),
        "extra": extra,
    }
    return signed(json.dumps(content), tensors)


def signed(content: str, tensors: dict[str, torch.Tensor]) -> bytes:
    """The file of this text and these tensors, with its checksum."""
    return save(
        tensors,
        {"format": STATE_FORMAT, "json": content, "sha256": fingerprint(content, tensors)},
    )


def text_of(content: bytes) -> str:
    """The text of a state file."""
    length = int.from_bytes(content[:8], "little")
    return str(json.loads(content[8 : 8 + length])["__metadata__"]["json"])


@cache
def trained(network: nn.Module) -> dict[str, bytes]:
    """The state files of a training, by stage: two epochs of all weights, and two rounds."""
    batch = torch.linspace(-1, 1, 16).reshape(4, 4), torch.arange(4) % 2
    loss = nn.CrossEntropyLoss()
    own, space = copy.deepcopy(network), ParameterSpace(network)
    schedule = Schedule(segment=2, rounds=2, shots=100, momentum=0.5)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace[Any](Path(folder), None, Silent(), origin=origin_of({}, "x"))
        dense_training(workspace, own, loss, Samples(batch, batch, "lines"), 2, 0)
        task = Task(network, loss, batch)
        hybrid_rounds(
            workspace, "rounds", "Rounds", [task] * 2, space, schedule, 0,
            lambda done: {"loss": done.loss[-1]}, dense=space,
        )  # fmt: skip
        return {path.stem: path.read_bytes() for path in saved_stages(folder)}
