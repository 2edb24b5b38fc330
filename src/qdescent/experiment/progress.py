"""Who is told how far a job has come."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Who is told how far the work has come: the command line draws bars, others may be silent."""

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
