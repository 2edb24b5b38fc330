"""Rounds of upload, segment and download where a trainer's own training ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from qdescent._checks import (
    ArgumentError,
    argument_error,
    check_callable,
    check_instance,
    check_integer,
    check_interval,
    check_iterable,
)
from qdescent.learning.batches import as_batch, mapped
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.magnitude import magnitude_mask
from qdescent.learning.task import Task
from qdescent.training.hybrid import train_hybrid
from qdescent.training.rounds.record import Run
from qdescent.training.schedule import AdaptiveSchedule, Schedule

MOST_BATCHES = 100  # of a loader that are held in memory; the run begins them again


class HybridCallback:
    """Prunes a network at the end of its training and goes on by hybrid rounds on the trainer's own
    batches; the network then has the weights that were read out last.

    In a plain loop call `callback(network, loader)` after it; `for_lightning()` and
    `for_hugging_face()` give what these trainers take. The rounds see the network in evaluation
    mode; its modes are put back.

    Args:
        loss: (outputs, targets) -> a scalar tensor, as `Task` takes it; for a Hugging Face model
            `lambda outputs, batch: outputs.loss`.
        schedule: settings of the rounds. A fixed one takes a batch for each round, the others up to
            100 for their steps; where the loader has fewer they begin again.
        density: kept fraction of each layer's weights.
        seed: seed of the readouts.

    Attributes:
        run: the rounds, once they were made; None before.

    Raises:
        ArgumentError: no batch; a training by several processes; whatever `Task`, `ParameterSpace`
            and `train_hybrid` refuse.

    Example:
        >>> network = nn.Linear(2, 1)
        >>> loader = [(torch.eye(2), torch.ones(2, 1))]
        >>> schedule = Schedule(segment=4, rounds=2, learning_rate=0.1, shots=None)
        >>> callback = HybridCallback(nn.functional.mse_loss, schedule, density=1.0)
        >>> run = callback(network, loader)  # after `optimizer.step()` for the last time
        >>> [len(each.loss) for each in run.rounds], run.rounds[1].loss[-1] < run.rounds[0].loss[0]
        ([5, 5], True)
    """

    def __init__(
        self,
        loss: Callable[[Any, Any], Tensor],
        schedule: Schedule | AdaptiveSchedule,
        density: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.loss = check_callable("loss", loss, "a function of (outputs, targets)")
        self.schedule: Schedule | AdaptiveSchedule = check_instance(
            "schedule", schedule, Schedule, AdaptiveSchedule
        )
        self.density = check_interval("density", density, "(0, 1]")
        self.seed = check_integer("seed", seed, 0)
        self.run: Run | None = None

    def __call__(self, network: nn.Module, loader: Iterable[Any]) -> Run:
        """The rounds, on the first batches of a loader; the network keeps their end."""
        check_instance("network", network, nn.Module, called="a torch.nn.Module")
        check_iterable("loader", loader, called="an iterable of batches")
        modes = {module: module.training for module in network.modules()}
        try:
            network.eval()
            mask = magnitude_mask(network, self.density, scope="layer")
            space = ParameterSpace(network, mask)
            tasks = [
                Task(network, self.loss, self._batch(each, space))
                for each in islice(loader, self._wanted)
            ]
            if not tasks:
                raise argument_error("loader", "give at least one batch", "empty")
            if isinstance(self.schedule, Schedule) and not self.schedule.fresh_batches:
                tasks = [tasks[k % len(tasks)] for k in range(self._wanted)]
            self.run = train_hybrid(tasks, space, self.schedule, seed=self.seed)
            with torch.no_grad():
                for name, weight in space.unpack(self.run.theta).items():
                    network.get_parameter(name).copy_(weight)
        finally:
            for module, training in modes.items():
                module.training = training
        return self.run

    @property
    def _wanted(self) -> int:
        schedule = self.schedule
        by_round = isinstance(schedule, Schedule) and not schedule.fresh_batches
        return schedule.rounds if by_round else min(schedule.steps, MOST_BATCHES)  # type: ignore[union-attr]

    @staticmethod
    def _batch(given: Any, space: ParameterSpace) -> tuple[Any, Any]:
        """A batch of the loader, where the network is."""
        try:
            inputs, targets = (mapped(x, lambda x: x.to(space.device)) for x in as_batch(given))
        except ArgumentError as error:
            must = "give batches of (inputs, targets), or dicts"
            raise argument_error("loader", must, f"one that is refused: {error}") from error
        return inputs, targets

    def for_lightning(self) -> Any:
        """This callback as a `lightning.pytorch.Callback`: the rounds begin where the fit ends.

        The loss is that of `loss(module(inputs), targets)` on batches of the trainer's
        `train_dataloader`.

        Raises:
            ModuleNotFoundError: the package `lightning` is not installed.
        """
        callback = self

        class LightningRounds(import_module("lightning.pytorch").Callback):  # type: ignore[misc]
            def on_train_end(self, trainer: Any, module: nn.Module) -> None:
                _check_alone(trainer.world_size)
                callback(module, trainer.train_dataloader)

        return LightningRounds()

    def for_hugging_face(self) -> Any:
        """This callback as a `transformers.TrainerCallback`: the rounds begin where `train()` ends.

        The batches are the dicts that the Trainer's collator makes; they go to the network and to
        the loss.

        Raises:
            ModuleNotFoundError: the package `transformers` is not installed.
        """
        callback = self

        class HuggingFaceRounds(import_module("transformers").TrainerCallback):  # type: ignore[misc]
            def on_train_end(
                self,
                args: Any,
                state: Any,
                control: Any,
                model: nn.Module,
                train_dataloader: Iterable[Any],
                **named: Any,
            ) -> None:
                _check_alone(args.world_size)
                callback(model, train_dataloader)

        return HuggingFaceRounds()


def _check_alone(processes: int) -> None:
    if processes > 1:
        must = "be of one process (several share a batch by `torchrun -m qdescent train`)"
        raise argument_error("trainer", must, f"of {processes}")
