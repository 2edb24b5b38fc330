"""A loss that is moved along a direction by ever smaller steps, beside a product by autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor

from qdescent._checks import ArgumentError
from qdescent.learning.curvature.rounding import EPS, ROUNDING
from qdescent.linalg.inner_product import norm

# relative to ||theta||: the first is best for smooth losses, at the last hardly a kink is crossed
STEPS = (6e-6, 1e-7, 1e-9)
TINY = 1e-4  # weights below it may be as good as 0
# relative: far above the rounding of float32 products, far below what a missing derivative does
AGREED = 1e-3
ROUNDED = 0.1  # relative: products that are off by more for rounding alone are no measurement


class SlopesApartError(ArgumentError):
    """A loss that does not rise as its gradient says, over a certain step."""


class Moved(NamedTuple):
    """The loss, moved along v by a small step.

    Args:
        gap: of a product: its distance from what the moves say, and the size of both.
        unit: what the rounding of a product is relative to where the product itself is nearly zero;
            over the step that of the moves.
        value: makes of what the moves say a vector of whatever length.
    """

    gap: Callable[[Tensor], tuple[float, float]]
    unit: float
    value: Callable[[], Tensor]


class Twin(Protocol):
    """The same loss in float64."""

    @property
    def instead(self) -> str:
        """Another way to measure a network whose gradient is right, where there is one."""

    def moved(
        self, theta: Tensor, v: Tensor, w: Tensor, step: float, strict: bool = False
    ) -> Moved:
        """The loss moved by `step` ||theta|| along v; w where two directions are needed.

        All (n,), of single precision or double: moved is in double. Of what is strict rounding
        excuses nothing.

        Raises:
            SlopesApartError: the loss does not rise as its gradient says.
        """

    def product(self, theta: Tensor, v: Tensor) -> Tensor:
        """The product that is checked, by autograd; both (n,) in float64."""

    def loss(self, theta: Tensor) -> float:
        """The loss itself."""


def steps_at(theta: Tensor) -> tuple[float, ...]:
    """The steps, relative to ||theta||. For weights so small that what they do may drown in what
    the data do, as at weights of 0, first those as if weights were of size 1.
    """
    size = norm(theta) / len(theta) ** 0.5
    return (*(step / size for step in STEPS), *STEPS) if 0 < size < TINY else STEPS


class Walk:
    """Differences along the first of two directions at ever smaller steps, each made once.

    Args:
        strict: whether the gradient was seen not to be the loss's slope, at whatever step.
    """

    def __init__(self, twin: Twin, point: Tensor, pair: list[Tensor], strict: bool = False) -> None:
        self._twin, self._strict = twin, strict
        self.at, self.steps = (point, pair[0], pair[1]), steps_at(point)
        self._known: dict[float, Moved | SlopesApartError] = {}
        self.least, self.unit = float("inf"), 0.0

    @property
    def steep(self) -> bool:
        """Whether gradient and loss were apart at a step."""
        return self._strict or bool(self._apart)

    @property
    def _apart(self) -> list[SlopesApartError]:
        return [x for x in self._known.values() if isinstance(x, SlopesApartError)]

    def agrees(
        self, product: Tensor, steps: tuple[float, ...], own: float, room: float = 0.0
    ) -> bool:
        """Whether A v agrees with the moves of one of these steps, within `room` more than the
        rounding of products of the precision `own`.

        Raises:
            SlopesApartError: at no step the loss rises as its gradient says.
        """
        for step in steps:
            if step not in self._known:
                self._known[step] = self._moved(step)
            moved = self._known[step]
            if isinstance(moved, SlopesApartError):
                continue
            self.unit = moved.unit
            gap, size = moved.gap(product)
            self.least = min(self.least, gap / size if size else 0.0)
            rounding = ROUNDING * EPS * moved.unit / step
            if step < self.steps[0]:  # where it may be as large as the product it tells nothing
                rounding = min(rounding, ROUNDED * size)
            if gap <= room + AGREED * size + self.noise(own) + rounding:
                return True
        if len(steps) > 1 and len(self._apart) == len(self._known):
            raise self._apart[0]
        return False

    def _moved(self, step: float) -> Moved | SlopesApartError:
        try:
            return self._twin.moved(*self.at, step, self.steep)
        except SlopesApartError as error:  # a steep loss bends within a step
            return error

    def noise(self, precision: float) -> float:
        """What rounding may do to a product."""
        return ROUNDING * precision * self.unit * STEPS[0] / self.steps[0]
