"""A zip file whose table of contents is bounded and whose members are plain: what npz files and
checkpoints are made of.
"""

from __future__ import annotations

import zipfile
from typing import BinaryIO, cast

# bytes of the table of contents, some 40,000 members; each costs microseconds
MOST_CONTENTS = 4 << 20
KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # an LZMA header alone can ask for gigabytes


class ArchiveError(ValueError):
    """A zip file that is not one of ours; the text completes "which ..."."""


def open_archive(file: BinaryIO) -> zipfile.ZipFile:
    """The zip file, once its contents are checked: no name twice, no password, no odd method.

    Raises:
        ArchiveError: something else than that.
        Exception: what zipfile raises on what is no zip file, of many types.
    """
    archive = zipfile.ZipFile(cast(BinaryIO, _Rationed(file)))
    names = archive.namelist()
    if len(set(names)) < len(names):
        raise ArchiveError("holds a name twice")
    for member in archive.infolist():
        if member.compress_type not in KINDS:
            raise ArchiveError("is packed by another method than zip's own (deflate)")
        if member.flag_bits & 1:
            raise ArchiveError("is locked by a password")
    return archive


class _Rationed:
    """A file that gives some megabytes at once and no more: zipfile reads a table of contents, of
    any size, in one piece.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._read, self.seek, self.tell, self.seekable = (
            file.read,
            file.seek,
            file.tell,
            file.seekable,
        )

    def read(self, size: int = -1) -> bytes:
        content = self._read(size if 0 <= size <= MOST_CONTENTS else MOST_CONTENTS + 1)
        if len(content) > MOST_CONTENTS:
            raise ArchiveError("has a table of contents without end")
        return content
