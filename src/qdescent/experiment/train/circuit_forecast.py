"""What the engine "circuit" will take, said and limited before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from qdescent.experiment.progress import Progress
from qdescent.experiment.train.settings import DENSITY, TrainSettings
from qdescent.experiment.train.subject import Subject
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.magnitude import magnitude_mask
from qdescent.learning.task import Task
from qdescent.quantum.simulator.forecast import check_simulation
from qdescent.training.engines.choices import CIRCUIT, ENGINES
from qdescent.training.engines.circuit_path import CircuitPath
from qdescent.training.engines.path import Upload
from qdescent.training.schedule import Schedule


def likely_space(settings: TrainSettings, subject: Subject) -> ParameterSpace:
    """Weights such as will be kept: as many, whichever they are in the end."""
    mask = subject.mask
    if mask is None and not settings.along_the_way:
        density = DENSITY if settings.density is None else settings.density
        mask = magnitude_mask(subject.network, density)
    return ParameterSpace(subject.network, mask)


def forecast_circuit(
    settings: TrainSettings, space: ParameterSpace, tasks: Sequence[Task], progress: Progress
) -> None:
    """Build the circuit of the first segment, by the weights as they are now, and say what its
    simulation takes; of segments whose length is not known the shortest, at the lowest order.

    Args:
        settings: of the training.
        space: the weights that are likely to be kept.
        tasks: the batches.
        progress: who is told.

    Raises:
        ArgumentError: too many weights for a circuit; a simulation beyond the limits.
    """
    progress.start("Forecast", 1)
    schedule = settings.schedule
    steps = schedule.longest if isinstance(schedule, Schedule) else min(2, schedule.longest)
    order = schedule.orders[0]
    upload = Upload(
        tasks[:steps] if settings.fresh_batches else tasks[0],
        space,
        space.theta,
        schedule.rule(0),
        order,
        steps,
        tolerance=schedule.engine_tolerance,
    )
    path = ENGINES[CIRCUIT].follow(upload)
    assert isinstance(path, CircuitPath)
    found = path.forecast(steps, order)
    progress.advance()
    progress.finish(f"at the end of a segment {found or 'nothing moves'}")
    if found is not None:
        check_simulation(found, settings.most_seconds, 1, on_cpu=True)
