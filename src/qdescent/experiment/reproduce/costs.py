"""What a segment of this network would take: norms and kappa, gradients, sparsity, price."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row
from qdescent._random import named_generator
from qdescent.carleman.best_history import best_history
from qdescent.experiment.reproduce.settings import ReproduceSettings
from qdescent.experiment.reproduce.subject import Subject
from qdescent.experiment.reproduce.truncation import Rule, end_of, refused
from qdescent.experiment.run.measured import mean_rows, norm_rows
from qdescent.learning.curvature.hessian import hessian
from qdescent.learning.networks.small_cnn import multiply_adds
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.linalg.map_norms import descent_norms
from qdescent.linalg.spectra.sparsity import row_sparsity
from qdescent.resources.ledger import ledger_of
from qdescent.resources.round_spec import RoundSpec
from qdescent.rows import names
from qdescent.rows.collection import Rows
from qdescent.solvers.segment.fast_forward import fast_forward
from qdescent.solvers.segment.map_norms import map_norms
from qdescent.solvers.segment.needed_sparsity import needed_sparsity
from qdescent.solvers.series import series_descent

# (eta, T) of segments that order 2 describes to about 1 % and to 10 % on trained networks
SEGMENTS = ((0.02, 9), (0.02, 20), (0.005, 36), (0.005, 80))
TOLERANCES = (1e-3, 8e-3, 1e-3, 8e-3)
ORDERS = (1, 2)
EPSILON = 1e-3  # of one solve: below the readout error
LEFT_OUT = (1, 10, 100, 1_000, 10_000, 100_000)  # entries a row that are kept


def norms_and_kappa(
    task: Task,
    space: ParameterSpace,
    theta: Tensor,
    chains: int,
    seed: int,
    on_call: Callable[[], None] = lambda: None,
) -> list[Row]:
    """The norms at eta = 1, and what follows from them (`kappa_rows`)."""
    norms = map_norms(
        task, space, 1.0, 2, theta=theta, samples=chains, seed=seed, vectors=0, check=False,
        on_call=on_call,
    )  # fmt: skip
    return norm_rows(norms) + kappa_rows(norms.constant, norms.extremes, norms.higher[0])


def kappa_rows(gradient: float, extremes: Sequence[float], second: float) -> list[Row]:
    """For each segment the bound on kappa, in units of 1 and in the best.

    Args:
        gradient, extremes, second: ||F_0||, the Hessian's extremes and ||F_2|| at eta = 1.
    """
    rows = []
    for rate, steps in SEGMENTS:
        here = descent_norms(gradient, extremes, (second,), rate)
        for order in ORDERS:
            place = f"kappa/eta-{rate:g}/T-{steps}/order_{order}"
            try:
                best = best_history(here, order, steps)
            except ArgumentError as error:  # the segment has no kappa in any unit
                rows.append(refused(place, error))
                continue
            rows += [
                Row(f"{place}/{row.name.partition('/')[2]}", row.value, row.unit, row.evidence,
                    row.source) for row in best.rows()
            ]  # fmt: skip
    return rows


def fast_forward_rows(
    task: Task, space: ParameterSpace, theta: Tensor, on_segment: Callable[[], None] = lambda: None
) -> list[Row]:
    """Segments without their steps: distance to true descent and cost in gradients, beside the
    series form's distance, for each of `SEGMENTS`.
    """
    rows = []
    for (rate, steps), tolerance in zip(SEGMENTS, TOLERANCES, strict=True):
        place = f"fast_forward/eta-{rate:g}/T-{steps}"
        try:
            end = end_of(task, space, theta, Rule("", rate), steps)
            found = fast_forward(
                task, space, steps, rate, theta=theta, order=2, tolerance=tolerance
            )
            series = series_descent(task, space, 2, steps, rate, theta, check=False)
        except ArgumentError as error:
            rows.append(refused(place, error))
            on_segment()
            continue
        how = f"eta = {rate:g}, T = {steps}, order 2, batch {task.batch}"

        def off(value: Tensor, end: Tensor = end) -> float:
            return float(torch.linalg.vector_norm(value.double() - end)) / float(
                torch.linalg.vector_norm(end)
            )

        rows += [
            Row(f"{place}/gradients", found.gradients, "gradients", Evidence.MODELLED, how),
            Row(f"{place}/error", off(found.value), "1", Evidence.EXACT, f"to descent; {how}"),
            Row(f"{place}/series_error", off(series.value), "1", Evidence.EXACT, how),
            Row(f"{place}/status", found.status.name, "", Evidence.EXACT, how),
        ]
        on_segment()
    return rows


def sparsity_rows(
    task: Task,
    space: ParameterSpace,
    theta: Tensor,
    rows: int,
    seed: int,
    on_step: Callable[[], None] = lambda: None,
) -> list[Row]:
    """How many entries count in sampled rows, and what a row loses that keeps its s largest."""
    operator = hessian(task, space, theta, check=False)
    found = row_sparsity(operator, rows, seed, on_rows=lambda _: on_step())
    how = f"{len(found.rows)} rows of {space.n:,}, {task.batch} samples"
    counts = [s for s in LEFT_OUT if s < space.n]
    lost = torch.zeros(len(counts), dtype=torch.float64, device="cpu")
    for place in found.rows:
        unit = torch.zeros(space.n, 1, dtype=theta.dtype, device=theta.device)
        unit[place] = 1
        squares = (operator @ unit)[:, 0].double().square().sort(descending=True).values
        total = squares.sum()
        kept = squares.cumsum(0)[torch.tensor(counts, device="cpu") - 1]
        lost += ((total - kept).clamp(min=0) / total).sqrt().cpu() if total else 0
    source = f"mean of what is left out of a row's norm where its s largest stay; {how}"
    return [
        *mean_rows(found, how),
        Row("sparsity/kept", counts, "entries", Evidence.EXACT, "s, entries of a row that stay"),
        Row("sparsity/lost", (lost / len(found.rows)).tolist(), "1", Evidence.MEASURED, source),
    ]


def needed_rows(
    task: Task,
    space: ParameterSpace,
    theta: Tensor,
    rule: Rule,
    weights: int,
    steps: int,
    seed: int,
    on_step: Callable[[], None] = lambda: None,
) -> list[Row]:
    """Entries a row that a segment needs, restricted to weights whose Hessian can be stored."""
    count = min(weights, space.n)
    places = torch.randperm(space.n, generator=named_generator(seed, "restriction"), device="cpu")[
        :count
    ]
    part = space.restrict(theta, places)
    found = needed_sparsity(task, part, steps, rule.rate, order=2, on_rows=lambda _: on_step())
    how = f"{rule}, T = {steps}, order 2, {part.n:,} of {space.n:,} weights, batch {task.batch}"
    return [
        Row(names.NEEDED_WEIGHTS, part.n, "weights", Evidence.EXACT, "of the restriction"),
        Row("needed/entries", found.entries.tolist(), "entries", Evidence.EXACT, "s a row"),
        Row("needed/errors", found.errors.tolist(), "1", Evidence.EXACT,
            f"distance of the segment with s entries a row to that with all; {how}"),
        Row(names.NEEDED_FOR_1_PERCENT, found.needed(0.01), "entries", Evidence.EXACT, how),
        Row("needed/krylov_for_1_percent", found.krylov_dimension(0.01), "1", Evidence.EXACT,
            f"dimension of a Krylov space that does the same; {how}"),
    ]  # fmt: skip


def longest_segment(rows: Sequence[Row], rate: float) -> int:
    """The steps that order 2 describes to 1 %, at least one; those of `SEGMENTS[0]` where that was
    not measured.
    """
    window = f"window/true/step-0/eta-{rate:g}/order_2"
    found = [int(row.number) for row in rows if row.name == window]
    return max(found[0], 1) if found else SEGMENTS[0][1]


def price_rows(
    subject: Subject,
    settings: ReproduceSettings,
    rows: Sequence[Row],
    on_step: Callable[[], None] = lambda: None,
) -> list[Row]:
    """The cost of one round at order 2 that is as long as it stays within 1 %, kappa by its bound.

    Args:
        rows: those that were found, with norms and the window of `settings.rate`; a round of
            `SEGMENTS[0]` where the window was not measured.
    """
    found = Rows(rows)
    if names.NORM_OF_GRADIENT not in found:
        return []
    steps = longest_segment(rows, settings.rate)
    norms = descent_norms(
        found.number(names.NORM_OF_GRADIENT),
        found[names.NORM_EXTREMES].curve,
        (found.number(names.NORM_OF_SECOND),),
        settings.rate,
    )
    best = best_history(norms, 2, steps)
    sample = subject.data.train_images[:1]
    network, space = subject.network, subject.space
    ledger = ledger_of(
        RoundSpec(
            n=space.n,
            parameters=space.total,
            order=2,
            steps=steps,
            padding=best.padding,
            kappa=best.kappa_bound,
            kappa_evidence=found[names.NORM_OF_SECOND].evidence,
            kappa_source="history_kappa_bound of the measured norms in the best units",
            sparsity=min(settings.sparsity, space.n),
            sparsity_source="setting `sparsity`, the paper's condition",
            batch=settings.tune_batch,
            forward_macs=multiply_adds(network, sample),
            masked_macs=multiply_adds(network, sample, space.mask),
            success_probability=min(best.probability, 1.0),
            success_evidence=Evidence.MODELLED,
            success_source="best_history",
            epsilon=EPSILON,
        )
    )
    on_step()
    return list(ledger.rows.under(names.LEDGER))
