"""The Hessian of a task in kept-weight coordinates, as an operator."""

from __future__ import annotations

import torch
from torch import Tensor

from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.linalg.operator import LinearOperator


def hessian(task: Task, space: ParameterSpace, theta: Tensor | None = None) -> LinearOperator:
    """H = grad^2 L(theta) restricted to the kept weights, (n, n), symmetric, never stored.

    The gradient's graph is built once and kept; each product is then one more backward pass through it (Pearlmutter 1994), for
    all
    columns of a block together.

    Args:
        task: network, loss and batch.
        space: the kept weights.
        theta: the point, (n,); None: the network's own weights.

    Returns:
        LinearOperator: `H @ v` for v of shape (n,) or (n, k).

    Cost: a product is about 2.2 gradients; memory is that of one gradient's graph.

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(2, 1, bias=False)
        >>> task = Task(network, torch.nn.functional.mse_loss, (torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1)))
        >>> (hessian(task, ParameterSpace(network)) @ torch.eye(2)).tolist()
        [[1.0, 0.0], [0.0, 4.0]]
    """
    theta = space.theta if theta is None else theta
    weights = [w.detach().requires_grad_() for w in space.unpack(theta).values()]
    loss = task._loss_with(dict(zip(space.names, weights, strict=True)))
    gradient = torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)
    curved = [k for k, g in enumerate(gradient) if g.requires_grad]  # the others are constant: their rows of H are zero

    def column(v: Tensor) -> Tensor:
        if not curved:
            return torch.zeros_like(v)
        direction = list(space.embed(v).values())
        product = torch.autograd.grad(
            [gradient[k] for k in curved],
            weights,
            grad_outputs=[direction[k] for k in curved],
            retain_graph=True,
            materialize_grads=True,
        )
        return space.pack(product)

    def apply(block: Tensor) -> Tensor:
        return torch.stack([column(v) for v in block.T], dim=1)

    return LinearOperator((space.n, space.n), apply, apply, theta.dtype, theta.device)
