"""Where a verdict flips: the break-even of each input with the others held, what a factor of ten in
either direction does, and maps over pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from qdescent._checks import ArgumentError
from qdescent._evidence import Row
from qdescent.resources.input_rows import modelled
from qdescent.resources.verdict.inputs import INPUTS, NAMED, NARROW, Case, Input
from qdescent.rows import names

NEVER = "never"
_GRID = 13  # values of an input that are tried before one is narrowed down
FACTOR = 10.0  # of the tornado
PAIRS = (
    ("n", "sparsity"), ("steps", "sparsity"), ("n", "largest"), ("kappa", "epsilon"),
    ("error_rate", "cycle_time_ns"),
)  # fmt: skip
CELLS = 13  # values of each axis of a map


@dataclass(frozen=True)
class BreakEven:
    """Where an input alone would make the two times equal.

    Args:
        name: of the input.
        now: its value.
        value: the nearest at which quantum time = classical time; None: never, between its ends.
        best: the least quotient that was seen between them.
    """

    name: str
    now: float
    value: float | None
    best: float


def break_even(case: Case, what: Input) -> BreakEven | None:
    """The nearest value of an input at which the quotient is 1; None where the case lacks it.

    The quotient is looked at on a grid of its logarithm between its ends, and narrowed down by
    halves where it crosses 1.
    """
    now = what.value(case)
    if now is None:
        return None
    low, high = what.low(case), what.high(case)
    if high <= low:
        return BreakEven(what.name, now, None, what.at(case, now))
    values = sorted({*_logarithmic(low, high, _GRID), min(max(now, low), high)})
    ratios = [what.at(case, value) for value in values]
    seen = [ratio for ratio in ratios if math.isfinite(ratio)]
    crossings = [
        _narrowed(case, what, values[i], values[i + 1])
        for i in range(len(values) - 1)
        if not (math.isnan(ratios[i]) or math.isnan(ratios[i + 1]))
        and (ratios[i] < 1) != (ratios[i + 1] < 1)
    ]
    nearest = min(crossings, key=lambda v: abs(math.log(v / max(now, 1e-300))), default=None)
    return BreakEven(what.name, now, nearest, min(seen, default=math.inf))


def _narrowed(case: Case, what: Input, low: float, high: float) -> float:
    wins_low = what.at(case, low) < 1
    while math.log10(high / low) > NARROW and high - low > 1e-12 * high:
        middle = math.sqrt(low * high)
        if (what.at(case, middle) < 1) == wins_low:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def _logarithmic(low: float, high: float, count: int) -> list[float]:
    step = math.log(high / low) / (count - 1)
    return [low, *(low * math.exp(step * k) for k in range(1, count - 1)), high]


def break_even_rows(case: Case) -> list[Row]:
    """The break-even of every input, "never" included, each with the others held."""
    rows = []
    for what in INPUTS:
        found = break_even(case, what)
        if found is None:
            continue
        low, high = what.low(case), what.high(case)
        source = f"{what.title}, {what.held}; looked for from {low:.3g} to {high:.3g}"
        at = f"{names.BREAK_EVEN}{what.name}"
        rows += [
            modelled(
                at, NEVER if found.value is None else found.value, "" if found.value is None else
                "1", source,
            ),
            modelled(f"{at}_least_ratio", found.best, "1", f"the least quotient seen; {source}"),
        ]  # fmt: skip
    return rows


def tornado_rows(case: Case) -> list[Row]:
    """The quotient with each input a tenth and ten times what it is, as far as it may be."""
    rows = []
    for what in INPUTS:
        now = what.value(case)
        if now is None:
            continue
        ends = [
            min(max(value, what.low(case)), what.high(case))
            for value in (now / FACTOR, now * FACTOR)
        ]
        ratios = [what.at(case, end) for end in ends]
        if any(math.isnan(ratio) for ratio in ratios):
            continue
        rows.append(
            modelled(
                f"{names.TORNADO}{what.name}",
                ratios,
                "1",
                f"quantum / classical time at {what.title} = {ends[0]:.4g} and {ends[1]:.4g},"
                f" {what.held}",
            )
        )
    return rows


@dataclass(frozen=True)
class Map:
    """The quotient over two inputs.

    Args:
        x, y: their names.
        xs, ys: their values.
        ratios: by y, then x; NaN where a round cannot be so.
    """

    x: str
    y: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    ratios: tuple[tuple[float, ...], ...]


def map_over(case: Case, x: str, y: str, cells: int = CELLS) -> Map | None:
    """The quotient on a logarithmic grid of two inputs; None where the case lacks one."""
    across, up = NAMED[x], NAMED[y]
    if across.value(case) is None or up.value(case) is None:
        return None
    axes = [_logarithmic(each.low(case), each.high(case), cells) for each in (across, up)]
    columns = [_column(case, across, right, up, axes[1]) for right in axes[0]]
    rows = tuple(tuple(column[k] for column in columns) for k in range(len(axes[1])))
    return Map(x, y, tuple(axes[0]), tuple(axes[1]), rows)


def _column(case: Case, across: Input, right: float, up: Input, values: list[float]) -> list[float]:
    """The quotient along one input with the other moved; NaN where it cannot be moved so far."""
    try:
        moved = across.moved(case, right)
    except (ArgumentError, OverflowError):
        return [math.nan] * len(values)
    return [up.at(moved, above) for above in values]
