"""What is said of the terms that a series leaves out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qdescent._checks import check_field, check_interval, plain_number


@dataclass(frozen=True)
class Tail:
    """What the series terms say about those that were left out.

    Args:
        error: the estimated ||u_N - u_GD|| / ||u_GD||; infinite where the terms cannot tell.
        growth: r, the least ratio with ||u_k|| <= r^k ||u_1|| for every known k >= 2. At 1 and
            above the series is past its radius of convergence as far as its terms can tell. NaN:
            there is one term only, and it says nothing of the next.
    """

    error: float
    growth: float

    def __post_init__(self) -> None:
        check_field(self, "error", check_interval, "[0, inf]")
        growth = plain_number(self.growth)
        object.__setattr__(self, "growth", growth)
        if not (isinstance(growth, float) and math.isnan(growth)):
            check_field(self, "growth", check_interval, "[0, inf]")

    @property
    def known(self) -> bool:
        """Whether there is an estimate."""
        return math.isfinite(self.error)
