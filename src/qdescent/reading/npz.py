"""Arrays of an npz file: headers are checked before memory is taken; only numbers come out."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qdescent._checks import argument_error, shown
from qdescent.reading.archive import ArchiveError, open_archive
from qdescent.reading.regular import ALWAYS, EXPANSION, held_bytes, named, open_regular, unreadable

# kinds and sizes that torch knows
NUMBERS = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8), "c": (8, 16)}
CHUNK = 1 << 20  # bytes that are unpacked at once
ALIGNED = 16  # bytes: the size of the longest number
HEADER = 12_000  # bytes of an array's own header: that of thousands of fields is not one of numbers


@dataclass
class Arrays:
    """The arrays of an open npz file, each read when it is asked for.

    Args:
        argument, path, must: for the sentence where one cannot be read.
        archive: the open file.
        members: array name -> member, without the ending .npy.
        left: bytes that may still be unpacked.
    """

    argument: str
    path: Path
    must: str
    archive: zipfile.ZipFile = field(repr=False)
    members: dict[str, zipfile.ZipInfo] = field(repr=False)
    left: int

    def __getitem__(self, name: str) -> np.ndarray:
        """The array of that name, writable, in the machine's own byte order.

        Raises:
            ArgumentError: it is damaged, too large, or holds something other than numbers.
        """
        member = self.members[name]
        place = f"{named(self.path)}, whose {shown(name)}"
        if member.file_size > self.left:
            size = f"{place} claims {member.file_size:,} bytes where {self.left:,} are left"
            raise argument_error(
                self.argument,
                self.must,
                f"{size} (save it with np.savez, or without what is not needed)",
            )
        self.left -= member.file_size
        try:
            content = bytearray(member.file_size)
            with self.archive.open(member) as stream:
                for start in range(0, len(content), CHUNK):
                    wanted = min(CHUNK, len(content) - start)
                    part = stream.read(wanted)
                    if len(part) < wanted:
                        raise ArchiveError("is cut short")
                    content[start : start + wanted] = part
            return _array(content)
        except ArchiveError as error:
            raise argument_error(self.argument, self.must, f"{place} {error}") from None
        except Exception as error:  # a damaged archive raises what its reader met: some ten types
            raise unreadable(self.argument, self.path, self.must, error) from None

    @property
    def listed(self) -> str:
        """The names in a few words."""
        names = [shown(name) for name in self.members]
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        return ", ".join(names[:8]) + more or "nothing"


@contextmanager
def open_npz(argument: str, path: str | Path, must: str) -> Iterator[Arrays]:
    """Open an npz file; what it unpacks to is bounded by 64 times its size, or 256 MiB.

    Args:
        argument: as the user calls it.
        path: of the file.
        must: completes "must ..." where it is no such file.

    Raises:
        ArgumentError: no regular file, or no zip file of arrays.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npz"
        >>> np.savez(path, x=np.arange(3))
        >>> with open_npz("data", path, "be an .npz file of numbers") as arrays:
        ...     list(arrays.members), arrays["x"].tolist()
        (['x'], [0, 1, 2])
    """
    with open_regular(argument, path, must) as file:
        try:
            archive = open_archive(file)
        except ArchiveError as error:
            raise argument_error(argument, must, f"{named(path)}, which {error}") from None
        except Exception as error:  # what is no zip file
            raise unreadable(argument, path, must, error) from None
        members: dict[str, zipfile.ZipInfo] = {}
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name in members:
                raise argument_error(
                    argument, must, f"{named(path)}, which holds {shown(name)} twice"
                )
            members[name] = member
        size = held_bytes(file.fileno())
        yield Arrays(argument, Path(path), must, archive, members, max(ALWAYS, EXPANSION * size))


def _array(content: bytearray) -> np.ndarray:
    """The array of an npy file: header first, then exactly as many bytes as it says."""
    stream = io.BytesIO(content[:HEADER])
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ArchiveError(f"is of version {version[0]}.{version[1]}")
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a header that Python 2 wrote
        shape, fortran_order, dtype = read_header(stream)
    if dtype.itemsize not in NUMBERS.get(dtype.kind, ()):
        raise ArchiveError(
            f"holds {shown(str(dtype))}, which is not one of PyTorch's types of numbers"
        )
    if not all(
        isinstance(length, int) and not isinstance(length, bool) and length >= 0 for length in shape
    ):
        raise ArchiveError("has lengths that are not whole numbers")
    start = stream.tell()
    if (
        math.prod(shape) * dtype.itemsize != len(content) - start
        or len(shape) > 32
        or max(shape, default=0) > len(content)  # a trillion samples of no numbers are none
    ):
        raise ArchiveError(
            f"has {len(content) - start:,} bytes and a shape of {shown(shape)} that does not fit"
            " them"
        )
    if (
        start % ALIGNED
    ):  # of another writer: PyTorch ends the process on complex numbers at odd places
        content, start = content[start:], 0
    values = (
        np.frombuffer(content, dtype, offset=start) if len(content) > start else np.zeros(0, dtype)
    )
    array = values.reshape(shape[::-1]).transpose() if fortran_order else values.reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)
