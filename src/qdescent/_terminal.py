"""What the command line says: sentences, bars, tables, and how a run ends in words.

Only what is light is imported here, for the first sentence may be that of a bad argument; whatever
a job has loaded anyway, when it speaks, is imported where it is used.
"""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from qdescent._checks import ArgumentError, argument_error, harmless
from qdescent._processes import is_first
from qdescent._signals import Stopped
from qdescent.rows.numbers import number

if TYPE_CHECKING:
    from qdescent._evidence import Row

out_console, error_console = Console(), Console(stderr=True)


@contextmanager
def ends_in_words(directory: Path, again: str = "") -> Iterator[None]:
    """A signal or a full disk ends in a sentence with the way on, not in a traceback.

    Args:
        directory: of the run.
        again: the command that goes on with it; empty: nothing is saved on the way.
    """
    try:
        yield
    except (Stopped, KeyboardInterrupt) as stop:
        say(f"Stopped. {way_on(directory, again)}", style=None)
        raise typer.Exit(stop.exit_code if isinstance(stop, Stopped) else 130) from None
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever read what is printed has gone
            raise
        say(f"qdescent: {not_written(error, directory)} {way_on(directory, again)}")
        raise typer.Exit(2) from None
    finally:
        if is_first():
            with suppress(OSError):  # a directory that was reserved for nothing, if it is empty
                directory.rmdir()


def not_written(error: OSError, place: Path | None = None) -> ArgumentError:
    """The sentence for a full disk, a folder without permission."""
    shown = f"not ({error.strerror or error}: {str(error.filename or place)!r})"
    return argument_error("out", "be a directory that can be written", shown)


def way_on(directory: Path, again: str) -> str:
    """What to do with a run that was ended: one sentence."""
    from qdescent.report.record import is_complete
    from qdescent.report.state import saved_stages

    if is_complete(directory):  # the disk failed after the last file
        return "All the same it is whole."
    if again and saved_stages(directory):
        return f"Nothing that was saved is lost: {again}"
    return "Nothing was saved yet: give the same command again."


def say(sentence: str, style: str | None = "red") -> None:
    """One sentence on standard error, from the first process only; a closed one is no error."""
    if is_first():
        with suppress(OSError):
            text = sentence if sentence.isprintable() else harmless(sentence)
            error_console.print(text, style=style, soft_wrap=True, highlight=False, markup=False)


def print_place(noun: str, path: Path) -> None:
    """Where something lies, with every character of its path shown harmless."""
    out_console.print(
        f"{noun}: {harmless(str(path))}", soft_wrap=True, highlight=False, markup=False
    )


class Bars:
    """One bar a stage, which stays on the screen with the stage's outcome; in a log file one line a
    stage, as it ends.
    """

    def __init__(self) -> None:
        self.progress = Progress(
            TextColumn("{task.description:<17}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[summary]}", markup=False),
            console=out_console,
            disable=not out_console.is_terminal or not is_first(),
        )
        self._task = TaskID(0)
        self._stage, self._start = "", 0.0

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Open the bar of a stage."""
        self._stage, self._start = stage, time.perf_counter()
        self._task = self.progress.add_task(stage, total=total, completed=done, summary="")

    def advance(self) -> None:
        """Move it by one."""
        self.progress.advance(self._task)

    def finish(self, summary: str) -> None:
        """Leave it full, with the outcome beside it."""
        self.progress.update(self._task, completed=self.progress.tasks[-1].total, summary=summary)
        if not out_console.is_terminal:
            seconds = time.perf_counter() - self._start
            out_console.print(
                f"{self._stage:<17} {seconds:5.0f} s  {summary}",
                soft_wrap=True,
                highlight=False,
                markup=False,
            )


def print_table(title: str, rows: list[tuple[str, Row]]) -> None:
    """Labelled rows: value, unit, evidence."""
    table = Table(title=title, title_justify="left", show_edge=False)
    for column, side in (("", "left"), ("value", "right"), ("unit", "left"), ("evidence", "left")):
        table.add_column(column, justify=side)  # type: ignore[arg-type]
    for label, row in rows:
        sampled = isinstance(row.error, float) and math.isfinite(row.error)
        error = f" ± {number(row.error, 2)}" if sampled else ""
        table.add_row(
            label, number(row.value) + error, "" if row.unit == "1" else row.unit, str(row.evidence)
        )
    out_console.print(table)
