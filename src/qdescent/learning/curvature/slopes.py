"""Whether a gradient is its loss's: the loss, moved by a little, rises as the gradient says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.learning.curvature.rounding import EPS, ROUNDING, SPREAD, drawn, loss_scale, rounded
from qdescent.learning.curvature.walk import AGREED, SlopesApartError
from qdescent.linalg.inner_product import in_double, norm

STANDING = 0.1  # a mean of two gradients that is so much shorter than they are is of a minimum
# the entries of a gradient, weight by weight: no copy joins them, and they may share memory
Slopes = list[Tensor]
Both = tuple[Tensor, Slopes]
Reason = Callable[[], str]


class _Ends(NamedTuple):
    """Loss and gradient at theta + h v and theta - h v.

    Args:
        high, low: the losses.
        after, before: the gradients.
        slope: along v, the mean of both.
        size: of the mean of both.
        largest: of the one.
        h: the step.
    """

    high: float
    low: float
    after: Slopes
    before: Slopes
    slope: float
    size: float
    largest: float
    h: float

    @property
    def rise(self) -> float:
        """dL/dh as the losses say."""
        return (self.high - self.low) / (2 * self.h)

    @property
    def allowed(self) -> float:
        """How far rise and slope may be apart. At a minimum the mean of the gradients is of second
        order in h, as is what the two differ by; each gradient is of first.
        """
        size = max(self.size, self.largest)
        return AGREED * size + ROUNDING * EPS * abs(self.high) / self.h


def checked_slopes(
    loss_and_gradient: Callable[[Tensor], Both],
    theta: Tensor,
    v: Tensor,
    h: float,
    reason: Reason,
    strict: bool = False,
) -> tuple[Slopes, float]:
    """The slope of the gradient along v, from its values at theta + h v and theta - h v, and the
    size of these; the loss must rise between as they say.

    Args:
        loss_and_gradient: theta (n,) in float64 -> L and grad L, in float64.
        theta: the point, (n,).
        v: the direction, (n,).
        h: the step.
        reason: why they may not agree, in words.
        strict: whether neither rounding nor a minimum excuses a disagreement, as where there was
            one at a larger step.

    Raises:
        SlopesApartError: the loss rises otherwise, by more than the rise is another one a few
            roundings away; at a point beside, too, where it is flat (w^3 at 0) or a minimum.
    """
    ends = _ends(loss_and_gradient, theta, v, h)
    apart = abs(ends.rise - ends.slope)
    here = apart <= AGREED * ends.size if strict else _agree(loss_and_gradient, theta, v, ends)
    # at a minimum both are 0, whatever the gradient leaves out
    tells = here and ends.size > STANDING * ends.largest
    if strict and not tells:
        raise _apart(ends, reason)
    if not tells and not _nothing_there(loss_and_gradient, theta, ends):
        length = norm(theta) / len(theta) ** 0.5 or 1.0
        beside = theta.double() + 1e-3 * length * drawn(theta, 0, "beside")
        step = h * norm(beside) / (norm(theta) or 1.0)
        near = _ends(loss_and_gradient, beside, v, step)
        flat = abs(ends.rise - ends.slope) <= AGREED * near.largest  # no jump
        if not (here or flat) or not _agree(loss_and_gradient, beside, v, near):
            raise _apart(ends, reason)
    pairs = zip(ends.after, ends.before, strict=True)
    return [(above - below).div_(2 * h) for above, below in pairs], ends.size


def _apart(ends: _Ends, reason: Reason) -> SlopesApartError:
    off = (
        f"not: along a random direction the loss changes by {ends.rise:.4g}, and by"
        f" {ends.slope:.4g} as its gradient says{reason()}"
    )
    return SlopesApartError(str(argument_error("network", "have the gradient of its loss", off)))


def _ends(loss_and_gradient: Callable[[Tensor], Both], theta: Tensor, v: Tensor, h: float) -> _Ends:
    # vectors of a hundred megabytes may meet here: each pass over one counts, fresh memory most
    point = theta.new_empty(theta.shape, dtype=torch.float64)
    (high, after), (low, before) = (
        loss_and_gradient(_between(theta, v, s * h, point)) for s in (1, -1)
    )
    sums, room = [], point.new_empty(0)
    for parts in zip(after, before, split(v, after), strict=True):
        for above, below, way in in_double(*parts):
            mean = torch.add(above, below, out=room.resize_(0)).div_(2)
            sums.append(torch.stack([mean @ way, mean @ mean, above @ above]))
    slope, *squares = torch.stack(sums).sum(0).tolist()
    size, largest = (square**0.5 for square in squares)
    return _Ends(float(high), float(low), after, before, slope, size, largest, h)


def _agree(
    loss_and_gradient: Callable[[Tensor], Both], theta: Tensor, v: Tensor, ends: _Ends
) -> bool:
    """Whether rise and slope are one, to what rounding leaves of the rise."""
    apart = abs(ends.rise - ends.slope)
    if apart <= ends.allowed:
        return True

    def rise(point: Tensor) -> float:
        above, below = (
            float(loss_and_gradient(point.add(v, alpha=s * ends.h))[0]) for s in (1, -1)
        )
        return (above - below) / (2 * ends.h)

    moved = max(abs(ends.rise - rise(each)) for each in rounded(theta.double()))
    return apart <= ends.allowed + SPREAD * moved


def _nothing_there(loss_and_gradient: Callable[[Tensor], Both], theta: Tensor, ends: _Ends) -> bool:
    """Whether rise and slope are below the rounding of the loss's terms (a saturated softmax)."""
    scale = loss_scale(lambda x: float(loss_and_gradient(x)[0]), theta.double())
    return max(abs(ends.rise), abs(ends.slope)) <= ROUNDING * EPS * scale / ends.h


def _between(theta: Tensor, v: Tensor, h: float, point: Tensor) -> Tensor:
    """Theta + h v in double precision, written into `point`."""
    for here, start, way in in_double(point, theta, v):
        torch.add(start, way, alpha=h, out=here)
    return point


def length_along(theta: Tensor, v: Tensor, step: float) -> float:
    """The factor of v that moves theta by `step` times its length."""
    return step * (norm(theta) or 1.0) / (norm(v) or 1.0)


def split(vector: Tensor, parts: Slopes) -> Sequence[Tensor]:
    """A vector (n,) in parts of these lengths."""
    return vector.split([len(part) for part in parts])
