"""Pickles changed between their operations: one replaced, left out, doubled or moved."""

from __future__ import annotations

import pickletools
import random
from functools import lru_cache

OPERATIONS = (
    b"R", b"b", b"s", b"u", b"a", b"e", b"t", b"l", b"d", b"0", b"1", b"2", b"(", b"N", b"\x88",
    b"}", b"]", b")", b"\x85", b"\x86", b"\x87", b"\x81", b"\x93", b"\x94", b"Q", b"o", b"\x92",
    b"cos\nsystem\n", b"cbuiltins\neval\n", b"ctorch\nload\n", b"ccollections\nOrderedDict\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n",
    b"ctorch\nFloatStorage\n", b"ctorch\nDoubleStorage\n", b"ctorch\nByteStorage\n",
    b"ctorch\nfloat64\n", b"ctorch\nSize\n", b"ctorch\ndevice\n", b"(ios\nsystem\n", b"Pstorage\n",
    b"K\0", b"K\xff", b"M\xff\xff", b"J\xff\xff\xff\x7f", b"J\xff\xff\xff\xff", b"I-1\n",
    b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x8a\x08\0\0\0\0\0\0\0\x80", b"L9999999999L\n",
    b"G\x7f\xf8\0\0\0\0\0\0", b"G\x7f\xf0\0\0\0\0\0\0", b"X\1\0\0\0x", b"X\0\0\0\0", b"U\1x",
    b"X\xff\xff\xff\x7f", b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x8c\1x", b"C\1x",
    b"B\1\0\0\0x", b"\x96\1\0\0\0\0\0\0\0x", b"\x97", b"\x98", b"q\0", b"q\xff",
    b"r\xff\xff\xff\xff", b"h\0", b"h\xff", b"j\xff\xff\xff\xff",
    b"\x95\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x80\xff", b"\x82\1", b".",
)  # fmt: skip


def operation_changed(part: bytes, draw: random.Random) -> bytes:
    """A pickle with one or two of its operations changed."""
    found = list(operations(part))
    if not found:
        raise ValueError("no operations")
    for _ in range(draw.choice((1, 1, 1, 2))):
        place, kind = draw.randrange(len(found)), draw.random()
        if kind < 0.4:
            found[place] = draw.choice(OPERATIONS)
        elif kind < 0.6:
            found.insert(place, draw.choice(OPERATIONS))
        elif kind < 0.7 and len(found) > 1:
            del found[place]
        elif kind < 0.85:
            found[place] = found[draw.randrange(len(found))]
        else:
            found.insert(place, found[draw.randrange(len(found))])
    return b"".join(found)


@lru_cache(512)  # of the few files that are changed again and again
def operations(part: bytes) -> tuple[bytes, ...]:
    """The operations of a pickle, and what follows the last as one more."""
    try:
        starts = [place for _, _, place in pickletools.genops(part) if place is not None]
    except Exception:  # damaged; genops raises what it likes
        return ()
    ends = [*starts[1:], starts[-1] + 1]
    found = tuple(part[start:end] for start, end in zip(starts, ends, strict=True))
    return (*found, part[ends[-1] :]) if ends[-1] < len(part) else found
