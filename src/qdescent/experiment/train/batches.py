"""The batches of a training: whole ones, or this process's shares of them."""

from __future__ import annotations

import torch
from torch import Tensor

from qdescent._random import named_generator
from qdescent.experiment.train.settings import TrainSettings
from qdescent.experiment.train.subject import Subject
from qdescent.learning.batches import picked, samples_of
from qdescent.learning.parallel.ranks import Ranks
from qdescent.learning.parallel.shared_task import SharedTask
from qdescent.learning.task import Task


def batches_of(settings: TrainSettings, subject: Subject, ranks: Ranks) -> list[Task]:
    """The batch of each round, drawn anew; or of each step, from one pass over the samples."""
    all_places = drawn(settings, samples_of(subject.samples.train))
    if ranks.size == 1:
        return [
            Task(subject.network, subject.loss, batch_at(subject, places)) for places in all_places
        ]
    network, loss = subject.network, subject.loss
    own = [batch_at(subject, places[ranks.rank :: ranks.size]) for places in all_places]
    return [SharedTask(network, loss, batch, ranks) for batch in own]


def drawn(settings: TrainSettings, total: int) -> list[Tensor]:
    """The places of the samples of each batch."""
    if settings.fresh_batches:
        order = torch.randperm(
            total, generator=named_generator(settings.seed, "step batches"), device="cpu"
        )
        steps = min(settings.schedule.steps, total // settings.batch)
        batch = min(settings.batch, total)
        return list(order[: steps * batch].split(batch))
    orders = (
        torch.randperm(
            total, generator=named_generator(settings.seed, "round batch", r), device="cpu"
        )
        for r in range(settings.rounds)
    )
    return [order[: settings.batch] for order in orders]


def batch_at(subject: Subject, places: Tensor) -> tuple[object, object]:
    """The training samples at these places."""
    train = subject.samples.train
    total = samples_of(train)
    inputs, targets = (picked(part, places, total) for part in train)
    return inputs, targets
