"""`qdescent spectrum`: the Hessian spectrum of anybody's network, and whether gradient descent on it is dissipative."""

from __future__ import annotations

import hashlib
import math
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from qdescent._checks import ArgumentError, argument_error
from qdescent._evidence import Evidence, Row
from qdescent._random import named_generator
from qdescent.carleman.dissipation import Dissipation, diagnose, step_factor
from qdescent.experiment.curvature import SAVE_EVERY, spectrum_rows
from qdescent.experiment.sources import check_fit, load_data, load_loss, load_mask, load_network, load_weights
from qdescent.experiment.spectrum_settings import STATE_OF_JOB, SpectrumSettings
from qdescent.experiment.workspace import Progress, Silent
from qdescent.learning.hessian import finite_difference_hessian, gauss_newton, hessian, product_error
from qdescent.learning.parallel import Ranks, data_parallel, joined
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.linalg.lanczos import LanczosState
from qdescent.linalg.operator import LinearOperator
from qdescent.linalg.spectrum import Spectrum, spectral_density
from qdescent.report.record import (
    Record,
    clear_state,
    installed_versions,
    load_state,
    save_state,
    stopwatch,
    write_arrays,
    write_record,
)
from qdescent.report.spectrum_page import write_spectrum_page

STATE_OF_LANCZOS = "spectrum-lanczos"
CURVATURES = {"hessian": hessian, "gauss-newton": gauss_newton}
ETA_GRID = 2.0 ** torch.arange(-6, 7, dtype=torch.float64)  # times the learning rate: how E(t) would be at others
UNRELATED = 0.9  # relative: beyond what kinks and rounding do; 1 is a product that misses the curvature altogether
KINKS = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ReLU6, nn.Hardtanh, nn.Hardswish, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


class Subject(NamedTuple):
    """What is measured: this process's tasks, the kept weights, and what the report says about both."""

    tasks: list[Task]
    space: ParameterSpace
    fingerprint: str
    samples: int
    rows: list[Row]


def run_spectrum(settings: SpectrumSettings, directory: Path, progress: Progress | None = None) -> Record | None:
    """Measure the spectrum of a network, save as it goes, write spectrum.npz, run.json and spectrum.html.

    A directory with saved state is gone on with: the coefficients are then the same to the last bit. Under torchrun the batches
    are dealt to the processes; process 0 alone writes.

    Args:
        settings: what to measure, see `new_spectrum` and `resumed_spectrum`.
        directory: where results go.
        progress: who is told; only process 0 tells.

    Returns:
        Record: in process 0; None in the others.

    Raises:
        ArgumentError: something that cannot be loaded or does not fit together, or a damaged state.
    """
    timings: dict[str, float] = {}
    with joined(settings.device) as ranks:
        first = ranks.rank == 0
        progress = progress if first and progress else Silent()
        with stopwatch(timings, "load"):
            subject, state = ranks.together(lambda: _prepare(settings, directory, ranks))
            loss = _loss(subject, ranks)
        if first and state is None:
            content = {"settings": asdict(settings), "fingerprint": subject.fingerprint}
            save_state(directory, STATE_OF_JOB, {}, [], content)
        progress.start("Spectrum", settings.steps, state.steps if state else 0)
        reached = state

        def keep(now: LanczosState) -> None:
            nonlocal reached
            reached = now
            progress.advance()
            if first and (now.steps % SAVE_EVERY == 0 or now.steps == settings.steps):
                save_state(directory, STATE_OF_LANCZOS, vars(now), [], {})

        try:
            with stopwatch(timings, "spectrum"):
                operator = data_parallel(
                    lambda mine: _curvature(settings, mine, subject.space), subject.tasks, subject.space, ranks
                )
                rows = _check_rows(settings, subject, operator, ranks)
                spectrum = spectral_density(operator, settings.steps, settings.probes, settings.seed, state=state, on_step=keep)
                rows += _precision_rows(settings, subject, operator, ranks)
        except ArgumentError:  # a network that has no product leaves nothing to be resumed
            if first and reached is None:
                clear_state(directory)
                with suppress(OSError):
                    directory.rmdir()
            raise
    if not first or reached is None:
        return None
    diagnosis = diagnose(spectrum, settings.learning_rate, settings.momentum, settings.horizon, settings.weight_decay)
    rows = [*subject.rows, loss, *rows, *_result_rows(settings, subject, spectrum, diagnosis, reached)]
    progress.finish(f"{diagnosis.verdict}, eigenvalues {spectrum.lambda_min[0]:.3g} to {spectrum.lambda_max[0]:.3g}")
    record = Record(directory.name, asdict(settings), settings.seed, installed_versions(), tuple(rows), timings)
    write_arrays(directory / "spectrum.npz", _arrays(settings, spectrum, reached))
    write_spectrum_page(record, directory / "spectrum.html")
    write_record(record, directory)
    clear_state(directory)
    return record


def spectrum_headline(record: Record) -> list[tuple[str, Row]]:
    """The few rows that the terminal shows at the end, each with a label."""
    total = record.row("proxy/total")
    end = replace(total, value=total.value[-1], error=total.error[-1])  # type: ignore[index]
    return [
        ("all weights", record.row("network/parameters")),
        ("kept weights", record.row("network/kept")),
        ("samples", record.row("data/samples")),
        ("loss", record.row("data/loss")),
        ("smallest eigenvalue", record.row("spectrum/lambda_min")),
        ("largest eigenvalue", record.row("spectrum/lambda_max")),
        ("dissipative share of modes", record.row("dissipation/dissipative")),
        ("divergent share of modes", record.row("dissipation/divergent")),
        ("growth of the fastest mode", record.row("dissipation/growth")),
        (f"E({record.value('setting/horizon')})", end),
    ]


def _prepare(settings: SpectrumSettings, directory: Path, ranks: Ranks) -> tuple[Subject, LanczosState | None]:
    """Load everything, check that it fits together, and find the saved state."""
    network = load_network(settings.network, settings.arguments)
    mask = load_weights(network, Path(settings.weights)) if settings.weights else None
    chosen, origin = load_mask(network, Path(settings.mask) if settings.mask else None, settings.density)
    if mask is not None and not settings.mask and settings.density is None:
        chosen, origin = mask, "the masks of torch.nn.utils.prune in the file of weights"
    dtype = torch.float64 if settings.precision == "float64" else torch.float32
    network = network.to(device=ranks.device, dtype=dtype)
    space = ParameterSpace(network, chosen)
    inputs, targets, total = load_data(settings.data, settings.batch * settings.batches, settings.seed)
    inputs, targets = (
        part.to(dtype=dtype if part.is_floating_point() else None, device=ranks.device) for part in (inputs, targets)
    )
    loss = load_loss(settings.loss)
    check_fit(network, settings.loss, loss, inputs, targets)
    batches = list(zip(inputs.split(settings.batch), targets.split(settings.batch), strict=True))
    with torch.no_grad():  # the pruned network is what is measured
        for name, weight in network.named_parameters():
            weight.mul_(chosen.keep[name].to(weight.device))
    fingerprint = _fingerprint(space.theta, inputs, targets)

    state = None
    kept = load_state(directory, STATE_OF_JOB) if directory.is_dir() else None
    if kept is not None:
        if kept.extra.get("fingerprint") != fingerprint:
            raise argument_error("out", "be resumed with the weights, mask and data it was started with", "given others")
        saved = load_state(directory, STATE_OF_LANCZOS)
        state = LanczosState(**{name: _as_it_was(name, tensor, ranks) for name, tensor in saved.tensors.items()}) if saved else None
    tasks = [Task(network, loss, batch) for batch in ranks.deal(batches)]
    exact, assumed = Evidence.EXACT, Evidence.ASSUMED
    kinks = sorted({type(module).__name__ for module in network.modules() if isinstance(module, KINKS)})
    rows = [
        Row("network/name", settings.network, "", assumed, "argument NETWORK"),
        Row("network/parameters", space.total, "weights", exact, "sizes of the network's tensors"),
        Row("network/kept", space.n, "weights", exact, f"n: {origin}"),
        Row("network/density", space.n / space.total, "1", exact, "kept weights / all weights"),
        Row("network/mode", "evaluation", "", exact, "eval() was called: BatchNorm uses its running statistics, dropout is off"),
        Row("network/kinks", ", ".join(kinks) or "none seen", "", exact, "layers without a second derivative at their kinks"),
        Row("data/samples", len(inputs), "samples", exact, f"drawn from {total} in {settings.data}, seed {settings.seed}"),
        Row("data/batches", len(batches), "batches", exact, f"of up to {settings.batch} samples; H is their mean"),
        Row("data/processes", ranks.size, "processes", exact, "batches are dealt to them, products summed by all_reduce"),
    ]
    rows += [
        Row(f"setting/{name}", getattr(settings, name), unit, assumed, f"setting `{name}`")
        for name, unit in (
            ("learning_rate", "1"),
            ("momentum", "1"),
            ("weight_decay", "1"),
            ("horizon", "steps"),
            ("precision", ""),
        )
    ]
    return Subject(tasks, space, fingerprint, len(inputs), rows), state


def _fingerprint(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(repr((tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _as_it_was(name: str, tensor: Tensor, ranks: Ranks) -> Tensor:
    """A part of the state on its device, with each probe contiguous as Lanczos keeps it: another layout would round otherwise."""
    return tensor.to(ranks.device).T.contiguous().T if name in ("current", "previous") else tensor


def _curvature(settings: SpectrumSettings, tasks: Any, space: ParameterSpace) -> LinearOperator:
    precision = torch.bfloat16 if settings.precision == "bfloat16" else None
    return CURVATURES[settings.curvature](tasks, space, None, precision)


def _loss(subject: Subject, ranks: Ranks) -> Row:
    part = torch.zeros((), dtype=torch.float64, device=subject.space.device)
    weights = subject.space.unpack(subject.space.theta)
    with torch.no_grad():
        for task in subject.tasks:
            part += task.loss_with(weights).double() * task.batch
    loss = float(ranks.total(part)) / subject.samples
    return Row("data/loss", loss, "1", Evidence.EXACT, "mean over the samples, pruned network")


def _check_rows(settings: SpectrumSettings, subject: Subject, operator: LinearOperator, ranks: Ranks) -> list[Row]:
    """One product beside central differences of the gradient: an operation that hides its second derivative shows here only."""
    if settings.curvature != "hessian":
        return []
    space = subject.space

    def gradient(theta: Tensor) -> Tensor:
        part = torch.zeros_like(theta)
        for task in subject.tasks:
            part.add_(task.loss_and_gradient(space, theta)[1], alpha=task.batch / subject.samples)
        return ranks.total(part)

    v = torch.randn(space.n, generator=named_generator(settings.seed, "check")).to(space.theta)
    product, differences = operator @ v, finite_difference_hessian(gradient, space.theta) @ v
    sizes = [float(torch.linalg.vector_norm(x)) for x in (product - differences, product, differences, gradient(space.theta), v)]
    gap, length = sizes[0], max(sizes[1:3])
    error = gap / length if length else 0.0
    rounding = torch.finfo(v.dtype).eps ** (2 / 3) * sizes[3] * sizes[4] / (float(torch.linalg.vector_norm(space.theta)) or 1.0)
    if error > UNRELATED and gap > 10 * rounding:
        must = "have second derivatives throughout (no operation that is once differentiable)"
        raise argument_error("network", must, f"not: a product is {100 * error:.0f} % off central differences of the gradient")
    source = "||H v - central difference of gradients|| / ||H v|| for one random v; kinks (ReLU) and rounding enlarge it"
    return [Row("spectrum/product_check", error, "1", Evidence.MEASURED, source)]


def _precision_rows(settings: SpectrumSettings, subject: Subject, operator: LinearOperator, ranks: Ranks) -> list[Row]:
    """What bfloat16 costs: one product beside its float32 twin."""
    if settings.precision != "bfloat16":
        return []
    exact = replace(settings, precision="float32")
    reference = data_parallel(lambda tasks: _curvature(exact, tasks, subject.space), subject.tasks, subject.space, ranks)
    vector = torch.randn(subject.space.n, 1, generator=named_generator(settings.seed, "precision"))
    error, _ = product_error(operator, reference, vector.to(subject.space.theta))
    source = "||(H_bf16 - H_fp32) v|| / ||H_fp32 v|| for one random v"
    return [Row("spectrum/product_error", error, "1", Evidence.MEASURED, source)]


def _result_rows(
    settings: SpectrumSettings, subject: Subject, spectrum: Spectrum, diagnosis: Dissipation, reached: LanczosState
) -> list[Row]:
    how = f"Lanczos quadrature, {settings.probes} probes x {settings.steps} steps, {subject.samples} samples, {settings.curvature}"
    factor = "|1 - eta (lambda + wd)|" if settings.weight_decay else "|1 - eta lambda|"
    factor = "|r|" if settings.momentum else factor
    done = int(reached.length.min())
    ended = f"; the invariant subspace of {subject.space.n} kept weights is exhausted" if done < settings.steps else ""
    (least, least_error), (most, most_error) = spectrum.mass_bounds(-math.inf, 0.0)
    rank, rank_error = spectrum.effective_rank
    measured, bounded = Evidence.MEASURED, Evidence.BOUNDED
    bounds = "share of eigenvalues at or below 0, Chebyshev-Markov-Stieltjes bounds of each probe's quadrature, mean over probes"
    return [
        *spectrum_rows(spectrum, diagnosis, how, factor=factor),
        Row("spectrum/negative_at_least", least, "1", bounded, bounds, least_error),
        Row("spectrum/negative_at_most", most, "1", bounded, bounds, most_error),
        Row(
            "spectrum/effective_rank", rank, "modes", measured, f"exp of the entropy of |lambda| / sum |lambda|; {how}", rank_error
        ),
        Row("spectrum/steps", done, "steps", Evidence.EXACT, f"Lanczos steps that were possible of {settings.steps}{ended}"),
        Row("dissipation/reasons", " ".join(diagnosis.reasons), "", measured, f"sentences computed from the rows; {how}"),
    ]


def _arrays(settings: SpectrumSettings, spectrum: Spectrum, reached: LanczosState) -> dict[str, Tensor]:
    """What spectrum.npz holds: quadrature, tridiagonal coefficients, and E(t) for a grid of learning rates."""
    rates = settings.learning_rate * ETA_GRID
    horizon = torch.arange(settings.horizon + 1, dtype=torch.float64)

    def proxy(rate: float, t: float) -> tuple[float, float]:
        return spectrum.integrate(lambda x: step_factor(x + settings.weight_decay, rate, settings.momentum) ** t)

    curves = torch.tensor([[proxy(rate, t) for t in horizon.tolist()] for rate in rates.tolist()], dtype=torch.float64)
    return {
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
