"""The one wording of every argument error.

"Argument `density` must be in (0, 1], but is 1.5." Tests match this sentence, the command line prints it and ends with
exit code 2. A mistake of the caller is an `ArgumentError`; an outcome (a solver that did not converge) is a value.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor


class ArgumentError(ValueError):
    """An argument that cannot be used; the text says which, what it must be, and what it is."""


def argument_error(name: str, must: str, actual: object) -> ArgumentError:
    """The error for argument `name`; `must` completes "must ...", `actual` completes "but is ..." (strings as they stand)."""
    shown = actual if isinstance(actual, str) else repr(actual)
    return ArgumentError(f"Argument `{name}` must {must}, but is {shown}.")


def check_interval(name: str, value: float, interval: str) -> float:
    """Check that `value` lies in `interval`, written as in mathematics: "(0, 1]", "[0, inf)".

    Raises:
        ArgumentError: outside the interval, not a number, or NaN.
    """
    low, high = (float(end) for end in interval[1:-1].split(","))
    is_number = isinstance(value, Real) and not isinstance(value, bool) and not math.isnan(value)
    above = is_number and (value >= low if interval[0] == "[" else value > low)
    below = is_number and (value <= high if interval[-1] == "]" else value < high)
    if not (above and below):
        raise argument_error(name, f"be in {interval}", repr(value))
    return float(value)


def check_integer(name: str, value: int, at_least: int) -> int:
    """Check that `value` is an integer of at least `at_least` (numpy and torch integers count, booleans do not)."""
    try:
        is_boolean = isinstance(value, bool) or getattr(value, "dtype", None) in (torch.bool, np.dtype(bool))
        number = None if is_boolean else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < at_least:
        raise argument_error(name, f"be an integer of at least {at_least}", repr(value))
    return number


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """Check that `value` is one of `choices`."""
    choices = list(choices)
    if value not in choices:
        raise argument_error(name, "be one of " + ", ".join(repr(choice) for choice in choices), repr(value))
    return value


def check_finite(name: str, value: Tensor) -> Tensor:
    """Check that a tensor holds neither NaN nor infinity; the message counts them and gives the first place."""
    if not value.is_floating_point() and not value.is_complex():
        return value
    bad = ~torch.isfinite(value)
    if bool(bad.any()):
        place = tuple(int(i) for i in bad.nonzero()[0])
        raise argument_error(name, "be finite", f"not, in {int(bad.sum())} of {value.numel()} places, first at {place}")
    return value


def check_shape(name: str, value: Tensor, shape: tuple[int | None, ...]) -> Tensor:
    """Check a tensor's shape; None stands for any length."""
    actual = tuple(value.shape)
    if len(actual) != len(shape) or any(s is not None and s != a for s, a in zip(shape, actual, strict=True)):
        wanted = "(" + ", ".join("any" if s is None else str(s) for s in shape) + ("," if len(shape) == 1 else "") + ")"
        raise argument_error(name, f"have shape {wanted}", f"of shape {actual}")
    return value
