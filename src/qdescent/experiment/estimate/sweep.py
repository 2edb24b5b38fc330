"""Inputs over ranges: the quotient of best against best on a grid, as a table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

from qdescent.experiment.estimate.ranges import Range
from qdescent.resources.verdict.inputs import NAMED, Case

COLUMNS = ("ratio", "quantum_seconds", "classical_seconds", "way", "classical_way")


def swept(
    case: Case, ranges: Sequence[Range], on_point: Callable[[], None] = lambda: None
) -> Iterator[dict[str, float | str]]:
    """A line for each point of the grid; where a round cannot be so, its text says why.

    Args:
        case: with kappa held.
        ranges: of the inputs.
        on_point: function called after each: to move a progress bar.
    """
    for values in itertools.product(*(each.values for each in ranges)):
        here = {each.name: value for each, value in zip(ranges, values, strict=True)}
        yield {**here, **_priced(case, here)}
        on_point()


def _priced(case: Case, here: dict[str, float]) -> dict[str, float | str]:
    try:
        for name, value in here.items():
            case = NAMED[name].moved(case, value)
        return dict(zip(COLUMNS, case.outcome, strict=True))
    except (ValueError, OverflowError) as error:
        return dict.fromkeys(COLUMNS[:3], math.nan) | {"way": str(error), "classical_way": ""}
