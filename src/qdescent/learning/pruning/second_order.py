"""Criteria of second order: what removing a weight would do to the gradient, by the Hessian."""

from __future__ import annotations

import torch
from torch import nn

from qdescent.learning.curvature.hessian import hessian
from qdescent.learning.masks import Mask
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.scores import mask_from_scores, prunable
from qdescent.learning.task import Task


def grasp(
    network: nn.Module, task: Task, density: float, generator: torch.Generator | None
) -> Mask:
    """The weights with the largest w_j (H g)_j: those without which the gradient would shrink most.

    Half the squared length of the gradient g changes by -w_j (H g)_j + O(w_j^2) where w_j is set to
    0. GraSP removes the weights whose removal would lengthen g most; it prunes before training and
    scales the logits by a temperature, which is left to the task's loss here.

    Cost: one gradient and one Hessian product, and the check of `hessian`.

    References:
        Wang, Zhang and Grosse (2020), arXiv:2002.07376, equation 8.
    """
    space = ParameterSpace(network)
    gradient = task.loss_and_gradient(space, space.theta)[1]
    product = space.embed(space.theta * (hessian(task, space) @ gradient))
    scores = {name: product[name] for name in prunable(network)}
    return mask_from_scores(network, scores, density)
