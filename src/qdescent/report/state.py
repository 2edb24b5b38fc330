"""What an unfinished run has saved: one file a finished stage, which says of which run it is and
proves that it is whole.

    runs/<name>/state/<stage>.safetensors

A stage is read only by the run that saved it. Its header carries the run's origin (checksums of the
settings and of the data, the versions, the device, the number of threads), and a SHA-256 over all
that is read from the file: a flipped bit, a file from another run or of another version is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from qdescent._checks import argument_error
from qdescent.reading.regular import open_regular, said
from qdescent.reading.tensors import MOST_HEADER
from qdescent.report.files import damaged, raw_bytes, read_tensors, write_weights
from qdescent.report.record import json_text

FORMATS = "qdescent-state/"
STATE_FORMAT = f"{FORMATS}2"
STATE_FOLDER = "state"
REMEDY = "delete that file and resume, and the stage is computed again"


@dataclass(frozen=True, eq=False)
class State:
    """What a finished stage hands to the next.

    Args:
        tensors: by name.
        extra: in JSON types.
        origin: what all stages of the run share, name -> text.
    """

    tensors: dict[str, Tensor]
    extra: dict[str, Any]
    origin: dict[str, str]


def save_state(
    directory: str | Path,
    stage: str,
    origin: Mapping[str, str],
    tensors: Mapping[str, Tensor],
    extra: Mapping[str, Any],
) -> Path:
    """Keep the result of one finished stage, so that `--resume` need not compute it again.

    One file holds it all (origin and extra as JSON in the safetensors header): there is no half of
    a pair to be lost.
    """
    path = _state_path(directory, stage)
    content = json_text("extra", {"stage": stage, "origin": dict(origin), "extra": dict(extra)})
    checksum = fingerprint(content, tensors)
    return write_weights(
        path, tensors, {"format": STATE_FORMAT, "json": content, "sha256": checksum}
    )


def load_state(
    directory: str | Path, stage: str, origin: Mapping[str, str] | None = None, remedy: str = REMEDY
) -> State | None:
    """What `save_state` kept for this stage, or None where it kept nothing.

    Args:
        directory: of the run.
        stage: its name.
        origin: that of the run; None: any, for the stage by which a run is known.
        remedy: what helps where the file is damaged.

    Raises:
        ArgumentError: the file is damaged, or of another run; the message says what to do.
    """
    path = _state_path(directory, stage)
    if not os.path.lexists(path):
        return None
    tensors, header = read_tensors("state", path, remedy)
    if header.get("format") != STATE_FORMAT:
        found = f"its format is {said(header.get('format'))!r}, not {STATE_FORMAT!r}"
        anew = (
            "begin the run anew in another directory, or go on with the version of qdescent that"
            " began it"
        )
        raise damaged("state", path, found, anew)
    with whole(directory, stage, remedy):
        if header["sha256"] != fingerprint(header["json"], tensors):
            raise ValueError("its checksum is not that of what it holds")
        content = json.loads(header["json"])
        state = State(tensors, dict(content["extra"]), dict(content["origin"]))
        if content["stage"] != stage:
            raise ValueError(f"it is of the stage {said(content['stage'])!r}")
        other = [name for name in origin or () if state.origin.get(name) != (origin or {})[name]]
        if other:
            raise ValueError(f"it is of another run: its {', '.join(other)} are not this one's")
    return state


@contextmanager
def whole(directory: str | Path, stage: str, remedy: str = REMEDY) -> Iterator[None]:
    """Take what a stage saved apart inside: what is missing or does not fit is one sentence.

    Raises:
        ArgumentError: the block met a missing key, a wrong type, shape or value.
    """
    try:
        yield
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as problem:
        why = f"without {problem}" if isinstance(problem, KeyError) else str(problem)
        raise damaged("state", _state_path(directory, stage), why, remedy) from None


def fingerprint(*parts: str | Tensor | Mapping[str, Tensor]) -> str:
    """SHA-256 over texts and tensors (type, shape and bits), in hexadecimal.

    Example:
        >>> import torch
        >>> fingerprint("a", "b") == fingerprint("ab", ""), len(fingerprint(torch.ones(2)))
        (False, 64)
    """
    digest = hashlib.sha256()

    def add(label: object, content: bytes | memoryview) -> None:
        digest.update(repr((label, len(content))).encode())
        digest.update(content)

    for part in parts:
        if isinstance(part, str):
            add("text", part.encode("utf-8", "surrogatepass"))
            continue
        named = {"": part} if isinstance(part, Tensor) else part
        for name in sorted(named):
            tensor = named[name]
            add((name, str(tensor.dtype), tuple(tensor.shape)), raw_bytes(tensor))
    return digest.hexdigest()


def saved_stages(directory: str | Path) -> list[Path]:
    """The files of the stages that were saved."""
    folder = Path(directory) / STATE_FOLDER
    return [] if folder.is_symlink() else sorted(folder.glob("*.safetensors"))


def is_stage(path: Path) -> bool:
    """Whether `save_state`, of whatever version, wrote this file: as its header says, even if the
    rest is damaged.
    """
    try:
        with open_regular("state", path) as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, MOST_HEADER)))
        return str(header["__metadata__"]["format"]).startswith(FORMATS)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def _state_path(directory: str | Path, stage: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", stage):  # it becomes a file's name
        raise argument_error("stage", "be a word of letters, digits, '-' and '_'", stage)
    return Path(directory) / STATE_FOLDER / f"{stage}.safetensors"
