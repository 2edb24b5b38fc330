"""Several batches of one loss: what each counts in the loss over all of them.

A mean over samples weighs batches by their size. A mean over what is not ignored, or one with class
weights, does not; a sum does not weigh at all. Which it is shows in the loss's gradient in the
outputs, without the network: for a mean with the normaliser c, where c(both) = c(one) + c(other),

    d L(both) / d outputs(one) = c(one) / c(both)  d L(one) / d outputs(one),

and for a sum that factor is 1. A loss of which neither is true (a root, a contrast of samples) has
no Hessian in parts. Where a batch has no such gradient, it is fitted exactly, and has one a step
aside, or nothing in it counts: then it takes nothing from what another batch counts beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from qdescent._checks import ArgumentError, argument_error, check_sequence
from qdescent._random import named_generator
from qdescent.learning.task import Task

ALIKE = 1e-3  # relative: gradients in float32
NEAR = 1e-4  # relative: a count so near the number of samples is that number
ASIDE = 0.1  # of the outputs' size
MUST = (
    "be a mean or a sum over samples or tokens where there are several batches (or take one batch)"
)


class UnmovedError(ValueError):
    """A batch whose outputs do not move the loss."""


class Batch(NamedTuple):
    """What the loss sees of one batch.

    Args:
        outputs: of the network, flat.
        structure: of the outputs.
        targets: as the loss takes them.
        samples: their number.
    """

    outputs: list[Any]
    structure: Any
    targets: Any
    samples: int

    def aside(self) -> Batch:
        """Outputs a step away from these, where an exact fit has a gradient, too."""
        generator = named_generator(0, "outputs aside")

        def moved(x: Any) -> Any:
            if not isinstance(x, Tensor) or not x.is_floating_point():
                return x
            step = torch.randn(x.shape, generator=generator, device="cpu").to(x)
            return x + ASIDE * (float(x.square().mean()) ** 0.5 or 1.0) * step

        return self._replace(outputs=[moved(x) for x in self.outputs])

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""

        def there(x: Any) -> Any:
            return x.to(device) if isinstance(x, Tensor) else x

        return self._replace(
            outputs=[there(x) for x in self.outputs], targets=tree_map(there, self.targets)
        )


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
        ArgumentError: no task; a loss that is neither a mean nor a sum.

    Cost: for several tasks one pass forward each.
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
    return next((batch for batch in tried if _moving(_slopes(tasks[0], batch))), batches[0])


def seen(task: Task) -> Batch:
    """What the loss sees of a task's batch at the network's own weights."""
    with torch.no_grad():
        outputs, structure = tree_flatten(task.outputs_with(_weights(task)))
    return Batch(outputs, structure, task.data[1], task.batch)


def counted(tasks: Sequence[Task], first: Batch) -> Counts:
    """What the tasks count beside the batch `first` of the same loss.

    Raises:
        ArgumentError: a loss that is neither a mean nor a sum.
    """
    values, kinds = [], set()
    for task in tasks:
        value, is_sum = _beside(task, first)
        near = abs(value - task.batch) <= NEAR * task.batch
        values.append(1.0 if is_sum else float(task.batch) if near else value)
        kinds.add(is_sum)
    if len(kinds) == 2:
        raise argument_error("loss", MUST, "a sum over some and a mean over others")
    return Counts(values, kinds == {True})


def _beside(task: Task, first: Batch) -> tuple[float, bool]:
    """What a task counts, in samples of the first batch; and whether the loss is a sum."""
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
        return _by_values(task, first)
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
    both = [
        torch.cat([a, b * factor if b.is_floating_point() else b]) if isinstance(a, Tensor) else a
        for a, b in pairs
    ]
    targets = _zipped(lambda a, b: torch.cat([a, b]), one.targets, other.targets)
    lengths = [len(x) for x in one.outputs if isinstance(x, Tensor)]
    return _slopes(task, one._replace(outputs=both, targets=targets)), lengths


def _moving(slopes: list[Tensor]) -> bool:
    """Whether gradients in outputs are numbers, and not all zero."""
    return all(bool(s.isfinite().all()) for s in slopes) and any(bool(s.any()) for s in slopes)


def _cut(task: Task, batch: Batch, other: Batch) -> tuple[Batch, float]:
    """The batch with only as much of the axes after the first (padded sequences) as both have; what
    share of it counts there.
    """
    outputs = [x.shape[1:] for x in batch.outputs if isinstance(x, Tensor)]
    if outputs == [x.shape[1:] for x in other.outputs if isinstance(x, Tensor)]:
        return batch, 1.0
    for end in (False, True):

        def part(x: Any, y: Any, end: bool = end) -> Any:
            if not isinstance(x, Tensor):
                return x
            for axis in range(1, x.ndim):
                size = min(x.shape[axis], y.shape[axis])
                x = x.narrow(axis, x.shape[axis] - size if end else 0, size)
            return x

        cut = batch._replace(
            outputs=[part(x, y) for x, y in zip(batch.outputs, other.outputs, strict=True)],
            targets=_zipped(part, batch.targets, other.targets),
        )
        tensors = [y for y in other.outputs if isinstance(y, Tensor)]
        inside = [part(slope, y) for slope, y in zip(_slopes(task, batch), tensors, strict=True)]
        alone = _slopes(task, cut)
        if _moving(alone):
            pairs = zip(inside, alone, strict=True)
            return cut, _ratio([slope * (own != 0) for slope, own in pairs], alone)
    raise ValueError("nothing that both batches have counts")


def _slopes(task: Task, batch: Batch) -> list[Tensor]:
    """The gradient of the loss in each output that is a tensor; zero in those that are not real."""
    with torch.enable_grad():
        leaves = [_leaf(x) for x in batch.outputs]
        loss = task.loss_of(
            tree_unflatten(leaves, batch.structure), _weights(task), targets=batch.targets
        )
        floating = [x for x in leaves if isinstance(x, Tensor) and x.requires_grad]
        found = iter(torch.autograd.grad(loss, floating, materialize_grads=True, allow_unused=True))
    tensors = [x for x in leaves if isinstance(x, Tensor)]
    return [next(found) if x.requires_grad else torch.zeros_like(x) for x in tensors]


def _leaf(x: Any) -> Any:
    return x.detach().requires_grad_(x.is_floating_point()) if isinstance(x, Tensor) else x


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


def _by_values(task: Task, first: Batch) -> tuple[float, bool]:
    """By halves of the batch against the whole, where batches cannot be put one after the other;
    samples or nothing.

    Raises:
        ArgumentError: the loss is no mean over samples.
    """
    if task.batch < 2:
        return float(task.batch), False
    middle = task.batch // 2
    halves = [
        task.with_data(
            tree_map(lambda x, part=part: x[part] if isinstance(x, Tensor) else x, task.data)
        )
        for part in (slice(None, middle), slice(middle, None))
    ]
    whole, low, high = (float(each.loss_with(_weights(each)).double()) for each in (task, *halves))
    share, spread = middle / task.batch, abs(low) + abs(high) + abs(whole)
    if abs(share * low + (1 - share) * high - whole) <= ALIKE * spread:
        return float(task.batch), False
    if abs(low + high - whole) <= ALIKE * spread and not _meets_weights(task, seen(task)):
        return 1.0, True
    raise argument_error(
        "loss", MUST, f"neither: {whole:.4g} of a batch, {low:.4g} and {high:.4g} of its halves"
    )


def _meets_weights(task: Task, batch: Batch) -> bool:
    """Whether the loss uses the weights itself."""
    weights = {name: weight.requires_grad_() for name, weight in _weights(task).items()}
    outputs = tree_unflatten(batch.outputs, batch.structure)
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
    """The function of the tensors in two structures that are alike; of anything else, the first."""
    flat, structure = tree_flatten(one)
    pairs = zip(flat, tree_leaves(other), strict=True)
    return tree_unflatten(
        [function(a, b) if isinstance(a, Tensor) else a for a, b in pairs], structure
    )
