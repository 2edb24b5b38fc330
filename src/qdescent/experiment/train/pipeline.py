"""`qdescent train`: dense warm-up or given weights, pruning, rounds of upload, segment and
download, with the classical runs beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent._evidence import Row
from qdescent._processes import launched
from qdescent._random import named_generator
from qdescent.experiment.probe import check_probe, probe_of
from qdescent.experiment.train.dense import dense_training
from qdescent.experiment.train.metrics import Events, Line, dense_lines, round_lines, write_lines
from qdescent.experiment.train.results import start_rows, training_rows
from qdescent.experiment.train.rounds import Measured, Trained, hybrid_rounds
from qdescent.experiment.train.settings import DENSITY, TrainSettings
from qdescent.experiment.train.subject import Subject, load_subject
from qdescent.experiment.train.tested import tested
from qdescent.experiment.workspace import Workspace
from qdescent.learning.batches import picked, samples_of
from qdescent.learning.parallel import joined
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.task import Task
from qdescent.report.files import write_weights
from qdescent.report.pages.training.page import write_training_page
from qdescent.report.record import Record, installed_versions, write_record
from qdescent.rows import names
from qdescent.rows.collection import Rows
from qdescent.training.rounds.pruning import Pruning
from qdescent.training.rounds.record import Round

PROBE, ROUNDS = "probe", "rounds"


class Kept(NamedTuple):
    """Weights that are trained.

    Args:
        space: all that may ever be kept.
        why: in words, which are.
        pruning: along the way; None: all of the space is kept.
    """

    space: ParameterSpace
    why: str
    pruning: Pruning | None = None


PAGE = "training.html"


def run_training(workspace: Workspace[TrainSettings]) -> Record:
    """Train densely or load, prune, train by rounds, and write metrics.jsonl (while it runs),
    weights.safetensors, run.json and training.html.

    Every epoch and every round is kept in the workspace as it ends: an interrupted training,
    resumed, ends in the same bits.

    Args:
        workspace: a new one (`create_workspace`) or an unfinished one (`resume_workspace`).

    Raises:
        ArgumentError: something that cannot be loaded or does not fit together, a first round that
            explodes, a damaged state, or a directory that another process works on.
    """
    if launched():
        must = "be run by one process (PyTorch's threads share its products)"
        raise argument_error("train", must, "started by torchrun")
    settings = workspace.settings
    events = Events(workspace.directory) if settings.tensorboard else None
    try:
        with joined(settings.device) as ranks, workspace.held():
            return _made(workspace, ranks.device, events)
    finally:
        if events is not None:
            events.close()


def _made(
    workspace: Workspace[TrainSettings], device: torch.device, events: Events | None
) -> Record:
    settings = workspace.settings
    with workspace.stage("load"):
        subject = load_subject(settings, device)
    workspace.begin(subject.fingerprint, device.type)
    _same_code(workspace, subject, device)
    lines: list[Line] = []

    def tell(more: Sequence[Line]) -> None:
        write_lines(workspace.directory, [*lines, *more])
        if events is not None:
            events.write([*lines, *more])

    if settings.dense_epochs:
        done = dense_training(
            workspace,
            subject.network,
            subject.loss,
            subject.samples,
            settings.dense_epochs,
            settings.seed,
            on_saved=lambda done: tell(dense_lines(done)),
        )
        lines += dense_lines(done)
    tasks = _tasks(settings, subject)
    kept = _pruned(settings, subject, tasks[0])
    space = kept.space
    whole = ParameterSpace(subject.network)
    test, classified = subject.samples.test, subject.samples.classified

    def seen(within: ParameterSpace, theta: Tensor, run: str) -> Measured:
        found = tested(tasks[0], within, theta, test, classified)
        return {f"{run}_{name}": value for name, value in found.items()}

    def measure(each: Round) -> Measured:
        found = {**seen(space, each.theta, "hybrid")}
        if each.sparse is not None:
            found |= seen(space, each.sparse.theta, "sparse")
        if each.dense is not None:
            found |= seen(whole, each.dense.theta, "dense")
        return found

    start = {
        **seen(space, space.theta, "hybrid"),
        **seen(space, space.theta, "sparse"),
        **(seen(whole, whole.theta, "dense") if settings.dense_beside else {}),
    }
    trained = hybrid_rounds(
        workspace,
        ROUNDS,
        "Hybrid rounds",
        tasks,
        space,
        settings.schedule,
        settings.seed,
        measure,
        lambda rounds, measured: tell(round_lines(rounds, measured)),
        dense=whole if settings.dense_beside else None,
        watch=settings.watch,
        pruning=kept.pruning,
    )
    lines += round_lines(trained.run.rounds, trained.measured)
    rows = [
        *subject.rows,
        *start_rows(settings, space, trained.run.rounds[-1].kept, kept.why, lines),
        *training_rows(settings, trained, start),
    ]
    return _written(workspace, subject, space, trained, rows)


def _written(
    workspace: Workspace[TrainSettings],
    subject: Subject,
    space: ParameterSpace,
    trained: Trained,
    rows: list[Row],
) -> Record:
    settings, last = workspace.settings, trained.run.rounds[-1]
    record = Record(
        name=workspace.directory.name,
        config=settings.to_json(),
        seed=settings.seed,
        versions=installed_versions(),
        rows=Rows(rows),
        timings=dict(workspace.timings),
    )
    runs = {"pruned": space.theta, "hybrid": last.theta}
    if last.sparse is not None:
        runs["sparse"] = last.sparse.theta
    weights = {
        f"{run}/{name}": weight
        for run, theta in runs.items()
        for name, weight in space.unpack(theta).items()
    }
    if last.dense is not None:
        whole = ParameterSpace(subject.network).unpack(last.dense.theta)
        weights |= {f"dense/{name}": weight for name, weight in whole.items()}
    write_weights(workspace.directory / "weights.safetensors", weights)
    write_training_page(record, workspace.directory / PAGE)
    write_record(record, workspace.directory)
    return record


def _same_code(workspace: Workspace[TrainSettings], subject: Subject, device: torch.device) -> None:
    """Refuse to go on with a network or a loss that computes something else."""
    first = _batch(subject, torch.arange(workspace.settings.batch))
    one = Task(subject.network, subject.loss, first)
    probe, saved = probe_of(one), workspace.load(PROBE)
    if saved is None:
        workspace.save(PROBE, {}, {"probe": [value.hex() for value in probe]})
        return
    with workspace.whole(PROBE):
        then = [float.fromhex(value) for value in saved.extra["probe"]]
    check_probe(probe, then, device.type)


def _tasks(settings: TrainSettings, subject: Subject) -> list[Task]:
    """The batch of each round, drawn anew; or of each step, from one pass over the samples."""
    total = samples_of(subject.samples.train)
    if settings.fresh_batches:
        order = torch.randperm(total, generator=named_generator(settings.seed, "step batches"))
        steps = min(settings.schedule.steps, total // settings.batch)
        drawn = list(order[: steps * settings.batch].split(settings.batch))
    else:
        drawn = [
            torch.randperm(total, generator=named_generator(settings.seed, "round batch", r))
            for r in range(settings.rounds)
        ]
        drawn = [order[: settings.batch] for order in drawn]
    return [Task(subject.network, subject.loss, _batch(subject, places)) for places in drawn]


def _batch(subject: Subject, places: Tensor) -> tuple[object, object]:
    train = subject.samples.train
    total = samples_of(train)
    inputs, targets = (picked(part, places, total) for part in train)
    return inputs, targets


def _pruned(settings: TrainSettings, subject: Subject, first: Task) -> Kept:
    """The weights that may be kept, which and why, and how they are pruned along the way."""
    density = DENSITY if settings.density is None else settings.density
    criterion = MASKS[settings.prune_by]
    if settings.along_the_way:
        if subject.mask is not None:
            must = "be 0 where the weights are pruned already, as must regrow"
            raise argument_error("prune_rounds", must, settings.prune_rounds)
        pruning = Pruning(density, settings.prune_by, settings.prune_rounds, regrow=settings.regrow)
        return Kept(ParameterSpace(subject.network), f"{criterion.keeps}, in the end", pruning)
    if subject.mask is not None:
        space = ParameterSpace(subject.network, subject.mask)
        return Kept(space, "as the weights were pruned already")
    draws = named_generator(settings.seed, "random mask")
    mask = criterion(subject.network, first, density, draws)
    return Kept(ParameterSpace(subject.network, mask), criterion.keeps)


def training_headline(record: Record) -> list[tuple[str, Row]]:
    """The few rows that the command line shows at the end, each with a label."""

    def last(name: str) -> Row | None:
        if name not in record.rows:
            return None
        row = record.rows[name]
        value = row.curve[-1]
        return None if math.isnan(value) else Row(name, value, row.unit, row.evidence, row.source)

    labelled = [
        ("all weights", record.rows[names.NETWORK_PARAMETERS]),
        ("kept weights", record.rows[names.NETWORK_KEPT]),
        ("steps after pruning", last(names.TRAIN_STEPS)),
        ("test accuracy, hybrid", last(names.trained("hybrid", "test_accuracy"))),
        ("test accuracy, sparse", last(names.trained("sparse", "test_accuracy"))),
        ("test accuracy, dense", last(names.trained("dense", "test_accuracy"))),
        ("test loss, hybrid", last(names.trained("hybrid", "test_loss"))),
        ("test loss, sparse", last(names.trained("sparse", "test_loss"))),
        ("gradients, hybrid", last(names.trained("hybrid", "gradients"))),
        ("gradients, sparse", last(names.trained("sparse", "gradients"))),
        ("truncation error, last round", last(names.TRUNCATION_BY_ROUND)),
        ("readout error, last round", last(names.READOUT_ERROR_BY_ROUND)),
        ("entries read, last round", last(names.READ_SHARE_BY_ROUND)),
    ]
    found = [(label, row) for label, row in labelled if row is not None]
    stopped = record.rows[names.STOPPED]
    return [*found, *([("Stopped", stopped)] if stopped.value else [])]
