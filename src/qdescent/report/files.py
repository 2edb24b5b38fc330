"""Files that appear at once or not at all, and tensors in them without a pickle: opening a
stranger's executes nothing.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from qdescent._checks import argument_error, check_instance, check_path, check_text, shown
from qdescent.reading.regular import KINDS, named, said
from qdescent.reading.tensors import read_safetensors

WRITTEN = "be a whole safetensors file that qdescent wrote"

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")  # as `at_once` names them
DTYPES = {  # as the safetensors format calls them
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write_json(path: str | Path, content: Mapping[str, Any]) -> Path:
    """Write JSON for other programs at once; a number that JSON cannot hold is a mistake."""
    return write_document(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_document(path: str | Path, text: str) -> Path:
    """Write a text (a page, a program of gates) at once."""
    path = _file_to_write(path)
    check_text("text", text, empty=True)
    with at_once(path) as file:
        file.write(text.encode("utf-8", errors="replace"))
    return path


def write_weights(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> Path:
    """Write named tensors as one safetensors file, at once (cost: no copy of a CPU tensor).

    Raises:
        ArgumentError: a tensor of a type that the format does not have.

    Example:
        >>> import tempfile, torch
        >>> path = write_weights(Path(tempfile.mkdtemp()) / "w.safetensors", {"w": torch.arange(3)})
        >>> read_weights(path)["w"].tolist()
        [0, 1, 2]
    """
    # Not by safetensors' own writer: it renames a temporary file of its own over ours, which a kill
    # would leave behind, hides which error a full disk was, and copies tensors that share memory.
    path = _file_to_write(path)
    check_instance("tensors", tensors, Mapping, called="tensors by name")
    for name, tensor in tensors.items():
        if (
            not isinstance(name, str)
            or not isinstance(tensor, Tensor)
            or tensor.device.type == "meta"
            or tensor.layout != torch.strided
        ):
            raise argument_error(
                "tensors", "be tensors with values by name", f"{shown(tensor)} at {shown(name)}"
            )
    check_instance("metadata", metadata, Mapping, called="texts by name", optional=True)
    if metadata and not all(isinstance(word, str) for pair in metadata.items() for word in pair):
        raise argument_error("metadata", "be texts by name", shown(dict(metadata)))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    # The widest first, so that each tensor lies at a multiple of its element's size.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    end = 0
    for name in names:
        tensor = tensors[name]
        if tensor.dtype not in DTYPES:
            raise argument_error("tensors", "hold real numbers", f"{tensor.dtype} at {name!r}")
        start, end = end, end + tensor.numel() * tensor.element_size()
        about = {"shape": list(tensor.shape), "data_offsets": [start, end]}
        header[name] = {"dtype": DTYPES[tensor.dtype], **about}
    head = json.dumps(header, separators=(",", ":")).encode("utf-8")
    head += b" " * (-len(head) % 8)
    with at_once(path) as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for name in names:
            file.write(raw_bytes(tensors[name]))
    return path


def raw_bytes(tensor: Tensor) -> memoryview:
    """The numbers of a tensor as they lie in memory, row by row."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data.cast("B")


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read what `write_weights` wrote.

    Raises:
        ArgumentError: no such file, or not a whole safetensors file (truncated, a pickle).
    """
    return read_tensors("path", check_path("path", path), "give a .safetensors file")[0]


def write_arrays(path: str | Path, arrays: Mapping[str, Tensor]) -> Path:
    """Write named tensors as one compressed npz file, at once."""
    path, packed = Path(path), io.BytesIO()
    numbers: dict[str, Any] = {name: x.detach().cpu().numpy() for name, x in arrays.items()}
    np.savez_compressed(packed, **numbers)
    with at_once(path) as file:
        file.write(packed.getbuffer())
    return path


def _file_to_write(path: str | Path) -> Path:
    found = check_path("path", path)
    if found.is_dir():
        raise argument_error("path", "be a file to write", f"{str(path)!r}, which is a folder")
    return found


@contextmanager
def at_once(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its place at `path` when the block ends well, else is removed.

    Until then it lies beside `path` under a name that nobody can foretell and that must not exist,
    not even as a link. A kill may leave it; `remove_temporaries` takes such files away.

    Raises:
        ArgumentError: a pipe or a device is there, or a link to one, whose place no file may take;
            another process has the directory now, for that of this one was moved away.
        OSError: it cannot be written; `filename` is `path`.
    """
    _check_replaceable(path)
    _check_still_ours(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # the rename must not reach the disk before the content does
        os.replace(temporary, path)
        sync_directory(path.parent)
    except OSError as error:  # a failed write names no file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def locked(directory: Path, lock: Path, descriptor: int) -> Iterator[None]:
    """While it lasts, files appear in a directory only as long as no other lock is at the path of
    the one that is open here: the directory may be moved away, and another process begin there.
    """
    token = _LOCKS.set((*_LOCKS.get(), (directory, lock, descriptor)))
    try:
        yield
    finally:
        _LOCKS.reset(token)


def is_at(lock: Path, descriptor: int) -> bool:
    """Whether the file that is open here is the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), lock.stat())
    except FileNotFoundError:
        return False


# directory, the path of its lock, and the lock as this process has it open
_LOCKS: ContextVar[tuple[tuple[Path, Path, int], ...]] = ContextVar("locks", default=())


def _check_still_ours(path: Path) -> None:
    for directory, lock, descriptor in _LOCKS.get():
        inside = Path(os.path.abspath(path)).is_relative_to(os.path.abspath(directory))
        if inside and lock.exists() and not is_at(lock, descriptor):
            must = "stay where it is while a run works in it (--resume goes on where it is now)"
            actual = f"{named(directory)}, which was moved, and in whose place is another run"
            raise argument_error("out", must, actual)


def _check_replaceable(path: Path) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError:  # nothing there, or whatever keeps it from being written, too
        return
    kind = next((word for is_kind, word in KINDS if is_kind(mode)), "")
    if kind and not stat.S_ISDIR(mode):
        raise argument_error("path", "be a file to write", f"{named(path)}, {kind}")


def sync_directory(directory: Path) -> None:
    """Make the names in a directory last through a loss of power."""
    if not hasattr(os, "O_DIRECTORY"):  # a system that cannot open one
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot
            raise
    finally:
        os.close(descriptor)


def remove_temporaries(directory: Path) -> None:
    """Remove what kills left of `at_once` in a directory that no other process works on."""
    for name in os.listdir(directory):
        if TEMPORARY.fullmatch(name):
            (directory / name).unlink(missing_ok=True)


def read_tensors(
    argument: str, path: Path, remedy: str
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, copied out of it, and its header."""
    tensors, header = read_safetensors(argument, path, WRITTEN, remedy)
    return {name: tensor.clone() for name, tensor in tensors.items()}, header


def damaged(argument: str, path: Path, problem: object, remedy: str) -> Exception:
    why = f"{named(path)}, which cannot be used ({said(problem)}): {remedy}"
    return argument_error(argument, WRITTEN, why)
