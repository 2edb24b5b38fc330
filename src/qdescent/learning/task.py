"""What is minimised: a network, a loss and one batch of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from qdescent._checks import argument_error, check_finite
from qdescent.learning.evaluation import evaluated, held_weights
from qdescent.learning.parameters import ParameterSpace


@dataclass(frozen=True)
class Task:
    """L(theta) = loss(network(inputs; theta), targets), a deterministic function of the weights.

    Args:
        network: any module, in the mode in which it is to be studied (`eval()` freezes BatchNorm and turns dropout off).
        loss: (outputs, targets) -> a scalar tensor. It may use the network's weights itself (an L2 penalty): they are then part
            of what is differentiated.
        data: (inputs, targets) of one batch.

    Attributes:
        held: whether the loss or the network meets weights by another way than the network's modules (a list made before).

    Raises:
        ArgumentError: NaN in the data or in the loss; a BatchNorm layer in training mode (its Hessian is neither symmetric nor
            deterministic); a loss that differs between two evaluations (dropout left on), or that uses weights where nothing
            can take their place.

    Example:
        >>> import torch
        >>> network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout(0.5))
        >>> data = torch.ones(4, 3), torch.zeros(4, 2)
        >>> Task(network, torch.nn.functional.mse_loss, data)
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `network` must be without active dropout (call eval()), but is training at '1'.
        >>> Task(network.eval(), torch.nn.functional.mse_loss, data).batch
        4
    """

    network: nn.Module = field(repr=False)
    loss: Callable[[Tensor, Tensor], Tensor]
    data: tuple[Tensor, Tensor] = field(repr=False)
    held: bool = field(init=False, default=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.data) != 2 or len(self.data[0]) != len(self.data[1]) or len(self.data[0]) == 0:
            raise argument_error("data", "be (inputs, targets) of one length, at least 1", "something else")
        check_finite("data inputs", self.data[0])
        check_finite("data targets", self.data[1])
        for name, module in self.network.named_modules():
            if module.training and isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise argument_error("network", "hold BatchNorm in evaluation mode (call eval())", f"not, at {name!r}")
            if module.training and isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
                raise argument_error("network", "be without active dropout (call eval())", f"training at {name!r}")
        weights = {name: weight.detach() for name, weight in self.network.named_parameters()}
        first = self.loss_with(weights)
        if isinstance(first, Tensor) and held_weights(first, self.network):
            object.__setattr__(self, "held", True)
            first = self.loss_with(weights)
            left = held_weights(first, self.network)
            if left:
                must = "use the network's weights as they are, not what was computed from them before it was called"
                raise argument_error("loss", must, f"dependent on such results of {', '.join(left)}")
        second = self.loss_with(weights)
        if first.ndim != 0:
            raise argument_error("loss", "return a scalar", f"of shape {tuple(first.shape)}")
        if not bool(torch.isfinite(first)):
            raise argument_error("loss", "be finite at the network's weights", float(first))
        if not torch.equal(first, second):
            raise argument_error(
                "loss",
                "be deterministic (no dropout, no random augmentation inside the network or the loss)",
                f"{float(first):.9g} once and {float(second):.9g} the next time",
            )

    @property
    def batch(self) -> int:
        """Number of samples."""
        return len(self.data[0])

    def with_data(self, data: tuple[Tensor, Tensor]) -> Task:
        """The same network and loss on another batch."""
        return replace(self, data=data)

    def loss_at(self, space: ParameterSpace, theta: Tensor) -> Tensor:
        """L at the point theta (n,), a scalar."""
        return self.loss_with(space.unpack(theta))

    def outputs_at(self, space: ParameterSpace, theta: Tensor, inputs: Tensor) -> Tensor:
        """The network's outputs at theta for other inputs, without a gradient."""
        outputs: Tensor = evaluated(self.network, space.unpack(theta.detach()), lambda network: network(inputs), self.held)
        return outputs.detach()

    def loss_and_gradient(self, space: ParameterSpace, theta: Tensor, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """L(theta) and grad L(theta) in R^n, in `dtype` (None: the weights' own). Cost: one gradient."""
        weights = {name: w.detach().requires_grad_() for name, w in space.unpack(theta).items()}
        loss = self.loss_with(weights, dtype)
        return loss.detach(), space.pack(torch.autograd.grad(loss, list(weights.values()), materialize_grads=True))

    def loss_with(self, weights: Mapping[str, Tensor], dtype: torch.dtype | None = None) -> Tensor:
        """L for weights given by name, full-shaped, all computed in `dtype` (None: the weights' own)."""
        inputs, targets = self._in(dtype)
        return self._evaluated(weights, dtype, lambda network: self.loss(network(inputs), targets))

    def outputs_with(self, weights: Mapping[str, Tensor], dtype: torch.dtype | None = None) -> Tensor:
        """The network's outputs for weights given by name; inputs and buffers follow `dtype`."""
        inputs = self._in(dtype)[0]
        return self._evaluated(weights, dtype, lambda network: network(inputs))

    def loss_of(self, outputs: Tensor, weights: Mapping[str, Tensor], dtype: torch.dtype | None = None) -> Tensor:
        """The loss of given outputs, for weights given by name where it uses them itself."""
        targets = self._in(dtype)[1]
        return self._evaluated(weights, dtype, lambda network: self.loss(outputs, targets))

    def _in(self, dtype: torch.dtype | None) -> tuple[Tensor, Tensor]:
        """The data; floating-point numbers in `dtype`."""
        inputs, targets = (part.to(dtype) if dtype is not None and part.is_floating_point() else part for part in self.data)
        return inputs, targets

    def _evaluated(self, weights: Mapping[str, Tensor], dtype: torch.dtype | None, run: Callable[[nn.Module], Tensor]) -> Tensor:
        tensors = dict(weights)
        if dtype is not None:
            others = dict(self.network.named_buffers()) | dict(self.network.named_parameters())
            tensors = {name: x.detach().to(dtype) for name, x in others.items() if x.is_floating_point() and name not in weights}
            tensors |= weights
        return evaluated(self.network, tensors, run, self.held)
