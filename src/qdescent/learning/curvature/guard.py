"""Whether the products of a curvature operator are those of the loss: looked at where the operator
is made.

PyTorch's second derivatives are wrong without an error for some operations, and cannot be right
where a network hides a part of its gradient from autograd (`detach`, `no_grad`, a backward of its
own). Nothing of this shows in the products alone. So along one random direction the loss itself is
moved, in float64, by a twin that makes no use of second derivatives (`twins.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.learning.curvature.rounding import (
    EPS,
    NEARBY,
    ROUNDING,
    SPREAD,
    TERMS,
    drawn,
    elsewhere,
    is_noise,
    loss_scale,
    rounded,
)
from qdescent.learning.curvature.walk import AGREED, ROUNDED, Twin, Walk, steps_at
from qdescent.linalg.inner_product import dot, norm
from qdescent.linalg.operator import LinearOperator

# relative to ||theta||: where terms cancel a smaller step sees their rounding alone
WIDE = (3e-4, 1e-4, 3e-5, 6e-6)
LARGER = 1e3  # times: of numbers that are rounding alone single precision has 1e9 times as much
AT_KINK = (
    "At these weights activations stand exactly at their kinks: the curvature is that of one side,"
    " as PyTorch's derivatives are, and another a step away (weights moved by a little, or smooth"
    " activations, have one)."
)
LAST = 8  # roundings of the type: what products are off without a word of it
WIDER = 2.0  # times the error of a random vector: what an eigenvalue may be off, of the largest
COARSE = 1e-4  # a precision above it (bfloat16, float16) tells nothing beside differences


class Checked(NamedTuple):
    """What was seen.

    Args:
        difference: ||A v - what the moved loss says|| / ||A v||, where it is least.
        asymmetry: |v . A w - w . A v| / ((||A v|| + ||A w||) / 2), entries of v and w of variance
            1.
        how: what was compared in the end, in words.
        vanishes: the products are 0 to rounding: what is left of terms that cancel.
        at_kink: they agree at a point beside alone: at theta itself they are of one side.
        rounding: relative error of the products, where it is more than their type's; None: it is
            not, or was not looked for.
        remark: on steps inside the network (`steps_of_weights`); empty: none.
    """

    difference: float
    asymmetry: float
    how: str
    vanishes: bool = False
    at_kink: bool = False
    rounding: float | None = None
    remark: str = ""


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
    everywhere. Where terms cancel to the last digits (a softmax saturated by 20 logits and more)
    rounding parts them, too: then they may be apart by what the same numbers differ by a few
    roundings away, and have to agree elsewhere.

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
        gradients and three such products, and where terms cancel some 120 and 15.
    """
    own = torch.finfo(operator.dtype).eps
    # of vectors of a hundred megabytes each copy counts: here double precision meets their pieces
    pair = [drawn(theta, seed, name) for name in ("first", "second")]
    products = _products(operator, [v.to(operator.dtype) for v in pair])
    walk, (skew, size) = Walk(twin, theta, pair), _finite_skew(pair, products)
    if (
        own < COARSE
        and walk.agrees(products[0], walk.steps[:1], own)
        and skew <= AGREED * size + walk.noise(own)
    ):
        asymmetry, how = skew / (size or 1.0), "A v beside the loss moved in float64"
        return Checked(walk.least, asymmetry, how, rounding=_measured(twin, walk, products[0], own))
    point, pair = theta.double(), [v.double() for v in pair]
    exact = [twin.product(point, v) for v in pair]
    skew, size = _finite_skew(pair, exact)
    how, at_kink, noise = "A v in float64 beside the loss moved by a small step", False, 0.0
    if not walk.agrees(exact[0], walk.steps, 0.0):
        length = float(torch.linalg.vector_norm(point)) / len(point) ** 0.5 or 1.0
        beside = point + 1e-3 * length * drawn(point, seed, "beside")
        nearby = Walk(twin, beside, pair, walk.steep)
        if nearby.agrees(twin.product(beside, pair[0]), nearby.steps[:0:-1], 0.0):
            walk, at_kink = nearby, True
            how = "the same beside: at theta itself activations stand exactly at their kinks"
        elif _nothing_but_rounding(twin, beside, pair):
            return _VANISHES
        else:
            least = min(walk.least, nearby.least)
            if (found := _of_cancelling_terms(twin, walk, pair, exact)) is None:
                must = f"have the second derivatives of its loss{twin.instead}"
                off = (
                    f"not: a product is {100 * least:.2g} % off what the moved loss says{reason()}"
                )
                raise argument_error("network", must, off)
            how = "the same elsewhere: at theta itself terms cancel"
            noise = found
    if skew > AGREED * size + walk.noise(EPS) + noise:
        if _nothing_but_rounding(twin, point, pair):
            return _VANISHES
        found = _of_cancelling_terms(twin, walk, pair, exact)
        if found is None or skew > AGREED * size + found:
            off = f"{100 * skew / size:.2g} % asymmetric{reason()}"
            raise argument_error("network", "have symmetric second derivatives", off)
        noise = found
    if math.isinf(noise):
        return _VANISHES
    asymmetry = skew / (size or 1.0)
    size *= 2**0.5  # of both products together, as the gap is
    gap = sum(norm(x - y) ** 2 for x, y in zip(products, exact, strict=True)) ** 0.5
    if own < COARSE and gap > ROUNDED * size + walk.noise(own):
        # beside a kink, too, it is another one a few roundings away; but not larger in float32
        larger = norm(products[0]) > LARGER * norm(exact[0]) or not bool(products[0].any())
        if (larger and is_noise(twin.product(each, pair[0]) for each in rounded(point))) or (
            own == EPS and _of_cancelling_terms(twin, walk, pair, exact) == math.inf
        ):
            return _VANISHES
        if not _beside_a_kink(twin, point, pair[0], own, norm(products[0] - exact[0])):
            must = (
                "have products that its precision can hold (network.double(), with data in float64)"
            )
            off = f"without: for rounding alone they are off by {gap:.2g} of {size:.2g}"
            raise argument_error("network", must, off)
        at_kink = True
    coarse = None if not EPS < own < COARSE or at_kink else _beyond(gap / (size or 1.0), own)
    return Checked(walk.least, asymmetry, how, at_kink=at_kink, rounding=coarse)


def _measured(twin: Twin, walk: Walk, product: Tensor, own: float) -> float | None:
    """The relative error of products in single precision: terms inside the loss that are large
    beside what is left of them (outputs of thousands with a scatter of 1) make it larger than its
    type says. Where the moved loss agrees to the type's last digits, it is small.
    """
    if own == EPS or _beyond(walk.least, own) is None:
        return None
    exact = twin.product(walk.at[0].double(), walk.at[1].double())
    return _beyond(norm(product - exact) / (norm(exact) or 1.0), own)


def _beyond(error: float, own: float) -> float | None:
    return min(WIDER * error, 0.5) if error > LAST * own else None


_VANISHES = Checked(0.0, 0.0, "A v and the moved loss, both 0 to rounding", vanishes=True)


def _products(operator: LinearOperator, pair: list[Tensor]) -> list[Tensor]:
    """A v and A w: one after the other where that costs no more than both together."""
    if operator.steady:
        return [operator @ v for v in pair]
    return list((operator @ torch.stack(pair).T).T)


def _nothing_but_rounding(twin: Twin, point: Tensor, pair: list[Tensor]) -> bool:
    """Whether products and moves are what rounding leaves of 0.

    Over the length of theta (of tiny weights, which are as good as 0, over a length of 1) they
    would change the loss by its own rounding (at weights of 0, too, where the terms of a saturated
    softmax do not cancel), or they are others where theta is moved by a few roundings. A derivative
    that is missing stands still there.
    """
    v, w = pair
    step, reach = steps_at(point)[0], max(norm(point), 1.0) ** 2 / norm(v)
    product, moved = twin.product(point, v), twin.moved(point, v, w, step)
    # as of a constant loss, whose terms may leave the same rounding everywhere
    scale = loss_scale(twin.loss, point)
    if max(moved.gap(product)) * reach <= ROUNDING * EPS * scale:
        return True
    moves = (twin.moved(each, v, w, step).value() for each in rounded(point))
    return is_noise(twin.product(each, v) for each in rounded(point)) and is_noise(moves)


def _beside_a_kink(twin: Twin, point: Tensor, v: Tensor, own: float, gap: float) -> bool:
    """Whether float64's product, too, is so much another one where theta is moved by what an
    operation in the operator's precision `own` may be off: both are then of one side of a kink.
    """
    step = SPREAD * own * float(torch.linalg.vector_norm(point)) / len(point) ** 0.5
    here = twin.product(point, v)
    places = (point + step * drawn(point, place, "rounding") for place in range(NEARBY))
    return own > EPS and any(2 * norm(twin.product(x, v) - here) > gap for x in places)


def _of_cancelling_terms(
    twin: Twin, walk: Walk, pair: list[Tensor], exact: list[Tensor]
) -> float | None:
    """What rounding may do to a product in float64 of which terms cancel, as those of a saturated
    softmax; infinite where nothing else is left, None where product and moves are apart by more.

    Elsewhere, nearer to weights of 0 and half-way to random ones, the terms do not cancel: they are
    as large as product and gradient are there. And there both have to agree, for a wrong derivative
    would hide in the rounding here.
    """
    point, v, _ = walk.at
    point, largest, steepest = point.double(), 0.0, 0.0
    for place in elsewhere(point):
        with suppress(Exception):  # whatever a stranger's network raises at weights of another size
            there, product = Walk(twin, place, pair, strict=True), twin.product(place, v)
            if there.agrees(product, there.steps, 0.0):
                unit = there.unit * norm(place) / (norm(point) or 1.0)
                largest, steepest = max(largest, norm(product)), max(steepest, unit)
    noise = TERMS * EPS * largest
    covered = (
        Walk(twin, point, pair, walk.steep).agrees(
            exact[0], (step,), 0.0, noise + TERMS * EPS * steepest / step
        )
        for step in WIDE
    )
    if not largest or not any(covered):
        return None
    return noise if noise < ROUNDED * norm(exact[0]) else math.inf


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


def as_checked(operator: LinearOperator, checked: Checked) -> LinearOperator:
    """The operator with what was seen: 0 where its products were seen to be 0 to rounding, for
    their noise has eigenvalues, too; with the rounding of its products, and with remarks where it
    stands at a kink or its network makes steps.
    """
    if checked.vanishes:
        return replace(operator, apply=torch.zeros_like, apply_adjoint=torch.zeros_like)
    said = (AT_KINK if checked.at_kink else "", checked.remark, operator.remark)
    rounding = max((x for x in (checked.rounding, operator.rounding) if x), default=None)
    return replace(operator, rounding=rounding, remark=" ".join(filter(None, said)))
