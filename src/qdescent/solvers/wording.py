"""Numbers in a message, so that what it names as enough is enough."""

from __future__ import annotations

import math


def rounded_up(value: float) -> str:
    """Two digits, never below the value: what "at least" may name.

    Example:
        >>> rounded_up(1.234e-12), rounded_up(0.5)
        ('1.3e-12', '0.5')
    """
    if not 0 < value < math.inf:
        return f"{value:g}"
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / unit * (1 - 1e-12)) * unit:.2g}"
