"""What one theorem says of the truncation error at one map or equation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from qdescent._checks import (
    check_boolean,
    check_field,
    check_interval,
    check_numbers,
    check_text,
)

# orders that are searched: far more than an explicit lift, or a full-size series, allows
MOST = 32


@dataclass(frozen=True, kw_only=True)
class Bound:
    """One theorem on ||u_t - u_N(t)||_2, at one map or equation, for one t.

    Args:
        name: name of the theorem.
        applies: True where its conditions hold here.
        reason: the conditions as they were found.
        form: the form of the linearisation that it speaks of, "homogenised", "plain" or "either".
        source: place of its proof.
        errors: the bound for N = 1..32, infinite where it promises nothing.
        number: the R-number, where it has one: it converges for R < 1.
        time: until when it holds, where it is finite.
    """

    name: str
    applies: bool
    reason: str
    form: str
    source: str
    errors: tuple[float, ...]
    number: float | None = None
    time: float | None = None

    def __post_init__(self) -> None:
        for name in ("name", "reason", "form", "source"):
            check_text(name, getattr(self, name))
        check_field(self, "applies", check_boolean)
        check_field(self, "errors", check_numbers, "[0, inf]", "a sequence of errors")
        for name in ("number", "time"):
            if getattr(self, name) is not None:
                check_field(self, name, check_interval, "[-inf, inf]")

    def order_for(self, error: float) -> int | None:
        """The least order whose bound is at most `error`; None: none up to 32."""
        error = check_interval("error", error, "(0, inf)")
        return next(
            (N for N, bound in enumerate(self.errors, start=1) if self.applies and bound <= error),
            None,
        )


def silent(
    name: str,
    reason: str,
    form: str,
    source: str,
    number: float | None = None,
    time: float | None = None,
) -> Bound:
    """A theorem whose conditions do not hold here: it promises nothing at any order."""
    return Bound(
        name=name,
        applies=False,
        reason=reason,
        form=form,
        source=source,
        errors=(math.inf,) * MOST,
        number=number,
        time=time,
    )


def promised(
    name: str,
    reason: str,
    form: str,
    source: str,
    errors: Iterable[float],
    number: float | None = None,
    time: float | None = None,
) -> Bound:
    """A theorem whose conditions hold here, with what it promises at each order."""
    return Bound(
        name=name,
        applies=True,
        reason=reason,
        form=form,
        source=source,
        errors=tuple(errors),
        number=number,
        time=time,
    )
