"""`qdescent train`: dense warm-up or given weights, pruning, rounds of upload, segment and
download, with the classical runs beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from qdescent._checks import argument_error, check_integer
from qdescent._evidence import Evidence, Row
from qdescent._random import named_generator
from qdescent.experiment.probe import check_probe, probe_of
from qdescent.experiment.progress import Silent
from qdescent.experiment.train.batches import batch_at, batches_of, drawn
from qdescent.experiment.train.circuit_forecast import forecast_circuit, likely_space
from qdescent.experiment.train.dense import dense_training
from qdescent.experiment.train.metrics import Events, Line, dense_lines, round_lines, write_lines
from qdescent.experiment.train.results import start_rows, training_rows
from qdescent.experiment.train.rounds import Measured, Trained, hybrid_rounds
from qdescent.experiment.train.settings import DENSITY, TrainSettings
from qdescent.experiment.train.subject import Subject, load_subject
from qdescent.experiment.train.tested import tested
from qdescent.experiment.workspace import Workspace
from qdescent.learning.batches import samples_of
from qdescent.learning.masks import Mask
from qdescent.learning.parallel.ranks import Ranks, joined
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.task import Task
from qdescent.report.files import write_weights
from qdescent.report.pages.training.page import write_training_page
from qdescent.report.record import Record, write_record
from qdescent.rows import names
from qdescent.training.engines.choices import CIRCUIT
from qdescent.training.rounds.download import entries_of
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


def run_training(workspace: Workspace[TrainSettings]) -> Record | None:
    """Train densely or load, prune, train by rounds, and write metrics.jsonl (while it runs),
    weights.safetensors, run.json and training.html.

    Every epoch and every round is kept in the workspace as it ends: an interrupted training,
    resumed, ends in the same bits.

    Args:
        workspace: a new one (`create_workspace`) or an unfinished one (`resume_workspace`).

    Under torchrun each batch is dealt to the processes, and the first one alone writes.

    Returns:
        Record: in the first process; None in the others.

    Raises:
        ArgumentError: something that cannot be loaded or does not fit together, a first round that
            explodes, a damaged state, or a directory that another process works on.
    """
    settings = workspace.settings
    with joined(settings.device) as joint, ExitStack() as stack:
        ranks = replace(joint, shard_vectors=settings.shard_vectors)
        first = ranks.rank == 0
        workspace = replace(
            workspace,
            directory=ranks.of_first(workspace.directory),
            writes=first,
            progress=workspace.progress if first else Silent(),
        )
        ranks.together(lambda: stack.enter_context(workspace.held()))
        told = settings.tensorboard and first
        events = ranks.together(lambda: Events(workspace.directory) if told else None)
        if events is not None:
            stack.callback(events.close)
        return _made(workspace, ranks, events)


def _made(
    workspace: Workspace[TrainSettings], ranks: Ranks, events: Events | None
) -> Record | None:
    settings = workspace.settings
    with workspace.stage("load"):
        subject = ranks.together(lambda: _loaded(settings, ranks))
    if settings.engine == CIRCUIT:
        tasks = batches_of(settings, subject, ranks)
        forecast_circuit(settings, likely_space(settings, subject), tasks, workspace.progress)
    ranks.together(
        lambda: workspace.begin(subject.fingerprint, ranks.device.type, "weights and data")
    )
    begun_with = ranks.together(lambda: _same_code(workspace, subject, ranks))
    lines: list[Line] = []

    def tell(more: Sequence[Line]) -> None:
        if not workspace.writes:
            return
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
        _as_in_first(subject, ranks)
    tasks = batches_of(settings, subject, ranks)
    kept = ranks.together(lambda: _pruned(settings, subject, ranks))
    space = kept.space
    whole = ParameterSpace(subject.network)
    test, classified = subject.samples.test, subject.samples.classified

    def seen(within: ParameterSpace, theta: Tensor, run: str) -> Measured:
        found = tested(tasks[0], within, theta, test, classified, ranks)
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
        lambda rounds, measured: tell(round_lines(rounds, measured, settings.schedule)),
        dense=whole if settings.dense_beside else None,
        watch=settings.watch,
        pruning=kept.pruning,
    )
    if not workspace.writes:
        return None
    rows = [
        *subject.rows,
        *_processes(ranks, begun_with),
        *start_rows(settings, space, trained.run.rounds, kept.why, lines),
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
    last = trained.run.rounds[-1]
    record = workspace.record(rows)
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


def _loaded(settings: TrainSettings, ranks: Ranks) -> Subject:
    subject = load_subject(settings, ranks.device)
    if settings.batch < ranks.size:
        raise argument_error("batch", f"deal a sample to each of {ranks.size} processes", "smaller")
    if ranks.size > 1 and settings.engine == CIRCUIT:
        raise argument_error("engine", "be another under torchrun", repr(settings.engine))
    if ranks.size > 1 and settings.along_the_way and MASKS[settings.prune_by].needs_task:
        must = "look at no data where weights are pruned along the way by several processes"
        raise argument_error("prune_by", must, repr(settings.prune_by))
    # no more entries are read than there will be
    states, n = 2 if settings.momentum else 1, likely_space(settings, subject).n
    entries_of(settings.schedule.largest, states * n)
    if settings.shard_vectors and n < ranks.size:
        must = f"be left out where {ranks.size} processes are more than the {n} kept weights"
        raise argument_error("shard_vectors", must, "given")
    return subject


def _same_code(workspace: Workspace[TrainSettings], subject: Subject, ranks: Ranks) -> int:
    """Refuse to go on with a network or a loss that computes something else.

    Returns:
        int: how many processes began the training.
    """
    first = batch_at(subject, torch.arange(workspace.settings.batch, device="cpu"))
    one = Task(subject.network, subject.loss, first)
    probe, saved = probe_of(one), workspace.load(PROBE)
    if saved is None:
        kept = {"probe": [value.hex() for value in probe], "processes": ranks.size}
        workspace.save(PROBE, {}, kept)
        return ranks.size
    with workspace.whole(PROBE):
        then = [float.fromhex(value) for value in saved.extra["probe"]]
        begun_with = check_integer("processes", saved.extra["processes"], 1)
    check_probe(probe, then, ranks.device.type)
    return begun_with


def _processes(ranks: Ranks, begun_with: int) -> list[Row]:
    """How many shared each batch; those that began it where others go on."""
    exact, source = Evidence.EXACT, "each batch is dealt to them, series summed by all_reduce"
    rows = [Row(names.DATA_PROCESSES, ranks.size, "processes", exact, source)]
    if begun_with != ranks.size:
        source = (
            "as many began the training: sums in another order, equal to rounding, not to the bit"
        )
        rows.append(Row(names.PROCESSES_AT_START, begun_with, "processes", exact, source))
    return rows


def _as_in_first(subject: Subject, ranks: Ranks) -> None:
    """The weights and buffers of the first process, which all have trained alike."""
    if ranks.size > 1:
        for tensor in subject.network.state_dict().values():
            tensor.copy_(ranks.of_first(tensor.cpu()))


def _pruned(settings: TrainSettings, subject: Subject, ranks: Ranks) -> Kept:
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
    places = drawn(settings, samples_of(subject.samples.train))[0]
    whole = Task(subject.network, subject.loss, batch_at(subject, places))
    mask = criterion(subject.network, whole, density, draws)
    if ranks.size > 1:  # the first one's, to the last tie
        mask = Mask({name: ranks.of_first(keep.cpu()) for name, keep in mask.keep.items()})
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
        ("gradients, hybrid", last(names.gradients_of("hybrid"))),
        ("gradients, sparse", last(names.gradients_of("sparse"))),
        ("truncation error, last round", last(names.TRUNCATION_BY_ROUND)),
        ("readout error, last round", last(names.READOUT_ERROR_BY_ROUND)),
        ("entries read, last round", last(names.READ_SHARE_BY_ROUND)),
    ]
    found = [(label, row) for label, row in labelled if row is not None]
    stopped = record.rows[names.STOPPED]
    return [*found, *([("Stopped", stopped)] if stopped.value else [])]
