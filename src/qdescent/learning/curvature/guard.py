"""Whether the products of a curvature operator are those of the loss: looked at where the operator
is made.

PyTorch's second derivatives are wrong without an error for some operations, and cannot be right
where a network hides a part of its gradient from autograd (`detach`, `no_grad`, a backward of its
own). Nothing of this shows in the products alone. So along one random direction the loss itself is
moved, in float64, by a twin that makes no use of second derivatives (`twins.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent._random import named_generator
from qdescent.linalg.inner_product import dot, norm
from qdescent.linalg.operator import LinearOperator

# relative to ||theta||: the first is best for smooth losses, at the last hardly a kink is crossed
STEPS = (6e-6, 1e-7, 1e-9)
# relative: far above the rounding of float32 products, far below what a missing derivative does
AGREED = 1e-3
ROUNDED = 0.1  # relative: products that are off by more for rounding alone are no measurement
# times how far the same number moves between points a few roundings apart: what is less is noise
SPREAD, NEARBY = 10.0, 4
ROUNDING = 100.0  # the noise of a pass through many layers, in units of its type's precision
EPS = torch.finfo(torch.float64).eps
AT_KINK = (
    "At these weights activations stand exactly at their kinks: the curvature is that of one side,"
    " as PyTorch's derivatives are, and another a step away (weights moved by a little, or smooth"
    " activations, have one)."
)
COARSE = 1e-4  # a precision above it (bfloat16, float16) tells nothing beside differences


class Moved(NamedTuple):
    """The loss, moved along v by a small step.

    Args:
        gap: of a product: its distance from what the moves say, and the size of both.
        unit: what the rounding of a product is relative to where the product itself is nearly zero.
        noise: of the moves, in units of float64's precision.
        value: makes of what the moves say a vector of whatever length.
    """

    gap: Callable[[Tensor], tuple[float, float]]
    unit: float
    noise: float
    value: Callable[[], Tensor]


class Twin(Protocol):
    """The same loss in float64."""

    @property
    def instead(self) -> str:
        """Another way to measure a network whose gradient is right, where there is one."""

    def moved(self, theta: Tensor, v: Tensor, w: Tensor, step: float) -> Moved:
        """The loss moved by `step` ||theta|| along v; w where two directions are needed. All (n,),
        of single precision or double: moved is in double.
        """

    def product(self, theta: Tensor, v: Tensor) -> Tensor:
        """The product that is checked, by autograd; both (n,) in float64."""

    def loss(self, theta: Tensor) -> float:
        """The loss itself."""


class Checked(NamedTuple):
    """What was seen.

    Args:
        difference: ||A v - what the moved loss says|| / ||A v||, where it is least.
        asymmetry: |v . A w - w . A v| / ((||A v|| + ||A w||) / 2), entries of v and w of variance
            1.
        how: what was compared in the end, in words.
        vanishes: the products are 0 to rounding: what is left of terms that cancel.
        at_kink: they agree at a point beside alone: at theta itself they are of one side.
    """

    difference: float
    asymmetry: float
    how: str
    vanishes: bool = False
    at_kink: bool = False


def check_curvature(
    operator: LinearOperator,
    twin: Twin,
    theta: Tensor,
    reason: Callable[[], str] = lambda: "",
    seed: int = 0,
) -> Checked:
    """Check an operator of second derivatives, with kinks (ReLU, max-pooling) allowed for.

    Kinks and rounding part a right product from differences. So where the two disagree the step is
    made so small that hardly any activation crosses its kink, and the product is taken in float64,
    too; last everything is looked at beside theta, for at theta itself activations may stand
    exactly at their kinks (black pixels before a bias of zero). A wrong derivative disagrees
    everywhere.

    Args:
        operator: A at theta, (n, n).
        twin: the same loss in float64.
        theta: the point, (n,).
        reason: the likely cause of a disagreement with its cure, in words; asked for only where
            there is one.
        seed: of the directions.

    Returns:
        Checked.

    Raises:
        ArgumentError: products that are not finite, not symmetric, or not the derivatives of the
            gradient; a gradient that is not the loss's derivative; float32 products of which
            rounding leaves nothing.

    Cost: two products, and two gradients in float64; only where these disagree up to eight such
        gradients and three such products.
    """
    own = torch.finfo(operator.dtype).eps
    # of vectors of a hundred megabytes each copy counts: here double precision meets their pieces
    pair = [drawn(theta, seed, name) for name in ("first", "second")]
    products = _products(operator, [v.to(operator.dtype) for v in pair])
    walk, (skew, size) = _Walk(twin, theta, pair), _finite_skew(pair, products)
    if (
        own < COARSE
        and walk.agrees(products[0], STEPS[:1], own)
        and skew <= AGREED * size + walk.noise(own)
    ):
        return Checked(walk.least, skew / (size or 1.0), "A v beside the loss moved in float64")
    point, pair = theta.double(), [v.double() for v in pair]
    exact = [twin.product(point, v) for v in pair]
    skew, size = _finite_skew(pair, exact)
    how, at_kink = "A v in float64 beside the loss moved by a small step", False
    if not walk.agrees(exact[0], STEPS, 0.0):
        length = float(torch.linalg.vector_norm(point)) / len(point) ** 0.5 or 1.0
        beside = point + 1e-3 * length * drawn(point, seed, "beside")
        how = "the same at a point beside: at theta itself activations stand exactly at their kinks"
        nearby = _Walk(twin, beside, pair)
        if not nearby.agrees(twin.product(beside, pair[0]), STEPS[:0:-1], 0.0):
            if _nothing_but_rounding(twin, beside, pair):
                return _VANISHES
            off = (
                f"not: a product is {100 * min(walk.least, nearby.least):.2g} % off what the moved"
                f" loss says{reason()}"
            )
            raise argument_error(
                "network", f"have the second derivatives of its loss{twin.instead}", off
            )
        walk, at_kink = nearby, True
    if skew > AGREED * size + walk.noise(EPS):
        if _nothing_but_rounding(twin, point, pair):
            return _VANISHES
        off = f"{100 * skew / size:.2g} % asymmetric{reason()}"
        raise argument_error("network", "have symmetric second derivatives", off)
    asymmetry = skew / (size or 1.0)
    size *= 2**0.5  # of both products together, as the gap is
    gap = sum(norm(x - y) ** 2 for x, y in zip(products, exact, strict=True)) ** 0.5
    if own < COARSE and gap > ROUNDED * size + walk.noise(own):
        if is_noise(twin.product(each, pair[0]) for each in rounded(point)):
            return _VANISHES
        must = "have products that its precision can hold (network.double(), with data in float64)"
        raise argument_error(
            "network", must, f"without: for rounding alone they are off by {gap:.2g} of {size:.2g}"
        )
    return Checked(walk.least, asymmetry, how, at_kink=at_kink)


_VANISHES = Checked(0.0, 0.0, "A v and the moved loss, both 0 to rounding", vanishes=True)


def _products(operator: LinearOperator, pair: list[Tensor]) -> list[Tensor]:
    """A v and A w: one after the other where that costs no more than both together."""
    if operator.steady:
        return [operator @ v for v in pair]
    return list((operator @ torch.stack(pair).T).T)


def _nothing_but_rounding(twin: Twin, point: Tensor, pair: list[Tensor]) -> bool:
    """Whether products and moves are what rounding leaves of 0: over the length of theta they would
    change the loss by its own rounding (at weights of 0, too, where the terms of a saturated
    softmax do not cancel), or they are others where theta is moved by a few roundings. A derivative
    that is missing stands still there.
    """
    v, w = pair
    reach = float(torch.linalg.vector_norm(point)) ** 2 / float(torch.linalg.vector_norm(v))
    product, moved = twin.product(point, v), twin.moved(point, v, w, STEPS[0])
    # as of a constant loss, whose terms may leave the same rounding everywhere
    scale = loss_scale(twin.loss, point)
    if max(moved.gap(product)) * reach <= ROUNDING * EPS * scale:
        return True
    moves = (twin.moved(each, v, w, STEPS[0]).value() for each in rounded(point))
    return is_noise(moves) and is_noise(twin.product(each, v) for each in rounded(point))


def loss_scale(loss: Callable[[Tensor], float], point: Tensor) -> float:
    """The size of a loss's terms: its larger value of those at a point and at weights of 0."""
    values = (abs(loss(x)) for x in (point, torch.zeros_like(point)))
    return max((value for value in values if math.isfinite(value)), default=0.0)


def is_noise(found: Iterable[Tensor]) -> bool:
    """Whether the same number at points a few roundings apart is nothing but rounding: it moves
    about as much as there is of it.
    """
    here, *there = found
    size, *apart = (float(torch.linalg.vector_norm(x)) for x in (here, *(here - x for x in there)))
    return size <= SPREAD * max(apart)


def rounded(point: Tensor) -> Iterator[Tensor]:
    """The point, and others with each number changed by up to four roundings; zeros, at which
    activations may stand exactly at their kinks, stay.
    """
    yield point
    eps = torch.finfo(point.dtype).eps
    for place in range(NEARBY):
        yield point * (1 + eps * drawn(point, place, "rounding").clamp(-4, 4))


class _Walk:
    """Differences along the first of two directions at ever smaller steps, each made once."""

    def __init__(self, twin: Twin, point: Tensor, pair: list[Tensor]) -> None:
        self._twin, self._at = twin, (point, pair[0], pair[1])
        self._known: dict[float, Moved] = {}
        self.least, self._unit = float("inf"), 0.0

    def agrees(self, product: Tensor, steps: tuple[float, ...], own: float) -> bool:
        """Whether A v agrees with the moves of one of these steps."""
        for step in steps:
            if step not in self._known:
                self._known[step] = self._twin.moved(*self._at, step)
            moved = self._known[step]
            self._unit = moved.unit
            gap, size = moved.gap(product)
            self.least = min(self.least, gap / size if size else 0.0)
            if gap <= AGREED * size + self.noise(own) + ROUNDING * EPS * moved.noise:
                return True
        return False

    def noise(self, precision: float) -> float:
        """What rounding may do to a product."""
        return ROUNDING * precision * self._unit


def _finite_skew(pair: list[Tensor], products: list[Tensor]) -> tuple[float, float]:
    """|v . A w - w . A v|, and what it is relative to, of products that are finite."""
    (v, w), (of_v, of_w) = pair, products
    size = (float(dot(of_v, of_v) + dot(of_w, of_w)) / 2) ** 0.5
    if not math.isfinite(size):  # or finite, with squares beyond double precision
        _check_finite(torch.stack(products))
    return abs(float(dot(v, of_w) - dot(w, of_v))), size


def _check_finite(products: Tensor) -> None:
    if not bool(torch.isfinite(products).all()):
        must = (
            "have finite second derivatives at these weights (sqrt or norm at 0? a mask of -inf:"
            " take a large negative number)"
        )
        raise argument_error("network", must, f"without: {_bad(products)}")


def _bad(products: Tensor) -> str:
    kind = "NaN" if bool(torch.isnan(products).any()) else "infinite"
    return (
        f"{int((~torch.isfinite(products)).sum())} of {products.numel()} entries of its products"
        f" are {kind}"
    )


def drawn(like: Tensor, seed: int, name: str) -> Tensor:
    """Entries of variance 1, the same on every device and in every precision; single precision is
    drawn several times faster.
    """
    drawn = torch.randn(
        len(like),
        generator=named_generator(seed, "curvature check", name),
        dtype=torch.float32,
        device="cpu",
    )
    return drawn.to(like)


def as_checked(operator: LinearOperator, checked: Checked) -> LinearOperator:
    """The operator with what was seen: 0 where its products were seen to be 0 to rounding, for
    their noise has eigenvalues, too; with a remark where it stands at a kink.
    """
    if checked.vanishes:
        return replace(operator, apply=torch.zeros_like, apply_adjoint=torch.zeros_like)
    remark = f"{AT_KINK} {operator.remark}".strip()
    return replace(operator, remark=remark) if checked.at_kink else operator
