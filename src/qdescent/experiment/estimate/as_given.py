"""A refusal in the words of whoever gave the inputs: it names what they gave, not what followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from qdescent._checks import ArgumentError, argument_error, shown
from qdescent.experiment.estimate.settings import EstimateSettings

_APART = ("machine", "sweep", "card")  # without which nothing is priced otherwise


def as_given(
    error: ArgumentError, settings: EstimateSettings, attempt: Callable[[EstimateSettings], object]
) -> ArgumentError:
    """The same refusal, by the input that the user gave.

    What is refused may follow from an input (a success probability from a learning rate), or be a
    default that does not go with one. Then the sentence names the input without which nothing is
    refused, and says of what; where it takes several of them, the first.

    Args:
        error: of `attempt(settings)`.
        settings: what was given.
        attempt: raises where the inputs do not go together.
    """
    defaults = {each.name: each.default for each in fields(settings)}
    given = [
        name
        for name, default in defaults.items()
        if name not in _APART and getattr(settings, name) != default
    ]
    if error.argument in ("", *given, "from") or not given:
        return error
    culprit = next((name for name in given if _goes_without(name, settings, attempt)), given[0])
    value, refused = shown(getattr(settings, culprit)), str(error).removeprefix("Argument ")
    for internal, said in (("`spec`", "the round"), ("`norms`", "the map")):
        refused = refused.replace(internal, said)
    must = "go with the other inputs"
    return argument_error(culprit.rstrip("_"), must, f"{value}, with which {refused}")


def _goes_without(
    name: str, settings: EstimateSettings, attempt: Callable[[EstimateSettings], object]
) -> bool:
    left_out: dict[str, Any] = {name: getattr(EstimateSettings(), name)}
    try:
        attempt(replace(settings, **left_out))
    except ArgumentError:
        return False
    return True
