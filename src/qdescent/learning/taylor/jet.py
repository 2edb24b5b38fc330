"""A quantity that PyTorch's functions take for a tensor, and that records what they do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from qdescent._checks import ArgumentError, argument_error, shortened
from qdescent.learning.taylor.smooth import BRANCHES, Smooth, body
from qdescent.learning.taylor.tape import Node, Operation, Tape

# a Jet, a tuple of them, or NotImplemented for arguments that it does not know
Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}  # by the name of PyTorch's function; rules/ fills it on import


def rule(*names: str) -> Callable[[Rule], Rule]:
    """The decorated function is the rule of the PyTorch functions of these names."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


USE = {
    "GELU, SiLU, tanh": (
        "relu relu_ leaky_relu relu6 elu celu selu hardtanh threshold prelu rrelu hardswish"
        " hardsigmoid hardshrink softshrink softsign"
    ),
    'nonlinearity="tanh", LSTM or GRU': "rnn_relu rnn_relu_cell",
    "mean pooling, or convolutions with strides": (
        "max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d"
        " adaptive_max_pool3d"
    ),
    "a smooth function such as softplus": (
        "max amax min amin abs clamp clamp_min clamp_max maximum minimum"
    ),
    "the mean squared error or cross-entropy": (
        "l1_loss smooth_l1_loss huber_loss hinge_embedding_loss margin_ranking_loss"
    ),
    "a smooth function, or a choice that does not depend on the weights": "gt ge lt le bool",
}
INSTEAD = {name: use for use, names in USE.items() for name in names.split()}
VIEWED = (
    "view reshape transpose permute swapaxes movedim flatten unflatten squeeze unsqueeze expand"
    " narrow select getitem chunk split unbind contiguous to diagonal"
)
VIEWS = frozenset(VIEWED.split())


class MissingRuleError(ArgumentError, AttributeError):
    """An operation that no Taylor rule covers; an AttributeError too, so that `hasattr` answers on
    a Jet.
    """


class Jet:
    """A quantity whose truncated power series a tape propagates.

    Args:
        tape: what records.
        node: the quantity.

    A function without a rule that PyTorch writes in Python is run as it is written; any other
    smooth one is an operation of its own, `Smooth`. Functions with a kink raise an ArgumentError
    that names them and says what to use instead.
    """

    __array_ufunc__ = None  # a number of NumPy to its left leaves the product to it
    layout, requires_grad = torch.strided, False

    def __init__(self, tape: Tape, node: Node) -> None:
        assert node.value is not None
        self.tape, self.node = tape, node
        self.shape, self.dtype, self.device = node.value.shape, node.value.dtype, node.value.device
        self.ndim = len(self.shape)
        tape.rounding = max(tape.rounding, torch.finfo(self.dtype).eps)
        self.shared = False  # whether another Jet is a view of it, or it of another

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
        return _by_name("permute", self, tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> Jet:
        """The last two axes exchanged."""
        return _by_name("transpose", self, -2, -1)

    def record(self, operation: Operation) -> Jet:
        """The output of one more operation on the tape."""
        self.tape.operations.append(operation)
        self.tape.entries += operation.output.value.numel()  # type: ignore[union-attr]
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
        return called(function, args, kwargs or {})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name.startswith("is_") and not callable(getattr(Tensor, name, print)):
            return getattr(self.value, name)  # such as is_cuda
        method = getattr(Tensor, name, None)
        if name not in RULES and (name in INSTEAD or not callable(method)):
            raise _missing(name)
        return lambda *args, **kwargs: called(method, (self, *args), kwargs, name)

    def __add__(self, other: Any) -> Jet:
        return _by_name("add", self, other)

    __radd__ = __add__

    def __iadd__(self, other: Any) -> Jet:
        return _changed(self, "add_", other)

    def __isub__(self, other: Any) -> Jet:
        return _changed(self, "sub_", other)

    def __imul__(self, other: Any) -> Jet:
        return _changed(self, "mul_", other)

    def __itruediv__(self, other: Any) -> Jet:
        return _changed(self, "div_", other)

    def __neg__(self) -> Jet:
        return _by_name("mul", self, -1.0)

    def __sub__(self, other: Any) -> Jet:
        return _by_name("sub", self, other)

    def __rsub__(self, other: Any) -> Jet:
        return _by_name("sub", other, self)

    def __mul__(self, other: Any) -> Jet:
        return _by_name("mul", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Jet:
        return _by_name("div", self, other)

    def __rtruediv__(self, other: Any) -> Jet:
        return _by_name("div", other, self)

    def __pow__(self, exponent: float) -> Jet:
        return _by_name("pow", self, exponent)

    def __matmul__(self, other: Any) -> Jet:
        return _by_name("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Jet:
        return _by_name("matmul", other, self)

    def __rpow__(self, base: Any) -> Jet:
        return (
            _by_name("exp", self * math.log(base))
            if isinstance(base, float | int) and base > 0
            else _by_name("rpow", self, base)
        )

    def __abs__(self) -> Jet:
        return _by_name("abs", self)

    def __gt__(self, other: Any) -> Any:
        return _by_name("gt", self, other)

    def __ge__(self, other: Any) -> Any:
        return _by_name("ge", self, other)

    def __lt__(self, other: Any) -> Any:
        return _by_name("lt", self, other)

    def __le__(self, other: Any) -> Any:
        return _by_name("le", self, other)

    def __bool__(self) -> bool:
        return bool(_by_name("bool", self))

    def __getitem__(self, index: Any) -> Jet:
        return _by_name("getitem", self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        called(None, (self, index, value), {}, "__setitem__")


def called(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], name: str | None = None
) -> Any:
    """What a function of PyTorch makes of arguments among which are Jets.

    Args:
        function: as PyTorch hands it over.
        args, kwargs: its arguments.
        name: of its rule; None: its own.
    """
    name = name or str(getattr(function, "__name__", function))
    if not args and "input" in kwargs:  # as PyTorch calls the first argument
        kwargs = dict(kwargs)
        args = (kwargs.pop("input"),)
    if name not in RULES and (name in INSTEAD or name.strip("_") in BRANCHES):
        raise _missing(name)
    if name.endswith("_") and name not in RULES:
        return _in_place(name, args, kwargs)
    found = RULES[name](*args, **kwargs) if name in RULES else NotImplemented
    if found is NotImplemented:
        plain = body(function)
        return plain(*args, **kwargs) if plain else _by_itself(function, args, kwargs, name)
    if name in VIEWS:
        for jet in (args[0], *(found if isinstance(found, tuple) else [found])):
            if isinstance(jet, Jet):
                jet.shared = True
    return found


def _in_place(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Jet:
    """x becomes f(x): the same Jet stands for another quantity from now on."""
    x, plain = args[0], name.removesuffix("_")
    if name == "__setitem__" and isinstance(x, Jet):
        plain = "setitem"
    elif name.startswith("__") or not isinstance(x, Jet):
        raise _missing(
            name,
            "a change in place of what is no function of the weights (torch.stack"
            " joins parts that were collected in a list)",
        )
    if x.shared or x.node in x.tape.leaves:
        raise _missing(name, "a change in place of a weight or of what has views")
    y = called(getattr(torch, plain, None) or getattr(Tensor, plain, None), args, kwargs, plain)
    x.node, y.node = y.node, x.node
    return x


def _changed(x: Jet, name: str, other: Any) -> Jet:
    """x += other and its like: whoever else has x sees it, save where x is a view or has some."""
    if x.shared or x.node in x.tape.leaves:
        return _by_name(name.removesuffix("_"), x, other)
    return _in_place(name, (x, other), {})


def _by_itself(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Any:
    """A smooth function without a rule, as an operation; of several outputs each is one."""
    leaves, structure = tree_flatten((args, kwargs))
    places = [k for k, leaf in enumerate(leaves) if isinstance(leaf, Jet)]
    jets = [leaves[k] for k in places]
    tape = jets[0].tape

    def apply(*tensors: Tensor) -> Any:
        given = list(leaves)
        for k, tensor in zip(places, tensors, strict=True):
            given[k] = tensor
        args, kwargs = tree_unflatten(given, structure)
        return function(*args, **kwargs)

    def one(path: int | None) -> Jet:
        take = apply if path is None else lambda *tensors: apply(*tensors)[path]
        return jets[0].record(Smooth(name, take, [jet.node for jet in jets], tape.order))

    try:
        values = apply(*(jet.value for jet in jets))
        if isinstance(values, float):
            raise TypeError("a number that no longer knows of the weights")
        if any(isinstance(v, Tensor) and v.is_complex() for v in tree_leaves(values)):
            raise TypeError("a complex quantity")
        if not any(isinstance(v, Tensor) and v.is_floating_point() for v in tree_leaves(values)):
            return values  # a question, whose answer is constant near here
        found: Any = (
            tuple(one(k) if isinstance(v, Tensor) else v for k, v in enumerate(values))
            if isinstance(values, (tuple, list))
            else one(None)
        )
    except ArgumentError as error:
        raise MissingRuleError(str(error)) from error
    except Exception as error:  # whatever PyTorch raises for arguments that it does not know
        raise _missing(name, error) from error
    tape.alone.add(name)
    return found


def _by_name(name: str, *args: Any) -> Any:
    """The function of this name, or what Python's operator stands for."""
    return called(getattr(torch, name, None) or getattr(Tensor, name, None), args, {}, name)


def _missing(name: str, error: object = "") -> MissingRuleError:
    must = (
        "be made of operations that have a Taylor rule (smooth activations such as GELU, linear"
        " maps, convolutions, attention, recurrent layers, mean pooling, norms) or nested"
        " derivatives"
    )
    use = f" (use {INSTEAD[name]} instead)" if name in INSTEAD else ""
    why = f": {shortened(str(error), 200)}" if str(error) else ""
    return MissingRuleError(str(argument_error("network", must, f"using {name!r}{use}{why}")))
