"""Sparse fine-tuning as the authors do it, and the points on its way at which others measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qdescent._array_checks import check_shape
from qdescent._evidence import Evidence, Row
from qdescent.experiment.reproduce.settings import ReproduceSettings
from qdescent.experiment.reproduce.subject import Subject
from qdescent.experiment.reproduce.truncation import Rule
from qdescent.experiment.workspace import Workspace
from qdescent.learning.descent.sgd import SGD, step_change
from qdescent.learning.task import Task
from qdescent.training.descent import accuracy

STAGE = "tuning"


@dataclass(frozen=True, eq=False)
class Tuned:
    """Where sparse fine-tuning has come.

    Args:
        displacement: from the pruned weights, (n,).
        velocity: (n,); None: there was no step yet, or there is no momentum.
        points: displacement at the steps that are measured, by step.
        loss: on each step's batch, before it.
        steps, accuracy: steps at which the test accuracy was taken, and what it was.
    """

    displacement: Tensor = field(repr=False)
    velocity: Tensor | None = field(repr=False)
    points: dict[int, Tensor] = field(repr=False)
    loss: list[float]
    steps: list[int]
    accuracy: list[float]


def authors_rule(settings: ReproduceSettings) -> Rule:
    """Their fine-tuning, as the settings have it."""
    return Rule("authors", settings.tune_rate, settings.tune_momentum, settings.tune_decay)


def tuning_batch(subject: Subject, settings: ReproduceSettings, step: int, size: int) -> Task:
    """The batch of a step of fine-tuning."""
    return subject.batch(settings.seed, "tuning batch", step, size)


def fine_tune(
    workspace: Workspace[ReproduceSettings], subject: Subject
) -> tuple[dict[int, Tensor], list[Row]]:
    """SGD on the kept weights, resumable; the displacement at each point that is measured."""
    settings, progress = workspace.settings, workspace.progress
    rule, space, data = authors_rule(settings), subject.space, subject.data
    tuned = _begun(workspace, subject)
    wanted = set(settings.points)
    test = data.test_images, data.test_labels
    progress.start("Fine-tuning", settings.tune_steps, len(tuned.loss))

    def seen(tuned: Tuned) -> None:
        step = len(tuned.loss)
        if step in wanted:
            tuned.points[step] = tuned.displacement.clone()
        if step % settings.accuracy_every == 0 and step not in tuned.steps:
            point = space.theta + tuned.displacement
            tuned.steps.append(step)
            tuned.accuracy.append(accuracy(subject.task, space, point, *test))
            _keep(workspace, tuned)

    with workspace.stage("fine-tuning"):
        seen(tuned)
        for moved in _steps(subject, settings, rule, tuned):
            tuned = moved
            seen(tuned)
            progress.advance()
    _keep(workspace, tuned)
    progress.finish(f"test accuracy {100 * tuned.accuracy[-1]:.1f} %")
    how = f"{rule}, batches of {settings.tune_batch}"
    on_test = f"share of {len(data.test_images)} test images labelled correctly"
    rows = [
        Row("tuning/loss", tuned.loss, "nats", Evidence.EXACT, f"on each step's batch; {how}"),
        Row("tuning/step", tuned.steps, "steps", Evidence.EXACT, "steps after pruning"),
        Row("tuning/test_accuracy", tuned.accuracy, "1", Evidence.EXACT, f"{on_test}; {how}"),
    ]
    return tuned.points, rows


def _steps(
    subject: Subject, settings: ReproduceSettings, rule: Rule, tuned: Tuned
) -> Iterator[Tuned]:
    """The state after each further step."""
    sgd = SGD(rule.rate, rule.momentum, rule.decay)
    for step in range(len(tuned.loss), settings.tune_steps):
        task = tuning_batch(subject, settings, step, settings.tune_batch)
        point = subject.space.theta + tuned.displacement
        loss, gradient = task.loss_and_gradient(subject.space, point)
        change, velocity = step_change(
            sgd, gradient, tuned.displacement, subject.space.theta, tuned.velocity
        )
        tuned = Tuned(
            tuned.displacement + change,
            velocity,
            tuned.points,
            [*tuned.loss, float(loss)],
            tuned.steps,
            tuned.accuracy,
        )
        yield tuned


def _begun(workspace: Workspace[ReproduceSettings], subject: Subject) -> Tuned:
    saved = workspace.load(STAGE)
    still = torch.zeros_like(subject.space.theta)
    if saved is None:
        return Tuned(still, None, {}, [], [], [])
    with workspace.whole(STAGE):
        tensors = {
            name: check_shape(name, tensor, tuple(still.shape)).to(still)
            for name, tensor in saved.tensors.items()
        }
        points = {
            int(name.removeprefix("point-")): tensor
            for name, tensor in tensors.items()
            if name.startswith("point-")
        }
        curves = [list(saved.extra[name]) for name in ("loss", "steps", "accuracy")]
        return Tuned(tensors["displacement"], tensors.get("velocity"), points, *curves)


def _keep(workspace: Workspace[ReproduceSettings], tuned: Tuned) -> None:
    tensors = {"displacement": tuned.displacement}
    if tuned.velocity is not None:
        tensors["velocity"] = tuned.velocity
    tensors |= {f"point-{step}": point for step, point in tuned.points.items()}
    extra = {"loss": tuned.loss, "steps": tuned.steps, "accuracy": tuned.accuracy}
    workspace.save(STAGE, tensors, extra)
