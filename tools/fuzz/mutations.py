"""Ways to change a file: its bytes, or one part of its structure with what guards that part
(checksum, length, packing) made right again, so that the code behind the first check is reached.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import re
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress

from packings import Member, pack_png, pack_zip, segments, unpack_png, unpack_zip
from pickles import operation_changed
from safetensors.torch import load
from states import signed, text_of

from qdescent.experiment.origin import settings_fingerprint

Mutate = Callable[[bytes], bytes]
LONGEST = 8192  # bytes of an input, about
RAW = 0.2  # the part of the inputs that are changed without a look at their structure

JSON_VALUES = (
    None, True, False, 0, -1, 1, 2, 3, 0.5, -0.0, 1e308, -1e308, 5e-324, 1e-320, math.nan, math.inf,
    -math.inf, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, "", "x", "0", "1e9",
    "nan", "\0", "\x1b[2J", "\u202e", "é", "\ud800", "a" * 300, "../x", "/dev/zero", "a:b", "none",
    [], {}, [[]], [1], [None], ["x"], [0.5] * 40, {"a": 1}, {"": {"": []}},
)  # fmt: skip
TOML_VALUES = (
    "nan", "-inf", "inf", "1e400", "-1e400", "1e-400", "-0.0", "0x7fffffffffffffff", "0b1", "0o7",
    "-1", "0", "1", "2", "3", "100", "0.5", "1.0", "1e-5", "1e15", "true", "false", '""', "''",
    '"x"', "'''a\nb'''", '"\\u0000"', '"\\u001b[2J"', '"/dev/zero"', "1979-05-27T07:32:00Z",
    "07:32:00", "1979-05-27", "[]", "[1, [2]]", "{}", "{a = 1}", "9" * 30, "9" * 5000, "1_000",
    "9223372036854775808",
)  # fmt: skip
DTYPES = (
    "<f4", "<f8", "<f2", ">f8", "<f16", "<c16", "<c8", "<i8", ">i4", "<i2", "|i1", "|u1", "<u2",
    "<u8", "|b1", "|O", "<U4", "|S8", "<M8[s]", "<m8[D]", "|V8", "<f4,<i2", "", "f", "<f3",
)  # fmt: skip
TENSOR_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1,
    "U16": 2, "U32": 4, "U64": 8, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8, "F4": 1,
}  # fmt: skip
SHAPES = (
    (), (0,), (1,), (2,), (3,), (3, 4), (2, 3), (2, 2), (2, 4), (1, 1), (6, 4), (6,), (3, 2, 2),
    (0, 4), (4, 0), (1,) * 33, (1,) * 65, (2, 8), (5,), (16,), (2**40, 0), (2**62, 4), (2**31,),
    (-1,), (2, -2),
)  # fmt: skip


def changed(content: bytes, draw: random.Random) -> bytes:
    """The file with one thing changed: anywhere, or inside one of its parts."""
    if draw.random() < RAW:
        return bytes_changed(content, draw)
    return inside(content, lambda part: part_changed(part, draw), draw.getrandbits(24))


def part_changed(part: bytes, draw: random.Random) -> bytes:
    """A part changed as what it is (JSON, an array, a pickle, TOML, IDX), or its bytes."""
    if draw.random() < 0.3:
        return bytes_changed(part, draw)
    try:
        if part[:1] in (b"{", b"["):
            return json_changed(part, draw)
        if part[:6] == b"\x93NUMPY":
            return array_changed(part, draw)
        if part[:1] == b"\x80":
            return operation_changed(part, draw)
        if part[:3] == b"\0\0\x08":
            return idx_changed(part, draw)
        if b" = " in part[:200]:
            return toml_changed(part, draw)
    except (ValueError, RecursionError, struct.error):  # it is none any more
        pass
    return bytes_changed(part, draw)


def bytes_changed(part: bytes, draw: random.Random) -> bytes:
    """Some bytes changed, moved, doubled or cut."""
    found = bytearray(part)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 4))):
        place, length = int(draw.random() * (len(found) + 1)), draw.choice((1, 1, 2, 4, 8, 32))
        kind = int(draw.random() * 7)
        if kind == 0:
            found[place : place + length] = draw.randbytes(length)
        elif kind == 1:
            found[place:place] = draw.randbytes(length)
        elif kind == 2:
            del found[place : place + length]
        elif kind == 3:
            byte = draw.choice((b"\xff", b"\0", b"\x7f", b"9", b"[", b"\x1b", b"-"))
            found[place : place + length] = byte * length
        elif kind == 4:
            start = int(draw.random() * (len(found) + 1))
            found[place:place] = found[start : start + length * 4]
        elif kind == 5 and place < len(found):
            found[place] ^= 1 << int(draw.random() * 8)
        elif draw.random() < 0.1:
            del found[max(1, place) :]
    return bytes(found)


def json_changed(part: bytes, draw: random.Random) -> bytes:
    """One value of a JSON text replaced, left out, doubled under another name, or nested."""
    whole = json.loads(part)
    for _ in range(draw.choice((1, 1, 2))):
        places = _places(whole)
        if not places:
            return json.dumps(draw.choice(JSON_VALUES)).encode()
        holder, key = draw.choice(places)
        kind = draw.random()
        if kind < 0.55:
            holder[key] = draw.choice(JSON_VALUES)
        elif kind < 0.65:
            del holder[key]
        elif kind < 0.75:
            holder[key] = [holder[key]] if draw.random() < 0.5 else {"a": holder[key]}
        elif kind < 0.9:
            other, name = draw.choice(places)
            if name in other if isinstance(other, dict) else name < len(other):
                holder[key] = json.loads(json.dumps(other[name]))
        elif isinstance(holder, dict):
            holder[str(draw.choice(JSON_VALUES))[:400]] = holder[key]
        else:
            holder.append(holder[key])
    return json.dumps(whole).encode("utf-8", "surrogatepass")


def _places(whole: object) -> list:
    """(dict or list, key) of every value, at most some hundred of them."""
    found, todo = [], [whole]
    while todo and len(found) < 300:
        each = todo.pop()
        if isinstance(each, dict):
            found += [(each, key) for key in each]
            todo += each.values()
        elif isinstance(each, list):
            found += [(each, place) for place in range(len(each))]
            todo += each
    return found


def toml_changed(part: bytes, draw: random.Random) -> bytes:
    """The value of a line replaced, its key changed, or a line left out, doubled or moved."""
    lines = part.decode("utf-8", "replace").split("\n")
    for _ in range(draw.choice((1, 1, 2, 3))):
        place, kind = draw.randrange(len(lines)), draw.random()
        key, equals, value = lines[place].partition(" = ")
        if kind < 0.6 and equals:
            lines[place] = f"{key} = {draw.choice(TOML_VALUES)}"
        elif kind < 0.7 and equals:
            named = draw.choice(("a.b", '"x y"', "", "é", key.upper(), key[:-1], key + "_", "'\t'"))
            lines[place] = f"{named} = {value}"
        elif kind < 0.8:
            del lines[place]
            lines = lines or [""]
        elif kind < 0.9:
            lines.insert(draw.randrange(len(lines) + 1), lines[place])
        else:
            lines[place] = draw.choice(("[a]", "[[a]]", "[a.b", "# \x7f", f"[{key}]", "=", "a = ["))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def array_changed(part: bytes, draw: random.Random) -> bytes:
    """An npy file of another type or shape, mostly with as many bytes as these ask for."""
    size = 2 if part[6:7] == b"\x01" else 4
    start = 8 + size
    end = start + int.from_bytes(part[8:start], "little")
    header, data = part[start:end].decode("latin1"), part[end:]
    kind = draw.random()
    if kind < 0.15:  # the numbers alone
        return part[:end] + bytes_changed(data, draw)
    if kind < 0.5:
        header = re.sub(r"'descr': '[^']*'", f"'descr': {draw.choice(DTYPES)!r}", header)
    if kind >= 0.35:
        header = re.sub(r"'shape': \([^)]*\)", f"'shape': {draw.choice(SHAPES)!r}", header)
    if draw.random() < 0.1:
        header = header.replace("False", draw.choice(("True", "None", "0", "1.5")))
    if draw.random() < 0.85:
        data = _enough(data, _bytes_of(header), draw)
    version = draw.choice((1, 1, 1, 2, 3)) if draw.random() < 0.1 else part[6]
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes((version, 0)) + length + header.encode("latin1") + data


def _bytes_of(header: str) -> int:
    """What an npy header asks for; 0 where that is nothing sensible."""
    shape = re.search(r"'shape': \(([^)]*)\)", header)
    width = re.search(r"'descr': '.[a-zA-Z](\d+)", header)
    if shape is None or width is None:
        return 0
    lengths = [int(length) for length in re.findall(r"-?\d+", shape[1])]
    return max(0, min(math.prod(lengths) * int(width[1]), LONGEST))


def _enough(data: bytes, length: int, draw: random.Random) -> bytes:
    """So many bytes of numbers: the given ones again and again, zeros, or random ones."""
    kind = draw.random()
    if kind < 0.2 or not data:
        return bytes(length) if kind < 0.1 else draw.randbytes(length)
    return (data * (length // len(data) + 1))[:length]


def idx_changed(part: bytes, draw: random.Random) -> bytes:
    """An IDX file with another count or length, and often as many bytes as it then says."""
    fields = list(part[:4]) + list(struct.unpack(f">{part[3]}I", part[4 : 4 + 4 * part[3]]))
    place = draw.randrange(2, len(fields))
    fields[place] = draw.choice((0, 1, 2, 3, 28, 60_000, 60_001, 2**31, 2**32 - 1, 8, 13))
    if place < 4:
        return bytes(value % 256 for value in fields[:4]) + part[4:]
    data = part[4 + 4 * part[3] :]
    wanted = math.prod(fields[4:])
    if draw.random() < 0.7 and wanted <= 4 * LONGEST:
        data = _enough(data, wanted, draw)
    return bytes(fields[:4]) + struct.pack(f">{len(fields) - 4}I", *fields[4:]) + data


def inside(content: bytes, mutate: Mutate, choice: int) -> bytes:
    """The file with one of its inner parts changed, and what guards it made right again.

    Args:
        content: of a zip, gzip, PNG, JPEG or safetensors file; anything else is changed as a whole.
        mutate: changes the part.
        choice: which part; any number.
    """
    try:
        if content[:2] == b"PK":
            return _inside_zip(content, mutate, choice)
        if content[:2] == b"\x1f\x8b":
            return gzip.compress(mutate(zlib.decompress(content, wbits=31)), 1)
        if content[:4] == b"\x89PNG":
            return _inside_png(content, mutate, choice)
        if content[:2] == b"\xff\xd8":
            return _inside_jpeg(content, mutate, choice)
        if b'"sha256"' in content[:4096] and choice % 8:
            return _inside_state(content, mutate, choice // 8)
        if content[6:9] == b"\0\0{":
            return _inside_safetensors(content, mutate, choice)
    except Exception:  # a part that is damaged already
        return mutate(content)
    return mutate(content)


def _inside_zip(content: bytes, mutate: Mutate, choice: int) -> bytes:
    """One member changed, or its name, or left out, or twice there; the others as they are."""
    members = list(unpack_zip(content))
    choice, place = divmod(choice, len(members))
    old = members[place]
    match choice % 16:
        case 0:
            name = mutate(old.name.encode()).decode("utf-8", "replace") or "x"
            members[place] = Member(name, old.content, old.method)
        case 1:
            del members[place]
        case 2:
            members.append(old)
        case 3:  # bytes of the other's
            other = members[choice // 16 % len(members)]
            members[place] = Member(old.name, other.content, old.method)
        case _:
            members[place] = Member(old.name, mutate(old.content), old.method)
    return pack_zip(members)


def _inside_png(content: bytes, mutate: Mutate, choice: int) -> bytes:
    """One chunk changed, with its checksum right; pixels are changed before they are packed."""
    chunks = list(unpack_png(content))
    place = choice % len(chunks)
    kind, part = chunks[place]
    changed = zlib.compress(mutate(zlib.decompress(part)), 1) if kind == b"IDAT" else mutate(part)
    chunks[place] = kind, changed
    return pack_png(chunks)


def _inside_jpeg(content: bytes, mutate: Mutate, choice: int) -> bytes:
    """One segment changed, with its length right, or what follows the headers."""
    found, rest = segments(content)
    place = choice % (len(found) + 1)
    if place == len(found):
        rest = mutate(rest)
    parts = [b"\xff\xd8"]
    for number, (marker, part) in enumerate(found):
        part = (mutate(part) if number == place else part)[:65_000]
        parts.append(marker + struct.pack(">H", len(part) + 2) + part)
    return b"".join(parts) + rest


def _inside_safetensors(content: bytes, mutate: Mutate, choice: int) -> bytes:
    """The header changed with its length right, or one tensor with all places right."""
    length = int.from_bytes(content[:8], "little")
    text, data = content[8 : 8 + length], content[8 + length :]
    if choice % 3 == 0:
        header = mutate(text)
        return len(header).to_bytes(8, "little") + header + data
    if choice % 3 == 1:
        return content[: 8 + length] + (mutate(data) + bytes(len(data)))[: len(data)]
    draw, whole = random.Random(choice), json.loads(text)
    tensors = {
        name: (about["dtype"], about["shape"], data[slice(*about["data_offsets"])])
        for name, about in whole.items()
        if name != "__metadata__"
    }
    name = draw.choice(list(tensors))
    dtype, shape, numbers = tensors[name]
    if draw.random() < 0.7:
        dtype = draw.choice(list(TENSOR_BYTES))
    if draw.random() < 0.4:
        shape = list(draw.choice(SHAPES))
    wanted = max(0, min(math.prod(shape) * TENSOR_BYTES.get(dtype, 4), LONGEST))
    tensors[name] = dtype, shape, _enough(numbers, wanted, draw)
    if draw.random() < 0.15:
        tensors[str(draw.choice(JSON_VALUES))[:400]] = tensors[name]
    if draw.random() < 0.1:
        del tensors[name]
    header = {"__metadata__": whole["__metadata__"]} if "__metadata__" in whole else {}
    end = 0
    for name, (dtype, shape, numbers) in tensors.items():
        start, end = end, end + len(numbers)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    head = json.dumps(header).encode("utf-8", "surrogatepass")
    numbers = b"".join(numbers for _, _, numbers in tensors.values())
    return len(head).to_bytes(8, "little") + head + numbers


def _inside_state(content: bytes, mutate: Mutate, choice: int) -> bytes:
    """The text of a state changed, or its settings, or a tensor; its checksums are right again."""
    if choice % 8 == 0:  # a tensor
        content = _inside_safetensors(content, mutate, 1 + choice // 8 % 2)
    text, tensors = text_of(content), load(content)
    if choice % 8 < 3:
        found = mutate(text.encode()).decode("utf-8", "replace") if choice % 8 else text
        return signed(found, tensors)
    state = json.loads(text)
    settings = state["extra"].get("settings", state["extra"])
    found = json.loads(mutate(json.dumps(settings).encode()).decode("utf-8", "replace"))
    if "settings" in state["extra"]:
        state["extra"]["settings"] = found
    else:
        state["extra"] = found
    with suppress(ValueError):  # NaN has no place in JSON, and no fingerprint
        state["origin"]["settings"] = settings_fingerprint(found)
    return signed(json.dumps(state), tensors)
