"""Fashion-MNIST, a class-balanced subset that comes with the package or the full set from files;
CIFAR-100 from files.

Fashion-MNIST is the work of Zalando SE (MIT licence, text in `data/LICENSE.fashion-mnist.txt`). The
subset was drawn by `tools/make_fashion_subset.py`. CIFAR-100 is read where the user has it.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_field,
    check_interval,
    check_path,
    check_sequence,
    check_text,
)
from qdescent.reading.cifar_files import read_cifar100
from qdescent.reading.regular import read_bytes, unpacked

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# as they stand, torchvision's two levels, Debian's folder
_PLACES = (".", "raw", "FashionMNIST/raw", "fashion-mnist")
# no file of this data set holds more: a header that claims terabytes is refused
_MAX_ITEMS = 60_000
_MOST_BYTES = _MAX_ITEMS * 28 * 28  # of the images, by far the longest file


@dataclass(frozen=True, eq=False)
class ImageData:
    """Labelled images, standardised: x = (pixel - mean) / std, mean and std over all pixels of the
    training images.

    Args:
        train_images: (N, channels, height, width), float32.
        train_labels: (N,), int64, each in 0..len(classes)-1.
        test_images: (M, channels, height, width), float32, standardised by the *training* mean and
            std.
        test_labels: (M,), int64.
        classes: the name of each label.
        source: the images' origin and number, as a report prints it.
        mean: mean of the training pixels on the scale [0, 1].
        std: standard deviation of the training pixels on the scale [0, 1].

    Raises:
        ArgumentError: images that hold NaN or infinity, shapes that do not fit together, a label
            without a class.
    """

    train_images: Tensor = field(repr=False)
    train_labels: Tensor = field(repr=False)
    test_images: Tensor = field(repr=False)
    test_labels: Tensor = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)
    source: str
    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        check_tensor("train_images", self.train_images, (None, None, None, None))
        check_tensor("test_images", self.test_images, (None, *self.train_images.shape[1:]))
        check_sequence("classes", self.classes, str, called="the names of the labels")
        check_text("source", self.source)
        check_field(self, "mean", check_interval, "(-inf, inf)")
        check_field(self, "std", check_interval, "(0, inf)")
        for part, images, labels in (
            ("train", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            check_tensor(f"{part}_labels", labels, (len(images),), "integer")
            if labels.dtype != torch.int64 or not 0 <= int(labels.min()) <= int(labels.max()) < len(
                self.classes
            ):
                actual = f"of {labels.dtype} from {labels.min()} to {labels.max()}"
                raise argument_error(
                    f"{part}_labels", f"be int64 from 0 to {len(self.classes) - 1}", actual
                )

    def to(self, device: torch.device | str) -> ImageData:
        """The same images and labels on a device.

        Example:
            >>> load_fashion_mnist().to("cpu").test_images.device
            device(type='cpu')
        """
        names = ("train_images", "train_labels", "test_images", "test_labels")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def load_fashion_mnist(data_root: str | Path | None = None) -> ImageData:
    """Fashion-MNIST as tensors, standardised by the mean and std of the training pixels.

    Args:
        data_root: None: the subset that comes with the package, 5,000 training and 1,000 test
            images, 500 and 100 of each class, in an order in which every ten consecutive images
            hold each class once. A folder: the full set of 60,000 and 10,000 images in its four IDX
            files, gzipped or plain, in the folder itself or in its `raw`, `FashionMNIST/raw` (as
            torchvision lays them out) or `fashion-mnist`.

    Returns:
        ImageData: images (N, 1, 28, 28).

    Raises:
        ArgumentError: files that are missing, cut short, or not IDX files of 28 x 28 images and
            their labels.

    Cost:
        188 MB of float32 for the full set, 19 MB for the subset; nothing is downloaded.

    References:
        Xiao, Rasul, Vollgraf, arXiv:1708.07747.

    Example:
        >>> data = load_fashion_mnist()
        >>> tuple(data.train_images.shape), data.classes[int(data.train_labels[9])]
        ((5000, 1, 28, 28), 'Ankle boot')
    """
    if data_root is None:
        with (
            (files("qdescent.learning") / "data" / "fashion_mnist_subset.npz").open("rb") as file,
            np.load(file) as stored,
        ):
            arrays = {name: stored[name] for name in stored.files}
        kind = "embedded class-balanced subset"
    else:
        folder = _folder_of(check_path("data_root", data_root))
        arrays = {
            f"{part}_{noun}": read_idx(
                _file_of(folder, f"{stem}-{noun}-idx{dimensions}-ubyte"), dimensions
            )
            for part, stem in (("train", "train"), ("test", "t10k"))
            for noun, dimensions in (("images", 3), ("labels", 1))
        }
        kind = "IDX files"
    return _standardised(arrays, kind)


def load_cifar100(data_root: str | Path) -> ImageData:
    """CIFAR-100 as tensors, standardised by the mean and std of all training pixels.

    Its files are pickles. They are followed opcode by opcode, and no code of theirs is run; each
    must have the checksum of the published one.

    Args:
        data_root: the archive `cifar-100-python.tar.gz`; or a folder that holds it, or
            `cifar-100-python`, or is that folder.

    Returns:
        ImageData: 50,000 and 10,000 images (N, 3, 32, 32), 100 classes.

    Raises:
        ArgumentError: it is not there, or not byte for byte the published one.

    Cost:
        740 MB of float32; nothing is downloaded.

    References:
        Krizhevsky (2009), Learning multiple layers of features from tiny images.
    """
    parts, classes = read_cifar100("data_root", check_path("data_root", data_root))
    images = {
        part: torch.from_numpy(data.astype(np.float32)).div_(255)
        for part, (data, _) in parts.items()
    }
    labels = {part: torch.tensor(fine, device="cpu") for part, (_, fine) in parts.items()}
    mean, std = float(images["train"].mean()), float(images["train"].std())
    train, test = (images[part].sub_(mean).div_(std) for part in ("train", "test"))
    return ImageData(
        train_images=train,
        train_labels=labels["train"],
        test_images=test,
        test_labels=labels["test"],
        classes=tuple(classes),
        source=f"CIFAR-100, {len(train):,} training and {len(test):,} test images",
        mean=mean,
        std=std,
    )


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The bytes of one IDX file: two zero bytes, type 8 (unsigned byte), the number of dimensions,
    each length, the data.

    Args:
        path: the file; a name that ends in `.gz` is unpacked.
        dimensions: 1 for labels, 3 for images.

    Returns:
        numpy.ndarray: uint8, of the shape that the header gives.

    Raises:
        ArgumentError: another kind of file, fewer or more bytes than the header says, or more than
            60,000 items.
    """
    header = 4 + 4 * dimensions
    must = "hold readable IDX files"
    content = read_bytes("data_root", path, header + _MOST_BYTES, must)
    if path.suffix == ".gz":
        content = unpacked("data_root", path, content, header + _MOST_BYTES, must)
    if content[:4] != bytes((0, 0, 8, dimensions)) or len(content) < header:
        raise argument_error(
            "data_root", f"hold IDX files of {dimensions} dimension(s)", f"not, in {path.name}"
        )
    shape = tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions))
    if shape[0] > _MAX_ITEMS or shape[1:] != (28, 28)[: dimensions - 1]:
        must = f"hold at most {_MAX_ITEMS} images of 28 x 28 and their labels"
        raise argument_error("data_root", must, f"with a header of {shape} in {path.name}")
    wanted, data = math.prod(shape), content[header:]
    if len(data) != wanted:
        actual = f"{'longer' if len(data) > wanted else f'cut short at {len(data)}'} in {path.name}"
        raise argument_error("data_root", f"hold the {wanted} bytes that the header says", actual)
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _folder_of(root: Path) -> Path:
    """The folder under `root` with Fashion-MNIST's files; no deeper search, as other sets use the
    same file names.
    """
    for place in _PLACES:
        if any(
            os.path.isfile(root / place / f"train-images-idx3-ubyte{suffix}")
            for suffix in ("", ".gz")
        ):
            return root / place
    places = ", ".join(_PLACES)
    must = (
        "be a folder with train-images-idx3-ubyte or train-images-idx3-ubyte.gz in one of:"
        f" {places}"
    )
    raise argument_error(
        "data_root", must, f"{str(root)!r}{'' if os.path.isdir(root) else ' (no such folder)'}"
    )


def _file_of(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise argument_error("data_root", f"hold {name} or {name}.gz", f"without it in {str(folder)!r}")


def _standardised(arrays: dict[str, np.ndarray], kind: str) -> ImageData:
    for part in ("train", "test"):
        counts = len(arrays[f"{part}_images"]), len(arrays[f"{part}_labels"])
        if counts[0] != counts[1] or counts[0] == 0:
            must = f"hold {part} images, and one label for each"
            raise argument_error(
                "data_root", must, f"with {counts[0]} images and {counts[1]} labels"
            )
    pixels = arrays["train_images"]
    mean, std = (
        float(pixels.mean(dtype=np.float64)) / 255,
        float(pixels.std(dtype=np.float64)) / 255,
    )
    if std == 0:
        raise argument_error(
            "data_root", "hold training images that differ from each other", "one constant grey"
        )
    images = {
        part: (
            torch.tensor(arrays[f"{part}_images"], device="cpu")[:, None]
            .to(torch.float32)
            .div_(255)
            .sub_(mean)
            .div_(std)
        )
        for part in ("train", "test")
    }
    return ImageData(
        train_images=images["train"],
        train_labels=torch.tensor(arrays["train_labels"], device="cpu").to(torch.int64),
        test_images=images["test"],
        test_labels=torch.tensor(arrays["test_labels"], device="cpu").to(torch.int64),
        classes=FASHION_CLASSES,
        source=(
            f"Fashion-MNIST (Zalando SE, MIT licence), {kind}: "
            f"{len(images['train'])} training and {len(images['test'])} test images"
        ),
        mean=mean,
        std=std,
    )
