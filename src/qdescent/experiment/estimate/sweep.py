"""Inputs over ranges: the quotient of best against best on a grid, as a table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from qdescent.experiment.estimate.priced_round import priced_of
from qdescent.experiment.estimate.ranges import WHOLE, Range
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.resources.verdict.inputs import NAMED, Case

COLUMNS = ("ratio", "quantum_seconds", "classical_seconds", "way", "classical_way")
HISTORY = ("steps", "learning_rate")  # where these move, kappa is that of the moved round
KAPPA = "kappa"  # where it moves, nothing is found by norms, as where its flag is given


def swept(
    case: Case,
    settings: EstimateSettings,
    ranges: Sequence[Range],
    on_point: Callable[[], None] = lambda: None,
) -> Iterator[dict[str, float | str]]:
    """A line for each point of the grid, as its flags would price it; where a round cannot be so,
    its text says why.

    Args:
        case: of the settings.
        settings: what the ranges move.
        ranges: of the inputs.
        on_point: function called after each: to move a progress bar.

    Cost: a millisecond or two a point. Where a history may be the shortest way, a search for kappa
        for each T and learning rate, too: .2 s at a thousand steps.
    """
    begun: dict[tuple[float, ...], Case | str] = {}
    for values in itertools.product(*(each.values for each in ranges)):
        here = {each.name: value for each, value in zip(ranges, values, strict=True)}
        begins = {name: here[name] for name in (*HISTORY, KAPPA) if name in here}
        key = tuple(begins.values())
        if key not in begun:
            begun[key] = _begun(case, settings, begins)
        yield {**here, **_priced(begun[key], here)}
        on_point()


def _begun(case: Case, settings: EstimateSettings, moved: dict[str, float]) -> Case | str:
    """The case with another T, learning rate or kappa; or why there is none."""
    if not moved:
        return case
    given: dict[str, Any] = {
        name: round(value) if name in WHOLE else value for name, value in moved.items()
    }
    try:
        spec, _ = priced_of(replace(settings, **given))
        return replace(case, spec=spec)
    except (ValueError, OverflowError) as error:
        return str(error)


def _priced(case: Case | str, here: dict[str, float]) -> dict[str, float | str]:
    try:
        if isinstance(case, str):
            return _refused(case)
        for name, value in here.items():
            if name not in (*HISTORY, KAPPA):
                case = NAMED[name].moved(case, value)
        return dict(zip(COLUMNS, case.outcome, strict=True))
    except (ValueError, OverflowError) as error:
        return _refused(str(error))


def _refused(why: str) -> dict[str, float | str]:
    return dict.fromkeys(COLUMNS[:3], math.nan) | {"way": why, "classical_way": ""}
