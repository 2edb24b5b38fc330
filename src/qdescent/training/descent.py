"""Classical training: the dense network before pruning, and masked descent, the baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any

import torch
from torch import Tensor, nn

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    ArgumentError,
    argument_error,
    check_callable,
    check_instance,
    check_integer,
    check_interval,
    check_iterable,
    shown,
)
from qdescent._random import named_generator
from qdescent.learning.batches import (
    Path,
    called,
    part_at,
    picked,
    prediction_in,
    samples_of,
    ways_to_call,
)
from qdescent.learning.datasets import ImageData
from qdescent.learning.descent.diverged import DivergedError
from qdescent.learning.descent.sgd import SGD, step_change
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.refusals.cures import data_must, not_taken
from qdescent.learning.task import Task
from qdescent.training.dense.state import DenseState, check_goes_on, restored, tensors_in
from qdescent.training.samples import Samples, named_correctly, samples_in

TESTED_AT_ONCE = 1000  # test samples


def displacements(
    task: Task | Iterable[Task],
    space: ParameterSpace,
    theta: Tensor,
    learning_rate: float,
    momentum: float = 0.0,
    velocity: Tensor | None = None,
    weight_decay: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    decoupled: bool = False,
) -> Iterator[tuple[float, Tensor]]:
    """Gradient descent v <- beta v + grad L_t(theta + u), u <- u - eta v from u = 0: (loss before
    the step, u after it).

    The displacement is summed on its own, so that rounding is relative to u and not to the much
    larger theta.

    Args:
        task: one task, for descent without end; or an iterable of tasks, one for each step.
        space: the kept weights.
        theta: where it starts, (n,).
        learning_rate: eta.
        momentum: beta in [0, 1), as in `torch.optim.SGD`.
        velocity: v at the start, (n,); None: there was no step yet, so that the first has no
            dampening.
        weight_decay, dampening, nesterov: as of `torch.optim.SGD`.
        decoupled: weight decay beside the gradient, as in SGDW.

    Raises:
        ArgumentError: the loss is no longer finite: the learning rate is too large.
    """
    rule = SGD(learning_rate, momentum, weight_decay, dampening, nesterov, decoupled)
    theta = check_instance("space", space, ParameterSpace).point(theta)
    velocity = None if velocity is None else space.point(velocity, "velocity")
    if not isinstance(task, Task):
        check_iterable("task", task, called="a Task, or one for each step")
    tasks = repeat(task) if isinstance(task, Task) else task
    for loss, u, _ in walk(tasks, space, theta, rule, velocity):
        yield loss, u


def walk(
    tasks: Iterable[Task],
    space: ParameterSpace,
    theta: Tensor,
    rule: SGD,
    velocity: Tensor | None = None,
) -> Iterator[tuple[float, Tensor, Tensor | None]]:
    """`displacements` by a rule, with the velocity after each step.

    Raises:
        DivergedError: the loss is no longer finite: the learning rate is too large.
    """
    u = torch.zeros_like(theta)
    for each in tasks:
        check_instance("task", each, Task)
        loss, gradient = each.loss_and_gradient(space, theta + u)
        if not bool(torch.isfinite(loss)):
            must = "keep the loss finite (try a tenth of it)"
            raise DivergedError("learning_rate", must, rule.learning_rate)
        change, velocity = step_change(rule, gradient, u, theta, velocity)
        u = change.add_(u)
        yield float(loss), u, velocity


def descend(
    task: Task, space: ParameterSpace, theta: Tensor, learning_rate: float
) -> Iterator[tuple[float, Tensor]]:
    """Plain descent as points: (loss before the step, theta + u after it), endless."""
    check_instance("task", task, Task)
    theta = check_instance("space", space, ParameterSpace).point(theta)
    for loss, u in displacements(task, space, theta, learning_rate):
        yield loss, theta + u


def correct(
    task: Task, space: ParameterSpace, theta: Tensor, images: Any, labels: Tensor
) -> Tensor:
    """Whether the network at theta names the class of each of `images` (any inputs of a `Task`),
    boolean; of labels below 0, which PyTorch's losses leave out, nothing is said.
    """
    check_instance("task", task, Task)
    total = len(check_tensor("labels", labels, (None,), "integer"))
    # not all at once: the activations of 10,000 images are gigabytes
    whole = total <= TESTED_AT_ONCE or (
        isinstance(images, Tensor) and images.layout != torch.strided
    )
    if whole:
        return _named(task.outputs_at(space, theta, images), labels)
    every = torch.arange(total, device="cpu").split(TESTED_AT_ONCE)
    parts = ((picked(images, some, total), picked(labels, some, total)) for some in every)
    return torch.cat([_named(task.outputs_at(space, theta, x), y) for x, y in parts])


def _named(outputs: Any, labels: Tensor) -> Tensor:
    found = named_correctly(outputs, labels)
    if found is None:
        must = "be a class for each sample, of outputs (B, classes)"
        raise argument_error("labels", must, f"{shown(labels)} for {shown(outputs)}")
    return found


def accuracy(
    task: Task, space: ParameterSpace, theta: Tensor, images: Any, labels: Tensor
) -> float:
    """The share of `images`, or of other inputs, that it labels correctly, in [0, 1]."""
    return _share(correct(task, space, theta, images, labels))


def _share(right: Tensor) -> float:
    """0 where there is nothing to be right about."""
    return float(right.double().mean()) if len(right) else 0.0


MOST_EPOCHS = 100_000  # the schedule of the learning rate is spread over them


def train_dense(
    network: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    data: ImageData | Samples,
    epochs: int,
    batch: int = 64,
    learning_rate: float = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 1e-3,
    seed: int = 0,
    state: DenseState | None = None,
    on_epoch: Callable[[DenseState], None] | None = None,
    on_batch: Callable[[], None] | None = None,
) -> DenseState:
    """Train all weights by SGD with momentum and a cosine-decayed rate, in place.

    Args:
        network: the module to train.
        loss: (outputs, targets) -> scalar.
        data: training and test images, or samples of any kind whose targets are class labels.
        epochs: passes over the training samples.
        batch: samples a step; 64 is usual for a set of this size.
        learning_rate: rate at the start; the paper authors' 0.1. Smaller rates end in sharper
            minima, where the first segment after pruning has a larger truncation error.
        momentum: heavy-ball momentum, the paper authors' 0.9.
        weight_decay: 1e-3, five times the paper authors', for a set that is ten times smaller: it
            makes pruning cheaper.
        seed: seed of the order of samples; each epoch draws from its own generator, so that a
            resumed run sees the same order.
        state: state to go on from.
        on_epoch: function called after each epoch, e.g. to save the state.
        on_batch: function called after each step, e.g. to move a progress bar.

    Returns:
        DenseState after the last epoch.

    Raises:
        ArgumentError: the loss became NaN or infinite; samples that the network does not take (of
            another precision); targets that are no class labels; a state of other settings, or of
            more epochs.
    """
    check_instance("network", network, nn.Module, called="a torch.nn.Module")
    check_callable("loss", loss, "a function of (outputs, targets)")
    samples = samples_in(check_instance("data", data, ImageData, Samples))
    if not samples.classified:
        raise argument_error("data", "have class labels as targets", "without")
    total_samples = samples_of(samples.train)
    epochs = check_integer("epochs", epochs, 1, MOST_EPOCHS)
    batch = min(check_integer("batch", batch, 1), total_samples)
    learning_rate = check_interval("learning_rate", learning_rate, "(0, inf)")
    momentum = check_interval("momentum", momentum, "[0, 1)")
    weight_decay = check_interval("weight_decay", weight_decay, "[0, inf)")
    seed = check_integer("seed", seed, 0)
    check_instance("state", state, DenseState, optional=True)
    check_callable("on_epoch", on_epoch, "a function of the state", optional=True)
    check_callable("on_batch", on_batch, optional=True)
    asked = (
        ("epochs", epochs),  # the rate falls over them
        ("batch", batch),
        ("learning_rate", learning_rate),
        ("momentum", momentum),
        ("weight_decay", weight_decay),
        ("seed", seed),
    )
    check_goes_on(state, asked)
    optimizer = torch.optim.SGD(
        network.parameters(), learning_rate, momentum, weight_decay=weight_decay
    )
    done = restored(network, optimizer, state)
    per_epoch = -(-total_samples // batch)
    one = _at(samples.train, torch.tensor([0], device="cpu"), total_samples)
    way = ways_to_call(network, *one)[0]
    with torch.no_grad():  # where in its outputs the loss finds the logits
        try:
            first = called(network.eval(), one[0], way)
        except (ArgumentError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever a stranger's forward raises
            must = data_must(network, one[0])
            raise argument_error("data", must, not_taken(error)) from error
        reads = prediction_in(first) or ()
    if named_correctly(first := part_at(first, reads), one[1]) is None:
        must = "have class labels (B, ...) as targets, for outputs (B, classes, ...)"
        raise argument_error("data", must, f"{shown(one[1])} for {shown(first)}")
    for epoch in range(done.epoch, epochs):
        network.train()
        order = torch.randperm(
            total_samples, generator=named_generator(seed, "dense order", epoch), device="cpu"
        )
        total = 0.0
        for step, indices in enumerate(order.split(batch)):
            progress = torch.tensor((epoch * per_epoch + step) / (epochs * per_epoch), device="cpu")
            optimizer.param_groups[0]["lr"] = learning_rate * float(
                0.5 * (1 + torch.cos(torch.pi * progress))
            )
            optimizer.zero_grad()
            inputs, targets = _at(samples.train, indices, total_samples)
            value = loss(part_at(called(network, inputs, way), reads), targets)
            if not isinstance(value, Tensor) or value.ndim != 0:
                raise argument_error("loss", "return a scalar tensor", f"returning {shown(value)}")
            if not bool(torch.isfinite(value)):
                raise argument_error(
                    "learning_rate", "keep the loss finite (try a tenth of it)", learning_rate
                )
            value.backward()
            optimizer.step()
            total += float(value.detach()) * len(indices)
            if on_batch is not None:
                on_batch()
        network.eval()
        done = DenseState(
            epoch + 1,
            tensors_in(network, optimizer),
            (*done.loss, total / len(order)),
            (*done.test_accuracy, _test_accuracy(network, samples.test, way, reads)),
            asked,
        )
        if on_epoch is not None:
            on_epoch(done)
    network.eval()
    return done


def _at(batch: tuple[Any, Any], indices: Tensor, total: int) -> tuple[Any, Any]:
    inputs, targets = (picked(part, indices, total) for part in batch)
    return inputs, targets


def _test_accuracy(network: nn.Module, test: tuple[Any, Any], way: str, reads: Path) -> float:
    right, total = list[Tensor](), samples_of(test)
    with torch.no_grad():
        for indices in torch.arange(total, device="cpu").split(TESTED_AT_ONCE):
            inputs, targets = _at(test, indices, total)
            outputs = part_at(called(network, inputs, way), reads)
            right.append(_named(outputs, targets))
    return _share(torch.cat(right))
