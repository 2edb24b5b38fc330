"""What a user names on the command line, loaded: a network, its weights, data, a loss, a mask; one
clear sentence where it fails.

Nothing here unpickles: weights come from safetensors, or from a checkpoint that
`torch.load(weights_only=True)` takes. A function named as `module:function` is the user's own code,
and runs.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from qdescent._checks import argument_error, check_choice, check_finite, shown
from qdescent._random import named_generator
from qdescent.experiment.byte_inputs import as_network_input
from qdescent.experiment.image_folder import images_of_folder
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
from qdescent.learning.masks import Mask, full_mask, magnitude_mask, nonzero_mask
from qdescent.learning.torch_prune import mask_from_prune
from qdescent.learning.untouched import untouched
from qdescent.reading.npz import open_npz
from qdescent.reading.regular import named, said
from qdescent.reading.tensors import read_tensors, read_weights

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "cross_entropy": nn.functional.cross_entropy,
    "mse": nn.functional.mse_loss,
}
NONZERO = "nonzero"  # in the place of a file of kept weights: what is exactly 0 counts as pruned


def named_function(argument: str, name: str) -> Callable[..., Any]:
    """The function that `package.module:function` names.

    Raises:
        ArgumentError: not of that form, a module that cannot be imported, or one without this
            function (the nearest is named).

    Example:
        >>> named_function("network", "qdescent.learning.networks.resnet:resnet18").__name__
        'resnet18'
    """
    module_name, _, path = name.partition(":")
    if not (module_name and path):
        raise argument_error(argument, "be written as package.module:function", repr(name))
    try:
        module = import_module(module_name)
    except Exception as error:  # whatever a stranger's module raises while it is imported
        must = "name a module that can be imported"
        raise argument_error(
            argument, must, f"{name!r} ({type(error).__name__}: {said(error)})"
        ) from error
    try:
        found = reduce(getattr, path.split("."), module)
    except AttributeError:
        near = difflib.get_close_matches(path, dir(module), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise argument_error(
            argument, f"name a function of {module_name}", f"{name!r}, which is not there{hint}"
        ) from None
    if not callable(found):
        raise argument_error(argument, "name a function", f"{name!r}, a {type(found).__name__}")
    return found


def load_network(name: str, arguments: Sequence[str] = ()) -> nn.Module:
    """The network that a function returns, in evaluation mode: BatchNorm then uses its running
    statistics, dropout is off.

    Args:
        name: `package.module:function`.
        arguments: "key=value" each; a value that reads as a Python literal is one, else it is a
            text.

    Example:
        >>> load_network(
        ...     "qdescent.learning.networks.resnet:resnet", ["depth=8", "width=2"]
        ... ).training
        False
    """
    function = named_function("network", name)
    given: dict[str, Any] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not (equals and key.isidentifier()):
            raise argument_error("arguments", "be written as key=value", repr(argument))
        try:
            given[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            given[key] = text
    try:
        inspect.signature(function).bind(**given)
    except TypeError as error:
        raise argument_error("arguments", f"be those of {name!r}", f"not ({error})") from None
    network = _called("network", name, function, given)
    if not isinstance(network, nn.Module):
        raise argument_error(
            "network",
            "be a function that returns a torch.nn.Module",
            f"{name!r}: {type(network).__name__}",
        )
    return network.eval()


def load_weights(network: nn.Module, path: Path) -> Mask | None:
    """Load weights into the network: a safetensors file, a checkpoint without pickled code, or a
    folder of Hugging Face's libraries (`model.safetensors` or `pytorch_model.bin`, whole or in
    several files with their index).

    Weights pruned by `torch.nn.utils.prune` (`..._orig` and `..._mask`) are taken over as weights
    and their mask.

    Returns:
        The mask that the file holds, if it holds one.

    Raises:
        ArgumentError: no such file, not readable without running code, or weights that do not fit:
            the first one is named.
    """
    found = read_weights("weights", path)
    # saved through DataParallel or DDP
    if found and all(name.startswith("module.") for name in found):
        found = {name.removeprefix("module."): tensor for name, tensor in found.items()}
    keep = dict(full_mask(network).keep)
    own = network.state_dict()
    pruned = [
        name.removesuffix("_orig")
        for name in found
        if name.endswith("_orig") and f"{name[:-5]}_mask" in found
    ]
    # a network that is itself pruned takes both as they are
    pruned = [name for name in pruned if name in own]
    for name in pruned:
        _check_shapes({name: found[f"{name}_orig"]}, own, path)
        _check_shapes({name: found[f"{name}_mask"]}, own, path)
        mask = found.pop(f"{name}_mask") != 0
        found[name] = found.pop(f"{name}_orig") * mask
        keep[name] = mask
    _check_shapes(found, own, path)
    memory = {own[name].data_ptr() for name in found}  # of tied weights a file may hold one name
    for name, tensor in own.items():
        optional = name.endswith("num_batches_tracked") or tensor.data_ptr() in memory
        if name not in found and not optional:
            raise argument_error(
                "weights",
                "fit the network",
                f"without {name!r}, which the network has ({named(path)})",
            )
    try:
        network.load_state_dict(found, strict=False)
    # a type that PyTorch cannot turn into the network's
    except (RuntimeError, NotImplementedError) as error:
        raise argument_error(
            "weights", "fit the network", f"{named(path)} ({said(error)})"
        ) from error
    for name, weight in network.named_parameters():
        check_finite(f"weights {name}", weight.detach())
    return Mask(keep) if pruned else None


def _check_shapes(found: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that the network has not, of another shape, or with imaginary parts that it
    would lose.
    """
    for name, tensor in found.items():
        if name not in own:
            shown_name = f"with {shown(name)}, which the network has not ({named(path)})"
            raise argument_error("weights", "fit the network", shown_name)
        if tensor.shape != own[name].shape:
            shapes = (
                f"of shape {_sizes(tensor)} at {name!r}, where the network has"
                f" {tuple(own[name].shape)} ({named(path)})"
            )
            raise argument_error("weights", "fit the network", shapes)
        if tensor.is_complex() and not own[name].is_complex():
            raise argument_error(
                "weights",
                "fit the network",
                f"complex at {name!r}, where the network is real ({named(path)})",
            )


def _sizes(tensor: Tensor) -> str:
    """A shape as Python writes it; a file may claim 64 dimensions of any length."""
    return shown(tuple(tensor.shape))


def load_mask(network: nn.Module, path: Path | None, density: float | None) -> tuple[Mask, str]:
    """Which weights are kept, and in words where that comes from. What is frozen is left to
    `ParameterSpace`.

    Args:
        path: a safetensors file with a tensor for each pruned parameter, not 0 where the weight is
            kept; others are kept whole. The word `nonzero` instead of a path: what is exactly 0
            counts as pruned (`nonzero_mask`).
        density: the kept fraction, by magnitude. Neither of both: as `torch.nn.utils.prune` has it
            in the network, else all.

    Raises:
        ArgumentError: both are given, the file does not fit the network, or nothing is kept.
    """
    if path is not None and density is not None:
        raise argument_error("density", "be left out where a mask is given", density)
    if density is not None:
        return (
            magnitude_mask(network, density),
            f"the largest {density:g} of the prunable weights (density)",
        )
    if path is not None and str(path) == NONZERO:
        return nonzero_mask(network), "weights of matrices and kernels that are not exactly 0"
    if path is not None:
        parameters, keep = dict(network.named_parameters(remove_duplicate=False)), {}
        for name, tensor in read_tensors("mask", path).items():
            weight = parameters.get(name)
            if weight is None or tensor.shape != weight.shape:
                wanted = (
                    "no parameter of the network"
                    if weight is None
                    else f"of shape {tuple(weight.shape)}"
                )
                found = f"of shape {_sizes(tensor)} at {shown(name)}, {wanted} there"
                raise argument_error("mask", "fit the network", found)
            keep[name] = tensor != 0
        # a tied weight may have either of its names in the file
        given = {id(parameters[name]) for name in keep}
        keep |= {
            name: whole
            for name, whole in full_mask(network).keep.items()
            if id(parameters[name]) not in given
        }
        return Mask(keep), f"the mask in {path.name}"
    mask = mask_from_prune(network)
    return (
        mask,
        (
            "the masks of torch.nn.utils.prune in the network"
            if mask.kept < mask.total
            else "all that are trained"
        ),
    )


def load_loss(name: str) -> Loss:
    """The loss of that name: "cross_entropy", "mse", or `module:function`; (outputs, targets) ->
    the mean over samples.
    """
    return (
        named_function("loss", name) if ":" in name else LOSSES[check_choice("loss", name, LOSSES)]
    )


def load_data(
    name: str, count: int, seed: int = 0, network: nn.Module | None = None
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
            returns a batch as `Task` takes it, a Dataset, or a DataLoader over one.
        count: samples wanted; all where there are fewer.
        seed: of the draw.
        network: who takes the inputs.

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
        data = _called("data", name, named_function("data", name), {})
        if isinstance(data, (Dataset, DataLoader)):
            return _drawn(name, data, count, seed)
        if not (isinstance(data, Mapping) or (isinstance(data, (tuple, list)) and len(data) == 2)):
            must = "be a function that returns (inputs, targets), a dict, a Dataset or a DataLoader"
            raise argument_error("data", must, f"{name!r}: {type(data).__name__}")
    else:
        raise argument_error(
            "data", "be an .npz file, a folder of images or module:function", repr(name)
        )
    inputs, targets = as_batch(data)
    total = samples_of((inputs, targets))
    chosen = _draw(total, count, seed)
    inputs, targets = (picked(part, chosen, total) for part in (inputs, targets))
    return (
        as_network_input(inputs, network),
        mapped(targets, lambda x: x if x.is_floating_point() else x.long()),
        total,
    )


def _drawn(name: str, data: Any, count: int, seed: int) -> tuple[Any, Any, int]:
    """Samples of a Dataset, collated as its loader would, in this process and with the random
    numbers of this seed.
    """
    samples = data.dataset if isinstance(data, DataLoader) else data
    collate = data.collate_fn if isinstance(data, DataLoader) else default_collate
    if isinstance(samples, IterableDataset) or not hasattr(samples, "__len__"):
        must = "be a function that returns a Dataset with a length (or a batch of one without)"
        raise argument_error("data", must, f"{name!r}: {type(samples).__name__}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        batch = _called(
            "data",
            name,
            lambda: collate([samples[int(i)] for i in _draw(len(samples), count, seed)]),
            {},
        )
    return *as_batch(batch), len(samples)


def check_fit(network: nn.Module, name: str, loss: Loss, inputs: Any, targets: Any) -> Any:
    """Refuse, in one sentence, data that the network or the loss of this name cannot take, from one
    sample.

    Returns:
        The outputs for that sample.

    Raises:
        ArgumentError: an input shape that does not fit, outputs that are no tensor, labels out of
            range, shapes that would be broadcast.
    """
    total = samples_of((inputs, targets))
    one, label = (picked(part, torch.tensor([0]), total) for part in (inputs, targets))
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
        must = f"be one tensor for {name} (or name a loss of your own, module:function)"
        raise argument_error("targets", must, f"a {type(targets).__name__}")
    if name not in LOSSES:
        try:
            loss(given, label)
        except Exception as error:  # the user's own code
            if isinstance(given, Tensor) or path is None:
                must = "take the network's outputs and the targets"
                raise argument_error(
                    "loss", must, f"{name!r} ({type(error).__name__}: {said(error)})"
                ) from error
        return outputs
    wanted = (len(targets), *outputs.shape[1:])
    if name == "mse" and targets.shape != wanted:
        raise argument_error(
            "targets",
            f"have the shape of the outputs, {wanted}, for mse",
            f"of shape {tuple(targets.shape)}",
        )
    if name == "cross_entropy" and not targets.is_floating_point():
        if targets.shape != (wanted[0], *wanted[2:]) or len(wanted) < 2:
            must = (
                f"be class labels of shape {(wanted[0], *wanted[2:])} for outputs of shape {wanted}"
            )
            raise argument_error("targets", must, f"of shape {tuple(targets.shape)}")
        outside = (targets < 0) | (targets >= wanted[1])
        if bool(outside.any()):
            label = int(targets[outside][0])
            raise argument_error(
                "targets",
                f"be labels in [0, {wanted[1]}), as many as the network has outputs",
                label,
            )
    elif name == "cross_entropy" and targets.shape != wanted:
        must = f"be class labels (integers), or probabilities of shape {wanted}, for cross_entropy"
        raise argument_error("targets", must, f"{targets.dtype} of shape {tuple(targets.shape)}")
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
    reason = f"of input shape {shape} ({type(failures[0]).__name__}: {said(failures[0])})"
    raise argument_error("data", "fit the network", reason) from failures[0]


def _arrays_of_npz(path: Path) -> tuple[Any, Any]:
    with open_npz("data", path, "be a whole .npz file of numbers") as arrays:
        for inputs, targets in (("inputs", "targets"), ("images", "labels")):
            if inputs in arrays.members and targets in arrays.members:
                return torch.from_numpy(arrays[inputs]), torch.from_numpy(arrays[targets])
        for targets in ("targets", "labels"):
            others = [name for name in arrays.members if name != targets]
            if targets in arrays.members and others:
                return {name: torch.from_numpy(arrays[name]) for name in others}, torch.from_numpy(
                    arrays[targets]
                )
        must = "hold `inputs` and `targets`, or `images` and `labels`"
        raise argument_error("data", must, f"{named(path)}, which holds {arrays.listed}")


def _draw(total: int, count: int, seed: int) -> Tensor:
    return torch.randperm(total, generator=named_generator(seed, "data"))[:count].sort().values


def _called(
    argument: str, name: str, function: Callable[..., Any], given: Mapping[str, Any]
) -> Any:
    try:
        return function(**given)
    # the user's own code: its error is told in one sentence, and chained
    except Exception as error:
        raise argument_error(
            argument,
            "be a function that can be called",
            f"{name!r} ({type(error).__name__}: {said(error)})",
        ) from error
