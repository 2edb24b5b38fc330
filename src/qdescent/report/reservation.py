"""A run's directory belongs to one process at a time: reserved by `mkdir`, locked while in use.

The lock is the system's own (flock on `state/lock`): a process that died does not hold it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qdescent._checks import ArgumentError, argument_error
from qdescent.report.files import TEMPORARY, is_at, locked, remove_temporaries, sync_directory
from qdescent.report.record import RUN_FILE, is_complete
from qdescent.report.state import STATE_FOLDER, is_stage, saved_stages

LOCK_FILE = "lock"


def next_directory(parent: Path) -> Path:
    """Make the first of run-001, run-002, ... that does not exist in `parent`; no two processes get
    the same one.
    """
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        directory = parent / f"run-{number:03d}"
        try:
            directory.mkdir()
            return directory
        except FileExistsError:
            number += 1


def is_vacant(directory: Path) -> bool:
    """Whether a new run here loses nothing: no directory, an empty one, or one of a run that was
    killed before it saved.
    """
    try:
        names = {name for name in os.listdir(directory) if not TEMPORARY.fullmatch(name)}
        if not names:
            return True
        folder = directory / STATE_FOLDER
        if RUN_FILE in names or STATE_FOLDER not in names or folder.is_symlink():
            return False
        inside = {name for name in os.listdir(folder) if not TEMPORARY.fullmatch(name)}
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        return False
    return inside == {LOCK_FILE} or (not inside and names == {STATE_FOLDER})


def check_vacant(directory: Path) -> Path:
    """Check that a new run can begin in `directory`.

    Raises:
        ArgumentError: there is something in it; the message says whether it can be resumed.
    """
    if not is_vacant(directory):
        raise _refuse_directory(directory)
    return directory


def _refuse_directory(directory: Path) -> ArgumentError:
    """The error of a directory where no new run can begin; it says whether one can be resumed."""
    if (directory / STATE_FOLDER).is_symlink():
        return _linked(directory)
    _tidy_whole(directory)
    unfinished = not is_complete(directory) and saved_stages(directory)
    way_out = "give --resume to go on with it" if unfinished else "choose another"
    return argument_error(
        "out", "be a directory that does not exist yet", f"{str(directory)!r} ({way_out})"
    )


def _linked(directory: Path) -> ArgumentError:
    must = f"hold a folder {STATE_FOLDER!r} of its own (move what it leads to back into its place)"
    return argument_error("out", must, f"{str(directory)!r}, where it is a link")


def refuse_whole(directory: Path, noun: str) -> ArgumentError:
    """The error of a directory with nothing left to resume."""
    _tidy_whole(directory)
    return argument_error(
        "out",
        f"be an unfinished {noun} to be resumed",
        f"{str(directory)!r}, which has ended already",
    )


def _tidy_whole(directory: Path) -> None:
    """Take away what a kill at the very end, after the record was written, left in a directory."""
    if is_complete(directory) and (directory / STATE_FOLDER).exists():
        with suppress(ArgumentError, OSError), held(directory, new=False):
            pass


@contextmanager
def held(directory: Path, new: bool) -> Iterator[None]:
    """Have a directory for this process alone while the block lasts.

    Afterwards a directory with `run.json` is rid of its `state/`, and one in which nothing was
    saved is removed, so that the same command can be given again; what qdescent did not write stays
    where it is.

    Args:
        directory: made where it does not exist.
        new: whether a new run begins in it; False: one may also be gone on with.

    Raises:
        ArgumentError: another process works on it, or it is not free: it is whole, it holds what is
            not ours, or (for a new run) a run that can be resumed.
    """
    folder = directory / STATE_FOLDER
    if not (is_complete(directory) and not new and folder.exists()):  # there only to be tidied
        _check_free(directory, new)
    if folder.is_symlink():  # what is removed must lie in the run's own directory
        raise _linked(directory)
    descriptor = _lock(directory)
    try:
        for place in (directory, folder):
            remove_temporaries(place)
        # another process may have been here since, and have ended well or not
        _check_free(directory, new)
        with locked(directory, folder / LOCK_FILE, descriptor):
            yield
    finally:
        # a full disk, a folder that became read-only: nothing that matters is left undone
        with suppress(OSError):
            if is_at(folder / LOCK_FILE, descriptor):  # not of a run that was moved here
                _tidy(directory)
        os.close(descriptor)


def _check_free(directory: Path, new: bool) -> None:
    if is_complete(directory) and not new:
        raise argument_error(
            "out",
            "be a directory of an unfinished run",
            f"{str(directory)!r}, which has ended already",
        )
    if not is_vacant(directory) and (new or not saved_stages(directory)):
        raise _refuse_directory(directory)


def _lock(directory: Path) -> int:
    """An open file that holds the lock of the directory until it is closed."""
    path = directory / STATE_FOLDER / LOCK_FILE
    while True:
        if not directory.exists():
            directory.mkdir(parents=True, exist_ok=True)
            sync_directory(directory.parent)
        path.parent.mkdir(exist_ok=True)
        try:
            descriptor = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666
            )
        except FileNotFoundError:  # its holder has just ended, and taken the folder away
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_at(path, descriptor):
                with suppress(OSError):  # a full disk: the lock holds without a name
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, f"{os.getpid()} on {platform.node()}".encode())
                return descriptor
        except OSError as error:
            os_error, holder = error, os.read(descriptor, 200).decode("utf-8", "replace")
            os.close(descriptor)
            raise _refused(directory, os_error, holder) from None
        os.close(descriptor)


def _refused(directory: Path, error: OSError, holder: str) -> ArgumentError:
    if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
        known = re.fullmatch(r"(\d{1,10})( on [\w.-]{1,64})?", holder)
        by = f"process {known.group()}" if known else "another process"
        return argument_error(
            "out",
            "be a directory that no process works on",
            f"{str(directory)!r}, which is being worked on by {by}",
        )
    must = "be on a file system that can lock files (a local disk can)"
    return argument_error("out", must, f"{str(directory)!r} ({error.strerror})")


def _tidy(directory: Path) -> None:
    """Take away what is of no use once the block has ended; the lock last, if it is held."""
    folder = directory / STATE_FOLDER
    for place in (directory, folder):
        remove_temporaries(place)
    if is_complete(directory):
        _take_away(folder)
    elif not saved_stages(directory) and set(os.listdir(directory)) == {STATE_FOLDER}:
        _take_away(folder)
        directory.rmdir()


def _take_away(folder: Path) -> None:
    """Remove what qdescent wrote into a folder of states, the lock last, and the folder itself if
    nothing else lies in it.
    """
    discard(folder.parent)
    (folder / LOCK_FILE).unlink(missing_ok=True)
    folder.rmdir()


def discard(directory: Path) -> None:
    """Forget what was saved: a run that can never end well leaves nothing to be resumed. A file of
    somebody else's stays.
    """
    for path in saved_stages(directory):
        if is_stage(path):
            path.unlink(missing_ok=True)
