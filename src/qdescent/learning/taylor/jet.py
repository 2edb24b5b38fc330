"""A quantity that PyTorch's functions take for a tensor, and that records what they do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from qdescent._checks import ArgumentError, argument_error
from qdescent.learning.taylor.tape import Node, Operation, Tape

Rule = Callable[..., Any]  # a Jet, or a tuple of them
RULES: dict[str, Rule] = {}  # by the name of PyTorch's function; taylor_rules.py fills it on import


def rule(*names: str) -> Callable[[Rule], Rule]:
    """The decorated function is the rule of the PyTorch functions of these names."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


INSTEAD = {
    **dict.fromkeys(
        [
            "relu",
            "relu_",
            "leaky_relu",
            "relu6",
            "elu",
            "celu",
            "selu",
            "hardtanh",
            "threshold",
            "prelu",
        ],
        "GELU, SiLU, tanh",
    ),
    **dict.fromkeys(
        ["max_pool1d", "max_pool2d", "adaptive_max_pool2d"],
        "mean pooling, or convolutions with strides",
    ),
    **dict.fromkeys(
        ["max", "amax", "min", "amin", "abs", "clamp", "clamp_min", "clamp_max"],
        "a smooth function such as softplus",
    ),
    **dict.fromkeys(
        ["gt", "ge", "lt", "le", "bool"],
        "a smooth function, or a choice that does not depend on the weights",
    ),
    "scaled_dot_product_attention": "softmax(Q K^T / sqrt(d)) V by matrix products",
    "multi_head_attention_forward": (
        "attention by matrix products and softmax, as in `vision_transformer`"
    ),
}


class MissingRuleError(ArgumentError, AttributeError):
    """An operation that no Taylor rule covers; an AttributeError too, so that `hasattr` answers on
    a Jet.
    """


class Jet:
    """A quantity whose truncated power series a tape propagates.

    Args:
        tape: what records.
        node: the quantity.

    Functions without a rule raise an ArgumentError that names them and says what to use instead.
    """

    def __init__(self, tape: Tape, node: Node) -> None:
        assert node.value is not None
        self.tape, self.node = tape, node
        self.shape, self.dtype, self.device = node.value.shape, node.value.dtype, node.value.device
        self.ndim = len(self.shape)

    def __del__(self) -> None:
        if "node" in self.__dict__:  # a copy that somebody has begun has none
            self.node.value = None  # what is needed of it, the operations have kept

    @property
    def value(self) -> Tensor:
        """Degree 0, while the recording lasts."""
        assert self.node.value is not None
        return self.node.value

    @property
    def T(self) -> Jet:
        """The transpose."""
        return RULES["permute"](self, tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> Jet:
        """The last two axes exchanged."""
        return RULES["transpose"](self, -2, -1)

    def record(self, operation: Operation) -> Jet:
        """The output of one more operation on the tape."""
        self.tape.operations.append(operation)
        return Jet(self.tape, operation.output)

    def size(self, dim: int | None = None) -> torch.Size | int:
        """As `Tensor.size`."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """As `Tensor.dim`."""
        return self.ndim

    def numel(self) -> int:
        """As `Tensor.numel`."""
        return self.shape.numel()

    def __len__(self) -> int:
        return self.shape[0]

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return _rule(getattr(function, "__name__", str(function)))(*args, **(kwargs or {}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        rule = _rule(name)
        return lambda *args, **kwargs: rule(self, *args, **kwargs)

    def __add__(self, other: Any) -> Jet:
        return RULES["add"](self, other)

    __radd__ = __add__

    def __neg__(self) -> Jet:
        return RULES["mul"](self, -1.0)

    def __sub__(self, other: Any) -> Jet:
        return RULES["sub"](self, other)

    def __rsub__(self, other: Any) -> Jet:
        return RULES["sub"](other, self)

    def __mul__(self, other: Any) -> Jet:
        return RULES["mul"](self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Jet:
        return RULES["div"](self, other)

    def __rtruediv__(self, other: Any) -> Jet:
        return RULES["div"](other, self)

    def __pow__(self, exponent: float) -> Jet:
        return RULES["pow"](self, exponent)

    def __matmul__(self, other: Any) -> Jet:
        return RULES["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Jet:
        return RULES["matmul"](other, self)

    def __rpow__(self, base: Any) -> Jet:
        return (
            _rule("exp")(self * math.log(base))
            if isinstance(base, float | int) and base > 0
            else _rule("rpow")(self, base)
        )

    def __abs__(self) -> Jet:
        return _rule("abs")(self)

    def __gt__(self, other: Any) -> Any:
        return _rule("gt")(self, other)

    def __ge__(self, other: Any) -> Any:
        return _rule("ge")(self, other)

    def __lt__(self, other: Any) -> Any:
        return _rule("lt")(self, other)

    def __le__(self, other: Any) -> Any:
        return _rule("le")(self, other)

    def __bool__(self) -> bool:
        return bool(_rule("bool")(self))

    def __getitem__(self, index: Any) -> Jet:
        return RULES["getitem"](self, index)


def _rule(name: str) -> Rule:
    if name not in RULES:
        must = (
            "be made of operations that have a Taylor rule (smooth activations such as GELU, linear"
            " maps, convolutions, softmax, mean pooling, group and layer norms) or be smooth and"
            ' run with method="jvp"'
        )
        use = f" (use {INSTEAD[name]} instead)" if name in INSTEAD else ""
        raise MissingRuleError(str(argument_error("network", must, f"using {name!r}{use}")))
    return RULES[name]
