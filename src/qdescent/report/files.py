"""Files that appear at once or not at all, and tensors in them without a pickle: opening a stranger's executes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors.torch import save_file
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.reading.tensors import read_safetensors

WRITTEN = "be a whole safetensors file that qdescent wrote"


def write_document(path: str | Path, text: str) -> Path:
    """Write a text (a page, a program of gates) at once."""
    path = Path(path)
    with at_once(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def write_weights(path: str | Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    """Write named tensors as one safetensors file, at once (cost: one copy of the tensors).

    Example:
        >>> import tempfile, torch
        >>> path = write_weights(Path(tempfile.mkdtemp()) / "w.safetensors", {"w": torch.arange(3)})
        >>> read_weights(path)["w"].tolist()
        [0, 1, 2]
    """
    path = Path(path)
    # Copies, because the format refuses tensors that share memory (tied weights, views of one flat vector).
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    with at_once(path) as temporary:
        save_file(copies, temporary, metadata=metadata)
    return path


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read what `write_weights` wrote.

    Raises:
        ArgumentError: no such file, or not a whole safetensors file (truncated, a pickle).
    """
    return read_tensors("path", Path(path), "give a .safetensors file")[0]


def write_arrays(path: str | Path, arrays: Mapping[str, Tensor]) -> Path:
    """Write named tensors as one compressed npz file, at once."""
    path = Path(path)
    with at_once(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **{name: tensor.detach().cpu().numpy() for name, tensor in arrays.items()})  # type: ignore[arg-type]
    return path


@contextmanager
def at_once(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and is removed when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # safetensors would leave a file that nobody else may read
        with temporary.open("rb") as written:
            os.fsync(written.fileno())  # the rename must not reach the disk before the content does
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_tensors(argument: str, path: Path, remedy: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, copied out of it, and its header."""
    tensors, header = read_safetensors(argument, path, WRITTEN, remedy)
    return {name: tensor.clone() for name, tensor in tensors.items()}, header


def damaged(argument: str, path: Path, problem: Exception, remedy: str) -> Exception:
    why = f"{str(path)!r}, which cannot be used ({short(problem)}): {remedy}"
    return argument_error(argument, WRITTEN, why)


def short(problem: object) -> str:
    """An outside message as one line of at most 120 characters."""
    return " ".join(str(problem).split())[:120]
