"""`qdescent spectrum`: the Hessian spectrum of anybody's network, and whether gradient descent on
it is dissipative.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row
from qdescent.carleman.dissipation import Dissipation, diagnose
from qdescent.carleman.growth import step_factor
from qdescent.experiment.origin import threads_of
from qdescent.experiment.progress import Progress, Silent
from qdescent.experiment.run.curvature import BETWEEN, spectrum_rows
from qdescent.experiment.spectrum.operator import (
    checked_operator,
    curvature_operator,
    error_rows,
    in_float32,
)
from qdescent.experiment.spectrum.settings import SpectrumSettings
from qdescent.experiment.spectrum.stages import Stages, kept_origin
from qdescent.experiment.spectrum.subject import Subject, load_subject, measured_loss
from qdescent.experiment.spectrum.ways import way_rows
from qdescent.learning.parallel.ranks import Ranks, joined
from qdescent.linalg.spectra.deflation import Eigenpairs
from qdescent.linalg.spectra.lanczos import LanczosState
from qdescent.linalg.spectra.sparsity import RowSparsity
from qdescent.linalg.spectra.spectrum import Spectrum
from qdescent.report.eigenvectors import write_eigenpairs
from qdescent.report.files import write_arrays
from qdescent.report.pages.spectrum_page import guessing_warning, write_spectrum_page
from qdescent.report.record import Record, installed_versions, stopwatch, write_record
from qdescent.report.reservation import discard, held
from qdescent.rows import names
from qdescent.rows.collection import Rows

# times the learning rate: how E(t) would be at others
ETA_GRID = 2.0 ** torch.arange(-6, 7, dtype=torch.float64, device="cpu")
QUANTILES = {
    "median": (0.5, "half of the sampled rows have at most so many"),
    "nine_tenths": (0.9, "nine tenths of the sampled rows have at most so many"),
    "maximum": (1.0, "the row of most entries that was seen"),
}


def run_spectrum(
    settings: SpectrumSettings, directory: Path, progress: Progress | None = None
) -> Record | None:
    """Measure the spectrum of a network and write spectrum.npz, run.json and spectrum.html.

    Where pairs are deflated, eigenvectors.safetensors, too.

    A directory with saved state is gone on with: the coefficients are then the same to the last
    bit, on the same device with as many processes. Under torchrun the batches are dealt to the
    processes; process 0 alone writes.

    Args:
        settings: what to measure, checked; of an unfinished one see `resumed_spectrum`.
        directory: where results go; under torchrun that of process 0 counts.
        progress: who is told; only process 0 tells.

    Returns:
        Record: in process 0; None in the others.

    Raises:
        ArgumentError: something that cannot be loaded or does not fit together, a damaged state, or
            a directory that another process works on.
    """
    with joined(settings.device) as ranks, ExitStack() as stack:
        directory = ranks.of_first(directory)
        ranks.together(
            lambda: stack.enter_context(held(directory, new=False)) if ranks.rank == 0 else None
        )
        stack.enter_context(threads_of(ranks.together(lambda: kept_origin(directory))))
        return _measured(settings, directory, progress, ranks)


def _measured(
    settings: SpectrumSettings, directory: Path, progress: Progress | None, ranks: Ranks
) -> Record | None:
    timings: dict[str, float] = {}
    first = ranks.rank == 0
    with stopwatch(timings, "load"):
        subject = ranks.together(lambda: load_subject(settings, ranks))
        stages = ranks.together(
            lambda: Stages.begin(
                settings, directory, subject, progress if first and progress else Silent(), ranks
            )
        )
    try:
        loss = measured_loss(subject, ranks)
        way = stages.way(lambda name: curvature_operator(settings, subject, ranks, name))
        operator = curvature_operator(settings, subject, ranks, way)
        with stopwatch(timings, "check"):
            operator, checks = checked_operator(settings, subject, operator, ranks)
            rows = [*subject.rows, loss, *stages.rows(), *way_rows(settings, way), *checks]
        with stopwatch(timings, "deflation"):
            pairs = stages.deflation(operator)
        with stopwatch(timings, "spectrum"):
            spectrum, reached = stages.quadrature(operator, pairs)
        # beside bfloat16's rounding small entries would not be seen
        with stopwatch(timings, "rows"):
            exact = (
                operator
                if in_float32(settings) == settings
                else curvature_operator(in_float32(settings), subject, ranks, way)
            )
            sparsity = stages.sparsity(exact)
        rows += error_rows(settings, subject, operator, ranks)
    except ArgumentError:  # a network that has no product leaves nothing to be resumed
        if first and not stages.saved:
            discard(directory)
        raise
    if not first:
        return None
    diagnosis = diagnose(
        spectrum, settings.learning_rate, settings.momentum, settings.horizon, settings.weight_decay
    )
    rows += _result_rows(settings, subject, spectrum, diagnosis, reached)
    rows += _deflation_rows(settings, pairs) + _sparsity_rows(settings, subject, sparsity)
    rows = [
        replace(row, error=None) if isinstance(row.error, float) and math.isnan(row.error) else row
        for row in rows
    ]  # one probe
    record = Record(
        directory.name, asdict(settings), settings.seed, installed_versions(), Rows(rows), timings
    )
    write_arrays(directory / "spectrum.npz", _arrays(settings, spectrum, reached, sparsity))
    if pairs is not None:
        write_eigenpairs(pairs, directory, subject.space.names)
    write_spectrum_page(record, directory / "spectrum.html")
    write_record(record, directory)
    return record


def spectrum_headline(record: Record) -> list[tuple[str, Row]]:
    """The few rows that the command line shows at the end, each with a label."""
    total = record.rows[names.PROXY_TOTAL]
    end = replace(total, value=total.value[-1], error=total.error[-1])  # type: ignore[index]
    labelled = [
        ("all weights", names.NETWORK_PARAMETERS),
        ("kept weights", names.NETWORK_KEPT),
        ("exact zeros among them", names.NETWORK_ZEROS),
        ("samples", names.DATA_SAMPLES),
        ("loss", names.DATA_LOSS),
        ("smallest eigenvalue", names.LAMBDA_MIN),
        ("largest eigenvalue", names.LAMBDA_MAX),
        ("dissipative share of modes", names.DISSIPATIVE),
        ("divergent share of modes", names.DIVERGENT),
        ("growth a step, fastest mode", names.GROWTH_A_STEP),
        ("growth of the fastest mode", names.GROWTH),
        ("row entries > largest / 1000", names.row_entries(names.ABOVE_ONE_THOUSANDTH, "mean")),
        ("row entries for 99 % of square", names.row_entries(names.CARRYING_99_PERCENT, "mean")),
    ]
    found = [(label, record.rows[name]) for label, name in labelled if name in record.rows]
    found.append((f"E({record.rows[names.SETTING_HORIZON].value})", end))
    found.append(("Verdict", record.rows[names.DISSIPATION_VERDICT]))
    if warning := guessing_warning(record):
        source = "data/loss beside data/guessing_loss"
        found.append(("Beware", Row("data/warning", warning, "", Evidence.MEASURED, source)))
    return found


def _how(settings: SpectrumSettings, subject: Subject) -> str:
    """Probes, steps and samples in words."""
    return (
        f"Lanczos quadrature, {settings.probes} probes x {settings.steps} steps, {subject.samples}"
        f" samples, {settings.curvature}"
    )


def _result_rows(
    settings: SpectrumSettings,
    subject: Subject,
    spectrum: Spectrum,
    diagnosis: Dissipation,
    reached: LanczosState,
) -> list[Row]:
    how = _how(settings, subject)
    factor = "|1 - eta (lambda + wd)|" if settings.weight_decay else "|1 - eta lambda|"
    factor = "|r|" if settings.momentum else factor
    done = int(reached.length.min())
    ended = (
        f"; the invariant subspace of {subject.space.n} kept weights is exhausted"
        if done < settings.steps
        else ""
    )
    (least, least_error), (most, most_error) = spectrum.mass_bounds(-math.inf, 0.0)
    rank, rank_error = spectrum.effective_rank
    measured, bounds = Evidence.MEASURED, f"share of eigenvalues at or below 0; {BETWEEN}"
    return [
        *spectrum_rows(spectrum, diagnosis, how, factor=factor),
        Row("spectrum/negative_at_least", least, "1", measured, bounds, least_error),
        Row("spectrum/negative_at_most", most, "1", measured, bounds, most_error),
        Row(
            "spectrum/effective_rank",
            rank,
            "modes",
            measured,
            f"exp of the entropy of |lambda| / sum |lambda|; {how}",
            rank_error,
        ),
        Row(
            "spectrum/steps",
            done,
            "steps",
            Evidence.EXACT,
            f"Lanczos steps that were possible of {settings.steps}{ended}",
        ),
        Row(
            names.DISSIPATION_REASONS,
            " ".join(diagnosis.reasons),
            "",
            measured,
            f"sentences computed from the rows; {how}",
        ),
    ]


def _deflation_rows(settings: SpectrumSettings, pairs: Eigenpairs | None) -> list[Row]:
    if pairs is None:
        return []
    source = (
        f"{len(pairs.values)} of {settings.deflate} extreme eigenpairs had converged; they were"
        " found first, by two passes of Lanczos from one vector, and enter exactly, with weight"
        " 1/n each; the probes saw the rest; error: residual norm"
    )
    return [
        Row(
            names.DEFLATED,
            pairs.values.tolist(),
            "1",
            Evidence.MEASURED,
            source,
            pairs.residuals.tolist(),
        )
    ]


def _sparsity_rows(
    settings: SpectrumSettings, subject: Subject, sparsity: RowSparsity | None
) -> list[Row]:
    """Both counts: their mean, their quantiles over the sampled rows, and all of them sorted."""
    if sparsity is None:
        return []
    measured = Evidence.MEASURED
    drawn = (
        f"whole rows of the {settings.curvature} over {subject.samples} samples, drawn without"
        f" repetition from n = {sparsity.size}"
    )
    rows = [Row(names.SPARSITY_ROWS, len(sparsity.rows), "rows", Evidence.EXACT, drawn)]
    which = {
        "above_one_thousandth": (
            sparsity.above,
            sparsity.mean_above,
            "entries of at least 1/1000 of the row's largest",
        ),
        "carrying_99_percent": (
            sparsity.carrying,
            sparsity.mean_carrying,
            "least entries that carry 99 % of the squared norm",
        ),
    }
    quantiles = sparsity.quantiles([level for level, _ in QUANTILES.values()])
    for (name, (counts, (mean, error), what)), values in zip(which.items(), quantiles, strict=True):
        rows.append(
            Row(
                names.row_entries(name, "mean"),
                mean,
                "entries",
                measured,
                f"{what}; {drawn}",
                error,
            )
        )
        for (quantile, (_, source)), value in zip(QUANTILES.items(), values, strict=True):
            rows.append(Row(names.row_entries(name, quantile), value, "entries", measured, source))
        rows.append(
            Row(
                names.row_entries(name, "counts"),
                counts.sort().values.tolist(),
                "entries",
                measured,
                f"{what}; {drawn}",
            )
        )
    return rows


def _arrays(
    settings: SpectrumSettings,
    spectrum: Spectrum,
    reached: LanczosState,
    sparsity: RowSparsity | None,
) -> dict[str, Tensor]:
    """What spectrum.npz holds: quadrature, tridiagonal coefficients, E(t) for a grid of learning
    rates, entries of the rows.
    """
    rates = settings.learning_rate * ETA_GRID
    horizon = torch.arange(settings.horizon + 1, dtype=torch.float64, device="cpu")

    def proxy(rate: float, t: float) -> tuple[float, float]:
        return spectrum.integrate(
            lambda x: step_factor(x + settings.weight_decay, rate, settings.momentum) ** t
        )

    curves = torch.tensor(
        [[proxy(rate, t) for t in horizon.tolist()] for rate in rates.tolist()],
        dtype=torch.float64,
        device="cpu",
    )
    counted = (
        {"rows": sparsity.rows, "above": sparsity.above, "carrying": sparsity.carrying}
        if sparsity
        else {}
    )
    return {
        **counted,
        "nodes": spectrum.nodes,
        "weights": spectrum.weights,
        "residuals": spectrum.residuals,
        "alpha": reached.alpha,
        "beta": reached.beta,
        "length": reached.length,
        "eta": rates,
        "t": horizon,
        "proxy": curves[..., 0],
        "proxy_error": curves[..., 1],
    }
