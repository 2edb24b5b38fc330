"""Whether PyTorch's third derivatives of a loss are the slopes of its second ones: of some
operations (a logarithm of a determinant, a linear system) they are not, without an error.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import jacrev, jvp

from qdescent._checks import argument_error
from qdescent._random import named_generator
from qdescent.learning.curvature.double import InDouble
from qdescent.learning.curvature.rounding import EPS, ROUNDING
from qdescent.learning.curvature.walk import AGREED, STEPS
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.taylor.nested_jvp import elementary


def check_third(task: Task, space: ParameterSpace, theta: Tensor) -> None:
    """Compare grad^3 L [v, v, .] with the slope of H v along a random direction v, in float64.

    Kinks part the two where a step crosses one, so that one of several steps has to agree.

    Args:
        task: network, loss and batch.
        space: the kept weights.
        theta: the point, (n,).

    Raises:
        ArgumentError: they are apart at every step.

    Cost: three Hessian products and one of third order, or up to four more.

    Example:
        >>> network = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Tanh())
        >>> task = Task(
        ...     network, torch.nn.functional.mse_loss, (torch.ones(3, 2), torch.zeros(3, 1))
        ... )
        >>> check_third(task, space := ParameterSpace(network), space.theta)
    """
    point = theta.detach().double()
    drawn = torch.randn(
        len(theta),
        generator=named_generator(0, "third derivatives"),
        dtype=torch.float64,
        device="cpu",
    ).to(point)
    v = drawn * (float(point.norm()) or 1.0) / float(drawn.norm())
    gradient = jacrev(lambda at: task.loss_with(space.unpack(at), torch.float64))

    def product(at: Tensor) -> Tensor:
        return jvp(gradient, (at,), (v,))[1]

    with InDouble(), elementary():
        third, second = jvp(product, (point,), (v,))[1], product(point)
        if not bool(torch.isfinite(third).all()):
            return  # which is told where they are taken
        least = float("inf")
        for step in STEPS:
            slope = (product(point + step * v) - product(point - step * v)) / (2 * step)
            gap, *sizes = (float(x.detach().norm()) for x in (third - slope, third, slope))
            if gap <= AGREED * max(sizes) + ROUNDING * EPS / step * float(second.detach().norm()):
                return
            least = min(least, gap / (max(sizes) or 1.0))
    off = f"{100 * least:.2g} % off the slope of the second"
    must = (
        "have third derivatives that PyTorch has right (not so torch.logdet and torch.linalg.solve:"
        " write torch.linalg.cholesky, torch.linalg.inv)"
    )
    raise argument_error("network", must, off)
