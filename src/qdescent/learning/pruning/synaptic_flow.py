"""A criterion that looks at no data: what share of the network's flow a weight carries."""

from __future__ import annotations

import torch
from torch import nn

from qdescent._checks import argument_error
from qdescent.learning.batches import mapped
from qdescent.learning.masks import Mask
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.scores import mask_from_scores, prunable
from qdescent.learning.task import Task


def synflow(
    network: nn.Module, task: Task, density: float, generator: torch.Generator | None
) -> Mask:
    """The weights with the largest |w_j| dR/d|w_j|, R the sum of the outputs for inputs of ones and
    all trained weights replaced by their moduli.

    Of the task only the shape of its inputs is used; what is not a floating-point number in them
    stays. In a network of linear layers and rectifiers R is a sum over all paths of the products
    of their weights, and the score is the share of the paths through w_j. SynFlow prunes over a
    hundred rounds, which keeps a path through every layer longer; here it is one.

    Cost: one gradient.

    References:
        Tanaka, Kunin, Yamins and Ganguli (2020), arXiv:2006.05467, equation 2.
    """
    ones = mapped(task.data[0], lambda x: torch.ones_like(x) if x.is_floating_point() else x)
    flow = Task(network, lambda outputs, _: outputs.sum(), (ones, task.data[1]))
    space = ParameterSpace(network)
    moduli = space.theta.double().abs()
    carried = space.embed(flow.loss_and_gradient(space, moduli, torch.float64)[1] * moduli)
    scores = {name: carried[name] for name in prunable(network)}
    if not any(bool(score.any()) for score in scores.values()):
        raise argument_error("network", "let a weight to be pruned change its outputs", "without")
    return mask_from_scores(network, scores, density)
