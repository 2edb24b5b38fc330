"""Zip, PNG and JPEG files taken apart and put together again, whatever their parts hold."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

STORED, DEFLATED = 0, 8


class Member(NamedTuple):
    """One file of an archive: unpacked, and how it is packed."""

    name: str
    content: bytes
    method: int


@lru_cache(512)  # of the few files that are changed again and again
def unpack_zip(content: bytes) -> tuple[Member, ...]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return tuple(
            Member(member.filename, archive.read(member), member.compress_type)
            for member in archive.infolist()
        )


def pack_zip(members: Iterable[Member]) -> bytes:
    """An archive of these; by hand, for the library takes ten times as long."""
    parts, directory, place = [], [], 0
    count = 0
    for name, content, method in members:
        title, checksum = name.encode("utf-8", "replace"), zlib.crc32(content)
        packed = content
        if method == DEFLATED:
            packer = zlib.compressobj(1, zlib.DEFLATED, -15)
            packed = packer.compress(content) + packer.flush()
        about = struct.pack(
            "<4H3I2H",
            0x800, method, 0, 33, checksum, len(packed), len(content), len(title), 0,
        )  # fmt: skip
        parts += [b"PK\3\4\x14\0", about, title, packed]
        directory += [b"PK\1\2\x14\0\x14\0", about, struct.pack("<3H2I", 0, 0, 0, 0, place), title]
        place += 30 + len(title) + len(packed)
        count += 1
    table = b"".join(directory)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(table), place, 0)
    return b"".join(parts) + table + end


@lru_cache(512)
def unpack_png(content: bytes) -> tuple[tuple[bytes, bytes], ...]:
    place, chunks = 8, []
    while place + 12 <= len(content):
        length = int(struct.unpack_from(">I", content, place)[0])
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    return tuple(chunks)


def pack_png(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, part in chunks:
        checksum = struct.pack(">I", zlib.crc32(kind + part))
        parts += [struct.pack(">I", len(part)), kind, part, checksum]
    return b"".join(parts)


@lru_cache(512)
def segments(content: bytes) -> tuple[tuple[tuple[bytes, bytes], ...], bytes]:
    """The segments of a JPEG file up to its first scan, (marker, content), and the rest."""
    place, found = 2, []
    while content[place : place + 1] == b"\xff" and content[place + 1] != 0xDA:
        length = int(struct.unpack_from(">H", content, place + 2)[0])
        found.append((content[place : place + 2], content[place + 4 : place + 2 + length]))
        place += 2 + length
    return tuple(found), content[place:]
