"""Signals that end the command line: quiet while it is being imported, afterwards an exception by
which a stage saves itself.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from qdescent._search_path import is_module_run

# Ctrl-C, a cluster's or a service's end, a terminal that is gone
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Stopped(BaseException):
    """A signal ended the work.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as shells have it."""
        return 128 + self.number


def quiet_while_importing() -> None:
    """Let Ctrl-C end the command without a traceback while its imports (seconds of them) go on; any
    other program is left alone.
    """
    is_script = os.path.basename(sys.argv[0]) in ("qdescent", "qdescent.exe")
    if (is_script or is_module_run()) and signal.getsignal(
        signal.SIGINT
    ) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def stop_on_signals() -> None:
    """Turn the signals that end a program into `Stopped`; those that the program was started to
    ignore stay ignored (nohup).
    """
    for name in NAMES:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


@contextmanager
def quiet_imports() -> Iterator[None]:
    """Let these signals end the command at once while imports (seconds of them) go on: there is
    nothing to save yet, and an exception in the midst of an import may be swallowed.
    """
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    stopping = [number for number in numbers if signal.getsignal(number) is _stop]
    for number in stopping:
        signal.signal(number, _leave)
    try:
        yield
    finally:
        for number in stopping:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(number, _leave)  # the second one ends it at once
    raise Stopped(number)


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)
