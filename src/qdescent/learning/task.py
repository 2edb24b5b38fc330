"""What is minimised: a network, a loss and one batch of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from qdescent._array_checks import check_dtype
from qdescent._checks import (
    ArgumentError,
    argument_error,
    check_callable,
    check_instance,
    shown,
)
from qdescent.learning.batches import (
    NARROW,
    Path,
    as_batch,
    called,
    check_text_mask,
    mapped,
    part_at,
    prediction_in,
    samples_of,
    tensors_of,
    ways_to_call,
)
from qdescent.learning.elsewhere import once_more
from qdescent.learning.evaluation import evaluated, held_weights
from qdescent.learning.parameters import ParameterSpace, check_space
from qdescent.learning.refusals.broadcast import NoPairing
from qdescent.learning.refusals.cures import data_must, loss_must, not_taken
from qdescent.learning.refusals.modes import checked_modes
from qdescent.learning.unchanged import DATA, Remembered, Unchanged, inputs_left_alone
from qdescent.learning.untouched import alone, check_shaped, weights_of


@dataclass(frozen=True)
class Task:
    """L(theta) = loss(network(inputs; theta), targets), a deterministic function of the weights.

    Nothing of the network is changed by an evaluation: see `untouched`.

    Args:
        network: any module, evaluated in the mode that it has now (`eval()` freezes BatchNorm and
            turns dropout off). Threads that measure it wait for each other; none may train it
            meanwhile. An embedding with `max_norm` is not renormalised any more.
        loss: (outputs, targets) -> a scalar tensor. It may use the network's weights itself (an L2
            penalty): they are then part of what is differentiated. If it cannot take outputs that
            are a dict, a tuple or a dataclass, it is given their `logits`, or the only tensor in
            them.
        data: (inputs, targets) of one batch; tensors, arrays, lists of numbers, or tuples, dicts
            and dataclasses of them. A tuple of inputs is spread over the network's arguments, a
            dict over those of its names; if the network has none of these names it gets the dict
            itself. A lone dict is both inputs and targets, for a loss such as `lambda outputs,
            batch: outputs.loss`. Bytes that only fit as token ids are taken as int64, narrow labels
            always.
        modes: training (True) or not, of each of `network.modules()`; None: as they are now.

    Attributes:
        data: the same with tensors.
        held: whether the loss or the network meets weights by another way than the network's
            modules (a list made before).
        way: how the network is called, see `ways_to_call`.
        standing: whether its data are what they were when it was made.
        reads: the way to the one tensor in structured outputs that the loss is given; empty: it is
            given all.

    Raises:
        ArgumentError: data that do not fit the network or the loss; padded texts without their mask
            (see `check_text_mask`); NaN in the data or in the loss;
            targets that broadcasting would pair with outputs of other samples; a BatchNorm layer in
            training mode (its Hessian is neither symmetric nor deterministic), or a spectral
            normalisation; weights of which each process holds a part; a network that changes its
            inputs in place; a loss that differs
            between two evaluations (dropout left on), or that uses weights where nothing can take
            their place; a network that changes its weights when it is called.

    Example:
        >>> import torch
        >>> network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout(0.5))
        >>> data = torch.ones(4, 3), torch.zeros(4, 2)
        >>> Task(network, torch.nn.functional.mse_loss, data)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `network` must hold dropout in evaluation mode ...
        >>> Task(network.eval(), torch.nn.functional.mse_loss, data).batch
        4
    """

    network: nn.Module = field(repr=False)
    loss: Callable[[Any, Any], Tensor]
    data: tuple[Any, Any] = field(repr=False)
    modes: tuple[bool, ...] | None = field(default=None, repr=False, kw_only=True)
    held: bool = field(init=False, default=False, repr=False, compare=False)
    way: str = field(init=False, default="whole", repr=False, compare=False)
    reads: Path = field(init=False, default=(), repr=False, compare=False)
    standing: Unchanged = field(init=False, repr=False, compare=False)
    checked: Remembered = field(init=False, default_factory=Remembered, repr=False, compare=False)

    @alone
    def __post_init__(self) -> None:
        check_instance("network", self.network, nn.Module)
        check_callable("loss", self.loss, "a function of (outputs, targets)")
        self._keep(as_batch(self.data))
        check_shaped(self.network)
        self._set(modes=checked_modes(self.network, self.modes))
        weights = weights_of(self.network)
        lent = {name: weight.clone() for name, weight in weights.items()}
        first = evaluated(self.network, lent, self._first_loss, modes=self.modes)
        for name, weight in lent.items():
            if not torch.allclose(weight, weights[name], rtol=0, atol=0, equal_nan=True):
                must = (
                    "leave its weights as they are when it is called (renormalise or clamp them"
                    " before, by hand)"
                )
                raise argument_error("network", must, f"changing {name!r}")
        if isinstance(first, Tensor) and held_weights(first, self.network):
            self._set(held=True)
            first = self.loss_with(weights)
            left = held_weights(first, self.network)
            if left:
                must = (
                    "use the network's weights as they are, not what was computed from them before"
                    " it was called"
                )
                raise argument_error(
                    "loss", must, f"dependent on such results of {', '.join(left)}"
                )
        if not isinstance(first, Tensor):
            raise argument_error(
                "loss", "return a scalar tensor", f"one that returns {shown(first)}"
            )
        if not first.is_floating_point():
            must = "return a real number, which its gradient can be of"
            raise argument_error("loss", must, f"one of type {first.dtype}")
        if first.ndim != 0:
            raise argument_error("loss", "return a scalar", f"of shape {tuple(first.shape)}")
        second = once_more(self.network, lent, first, self.loss_with)
        del lent
        if not bool(torch.isfinite(first)):
            raise argument_error("loss", "be finite at the network's weights", first.item())
        if not torch.equal(first, second):
            raise argument_error(
                "loss",
                "be deterministic (no dropout, no random augmentation inside the network or the"
                " loss)",
                f"{first.item():.9g} once and {second.item():.9g} the next time",
            )

    @property
    def batch(self) -> int:
        """The number of samples in its data."""
        return samples_of(self.data)

    def with_data(self, data: tuple[Any, Any]) -> Task:
        """The same network and loss on another batch."""
        return replace(self, data=data)

    def loss_at(self, space: ParameterSpace, theta: Tensor) -> Tensor:
        """L at the point theta (n,), a scalar."""
        check_space(space, self.network)
        check_instance("theta", theta, Tensor, called="a tensor (torch.as_tensor makes one)")
        return self.loss_with(space.unpack(theta if theta.is_complex() else theta.to(space.dtype)))

    def outputs_at(self, space: ParameterSpace, theta: Tensor, inputs: Any) -> Any:
        """The network's outputs at theta for other inputs, as the loss takes them: a tensor, or
        containers of tensors; without a gradient.
        """
        weights = check_space(space, self.network).unpack(space.point(theta))
        try:
            outputs = evaluated(
                self.network,
                weights,
                lambda network: self._outputs(network, inputs),
                self.held,
                self.modes,
            )
        except ArgumentError:
            raise
        except Exception as problem:
            must = "be what the network takes"
            raise argument_error("inputs", must, not_taken(problem)) from problem
        return mapped(outputs, Tensor.detach)

    def loss_and_gradient(
        self, space: ParameterSpace, theta: Tensor, dtype: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor]:
        """L(theta) and grad L(theta) in R^n, in `dtype` (None: the weights'); one gradient."""
        check_space(space, self.network)
        check_instance("theta", theta, Tensor, called="a tensor (torch.as_tensor makes one)")
        theta = theta.to(space.dtype) if dtype is None and not theta.is_complex() else theta
        weights = {name: w.detach().requires_grad_() for name, w in space.unpack(theta).items()}
        with torch.enable_grad():
            loss = self.loss_with(weights, dtype)
        gradient = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
        return loss.detach(), space.pack(gradient).detach()

    def loss_with(self, weights: Mapping[str, Tensor], dtype: torch.dtype | None = None) -> Tensor:
        """L for weights given by name, full-shaped, computed in `dtype` (None: the weights')."""
        self._check_weights(weights, dtype)
        return self._evaluated(
            weights, dtype, lambda network: self.loss_as_it_stands(network, dtype)
        )

    def loss_as_it_stands(self, network: nn.Module, dtype: torch.dtype | None = None) -> Tensor:
        """L with whatever stands in the places of the network's weights."""
        inputs, targets = self._in(dtype)
        return self.loss(self._outputs(network, inputs), targets)

    def outputs_with(
        self, weights: Mapping[str, Tensor], dtype: torch.dtype | None = None
    ) -> Tensor:
        """The network's outputs for weights given by name; inputs and buffers follow `dtype`."""
        self._check_weights(weights, dtype)
        inputs = self._in(dtype)[0]
        return self._evaluated(weights, dtype, lambda network: self._outputs(network, inputs))

    @staticmethod
    def _check_weights(weights: Mapping[str, Tensor], dtype: torch.dtype | None) -> None:
        check_instance("weights", weights, Mapping, called="tensors by name")
        if not weights or not all(isinstance(weight, Tensor) for weight in weights.values()):
            raise argument_error(
                "weights", "be tensors by name, at least one", shown(dict(weights))
            )
        if dtype is not None:
            check_dtype("dtype", dtype)

    def loss_of(
        self,
        outputs: Any,
        weights: Mapping[str, Tensor],
        dtype: torch.dtype | None = None,
        targets: Any = None,
    ) -> Tensor:
        """The loss of given outputs and targets (None: the task's), for weights given by name where
        it uses them itself.
        """
        self._check_weights(weights, dtype)
        targets = self._in(dtype)[1] if targets is None else targets
        return self._evaluated(weights, dtype, lambda network: self.loss(outputs, targets))

    def _in(self, dtype: torch.dtype | None) -> tuple[Any, Any]:
        """The data; floating-point numbers in `dtype`."""
        self.standing.check()
        if dtype is None:
            return self.data
        inputs, targets = (
            mapped(part, lambda x: x.to(dtype) if x.is_floating_point() else x)
            for part in self.data
        )
        return inputs, targets

    def _outputs(self, network: nn.Module, inputs: Any) -> Any:
        return part_at(called(network, inputs, self.way), self.reads)

    @alone
    def _evaluated(
        self,
        weights: Mapping[str, Tensor],
        dtype: torch.dtype | None,
        run: Callable[[nn.Module], Tensor],
    ) -> Tensor:
        tensors = dict(weights)
        if dtype is not None:
            others = [*self.network.named_parameters(), *self.network.named_buffers()]
            tensors |= {
                name: x.detach().to(dtype, copy=True)
                for name, x in others
                if x.is_floating_point() and name not in weights
            }
        return evaluated(self.network, tensors, run, self.held, self.modes)

    def _first_loss(self, network: nn.Module) -> Tensor:
        """The loss, when nothing is known yet: how the network is called, and what of its outputs
        the loss takes.
        """
        outputs = self._first_outputs(network)
        targets = self.data[1]
        paths: list[Path] = [()]
        path = prediction_in(outputs)
        if path:
            paths.append(path)
        failures: list[Exception] = []
        for path in paths:
            prediction = part_at(outputs, path)
            try:
                with NoPairing(prediction, targets):
                    loss = self.loss(prediction, targets)
            except (ArgumentError, MemoryError, torch.OutOfMemoryError):
                raise
            except Exception as error:  # whatever a stranger's loss raises
                failures.append(error)
            else:
                self._set(reads=path)
                return loss
        cause = failures[-1]
        must = loss_must(outputs, self.data[1], cause)
        raise argument_error("loss", must, not_taken(cause)) from cause

    def _first_outputs(self, network: nn.Module) -> Any:
        given, failures = self.data[0], []
        check_text_mask(network, given)
        wide = mapped(given, lambda x: x.long() if x.dtype in NARROW else x)
        narrow = any(tensor.dtype in NARROW for _, tensor in tensors_of(given))
        # token ids as bytes: no embedding takes them
        for inputs in (given, wide) if narrow else (given,):
            for way in ways_to_call(network, inputs, self.data[1]):
                tensors = (tensor for _, tensor in tensors_of(inputs))
                try:
                    with inputs_left_alone(tensors):
                        outputs = called(network, inputs, way)
                except (ArgumentError, MemoryError, torch.OutOfMemoryError):
                    raise
                except Exception as error:  # whatever a stranger's forward raises
                    failures.append(error)
                else:
                    self._keep((inputs, self.data[1]))
                    self._set(way=way)
                    return outputs
        cause = failures[0]
        if "does not require grad" in str(cause):
            must = "have a `forward` that takes no gradients by the weights"
            raise argument_error("network", must, not_taken(cause)) from cause
        raise argument_error("data", data_must(self.network, given), not_taken(cause)) from cause

    def _keep(self, data: tuple[Any, Any]) -> None:
        tensors = (tensor for part in data for _, tensor in tensors_of(part))
        self._set(data=data, standing=Unchanged("data", DATA, tensors))

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)


def on_samples(task: Task, data: tuple[Any, Any]) -> Task:
    """The same network and loss on samples of the task's own batch, of which nothing is looked at
    again: how the network is called, what of its outputs the loss takes, and that both are
    deterministic was seen of the whole.
    """
    few = copy(task)
    few._keep(data)
    few._set(checked=Remembered())
    return few
