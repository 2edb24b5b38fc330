"""Weights at random: the baseline that any criterion must beat."""

from __future__ import annotations

import torch
from torch import nn

from qdescent._random import named_generator
from qdescent.learning.masks import Mask
from qdescent.learning.pruning.scores import mask_from_scores, prunable
from qdescent.learning.task import Task


def at_random(
    network: nn.Module, task: Task | None, density: float, generator: torch.Generator | None
) -> Mask:
    """Weights at random, each with the same chance: the baseline that any criterion must beat.

    Args:
        network, task, density: as of every criterion.
        generator: source of the draws; None: that of seed 0.
    """
    draws = named_generator(0, "random mask") if generator is None else generator
    scores = {
        name: torch.rand(weight.shape, generator=draws, device="cpu")
        for name, weight in prunable(network).items()
    }
    return mask_from_scores(network, scores, density)
