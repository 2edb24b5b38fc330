"""A recorded computation, run again and again in truncated power series: forward, then backward.

Every quantity x(eps) = x_0 + eps x_1 + ... + eps^N x_N has an adjoint series of the same length,
xbar(eps) = dL/dx along the curve, because the chain rule holds coefficient by coefficient. The
values x_0 and their adjoints are those of a plain gradient: they are computed once, when the
computation is recorded; each run adds degrees 1 to N by Cauchy products. The coefficients of a
quantity of shape (...) lie in one tensor of shape (N, ...), so that one call of PyTorch serves all
degrees that share a factor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from qdescent.learning.taylor.transpose import recorded

# Where a series of order 1 takes less time than two passes backward (benchmarks/product_ways.py):
# convolutions make this share of all numbers at least, and an operation so many on average.
CONVOLVED, NUMBERS = 0.05, 7e3
# degrees 1 ... N: one tensor (N, ...), or a list where stacking would copy whole weights
Terms = Tensor | list[Tensor]


@dataclass(eq=False)
class Node:
    """A quantity of the computation: its value while it is recorded, its coefficients and its
    adjoint's while they are needed.
    """

    value: Tensor | None
    terms: Terms | None = None
    adjoint: Terms | None = None
    # where the adjoint goes at once instead, degree by degree
    sink: Callable[[Iterable[Tensor]], None] | None = None
    moving: int | None = None  # of a leaf whose terms beyond this degree are 0
    # where a leaf's coefficients come from each time they are asked for, in the place of `terms`
    fetch: Callable[[], Tensor] | None = None
    _joined: tuple[Tensor, Tensor] | None = None

    def coefficients(self) -> Terms:
        """Degrees 1 ... N."""
        terms = self.terms if self.fetch is None else self.fetch()
        assert terms is not None
        return terms

    def joined(self, value: Tensor) -> Tensor:
        """Degrees 0 ... N, (N + 1, ...), held once however many operations keep it."""
        if self.fetch is not None:
            return with_value(value, self.fetch())
        if self._joined is None or self._joined[1] is not self.terms:
            full = with_value(value, stacked(self.coefficients()))
            self.terms = full[1:]
            self._joined = full, self.terms
        return self._joined[0]

    def let_go(self) -> None:
        """Nobody asks for the coefficients any more."""
        self.terms = self._joined = None


class Operation(Protocol):
    """One step of the computation. Degrees 1 to N come and go as `Terms`."""

    output: Node

    @property
    def inputs(self) -> tuple[Node, ...]:
        """What it takes."""

    def pull_value(self, adjoint: Tensor) -> Sequence[Tensor]:
        """Degree 0 of the inputs' adjoints from that of the output's; called once, first."""

    def push(self) -> Tensor:
        """Degrees 1 ... N of the output, (N, ...)."""

    def pull(self, adjoint: Tensor) -> Sequence[Terms | Iterator[Tensor]]:
        """Degrees 1 ... N of the inputs' adjoints from those of the output's, or one degree after
        the other.
        """


class Tape:
    """Operations in the order in which they were called, of series cut after degree N."""

    def __init__(self, order: int) -> None:
        self.order = order
        self.operations: list[Operation] = []
        self.leaves: set[Node] = set()
        self.alone: set[str] = set()  # functions without a rule: by nested derivatives
        self.rounding = 0.0  # of the coarsest type that a quantity has
        self.entries = 0  # of all operations' outputs together
        self.convolved = 0  # of these, of convolutions
        self._last_uses: list[list[Node]] = []

    def leaf(self, value: Tensor) -> Node:
        """A quantity that is given from outside."""
        leaf = Node(value)
        self.leaves.add(leaf)
        return leaf

    def beats_double_backward(self, times: float = 1.0) -> bool:
        """Whether a product by this series takes less time than one by autograd: convolutions lie
        better in memory here, what is small or fused in PyTorch goes step by step.

        Args:
            times: the samples that the products are of, over those that were recorded.
        """
        large = times * self.entries >= NUMBERS * len(self.operations)
        return large and self.convolved >= CONVOLVED * self.entries

    def close(self, output: Node) -> None:
        """End the recording: the output's adjoint is 1, from which all adjoints' degree 0 follows;
        the leaves keep theirs.
        """
        assert output.value is not None
        output.adjoint = torch.ones_like(output.value)
        self._back(lambda operation, adjoint: operation.pull_value(adjoint))
        seen: set[int] = {id(output)}
        for operation in reversed(self.operations):
            self._last_uses.append([node for node in operation.inputs if id(node) not in seen])
            seen.update(map(id, operation.inputs))
        self._last_uses.reverse()

    def forward(self) -> None:
        """All coefficients from those of the leaves; each is let go after its last use."""
        for operation, finished in zip(self.operations, self._last_uses, strict=True):
            operation.output.terms = operation.push()
            for node in finished:
                node.let_go()

    def backward(self, output: Node) -> None:
        """The adjoints of the leaves, degrees 1 ... N."""
        assert isinstance(output.terms, Tensor)
        output.adjoint, output.terms = torch.zeros_like(output.terms), None
        self._back(lambda operation, adjoint: operation.pull(adjoint))

    def _back(
        self, pull: Callable[[Operation, Tensor], Sequence[Terms | Iterator[Tensor]]]
    ) -> None:
        for operation in reversed(self.operations):
            adjoint, operation.output.adjoint = operation.output.adjoint, None
            if adjoint is None:
                continue  # nothing of the output depends on it
            for node, part in zip(operation.inputs, pull(operation, stacked(adjoint)), strict=True):
                if node.sink is not None:
                    node.sink(part)
                    continue
                known = part if isinstance(part, Tensor) else list(part)
                node.adjoint = known if node.adjoint is None else _sum(node.adjoint, known)


def _sum(a: Terms, b: Terms) -> Terms:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        # a sum lies in memory as its first addend does; what comes from a convolution lies right
        return b + a if _channels_last(b) else a + b
    return [x + y for x, y in zip(a, b, strict=True)]


def _channels_last(x: Tensor) -> bool:
    return x.ndim > 3 and x.stride(-3) == 1 and x.stride(-1) == x.shape[-3]


def stacked(terms: Terms) -> Tensor:
    """(N, ...)."""
    return terms if isinstance(terms, Tensor) else torch.stack(terms)


def with_value(value: Tensor, terms: Tensor) -> Tensor:
    """Degrees 0 ... N, (N + 1, ...). Joined along the batch, for `cat` keeps the memory format of
    four dimensions only.
    """
    if value.ndim == 0:
        return torch.cat([value[None], terms])
    return torch.cat([value, terms.flatten(0, 1)]).unflatten(0, (len(terms) + 1, len(value)))


def lead(x: Tensor, dimensions: int) -> Tensor:
    """(M, ...) with ones after the first axis, to broadcast the rest in so many dimensions."""
    missing = dimensions + 1 - x.ndim
    return x if missing <= 0 else x.reshape(len(x), *(1,) * missing, *x.shape[1:])


def reduce(x: Tensor, shape: torch.Size) -> Tensor:
    """The transpose of broadcasting: (M, ...) summed to (M, *shape)."""
    if x.shape[1:] == shape:
        return x
    padded = (len(x), *(1,) * (x.ndim - 1 - len(shape)), *shape)
    return x.sum_to_size(padded).reshape(len(x), *shape)


class Map:
    """y = f(x), f linear: it acts on every coefficient; its transpose is autograd's.

    Args:
        function: f.
        x: its argument.
        constant: what is added to degree 0 alone.
        batched: whether `vmap` knows f's derivative by rule; else the coefficients go one by one.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        x: Node,
        constant: Tensor | None = None,
        batched: bool = True,
    ) -> None:
        assert x.value is not None
        self.inputs: tuple[Node, ...] = (x,)
        value = function(x.value)
        self.output = Node(value if constant is None else value + constant)
        self._function, self._batched = function, batched
        # f is linear: its transpose needs the shape alone, not the value
        self._at = x.value.new_zeros(()).expand(x.value.shape)

    def pull_value(self, adjoint: Tensor) -> Sequence[Tensor]:
        return recorded(self._function, self._at)[1](adjoint, False)

    def push(self) -> Tensor:
        terms = self.inputs[0].coefficients()
        if self._batched and isinstance(terms, Tensor):
            return torch.func.vmap(self._function)(terms)
        return torch.stack([self._function(term) for term in terms])

    def pull(self, adjoint: Tensor) -> Sequence[Terms | Iterator[Tensor]]:
        transpose = recorded(self._function, self._at)[1]
        if self._batched:
            return transpose(adjoint, True)
        # one degree after the other: a table of embeddings may be the largest of all weights
        return [(transpose(part, False)[0] for part in adjoint)]


class Shift:
    """y = alpha x + c with c constant, which may broadcast x."""

    def __init__(self, x: Node, constant: Tensor | float, alpha: float = 1.0) -> None:
        assert x.value is not None
        self.inputs: tuple[Node, ...] = (x,)
        self._alpha = alpha
        self.output = Node(
            torch.add(constant, x.value, alpha=alpha)
            if isinstance(constant, Tensor)
            else alpha * x.value + constant
        )
        self._from, self._to = x.value.shape, self.output.value.shape  # type: ignore[union-attr]

    def pull_value(self, adjoint: Tensor) -> Sequence[Tensor]:
        return [reduce(self._scaled(adjoint)[None], self._from)[0]]

    def push(self) -> Tensor:
        terms = self._scaled(stacked(self.inputs[0].coefficients()))
        return terms if self._from == self._to else lead(terms, len(self._to)).expand(-1, *self._to)

    def pull(self, adjoint: Tensor) -> Sequence[Terms]:
        return [reduce(self._scaled(adjoint), self._from)]

    def _scaled(self, x: Tensor) -> Tensor:
        return x if self._alpha == 1 else self._alpha * x


class Sum:
    """x + alpha y, with broadcasting."""

    def __init__(self, x: Node, y: Node, alpha: float = 1.0) -> None:
        assert x.value is not None
        assert y.value is not None
        self.inputs: tuple[Node, ...] = (x, y)
        self._alpha = alpha
        self.output = Node(torch.add(x.value, y.value, alpha=alpha))
        self._shapes = (x.value.shape, y.value.shape)
        self._dimensions = max(x.value.ndim, y.value.ndim)

    def pull_value(self, adjoint: Tensor) -> Sequence[Tensor]:
        return [part[0] for part in self.pull(adjoint[None])]

    def push(self) -> Tensor:
        series = (stacked(node.coefficients()) for node in self.inputs)
        x, y = (lead(terms, self._dimensions) for terms in series)
        return torch.add(x, y, alpha=self._alpha)

    def pull(self, adjoint: Tensor) -> list[Tensor]:
        left, right = (reduce(adjoint, shape) for shape in self._shapes)
        return [left, right if self._alpha == 1 else self._alpha * right]


class Join:
    """cat or stack of quantities and constants."""

    def __init__(
        self, function: Callable[[Sequence[Tensor]], Tensor], parts: Sequence[Node | Tensor]
    ) -> None:
        values = tuple(part.value if isinstance(part, Node) else part for part in parts)
        self.inputs = tuple(part for part in parts if isinstance(part, Node))
        value, self._transpose = recorded(lambda *all_: function(all_), *values)  # type: ignore[arg-type]
        self.output = Node(value)
        self._function = torch.func.vmap(lambda *all_: function(all_))
        self._parts = [part if isinstance(part, Node) else torch.zeros_like(part) for part in parts]

    def pull_value(self, adjoint: Tensor) -> Sequence[Tensor]:
        return self._moving(self._transpose(adjoint, False))

    def push(self) -> Tensor:
        known = {id(node): stacked(node.coefficients()) for node in self.inputs}
        length = len(known[id(self.inputs[0])])
        full = [
            known[id(p)] if isinstance(p, Node) else p.expand(length, *p.shape) for p in self._parts
        ]
        return self._function(*full)

    def pull(self, adjoint: Tensor) -> Sequence[Terms]:
        return self._moving(self._transpose(adjoint, True))

    def _moving(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        return [g for g, part in zip(gradients, self._parts, strict=True) if isinstance(part, Node)]
