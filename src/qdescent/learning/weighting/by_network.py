"""Batches weighed through the network, where its outputs do not tell: it computes its own loss, or
looks at several samples together.

What a batch counts shows in the gradients by the weights then: with c as in `by_outputs`,

    c(both) grad L(both) = c(one) grad L(one) + c(other) grad L(other),

and for a sum the same without c. Sequences of different lengths are padded to be put together,
where the padding is seen to count nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from qdescent._checks import ArgumentError, argument_error
from qdescent._random import named_generator
from qdescent.learning.batches import picked, tensors_of
from qdescent.learning.opened import closed, opened
from qdescent.learning.task import Task, on_samples
from qdescent.linalg.inner_product import dot, norm

ALIKE = 1e-3  # relative: gradients in float32
ASIDE = 0.3  # of the weights' size
COARSE = 1e-2  # a rounding above it, of half precision, tells too little
FEW = 8  # samples that are looked at for what they have to do with each other
IGNORED = -100  # a label that PyTorch's losses leave out
MUST = (
    "be a mean or a sum over samples or tokens where there are several batches (or take one batch)"
)
TOGETHER = (
    "hold batches that can be put together (pad all to one length, or take one batch, or a loss"
    " that is written outside of the network: `lambda outputs, batch: ...`)"
)
Data = tuple[Any, Any]  # (inputs, targets)


class Slope(NamedTuple):
    """The loss and its gradient by all weights, with their rounding, relative."""

    loss: float
    gradient: Tensor
    rounding: float

    def near(self, other: Slope, factor: float = 1.0) -> bool:
        """Whether it is the other times a factor."""
        size = max(norm(self.gradient), norm(other.gradient))
        apart = norm(self.gradient - factor * other.gradient)
        levels = abs(self.loss) + abs(other.loss)
        return apart <= self.rounding * size and (
            abs(self.loss - factor * other.loss) <= self.rounding * levels
        )


def relation_of_samples(task: Task, other: Task | None, moving: Sequence[bool]) -> str:
    """What the outputs for a sample have to do with the other samples of a batch.

    The second half of a batch is replaced by its first half, whose outputs are what they were
    unless they depend on the others: by more than the root of their type's precision, 3e-4 in
    float32 and 1.5e-8 in float64. What depends on them by less is not seen.

    Args:
        task: whose batch is looked at, up to 8 samples of it.
        other: another batch, for one with a single sample.
        moving: whether the loss depends on each of the tensors in the outputs.

    Returns:
        str: "none"; "some" where they depend on them; "unclear" where the loss depends on outputs
        of which the first axis is not that of the samples.

    Cost: two passes forward of up to 8 samples.
    """
    for most in sorted({min(FEW, task.batch), task.batch}):
        try:
            inputs = _some_inputs(task, other, most)
            count = max(most, 2)
            places = torch.arange(count, device="cpu") % ((count + 1) // 2)
            own = _outputs(task, inputs)
            changed = _outputs(task, picked(inputs, places, count))
        except Exception:  # whatever a network that takes batches of one size only raises
            continue
        return _relation(task, own, changed, count, moving)
    return "unclear"


class Through:
    """A batch beside which others are weighed, by gradients through the network; what the first of
    them shows of the loss is kept for the rest.

    Args:
        data: of the batch.
        samples: their number.
    """

    def __init__(self, data: Data, samples: int) -> None:
        self.data, self.samples = data, samples
        self._sum: bool | None = None
        self._steady = False  # no root was seen

    def counts(self, task: Task) -> tuple[float, bool]:
        """What a task counts, in samples of this batch; and whether the loss is a sum.

        Raises:
            ArgumentError: a loss that is neither a mean nor a sum; data that cannot be put together
                with this batch.

        Cost: three gradients; twice as many for the first task, and where batches are padded or do
            not move the loss.
        """
        try:
            for aside in (False, True):
                found = self._counts(task, aside)
                if found is None:
                    continue
                if not self._steady:  # as for a root, whose factors follow the losses
                    again = self._counts(task, True)
                    if again is not None and abs(again[0] - found[0]) > ALIKE * found[0]:
                        raise _neither()
                    self._steady = True
                return found
        except ArgumentError:
            raise
        except Exception as problem:  # whatever a network raises at data put together
            raise argument_error("task", TOGETHER, "of others") from problem
        return float(task.batch), False  # of batches that are alike

    def is_sum(self, task: Task) -> bool:
        """Whether the batch put beside itself counts twice."""
        if self._sum is None:
            self._sum = self._is_sum(task)
        return self._sum

    def _is_sum(self, task: Task) -> bool:
        for aside in (False, True):
            data = self.data, _joined(self.data, self.data)
            one, twice = (_slope(task, each, aside) for each in data)
            a_mean, a_sum = twice.near(one), twice.near(one, 2.0)
            if a_mean != a_sum:
                return a_sum
            if not a_mean:
                raise argument_error("loss", MUST, "neither: twice a batch counts another number")
        return False  # nothing counts in this batch

    def _counts(self, task: Task, aside: bool) -> tuple[float, bool] | None:
        pair = _of_one_length(self.data, task.data)
        one, other = (_slope(task, each, aside) for each in pair)
        for padded, alone, slope in zip(pair, (self.data, task.data), (one, other), strict=True):
            if padded is not alone and not slope.near(_slope(task, alone, aside)):
                raise argument_error("task", TOGETHER, "of lengths that padding changes")
        both = _slope(task, _joined(*pair), aside)
        added = Slope(one.loss + other.loss, one.gradient + other.gradient, one.rounding)
        if self.is_sum(task):
            if both.near(added):
                return 1.0, True
            raise _neither()
        apart = one.gradient - other.gradient
        size, alike = max(norm(one.gradient), norm(other.gradient)), one.rounding
        if norm(apart) <= alike * size:
            if both.near(one):
                return None
            raise _neither()
        gained = both.gradient - other.gradient
        share = float(dot(gained, apart) / dot(apart, apart))
        levels = abs(one.loss) + abs(other.loss)
        off = abs(both.loss - share * one.loss - (1 - share) * other.loss)
        if norm(gained - share * apart) > alike * size or off > alike * levels:
            raise _neither()
        if not alike * alike < share <= 1 + alike:
            raise _neither()
        return self.samples * max(0.0, 1 - share) / share, False


def _neither() -> ArgumentError:
    found = "neither: two batches do not add up to both, put through the network together"
    return argument_error("loss", MUST, found)


def _rounding(task: Task) -> float:
    """Of gradients and outputs, generously: the root of the coarsest type's precision."""
    types = {w.dtype for w in task.network.parameters() if w.is_floating_point()}
    return float(max(torch.finfo(kind).eps for kind in types) ** 0.5)


def _slope(task: Task, data: Data, aside: bool) -> Slope:
    """At the network's own weights, or a step aside."""
    generator = named_generator(0, "weights aside")
    named = {n: w.detach() for n, w in task.network.named_parameters() if w.is_floating_point()}
    rounding, wide = _rounding(task), None
    if rounding > COARSE:  # weighed in single precision
        rounding, wide = torch.finfo(torch.float32).eps ** 0.5, torch.float32
        named = {name: w.to(wide) for name, w in named.items()}
    if aside:
        for name, w in named.items():
            step = torch.randn(w.shape, generator=generator, device="cpu").to(w)
            named[name] = w + ASIDE * (float(w.square().mean()) ** 0.5 or 1.0) * step
    weights = {name: w.requires_grad_() for name, w in named.items()}
    with torch.enable_grad():
        loss = on_samples(task, data).loss_with(weights, wide)
    found = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
    slope = Slope(float(loss.detach().double()), torch.cat([x.flatten() for x in found]), rounding)
    if not bool(slope.gradient.isfinite().all()):
        raise argument_error("loss", MUST, "without a finite gradient of two batches together")
    return slope


def _joined(one: Data, other: Data) -> Data:
    """Both batches as one."""
    if _holds_lists(one):
        raise ValueError("lists are not put together")
    (a, emptied), (b, _) = opened(one), opened(other)
    pairs = zip(a, b, strict=True)
    joined: Data = closed([torch.cat([x, y]) if x.ndim else x for x, y in pairs], emptied)
    return joined


def _holds_lists(tree: Any) -> bool:
    if isinstance(tree, (Mapping, tuple)):
        parts = tree.values() if isinstance(tree, Mapping) else tree
        return any(_holds_lists(part) for part in parts)
    return isinstance(tree, list)


def _of_one_length(one: Data, other: Data) -> tuple[Data, Data]:
    """Both with the axes after the first as long as the longer of them; labels that are added are
    ignored ones, anything else is 0.
    """
    (a, emptied), (b, other_emptied) = opened(one), opened(other)
    sizes = [
        [max(m, n) for m, n in zip(x.shape[1:], y.shape[1:], strict=True)]
        for x, y in zip(a, b, strict=True)
    ]
    paths = [path for path, _ in tensors_of(one)]

    def filled(x: Tensor, size: list[int], path: Any) -> Tensor:
        names = [str(key).lower() for _, key in path[1:]]
        label = any("label" in name or "target" in name for name in names) or (
            not names and path[0][1] == 1
        )
        ends = [end for m, n in zip(x.shape[:0:-1], size[::-1], strict=True) for end in (0, n - m)]
        whole = not x.is_floating_point()
        return functional.pad(x, ends, value=IGNORED if label and whole else 0)

    def padded(data: Data, tensors: list[Tensor], tree: Any) -> Data:
        if all(list(x.shape[1:]) == size for x, size in zip(tensors, sizes, strict=True)):
            return data
        found: Data = closed(map(filled, tensors, sizes, paths), tree)
        return found

    return padded(one, a, emptied), padded(other, b, other_emptied)


def _some_inputs(task: Task, other: Task | None, most: int) -> Any:
    """Of up to so many samples; of two where there is but one."""
    if task.batch > 1:
        return picked(task.data[0], torch.arange(most, device="cpu"), task.batch)
    if other is not None:
        both = _joined(*_of_one_length(task.data, other.data))[0]
        return picked(both, torch.arange(2, device="cpu"), 1 + other.batch)
    return picked(task.data[0], torch.zeros(2, dtype=torch.long, device="cpu"), 1)


def _outputs(task: Task, inputs: Any) -> list[Tensor]:
    named = {n: w.detach() for n, w in task.network.named_parameters() if w.is_floating_point()}
    with torch.no_grad():
        return opened(on_samples(task, (inputs, task.data[1])).outputs_with(named))[0]


def _relation(
    task: Task, own: list[Tensor], changed: list[Tensor], count: int, moving: Sequence[bool]
) -> str:
    half, found = (count + 1) // 2, "none"
    of_weights = _rounding(task)
    for x, y, moves in zip(own, changed, moving, strict=True):
        if not moves:
            continue
        axes = [axis for axis, length in enumerate(x.shape) if length == count]
        if not axes or x.shape != y.shape:
            return "unclear"
        rounding = max(of_weights, torch.finfo(x.dtype).eps ** 0.5)
        x, y = (torch.nan_to_num(z.double()) for z in (x, y))
        gaps = [float((x - y).narrow(axis, 0, half).abs().max()) for axis in axes]
        if min(gaps) > rounding * float(x.abs().max()):
            return "some"
        if axes[gaps.index(min(gaps))]:  # not the first, along which batches are put together
            found = "unclear"
    return found
