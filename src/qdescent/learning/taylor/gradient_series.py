"""Taylor series of a loss's gradient along a curve of weights.

Along u(eps) = sum_k eps^k u_k the gradient is grad L(theta + u(eps)) = sum_k eps^k g_k. The chain
rule holds coefficient by coefficient, so one forward and one backward pass in truncated power
series give every g_k (equally: dL_N / du_j = g_{N-j} for the coefficient L_N of the loss). On one
batch the degree-0 part of both passes is the same at every step, and is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import qdescent.learning.taylor.rules.attention
import qdescent.learning.taylor.rules.losses
import qdescent.learning.taylor.rules.recurrent
import qdescent.learning.taylor.rules.shapes  # noqa: F401  (their rules)
from qdescent._array_checks import check_tensor
from qdescent._checks import (
    ArgumentError,
    argument_error,
    check_choice,
    check_instance,
    check_integer,
    check_interval,
    shown,
)
from qdescent.learning.evaluation import HeldWeights
from qdescent.learning.networks.smooth_norms import EPSILON, SmoothGroupNorm, SmoothLayerNorm
from qdescent.learning.parallel.places import Places
from qdescent.learning.parallel.spread import Spread
from qdescent.learning.parameters import ParameterSpace, check_space
from qdescent.learning.refusals.raised import raised
from qdescent.learning.task import Task
from qdescent.learning.taylor.jet import Jet, MissingRuleError
from qdescent.learning.taylor.nested_jvp import NestedSeries
from qdescent.learning.taylor.rules.norms import group_norm, layer_norm
from qdescent.learning.taylor.tape import Tape
from qdescent.learning.unchanged import points_of
from qdescent.learning.untouched import alone, untouched

WAYS = ("auto", "taylor", "jvp")
# Of a series call: measured to order 4 (benchmarks/series_cost.py), then by N(N + 3)/2 products.
GRADIENTS = {1: 1.8, 2: 4.0, 3: 6.6, 4: 9.6, 5: 13.0, 6: 17.0}
MOST_ORDER = 64  # the work grows with its square, and no series is worth so many


class GradientSeries:
    """The coefficients g_1 ... g_N of grad L(theta + sum_k eps^k u_k), for one theta and batch and
    any number of curves u.

    Args:
        task: network, loss and batch.
        space: the kept weights.
        theta: the point, (n,).
        order: N, at least 1.

    Attributes:
        gradient: grad L(theta), (n,), which comes with the recording.
        how: way in which the coefficients are found, in words.
        rounding: of the coarsest type in which anything of it was computed.
        price: of a call, in gradients, as measured on convolutions.
        beats_double_backward: as `Tape` has it.

    Raises:
        ArgumentError: an operation without a Taylor rule (a kink has no series); theta has changed.

    Cost: the construction one gradient; each call N(N+3)/2 forward and reverse convolutions for
        each layer, in batches; memory about N + 2 times a gradient's.

    References:
        Griewank and Walther, Evaluating Derivatives (2008), chapter 13 (Taylor arithmetic).

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(1, 1, bias=False).double()
        >>> data = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        >>> task, space = Task(network, torch.nn.functional.mse_loss, data), ParameterSpace(network)
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> series = GradientSeries(task, space, one, order=2)  # L = theta^2
        >>> series.gradient.tolist(), series([one, one]).tolist(), series([one, 3 * one]).tolist()
        ([2.0], [[2.0], [2.0]], [[2.0], [6.0]])
    """

    @alone
    def __init__(self, task: Task, space: ParameterSpace, theta: Tensor, order: int) -> None:
        check_instance("task", task, Task)
        check_space(space, task.network)
        check_tensor("theta", theta, (space.n,))
        theta = theta.to(space.theta)
        self._space, self.order = space, (order := check_integer("order", order, 1, MOST_ORDER))
        self._tape = tape = Tape(order)
        self._standing = (task.standing, *points_of(theta, task.network, space.names))
        weights = space.unpack(theta.detach())
        with torch.no_grad():
            jets = {name: Jet(self._tape, self._tape.leaf(w)) for name, w in weights.items()}
            held = (
                {id(task.network.get_parameter(name)): jet for name, jet in jets.items()}
                if task.held
                else {}
            )
            met = HeldWeights(held) if held else nullcontext()
            with untouched(task.network, task.modes), weights_replaced(task.network, jets), met:
                try:
                    loss = task.loss_as_it_stands(task.network)
                # a parametrized weight without a rule looks as if it were not there
                except AttributeError as error:
                    if isinstance(error, MissingRuleError):
                        raise
                    _check_parametrizations(task.network)
                    raise
            self._weights = [jet.node for jet in jets.values()]
            # a loss that hangs on no weight stays a tensor
            self._loss = loss.node if isinstance(loss, Jet) else None
            places = Places(space)
            for i, node in enumerate(self._weights):
                node.sink = partial(places.put, i)
            rows = places.begin(theta.new_empty(1, space.n), values=True)
            if self._loss is not None:
                self._tape.close(self._loss)
            self.gradient, self._places = places.closed(rows)[0], places
        self.beats_double_backward = tape.beats_double_backward
        self.rounding, self.price = tape.rounding, GRADIENTS.get(order, order * (order + 3) / 2)
        alone = ", ".join(map(repr, sorted(tape.alone)))
        self.how = f"Taylor rules{f', nested derivatives of {alone} alone' if alone else ''}"

    def __call__(self, terms: Sequence[Tensor] | Tensor) -> Tensor:
        """g_1 ... g_k, (k, n), for the curve u_1 ... u_k, (k, n), k at most N."""
        if isinstance(terms, (str, bytes, type, Mapping)) or not isinstance(
            terms, (Sequence, Tensor)
        ):
            raise argument_error("terms", f"be {self.order} vectors", shown(terms))
        if (isinstance(terms, Tensor) and terms.ndim != 2) or not 1 <= len(terms) <= self.order:
            actual = shown(terms) if isinstance(terms, Tensor) else len(terms)
            raise argument_error("terms", f"be 1 to {self.order} of them", actual)
        terms = [
            check_tensor("terms", term, (self._space.n,), finite=False).to(self.gradient)
            for term in terms
        ]
        self._check_standing()
        if self._loss is None:
            return torch.zeros_like(torch.stack(terms))
        with torch.no_grad():
            directions = [list(self._space.embed(term).values()) for term in terms]
            # of a product's one term nobody looks whether it moves
            last = max((k for k, term in enumerate(terms[1:], 2) if bool(term.any())), default=1)
            for i, node in enumerate(self._weights):
                node.terms, node.moving = [direction[i] for direction in directions], last
            del directions  # each is let go after its last use
            self._tape.forward()
            rows = self._places.begin(self.gradient.new_empty(len(terms), self._space.n))
            self._tape.backward(self._loss)
        return self._places.closed(rows)

    def over(self, parts: Tensor, spread: Spread, weight: float) -> Tensor:
        """The sum over processes of weight times g_1 ... g_k, for a curve that is spread over them:
        what each holds, (k, held), of both.

        A weight's terms are brought together where an operation takes them, and let go; its adjoint
        is summed as soon as it is known. So no process holds a whole term.

        Args:
            parts: this process's places of u_1 ... u_k.
            spread: the places, of each process.
            weight: the share of this process's batch.
        """
        held = check_instance("spread", spread, Spread).held
        shape = (None, held[1] - held[0])
        parts = check_tensor("parts", parts, shape, finite=False).to(self.gradient)
        check_integer("number of parts", len(parts), 1, self.order)
        weight = check_interval("weight", weight, "[0, 1]")
        self._check_standing()
        if self._loss is None:
            return torch.zeros_like(parts)
        with torch.no_grad():
            last = spread.moving(parts)
            for i, node in enumerate(self._weights):
                node.fetch, node.moving = partial(self._places.brought, i, parts, spread), last
            try:
                self._tape.forward()
                rows = self._places.begin(torch.empty_like(parts), spread, weight)
                self._tape.backward(self._loss)
            finally:
                for node in self._weights:
                    node.fetch = None
        return self._places.closed(rows)

    def _check_standing(self) -> None:
        for each in self._standing:  # half of what is recorded would follow
            each.check()


def _check_parametrizations(network: nn.Module) -> None:
    """Say which parametrization has no Taylor rule."""
    for name, module in network.named_modules():
        for weight, chain in getattr(module, "parametrizations", {}).items():
            try:
                chain()
            except MissingRuleError as error:
                kinds = ", ".join(type(each).__name__.lstrip("_") for each in chain)
                must = "be without parametrizations that have no Taylor rule"
                off = f"with {kinds} of {name}.{weight}: {error}"
                raise MissingRuleError(str(argument_error("network", must, off))) from error


def propagate(function: Callable[..., Any], *curves: Sequence[Tensor]) -> list[Tensor]:
    """The coefficients of function(x(eps), y(eps), ...) for given series, all cut after degree N.

    Args:
        function: made of PyTorch operations that have a Taylor rule.
        curves: the coefficients c_0 ... c_N of each argument.

    Returns:
        N + 1 tensors.

    Example:
        >>> import torch
        >>> one, zero = torch.ones(()), torch.zeros(())
        >>> [float(c) for c in propagate(torch.exp, [zero, one, zero])]  # 1 + eps + eps^2/2
        [1.0, 1.0, 0.5]
    """
    tape = Tape(len(curves[0]) - 1)
    with torch.no_grad():
        jets = [Jet(tape, tape.leaf(curve[0])) for curve in curves]
        output = function(*jets)
        value = output.value
        tape.close(output.node)
        for jet, curve in zip(jets, curves, strict=True):
            jet.node.terms = list(curve[1:])
        tape.forward()
    return [value, *output.node.terms]


@contextmanager
def weights_replaced(network: nn.Module, jets: Mapping[str, Jet]) -> Iterator[None]:
    """The network with Jets in the place of its parameters, put back afterwards; its smooth norms
    run as one operation each.

    `torch.func.functional_call` takes tensors only, hence the direct way through each module's
    parameter table.
    """
    by_weight = {id(network.get_parameter(name)): jet for name, jet in jets.items()}
    places = [  # every place of a weight, for tied weights have several
        (module._parameters, key, weight)
        for module in network.modules()
        for key, weight in module._parameters.items()
        if id(weight) in by_weight
    ]
    norms = [
        module for module in network.modules() if type(module) in (SmoothGroupNorm, SmoothLayerNorm)
    ]
    try:
        for table, key, weight in places:
            table[key] = by_weight[id(weight)]  # type: ignore[assignment]
        for norm in norms:
            norm.forward = _fused(norm)
        yield
    finally:
        for table, key, weight in places:
            table[key] = weight
        for norm in norms:
            del norm.forward  # the class's own again


def _fused(norm: Any) -> Callable[[Any], Jet]:
    if isinstance(norm, SmoothGroupNorm):
        return lambda x: group_norm(x, norm.groups, norm.weight, norm.bias, EPSILON)
    return lambda x: layer_norm(x, norm.weight.shape, norm.weight, norm.bias, EPSILON)


def gradient_series(
    task: Task,
    space: ParameterSpace,
    theta: Tensor,
    terms: Sequence[Tensor],
    method: str = "auto",
) -> list[Tensor]:
    """The coefficients g_1 ... g_N of grad L(theta + sum_k eps^k u_k), once; `GradientSeries` is
    for several curves.

    Args:
        task: network, loss and batch.
        space: the kept weights.
        theta: the point, (n,).
        terms: u_1 ... u_N, each (n,).
        method: as for `series_of`.

    Returns:
        N tensors of shape (n,).

    Raises:
        ArgumentError: no terms; an operation without a Taylor rule, or with a kink.

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(1, 1, bias=False).double()
        >>> data = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        >>> task, space = Task(network, torch.nn.functional.mse_loss, data), ParameterSpace(network)
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> [g.tolist() for g in gradient_series(task, space, one, [one, one])]  # L = theta^2
        [[2.0], [2.0]]
    """
    order = check_integer("number of terms", len(terms), 1)
    return list(series_of(task, space, theta, order, method)(terms))


def series_of(
    task: Task, space: ParameterSpace, theta: Tensor, order: int, method: str = "auto"
) -> GradientSeries | NestedSeries:
    """What computes the gradient's coefficients at theta.

    Args:
        task, space, theta, order: as for `GradientSeries`.
        method: "taylor": by rules, `GradientSeries`; "jvp": by nested forward derivatives of any
            smooth network, `NestedSeries`, at a cost that doubles or triples with each order;
            "auto": the first where it is possible, else the second.

    Raises:
        ArgumentError: neither is possible; for "auto" with what stopped the first.
    """
    method = check_choice("method", method, WAYS)
    if method == "jvp":
        return NestedSeries(task, space, theta, order)
    try:
        return GradientSeries(task, space, theta, order)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever a stranger's network raises when it meets a Jet
        no_rule = isinstance(error, MissingRuleError) or not isinstance(error, ArgumentError)
        if method == "taylor" or not no_rule:
            raise
        try:
            nested = NestedSeries(task, space, theta, order)
            nested([torch.zeros_like(theta)])  # what has no forward derivatives says so now
        except Exception as second:
            first = isinstance(error, MissingRuleError)
            known = error if first else second if isinstance(second, ArgumentError) else None
            must = "be recorded, or have nested derivatives (no backward of its own)"
            raise known or argument_error("network", must, f"not: {raised(second)}") from error
        nested.how += f" (no Taylor rules: {raised(error)})"
        return nested
