"""The door for outside files: a path is opened only where it leads to a regular file, and read only
up to a bound.

A pipe, a device or a directory would wait for ever, have no end, or raise whatever it likes; each
gets its sentence before the first byte is read. Every reader of the package comes in here.
"""

from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path
from typing import BinaryIO

from qdescent._checks import argument_error, shortened

KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# how much longer than what lies on the disk its content may be; text and images stay below, a bomb
# is at 1,000, a file of holes at any number
EXPANSION = 64
ALWAYS = 256 << 20  # bytes that any file may come to
# one archive in a file is the rule; millions of empty ones would keep a reader busy for minutes
GZIP_MEMBERS = 16
MOST_NAME = 240  # characters of a path in a sentence


def open_regular(argument: str, path: str | Path, must: str = "be a file") -> BinaryIO:
    """Open a regular file for reading; `must` completes "must ..." where it is none.

    Raises:
        ArgumentError: nothing there, no regular file, or not readable; the sentence says which.

    Example:
        >>> open_regular("weights", "/")
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `weights` must be a file, but is '/', a directory.
    """
    try:
        # Without O_NONBLOCK a pipe is waited for until somebody writes; opened so, it is told apart
        # by its kind.
        descriptor = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
        )
    except FileNotFoundError:
        raise argument_error(argument, must, f"{named(path)}, where there is none") from None
    except (OSError, ValueError) as error:  # ValueError: a zero character in the name
        raise unreadable(argument, path, must, error) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = next((word for is_kind, word in KINDS if is_kind(mode)), "no regular file")
            raise argument_error(argument, must, f"{named(path)}, {kind}")
        size, held = os.fstat(descriptor).st_size, held_bytes(descriptor)
        if size > max(ALWAYS, EXPANSION * held):
            holes = f"{named(path)}, of whose {size:,} bytes the disk holds {held:,} (it has holes)"
            raise argument_error(argument, must, holes)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def held_bytes(descriptor: int) -> int:
    """What the disk holds of an open file: without its holes, which read as zeros without end.

    Where the file system does not say (some of a network), the file's length.
    """
    about = os.fstat(descriptor)
    blocks = 512 * int(getattr(about, "st_blocks", 0))
    return min(about.st_size, blocks) if blocks else about.st_size


def read_bytes(argument: str, path: str | Path, most: int, must: str = "be a file") -> bytes:
    """The content of a regular file of at most `most` bytes.

    Raises:
        ArgumentError: as `open_regular`, or the file is larger; its declared size is not trusted.
    """
    with open_regular(argument, path, must) as file:
        try:
            content = file.read(most + 1)
        except OSError as error:
            raise unreadable(argument, path, must, error) from None
    # None: a file of /proc that would have to be waited for
    if content is None or len(content) > most:
        raise argument_error(argument, must, f"{named(path)}, larger than {most:,} bytes")
    return content


def unpacked(argument: str, path: str | Path, content: bytes, most: int, must: str) -> bytes:
    """What a gzip file holds, at most `most` bytes and one more: a longer one is cut there, never
    unpacked whole.
    """
    parts: list[bytes] = []
    left = most + 1
    try:
        for _ in range(GZIP_MEMBERS):
            unpacker = zlib.decompressobj(wbits=31)
            parts.append(unpacker.decompress(content, left))
            left -= len(parts[-1])
            content = unpacker.unused_data.lstrip(b"\0")  # zeros may fill the last block of a tape
            if left == 0 or (unpacker.eof and not content):
                return b"".join(parts)
            if not unpacker.eof:
                raise argument_error(argument, must, f"{named(path)}, which is cut short")
    except zlib.error as error:
        raise unreadable(argument, path, must, error) from None
    raise argument_error(
        argument, must, f"{named(path)}, of more than {GZIP_MEMBERS} gzip archives"
    )


def unreadable(argument: str, path: str | Path, must: str, problem: BaseException) -> Exception:
    """The error for a file that a library could not read: its words, in one short line."""
    return argument_error(argument, must, f"{named(path)}, which cannot be read ({said(problem)})")


def named(path: str | Path) -> str:
    """A path as a sentence quotes it; what no screen has room for is left out in the middle."""
    text = str(path)
    return repr(
        text if len(text) <= MOST_NAME else f"{text[: MOST_NAME // 2]}…{text[-MOST_NAME // 2 :]}"
    )


def said(problem: object) -> str:
    """An outside message as one line of at most 120 characters, "…" for what is left out; an
    exception without a message gives its name.
    """
    text = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return shortened(text, 120) or type(problem).__name__
