"""Data that a user names, loaded and drawn; and whether a network and a loss can take them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from qdescent._checks import argument_error
from qdescent._random import named_generator
from qdescent.experiment.byte_inputs import as_network_input
from qdescent.experiment.image_folder import images_of_folder
from qdescent.experiment.sources import LOSSES, Loss, call_user, named_function
from qdescent.experiment.trainer_sources import columns_of, is_rows, labels_apart, unwrapped
from qdescent.learning.batches import (
    NARROW,
    as_batch,
    called,
    mapped,
    part_at,
    picked,
    prediction_in,
    samples_of,
    tensors_of,
    ways_to_call,
)
from qdescent.learning.refusals.raised import raised
from qdescent.learning.untouched import untouched
from qdescent.reading.npz import open_npz
from qdescent.reading.regular import named

IGNORED = -100  # a label for no sample, as `cross_entropy` has it


def load_data(
    name: str, count: int, seed: int = 0, network: nn.Module | None = None, loss: str = ""
) -> tuple[Any, Any, int]:
    """Samples drawn without replacement from an npz file, a folder of images, or what
    `module:function` returns.

    Bytes become numbers in [0, 1]: a normalisation that training applied must be in the network, or
    in a `module:function`. They are token ids instead where the network looks them up in an
    embedding.

    Args:
        name: a path or `module:function`. npz: `inputs` and `targets`, or `images` and `labels`; or
            `targets` or `labels` beside arrays that go to the network by their names. Folder: one
            subfolder of PNG or JPEG files for each class, classes in alphabetical order. A function
            returns a batch as `Task` takes it, a Dataset, a DataLoader over one, rows of Hugging
            Face's `datasets`, or a data module of Lightning.
        count: samples wanted; all where there are fewer.
        seed: of the draw.
        network: who takes the inputs.
        loss: who takes the targets: one of `LOSSES` takes the labels out of a batch that holds
            them; one of the user's own takes the whole batch.

    Returns:
        (inputs, targets, number of samples there are).

    Raises:
        ArgumentError: nothing there, keys or lengths that do not fit, NaN, or images of different
            sizes.
    """
    path = Path(name)
    if os.path.isdir(path):
        inputs, targets, total = images_of_folder(
            path, lambda total: _draw(total, count, seed).tolist()
        )
        return as_network_input(inputs), targets, total
    if path.suffix == ".npz":
        data: Any = _arrays_of_npz(path)
    elif ":" in name:
        data = call_user("data", name, named_function("data", name), {})
        data = call_user("data", name, lambda: unwrapped(name, data), {})
        if isinstance(data, (Dataset, DataLoader)) or is_rows(data):
            return _drawn(name, data, count, seed, network, loss)
        if not (isinstance(data, Mapping) or (isinstance(data, (tuple, list)) and len(data) == 2)):
            must = "be a function that returns (inputs, targets), a dict, a Dataset or a DataLoader"
            raise argument_error("data", must, f"{name!r}: {type(data).__name__}")
    else:
        raise argument_error(
            "data", "be an .npz file, a folder of images or module:function", repr(name)
        )
    inputs, targets = as_batch(labels_apart(data) if loss in LOSSES else data)
    total = samples_of((inputs, targets))
    chosen = _draw(total, count, seed)
    inputs, targets = (picked(part, chosen, total) for part in (inputs, targets))
    return (
        as_network_input(inputs, network),
        mapped(targets, lambda x: x if x.is_floating_point() or x.is_complex() else x.long()),
        total,
    )


def _drawn(
    name: str, data: Any, count: int, seed: int, network: nn.Module | None, loss: str
) -> tuple[Any, Any, int]:
    """Samples of a Dataset, collated as its loader would, in this process and with the random
    numbers of this seed.
    """
    if is_rows(data):
        places = _draw(len(data), count, seed).tolist()
        batch = call_user("data", name, lambda: columns_of(data, places, network), {})
        return *as_batch(labels_apart(batch) if loss in LOSSES else batch), len(data)
    samples = data.dataset if isinstance(data, DataLoader) else data
    collate = data.collate_fn if isinstance(data, DataLoader) else default_collate
    if isinstance(samples, IterableDataset) or not hasattr(samples, "__len__"):
        must = "be a function that returns a Dataset with a length (or a batch of one without)"
        raise argument_error("data", must, f"{name!r}: {type(samples).__name__}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        batch = call_user(
            "data",
            name,
            lambda: collate([samples[int(i)] for i in _draw(len(samples), count, seed)]),
            {},
        )
    return *as_batch(labels_apart(batch) if loss in LOSSES else batch), len(samples)


def in_precision(part: Any, dtype: torch.dtype, cure: str = "") -> Any:
    """Inputs or targets with every real tensor in it in this type.

    Raises:
        ArgumentError: a finite number is none in that type.
    """

    def cast(x: Tensor) -> Tensor:
        if not x.is_floating_point() or x.dtype == dtype:
            return x
        made = x.to(dtype)
        lost = x.isfinite() & ~made.isfinite()
        if bool(lost.any()):
            kind = str(dtype).removeprefix("torch.")
            most = torch.finfo(dtype).max
            raise argument_error(
                "data", f"be within {most:.3g}, the most that {kind} holds{cure}", float(x[lost][0])
            )
        return made

    return mapped(part, cast)


def check_fit(
    network: nn.Module, name: str, loss: Loss, inputs: Any, targets: Any, *, ignored: bool = False
) -> Any:
    """Refuse data that the network or the loss of this name cannot take, tried on one sample.

    Args:
        network, name, loss, inputs, targets: what the command line was given.
        ignored: labels of `IGNORED` count for nothing; False: they are refused.

    Returns:
        The outputs for that sample.

    Raises:
        ArgumentError: an input shape that does not fit, outputs that are no tensor, labels out of
            range, shapes that would be broadcast.
    """
    total = samples_of((inputs, targets))
    one, label = (
        picked(part, torch.tensor([0], device="cpu"), total) for part in (inputs, targets)
    )
    outputs = _first_outputs(network, one, label)
    given, path = outputs, prediction_in(outputs)
    if not isinstance(outputs, Tensor) and path is not None:
        outputs = part_at(outputs, path)
    if not isinstance(outputs, Tensor) and name in LOSSES:
        must = (
            "return a tensor, or its `logits` in a dict or a dataclass (or name a loss of your own,"
            " module:function)"
        )
        raise argument_error("network", must, type(outputs).__name__)
    if not isinstance(targets, Tensor) and name in LOSSES:
        must = (
            f"have one tensor of targets for {name} (or name a loss of your own, module:function)"
        )
        raise argument_error("data", must, f"with a {type(targets).__name__}")
    if name not in LOSSES:
        try:
            loss(given, label)
        except Exception as error:  # the user's own code
            if isinstance(given, Tensor) or path is None:
                must = "take the network's outputs and the targets"
                raise argument_error("loss", must, f"{name!r} ({raised(error, loss)})") from error
        return outputs
    wanted = (len(targets), *outputs.shape[1:])
    if name == "mse" and targets.shape != wanted:
        must = f"have targets of the outputs' shape, {wanted}, for mse"
        raise argument_error("data", must, f"with some of shape {tuple(targets.shape)}")
    if name == "cross_entropy" and not targets.is_floating_point():
        if targets.shape != (wanted[0], *wanted[2:]) or len(wanted) < 2:
            must = (
                f"have class labels of shape {(wanted[0], *wanted[2:])} for outputs of shape"
                f" {wanted}"
            )
            raise argument_error("data", must, f"with some of shape {tuple(targets.shape)}")
        counted = targets[targets != IGNORED] if ignored else targets
        if not len(counted):
            must = f"have a label other than {IGNORED}, which cross_entropy ignores"
            raise argument_error("data", must, "without one")
        outside = counted[(counted < 0) | (counted >= wanted[1])]
        if len(outside):
            must = f"have labels in [0, {wanted[1]}), as many as the network has outputs"
            raise argument_error("data", must, f"with {int(outside[0])}")
    elif name == "cross_entropy" and targets.shape != wanted:
        labels = "class labels (integers: targets.long())"
        must = f"have {labels}, or probabilities of shape {wanted}, for cross_entropy"
        actual = f"with floating-point numbers of shape {tuple(targets.shape)}"
        raise argument_error("data", must, actual)
    return outputs


def _first_outputs(network: nn.Module, one: Any, label: Any) -> Any:
    failures: list[Exception] = []
    wide = mapped(one, lambda x: x.long() if x.dtype in NARROW else x)  # as `Task` tries it, too
    for given, way in [(x, way) for x in (one, wide) for way in ways_to_call(network, one, label)]:
        try:
            with untouched(network):
                return mapped(called(network, given, way), Tensor.detach)
        except Exception as error:  # whatever a stranger's forward raises
            failures.append(error)
    shape = ", ".join(str(tuple(x.shape[1:])) for _, x in tensors_of(one))
    reason = f"of input shape {shape} ({raised(failures[0], type(network).forward)})"
    raise argument_error("data", "fit the network", reason) from failures[0]


def _arrays_of_npz(path: Path) -> tuple[Any, Any]:
    with open_npz("data", path, "be a whole .npz file of numbers") as arrays:
        for inputs, targets in (("inputs", "targets"), ("images", "labels")):
            if inputs in arrays.members and targets in arrays.members:
                others = sorted(set(arrays.members) - {inputs, targets})
                if others:  # sample weights, a mask of padding: no number may be dropped unsaid
                    must = (
                        f"hold nothing beside `{inputs}` and `{targets}` (arrays for arguments of"
                        f" the network: beside `{targets}` alone, by the arguments' names)"
                    )
                    raise argument_error("data", must, f"{named(path)}, with {arrays.listed}")
                return torch.from_numpy(arrays[inputs]), torch.from_numpy(arrays[targets])
        for targets in ("targets", "labels"):
            others = [name for name in arrays.members if name != targets]
            if targets in arrays.members and others:
                labels = torch.from_numpy(arrays[targets])
                return {name: torch.from_numpy(arrays[name]) for name in others}, labels
        must = "hold `inputs` and `targets`, or `images` and `labels`"
        raise argument_error("data", must, f"{named(path)}, which holds {arrays.listed}")


def _draw(total: int, count: int, seed: int) -> Tensor:
    shuffled = torch.randperm(total, generator=named_generator(seed, "data"), device="cpu")
    return shuffled[: min(count, total)].sort().values
