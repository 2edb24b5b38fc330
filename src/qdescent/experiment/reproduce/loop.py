"""The hybrid loop, with its readout, beside as many steps of classical descent."""

from __future__ import annotations

from collections.abc import Callable

import torch

from qdescent._evidence import Evidence, Row, Value
from qdescent.experiment.reproduce.settings import ReproduceSettings
from qdescent.experiment.reproduce.subject import Subject
from qdescent.experiment.reproduce.truncation import Rule, end_of
from qdescent.training.descent import accuracy
from qdescent.training.hybrid import train_hybrid
from qdescent.training.schedule import Schedule


def hybrid_rows(
    subject: Subject,
    settings: ReproduceSettings,
    segment: int,
    on_step: Callable[[], None] = lambda: None,
) -> list[Row]:
    """Rounds of upload, segment, readout and download at order 2; loss and accuracy of both.

    Args:
        segment: K, steps of a round.
    """
    schedule = Schedule(
        order=2,
        segment=segment,
        rounds=settings.rounds,
        learning_rate=settings.rate,
        shots=settings.shots,
    )
    run = train_hybrid(
        [subject.task],
        subject.space,
        schedule,
        seed=settings.seed,
        on_step=on_step,
        check=False,
    )
    start = subject.space.theta
    rule = Rule("", settings.rate)
    u = end_of(subject.task, subject.space, start, rule, schedule.steps).to(start)
    test = subject.data.test_images, subject.data.test_labels
    how = (
        f"eta = {settings.rate:g}, {settings.rounds} rounds of {segment} steps, order 2,"
        f" {settings.shots:.3g} shots for magnitudes and again for signs, batch"
        f" {subject.task.batch}"
    )

    def loss(theta: torch.Tensor) -> float:
        return float(subject.task.loss_at(subject.space, theta).detach())

    rows: list[tuple[str, Value, str]] = [
        ("hybrid/steps", schedule.steps, "steps"),
        ("hybrid/truncation_by_round", [each.truncation[-1] for each in run.rounds], "1"),
        ("hybrid/readout_error_by_round", [each.readout_error for each in run.rounds], "1"),
        ("hybrid/loss_before", loss(start), "nats"),
        ("hybrid/loss", loss(run.theta), "nats"),
        ("hybrid/classical_loss", loss(start + u), "nats"),
        ("hybrid/accuracy_before", accuracy(subject.task, subject.space, start, *test), "1"),
        ("hybrid/accuracy", accuracy(subject.task, subject.space, run.theta, *test), "1"),
        (
            "hybrid/classical_accuracy",
            accuracy(subject.task, subject.space, start + u, *test),
            "1",
        ),
    ]
    return [Row(name, value, unit, Evidence.MEASURED, how) for name, value, unit in rows]
