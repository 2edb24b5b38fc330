"""What a user names on the command line, loaded: a network, its weights, data, a loss, a mask; one clear sentence where it fails.

Nothing here unpickles: weights come from safetensors, or from a checkpoint that `torch.load(weights_only=True)` takes. A function
named as `module:function` is the user's own code, and runs.
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

from qdescent._checks import argument_error, check_choice, check_finite, shown
from qdescent._random import named_generator
from qdescent.learning.masks import Mask, full_mask, magnitude_mask, nonzero_mask
from qdescent.learning.pruned import mask_from_prune
from qdescent.reading.images import read_image
from qdescent.reading.npz import open_npz
from qdescent.reading.regular import named, said
from qdescent.reading.tensors import read_tensors, read_weights

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {"cross_entropy": nn.functional.cross_entropy, "mse": nn.functional.mse_loss}
IMAGES = {".png", ".jpg", ".jpeg"}
NONZERO = "nonzero"  # in the place of a file of kept weights: what is exactly 0 counts as pruned


def named_function(argument: str, name: str) -> Callable[..., Any]:
    """The function that `package.module:function` names.

    Raises:
        ArgumentError: not of that form, a module that cannot be imported, or one without this function (the nearest is named).

    Example:
        >>> named_function("network", "qdescent.learning.residual:resnet18").__name__
        'resnet18'
    """
    module_name, _, path = name.partition(":")
    if not (module_name and path):
        raise argument_error(argument, "be written as package.module:function", repr(name))
    try:
        module = import_module(module_name)
    except Exception as error:  # whatever a stranger's module raises while it is imported
        must = "name a module that can be imported"
        raise argument_error(argument, must, f"{name!r} ({type(error).__name__}: {said(error)})") from error
    try:
        found = reduce(getattr, path.split("."), module)
    except AttributeError:
        near = difflib.get_close_matches(path, dir(module), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise argument_error(argument, f"name a function of {module_name}", f"{name!r}, which is not there{hint}") from None
    if not callable(found):
        raise argument_error(argument, "name a function", f"{name!r}, a {type(found).__name__}")
    return found


def load_network(name: str, arguments: Sequence[str] = ()) -> nn.Module:
    """The network that a function returns, in evaluation mode: BatchNorm then uses its running statistics, dropout is off.

    Args:
        name: `package.module:function`.
        arguments: "key=value" each; a value that reads as a Python literal is one, else it is a text.

    Example:
        >>> load_network("qdescent.learning.residual:resnet", ["depth=8", "width=2"]).training
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
        raise argument_error("network", "be a function that returns a torch.nn.Module", f"{name!r}: {type(network).__name__}")
    return network.eval()


def load_weights(network: nn.Module, path: Path) -> Mask | None:
    """Load weights into the network: a safetensors file, a checkpoint without pickled code, or a folder
    of Hugging Face's libraries (`model.safetensors` or `pytorch_model.bin`, whole or in several files with their index).

    Weights pruned by `torch.nn.utils.prune` (`..._orig` and `..._mask`) are taken over as weights and their mask.

    Returns:
        The mask that the file holds, if it holds one.

    Raises:
        ArgumentError: no such file, not readable without running code, or weights that do not fit: the first one is named.
    """
    found = read_weights("weights", path)
    if found and all(name.startswith("module.") for name in found):  # saved through DataParallel or DDP
        found = {name.removeprefix("module."): tensor for name, tensor in found.items()}
    keep = dict(full_mask(network).keep)
    own = network.state_dict()
    pruned = [name.removesuffix("_orig") for name in found if name.endswith("_orig") and f"{name[:-5]}_mask" in found]
    pruned = [name for name in pruned if name in own]  # a network that is itself pruned takes both as they are
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
            raise argument_error("weights", "fit the network", f"without {name!r}, which the network has ({named(path)})")
    try:
        network.load_state_dict(found, strict=False)
    except (RuntimeError, NotImplementedError) as error:  # a type that PyTorch cannot turn into the network's
        raise argument_error("weights", "fit the network", f"{named(path)} ({said(error)})") from error
    for name, weight in network.named_parameters():
        check_finite(f"weights {name}", weight.detach())
    return Mask(keep) if pruned else None


def _check_shapes(found: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that the network has not, of another shape, or with imaginary parts that it would lose."""
    for name, tensor in found.items():
        if name not in own:
            shown_name = f"with {shown(name)}, which the network has not ({named(path)})"
            raise argument_error("weights", "fit the network", shown_name)
        if tensor.shape != own[name].shape:
            shapes = f"of shape {_sizes(tensor)} at {name!r}, where the network has {tuple(own[name].shape)} ({named(path)})"
            raise argument_error("weights", "fit the network", shapes)
        if tensor.is_complex() and not own[name].is_complex():
            raise argument_error("weights", "fit the network", f"complex at {name!r}, where the network is real ({named(path)})")


def _sizes(tensor: Tensor) -> str:
    """A shape as Python writes it; a file may claim 64 dimensions of any length."""
    return shown(tuple(tensor.shape))


def load_mask(network: nn.Module, path: Path | None, density: float | None) -> tuple[Mask, str]:
    """Which weights are kept, and in words where that comes from. What is frozen is left to `ParameterSpace`.

    Args:
        path: a safetensors file with a tensor for each pruned parameter, not 0 where the weight is kept; others are kept whole.
            The word `nonzero` instead of a path: what is exactly 0 counts as pruned (`nonzero_mask`).
        density: the kept fraction, by magnitude. Neither of both: as `torch.nn.utils.prune` has it in the network, else all.

    Raises:
        ArgumentError: both are given, the file does not fit the network, or nothing is kept.
    """
    if path is not None and density is not None:
        raise argument_error("density", "be left out where a mask is given", density)
    if density is not None:
        return magnitude_mask(network, density), f"the largest {density:g} of the prunable weights (density)"
    if path is not None and str(path) == NONZERO:
        return nonzero_mask(network), "weights of matrices and kernels that are not exactly 0"
    if path is not None:
        parameters, keep = dict(network.named_parameters(remove_duplicate=False)), {}
        for name, tensor in read_tensors("mask", path).items():
            weight = parameters.get(name)
            if weight is None or tensor.shape != weight.shape:
                wanted = "no parameter of the network" if weight is None else f"of shape {tuple(weight.shape)}"
                found = f"of shape {_sizes(tensor)} at {shown(name)}, {wanted} there"
                raise argument_error("mask", "fit the network", found)
            keep[name] = tensor != 0
        given = {id(parameters[name]) for name in keep}  # a tied weight may have either of its names in the file
        keep |= {name: whole for name, whole in full_mask(network).keep.items() if id(parameters[name]) not in given}
        return Mask(keep), f"the mask in {path.name}"
    mask = mask_from_prune(network)
    return mask, "the masks of torch.nn.utils.prune in the network" if mask.kept < mask.total else "all that are trained"


def load_loss(name: str) -> Loss:
    """The loss of that name: "cross_entropy", "mse", or `module:function`; (outputs, targets) -> the mean over samples."""
    return named_function("loss", name) if ":" in name else LOSSES[check_choice("loss", name, LOSSES)]


def load_data(name: str, count: int, seed: int = 0) -> tuple[Tensor, Tensor, int]:
    """Samples drawn without replacement from an npz file, a folder of images, or what `module:function` returns.

    Bytes become numbers in [0, 1]: a normalisation that training applied must be in the network, or in a `module:function`.

    Args:
        name: a path or `module:function`. npz: `inputs` and `targets`, or `images` and `labels`. Folder: one subfolder of PNG or
            JPEG files for each class, classes in alphabetical order.
        count: samples wanted; all where there are fewer.
        seed: of the draw.

    Returns:
        (inputs, targets, number of samples there are).

    Raises:
        ArgumentError: nothing there, keys or lengths that do not fit, NaN, or images of different sizes.
    """
    path = Path(name)
    if os.path.isdir(path):
        return _images_of_folder(path, count, seed)
    if path.suffix == ".npz":
        inputs, targets = _arrays_of_npz(path)
    elif ":" in name:
        pair = _called("data", name, named_function("data", name), {})
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
            raise argument_error("data", "be a function that returns (inputs, targets)", f"{name!r}: {type(pair).__name__}")
        inputs, targets = (torch.as_tensor(part) for part in pair)
    else:
        raise argument_error("data", "be an .npz file, a folder of images or module:function", repr(name))
    total = len(inputs) if inputs.ndim else 0
    if total == 0 or not targets.ndim or len(targets) != total:
        shapes = f"{tuple(inputs.shape)} and {tuple(targets.shape)} ({name!r})"
        raise argument_error("data", "hold inputs and targets of one length, at least 1", shapes)
    chosen = _draw(total, count, seed)
    inputs, targets = _as_network_input(inputs[chosen]), targets[chosen]
    targets = targets if targets.is_floating_point() else targets.long()
    return check_finite("data inputs", inputs), check_finite("data targets", targets), total


def check_fit(network: nn.Module, name: str, loss: Loss, inputs: Tensor, targets: Tensor) -> Tensor:
    """Refuse, in one sentence, data that the network or the loss of this name cannot take, from one sample.

    Returns:
        The outputs for that sample.

    Raises:
        ArgumentError: an input shape that does not fit, outputs that are no tensor, labels out of range, shapes that would be
            broadcast.
    """
    try:
        with torch.no_grad():
            outputs = network(inputs[:1])
    except Exception as error:  # whatever a stranger's forward raises
        shown = f"of input shape {tuple(inputs.shape[1:])} ({type(error).__name__}: {said(error)})"
        raise argument_error("data", "fit the network", shown) from error
    if not isinstance(outputs, Tensor):
        raise argument_error("network", "return a tensor (wrap it where it returns more)", type(outputs).__name__)
    wanted = (len(targets), *outputs.shape[1:])
    if name == "mse" and targets.shape != wanted:
        raise argument_error("targets", f"have the shape of the outputs, {wanted}, for mse", f"of shape {tuple(targets.shape)}")
    if name == "cross_entropy" and not targets.is_floating_point():
        if targets.shape != (wanted[0], *wanted[2:]) or len(wanted) < 2:
            must = f"be class labels of shape {(wanted[0], *wanted[2:])} for outputs of shape {wanted}"
            raise argument_error("targets", must, f"of shape {tuple(targets.shape)}")
        outside = (targets < 0) | (targets >= wanted[1])
        if bool(outside.any()):
            label = int(targets[outside][0])
            raise argument_error("targets", f"be labels in [0, {wanted[1]}), as many as the network has outputs", label)
    elif name == "cross_entropy" and targets.shape != wanted:
        must = f"be class labels (integers), or probabilities of shape {wanted}, for cross_entropy"
        raise argument_error("targets", must, f"{targets.dtype} of shape {tuple(targets.shape)}")
    try:
        loss(outputs, targets[:1])
    except Exception as error:  # the user's own code again
        shown = f"{name!r} ({type(error).__name__}: {said(error)})"
        raise argument_error("loss", "take the network's outputs and the targets", shown) from error
    return outputs


def _arrays_of_npz(path: Path) -> tuple[Tensor, Tensor]:
    with open_npz("data", path, "be a whole .npz file of numbers") as arrays:
        for inputs, targets in (("inputs", "targets"), ("images", "labels")):
            if inputs in arrays.members and targets in arrays.members:
                return torch.from_numpy(arrays[inputs]), torch.from_numpy(arrays[targets])
        must = "hold `inputs` and `targets`, or `images` and `labels`"
        raise argument_error("data", must, f"{named(path)}, which holds {arrays.listed}")


def _images_of_folder(folder: Path, count: int, seed: int) -> tuple[Tensor, Tensor, int]:
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    files = [
        (file, label)
        for label, name in enumerate(classes)
        for file in sorted(path for path in name.rglob("*") if path.suffix.lower() in IMAGES)
    ]
    if not files:
        raise argument_error("data", "be a folder with PNG or JPEG files in one subfolder a class", f"{named(folder)}, without any")
    images: list[Tensor] = []
    labels: list[int] = []
    mode, before = "", (0, 0)
    for place in _draw(len(files), count, seed).tolist():
        file, label = files[place]
        try:
            found, mode, size = read_image("data", file, mode, before)
        except ImportError:
            must = "be an .npz file or module:function where Pillow is not installed (pip install pillow)"
            raise argument_error("data", must, f"a folder of images, {named(folder)}") from None
        before = before[0] + size, before[1] + found.nbytes
        pixels = torch.from_numpy(found)
        if images and pixels.shape != images[0].shape:
            sizes = f"{named(file)} of {tuple(pixels.shape)} after {tuple(images[0].shape)}"
            raise argument_error("data", "hold images of one size (resize them, or use module:function)", sizes)
        images.append(pixels)
        labels.append(label)
    return _as_network_input(torch.stack(images)), torch.tensor(labels), len(files)


def _as_network_input(inputs: Tensor) -> Tensor:
    """Bytes as float32 in [0, 1], images with their channels first; any other type as it is."""
    if inputs.dtype != torch.uint8:
        return inputs
    if inputs.ndim == 3:
        inputs = inputs[:, None]
    elif inputs.ndim == 4 and inputs.shape[3] in (1, 3) and inputs.shape[1] not in (1, 3):
        inputs = inputs.movedim(3, 1)
    return inputs.float().div_(255).contiguous()


def _draw(total: int, count: int, seed: int) -> Tensor:
    return torch.randperm(total, generator=named_generator(seed, "data"))[:count].sort().values


def _called(argument: str, name: str, function: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    try:
        return function(**given)
    except Exception as error:  # the user's own code: its error is told in one sentence, and chained
        raise argument_error(
            argument, "be a function that can be called", f"{name!r} ({type(error).__name__}: {said(error)})"
        ) from error
