"""What `qdescent train` trains, loaded and checked: the network, its loss, samples to train and to
test on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from qdescent._checks import ArgumentError, argument_error
from qdescent._evidence import Evidence, Row
from qdescent._random import named_generator
from qdescent.experiment.data_sources import check_fit, in_precision, load_data
from qdescent.experiment.sources import Loss, load_loss, load_mask, load_network, load_weights
from qdescent.experiment.train.settings import TrainSettings
from qdescent.learning.batches import mapped, picked, samples_of, tensors_of
from qdescent.learning.datasets import load_fashion_mnist
from qdescent.learning.masks import Mask
from qdescent.learning.networks.small_cnn import fashion_cnn
from qdescent.report.state import fingerprint
from qdescent.rows import names
from qdescent.training.samples import Samples, samples_in

WIDTHS = (16, 32, 64)  # of the embedded CNN, as in `qdescent run`
ALL = 10**18  # samples


class Subject(NamedTuple):
    """A network to be trained.

    Args:
        network: on the device of the training, in evaluation mode.
        loss: (outputs, targets) -> scalar.
        samples: to train and to test on, there, too.
        mask: as the file of weights has it; None: by density.
        fingerprint: of the weights and samples.
        rows: about both.
    """

    network: nn.Module
    loss: Loss
    samples: Samples
    mask: Mask | None
    fingerprint: str
    rows: list[Row]


def load_subject(settings: TrainSettings, device: torch.device) -> Subject:
    """Load what the settings name, and check that it fits together.

    Raises:
        ArgumentError: the first thing that cannot be loaded or does not fit.
    """
    mask = None
    if settings.network:
        network = load_network(settings.network, settings.arguments)
        mask = (
            load_weights(network, Path(settings.weights), settings.weights_key)
            if settings.weights
            else None
        )
        if mask is None:
            own, _ = load_mask(network, None)  # of torch.nn.utils.prune
            mask = own if own.kept < own.total else None
        if mask is not None and settings.density is not None:
            raise argument_error(
                "density", "be left out where the weights are pruned already", settings.density
            )
        loss = load_loss(settings.loss)
        samples = _own_samples(settings, network)
    else:
        network, loss = fashion_cnn(WIDTHS, seed=settings.seed).eval(), cross_entropy
        samples = _fewer(samples_in(load_fashion_mnist(settings.data_root or None)), settings)
    network = network.to(dtype=torch.float32)

    def fitting(batch: Any) -> tuple[Any, Any]:
        inputs, targets = (in_precision(part, torch.float32) for part in batch)
        check_fit(network, settings.loss, loss, inputs, targets)
        return inputs, targets

    train = fitting(samples.train)
    with _of_test_data(settings):
        test = fitting(samples.test)
    total = samples_of(train)
    if settings.batch > total:
        raise argument_error(
            "batch", f"be at most the number of training samples, {total}", settings.batch
        )
    if settings.dense_epochs and not samples.classified:
        raise argument_error(
            "epochs", "be 0 for targets that are no class labels", settings.dense_epochs
        )
    tensors = [x for part in (*train, *test) for _, x in tensors_of(part)]
    marks = fingerprint(*network.parameters(), *network.buffers(), *tensors)
    samples = Samples(_moved(train, device), _moved(test, device), samples.source)
    exact = Evidence.EXACT
    rows = [
        Row(
            names.NETWORK_NAME,
            settings.network or "qdescent.networks:fashion_cnn",
            "",
            Evidence.ASSUMED,
            "argument NETWORK",
        ),
        Row("data/train_samples", total, "samples", exact, samples.source),
        Row("data/test_samples", samples_of(samples.test), "samples", exact, samples.source),
    ]
    return Subject(network.to(device), loss, samples, mask, marks, rows)


def _own_samples(settings: TrainSettings, network: nn.Module) -> Samples:
    count = settings.samples or ALL
    inputs, targets, total = load_data(settings.data, count, settings.seed, network, settings.loss)
    there = samples_of((inputs, targets))
    source = f"{there} drawn from {total} in {settings.data}, seed {settings.seed}"
    if settings.test_data:
        with _of_test_data(settings):
            test = load_data(
                settings.test_data, settings.test_samples, settings.seed, network, settings.loss
            )[:2]
        return Samples((inputs, targets), test, f"{source}; tested on {settings.test_data}")
    if there < 2:
        name, actual = ("samples", settings.samples) if total > 1 else ("data", "one alone")
        must = "be at least 2 samples, one to train and one to test on (or give test_data)"
        raise argument_error(name, must, actual)
    held = min(settings.test_samples, round(settings.held_out * there))
    if not 1 <= held < there:
        must = f"leave at least one of {there} samples to train and one to test on"
        raise argument_error("held_out", must, settings.held_out)
    order = torch.randperm(
        there, generator=named_generator(settings.seed, "held out"), device="cpu"
    )
    test, train = (
        tuple(picked(part, places.sort().values, there) for part in (inputs, targets))
        for places in (order[:held], order[round(settings.held_out * there) :])
    )
    return Samples(train, test, f"{source}; a share of {settings.held_out:g} is held out")


@contextmanager
def _of_test_data(settings: TrainSettings) -> Iterator[None]:
    """While it lasts, what is said of `data` is said of `test_data`, where those are given."""
    try:
        yield
    except ArgumentError as problem:
        if settings.test_data:
            raise problem.called(data="test_data") from problem
        raise


def _fewer(samples: Samples, settings: TrainSettings) -> Samples:
    """The first of both, whose classes are balanced."""
    parts: list[Any] = []
    for batch, count in (
        (samples.train, settings.samples or ALL),
        (samples.test, settings.test_samples),
    ):
        total = samples_of(batch)
        places = torch.arange(min(count, total), device="cpu")
        parts.append(tuple(picked(part, places, total) for part in batch))
    return Samples(parts[0], parts[1], samples.source)


def _moved(batch: Any, device: torch.device) -> Any:
    return tuple(mapped(part, lambda x: x.to(device)) for part in batch)
