"""Criteria of first order: what the loss would change if a weight were removed, by its gradient.

Setting w_j to 0 moves the loss by L(theta - w_j e_j) - L(theta) = -w_j g_j + O(w_j^2), with
g = grad L on one batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qdescent._checks import argument_error
from qdescent.learning.masks import Mask
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.scores import mask_from_scores, prunable
from qdescent.learning.task import Task


def snip(network: nn.Module, task: Task, density: float, generator: torch.Generator | None) -> Mask:
    """The weights with the largest |g_j w_j|: those that the loss feels most, up or down.

    SNIP's connection sensitivity is |dL/dc_j| / sum_k |dL/dc_k| at c = 1, where every weight is
    c_j w_j; its numerator is |g_j w_j|, and the sum changes no rank. SNIP prunes before training,
    on one batch; here the network is pruned as it stands. The same ranking is the first-order
    Taylor importance (g_j w_j)^2 of Molchanov et al. on one batch.

    References:
        Lee, Ajanthan and Torr (2019), arXiv:1810.02340, equation 6; Molchanov et al. (2019),
        arXiv:1906.10771, equation 8.
    """
    scores = {
        name: product.abs() for name, product in gradient_times_weights(network, task).items()
    }
    return mask_from_scores(network, scores, density)


def gradient_times_weight(
    network: nn.Module, task: Task, density: float, generator: torch.Generator | None
) -> Mask:
    """The weights with the largest -g_j w_j: those without which the loss would grow most.

    The sign counts: a weight whose removal would lower the loss to first order goes before one
    that the loss does not feel. At a minimum g is 0 and so is every score.

    References:
        Mozer and Smolensky (1989), Skeletonization, NeurIPS 1, who rank units by this derivative;
        here it ranks single weights.
    """
    products = gradient_times_weights(network, task)
    return mask_from_scores(network, {name: -x for name, x in products.items()}, density)


def gradient_times_weights(network: nn.Module, task: Task) -> dict[str, Tensor]:
    """g_j w_j of the prunable weights by name, in float64, where no product vanishes by rounding;
    0 where there is no coordinate.

    Raises:
        ArgumentError: all of them are 0: they rank nothing.
    """
    space = ParameterSpace(network)
    gradient = task.loss_and_gradient(space, space.theta)[1]
    products = space.embed(gradient.double() * space.theta.double())
    found = {name: products[name] for name in prunable(network)}
    if not any(bool(product.any()) for product in found.values()):
        must = "have a loss that the weights to be pruned change to first order"
        raise argument_error("task", must, "one whose gradient times weight is 0 in all of them")
    return found
