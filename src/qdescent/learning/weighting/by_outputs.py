"""Several batches of one loss: what each counts in the loss over all of them.

A mean over samples weighs batches by their size. A mean over what is not ignored, or one with class
weights, does not; a sum does not weigh at all. Which it is shows in the loss's gradient in the
outputs, without the network: for a mean with the normaliser c, where c(both) = c(one) + c(other),

    d L(both) / d outputs(one) = c(one) / c(both)  d L(one) / d outputs(one),

and for a sum that factor is 1. A loss of which neither is true (a root, a contrast of samples) has
no Hessian in parts. Where a batch has no such gradient, it is fitted exactly, and has one a step
aside, or nothing in it counts: then it takes nothing from what another batch counts beside it.
Where the outputs are not one a sample (a network that computes its own loss), or cannot be put one
after the other, both batches go through the network together (`Through`); a network that looks at
several samples together is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor

from qdescent._checks import ArgumentError, argument_error, check_sequence
from qdescent._random import named_generator
from qdescent.learning.batches import mapped
from qdescent.learning.opened import closed, opened
from qdescent.learning.task import Task
from qdescent.learning.weighting.by_network import ALIKE, MUST, Through, relation_of_samples

NEAR = 1e-4  # relative: a count so near the number of samples is that number
ASIDE = 0.1  # of the outputs' size


class UnmovedError(ValueError):
    """A batch whose outputs do not move the loss."""


class Batch(NamedTuple):
    """What the loss sees of one batch.

    Args:
        outputs: the tensors in those of the network.
        emptied: the outputs without them.
        inputs: as the network takes them.
        targets: as the loss takes them.
        samples: their number.
        relation: of the network's outputs for a sample with the others, see `relation_of_samples`.
    """

    outputs: list[Tensor]
    emptied: Any
    inputs: Any
    targets: Any
    samples: int
    relation: str = "none"

    def aside(self) -> Batch:
        """Outputs a step away from these, where an exact fit has a gradient, too."""
        generator = named_generator(0, "outputs aside")

        def moved(x: Tensor) -> Tensor:
            if not x.is_floating_point():
                return x
            step = torch.randn(x.shape, generator=generator, device="cpu").to(x)
            return x + ASIDE * (float(x.square().mean()) ** 0.5 or 1.0) * step

        return self._replace(outputs=[moved(x) for x in self.outputs])

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""

        inputs, targets, outputs = (
            mapped(part, lambda x: x.to(device))
            for part in (self.inputs, self.targets, self.outputs)
        )
        return self._replace(inputs=inputs, targets=targets, outputs=outputs)


class Counts(NamedTuple):
    """What each batch counts: for a mean in samples of the first, for a sum 1."""

    values: list[float]
    is_sum: bool

    def weights(self, total: float) -> list[float]:
        """The factors of the batches' losses in the loss over all, which count `total` together."""
        return self.values if self.is_sum else [value / (total or 1) for value in self.values]


def weighted(task: Task | Sequence[Task]) -> list[tuple[Task, float]]:
    """Each task with its weight in the loss over all batches.

    Raises:
        ArgumentError: no task; a loss that is neither a mean nor a sum; several batches of a
            network whose outputs for a sample depend on the rest of the batch.

    Cost: for several tasks one pass forward each, and two of up to 8 samples; where the network
        computes its own loss some three gradients each.
    """
    called = "a task or several of them"
    tasks = (
        [task]
        if isinstance(task, Task)
        else list(check_sequence("task", task, Task, called=called, empty=True))
    )
    if not tasks:
        raise argument_error("task", f"be {called}", "empty")
    if any(each.network is not tasks[0].network for each in tasks):
        must = "be tasks of one network (`task.with_data(data)` is one of another batch)"
        raise argument_error("task", must, "of several network objects")
    if len(tasks) == 1:
        return [(tasks[0], 1.0)]
    counts = counted(tasks, reference(tasks))
    return list(zip(tasks, counts.weights(sum(counts.values)), strict=True))


def reference(tasks: Sequence[Task]) -> Batch:
    """The first batch that moves the loss; one aside where all are fitted exactly."""
    batches = [seen(task) for task in tasks[:1]]
    if not _moving(_slopes(tasks[0], batches[0])):
        batches += [seen(task) for task in tasks[1:]]
    tried = chain(batches, (batch.aside() for batch in batches))
    found = next((batch for batch in tried if _moving(_slopes(tasks[0], batch))), batches[0])
    moving = [bool(slope.any()) for slope in _slopes(tasks[0], found)]
    if not any(moving):
        moving = [x.is_floating_point() for x in found.outputs]
    other = tasks[1] if len(tasks) > 1 else None
    return found._replace(relation=relation_of_samples(tasks[0], other, moving))


def seen(task: Task) -> Batch:
    """What the loss sees of a task's batch at the network's own weights."""
    with torch.no_grad():
        outputs, emptied = opened(task.outputs_with(_weights(task)))
    return Batch(outputs, emptied, *task.data, task.batch)


def counted(tasks: Sequence[Task], first: Batch) -> Counts:
    """What the tasks count beside the batch `first` of the same loss.

    Raises:
        ArgumentError: a loss that is neither a mean nor a sum.
    """
    if first.relation == "some":
        must = "treat each sample by itself where there are several batches (or take one batch)"
        raise argument_error("network", must, "one whose outputs depend on the rest of the batch")
    values, kinds = [], set()
    through = Through((first.inputs, first.targets), first.samples)
    for task in tasks:
        value, is_sum = _beside(task, first, through)
        near = abs(value - task.batch) <= NEAR * task.batch
        values.append(1.0 if is_sum else float(task.batch) if near else value)
        kinds.add(is_sum)
    if len(kinds) == 2:
        raise argument_error("loss", MUST, "a sum over some and a mean over others")
    return Counts(values, kinds == {True})


def _beside(task: Task, first: Batch, through: Through) -> tuple[float, bool]:
    """What a task counts, in samples of the first batch; and whether the loss is a sum."""
    if first.relation == "unclear":
        return through.counts(task)
    batch = seen(task)
    try:
        try:
            left, right = _factors(task, first, batch)
        except UnmovedError:
            left, right = _factors_of_unmoved(task, first, batch)
    except ArgumentError:
        raise
    # they cannot be put one after the other
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError):
        return through.counts(task)
    if abs(left - 1) < ALIKE and abs(right - 1) < ALIKE:
        if _meets_weights(task, batch):
            must = "be a mean where it uses the weights itself and there are several batches"
            raise argument_error("loss", f"{must} (divide it by their number)", "a sum")
        return 1.0, True
    if left <= 0 or right < 0:
        raise argument_error(
            "loss", MUST, "neither: the gradients of two batches do not add up to that of both"
        )
    return first.samples * right / left, False


def _factors_of_unmoved(task: Task, first: Batch, batch: Batch) -> tuple[float, float]:
    """As `_factors`, of a batch that does not move the loss."""
    with suppress(UnmovedError):
        return _factors(task, first, batch.aside())
    if _factors(task, first, first) == (1.0, 1.0):
        return 1.0, 1.0
    one, _ = _cut(task, first, batch)
    other, _ = _cut(task, batch, first)
    slopes, lengths = _slopes_together(task, one, other)
    left = _ratio([s[:k] for s, k in zip(slopes, lengths, strict=True)], _slopes(task, one))
    return left, 0.0 if abs(left - 1) < ALIKE else 1 - left


def _factors(task: Task, first: Batch, batch: Batch) -> tuple[float, float]:
    """c(one) / c(both) of either batch, up to a common factor; both 1 for a sum.

    Raises:
        ArgumentError: the loss has no normaliser that adds up.
        UnmovedError: one of the batches does not move the loss.
    """
    one, share = _cut(task, first, batch)
    other, other_share = _cut(task, batch, first)
    slopes, lengths = _slopes_together(task, one, other)
    alone = _slopes(task, one)
    left = _ratio([s[:k] for s, k in zip(slopes, lengths, strict=True)], alone)
    right = _ratio([s[k:] for s, k in zip(slopes, lengths, strict=True)], _slopes(task, other))
    halved, _ = _slopes_together(task, one, other, 0.5)
    again = _ratio([s[:k] for s, k in zip(halved, lengths, strict=True)], alone)
    if abs(again - left) > ALIKE * abs(left):  # as for a root, whose factors follow the losses
        raise argument_error(
            "loss", MUST, "neither: what a sample counts depends on the outputs for others"
        )
    a_sum = abs(left - 1) < ALIKE and abs(right - 1) < ALIKE
    if not a_sum and abs(left + right - 1) > ALIKE:
        raise argument_error(
            "loss", MUST, "neither: the gradients of two batches do not add up to that of both"
        )
    return (1.0, 1.0) if a_sum else (left / share, right / other_share)


def _slopes_together(
    task: Task, one: Batch, other: Batch, factor: float = 1.0
) -> tuple[list[Tensor], list[int]]:
    """The slopes of both batches as one, the outputs of the other times `factor`; the lengths of
    the first.
    """
    pairs = zip(one.outputs, other.outputs, strict=True)
    both = [torch.cat([a, b * factor if b.is_floating_point() else b]) for a, b in pairs]
    targets = _zipped(lambda a, b: torch.cat([a, b]), one.targets, other.targets)
    lengths = [len(x) for x in one.outputs]
    return _slopes(task, one._replace(outputs=both, targets=targets)), lengths


def _moving(slopes: list[Tensor]) -> bool:
    """Whether gradients in outputs are numbers, and not all zero."""
    return all(bool(s.isfinite().all()) for s in slopes) and any(bool(s.any()) for s in slopes)


def _cut(task: Task, batch: Batch, other: Batch) -> tuple[Batch, float]:
    """The batch with only as much of the axes after the first (padded sequences) as both have; what
    share of it counts there.
    """
    if [x.shape[1:] for x in batch.outputs] == [x.shape[1:] for x in other.outputs]:
        return batch, 1.0
    for end in (False, True):

        def part(x: Tensor, y: Tensor, end: bool = end) -> Tensor:
            for axis in range(1, x.ndim):
                size = min(x.shape[axis], y.shape[axis])
                x = x.narrow(axis, x.shape[axis] - size if end else 0, size)
            return x

        cut = batch._replace(
            outputs=[part(x, y) for x, y in zip(batch.outputs, other.outputs, strict=True)],
            targets=_zipped(part, batch.targets, other.targets),
        )
        slopes = zip(_slopes(task, batch), other.outputs, strict=True)
        inside = [part(slope, y) for slope, y in slopes]
        alone = _slopes(task, cut)
        if _moving(alone):
            pairs = zip(inside, alone, strict=True)
            return cut, _ratio([slope * (own != 0) for slope, own in pairs], alone)
    raise ValueError("nothing that both batches have counts")


def _slopes(task: Task, batch: Batch) -> list[Tensor]:
    """The gradient of the loss in each output; zero in those that are not real."""
    with torch.enable_grad():
        leaves = [_leaf(x) for x in batch.outputs]
        outputs = closed(leaves, batch.emptied)
        loss = task.loss_of(outputs, _weights(task), targets=batch.targets)
        floating = [x for x in leaves if x.requires_grad]
        # of outputs that hold no tensor which is seen nothing is known
        found = iter(
            torch.autograd.grad(loss, floating, materialize_grads=True, allow_unused=True)
            if floating and loss.requires_grad
            else map(torch.zeros_like, floating)
        )
    return [next(found) if x.requires_grad else torch.zeros_like(x) for x in leaves]


def _leaf(x: Tensor) -> Tensor:
    return x.detach().requires_grad_(x.is_floating_point())


def _ratio(slopes: list[Tensor], alone: list[Tensor]) -> float:
    """The factor between two gradients.

    Raises:
        ArgumentError: they are not parallel.
        UnmovedError: there is nothing to compare.
    """
    a, b = (torch.cat([x.double().flatten() for x in parts]) for parts in (slopes, alone))
    if not bool(torch.isfinite(b).all()) or not bool(b.any()):
        raise UnmovedError("no gradient in the outputs")
    ratio = float(a @ b / (b @ b))
    if float(torch.linalg.vector_norm(a - ratio * b)) > ALIKE * float(
        torch.linalg.vector_norm(b)
    ) * max(ratio, ALIKE):
        raise argument_error("loss", MUST, "neither: what a sample adds depends on the others")
    return ratio


def _meets_weights(task: Task, batch: Batch) -> bool:
    """Whether the loss uses the weights itself."""
    weights = {name: weight.requires_grad_() for name, weight in _weights(task).items()}
    outputs = closed(batch.outputs, batch.emptied)
    with torch.enable_grad():
        loss = task.loss_of(outputs, weights, targets=batch.targets)
        if not loss.requires_grad:
            return False
        slopes = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        return any(slope is not None for slope in slopes)


def _weights(task: Task) -> dict[str, Tensor]:
    named = task.network.named_parameters()
    return {name: weight.detach() for name, weight in named if weight.is_floating_point()}


def _zipped(function: Callable[[Tensor, Tensor], Tensor], one: Any, other: Any) -> Any:
    """The function of the tensors in two structures that are alike."""
    (a, emptied), (b, _) = opened(one), opened(other)
    return closed([function(x, y) for x, y in zip(a, b, strict=True)], emptied)
