"""Named tensors of a safetensors file, a checkpoint or a folder of them: nothing in them is run.

No memory is taken either that the file does not hold: the numbers lie in the file until they are
used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from qdescent._checks import ArgumentError, argument_error, shown
from qdescent.reading.checkpoint import LEGACY, CheckpointError, check_checkpoint
from qdescent.reading.documents import read_json
from qdescent.reading.entries import EntryError, chosen_entry
from qdescent.reading.regular import named, open_regular, said

MUST = (
    "be a safetensors file, or a checkpoint that loads without running code (torch.load with"
    " weights_only=True)"
)
MOST_HEADER = 16 << 20  # bytes; 100,000 tensors have a header of 10 MB
# of weights in several files
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
WHOLE = ("model.safetensors", "pytorch_model.bin")  # of weights in one file
TRAINED = {"pruned", "hybrid", "sparse", "dense"}  # what `qdescent train` writes into one file
# types that PyTorch turns into any other; it has more, of half a byte, of bits, quantised
NUMBERS = re.compile(
    r"torch\.(bool|(int|uint)(8|16|32|64)|b?float(16|32|64|8_.*)|complex(32|64|128))"
)


def read_weights(argument: str, path: Path, key: str = "", flag: str = "") -> dict[str, Tensor]:
    """Named tensors of a safetensors file, of a checkpoint, or of a folder that Hugging Face's
    libraries wrote.

    The tensors lie in the file until they are used, so that their shapes can be compared before
    memory is taken.

    Args:
        argument: as the user calls it.
        path: of the file or folder.
        key: entry of a checkpoint that holds them, or of what `qdescent train` wrote; empty: the
            only one.
        flag: the setting that chooses the entry; empty: there is none.

    Raises:
        ArgumentError: none of these, damaged, with code in it, or with several weights.
    """
    if not os.path.isdir(path):
        return read_tensors(argument, path, key, flag)
    if key:
        raise argument_error(flag, "be left out for a folder of weights", shown(key))
    return _of_folder(argument, path)


def read_tensors(argument: str, path: Path, key: str = "", flag: str = "") -> dict[str, Tensor]:
    """The same of one file, of the kind that its first bytes show; its name decides where they
    show none.
    """
    with open_regular(argument, path, MUST) as file:
        first = file.read(9)
    torch_made = first[:2] == b"PK" or first[:4] == LEGACY[:4]
    if torch_made or not (_as_safetensors(first) or path.suffix == ".safetensors"):
        return _of_checkpoint(argument, path, key, flag)
    return _entry(argument, path, read_safetensors(argument, path, MUST)[0], key, flag)


def _entry(
    argument: str, path: Path, found: dict[str, Tensor], key: str, flag: str
) -> dict[str, Tensor]:
    """Of a file that holds several weights, as `qdescent train` writes it (`hybrid/0.weight`),
    those that were asked for.
    """
    entries = sorted({name.partition("/")[0] for name in found if "/" in name})
    several = bool(entries) and all("/" in name for name in found)
    if not key and not (several and set(entries) <= TRAINED):
        return found
    if not several:
        must = "be left out for a safetensors file, which has no entries"
        raise argument_error(flag, must, key)
    if key not in entries:
        which = f"{named(path)}, which holds {', '.join(map(shown, entries[:8]))}"
        must = f"be one entry of the file ({flag} names it)"
        if not flag:
            cure = "give it as weights, with a weights_key, and the word nonzero in its place"
            must = f"be a file of one network's tensors, which a training's is not ({cure})"
        raise argument_error(flag if key else argument, must, which)
    whole = f"{key}/"
    return {name.removeprefix(whole): x for name, x in found.items() if name.startswith(whole)}


def _as_safetensors(first: bytes) -> bool:
    """Whether a file that begins so may be a safetensors file: the length of a header, in 8 bytes,
    and a header that opens a JSON object.
    """
    return first[8:9] == b"{"


def read_safetensors(
    argument: str, path: Path, must: str, remedy: str = ""
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, still in the file, and what its header says besides.

    Args:
        argument: as the user calls it.
        path: of the file.
        must: completes "must ..." where it is no such file.
        remedy: what to do about a damaged one.

    Raises:
        ArgumentError: no regular file, or not a whole safetensors file.
    """
    try:
        with open_regular(argument, path, must) as file:
            size = os.fstat(file.fileno()).st_size
            first = file.read(9)
        header = int.from_bytes(first[:8], "little")
        if size > 8 and not _as_safetensors(first):
            raise ValueError("it does not begin as a safetensors file does")
        if size < 8 or header > size - 8:
            raise ValueError("its header is cut short")
        if header > MOST_HEADER:
            raise ValueError(f"its header of {header:,} bytes is too long")
        with safe_open(path, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  (no mapping)
            _check_numbers(argument, path, must, tensors)
            return tensors, opened.metadata() or {}
    except ArgumentError:
        raise
    # SafetensorError, and what PyTorch raises on a type it does not know
    except Exception as error:
        why = f"which is damaged and cannot be used ({said(error)})"
        raise argument_error(
            argument, must, f"{named(path)}, {why}{remedy and f': {remedy}'}"
        ) from None


def _of_checkpoint(argument: str, path: Path, key: str, flag: str) -> dict[str, Tensor]:
    """The tensors of a file of `torch.save`, whose pickle was walked through before PyTorch builds
    anything of it.
    """
    with open_regular(argument, path) as file:
        try:
            # PyTorch maps what it is given by its path, and goes by a path's name itself
            by_path = check_checkpoint(file) and path.suffix != ".safetensors"
            file.seek(0)
            content = torch.load(
                path if by_path else file,
                map_location="cpu",
                weights_only=True,
                mmap=True if by_path else None,
            )
        except CheckpointError as error:
            raise argument_error(argument, MUST, f"{named(path)}, which {error}") from None
        # what zipfile, pickle and PyTorch raise on damaged files: some ten types
        except Exception as error:
            raise argument_error(
                argument, MUST, f"{named(path)}, which is damaged ({said(error)})"
            ) from error
    try:
        found = chosen_entry(content, key, flag)
    except EntryError as error:
        raise argument_error(argument, MUST, f"{named(path)}, which {error}") from None
    _check_numbers(argument, path, MUST, found)
    return found


def _check_numbers(argument: str, path: Path, must: str, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that cannot be computed with: of rare types, or sparse."""
    for name, tensor in tensors.items():
        if not NUMBERS.fullmatch(str(tensor.dtype)) or tensor.layout != torch.strided:
            kind = f"{tensor.layout} {tensor.dtype}".replace("torch.strided ", "")
            actual = f"{named(path)}, which holds {kind} at {shown(name)}"
            raise argument_error(argument, f"{must} of dense numbers", actual)


def _of_folder(argument: str, folder: Path) -> dict[str, Tensor]:
    """The tensors of a folder of Hugging Face: one file, or several with an index of which tensor
    is where.
    """
    for name in INDEXES:
        if os.path.lexists(folder / name):
            return _of_index(argument, folder / name)
    for name in WHOLE:
        if os.path.lexists(folder / name):
            return read_tensors(argument, folder / name)
    must = f"be a file of weights, or a folder with {' or '.join((*WHOLE, *INDEXES))}"
    raise argument_error(argument, must, f"{named(folder)}, a folder without")


def _of_index(argument: str, path: Path) -> dict[str, Tensor]:
    must = "be a folder whose index gives a file for each tensor"
    content = read_json(argument, path, must)
    places: Any = content.get("weight_map") if isinstance(content, dict) else None
    if (
        not isinstance(places, dict)
        or not places
        or not all(isinstance(name, str) for name in places.values())
    ):
        raise argument_error(argument, must, f"{named(path)}, which has no `weight_map` of names")
    found: dict[str, Tensor] = {}
    for file in sorted(set(places.values())):
        if file != os.path.basename(file) or Path(file).suffix not in (".safetensors", ".bin"):
            actual = f"{named(path)}, which names {shown(file)}, no file of that folder"
            raise argument_error(argument, must, actual)
        held = read_tensors(argument, path.with_name(file))
        for name, place in places.items():
            if place == file and name not in held:
                raise argument_error(
                    argument, must, f"{named(path)}: {shown(name)} is not in {shown(file)}"
                )
        found.update((name, tensor) for name, tensor in held.items() if places.get(name) == file)
    return found
