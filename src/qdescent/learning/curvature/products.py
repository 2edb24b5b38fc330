"""Products with the Hessian and the Gauss-Newton matrix of a batch: Taylor series or autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from qdescent._checks import ArgumentError, argument_error
from qdescent.learning.opened import closed, opened
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.taylor.gradient_series import GradientSeries

Product = Callable[[Tensor], Tensor]  # a direction in R^n -> the product in R^n
Build = Callable[[Task, ParameterSpace, Tensor, torch.dtype], Product]


def by_series_if_faster(samples: int) -> Build:
    """By Taylor series where that is possible and right, and takes less time than autograd, else by
    autograd; the gradients are compared on the first batch that comes.

    Counts decide, not the clock: the same numbers on every machine and in every run.

    Args:
        samples: of the batch that the products are of; the first that comes may hold a few of it.
    """
    chosen: list[Build] = []

    def build(task: Task, space: ParameterSpace, theta: Tensor, dtype: torch.dtype) -> Product:
        if chosen:
            try:
                return chosen[0](task, space, theta, dtype)
            except ArgumentError:  # an operation that only this batch meets
                return double_backward_product(task, space, theta, dtype)
        series = _right_series(task, space, theta) if dtype == theta.dtype else None
        if series is None:
            chosen.append(double_backward_product)
            return double_backward_product(task, space, theta, dtype)
        if not series.beats_double_backward(samples / task.batch):
            # what autograd differentiates once only may have a series
            with suppress(ArgumentError, RuntimeError):
                product = double_backward_product(task, space, theta, dtype)
                product(torch.zeros_like(theta))
                chosen.append(double_backward_product)
                return product
        chosen.append(taylor_product)
        return lambda v: series([v])[0]

    return build


def _right_series(task: Task, space: ParameterSpace, theta: Tensor) -> GradientSeries | None:
    """The series, if the network has one and its gradient is that of autograd."""
    gradient = task.loss_and_gradient(space, theta)[1]
    try:
        series = GradientSeries(task, space, theta, 1)
    # whatever stops a recording: autograd has the last word, and the error if there is one
    except Exception:
        return None
    error, size = (
        float(torch.linalg.vector_norm(x)) for x in (series.gradient - gradient, gradient)
    )
    return series if error <= series.rounding**0.5 * size else None


def taylor_product(task: Task, space: ParameterSpace, theta: Tensor, dtype: torch.dtype) -> Product:
    if dtype != theta.dtype:
        raise argument_error(
            "precision", f"be that of theta ({theta.dtype}) for the method 'taylor'", dtype
        )
    series = GradientSeries(task, space, theta, 1)
    return lambda v: series([v])[0]


class _Along(torch.autograd.Function):
    """A scalar whose derivative by the tensors is `direction`, that of their inner product.

    `autograd.grad` imports symbolic algebra, a second, as soon as it is given an adjoint itself.
    """

    @staticmethod
    def forward(ctx: Any, direction: Sequence[Tensor], *tensors: Tensor) -> Tensor:
        ctx.direction = direction
        return tensors[0].new_zeros(())

    @staticmethod
    def backward(ctx: Any, one: Tensor) -> Any:
        return None, *ctx.direction


def double_backward_product(
    task: Task, space: ParameterSpace, theta: Tensor, dtype: torch.dtype
) -> Product:
    weights = [w.detach().to(dtype).requires_grad_() for w in space.unpack(theta).values()]
    loss = task.loss_with(dict(zip(space.names, weights, strict=True)), dtype)
    gradient = torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)
    _check_graph(gradient)
    # the others are constant: their rows of H are zero
    curved = [k for k, g in enumerate(gradient) if g.requires_grad]

    def product(v: Tensor) -> Tensor:
        if not curved:
            return torch.zeros_like(v)
        direction = list(space.embed(v).values())
        slope = _Along.apply([direction[k] for k in curved], *(gradient[k] for k in curved))
        found = torch.autograd.grad(slope, weights, retain_graph=True, materialize_grads=True)
        return space.pack(found)

    return product


METHODS: dict[str, Build] = {
    "taylor": taylor_product,
    "double-backward": double_backward_product,
}


def gauss_newton_product(
    task: Task, space: ParameterSpace, theta: Tensor, dtype: torch.dtype
) -> Product:
    weights = [w.detach().to(dtype).requires_grad_() for w in space.unpack(theta).values()]
    parts, emptied = opened(task.outputs_with(dict(zip(space.names, weights, strict=True)), dtype))
    places = [k for k, part in enumerate(parts) if part.requires_grad]
    outputs = [parts[k] for k in places]
    if not outputs:
        must = (
            "have outputs that depend on its weights, as a tensor, or tensors in a tuple, list,"
            " dict or dataclass"
        )
        raise argument_error("network", must, f"with {type(emptied).__name__} instead")
    # J v by two reverse passes: J^T c is linear in c, and its derivative along v is J v (the
    # double-backward trick).
    cotangents = [torch.zeros_like(out, requires_grad=True) for out in outputs]
    pulled = torch.autograd.grad(
        outputs, weights, cotangents, create_graph=True, materialize_grads=True
    )
    _check_graph(pulled)
    reached = [k for k, g in enumerate(pulled) if g.requires_grad]
    # Where the loss uses the weights itself they count as outputs whose Jacobian is the identity.
    leaves = [x.detach().requires_grad_() for x in (*outputs, *weights)]
    own, known = leaves[: len(outputs)], dict(zip(places, leaves, strict=False))
    given = closed([known.get(k, part) for k, part in enumerate(parts)], emptied)
    loss = task.loss_of(given, dict(zip(space.names, leaves[len(own) :], strict=True)), dtype)
    slopes = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
    bending = [k for k, slope in enumerate(slopes) if slope is not None and slope.requires_grad]
    # a loss that the network has computed itself leaves no outputs to curve in
    met = [k for k, slope in enumerate(slopes[: len(own)]) if slope is not None]
    if met and not set(met) & set(bending) and all(own[k].numel() == 1 for k in met):
        must = (
            "be computed outside of the network for a Gauss-Newton matrix (such as `lambda outputs,"
            " batch: cross_entropy(outputs.logits, ...)`; or take the Hessian)"
        )
        raise argument_error("loss", must, "linear in one output, so that the matrix is zero")
    by_weights = any(slope is not None for slope in slopes[len(own) :])

    def product(v: Tensor) -> Tensor:
        direction = list(space.embed(v).values())
        tangents = torch.autograd.grad(
            [pulled[k] for k in reached],
            cotangents,
            [direction[k] for k in reached],
            retain_graph=True,
            materialize_grads=True,
        )
        moves, sought = [*tangents, *direction], leaves if by_weights else own
        if bending:
            bent = torch.autograd.grad(
                [slopes[k] for k in bending],
                sought,
                [moves[k] for k in bending],
                retain_graph=True,
                materialize_grads=True,
            )
        else:
            bent = tuple(torch.zeros_like(leaf) for leaf in sought)
        found = space.pack(
            torch.autograd.grad(
                outputs, weights, bent[: len(own)], retain_graph=True, materialize_grads=True
            )
        )
        return found + space.pack(bent[len(own) :]) if by_weights else found

    return product


def _check_graph(gradient: Sequence[Tensor]) -> None:
    """Refuse functions marked `once_differentiable`: they end the gradient's graph, and H v would
    silently miss their part.
    """
    seen, waiting = set(), [g.grad_fn for g in gradient if g.grad_fn is not None]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        # PyTorch's DelayedError, which `once_differentiable` puts in the place of a derivative
        if type(node).__name__ == "Error":
            raise argument_error(
                "network",
                "be twice differentiable",
                "made of a function marked once_differentiable",
            )
        seen.add(node)
        waiting += [parent for parent, _ in node.next_functions if parent is not None]
