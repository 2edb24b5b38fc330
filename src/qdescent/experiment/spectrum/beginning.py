"""How a measurement begins: anew, or as an unfinished one is gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from qdescent._checks import argument_error
from qdescent.experiment.saved_state import ANEW, first_state, restored
from qdescent.experiment.spectrum.settings import STATE_OF_JOB, SpectrumSettings, spectrum_settings
from qdescent.report.reservation import is_vacant, refuse_directory
from qdescent.report.state import whole


def new_spectrum(directory: Path | None, given: Mapping[str, Any]) -> SpectrumSettings:
    """The settings of a new measurement, from the flags that were given (None: not given).

    Args:
        directory: where the user wants it; None: where there is room.
        given: flags by name.

    Raises:
        ArgumentError: a bad or missing setting, or there is something in the directory; the message
            says whether it can be resumed.
    """
    settings = spectrum_settings(given)
    if directory is not None and not is_vacant(directory):
        raise refuse_directory(directory)
    return settings


def resumed_spectrum(directory: Path, given: Mapping[str, Any]) -> SpectrumSettings:
    """The settings that an unfinished measurement was started with.

    The directory may be a stranger's: what runs as code, functions written as module:function and
    the arguments of the network's, is never taken from it. The user gives it again.

    Raises:
        ArgumentError: there is none, it is whole, its state is damaged, a flag was given that
            differs, or a function was not given again.
    """
    state = first_state(directory, STATE_OF_JOB, "measurement")
    with whole(directory, STATE_OF_JOB, ANEW):
        settings = restored(SpectrumSettings, state.extra["settings"], state.origin)
        code = settings.code()
    for field in fields(SpectrumSettings):
        asked, kept = given.get(field.name), getattr(settings, field.name)
        if (
            asked not in (None, [], ())
            and (tuple(asked) if field.name == "arguments" else asked) != kept
        ):
            raise argument_error(
                field.name, f"be {kept!r}, as in the measurement to be resumed", asked
            )
    for name in code:
        if not given.get(name):
            must = f"be given again, for it runs as code ({settings.again(directory)})"
            raise argument_error(name, must, "missing")
    return settings
