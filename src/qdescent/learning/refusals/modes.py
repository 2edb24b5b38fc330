"""Modules that are another function, or none, in training mode."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from qdescent._checks import argument_error, check_sequence
from qdescent.learning.untouched import modes_of


def checked_modes(network: nn.Module, modes: Sequence[bool] | None) -> tuple[bool, ...]:
    """The modes in which a network is to be studied, True: training, of each of its modules.

    Args:
        network: any module.
        modes: of each of `network.modules()`; None: as they are.

    Raises:
        ArgumentError: of another number; BatchNorm, active dropout or spectral normalisation in
            training mode.

    Example:
        >>> checked_modes(nn.Sequential(nn.BatchNorm1d(2)).eval(), None)
        (False, False)
    """
    found = modes_of(network)
    if modes is not None:
        must = f"{len(found)} booleans, one for each module of the network"
        given = check_sequence("modes", modes, bool, called=must)
        if len(given) != len(found):
            raise argument_error("modes", f"be {must}", f"{len(given)} of them")
        found = given
    for (name, module), training in zip(network.named_modules(), found, strict=True):
        refused = _refused(module) if training else ""
        if refused:
            must = f"hold {refused} in evaluation mode (call eval())"
            raise argument_error("network", must, f"not, at {name!r}")
    return found


def _refused(module: nn.Module) -> str:
    """What a module is that must not be in training mode; empty: it may be."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return "BatchNorm"
    if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
        return "dropout"
    # Each call moves the vectors of its power iteration: what it divides by is another function of
    # the weight than the one that autograd differentiates. PyTorch keeps the class to itself.
    hooks = (type(hook).__name__ for hook in module._forward_pre_hooks.values())
    if type(module).__name__ == "_SpectralNorm" or "SpectralNorm" in hooks:
        return "spectral normalisation"
    return ""
