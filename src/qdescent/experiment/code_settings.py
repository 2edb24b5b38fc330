"""Settings that run code: functions as module:function, and the arguments of the network's.

The directory of an unfinished job may be a stranger's: what runs as code is never taken from it.
The user gives it again.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qdescent._checks import argument_error


def code_of(settings: Any, flags: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Name -> words of the command line, of the settings that run code.

    Args:
        settings: with `network` and `arguments`.
        flags: names of those that do where they are written as module:function.
    """
    named: dict[str, tuple[str, ...]] = {"network": (settings.network,)} if settings.network else {}
    for name in flags:
        if ":" in getattr(settings, name):
            named[name] = (f"--{name.replace('_', '-')}", getattr(settings, name))
    if settings.arguments:
        named["arguments"] = tuple(
            word for each in settings.arguments for word in ("--arguments", each)
        )
    return named


def command_again(settings: Any, directory: Path) -> str:
    """The command that goes on with an unfinished job of these settings, which have `code`."""
    words = [word for each in settings.code().values() for word in each]
    return shlex.join(["qdescent", settings.command, *words, "--resume", "--out", str(directory)])


def check_code_given(settings: Any, given: Mapping[str, Any], directory: Path) -> None:
    """Refuse to go on where what runs as code was not given again.

    Args:
        settings: of the unfinished job, with `code`.
        given: settings by name, as of `given_settings`.
        directory: of the job.

    Raises:
        ArgumentError: a function was not given again.
    """
    for name in settings.code():
        if not given.get(name):
            must = f"be given again, for it runs as code ({command_again(settings, directory)})"
            raise argument_error(name, must, "missing")
