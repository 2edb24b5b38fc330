"""The directory of a run while it is being made: its settings, what is done so far, how long it took."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from qdescent._checks import argument_error
from qdescent.experiment.settings import Settings
from qdescent.report.record import is_complete, load_state, save_state, stopwatch

STATE_OF_SETTINGS = "settings"


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
    """

    directory: Path
    settings: Settings
    progress: Progress
    timings: dict[str, float] = field(default_factory=dict)

    def begin(self) -> None:
        """Keep the settings on disk: from here on the run can be resumed. Called once the input is known to be usable."""
        save_state(self.directory, STATE_OF_SETTINGS, {}, [], self.settings.to_json())

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside under `name`."""
        with stopwatch(self.timings, name):
            yield


def create_workspace(directory: Path, settings: Settings, progress: Progress | None = None) -> Workspace:
    """A new run in a directory that does not exist yet; nothing is written before `begin`.

    Raises:
        ArgumentError: the directory exists; the message says whether it can be resumed.
    """
    if directory.exists():
        unfinished = not is_complete(directory) and (directory / "state").is_dir()
        way_out = "give --resume to go on with it" if unfinished else "choose another"
        raise argument_error("out", "be a directory that does not exist yet", f"{str(directory)!r} ({way_out})")
    return Workspace(directory, settings, progress or Silent())


def resume_workspace(directory: Path, progress: Progress | None = None) -> Workspace:
    """An unfinished run, with the settings it was started with.

    Raises:
        ArgumentError: there is no run, it is already whole, or its state is damaged.
    """
    if is_complete(directory):
        raise argument_error("out", "be an unfinished run to be resumed", f"{str(directory)!r}, which is already whole")
    state = load_state(directory, STATE_OF_SETTINGS) if directory.is_dir() else None
    if state is None:
        raise argument_error("out", "be an unfinished run to be resumed", f"{str(directory)!r}, where none was started")
    return Workspace(directory, Settings(**state.extra), progress or Silent())


def next_directory(parent: Path) -> Path:
    """The first of run-001, run-002, ... that does not exist in `parent`."""
    number = 1
    while (parent / f"run-{number:03d}").exists():
        number += 1
    return parent / f"run-{number:03d}"


def latest_unfinished(parent: Path) -> Path:
    """The unfinished run in `parent` that was worked on last.

    Raises:
        ArgumentError: there is none.
    """
    found = [path for path in parent.glob("*") if (path / "state").is_dir() and not is_complete(path)]
    if not found:
        raise argument_error("resume", "find an unfinished run", f"without one in {str(parent)!r} (name it with --out)")
    return max(found, key=lambda path: (path / "state").stat().st_mtime)
