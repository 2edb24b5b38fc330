"""Several seeds: one after the other, or each a job of submitit, here or on a SLURM cluster."""

from __future__ import annotations

from pathlib import Path

from qdescent._checks import argument_error
from qdescent.experiment.progress import Progress
from qdescent.experiment.reproduce.pipeline import run_reproduction
from qdescent.experiment.reproduce.settings import ReproduceSettings
from qdescent.experiment.setting import check_same
from qdescent.experiment.workspace import create_workspace, resume_workspace
from qdescent.report.record import Record, is_complete, read_record
from qdescent.report.reservation import is_vacant

MINUTES = 24 * 60  # that a cluster is asked for


def run_seeds(
    settings: ReproduceSettings, parent: Path, progress: Progress | None = None
) -> list[Record]:
    """Every job of the settings in a folder `seed-N` of its own; those that are whole are read,
    those that were begun are gone on with.

    Args:
        settings: with `seeds` and `launcher`.
        parent: folder of the folders.
        progress: who is told, where the jobs run here.

    Returns:
        The records, seed by seed, once all are done.

    Raises:
        ArgumentError: submitit is not installed; whatever a job raises.
    """
    places = [parent / f"seed-{job.seed}" for job in settings.jobs]
    pairs = list(zip(settings.jobs, places, strict=True))
    if settings.launcher == "here":
        return [run_seed(job, place, progress) for job, place in pairs]
    try:
        import submitit
    except ImportError:
        must = "be here, where submitit is not installed (pip install 'qdescent[cluster]')"
        raise argument_error("launcher", must, repr(settings.launcher)) from None
    executor = submitit.AutoExecutor(folder=parent / "jobs", cluster=settings.launcher)
    executor.update_parameters(timeout_min=MINUTES, name="qdescent")
    submitted = [executor.submit(run_seed, job, place.absolute()) for job, place in pairs]
    for job in submitted:
        job.result()
    return [read_record(place) for place in places]


def run_seed(
    settings: ReproduceSettings, directory: Path, progress: Progress | None = None
) -> Record:
    """One job: new, gone on with, or read where it is whole."""
    if is_complete(directory):
        return read_record(directory)
    if is_vacant(directory):
        return run_reproduction(create_workspace(directory, settings, progress))
    workspace = resume_workspace(directory, ReproduceSettings, progress)
    check_same(workspace.settings, settings.to_json(), "run")
    return run_reproduction(workspace)
