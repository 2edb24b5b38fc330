"""Pruning between rounds: at once or little by little, and what may grow back at a download."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qdescent._checks import (
    argument_error,
    check_choice,
    check_field,
    check_integer,
    check_interval,
)
from qdescent._random import named_generator
from qdescent.learning.descent.sgd import SGD
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.task import Task
from qdescent.training.descent import walk

MOST_ROUNDS = 10**9


@dataclass(frozen=True)
class Pruning:
    """When a hybrid run prunes, by what, and what may grow back.

    The space that is trained holds all weights that may ever be kept; each upload holds those of
    its round's mask. The density falls with the cube of what is left of the way:

        d(r) = density + (start - density) (1 - r/rounds)^3    until round `rounds`.

    Args:
        density: the kept share of the prunable weights in the end, in (0, 1]. 0.1: the paper prunes
            90 %.
        by: a name of `MASKS`; "layerwise-magnitude" keeps as much of each layer, the others choose
            globally. Those that look at data see the round's last batch.
        rounds: over which the density falls; 0: one-shot, before the first upload.
        start: the density of the first upload where it falls gradually.
        regrow: steps of descent in all weights at each download, before the next pruning: a weight
            that was pruned and has grown larger than those that were kept comes back. The paper's
            authors train on without a gradient mask; the steps stand for that. 0: what is pruned
            stays pruned.

    Raises:
        ArgumentError: a value outside its range; a start below the density.

    References:
        Zhu and Gupta, arXiv:1710.01878 (the cubic law); Evci, Gale, Menick, Castro, Elsen,
        arXiv:1911.11134 (regrowth by the dense gradient).

    Example:
        >>> [round(Pruning(0.1, rounds=4).density_at(r), 3) for r in range(6)]
        [1.0, 0.48, 0.213, 0.114, 0.1, 0.1]
        >>> Pruning(0.1).density_at(0)
        0.1
    """

    density: float = 0.1
    by: str = "magnitude"
    rounds: int = 0
    start: float = 1.0
    regrow: int = 0

    def __post_init__(self) -> None:
        check_field(self, "density", check_interval, "(0, 1]")
        check_field(self, "by", check_choice, MASKS)
        check_field(self, "rounds", check_integer, 0, MOST_ROUNDS)
        check_field(self, "start", check_interval, "(0, 1]")
        if self.start < self.density:
            raise argument_error("start", f"be at least the density, {self.density}", self.start)
        check_field(self, "regrow", check_integer, 0, MOST_ROUNDS)

    def density_at(self, round_index: int) -> float:
        """The density of a round's upload, counted from 0."""
        round_index = check_integer("round_index", round_index, 0)
        if round_index >= self.rounds:
            return self.density
        left = 1 - round_index / self.rounds
        return self.density + (self.start - self.density) * left**3


@dataclass(frozen=True, eq=False)
class Weights:
    """All weights that are trained at one moment, and which of them are kept.

    Args:
        theta: (n,), 0 where pruned.
        velocity: likewise; None without momentum, and before the first step.
        kept: boolean, (n,); None: all.
    """

    theta: Tensor
    velocity: Tensor | None = None
    kept: Tensor | None = None

    def within(self, space: ParameterSpace) -> tuple[ParameterSpace, Tensor, Tensor | None]:
        """The space of those that are kept, and weights and velocity in it."""
        if self.kept is None:
            return space, self.theta, self.velocity
        velocity = None if self.velocity is None else self.velocity[self.kept]
        smaller = space.restrict(self.theta, self.kept.nonzero()[:, 0])
        return smaller, self.theta[self.kept], velocity

    def moved(self, step: Tensor, velocity: Tensor | None) -> Weights:
        """After a step of those that are kept, and with their velocity."""
        if self.kept is None:
            return replace(self, theta=self.theta + step, velocity=velocity)
        theta, full = self.theta.clone(), None
        theta[self.kept] += step
        if velocity is not None:
            full = torch.zeros_like(theta)
            full[self.kept] = velocity
        return replace(self, theta=theta, velocity=full)


def pruned(
    weights: Weights,
    pruning: Pruning,
    round_index: int,
    task: Task,
    space: ParameterSpace,
    seed: int,
) -> Weights:
    """The weights as a round uploads them, of the density that it has.

    Args:
        weights: before it.
        pruning: the settings.
        round_index: of the round, from 0.
        task: what a criterion may look at.
        space: all weights that may be kept.
        seed: of a criterion that draws.
    """
    network = copy.deepcopy(task.network)  # the user's is read, never changed
    named = dict(network.named_parameters())
    with torch.no_grad():
        for name, value in space.unpack(weights.theta).items():
            named[name].copy_(value)
    mask = MASKS[pruning.by](
        network,
        replace(task, network=network),
        pruning.density_at(round_index),
        named_generator(seed, "mask", round_index),
    )
    kept = space.pack({name: mask.keep[name].to(space.device) for name in space.names})
    velocity = None if weights.velocity is None else weights.velocity * kept
    return Weights(weights.theta * kept, velocity, kept)


def after_download(
    weights: Weights,
    pruning: Pruning | None,
    round_index: int,
    task: Task,
    space: ParameterSpace,
    rule: SGD,
    seed: int,
) -> Weights:
    """The weights between a round's download and the next upload: grown where they may, pruned
    where the density falls or something has grown.

    Args:
        weights: as they were downloaded.
        pruning: the settings; None: nothing is pruned.
        round_index: of the round that has ended, from 0.
        task, space, seed: as for `pruned`.
        rule: of the round; a dense step has its rate and decay, and no momentum.
    """
    if pruning is None:
        return weights
    if pruning.regrow:
        plain = SGD(rule.learning_rate, weight_decay=rule.weight_decay)
        *_, (_, u, _) = walk([task] * pruning.regrow, space, weights.theta, plain)
        weights = replace(weights, theta=weights.theta + u)
    elif pruning.density_at(round_index + 1) == pruning.density_at(round_index):
        return weights
    return pruned(weights, pruning, round_index + 1, task, space, seed)
