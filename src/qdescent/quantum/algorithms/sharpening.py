"""When a start is made sharper and a polynomial let down, and by which floor: what circuits are
planned by, and the ledger with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

WASTED = 2.0  # supremum over |p| on the spectrum from which on p is let down beyond it
WORTH = 1.4  # supremum over ||p f|| from which on a sharper start is tried: one run in two fails
HALVING = 4  # floors are 2^(-k/4): by halves, then by the roots between
# max |p| of a circuit's polynomials: nearer to 1 the angles need more points of the transform
SUBNORMALISATION = 0.98
LOWEST = 64  # 1/g takes a degree of some 1/sqrt(floor)


def is_wasted(steps: int, beyond: float) -> bool:
    """Whether a cut series of so many steps reaches too far beyond the spectrum.

    Args:
        steps: T.
        beyond: from the largest eigenvalue to the largest y of the encoding.
    """
    return steps * beyond > math.log(WASTED)


class _Plan(Protocol):
    @property
    def cost(self) -> Any: ...  # numbers, or tuples of them: what `<` compares


PlanT = TypeVar("PlanT", bound=_Plan)


def floor_at(place: int) -> float:
    """The floor of a place: 1, and lower from place to place.

    Example:
        >>> [floor_at(place) for place in (0, 4, 8)]
        [1.0, 0.5, 0.25]
    """
    return float(2.0 ** (-place / HALVING))


def cheapest_place(at: Callable[[int], PlanT]) -> PlanT:
    """The plan of least cost: halves of the floor as long as they help, then the roots between.

    Args:
        at: the plan of a place, with its `cost`; an OverflowError says that there is none.

    Example:
        >>> from types import SimpleNamespace
        >>> cheapest_place(lambda place: SimpleNamespace(cost=(place - 9) ** 2, place=place)).place
        9
    """
    best, chosen = at(0), 0

    def improved(place: int) -> None:
        nonlocal best, chosen
        with suppress(OverflowError):
            tried = at(place)
            if tried.cost < best.cost:
                best, chosen = tried, place

    for place in range(HALVING, LOWEST + 1, HALVING):
        improved(place)
        if place >= chosen + 2 * HALVING:  # twice in a row no better
            break
    finer = HALVING // 2
    while finer:
        middle = chosen
        for place in (middle - finer, middle + finer):
            if place > 0:
                improved(place)
        finer //= 2
    return best
