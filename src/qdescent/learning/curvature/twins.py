"""A loss in float64, moved by a little: it checks curvature without second derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.learning.batches import mapped
from qdescent.learning.curvature.differentiable import DIFFERENCES
from qdescent.learning.curvature.digits import steps_of_weights
from qdescent.learning.curvature.double import InDouble
from qdescent.learning.curvature.few_samples import few_samples
from qdescent.learning.curvature.rounding import TERMS, elsewhere, is_noise, rounded
from qdescent.learning.curvature.slopes import Both, Slopes, checked_slopes, length_along, split
from qdescent.learning.curvature.walk import Moved
from qdescent.learning.opened import opened
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.linalg.inner_product import dot, in_double, norm

Exact = Callable[[Task, Tensor, Tensor], Tensor]
Reason = Callable[[], str]
Parts = Sequence[tuple[Task, float]]
Total = Callable[[Tensor], Tensor] | None  # None: one process


@dataclass(frozen=True)
class HessianTwin:
    """H v = d grad L(theta + h v)/dh, and grad L . v = dL/dh.

    Args:
        loss_and_gradient: theta (n,) in float64 -> L and grad L, in float64.
        exact: theta, v -> H v by autograd, in float64.
        reason: why the gradient may not be the loss's, in words.
    """

    loss_and_gradient: Callable[[Tensor], Both]
    exact: Callable[[Tensor, Tensor], Tensor]
    reason: Callable[[], str]
    instead: ClassVar[str] = f", or be measured by {DIFFERENCES}"

    def moved(
        self, theta: Tensor, v: Tensor, w: Tensor, step: float, strict: bool = False
    ) -> Moved:
        """By two gradients."""
        unit = length_along(theta, v, 1.0)
        h = step * unit
        difference, size = checked_slopes(self.loss_and_gradient, theta, v, h, self.reason, strict)
        return Moved(
            lambda product: _gap(product, difference),
            size / unit,
            lambda: torch.cat(difference),
        )

    def product(self, theta: Tensor, v: Tensor) -> Tensor:
        """The product H v by autograd in float64."""
        return self.exact(theta, v)

    def loss(self, theta: Tensor) -> float:
        """The loss itself."""
        return float(self.loss_and_gradient(theta)[0])


def _gap(product: Tensor, difference: Slopes) -> tuple[float, float]:
    sums, room = [], torch.empty(0, dtype=torch.float64, device=product.device)
    for parts in zip(split(product, difference), difference, strict=True):
        for found, seen in in_double(*parts):
            off = torch.sub(found, seen, out=room.resize_(0))
            sums.append(torch.stack([off @ off, found @ found, seen @ seen]))
    gap, *sizes = torch.stack(sums).sum(0).sqrt().tolist()
    return (gap, max(sizes)) if math.isfinite(gap) else (math.inf, 1.0)


def hessian_twin(
    parts: Parts, space: ParameterSpace, exact: Exact, total: Total, reason: Reason
) -> HessianTwin:
    """Of a weighted sum of tasks.

    Args:
        parts: each task with its weight.
        space: the kept weights.
        exact: task, theta, v -> one task's product by autograd, in float64.
        total: the sum over processes; None: there is one.
        reason: why a check may fail, in words.
    """
    return HessianTwin(
        _loss_and_gradient(parts, space, total), _summed(parts, exact, total), reason
    )


def _loss_and_gradient(
    parts: Parts, space: ParameterSpace, total: Total
) -> Callable[[Tensor], Both]:
    def loss_and_gradient(theta: Tensor) -> Both:
        value, gradient = theta.new_zeros(()), Slopes()
        with InDouble():
            for task, weight in parts:
                loss, slopes = _in_double(task, space, theta)
                value += weight * loss
                slopes = slopes if weight == 1.0 else [weight * slope for slope in slopes]
                gradient = list(map(torch.add, gradient, slopes)) if gradient else slopes
        if total is None:
            return value, gradient
        # of a process without a part, too
        own = torch.cat(gradient) if gradient else torch.zeros_like(theta)
        return total(value), [total(own)]

    return loss_and_gradient


def _in_double(task: Task, space: ParameterSpace, theta: Tensor) -> Both:
    """Loss and gradient in float64.

    Raises:
        ArgumentError: the network has an operation of another type (fake quantisation).
    """
    weights = {name: w.detach().requires_grad_() for name, w in space.unpack(theta).items()}
    try:
        with torch.enable_grad():
            loss = task.loss_with(weights, torch.float64)
        found = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
        # a backward of its own may hand out the weights themselves, which move on
        memory = theta.untyped_storage().data_ptr()
        return loss.detach(), [
            x.detach() if x.untyped_storage().data_ptr() != memory else x.detach().clone()
            for x in space.entries(found)
        ]
    except RuntimeError as error:
        if "Double" not in str(error):
            raise
        must = "run in float64, too, in which its curvature is checked (check=False does without)"
        raise argument_error("network", must, f"tied to another type ({error})") from error


def steps_seen(task: Task, space: ParameterSpace, theta: Tensor, steps: frozenset[str]) -> str:
    """`steps_of_weights` of a task, of a large one on 4 samples; nothing where the loss raises."""
    if not steps:
        return ""
    some, theta = few_samples(task, space) or task, theta.double()

    def loss(point: Tensor) -> float:
        with torch.no_grad():
            return float(some.loss_with(space.unpack(point), torch.float64))

    with suppress(Exception), InDouble():  # of few samples a loss of pairs, say, may raise anything
        gradient = torch.cat(_in_double(some, space, theta)[1])
        return steps_of_weights(steps, loss, gradient, theta)
    return ""


def gradient_vanishes(task: Task, space: ParameterSpace, theta: Tensor) -> bool:
    """Whether a task's gradient is what rounding leaves of 0."""
    loss_and_gradient = _loss_and_gradient([(task, 1.0)], space, None)
    return is_noise(torch.cat(loss_and_gradient(each)[1]) for each in rounded(theta.double()))


def gradient_rounding(task: Task, space: ParameterSpace, theta: Tensor) -> float:
    """What rounding may do to a task's gradient in theta's type: its terms may cancel, and are as
    large as it is elsewhere.
    """
    loss_and_gradient = _loss_and_gradient([(task, 1.0)], space, None)
    largest = 0.0
    for place in elsewhere(theta.double()):
        with suppress(Exception):  # whatever a stranger's network raises at weights of another size
            size = norm(torch.cat(loss_and_gradient(place)[1]))
            largest = max(largest, size) if math.isfinite(size) else largest
    return TERMS * torch.finfo(theta.dtype).eps * largest


def gauss_newton_twin(
    parts: Parts, space: ParameterSpace, exact: Exact, total: Total, reason: Reason
) -> GaussNewtonTwin:
    """Of a weighted sum of tasks; arguments as for `hessian_twin`."""
    return GaussNewtonTwin(
        [(weight, _Outputs(task, space)) for task, weight in parts],
        _summed(parts, exact, total),
        total,
        _loss_and_gradient(parts, space, total),
        reason,
    )


@dataclass(frozen=True)
class GaussNewtonTwin:
    """w . G v, the loss's second derivative along (J v, v) and (J w, w), where J v and J w are
    moved outputs.

    Args:
        parts: a weight and the outputs and loss of each task.
        exact: theta, v -> G v by autograd, in float64.
        total: the sum over processes; None: there is one.
        loss_and_gradient, reason: as in `HessianTwin`; G leaves out the same parts of the loss as
            its gradient does.
    """

    parts: Sequence[tuple[float, _Outputs]]
    exact: Callable[[Tensor, Tensor], Tensor]
    total: Total
    loss_and_gradient: Callable[[Tensor], Both]
    reason: Reason
    instead: ClassVar[str] = ""

    def moved(
        self, theta: Tensor, v: Tensor, w: Tensor, step: float, strict: bool = False
    ) -> Moved:
        """By four passes forward, two gradients in the outputs, and two in the weights."""
        theta, v, w = theta.double(), v.double(), w.double()
        h, k = length_along(theta, v, step), length_along(theta, w, step)
        checked_slopes(self.loss_and_gradient, theta, v, h, self.reason, strict)
        sums = theta.new_zeros(2)
        for weight, part in self.parts:
            along = part.moved(theta, v, h)
            pairs = list(
                zip(part.bent(theta, v, h, along), [*part.moved(theta, w, k), w], strict=True)
            )
            sizes = [
                torch.linalg.vector_norm(bent) * torch.linalg.vector_norm(move)
                for bent, move in pairs
            ]
            sums += weight * torch.stack(
                [
                    torch.stack([(bent * move).sum() for bent, move in pairs]).sum(),
                    torch.stack(sizes).sum(),
                ]
            )
        form, size = (sums if self.total is None else self.total(sums)).tolist()
        unit = size / len(theta) ** 0.5
        return Moved(
            lambda product: self._gap(product, w, form),
            unit,
            lambda: theta.new_tensor([form]),
        )

    def product(self, theta: Tensor, v: Tensor) -> Tensor:
        """The product G v by autograd in float64."""
        return self.exact(theta, v)

    def loss(self, theta: Tensor) -> float:
        """The loss itself."""
        return float(self.loss_and_gradient(theta)[0])

    @staticmethod
    def _gap(product: Tensor, w: Tensor, form: float) -> tuple[float, float]:
        """|w . G v - the form|, relative to ||G v||, which w . G v is about as large as."""
        gap, size = abs(float(dot(w, product)) - form), norm(product)
        return (gap, max(size, abs(form))) if math.isfinite(gap) else (math.inf, 1.0)


@dataclass(frozen=True)
class _Outputs:
    """A task's outputs as a function of the weights, and its loss as a function of both."""

    task: Task
    space: ParameterSpace

    def at(self, theta: Tensor) -> list[Tensor]:
        """All floating-point outputs."""
        with InDouble(), torch.no_grad():
            outputs = self.task.outputs_with(self.space.unpack(theta), torch.float64)
        return [x for x in opened(outputs)[0] if x.is_floating_point()]

    def moved(self, theta: Tensor, v: Tensor, h: float) -> list[Tensor]:
        """J v."""
        return [
            (a - b) / (2 * h)
            for a, b in zip(self.at(theta + h * v), self.at(theta - h * v), strict=True)
        ]

    def bent(self, theta: Tensor, v: Tensor, h: float, along: list[Tensor]) -> list[Tensor]:
        """The second derivative of the loss, applied to (J v, v): of the outputs, and of the
        weights in R^n.
        """
        high, low = (
            self._slope(theta, [s * h * move for move in along], s * h * v) for s in (1, -1)
        )
        return [(a - b) / (2 * h) for a, b in zip(high, low, strict=True)]

    def _slope(self, theta: Tensor, moves: list[Tensor], v: Tensor) -> list[Tensor]:
        with InDouble():
            outputs = self.task.outputs_with(self.space.unpack(theta), torch.float64)
            known = iter(moves)
            leaves: list[Tensor] = []

            def leaf(x: Tensor) -> Tensor:
                if not x.is_floating_point():
                    return x
                leaves.append((x.detach() + next(known)).requires_grad_())
                return leaves[-1]

            outputs = mapped(outputs, leaf)
            weights = {
                name: w.detach().requires_grad_()
                for name, w in self.space.unpack(theta + v).items()
            }
            loss = self.task.loss_of(outputs, weights, torch.float64)
            found = torch.autograd.grad(
                loss, [*leaves, *weights.values()], materialize_grads=True, allow_unused=True
            )
        return [*found[: len(leaves)], self.space.pack(found[len(leaves) :])]


def _summed(parts: Parts, exact: Exact, total: Total) -> Callable[[Tensor, Tensor], Tensor]:
    def product(theta: Tensor, v: Tensor) -> Tensor:
        found = torch.zeros_like(theta)
        with InDouble():
            for task, weight in parts:
                found.add_(exact(task, theta, v), alpha=weight)
        return found if total is None else total(found)

    return product
