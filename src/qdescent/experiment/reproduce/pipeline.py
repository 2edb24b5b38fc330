"""The experiment, stage by stage: train, prune, fine-tune, and measure what was asked for."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from qdescent._evidence import Evidence, Row
from qdescent.experiment.reproduce.measures import MEASURED, TUNED, Job
from qdescent.experiment.reproduce.settings import ReproduceSettings
from qdescent.experiment.reproduce.subject import load_images, train_and_prune
from qdescent.experiment.reproduce.tuning import fine_tune
from qdescent.experiment.workspace import Workspace
from qdescent.learning.parallel.ranks import computing_on
from qdescent.report.pages.reproduction.page import write_reproduction
from qdescent.report.record import Record, write_record
from qdescent.report.state import fingerprint
from qdescent.rows import names


def run_reproduction(workspace: Workspace[ReproduceSettings]) -> Record:
    """The authors' protocol and what their proxy cannot show, resumable between its stages.

    Args:
        workspace: a new one or an unfinished one.

    Returns:
        Record: also written to the directory as `run.json`, beside the page (`reproduction.html`).

    Raises:
        ArgumentError: settings that do not fit the data or the network; another process works in
            the directory; what was saved there is damaged or of another run.
    """
    with computing_on(workspace.settings.device) as device, workspace.held():
        return _made(workspace, device)


def _made(workspace: Workspace[ReproduceSettings], device: torch.device) -> Record:
    settings = workspace.settings
    data = load_images(settings)
    marks = fingerprint(data.train_images, data.train_labels, data.test_images, data.test_labels)
    workspace.begin(marks, device.type)
    subject, rows = train_and_prune(workspace, data, device)
    still = {0: torch.zeros_like(subject.space.theta)}
    asked_later = not TUNED.isdisjoint(settings.measured)
    points, more = fine_tune(workspace, subject) if asked_later else (still, [])
    job = Job(workspace, subject, points, rows + more)
    for measure in settings.measured:
        MEASURED[measure](job)
    # a checkpoint by its name: where it lies is nobody's business
    trained = Path(settings.trained).name
    record = workspace.record([*job.rows, *_environment(device)], trained=trained)
    write_reproduction(record, workspace.directory / "reproduction.html")
    write_record(record, workspace.directory)
    return record


def reproduction_headline(record: Record) -> list[tuple[str, Row]]:
    """The few rows that the command line shows at the end, each with a label."""
    rate = float(record.config["rate"])
    wanted = (
        ("kept weights", names.NETWORK_KEPT),
        ("test accuracy before pruning", names.DENSE_ACCURACY),
        ("test accuracy after pruning", "pruned/test_accuracy"),
        ("steps until E(t) turns", "window/proxy/step-0/minimum"),
        ("steps within 1 % at order 2", f"window/true/step-0/eta-{rate:g}/order_2"),
        ("fastest growth of a mode in a step", names.during("step-0", names.GROWTH_A_STEP)),
        ("entries a row", names.row_entries(names.ABOVE_ONE_THOUSANDTH, "mean")),
        ("time, quantum / classical round", names.LEDGER + names.TIME_RATIO),
    )
    return [(label, record.rows[name]) for label, name in wanted if name in record.rows]


def _environment(device: torch.device) -> list[Row]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return [
        Row("environment/cores", cores, "cores", Evidence.EXACT, "that the process may use"),
        Row("environment/threads", torch.get_num_threads(), "threads", Evidence.EXACT, "torch's"),
        Row("environment/device", name, "", Evidence.EXACT, "where the network was"),
    ]
