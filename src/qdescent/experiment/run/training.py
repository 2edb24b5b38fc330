"""Stages (a) to (c) of the main job: data, dense training, pruning, and classical descent beside
quantum-emulated training.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from qdescent._array_checks import check_shape
from qdescent._checks import argument_error
from qdescent._evidence import Evidence, Row
from qdescent._random import named_generator
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.train.dense import dense_training
from qdescent.experiment.train.rounds import hybrid_rounds
from qdescent.experiment.workspace import Workspace
from qdescent.learning.datasets import ImageData, load_fashion_mnist
from qdescent.learning.masks import Mask
from qdescent.learning.networks.small_cnn import fashion_cnn
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.task import Task
from qdescent.rows import names
from qdescent.training.descent import accuracy, descend
from qdescent.training.rounds.record import Run


@dataclass(frozen=True)
class Pruned:
    """The network after pruning, and the batches that both trainings see.

    Args:
        network: the dense network, in evaluation mode.
        mask: what is kept.
        space: the kept weights; `space.theta` is the starting point of both trainings.
        tasks: one for each of the first rounds, taken again from the first where there are more.
        data: all images.
    """

    network: nn.Module = field(repr=False)
    mask: Mask = field(repr=False)
    space: ParameterSpace = field(repr=False)
    tasks: tuple[Task, ...] = field(repr=False)
    data: ImageData


def load_data(workspace: Workspace[Settings]) -> tuple[ImageData, list[Row]]:
    """The images, and how many there are."""
    settings = workspace.settings
    data = load_fashion_mnist(settings.data_root or None)
    if settings.train_images > len(data.train_images):
        raise argument_error(
            "train_images",
            f"be at most the number of training images, {len(data.train_images)}",
            settings.train_images,
        )
    if settings.train_images:
        kept = slice(0, settings.train_images)
        data = replace(
            data, train_images=data.train_images[kept], train_labels=data.train_labels[kept]
        )
    if settings.batch > len(data.train_images):
        raise argument_error(
            "batch",
            f"be at most the number of training images, {len(data.train_images)}",
            settings.batch,
        )
    rows = [
        Row(names.TRAIN_IMAGES, len(data.train_images), "images", Evidence.EXACT, data.source),
        Row(names.TEST_IMAGES, len(data.test_images), "images", Evidence.EXACT, data.source),
    ]
    return data, rows


def train_and_prune(workspace: Workspace[Settings], data: ImageData) -> tuple[Pruned, list[Row]]:
    """Dense training, epoch by epoch resumable, and one-shot pruning."""
    settings = workspace.settings
    width = settings.width
    network = fashion_cnn((width, 2 * width, 4 * width), seed=settings.seed)
    done = dense_training(workspace, network, cross_entropy, data, settings.epochs, settings.seed)

    tasks = []
    for r in range(settings.rounds):
        order = torch.randperm(
            len(data.train_images),
            generator=named_generator(settings.seed, "round batch", r),
            device="cpu",
        )
        places = order[: settings.batch]
        tasks.append(
            Task(network, cross_entropy, (data.train_images[places], data.train_labels[places]))
        )
    criterion = MASKS[settings.prune_by]
    draws = named_generator(settings.seed, "random mask")
    mask = criterion(network, tasks[0], settings.density, draws)
    space = ParameterSpace(network, mask)
    pruned = Pruned(network, mask, space, tuple(tasks), data)
    start = accuracy(tasks[0], space, space.theta, data.test_images, data.test_labels)
    on_test = f"share of {len(data.test_images)} test images labelled correctly"
    rows = [
        Row(
            names.NETWORK_PARAMETERS,
            mask.total,
            "weights",
            Evidence.EXACT,
            "P, entries of all parameters",
        ),
        Row(
            names.NETWORK_KEPT,
            mask.kept,
            "weights",
            Evidence.EXACT,
            f"n, entries of the mask: {criterion.keeps}, and all biases",
        ),
        Row(names.NETWORK_DENSITY, mask.density, "1", Evidence.EXACT, "n / P"),
        Row(
            names.DENSE_LOSS,
            done.loss,
            "nats",
            Evidence.EXACT,
            "mean training loss of each epoch before pruning, SGD with momentum",
        ),
        Row(
            names.DENSE_ACCURACY,
            done.test_accuracy,
            "1",
            Evidence.EXACT,
            on_test + ", after each epoch",
        ),
        Row("pruned/test_accuracy", start, "1", Evidence.EXACT, on_test + ", right after pruning"),
    ]
    return pruned, rows


@dataclass(frozen=True, eq=False)
class Baseline:
    """Plain masked gradient descent on the rounds' batches.

    Args:
        theta: final weights, (n,).
        loss: before each step, and at the end: (T + 1,).
        test_accuracy: likewise.
    """

    theta: Tensor = field(repr=False)
    loss: tuple[float, ...]
    test_accuracy: tuple[float, ...]


def train_classically(workspace: Workspace[Settings], pruned: Pruned, run: Run) -> Baseline:
    """The classical baseline: as many steps of masked gradient descent on the same batches,
    resumable after each round.
    """
    settings, progress, space, data = (
        workspace.settings,
        workspace.progress,
        pruned.space,
        pruned.data,
    )
    ends = download_steps(run)
    theta, losses, accuracies = space.theta, [], []
    saved = workspace.load("classical")
    if saved:
        with workspace.whole("classical"):
            theta = check_shape("theta", saved.tensors["theta"], (space.n,))
            losses, accuracies = list(saved.extra["loss"]), list(saved.extra["test_accuracy"])
            if len(losses) not in ends[1:] or len(accuracies) != len(losses):
                raise ValueError(f"it has {len(losses)} steps")
    progress.start("Classical descent", ends[-1], len(losses))

    def measured(point: Tensor) -> float:
        return accuracy(pruned.tasks[0], space, point, data.test_images, data.test_labels)

    with workspace.stage("classical descent"):
        for r in range(ends.index(len(losses)), len(run.rounds)):
            walk = descend(
                pruned.tasks[r % len(pruned.tasks)], space, theta, settings.learning_rate
            )
            for _ in range(run.rounds[r].steps):
                accuracies.append(measured(theta))
                loss, theta = next(walk)
                losses.append(loss)
                progress.advance()
            extra = {"loss": losses, "test_accuracy": accuracies}
            workspace.save("classical", {"theta": theta}, extra)
        losses.append(float(last_task(pruned, run).loss_at(space, theta).detach()))
        accuracies.append(measured(theta))
    progress.finish(f"test accuracy {100 * accuracies[-1]:.1f} %")
    return Baseline(theta, tuple(losses), tuple(accuracies))


def train_emulated(workspace: Workspace[Settings], pruned: Pruned) -> tuple[Run, list[float]]:
    """Quantum-emulated training, resumable after each round.

    Returns:
        (Run, test accuracy at the start and after each download).
    """
    settings, data = workspace.settings, pruned.data

    def tested(theta: Tensor) -> float:
        first, images, labels = pruned.tasks[0], data.test_images, data.test_labels
        return accuracy(first, pruned.space, theta, images, labels)

    trained = hybrid_rounds(
        workspace,
        "emulated",
        "Emulated training",
        pruned.tasks,
        pruned.space,
        settings.schedule,
        settings.seed,
        lambda done: {"test_accuracy": tested(done.theta)},
        beside=False,  # `train_classically` does, with an accuracy at each step
    )
    after = [each["test_accuracy"] for each in trained.measured]
    return trained.run, [tested(pruned.space.theta), *after]


def download_steps(run: Run) -> list[int]:
    """The steps at which weights were read out, from 0 on."""
    return [0, *accumulate(each.steps for each in run.rounds)]


def last_task(pruned: Pruned, run: Run) -> Task:
    return pruned.tasks[(len(run.rounds) - 1) % len(pruned.tasks)]
