"""What `qdescent spectrum` measures, loaded and checked: the network, its kept weights, this
process's batches.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from qdescent._evidence import Evidence, Row
from qdescent._random import named_generator
from qdescent.experiment.data_sources import check_fit, in_precision, load_data
from qdescent.experiment.probe import probe_of
from qdescent.experiment.sources import load_loss, load_mask, load_network, load_weights
from qdescent.experiment.spectrum.settings import SpectrumSettings
from qdescent.learning.batches import mapped, picked, samples_of, tensors_of
from qdescent.learning.parallel.operators import weighted_over
from qdescent.learning.parallel.ranks import Ranks
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.task import Task
from qdescent.report.state import fingerprint
from qdescent.rows import names

KINKS = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ReLU6,
    nn.Hardtanh,
    nn.Hardswish,
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.MaxPool3d,
)


class Subject(NamedTuple):
    """What is measured: this process's tasks, the kept weights, and the rows about both."""

    tasks: list[Task]
    space: ParameterSpace
    fingerprint: str
    probe: list[float]
    samples: int
    rows: list[Row]


def load_subject(settings: SpectrumSettings, ranks: Ranks) -> Subject:
    """Load everything that the settings name, and check that it fits together.

    Raises:
        ArgumentError: the first thing that cannot be loaded or does not fit.
    """
    network = load_network(settings.network, settings.arguments)
    mask = (
        load_weights(network, Path(settings.weights), settings.weights_key)
        if settings.weights
        else None
    )
    chosen, origin = load_mask(network, Path(settings.mask) if settings.mask else None)
    if mask is not None and not settings.mask:
        chosen, origin = mask, "the masks of torch.nn.utils.prune in the file of weights"
    dtype = torch.float64 if settings.precision == "float64" else torch.float32
    network = network.to(device=ranks.device, dtype=dtype)
    space = ParameterSpace(network, chosen)
    inputs, targets, total = load_data(
        settings.data, settings.batch * settings.batches, settings.seed, network, settings.loss
    )
    inputs, targets = (
        mapped(
            in_precision(part, dtype, " (--precision float64 holds more)"),
            lambda x: x.to(ranks.device),
        )
        for part in (inputs, targets)
    )
    loss = load_loss(settings.loss)
    outputs = check_fit(network, settings.loss, loss, inputs, targets, ignored=True)
    samples = samples_of((inputs, targets))
    batches = [
        tuple(picked(part, places, samples) for part in (inputs, targets))
        for places in torch.arange(samples, device="cpu").split(min(settings.batch, samples))
    ]
    if settings.density is not None:
        criterion = MASKS[settings.prune_by]
        first = Task(network, loss, batches[0]) if criterion.needs_task else None
        draws = named_generator(settings.seed, "random mask")
        space = ParameterSpace(network, criterion(network, first, settings.density, draws))
        origin = f"{settings.density:g} of the prunable weights (density): {criterion.keeps}"
    weights = dict(network.named_parameters())
    with torch.no_grad():  # the pruned network is what is measured
        for name, weight in space.unpack(space.theta).items():
            weights[name].copy_(weight)
    tasks = [Task(network, loss, batch) for batch in ranks.deal(batches)]
    exact, assumed = Evidence.EXACT, Evidence.ASSUMED
    fewer = ""
    if len(batches) < settings.batches:
        fewer = f", all that the data hold of {settings.batches} that were asked for"
    kinks = sorted(
        {type(module).__name__ for module in network.modules() if isinstance(module, KINKS)}
    )
    rows = [
        Row(names.NETWORK_NAME, settings.network, "", assumed, "argument NETWORK"),
        Row(
            names.NETWORK_PARAMETERS,
            space.total,
            "weights",
            exact,
            "sizes of the network's tensors",
        ),
        Row(
            names.NETWORK_KEPT,
            space.n,
            "weights",
            exact,
            f"n: {origin}{', without the frozen' if space.frozen else ''}",
        ),
        Row(
            "network/frozen",
            space.frozen,
            "weights",
            exact,
            "without requires_grad: they stay as they are and are no modes",
        ),
        *_zeros(space),
        Row(names.NETWORK_DENSITY, space.n / space.total, "1", exact, "kept weights / all weights"),
        Row(
            "network/mode",
            "evaluation",
            "",
            exact,
            "eval() was called: BatchNorm uses its running statistics, dropout is off",
        ),
        Row(
            "network/kinks",
            ", ".join(kinks) or "none seen",
            "",
            exact,
            "layers without a second derivative at their kinks",
        ),
        Row(
            names.DATA_SAMPLES,
            samples,
            "samples",
            exact,
            f"drawn from {total} in {settings.data}, seed {settings.seed}",
        ),
        Row(
            "data/batches",
            len(batches),
            "batches",
            exact,
            f"of up to {settings.batch} samples{fewer}; H is that of the loss over all",
        ),
        Row(
            names.DATA_PROCESSES,
            ranks.size,
            "processes",
            exact,
            "batches are dealt to them, products summed by all_reduce",
        ),
        *_guessing(settings.loss, outputs, targets),
    ]
    rows += [
        Row(f"setting/{name}", getattr(settings, name), unit, assumed, f"setting `{name}`")
        for name, unit in (
            ("learning_rate", "1"),
            ("momentum", "1"),
            ("weight_decay", "1"),
            ("horizon", "steps"),
            ("precision", ""),
            ("curvature", ""),
        )
    ]
    data = [x for part in (inputs, targets) for _, x in tensors_of(part)]
    marks = fingerprint(space.theta, *_context(network, space), *data)
    probe = probe_of(Task(network, loss, batches[0]))
    return Subject(tasks, space, marks, probe, samples, rows)


def measured_loss(subject: Subject, ranks: Ranks) -> Row:
    """The mean loss over all processes' samples."""
    part = torch.zeros((), dtype=torch.float64, device=subject.space.device)
    weights = subject.space.unpack(subject.space.theta)
    with torch.no_grad():
        for task, weight in weighted_over(subject.tasks, ranks):
            part += task.loss_with(weights).double() * weight
    return Row(
        names.DATA_LOSS,
        float(ranks.total(part)),
        "1",
        Evidence.EXACT,
        "over all batches, pruned network",
    )


def _zeros(space: ParameterSpace) -> list[Row]:
    """A word on kept weights that are exactly 0 beside others that are not: pruning without a mask
    leaves such.
    """
    weights = space.unpack(space.theta)
    zeros = sum(
        int((space.mask.keep[name].to(w.device) & (w == 0)).sum())
        for name, w in weights.items()
        if w.ndim >= 2 and bool(w.any())
    )
    source = "counted as kept, as no mask says otherwise: if they were pruned, give --mask nonzero"
    return [Row(names.NETWORK_ZEROS, zeros, "weights", Evidence.EXACT, source)] if zeros else []


def _guessing(loss: str, outputs: Tensor, targets: Tensor) -> list[Row]:
    """The loss of a network that has learnt nothing, where the loss's name tells it."""
    if loss == "cross_entropy":
        classes = outputs.shape[1] if outputs.ndim > 1 else len(outputs)
        source = f"ln {classes}: the cross-entropy of guessing among {classes} classes"
        return [Row(names.GUESSING_LOSS, math.log(classes), "1", Evidence.EXACT, source)]
    if loss == "mse":
        variance = float(targets.double().var(0, correction=0).mean())
        return [
            Row(
                names.GUESSING_LOSS,
                variance,
                "1",
                Evidence.EXACT,
                "the targets' variance: the error of their mean",
            )
        ]
    return []


def _context(network: nn.Module, space: ParameterSpace) -> list[Tensor]:
    """What the Hessian depends on besides the modes: where they are, what is frozen, and
    BatchNorm's statistics and the like.
    """
    frozen = [weight for weight in network.parameters() if not weight.requires_grad]
    return [
        *(space.mask.keep[name] for name, _ in network.named_parameters()),
        *frozen,
        *network.buffers(),
    ]
