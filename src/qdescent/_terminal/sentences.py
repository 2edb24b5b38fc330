"""How a command ends in words, on standard error: a bad argument, a signal, a full disk.

Only what is light is imported here, for the first sentence may be that of a bad argument.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from qdescent._checks import ArgumentError, argument_error, harmless
from qdescent._processes import is_first
from qdescent._signals import Stopped, quiet_imports

IMPORTING = "Importing PyTorch and the rest ..."
ELSEWHERE = "Nothing was begun: choose another directory (--out)."


@contextmanager
def importing() -> Iterator[None]:
    """Signals are quiet and a terminal is told while what a job needs is imported.

    That takes one to three seconds, many where Python compiles it for the first time. The line is
    gone afterwards; a log gets none, where a bad argument is to be the only one.

    Raises:
        ArgumentError: the working directory was removed: from there PyTorch's MKL ends the process.
    """
    try:
        os.getcwd()
    except OSError:
        must = "be one that still exists (cd to another)"
        raise argument_error("working directory", must, "one that was removed") from None
    told = sys.stderr.isatty() and is_first()
    if told:
        click.echo(IMPORTING, err=True, nl=False)
    try:
        with quiet_imports():
            yield
    finally:
        if told:
            click.echo("\r\x1b[K", err=True, nl=False)


@contextmanager
def ends_in_words(directory: Path, again: str = "") -> Iterator[None]:
    """A signal, a full disk or memory ends in a sentence with the way on, not in a traceback.

    Args:
        directory: of the run.
        again: the command that goes on with it; empty: nothing is saved on the way.
    """
    try:
        yield
    except (Stopped, KeyboardInterrupt) as stop:
        say(f"Stopped. {way_on(directory, again)}", colour=None)
        raise click.exceptions.Exit(stop.exit_code if isinstance(stop, Stopped) else 130) from None
    except SystemExit as end:  # of the user's own code: nothing here ends so
        said = f"The network, the data or the loss ended the program (sys.exit({end.code!r}))."
        say(f"qdescent: {said} {way_on(directory, again)}")
        raise click.exceptions.Exit(2) from None
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever read what is printed has gone
            raise
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        way = way_on(directory, again) if full or os.path.isdir(directory) else ELSEWHERE
        say(f"qdescent: {not_written(error, directory)} {way}")
        raise click.exceptions.Exit(2) from None
    except (MemoryError, RuntimeError) as error:
        if not is_memory(error):
            raise
        asked = next(iter(re.findall(r"[0-9.]+ (?:[KMGT]iB|bytes)", str(error))), "")
        text = f"qdescent: Out of memory{f' ({asked} were asked for)' if asked else ''}."
        text += " A smaller batch, fewer samples or probes, or a machine with more memory helps."
        say(f"{text} {way_on(directory, again)}")
        raise click.exceptions.Exit(2) from None
    finally:
        if is_first():
            with suppress(OSError):  # a directory that was reserved for nothing, if it is empty
                directory.rmdir()


def is_memory(error: BaseException) -> bool:
    """Whether memory was refused: by Python, NumPy, PyTorch on the processor or on a GPU."""
    text = str(error)
    signs = ("DefaultCPUAllocator", "not enough memory", "out of memory", "bad_alloc")
    return isinstance(error, MemoryError) or any(sign in text for sign in signs)


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


def say(sentence: str, colour: str | None = "red") -> None:
    """One sentence on standard error, from the first process only; a closed one is no error."""
    if is_first():
        with suppress(OSError):
            text = sentence if sentence.isprintable() else harmless(sentence)
            click.secho(text, fg=colour, err=True)
