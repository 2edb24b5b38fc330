"""Faults of the file system at a chosen event of a child process, which is forked, so that nothing
is imported twice.

An event is a call that changes something under the run's directory: open for writing, write, fsync,
mkdir, replace, unlink, rmdir, truncate, lock. Events are counted in the child; at number `at` a
fault happens:

- "kill": SIGKILL before the call; "tear": SIGKILL after half of what a write was given has reached
  the disk;
- "full": this call and every later one that needs space fails with ENOSPC (writes, fsync, mkdir,
  new files);
- "signal": `number` arrives just before the call, as a user's or a cluster's would.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from qdescent._terminal import outcome

CALLS = ("open", "mkdir", "replace", "rename", "unlink", "rmdir", "fsync", "ftruncate", "write")
NEED_SPACE = ("open", "mkdir", "fsync", "write", "write_file")


@dataclass
class Fault:
    """What happens at which event under `place`; `events` lists those that were seen."""

    place: Path
    kind: str = ""
    at: int = 0
    number: int = signal.SIGTERM
    events: list[str] = field(default_factory=list)
    descriptors: set[int] = field(default_factory=set)

    def meet(self, name: str, target: object, half: Callable[[], None] | None = None) -> None:
        """One event: counted, and where it is the chosen one, struck."""
        self.events.append(f"{name} {os.path.basename(str(target))}")
        count = len(self.events)
        if self.kind == "full" and count >= self.at and name in NEED_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if count == self.at and self.kind == "signal":
            os.kill(os.getpid(), self.number)
        if count == self.at and self.kind in ("kill", "tear"):
            if self.kind == "tear" and half is not None:
                half()
            os.kill(os.getpid(), signal.SIGKILL)

    def concerns(self, target: object) -> bool:
        if isinstance(target, int):
            return target in self.descriptors
        return str(self.place) in os.path.abspath(os.fspath(target))  # type: ignore[call-overload]


class _File:
    """A file whose writes are events."""

    def __init__(self, file: Any, fault: Fault) -> None:
        self._file, self._fault = file, fault

    def write(self, content: bytes) -> int:
        def half() -> None:
            self._file.write(memoryview(content)[: len(content) // 2])
            self._file.flush()

        self._fault.meet("write_file", self._file.name, half)
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *problem: object) -> None:
        self._file.close()


def inject(fault: Fault) -> None:
    """Put the fault into this process, for good."""
    originals = {name: getattr(os, name) for name in CALLS}

    def watched(name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            changes = name != "open" or given[1] & (os.O_CREAT | os.O_WRONLY | os.O_RDWR)
            if not changes or not fault.concerns(given[0]):
                return originals[name](*given, **named)
            fault.meet(name, given[0])
            found = originals[name](*given, **named)
            if name == "open":
                fault.descriptors.add(found)
            return found

        return call

    for name in CALLS:
        setattr(os, name, watched(name))
    opened = os.fdopen

    def fdopen(descriptor: int, *given: Any, **named: Any) -> Any:
        file = opened(descriptor, *given, **named)
        return _File(file, fault) if fault.concerns(descriptor) else file

    os.fdopen = fdopen


@dataclass
class Child:
    """A forked child: its process, and the end of the pipe into which it prints."""

    process: int
    reader: int

    def end(self) -> tuple[int, str, list[str]]:
        """(exit code, or minus the signal that killed it; what it printed; its events), once it has
        ended.
        """
        with os.fdopen(self.reader, "r", errors="replace") as pipe:
            lines = pipe.read().splitlines()
        code = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
        return code, "\n".join(line for line in lines if not line.startswith("event: ")), events


def start(work: Callable[[], object], fault: Fault | None = None) -> Child:
    """Begin `work` in a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return Child(child, reader)
    code = 0
    try:
        os.close(reader)
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        sys.stdout = outcome.out_console.file = os.fdopen(1, "w", closefd=False)
        sys.stderr = outcome.error_console.file = os.fdopen(2, "w", closefd=False)
        torch.set_num_threads(1)
        if fault is not None:
            inject(fault)
        try:
            work()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        code = 99
    finally:
        if fault is not None and not fault.kind:
            print("\n".join(f"event: {event}" for event in fault.events))
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:  # whatever the pipe says: a child never goes on as a second parent
            os._exit(code)


def in_child(work: Callable[[], object], fault: Fault | None = None) -> tuple[int, str, list[str]]:
    """`start`, and wait for its end."""
    return start(work, fault).end()
