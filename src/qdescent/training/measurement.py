"""What a callback keeps of a measurement, and the network that a measurement leaves as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn

from qdescent.carleman.dissipation import Dissipation
from qdescent.learning.untouched import untouched
from qdescent.linalg.spectra.spectrum import Spectrum

# gradients that a Hessian product costs by double backward; by Taylor series less, see `hessian`
PRODUCT = 2.2
MOST_SAMPLES = 10**18  # counts that a float still holds next to each other


class Measurement(NamedTuple):
    """What was seen after `step` updates."""

    step: int
    spectrum: Spectrum
    dissipation: Dissipation


class Skipped(NamedTuple):
    """A measurement that was due after `step` updates and did not take place, and why."""

    step: int
    reason: str


@contextmanager
def left_as_it_was(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, with gradients recorded; everything about it is put back."""
    with untouched(network), torch.enable_grad():
        # the flag alone: train() and eval() of some modules change weights (merged adapters)
        for module in network.modules():
            module.training = False
        yield
