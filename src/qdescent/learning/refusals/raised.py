"""What a stranger's code raised, in a few words, and where: its last line that is no library's."""

from __future__ import annotations

import inspect
import os
import sysconfig
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from qdescent._checks import shortened

MOST = 200  # characters of what was raised


def raised(error: BaseException, function: Callable[..., Any] | None = None) -> str:
    """A stranger's error on one line.

    Args:
        error: what was caught, where it was caught.
        function: what was called; where no line of a stranger's ran, that on which it begins is
            told.

    Example:
        >>> def halved(number): ...
        >>> try:
        ...     halved()
        ... except TypeError as error:
        ...     print(raised(error))
        TypeError: halved() missing 1 required positional argument: 'number'
    """
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text += f": {error.filename!r}"
    place, text = _last_line(error), shortened(text, MOST)
    said = f"{type(error).__name__}{f' in {place}' if place else ''}{f': {text}' if text else ''}"
    begins = "" if function is None or place else begun(function)
    return f"{said}; it begins in {begins}" if begins else said


def begun(function: Callable[..., Any]) -> str:
    """The file and the line on which a function or a class begins; empty where it has none that is
    no library's.
    """
    try:
        function = inspect.unwrap(function)
        path = inspect.getsourcefile(function)
        line = inspect.getsourcelines(function)[1]
    except (TypeError, ValueError, OSError):  # built in, or made without a file
        return ""
    return "" if not path or _is_library(path) else _place(path, line)


def _last_line(error: BaseException) -> str:
    """Where a stranger's own code was last when this was raised; empty: it was not in it."""
    frames = traceback.walk_tb(error.__traceback__)
    own = [
        (frame.f_code.co_filename, line)
        for frame, line in frames
        if not _is_library(frame.f_code.co_filename)
    ]
    return _place(*own[-1]) if own else ""


def _is_library(path: str) -> bool:
    return path.startswith(("<", *_libraries()))


@cache
def _libraries() -> tuple[str, ...]:
    """The folders of Python, of what is installed, and of this package."""
    paths = sysconfig.get_paths()
    installed = {paths[each] for each in ("stdlib", "platstdlib", "purelib", "platlib")}
    own, theirs = Path(__file__).parents[2], Path(torch.__file__).parents[1]
    return tuple(f"{folder}{os.sep}" for folder in (*installed, own, theirs))


def _place(path: str, line: int) -> str:
    try:
        near = os.path.relpath(path)
    except (OSError, ValueError):  # the working directory was removed; another drive
        near = path
    return f"{path if near.startswith(os.pardir) else near!r}, line {line}"
