"""What the command line says while a job goes on and when it is done: bars and lines on standard
error, the outcome on standard output.
"""

from __future__ import annotations

import errno
import sys
import time
from contextlib import redirect_stdout, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from qdescent._checks import harmless
from qdescent._evidence import Row
from qdescent._processes import is_first
from qdescent._terminal.sentences import say
from qdescent.report.headline import headline_json
from qdescent.rows.numbers import number, with_error

out_console, error_console = Console(), Console(stderr=True)
# seconds in a log; what comes before the first stage, where most bad arguments end, has more
SILENCE, LONGEST_SILENCE, LOADING = 3.0, 160.0, 10.0


def print_outcome(
    command: str, seconds: float, labelled: list[tuple[str, Row]], page: Path, as_json: bool
) -> None:
    """The headline of a job that is done: numbers as a table, texts as sentences, where the page
    is; or all of it as JSON. Where nothing can be printed, a sentence on standard error.

    Args:
        command: the subcommand.
        seconds: that it took.
        labelled: rows, each with a label.
        page: the HTML page, in the directory of the results.
        as_json: print one JSON object and nothing else.
    """
    try:
        _print_outcome(command, seconds, labelled, page, as_json)
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever read it has gone
            raise
        place = harmless(str(page.parent))
        say(
            f"qdescent: Standard output cannot be written ({error.strerror or error})."
            f" The results are whole: {place}"
        )
        raise click.exceptions.Exit(2) from None


def _print_outcome(
    command: str, seconds: float, labelled: list[tuple[str, Row]], page: Path, as_json: bool
) -> None:
    if as_json:
        click.echo(headline_json(command, seconds, labelled, page))
        return
    _print_table(f"qdescent {command}, {number(round(seconds))} s", labelled)
    for label, row in labelled:
        if isinstance(row.value, str):
            end = "" if row.value.endswith(".") else "."
            out_console.print(f"{label}: {row.value}{end}", highlight=False, markup=False)
    print_place("Page", page)


def print_place(noun: str, path: Path) -> None:
    """Where something lies, with every character of its path shown harmless."""
    click.echo(f"{noun}: {harmless(str(path))}")


class Bars:
    """One bar a stage, which stays on the screen with the stage's outcome; in a log file one line a
    stage, as it ends, and one now and then of a stage that lasts. What a network of the user's
    prints meanwhile goes to standard error, too: standard output is the outcome's.
    """

    def __init__(self) -> None:
        self.progress = Progress(
            TextColumn("{task.description:<17}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=False),
            TextColumn("{task.fields[summary]}", markup=False),
            console=error_console,
            disable=not error_console.is_terminal or not is_first(),
        )
        self._task = TaskID(0)
        self._between: TaskID | None = None  # the bar of what belongs to no stage
        self._begun = time.perf_counter()
        self._stage, self._start, self._of, self._done = "Loading", self._begun, 0, 0
        self._ended = Event()
        self._aside = redirect_stdout(sys.stderr)

    def __enter__(self) -> Bars:
        self._aside.__enter__()
        self.progress.start()
        self._meanwhile("Loading")
        if not error_console.is_terminal and is_first():
            Thread(target=self._speak, daemon=True).start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._ended.set()
        self._meanwhile(None)
        self.progress.stop()
        self._aside.__exit__(*error)

    def _speak(self) -> None:
        """Say where a job stands, after three seconds of a silence, and each time after twice as
        many: its threads may be busy for minutes within one call.
        """
        spoken, wait = self._begun, LOADING
        while not self._ended.wait(min(1.0, SILENCE)):
            now = time.perf_counter()
            if self._start > spoken:
                spoken, wait = self._start, SILENCE
            if now - spoken >= wait:
                spoken, wait = now, min(2 * wait, LONGEST_SILENCE)
                of = f", {self._done} of {self._of}" if self._of else ""
                self._line(self._stage, now - self._start, f"so far{of}")

    def _line(self, stage: str, seconds: float, words: str) -> None:
        with suppress(OSError):  # a log that is full ends no measurement
            error_console.print(
                f"{stage:<17} {seconds:5.0f} s  {words}",
                soft_wrap=True,
                highlight=False,
                markup=False,
            )

    def _meanwhile(self, words: str | None) -> None:
        """Show that something goes on between stages, and how long; None: nothing does."""
        if self._between is not None:
            self.progress.remove_task(self._between)
        self._between = None
        if words is not None:
            self._between = self.progress.add_task(words, total=None, summary="")

    @property
    def seconds(self) -> float:
        """Since the job began."""
        return time.perf_counter() - self._begun

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Open the bar of a stage."""
        self._meanwhile(None)
        self._stage, self._start, self._of, self._done = stage, time.perf_counter(), total, done
        self._task = self.progress.add_task(stage, total=total, completed=done, summary="")

    def advance(self) -> None:
        """Move it by one."""
        self._done += 1
        self.progress.advance(self._task)

    def finish(self, summary: str) -> None:
        """Leave it full, with the outcome beside it."""
        self.progress.update(self._task, completed=self.progress.tasks[-1].total, summary=summary)
        self._meanwhile("Writing")
        now = time.perf_counter()
        if not error_console.is_terminal:
            self._line(self._stage, now - self._start, summary)
        self._stage, self._start, self._of = "Writing", now, 0


def _print_table(title: str, labelled: list[tuple[str, Row]]) -> None:
    """Labelled numbers: value, unit, evidence."""
    table = Table(title=title, title_justify="left", show_edge=False)
    for column, side in (("", "left"), ("value", "right"), ("unit", "left"), ("evidence", "left")):
        table.add_column(column, justify=side)  # type: ignore[arg-type]
    for label, row in labelled:
        if isinstance(row.value, str):
            continue
        shown, unit = with_error(row.value, row.error), "" if row.unit == "1" else row.unit
        table.add_row(label, shown, unit, str(row.evidence))
    out_console.print(table)
