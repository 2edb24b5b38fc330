"""What a checkpoint of `torch.save` would make, found out before PyTorch makes it: nothing of its
pickle is run here.

`torch.load(weights_only=True)` runs no code of a stranger's, but it takes the memory that the
pickle names: a tensor of terabytes over a storage of 12 bytes, a hundred storages of which the file
holds none, a pack that unpacks to a thousand times its size. So the pickle is walked through opcode
by opcode, with descriptions in place of tensors, and each must fit the bytes that lie in the file.
"""

from __future__ import annotations

import io
import pickletools
from dataclasses import dataclass
from typing import Any, BinaryIO

import torch

from qdescent._checks import shown
from qdescent.reading.archive import ArchiveError, open_archive
from qdescent.reading.pickle_stack import last, marked, step

MOST_PICKLE = 16 << 20  # bytes of the pickle itself; the numbers lie outside
MOST_OPCODES = 1_000_000  # 25,000 tensors have as many, and take a second
# the first pickle of a file of before PyTorch 1.6: its magic number
LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
REBUILD = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3")
PARAMETER = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
# what stands beside the weights and takes no memory
INERT = ("torch.Size", "torch.device", "builtins.complex")
STORAGES = {  # bytes of a number of each kind
    "BoolStorage": 1, "ByteStorage": 1, "CharStorage": 1, "ShortStorage": 2, "HalfStorage": 2,
    "BFloat16Storage": 2,
    "IntStorage": 4, "FloatStorage": 4, "LongStorage": 8, "DoubleStorage": 8,
    "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16, "UntypedStorage": 1,
}  # fmt: skip


class CheckpointError(ValueError):
    """A file that is no checkpoint of plain tensors; the text completes "which ..."."""


@dataclass(frozen=True)
class Name:
    """A global that the pickle names, such as "collections.OrderedDict"."""

    path: str


@dataclass(frozen=True)
class Storage:
    """Numbers that lie elsewhere in the file."""

    key: str
    length: int
    item: int


@dataclass(frozen=True)
class Described:
    """A tensor or another value that PyTorch would make."""

    kind: str


def check_checkpoint(file: BinaryIO) -> bool:
    """Check that a file of `torch.save` holds plain values and tensors, each within the bytes of
    the file.

    Returns:
        Whether it is a zip file (as PyTorch writes since 1.6), so that its numbers can be mapped.

    Raises:
        CheckpointError: it does not, or is no such file.
        Exception: what zipfile raises on what is no zip file.
    """
    start = file.read(4)
    file.seek(0)
    if start[:2] == b"PK":
        _check_zipped(file)
        return True
    if start == LEGACY[:4]:
        _check_legacy(file)
        return False
    raise CheckpointError("holds pickled code or is no checkpoint")


def _check_zipped(file: BinaryIO) -> None:
    size = file.seek(0, io.SEEK_END)
    try:
        archive = open_archive(file)
    except ArchiveError as error:
        raise CheckpointError(str(error)) from None
    members = {member.filename: member for member in archive.infolist()}
    pickled = [name for name in members if name.endswith("data.pkl") and name.count("/") == 1]
    if len(pickled) != 1 or any(name.endswith("/constants.pkl") for name in members):
        raise CheckpointError(
            "is no checkpoint of torch.save (a TorchScript archive? save its state_dict)"
        )
    for member in members.values():
        if (
            member.compress_type
            or member.file_size != member.compress_size
            or member.header_offset + member.file_size > size
        ):
            raise CheckpointError("is packed: torch.save writes what can be mapped")
    if members[pickled[0]].file_size > MOST_PICKLE:
        raise CheckpointError("has a pickle of more than 16 MiB")
    with archive.open(pickled[0]) as stream:
        content = b"".join(iter(lambda: stream.read(1 << 20), b""))
    folder = pickled[0].partition("/")[0]
    for storage in walk(content)[0].values():
        held = members.get(f"{folder}/data/{storage.key}")
        if held is None or storage.length * storage.item > held.file_size:
            raise CheckpointError("is damaged (numbers are missing)")


def _check_legacy(file: BinaryIO) -> None:
    """The old format: five pickles in a row (magic number, protocol, system, content, keys), then
    the storages.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    content = file.read(MOST_PICKLE)
    if not content.startswith(LEGACY):
        raise CheckpointError("holds pickled code or is no checkpoint")
    place, storages = len(LEGACY), {}
    for _ in range(4):
        found, used = walk(content[place:])
        storages.update(found)
        place += used
    if sum(8 + storage.length * storage.item for storage in storages.values()) > size - place:
        raise CheckpointError("is damaged (numbers are missing)")


def walk(content: bytes) -> tuple[dict[str, Storage], int]:
    """Follow a pickle without running it.

    Returns:
        (the storages that it names, by key; bytes up to its end).

    Raises:
        CheckpointError: an opcode, a global or a tensor that a checkpoint of plain tensors has not.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    storages: dict[str, Storage] = {}
    stream = io.BytesIO(content)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count > MOST_OPCODES:
                raise CheckpointError("has a pickle of more than a million steps")
            _step(opcode.name, argument, stack, memo, storages)
    # below the stack's end; not in the memo; cut short
    except (IndexError, KeyError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError("is damaged (its pickle does not hold together)") from None
    return storages, stream.tell()


def _step(
    opcode: str, argument: Any, stack: list[Any], memo: dict[int, Any], storages: dict[str, Storage]
) -> None:
    """One opcode, as `torch.load(weights_only=True)` would follow it, with descriptions in place of
    what it makes.
    """
    if step(opcode, argument, stack, memo):
        return
    match opcode:
        case "STOP":
            pass
        case "GLOBAL":
            stack.append(_global(argument.replace(" ", ".", 1)))
        case (
            "BININT"
            | "BININT1"
            | "BININT2"
            | "LONG1"
            | "BINFLOAT"
            | "BINUNICODE"
            | "SHORT_BINSTRING"
        ):
            stack.append(argument)
        case "EMPTY_DICT" | "EMPTY_LIST":
            stack.append(Described("container"))
        case "SETITEM" | "APPEND":
            items = last(stack, 1 + (opcode == "SETITEM"))
            del stack[-len(items) :]
            _check_keys(items if opcode == "SETITEM" else [])
        case "SETITEMS" | "APPENDS":
            items = marked(stack)
            _check_keys(items if opcode == "SETITEMS" else [])
        case "BINPERSID":
            stack.append(_storage(stack.pop(), storages))
        case "REDUCE":
            given = stack.pop()
            stack[-1] = _made(stack[-1], given)
        case "BUILD":
            stack.pop()
        case _:
            raise CheckpointError("holds pickled code or is no checkpoint")


def _check_keys(items: list[Any]) -> None:
    """Keys of a dictionary: texts and numbers. To hash a tuple in a tuple in a tuple, 100,000 deep,
    ends the process.
    """
    if not all(isinstance(key, (str, int, float)) for key in items[::2]):
        raise CheckpointError("has keys other than texts and numbers")


def _global(path: str) -> Name:
    module, _, name = path.rpartition(".")
    known = path in ("collections.OrderedDict", *REBUILD, *PARAMETER, *INERT)
    if known or (module in ("torch", "torch.storage") and name in STORAGES):
        return Name(path)
    if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
        return Name(path)
    raise CheckpointError(
        f"holds pickled code or is no checkpoint of plain tensors (it names {shown(path)})"
    )


def _storage(saved: Any, storages: dict[str, Storage]) -> Storage:
    """The storage that a persistent id names: ("storage", its type, its key, the device, its
    length) and in old files None.
    """
    tail = saved[5:] if isinstance(saved, tuple) else None
    if tail not in ((), (None,)) or saved[0] != "storage" or not isinstance(saved[1], Name):
        raise CheckpointError("is damaged (numbers are missing)")
    kind, key, length = saved[1].path.rpartition(".")[2], saved[2], saved[4]
    if kind not in STORAGES or not isinstance(key, str) or type(length) is not int or length < 0:
        raise CheckpointError("is damaged (numbers are missing)")
    found = storages.setdefault(key, Storage(key, length, STORAGES[kind]))
    if found != Storage(key, length, STORAGES[kind]):
        raise CheckpointError("is damaged (one storage has two lengths)")
    return found


def _made(function: Any, given: Any) -> Any:
    """What a call makes, described; a tensor must lie within its storage."""
    if not isinstance(function, Name) or not isinstance(given, tuple):
        raise CheckpointError("holds pickled code or is no checkpoint")
    if function.path in REBUILD:
        storage, offset, size, stride = given[:4]
        whole = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)
        if (
            not isinstance(storage, Storage)
            or not whole
            or not all(type(x) is int and x >= 0 for x in (offset, *size, *stride))
        ):
            raise CheckpointError("is damaged (a tensor has no size)")
        item = given[6] if function.path == REBUILD[1] else None
        bytes_each = _itemsize(item) if item is not None else storage.item
        extent = offset + 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if 0 not in size and extent * bytes_each > storage.length * storage.item:
            raise CheckpointError("is damaged (a tensor is longer than its numbers)")
        if len(size) > 64 or max(size, default=0) >= 2**62:
            raise CheckpointError("is damaged (a tensor has no size)")
        return Described("tensor")
    if function.path in PARAMETER:
        if not given or not isinstance(given[0], Described):
            raise CheckpointError("is damaged (a parameter is no tensor)")
        return Described("tensor")
    if function.path == "collections.OrderedDict":
        if given:
            raise CheckpointError("is damaged (a dictionary that is no dictionary)")
        return Described("container")
    if function.path in INERT:
        return Described("value")
    raise CheckpointError("holds pickled code or is no checkpoint")


def _itemsize(kind: Any) -> int:
    dtype = getattr(torch, kind.path.rpartition(".")[2], None) if isinstance(kind, Name) else None
    if not isinstance(dtype, torch.dtype):
        raise CheckpointError("is damaged (a tensor has no type)")
    return dtype.itemsize
