"""How an unfinished measurement is gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qdescent.experiment.code_settings import check_code_given
from qdescent.experiment.saved_state import ANEW, first_state, restored
from qdescent.experiment.setting import check_same
from qdescent.experiment.spectrum.settings import STATE_OF_JOB, SpectrumSettings
from qdescent.report.state import whole


def resumed_spectrum(directory: Path, given: Mapping[str, Any]) -> SpectrumSettings:
    """The settings that an unfinished measurement was started with.

    The directory may be a stranger's: what runs as code, functions written as module:function and
    the arguments of the network's, is never taken from it. The user gives it again.

    Args:
        directory: of the measurement.
        given: settings by name, as of `given_settings`.

    Raises:
        ArgumentError: there is none, it is whole, its state is damaged, a setting was given that
            differs, or a function was not given again.
    """
    state = first_state(directory, STATE_OF_JOB, "measurement")
    with whole(directory, STATE_OF_JOB, ANEW):
        settings = restored(SpectrumSettings, state.extra["settings"], state.origin)
    check_same(settings, given, "measurement")
    check_code_given(settings, given, directory)
    return settings
