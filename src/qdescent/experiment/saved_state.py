"""An unfinished run as it lies in its directory: which one it is, and the settings that it was
begun with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from qdescent._checks import argument_error
from qdescent.experiment.origin import check_threads, settings_fingerprint
from qdescent.report.record import is_complete
from qdescent.report.reservation import is_vacant, refuse_whole
from qdescent.report.state import STATE_FOLDER, State, load_state, saved_stages

# the remedy where the file of the settings is damaged
ANEW = "begin the run anew in another directory"


T = TypeVar("T")


def first_state(directory: Path, stage: str, noun: str) -> State:
    """The stage by which an unfinished run is known.

    Raises:
        ArgumentError: there is no run, it is already whole, or its state is damaged.
    """
    if is_complete(directory):
        raise refuse_whole(directory, noun)
    state = load_state(directory, stage, remedy=ANEW)
    if state is None:
        cure = " (give the command without --resume)" if is_vacant(directory) else ""
        shown = f"{str(directory)!r}, where none was started{cure}"
        raise argument_error("out", f"be an unfinished {noun} to be resumed", shown)
    return state


def restored(kind: type[T], values: Any, origin: Mapping[str, str]) -> T:
    """Settings as a state holds them.

    Raises:
        ValueError: a setting is missing or unknown, has no value that it may have, or is not the
            one the run began with.
    """
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(values, dict) or set(values) != names:
        raise ValueError("its settings are not those of this command")
    check_threads(origin)
    if not {"versions", "device", "settings", "inputs"} <= origin.keys():
        raise ValueError("it does not say where it comes from")
    if settings_fingerprint(values) != origin["settings"]:
        raise ValueError("its settings are not those that it was started with")
    return kind(**values)


def latest_unfinished(parent: Path) -> Path:
    """The unfinished run in `parent` that was worked on last.

    Raises:
        ArgumentError: there is none.
    """
    found: dict[Path, float] = {}
    for path in parent.glob("*"):
        with contextlib.suppress(OSError):  # one that ends just now
            if saved_stages(path) and not is_complete(path):
                found[path] = (path / STATE_FOLDER).stat().st_mtime
    if not found:
        raise argument_error(
            "resume",
            "find an unfinished run",
            f"without one in {str(parent)!r} (name it with --out)",
        )
    return max(found, key=lambda path: found[path])
