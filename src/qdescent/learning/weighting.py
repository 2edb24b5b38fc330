"""Several batches of one loss: what each counts in the loss over all of them.

A mean over samples weighs batches by their size. A mean over what is not ignored, or one with class
weights, does not; a sum does not weigh at all. Which it is shows in the loss's gradient in the
outputs, without the network: for a mean with the normaliser c, where c(both) = c(one) + c(other),

    d L(both) / d outputs(one) = c(one) / c(both)  d L(one) / d outputs(one),

and for a sum that factor is 1. A loss of which neither is true (a root, a contrast of samples) has
no Hessian in parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from qdescent._checks import ArgumentError, argument_error, check_sequence
from qdescent.learning.task import Task

ALIKE = 1e-3  # relative: gradients in float32
NEAR = 1e-4  # relative: a count so near the number of samples is that number
MUST = (
    "be a mean or a sum over samples or tokens where there are several batches (or take one batch)"
)


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
        return self.values if self.is_sum else [value / total for value in self.values]


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
    counts = counted(tasks, seen(tasks[0]))
    return list(zip(tasks, counts.weights(sum(counts.values)), strict=True))


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
        left, right = _factors(task, first, batch)
    except ArgumentError:
        raise
    # they cannot be put one after the other
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError):
        return _by_values(task, first)
    if abs(left - 1) < ALIKE and abs(right - 1) < ALIKE:
        if _meets_weights(task, batch):
            must = (
                "be a mean where it uses the weights itself and there are several batches (divide"
                " it by their number)"
            )
            raise argument_error("loss", must, "a sum")
        return 1.0, True
    if left <= 0 or right < 0:
        raise argument_error(
            "loss", MUST, "neither: the gradients of two batches do not add up to that of both"
        )
    return first.samples * right / left, False


def _factors(task: Task, first: Batch, batch: Batch) -> tuple[float, float]:
    """c(one) / c(both) of either batch, up to a common factor; both 1 for a sum.

    Raises:
        ArgumentError: the loss has no normaliser that adds up.
        ValueError: nothing of a batch counts.
    """
    one, share = _cut(task, first, batch)
    other, other_share = _cut(task, batch, first)
    lengths = [len(x) for x in one.outputs if isinstance(x, Tensor)]
    targets = _zipped(lambda a, b: torch.cat([a, b]), one.targets, other.targets)

    def of_both(factor: float) -> list[Tensor]:
        pairs = zip(one.outputs, other.outputs, strict=True)
        both = [
            (
                torch.cat([a, b * factor if b.is_floating_point() else b])
                if isinstance(a, Tensor)
                else a
            )
            for a, b in pairs
        ]
        return _slopes(task, one._replace(outputs=both, targets=targets))

    slopes, alone = of_both(1.0), _slopes(task, one)
    left = _ratio([s[:k] for s, k in zip(slopes, lengths, strict=True)], alone)
    right = _ratio([s[k:] for s, k in zip(slopes, lengths, strict=True)], _slopes(task, other))
    again = _ratio([s[:k] for s, k in zip(of_both(0.5), lengths, strict=True)], alone)
    if abs(again - left) > ALIKE * abs(left):  # as for a root, whose factors follow the losses
        raise argument_error(
            "loss", MUST, "neither: what a sample counts depends on the outputs for others"
        )
    a_sum = abs(left - 1) < ALIKE and abs(right - 1) < ALIKE
    if not a_sum and abs(left + right - 1) > ALIKE:
        raise argument_error(
            "loss", MUST, "neither: the gradients of two batches do not add up to that of both"
        )
    return left / share, right / other_share


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
        if any(bool(slope.any()) for slope in alone) and all(
            bool(slope.isfinite().all()) for slope in alone
        ):
            return cut, _ratio(
                [slope * (own != 0) for slope, own in zip(inside, alone, strict=True)], alone
            )
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
    return [
        next(found) if x.requires_grad else torch.zeros_like(x)
        for x in leaves
        if isinstance(x, Tensor)
    ]


def _leaf(x: Any) -> Any:
    return x.detach().requires_grad_(x.is_floating_point()) if isinstance(x, Tensor) else x


def _ratio(slopes: list[Tensor], alone: list[Tensor]) -> float:
    """The factor between two gradients.

    Raises:
        ArgumentError: they are not parallel.
        ValueError: there is nothing to compare.
    """
    a, b = (torch.cat([x.double().flatten() for x in parts]) for parts in (slopes, alone))
    if not bool(torch.isfinite(b).all()) or not bool(b.any()):
        raise ValueError("no gradient in the outputs")
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
    with torch.enable_grad():
        loss = task.loss_of(
            tree_unflatten(batch.outputs, batch.structure), weights, targets=batch.targets
        )
        if not loss.requires_grad:
            return False
        return any(
            g is not None
            for g in torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        )


def _weights(task: Task) -> dict[str, Tensor]:
    return {
        name: weight.detach()
        for name, weight in task.network.named_parameters()
        if weight.is_floating_point()
    }


def _zipped(function: Callable[[Tensor, Tensor], Tensor], one: Any, other: Any) -> Any:
    """The function of the tensors in two structures that are alike; of anything else, the first."""
    flat, structure = tree_flatten(one)
    pairs = zip(flat, tree_leaves(other), strict=True)
    return tree_unflatten(
        [function(a, b) if isinstance(a, Tensor) else a for a, b in pairs], structure
    )
