"""A folder of images with one subfolder for each class: which folders are classes, and which files
belong to them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.reading.images import read_image
from qdescent.reading.regular import named

IMAGES = {".png", ".jpg", ".jpeg"}
PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}
_MUST = "be a folder with PNG or JPEG files in one subfolder a class"


def images_of_folder(folder: Path, draw: Callable[[int], list[int]]) -> tuple[Tensor, Tensor, int]:
    """The bytes and the class numbers of those images that `draw` takes out of so many, and how
    many there are.

    Raises:
        ArgumentError: as `labelled_files`; an image that cannot be read, or of another size.
    """
    files = labelled_files(folder)
    images: list[Tensor] = []
    labels: list[int] = []
    mode, before = "", (0, 0)
    for place in draw(len(files)):
        file, label = files[place]
        try:
            found, mode, size = read_image("data", file, mode, before)
        except ImportError:
            must = (
                "be an .npz file or module:function where Pillow is not installed (pip install"
                " pillow)"
            )
            raise argument_error("data", must, f"a folder of images, {named(folder)}") from None
        before = before[0] + size, before[1] + found.nbytes
        pixels = torch.from_numpy(found)
        if images and pixels.shape != images[0].shape:
            sizes = f"{named(file)} of {tuple(pixels.shape)} after {tuple(images[0].shape)}"
            raise argument_error(
                "data", "hold images of one size (resize them, or use module:function)", sizes
            )
        images.append(pixels)
        labels.append(label)
    return torch.stack(images), torch.tensor(labels, device="cpu"), len(files)


def labelled_files(folder: Path) -> list[tuple[Path, int]]:
    """Each image file with the number of its class, classes in alphabetical order.

    Folders and files whose names begin with a dot, and `__MACOSX`, are hidden: no classes, no
    images. Files beside the class folders are passed by.

    Raises:
        ArgumentError: no images; a class folder without any, which would shift the labels; a folder
            that holds the parts of a data set (`train`, `test`), or one more level, instead of
            classes: the sentence names the folder to give.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as name:
        ...     for file in ("ant/a.PNG", "bee/b.jpg", ".git/c.png", "read.me"):
        ...         (Path(name) / file).parent.mkdir(exist_ok=True)
        ...         (Path(name) / file).touch()
        ...     [(file.name, label) for file, label in labelled_files(Path(name))]
        [('a.PNG', 0), ('b.jpg', 1)]
    """
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not _hidden(path))
    found = {path: _images(path) for path in classes}
    full = [path for path in classes if found[path]]
    if not full:
        raise argument_error("data", _MUST, f"{named(folder)}, without any")
    parts = [path for path in full if path.name.lower() in PARTS]
    nested = [path for path in full if all(file.parent != path for file in found[path])]
    if parts and (len(parts) == len(full) or any(path in nested for path in parts)):
        must = f"{_MUST} (give one part, such as {named(_first_part(parts))})"
        names = ", ".join(path.name for path in parts)
        raise argument_error(
            "data", must, f"{named(folder)}, which holds parts of a data set: {names}"
        )
    if len(full) == 1 and nested:
        must = f"{_MUST} (give {named(full[0])}?)"
        raise argument_error(
            "data", must, f"{named(folder)}, where all images lie below {full[0].name!r}"
        )
    empty = [path.name for path in classes if not found[path]]
    if empty:
        must = (
            "hold PNG or JPEG files in every class folder (an empty one would shift the labels:"
            " remove it)"
        )
        raise argument_error("data", must, f"{named(folder)}, without any in {empty[0]!r}")
    return [(file, label) for label, path in enumerate(classes) for file in found[path]]


def _images(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGES
        and not path.is_dir()
        and not any(
            _hidden(part)
            for part in (path, *path.parents[: len(path.relative_to(folder).parts) - 1])
        )
    )


def _first_part(parts: list[Path]) -> Path:
    return next((path for path in parts if path.name.lower().startswith("train")), parts[0])


def _hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name == "__MACOSX"
