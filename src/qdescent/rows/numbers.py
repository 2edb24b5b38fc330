"""How a number is written for people: 10 600, 1.2 × 10⁹, 82.4 %, 38 years.

The one place that says so: terminal, pages, tables and errors all write by it. What somebody may
type back (an argument as it was given, "at least 1.3e-12") is written as Python reads it.
"""

from __future__ import annotations

import math

MINUTE, HOUR, DAY, YEAR = 60.0, 3600.0, 86_400.0, 31_557_600.0  # seconds; the Julian year
MOST_DIGITS = 15  # of a float, that are its own
IN_FULL = 10_000_000  # integers below it are written digit by digit
_SPACE = "\u202f"  # narrow, and never broken at the end of a line
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_TIMES = (
    ("years", YEAR), ("days", DAY), ("hours", HOUR), ("minutes", MINUTE), ("s", 1.0), ("ms", 1e-3),
    ("µs", 1e-6),
)  # fmt: skip


def number(value: object, digits: int = 3) -> str:
    """A value in `digits` significant digits, integers below ten million in full, with a true minus
    sign; a text as it stands.

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
    if isinstance(value, int):
        return _integer(value, digits).replace("-", "−")
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    return _significant(value, digits).replace("-", "−")


def with_error(value: object, error: object, digits: int = 3) -> str:
    """A value and its error, with all of the value's digits that the error leaves standing; the
    value alone where there is none.

    Example:
        >>> with_error(1.003581, 1.23e-5), with_error(25.21, 2.6), with_error(0.5, None)
        ('1.00358 ± 1.2 × 10⁻⁵', '25.2 ± 2.6', '0.5')
    """
    if not isinstance(error, (int, float)) or math.isnan(error):
        return number(value, digits)
    if isinstance(value, float) and 0 < abs(value) < math.inf and 0 < abs(error) < math.inf:
        places = math.floor(math.log10(abs(value))) - math.floor(math.log10(abs(error))) + 1
        digits = max(digits, min(places, MOST_DIGITS))
    return f"{number(value, digits)} ± {number(error, 2)}"


def _integer(value: int, digits: int) -> str:
    if abs(value) < IN_FULL:
        return f"{value:,}".replace(",", _SPACE)
    try:
        return _significant(float(value), digits)
    except OverflowError:  # beyond floats: its power of ten
        return f"{'-' * (value < 0)}10{_raised(math.floor(math.log10(abs(value))))}"


def _significant(value: float, digits: int) -> str:
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    power = int(exponent)
    if -4 < power < 6:
        text = f"{value:,.{max(digits - 1 - power, 0)}f}".replace(",", _SPACE)
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    raised = f"10{_raised(power)}"
    return {"1": raised, "-1": f"-{raised}"}.get(mantissa, f"{mantissa} × {raised}")


def _raised(power: int) -> str:
    return str(power).translate(_SUPERSCRIPTS)


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
    return f"{number(float(value), digits)}{_SPACE}%"


def times(ratio: float, digits: int = 2) -> str:
    """A ratio as a comparison.

    Example:
        >>> times(2.5e9), times(0.5)
        ('2.5 × 10⁹ times', '0.5 times')
    """
    return f"{number(float(ratio), digits)} times"


def duration(seconds: float, digits: int = 2) -> str:
    """Seconds in the unit that people would use.

    Example:
        >>> duration(0.0042), duration(90), duration(1.2e9), duration(3.2e17), duration(86_400)
        ('4.2 ms', '1.5 minutes', '38 years', '10¹⁰ years', '1 day')
    """
    if not math.isfinite(seconds) or seconds <= 0:
        return f"{number(float(seconds))} s"
    unit, size = next((each for each in _TIMES if seconds >= each[1]), _TIMES[-1])
    value = number(float(f"{seconds / size:.{digits - 1}e}"), digits)
    return f"{value} {unit.removesuffix('s') if value == '1' and len(unit) > 2 else unit}"


def at_least(value: float) -> str:
    """Two digits, never below the value, as Python reads it: what a message may name as enough, so
    that it is.

    Example:
        >>> at_least(1.234e-12), at_least(0.5)
        ('1.3e-12', '0.5')
    """
    if not 0 < value < math.inf:
        return f"{value:g}"
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / unit * (1 - 1e-12)) * unit:.2g}"
