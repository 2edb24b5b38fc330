"""How a number is written for people: 10 600, 1.2 × 10⁹, 82.4 %, 38 years."""

from __future__ import annotations

import math
import re
from typing import Any

from qdescent._checks import argument_error
from qdescent._evidence import Row

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SPACE = "\u202f"  # narrow, and never broken at the end of a line
MINUTE, HOUR, DAY, YEAR = 60.0, 3600.0, 86400.0, 365.25 * 86400.0


def scalar(row: Row) -> float:
    """The row's value as a number.

    Raises:
        ArgumentError: it is a text or a curve.
    """
    if isinstance(row.value, (int, float)):
        return float(row.value)
    raise argument_error(row.name, "hold one number", row.value)


def curve(row: Row) -> list[float]:
    """The row's value as a list of numbers.

    Raises:
        ArgumentError: it is a text or a single number.
    """
    if isinstance(row.value, (list, tuple)):
        return [float(value) for value in row.value]
    raise argument_error(row.name, "hold a curve", row.value)


def fraction(row: Row) -> float:
    """A share or a relative error as a fraction of 1, whether its row is in "1" or in "%"."""
    return scalar(row) * _per_unit(row)


def fractions(row: Row) -> list[float]:
    """The same for a curve."""
    return [value * _per_unit(row) for value in curve(row)]


def number(value: Any, digits: int = 3) -> str:
    """A value in `digits` significant digits, integers below ten million in full, a true minus.

    Example:
        >>> number(123456).replace(_SPACE, " ")
        '123 456'
        >>> [number(value) for value in (0.02, 1.234e-5, float("inf"))]
        ['0.02', '1.23 × 10⁻⁵', 'infinite']
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return (
            "not a number" if math.isnan(value) else ("infinite" if value > 0 else "minus infinite")
        )
    if isinstance(value, int) and abs(value) < 10_000_000:
        return f"{value:,}".replace(",", _SPACE)
    if value == 0:
        return "0"
    return _significant(float(value), digits).replace("-", "−")


def _significant(value: float, digits: int) -> str:
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    power = int(exponent)
    if -4 < power < 6:
        text = f"{value:,.{max(digits - 1 - power, 0)}f}".replace(",", _SPACE)
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa = mantissa.rstrip("0").rstrip(".")
    raised = "10" + str(power).translate(_SUPERSCRIPTS)
    return raised if mantissa == "1" else f"{mantissa} × {raised}"


def powers(text: str) -> str:
    """A text with its "2.6e+05" written as a power of ten.

    Example:
        >>> powers("takes 2.6e+05 years and 3e-07 of the rest")
        'takes 2.6 × 10⁵ years and 3 × 10⁻⁷ of the rest'
    """
    return re.sub(
        r"(?<=\d)e([+-]\d+)\b",
        lambda found: f" × 10{str(int(found[1])).translate(_SUPERSCRIPTS)}",
        text,
    )


def percent(share: float, digits: int = 3) -> str:
    """A fraction of 1 as a percentage.

    Example:
        >>> [percent(share).replace(_SPACE, " ") for share in (0.824, 0.82, 0.000213)]
        ['82.4 %', '82.0 %', '0.0213 %']
    """
    value = 100 * share
    if 1e-3 <= abs(value) < 1000:
        decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
        return f"{value:.{decimals}f}{_SPACE}%".replace("-", "−")
    return f"{number(value, digits)}{_SPACE}%"


def times(ratio: float) -> str:
    """A ratio as a comparison.

    Example:
        >>> times(2.5e9), times(0.5)
        ('2.5 × 10⁹ times', '0.5 times')
    """
    return f"{number(ratio, 2)} times"


def duration(seconds: float) -> str:
    """Seconds in the unit that people would use.

    Example:
        >>> duration(0.0042), duration(90), duration(1.2e9), duration(3.2e17)
        ('4.2 ms', '1.5 minutes', '38 years', '10¹⁰ years')
    """
    if not math.isfinite(seconds) or seconds <= 0:
        return f"{number(seconds)} s"
    for unit, size in (
        ("years", YEAR),
        ("days", DAY),
        ("hours", HOUR),
        ("minutes", MINUTE),
        ("s", 1.0),
        ("ms", 1e-3),
    ):
        if seconds >= size:
            return f"{number(float(f'{seconds / size:.1e}'), 2)} {unit}"
    return f"{number(float(f'{seconds * 1e6:.1e}'), 2)} µs"


def _per_unit(row: Row) -> float:
    return 0.01 if row.unit in ("%", "percent") else 1.0
