"""What can be measured on a pruned network, each in stages that are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from torch import Tensor

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row
from qdescent.experiment.reproduce.costs import (
    fast_forward_rows,
    longest_segment,
    needed_rows,
    norms_and_kappa,
    price_rows,
    sparsity_rows,
)
from qdescent.experiment.reproduce.loop import hybrid_rows
from qdescent.experiment.reproduce.settings import ReproduceSettings, integers, numbers, words
from qdescent.experiment.reproduce.spectra import layer_rows, overlap_rows, spectrum_at
from qdescent.experiment.reproduce.subject import Subject
from qdescent.experiment.reproduce.truncation import Rule, refused, reupload_rows, truncation_rows
from qdescent.experiment.reproduce.tuning import authors_rule, tuning_batch
from qdescent.experiment.workspace import Workspace
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.training.descent import accuracy

TUNED = {"spectra", "truncation"}  # measured on the way of fine-tuning, too
SHORT = 10  # steps of the truncation curves that are measured beside the main one
Told = Callable[[], None]


@dataclass(eq=False)
class Job:
    """A job on its way: what is measured, and the rows that were found.

    Args:
        workspace: where finished stages are kept.
        subject: the pruned network.
        points: displacement from the pruned weights, by step of fine-tuning.
        rows: found so far.
    """

    workspace: Workspace[ReproduceSettings]
    subject: Subject
    points: dict[int, Tensor]
    rows: list[Row] = field(default_factory=list)

    def at(self, step: int) -> Tensor:
        """The weights after so many steps of fine-tuning."""
        return self.subject.space.theta + self.points[step]

    def stage(self, name: str, measured: Callable[[Told], list[Row]]) -> None:
        """The rows of a stage: those that an earlier call kept, or found now and kept.

        Args:
            name: of its state; words and hyphens.
            measured: gives the rows; it is given a function to call at each unit of work.
        """
        workspace = self.workspace
        saved = workspace.load(name)
        if saved is not None:
            with workspace.whole(name):
                self.rows += [Row.from_json(row) for row in saved.extra["rows"]]
            return
        workspace.progress.start(name.replace("-", " "), 0)
        with workspace.stage(name):
            try:
                rows = measured(workspace.progress.advance)
            except ArgumentError as error:  # the others are measured all the same
                rows = [refused(name, error)]
        workspace.save(name, {}, {"rows": [row.to_json() for row in rows]})
        workspace.progress.finish(f"{len(rows)} rows")
        self.rows += rows

    def spectrum(self, name: str, space: ParameterSpace, theta: Tensor, where: str) -> None:
        """A spectrum on the measured batch."""
        settings = self.workspace.settings

        def measured(told: Told) -> list[Row]:
            return spectrum_at(
                self.subject.task,
                space,
                theta,
                plain(settings.rate),
                where,
                horizon=settings.horizon,
                steps=settings.lanczos_steps,
                probes=settings.probes,
                seed=settings.seed,
                on_step=told,
            )

        self.stage(name, measured)

    def short_curve(self, name: str, space: ParameterSpace, theta: Tensor, where: str) -> None:
        """A truncation curve of a few steps at order 2; nothing where the loss has no series."""
        settings, subject = self.workspace.settings, self.subject
        if subject.smooth:
            order, steps = min(settings.order, 2), min(SHORT, settings.segment)
            rule = plain(settings.rate)
            self.stage(
                name,
                partial(truncation_rows, subject.task, space, theta, rule, where, order, steps),
            )


def plain(rate: float) -> Rule:
    """Plain descent."""
    return Rule(f"eta-{rate:g}", rate)


def _dense(job: Job) -> None:
    """Before pruning: all weights, at the dense network."""
    settings, subject = job.workspace.settings, job.subject
    space = ParameterSpace(subject.network)
    job.spectrum("dense-spectrum", space, space.theta, "dense")
    job.short_curve("dense-truncation", space, space.theta, "dense")
    every = (settings.density, *numbers("densities", settings.densities, "(0, 1]"))

    def overlap(told: Told) -> list[Row]:
        masks = {
            f"density-{each:g}": subject.mask(settings, settings.prune_by, each) for each in every
        }
        return overlap_rows(
            subject.task,
            space,
            masks,
            count=settings.eigenvectors,
            seed=settings.seed,
            on_product=told,
        )

    if settings.eigenvectors:
        job.stage("dense-overlap", overlap)


def _spectra(job: Job) -> None:
    for step in job.workspace.settings.spectrum_steps:
        job.spectrum(f"spectrum-{step}", job.subject.space, job.at(step), f"step-{step}")


def _truncation(job: Job) -> None:
    """At each pivot and rate."""
    settings, subject = job.workspace.settings, job.subject
    space, order = subject.space, settings.order
    if not subject.smooth:
        return  # a kink has no Taylor series
    for place, pivot in enumerate(integers("pivots", settings.pivots, 0)):
        rates = numbers("rates", settings.rates, "(0, inf)") if place == 0 else (settings.rate,)
        for rule in map(plain, rates):
            name = f"truncation-{pivot}-{rule.name}".replace(".", "_")
            where, steps = f"step-{pivot}", settings.segment
            theta = job.at(pivot)
            job.stage(
                name,
                partial(truncation_rows, subject.task, space, theta, rule, where, order, steps),
            )


def _momentum(job: Job) -> None:
    """By the authors' own rule: on one batch, and on fresh ones."""
    settings, subject = job.workspace.settings, job.subject
    space, order = subject.space, settings.order
    if not subject.smooth:
        return
    steps = min(SHORT, settings.segment)
    fresh = [tuning_batch(subject, settings, step, settings.batch) for step in range(steps)]
    theirs = authors_rule(settings)
    for word, tasks in (("one-batch", subject.task), ("fresh-batches", fresh)):
        rule = replace(theirs, name=f"authors-{word}")
        job.stage(
            f"truncation-{rule.name}",
            partial(
                truncation_rows, tasks, space, space.theta, rule, "step-0", min(order, 2), steps
            ),
        )


def _reupload(job: Job) -> None:
    """Uploaded anew every K steps; and with the gradients of the pruned weights."""
    settings, subject = job.workspace.settings, job.subject
    if not subject.smooth:
        return
    steps, space = settings.segment, subject.space
    segments = [k for k in range(2, steps + 1) if steps % k == 0][-3:]
    job.stage(
        "reupload",
        partial(
            reupload_rows,
            subject.task,
            space,
            space.theta,
            plain(settings.rate),
            "step-0",
            2,
            steps,
            segments,
        ),
    )
    every = ParameterSpace(subject.network)
    point = every.pack(space.unpack(space.theta))
    job.spectrum("unmasked-spectrum", every, point, "unmasked")
    job.short_curve("unmasked-truncation", every, point, "unmasked")


def _layers(job: Job) -> None:
    settings, subject = job.workspace.settings, job.subject
    space, steps = subject.space, max(12, settings.lanczos_steps // 2)
    job.stage(
        "layers",
        partial(layer_rows, subject.task, space, space.theta, "step-0", steps, settings.seed),
    )


def _norms(job: Job) -> None:
    settings, subject = job.workspace.settings, job.subject
    space = subject.space
    if subject.smooth:
        job.stage(
            "norms",
            partial(
                norms_and_kappa, subject.task, space, space.theta, settings.chains, settings.seed
            ),
        )


def _densities(job: Job) -> None:
    """The same at other densities, and by other criteria."""
    settings, subject = job.workspace.settings, job.subject
    others = [
        (f"density-{each:g}", settings.prune_by, each)
        for each in numbers("densities", settings.densities, "(0, 1]")
    ]
    others += [
        (f"mask-{each}", each, settings.density) for each in words("masks", settings.masks, MASKS)
    ]
    for name, kind, density in others:
        space = ParameterSpace(subject.network, subject.mask(settings, kind, density))
        stage = name.replace(".", "_")
        job.stage(f"{stage}-accuracy", partial(_pruned_rows, subject, space, name))
        job.spectrum(f"{stage}-spectrum", space, space.theta, name)
        job.short_curve(f"{stage}-truncation", space, space.theta, name)


def _pruned_rows(subject: Subject, space: ParameterSpace, name: str, told: Told) -> list[Row]:
    """How many weights a mask keeps, and what they know."""
    test = subject.data.test_images, subject.data.test_labels
    found = accuracy(subject.task, space, space.theta, *test)
    source = f"of {len(test[1])} test images, right after pruning"
    told()
    return [
        Row(f"network/{name}/kept", space.n, "weights", Evidence.EXACT, "n"),
        Row(f"network/{name}/test_accuracy", found, "1", Evidence.EXACT, source),
    ]


def _rows(job: Job) -> None:
    """Row sparsity at full size, and what a segment needs on a restriction."""
    settings, subject = job.workspace.settings, job.subject
    space, seed = subject.space, settings.seed
    job.stage(
        "sparsity",
        partial(sparsity_rows, subject.task, space, space.theta, settings.sampled_rows, seed),
    )
    if settings.restricted and subject.smooth:
        job.stage(
            "needed-sparsity",
            partial(
                needed_rows,
                subject.task,
                space,
                space.theta,
                plain(settings.rate),
                settings.restricted,
                SHORT,
                seed,
            ),
        )


def _fast_forward(job: Job) -> None:
    subject = job.subject
    space = subject.space
    if subject.smooth:
        job.stage("fast-forward", partial(fast_forward_rows, subject.task, space, space.theta))


def _hybrid(job: Job) -> None:
    if job.subject.smooth:
        settings = job.workspace.settings
        steps = longest_segment(job.rows, settings.rate)
        job.stage("hybrid", partial(hybrid_rows, job.subject, settings, steps))


def _price(job: Job) -> None:
    if job.subject.smooth:
        job.stage("price", partial(price_rows, job.subject, job.workspace.settings, job.rows))


MEASURED: Mapping[str, Callable[[Job], None]] = {
    "dense": _dense,
    "spectra": _spectra,
    "truncation": _truncation,
    "momentum": _momentum,
    "reupload": _reupload,
    "layers": _layers,
    "norms": _norms,
    "densities": _densities,
    "rows": _rows,
    "fast-forward": _fast_forward,
    "hybrid": _hybrid,
    "price": _price,
}
