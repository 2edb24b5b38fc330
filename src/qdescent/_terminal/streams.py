"""Standard streams and a width that the command line can count on."""

from __future__ import annotations

import io
import os
import sys

from qdescent._terminal import plain_text


def usable_streams() -> None:
    """Open the null device for each standard stream that the program was started without (cron,
    daemons, `>&-`), and forget a width of 0 columns: no table fits it.

    A closed stream's number would go to the next file that is opened, and what is printed by other
    languages' code into that file. A stream that knows no Unicode (an old cluster's) takes signs as
    `plain` writes them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the least number that is free
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=plain_text.NAME)
    for name in ("COLUMNS", "LINES"):
        if name in os.environ and not os.environ[name].strip("0"):
            del os.environ[name]
