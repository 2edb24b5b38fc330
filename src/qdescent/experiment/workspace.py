"""The directory of a run while it is being made: its settings, what is done so far, how long it took."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

from torch import Tensor

from qdescent._checks import argument_error
from qdescent.experiment.origin import check_origin, check_threads, origin_of, settings_fingerprint, threads_of
from qdescent.experiment.settings import Settings
from qdescent.report.record import is_complete, stopwatch
from qdescent.report.reservation import held, is_vacant, refuse_directory, refuse_whole
from qdescent.report.state import STATE_FOLDER, State, load_state, save_state, saved_stages, whole

STATE_OF_SETTINGS = "settings"
ANEW = "begin the run anew in another directory"  # the remedy where the file of the settings is damaged

T = TypeVar("T")


class Progress(Protocol):
    """Who is told how far the work has come; the command line draws bars, everyone else may stay silent."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """A stage of `total` units begins, `done` of them from an earlier call."""

    def advance(self) -> None:
        """One unit is done."""

    def finish(self, summary: str) -> None:
        """The stage ended; `summary` says in a few words with what."""


class Silent:
    """Progress that goes nowhere."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Nothing."""

    def advance(self) -> None:
        """Nothing."""

    def finish(self, summary: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Workspace:
    """An unfinished run.

    Args:
        directory: where it is kept.
        settings: of the run.
        progress: who is told.
        timings: seconds of each stage, filled as they end.
        origin: what its saved stages must agree on; empty until a new run begins.
    """

    directory: Path
    settings: Settings
    progress: Progress
    timings: dict[str, float] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Have the directory for this process alone, and compute with the threads that the run began with.

        Raises:
            ArgumentError: another process works on it.
        """
        with held(self.directory, new=not self.origin), threads_of(self.origin):
            yield

    def begin(self, inputs: str) -> None:
        """Keep the settings on disk: from here on the run can be resumed. Called once the input is known to be usable.

        Args:
            inputs: fingerprint of the data.

        Raises:
            ArgumentError: the run began with other data, other versions of packages, or on another device.
        """
        now = origin_of(self.settings.to_json(), inputs)
        if self.origin:
            check_origin(self.origin, now, "data")
            return
        self.origin.update(now)
        self.save(STATE_OF_SETTINGS, {}, self.settings.to_json())

    def save(self, stage: str, tensors: Mapping[str, Tensor], extra: Mapping[str, Any] | None = None) -> None:
        """Keep what a stage has reached."""
        save_state(self.directory, stage, self.origin, tensors, extra or {})

    def load(self, stage: str) -> State | None:
        """What an earlier call kept, or None.

        Raises:
            ArgumentError: it is damaged, or of another run.
        """
        return load_state(self.directory, stage, self.origin)

    def whole(self, stage: str) -> contextlib.AbstractContextManager[None]:
        """Take what `load` found apart inside: what is missing or does not fit is one sentence."""
        return whole(self.directory, stage)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside under `name`."""
        with stopwatch(self.timings, name):
            yield


def create_workspace(directory: Path, settings: Settings, progress: Progress | None = None) -> Workspace:
    """A new run in a directory that does not exist yet, or is empty; nothing is written before `held`.

    Raises:
        ArgumentError: there is something in the directory; the message says whether it can be resumed.
    """
    if not is_vacant(directory):
        raise refuse_directory(directory)
    return Workspace(directory, settings, progress or Silent())


def resume_workspace(directory: Path, progress: Progress | None = None) -> Workspace:
    """An unfinished run, with the settings it was started with.

    Raises:
        ArgumentError: there is no run, it is already whole, or its state is damaged.
    """
    state = first_state(directory, STATE_OF_SETTINGS, "run")
    with whole(directory, STATE_OF_SETTINGS, ANEW):
        settings = restored(Settings, state.extra, state.origin)
    return Workspace(directory, settings, progress or Silent(), origin=state.origin)


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
        ValueError: a setting is missing or unknown, has no value that it may have, or is not the one the run began with.
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
        raise argument_error("resume", "find an unfinished run", f"without one in {str(parent)!r} (name it with --out)")
    return max(found, key=lambda path: found[path])
