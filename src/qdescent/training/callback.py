"""Spectra through a training: at chosen steps, within a budget, without a trace in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, cast

from torch import Tensor, nn

from qdescent._checks import (
    ArgumentError,
    argument_error,
    check_callable,
    check_instance,
    check_integer,
    check_interval,
)
from qdescent._evidence import Row
from qdescent.carleman.dissipation import MOST_STEPS as MOST_HORIZON
from qdescent.carleman.dissipation import diagnose
from qdescent.learning.batches import as_batch, mapped, samples_of
from qdescent.learning.curvature.hessian import hessian
from qdescent.learning.masks import Mask
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.linalg.spectra.density import MOST_PROBES, spectral_density
from qdescent.linalg.spectra.lanczos import MOST_STEPS
from qdescent.training.measured_rows import measured_rows
from qdescent.training.measurement import (
    MOST_SAMPLES,
    PRODUCT,
    Measurement,
    Skipped,
    left_as_it_was,
)
from qdescent.training.scalars import check_log, log


class SpectrumCallback:
    """Measures the Hessian spectrum of the kept weights at chosen steps of a training.

    In a plain loop call `callback.step(network)` after each `optimizer.step()`, and `callback(0,
    network)` before the first where the start is wanted; `for_lightning()` and `for_hugging_face()`
    give what these trainers take. The network is measured in evaluation mode and put back as it
    was: weights, gradients, modes, running statistics and random generators stay untouched, so that
    a training ends bit for bit where it would have ended without.

    Args:
        loss: (outputs, targets) -> a scalar tensor; as `Task` takes it; for a Hugging Face model
            `lambda out, batch: out.loss`, or `cross_entropy` of its `logits`.
        data: the probe batch on which every spectrum is taken, (inputs, targets) in every form that
            `Task` takes, such as `next(iter(loader))`; moved to the network's device.
        at: the steps: a list of them, or k for every k-th.
        learning_rate: eta that `diagnose` is asked about: of the segment that would run on the
            quantum computer.
        momentum: beta, likewise.
        horizon: T of the diagnosis; 60 steps are twice the paper's early stage, and E(t) is exact
            up to 2 x 32 - 1 = 63.
        mask: the weights that are kept; None: as `torch.nn.utils.prune` has it at that step, all
            where nothing is pruned. What is a mode is decided by `ParameterSpace`: frozen
            parameters (without `requires_grad`) are none.
        steps: Lanczos steps: 32 resolve the outliers.
        probes: random vectors: 2 are the least that give error bars.
        budget: the cost of the products, 2.2 gradients each at most, as a share of the gradients
            that the training took so far. A due measurement that would exceed it is skipped and
            recorded as `Skipped`; that at step 0 is never skipped, but counts. 0.1 with 32 x 2
            products allows a measurement every 1408 steps; `float("inf")` allows all.
        batch: samples of a training step, by which the cost is scaled; None: as many as in `data`.
        seed: seed of the probes, the same at each step: what changes is then the network, not the
            draw.
        log_to: the logger that is told each measurement as it is made: an object with
            `add_scalar(name, value, step)`, as TensorBoard's SummaryWriter has it, or with
            `log(values)`, such as a run of Weights & Biases; None: nowhere.

    Attributes:
        measurements: (step, Spectrum, Dissipation) of each measurement.
        skipped: (step, reason) of each that did not take place.
        spent: cost of all products so far, in gradients of a training step.
        taken: updates so far; None before the first call.

    Raises:
        ArgumentError: in the first measurement whatever `Task`, `ParameterSpace` or
            `spectral_density` refuses. Later ones have worked before: it is then the training that
            went wrong (NaN weights), and the refusal is recorded as `Skipped`.

    Cost: steps x probes Hessian products and two or three more gradients for each measurement; for
        the first four products and two gradients in float64 besides, by which `hessian` and
        `spectral_density` check the operator.

    Example:
        >>> import torch
        >>> network = nn.Linear(2, 1, bias=False)
        >>> data = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1)
        >>> callback = SpectrumCallback(
        ...     nn.functional.mse_loss, data, at=100, learning_rate=0.1, steps=2, budget=0.5
        ... )
        >>> _ = callback(0, network)
        >>> for _ in range(200):  # backward() and optimizer.step() come here
        ...     _ = callback.step(network)
        >>> for step, spectrum, seen in callback.measurements:
        ...     print(step, round(spectrum.lambda_max[0], 6), seen.verdict)
        0 4.0 fully dissipative
        100 4.0 fully dissipative
        200 4.0 fully dissipative
    """

    def __init__(
        self,
        loss: Callable[[Any, Tensor], Tensor],
        data: Any,
        at: int | Sequence[int],
        learning_rate: float,
        momentum: float = 0.0,
        horizon: int = 60,
        mask: Mask | None = None,
        steps: int = 32,
        probes: int = 2,
        budget: float = 0.1,
        batch: int | None = None,
        seed: int = 0,
        log_to: Any = None,
    ) -> None:
        check_callable("loss", loss, "a function of (outputs, targets)")
        check_instance("mask", mask, Mask, optional=True)
        self.loss, self.data, self.mask = loss, as_batch(data), mask
        self.learning_rate = check_interval("learning_rate", learning_rate, "(0, inf)")
        self.momentum = check_interval("momentum", momentum, "[0, 1)")
        self.horizon = check_integer("horizon", horizon, 1, MOST_HORIZON)
        self.steps = check_integer("steps", steps, 1, MOST_STEPS)
        self.probes = check_integer("probes", probes, 1, MOST_PROBES)
        self.budget = check_interval("budget", budget, "(0, inf]")
        self.seed = check_integer("seed", seed, 0)
        self.log_to = check_log("log_to", log_to)
        several = isinstance(at, Sequence) and not isinstance(at, (str, bytes))
        self.every = None if several else check_integer("at", at, 1)  # type: ignore[arg-type]
        chosen = cast(Sequence[int], at) if several else ()
        self.chosen = frozenset(check_integer("at", step, 0) for step in chosen)
        if self.every is None and not self.chosen:
            raise argument_error("at", "hold at least one step", "empty")
        samples = samples_of(self.data)
        taken = samples if batch is None else check_integer("batch", batch, 1, MOST_SAMPLES)
        self.cost = self.steps * self.probes * PRODUCT * samples / taken
        self.measurements: list[Measurement] = []
        self.skipped: list[Skipped] = []
        self.spent = 0.0
        self.taken: int | None = None

    def step(self, network: nn.Module) -> Measurement | None:
        """One update was taken: measure if it is time. Call it after each `optimizer.step()`."""
        return self((self.taken or 0) + 1, network)

    def __call__(self, step: int, network: nn.Module) -> Measurement | None:
        """`step` updates were taken in all: measure if it is time; once a step.

        Returns:
            Measurement, or None where none was due or it was skipped.

        Raises:
            ArgumentError: a step below the last one.
        """
        step = check_integer("step", step, 0, MOST_SAMPLES)
        check_instance("network", network, nn.Module, called="a torch.nn.Module")
        if step == self.taken:
            return None
        if self.taken is not None and step < self.taken:
            raise argument_error("step", f"not fall below the last one, {self.taken}", step)
        self.taken = step
        if not (step in self.chosen if self.every is None else step % self.every == 0):
            return None
        allowed = self.budget * step
        if step > 0 and self.spent + self.cost > allowed:
            reason = (
                f"over budget: {self.steps} steps x {self.probes} probes cost {self.cost:.4g}"
                f" gradients, {self.spent:.4g} are spent, and budget {self.budget:g} allows"
                f" {allowed:.4g} after {step} steps"
            )
            self.skipped.append(Skipped(step, reason))
            return None
        self.spent += self.cost
        try:
            with left_as_it_was(network):
                measured = self._measure(step, network)
        except ArgumentError as error:
            if not self.measurements:
                raise
            self.skipped.append(Skipped(step, str(error)))
            return None
        self.measurements.append(measured)
        log(self.log_to, measured)
        return measured

    def _measure(self, step: int, network: nn.Module) -> Measurement:
        space = ParameterSpace(network, self.mask)
        inputs, targets = (
            mapped(part, lambda x: x.to(space.device)) for part in as_batch(self.data)
        )
        operator = hessian(
            Task(network, self.loss, (inputs, targets)), space, check=not self.measurements
        )
        spectrum = spectral_density(
            operator, self.steps, self.probes, self.seed, check=not self.measurements
        )
        return Measurement(
            step, spectrum, diagnose(spectrum, self.learning_rate, self.momentum, self.horizon)
        )

    def rows(self, prefix: str = "through_training") -> list[Row]:
        """The record as rows: curves over the measured steps, the verdicts, what was skipped, and
        the overhead.

        Args:
            prefix: the first word of each row's name.
        """
        return measured_rows(self, prefix)

    def for_lightning(self) -> Any:
        """This callback as a `lightning.pytorch.Callback`: measures before the first batch and
        after each update.

        The spectrum is that of `loss(module(inputs), targets)` over the LightningModule's
        parameters. With several processes the first one measures.

        Raises:
            ModuleNotFoundError: the package `lightning` is not installed.
        """
        callback = self

        class LightningSpectra(import_module("lightning.pytorch").Callback):  # type: ignore[misc]
            def on_train_start(self, trainer: Any, module: nn.Module) -> None:
                if trainer.is_global_zero:
                    callback(trainer.global_step, module)

            def on_train_batch_end(
                self, trainer: Any, module: nn.Module, *rest: Any, **named: Any
            ) -> None:
                self.on_train_start(trainer, module)

        return LightningSpectra()

    def for_hugging_face(self) -> Any:
        """This callback as a `transformers.TrainerCallback`: measures before the first and after
        each update.

        `data` is a batch as the model takes it: the dict that its collator makes, a pair such as
        `({"input_ids": ids}, labels)`, or with a tensor for its first argument. With several
        processes the first one measures. The attention must have a double backward: load the model
        with `attn_implementation="eager"`.

        Raises:
            ModuleNotFoundError: the package `transformers` is not installed.
        """
        callback = self

        class HuggingFaceSpectra(import_module("transformers").TrainerCallback):  # type: ignore[misc]
            def on_train_begin(
                self, args: Any, state: Any, control: Any, model: nn.Module, **named: Any
            ) -> None:
                if state.is_world_process_zero:
                    callback(state.global_step, model)

            def on_step_end(
                self, args: Any, state: Any, control: Any, model: nn.Module, **named: Any
            ) -> None:
                self.on_train_begin(args, state, control, model)

        return HuggingFaceSpectra()
