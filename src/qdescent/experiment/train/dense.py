"""The dense training before pruning, saved after each epoch and gone on with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from qdescent._array_checks import check_shape
from qdescent._checks import check_integer
from qdescent.experiment.sources import Loss
from qdescent.experiment.workspace import Workspace
from qdescent.learning.batches import samples_of
from qdescent.learning.datasets import ImageData
from qdescent.report.state import State
from qdescent.training.dense.state import DenseState
from qdescent.training.descent import train_dense
from qdescent.training.samples import Samples, samples_in

STAGE = "dense"
BATCH = 64  # samples a step


def dense_training(
    workspace: Workspace[Any],
    network: nn.Module,
    loss: Loss,
    data: ImageData | Samples,
    epochs: int,
    seed: int,
    *,
    batch: int = BATCH,
    learning_rate: float = 0.1,
    weight_decay: float = 1e-3,
    on_saved: Callable[[DenseState], None] | None = None,
) -> DenseState:
    """Train all weights, in place; epoch by epoch resumable.

    Args:
        workspace: of the job.
        network, loss, data, epochs, seed, batch, learning_rate, weight_decay: as for
            `train_dense`.
        on_saved: called with the state after each epoch, once it is saved.
    """
    progress, saved = workspace.progress, workspace.load(STAGE)
    state = None
    if saved:
        with workspace.whole(STAGE):
            state = restored_descent(saved, network, epochs)

    def keep(done: DenseState) -> None:
        extra = {"epoch": done.epoch, "loss": done.loss, "test_accuracy": done.test_accuracy}
        workspace.save(STAGE, done.tensors, extra)
        if on_saved is not None:
            on_saved(done)

    count = samples_of(samples_in(data).train)
    batches = -(-count // min(batch, count))
    progress.start("Dense training", epochs * batches, (state.epoch if state else 0) * batches)
    with workspace.stage("dense training"):
        done = train_dense(
            network,
            loss,
            data,
            epochs,
            batch,
            learning_rate,
            weight_decay=weight_decay,
            seed=seed,
            state=state,
            on_epoch=keep,
            on_batch=progress.advance,
        )
    progress.finish(f"test accuracy {100 * done.test_accuracy[-1]:.1f} %")
    return done


def restored_descent(saved: State, network: nn.Module, epochs: int) -> DenseState:
    """The training between two epochs, as saved; inside `Workspace.whole`, which makes one sentence
    of the ValueError or KeyError where it does not fit.
    """
    epoch = check_integer("epoch", saved.extra["epoch"], 1)
    for name, weight in network.named_parameters():
        for part in ("weight", "momentum"):
            check_shape(name, saved.tensors[f"{part}/{name}"], tuple(weight.shape))
    history = tuple(saved.extra["loss"]), tuple(saved.extra["test_accuracy"])
    if epoch > epochs or {len(values) for values in history} != {epoch}:
        raise ValueError(f"it has {epoch} epochs")
    return DenseState(epoch, saved.tensors, *history)
