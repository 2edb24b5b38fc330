"""The files of CIFAR-100 as its authors publish them: pickles, of which no code is run.

Krizhevsky (2009), Learning multiple layers of features from tiny images. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from qdescent._checks import ArgumentError, argument_error
from qdescent.reading.pickled_arrays import PickleError, pickled_arrays
from qdescent.reading.regular import named, open_regular, read_bytes, said

ARCHIVE, FOLDER = "cifar-100-python.tar.gz", "cifar-100-python"
# bytes at most, and MD5 as torchvision has it: a changed bit or another file is told apart, a
# forger is not (of a forged pickle no code would run either)
FILES = {
    "train": (160 << 20, "16019d7e3df5f24257cddd939b257f8d"),
    "test": (32 << 20, "f0ef6b0ae62326f3e7ffdfab6717acfc"),
    "meta": (64 << 10, "7973b15100ade9c7d40fb424638fde48"),
}
LARGEST = max(most for most, _ in FILES.values())
MOST_MEMBERS = 100  # of the archive; it has five
MUST = f"be {ARCHIVE}, or the folder {FOLDER} with train, test and meta"
PIXELS = 3 * 32 * 32


def read_cifar100(
    argument: str, path: Path
) -> tuple[dict[str, tuple[np.ndarray, list[int]]], list[str]]:
    """Images and labels of both parts, and the names of the classes.

    Args:
        argument: as the user calls it.
        path: the archive; or a folder that holds it, or `cifar-100-python`, or is that folder.

    Returns:
        ({"train": (uint8 of shape (N, 3, 32, 32), N labels), "test": ...}, names).

    Raises:
        ArgumentError: it is not there, or not byte for byte the published one.
    """
    held = {}
    for name, content in _contents(argument, path).items():
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != FILES[name][1]:
            must = "be CIFAR-100 as its authors publish it"
            why = f"{named(path)}, whose file {name!r} has another checksum"
            raise argument_error(argument, must, why)
        held[name] = dictionary(argument, path, content)
    classes = held["meta"].get("fine_label_names")
    if not isinstance(classes, list) or not all(isinstance(each, str) for each in classes):
        raise argument_error(argument, MUST, f"{named(path)}, without the names of its classes")
    parts = {}
    for part in ("train", "test"):
        data, fine = held[part].get("data"), held[part].get("fine_labels")
        if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != PIXELS:
            raise argument_error(argument, MUST, f"{named(path)}, without images in {part!r}")
        if (
            not isinstance(fine, list)
            or not len(fine) == len(data) > 0
            or not all(type(x) is int and 0 <= x < len(classes) for x in fine)
        ):
            raise argument_error(argument, MUST, f"{named(path)}, without labels in {part!r}")
        parts[part] = data.reshape(-1, 3, 32, 32), fine
    return parts, classes


def _contents(argument: str, path: Path) -> dict[str, bytes]:
    """The bytes of the three files, from a folder or an archive."""
    is_folder = os.path.isdir(path)
    for place in (".", FOLDER) if is_folder else ():
        if os.path.lexists(path / place / "train"):
            return {
                name: read_bytes(argument, path / place / name, most, MUST)
                for name, (most, _) in FILES.items()
            }
    archive = path / ARCHIVE if is_folder else path
    found: dict[str, bytes] = {}
    with open_regular(argument, archive, MUST) as file:
        try:
            # a stream: nothing is written, no link is followed, no name leaves this function
            with tarfile.open(fileobj=file, mode="r|gz") as members:
                for count, member in enumerate(members):
                    if count >= MOST_MEMBERS or member.size > LARGEST:
                        raise argument_error(argument, MUST, f"{named(archive)}, another archive")
                    name = member.name.removeprefix(f"{FOLDER}/")
                    opened = members.extractfile(member) if member.isreg() else None
                    if opened is not None and name in FILES and member.size <= FILES[name][0]:
                        found[name] = opened.read(FILES[name][0])
        except ArgumentError:
            raise
        except Exception as error:  # what tarfile and zlib raise on damaged files: some eight types
            why = f"{named(archive)}, which cannot be read ({said(error)})"
            raise argument_error(argument, MUST, why) from None
    missing = [name for name in FILES if name not in found]
    if missing:
        raise argument_error(argument, MUST, f"{named(archive)}, without {missing[0]!r}")
    return found


def dictionary(argument: str, path: Path, content: bytes) -> dict[str, Any]:
    """What one file holds.

    Raises:
        ArgumentError: something other than a dictionary of arrays, lists, texts and integers.
    """
    try:
        held = pickled_arrays(content)
    except PickleError as error:
        raise argument_error(argument, MUST, f"{named(path)}, which {error}") from None
    if not isinstance(held, dict):
        raise argument_error(argument, MUST, f"{named(path)}, of which a file is no dictionary")
    return held
