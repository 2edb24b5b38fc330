"""Pickles as Python 2 and NumPy 1 wrote them: what CIFAR-100's files are made of."""

from __future__ import annotations

import struct

import numpy as np


def old_pickle(value: object) -> bytes:
    """A dictionary of lists, texts, integers and uint8 arrays, by protocol 2."""
    return b"\x80\x02" + _part(value) + b"."


def _part(value: object) -> bytes:
    if isinstance(value, dict):
        pairs = b"".join(_part(key) + _part(each) for key, each in value.items())
        return b"}q\x01(" + pairs + b"u"
    if isinstance(value, list):
        return b"]q\x02(" + b"".join(map(_part, value)) + b"e"
    if isinstance(value, int):
        return b"K" + bytes([value]) if value < 256 else b"J" + struct.pack("<i", value)
    if isinstance(value, str):
        content = value.encode()
        return b"U" + bytes([len(content)]) + content + b"q\x03"
    assert isinstance(value, np.ndarray)
    assert value.dtype == np.uint8
    content = value.tobytes()
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    minus = b"J\xff\xff\xff\xff"
    kind = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNN" + 2 * minus + b"K\x00tb"
    shape = b"(" + b"".join(map(_part, value.shape)) + b"t"
    raw = b"T" + struct.pack("<i", len(content)) + content
    return made + b"(K\x01" + shape + kind + b"\x89" + raw + b"tb"
