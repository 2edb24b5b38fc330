"""What a user names on the command line, loaded: a network, its weights, a loss, a mask; one
clear sentence where it fails.

Nothing here unpickles: weights come from safetensors, or from a checkpoint that
`torch.load(weights_only=True)` takes. A function named as `module:function` is the user's own code,
and runs.
"""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qdescent._array_checks import check_finite
from qdescent._checks import ArgumentError, argument_error, check_choice, shortened, shown
from qdescent.learning.masks import Mask, full_mask
from qdescent.learning.pruning.nonzero import nonzero_mask
from qdescent.learning.refusals.raised import begun, raised
from qdescent.learning.torch_prune import mask_from_prune
from qdescent.reading.regular import named, said
from qdescent.reading.tensors import read_tensors, read_weights

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "cross_entropy": nn.functional.cross_entropy,
    "mse": nn.functional.mse_loss,
}
AVERAGED = "n_averaged"  # of torch.optim.swa_utils
WRAPPED, COMPILED = "module.", "_orig_mod."  # by DataParallel and the like; by torch.compile
NONZERO = "nonzero"  # in the place of a file of kept weights: what is exactly 0 counts as pruned


def named_function(argument: str, name: str) -> Callable[..., Any]:
    """The function that `package.module:function` names.

    Raises:
        ArgumentError: not of that form, a module that cannot be imported, or one without this
            function (the nearest is named).

    Example:
        >>> named_function("network", "qdescent.networks:resnet18").__name__
        'resnet18'
    """
    module_name, _, path = name.partition(":")
    if not (module_name and path):
        raise argument_error(argument, "be written as package.module:function", repr(name))
    try:
        module = import_module(module_name)
    except Exception as error:  # whatever a stranger's module raises while it is imported
        must = "name a module that can be imported"
        if module_name.endswith(".py") or "/" in module_name:  # a file was meant
            folder, _, file = module_name.rpartition("/")
            within = f", from within {folder!r}" if folder.strip("./") else ""
            cure = f"{file.removesuffix('.py')}:{path}{within}"
            must = f"be written as package.module:function ({cure})"
            raise argument_error(argument, must, repr(name)) from None
        raise argument_error(argument, must, f"{name!r} ({raised(error)})") from error
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
        ...     "qdescent.networks:resnet", ["depth=8", "width=2"]
        ... ).training
        False
    """
    function = named_function("network", name)
    given: dict[str, Any] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not (equals and key.isidentifier()):
            raise argument_error("arguments", "be written as key=value", repr(argument))
        if key in given:
            raise argument_error("arguments", "give each argument once", f"with two of {key!r}")
        try:
            given[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            given[key] = text
    try:
        takes = inspect.signature(function)
    except (TypeError, ValueError):  # a class of C says nothing of them before it is called
        takes = None
    try:
        _ = takes and takes.bind(**given)
    except TypeError as error:
        begins = begun(function)
        called = f"{name.partition(':')[2]}{shortened(str(takes), 120)}"
        must = f"be those of {called}{f' in {begins}' if begins else ''}"
        raise argument_error("arguments", must, f"not ({error})") from None
    network = call_user("network", name, function, given)
    if not isinstance(network, nn.Module):
        raise argument_error(
            "network",
            "be a function that returns a torch.nn.Module",
            f"{name!r}: {type(network).__name__}",
        )
    if not any(weight.requires_grad for weight in network.parameters()):
        must = "return a network with weights that are trained"
        raise argument_error("network", must, f"{name!r}, without")
    return network.eval()


def load_weights(network: nn.Module, path: Path, key: str = "") -> Mask | None:
    """Load weights into the network: a safetensors file, a checkpoint without pickled code, or a
    folder of Hugging Face's libraries (`model.safetensors` or `pytorch_model.bin`, whole or in
    several files with their index).

    Weights pruned by `torch.nn.utils.prune` (`..._orig` and `..._mask`) are taken over as weights
    and their mask.

    Args:
        network: the network.
        path: of the file or folder.
        key: entry of a checkpoint that holds the weights; empty: the only one.

    Returns:
        The mask that the file holds, if it holds one.

    Raises:
        ArgumentError: no such file, not readable without running code, several weights and no key,
            or weights that do not fit: the first one is named.
    """
    found = read_weights("weights", path, key, "weights_key")
    found = _without_wrappers(found, set(network.state_dict()))
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
        factor = found.pop(f"{name}_mask")
        mask = factor != 0
        if not bool((mask.to(factor.dtype) == factor).all()):
            must = f"hold only 0 and 1 in {name}_mask"
            raise argument_error("weights", must, f"{named(path)}, which holds others")
        found[name] = found.pop(f"{name}_orig").to(own[name].dtype) * mask
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


def _without_wrappers(found: dict[str, Tensor], own: set[str]) -> dict[str, Tensor]:
    """The tensors by the network's names, where they were saved through DataParallel or DDP, by
    AveragedModel, which counts besides, or compiled; one within another.
    """
    if not any(COMPILED in name for name in own):  # of the whole network, or of a part of it
        found = {name.replace(COMPILED, ""): tensor for name, tensor in found.items()}
    names = set(found) - {AVERAGED}
    while names and all(name.startswith(WRAPPED) for name in names) and not names & own:
        found = {name.removeprefix(WRAPPED): found[name] for name in names}
        names = set(found)
    return found


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
        if tensor.dtype == torch.bool and own[name].dtype != torch.bool:
            actual = f"yes or no at {name!r}, as a mask has it ({named(path)}; mask reads one)"
            raise argument_error("weights", "hold numbers", actual)
        if own[name].is_floating_point() and not (
            tensor.is_floating_point() or tensor.is_complex()
        ):
            kind = str(tensor.dtype).removeprefix("torch.")
            actual = f"integers ({kind}) at {name!r}, as quantised weights without their scale"
            raise argument_error("weights", "hold real numbers", f"{actual} ({named(path)})")
        if tensor.is_complex() and not own[name].is_complex():
            raise argument_error(
                "weights",
                "fit the network",
                f"complex at {name!r}, where the network is real ({named(path)})",
            )


def _sizes(tensor: Tensor) -> str:
    """A shape as Python writes it; a file may claim 64 dimensions of any length."""
    return shown(tuple(tensor.shape))


def load_mask(network: nn.Module, path: Path | None) -> tuple[Mask, str]:
    """Which weights are kept, and in words why; what is frozen is left to `ParameterSpace`.

    Args:
        path: a safetensors file with a tensor for each pruned parameter, 1 where the weight is
            kept, else 0; others are kept whole. The word `nonzero` instead of a path: what is
            exactly 0 counts as pruned (`nonzero_mask`). None: as `torch.nn.utils.prune` has it in
            the network, else all.

    Raises:
        ArgumentError: the file does not fit the network, holds other numbers than 0 and 1, or
            nothing is kept.
    """
    if path is not None and str(path) == NONZERO:
        return nonzero_mask(network), "weights of matrices and kernels that are not exactly 0"
    if path is not None:
        parameters, keep = dict(network.named_parameters(remove_duplicate=False)), {}
        for name, tensor in _without_wrappers(read_tensors("mask", path), set(parameters)).items():
            weight = parameters.get(name)
            if weight is None or tensor.shape != weight.shape:
                wanted = (
                    "no parameter of the network"
                    if weight is None
                    else f"of shape {tuple(weight.shape)}"
                )
                found = f"of shape {_sizes(tensor)} at {shown(name)}, {wanted} there"
                raise argument_error("mask", "fit the network", found)
            keep[name] = check_finite(f"mask {name}", tensor) != 0
            if not bool((keep[name].to(tensor.dtype) == tensor).all()):
                must = "hold 0 and 1 alone (of weights the word nonzero takes those at 0 as pruned)"
                raise argument_error(f"mask {name}", must, f"others ({named(path)})")
        # a tied weight may have either of its names in the file
        given = {id(parameters[name]) for name in keep}
        others = {
            name: whole
            for name, whole in full_mask(network).keep.items()
            if id(parameters[name]) not in given
        }
        count = sum(whole.numel() for whole in others.values())
        rest = f"; {count:,} weights that it does not name are kept whole" if count else ""
        return Mask(keep | others), f"the mask in {path.name}{rest}"
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


def call_user(
    argument: str, name: str, function: Callable[..., Any], given: Mapping[str, Any]
) -> Any:
    try:
        return function(**given)
    except ArgumentError:  # of our own: it says what to do
        raise
    # the user's own code: its error, or its wish to end, is told in one sentence, and chained
    except (Exception, SystemExit) as error:
        raise argument_error(
            argument,
            "be a function that can be called",
            f"{name!r} ({raised(error, function)})",
        ) from error
