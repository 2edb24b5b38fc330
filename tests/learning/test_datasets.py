"""The embedded subset against its checksum and against the full set; the IDX reader against files
written here by hand.
"""

import gzip
import hashlib
import re
import struct
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.learning.datasets import FASHION_CLASSES, ImageData, load_fashion_mnist

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # the package dataset-fashion-mnist
SUBSET = files("qdescent.learning") / "data" / "fashion_mnist_subset.npz"


@pytest.fixture(scope="module")
def subset() -> ImageData:
    return load_fashion_mnist()


def test_subset_is_the_file_that_was_drawn():
    assert (
        hashlib.sha256(SUBSET.read_bytes()).hexdigest()
        == "471c1bfbe2ab8cc2f16e0dea3b28fb0a50673e0e570d5a2bf8f725123d72099f"
    )
    assert (
        "Copyright (c) 2017 Zalando SE"
        in (files("qdescent.learning") / "data" / "LICENSE.fashion-mnist.txt").read_text()
    )


def test_subset_has_its_shapes_and_every_ten_images_hold_each_class(subset):
    assert subset.train_images.shape == (5000, 1, 28, 28)
    assert subset.test_images.shape == (1000, 1, 28, 28)
    assert subset.train_images.dtype == torch.float32
    assert subset.train_labels.dtype == torch.int64
    for labels in (subset.train_labels, subset.test_labels):
        assert torch.equal(labels.view(-1, 10), torch.arange(10).expand(len(labels) // 10, 10))
    assert subset.classes == FASHION_CLASSES
    assert "5000 training and 1000 test images" in subset.source


def test_standardised_by_the_training_images(subset):
    train = subset.train_images.double()
    assert abs(float(train.mean())) < 1e-6
    assert abs(float(train.std(correction=0)) - 1) < 1e-6
    # by the training mean, so its own is not zero
    assert abs(float(subset.test_images.mean())) > 1e-3
    # the stored bytes come back
    pixels = (subset.test_images.double() * subset.std + subset.mean) * 255
    with np.load(SUBSET) as stored:
        assert torch.allclose(
            pixels[:, 0], torch.tensor(stored["test_images"]).double(), atol=1e-4, rtol=0
        )


@pytest.mark.skipif(
    not DEBIAN.is_dir(), reason="needs the full set: apt-get install dataset-fashion-mnist"
)
def test_subset_is_part_of_the_full_set():
    # Read without the package's reader: an IDX file is a header of 16 (images) or 8 (labels) bytes,
    # then the pixels.
    with np.load(SUBSET) as stored:
        for part, stem in (("train", "train"), ("test", "t10k")):
            images, labels = (
                np.frombuffer(
                    gzip.decompress((DEBIAN / f"{stem}-{noun}.gz").read_bytes())[header:], np.uint8
                )
                for noun, header in (("images-idx3-ubyte", 16), ("labels-idx1-ubyte", 8))
            )
            full = {
                (image.tobytes(), label)
                for image, label in zip(images.reshape(-1, 784), labels.tolist(), strict=True)
            }
            drawn = {
                (image.tobytes(), label)
                for image, label in zip(
                    stored[f"{part}_images"], stored[f"{part}_labels"].tolist(), strict=True
                )
            }
            assert drawn <= full
            assert len(drawn) == len(stored[f"{part}_images"])  # no image twice
            planted = next(iter(drawn))
            assert (planted[0], (planted[1] + 1) % 10) not in full  # a wrong label would be seen


@pytest.mark.slow
@pytest.mark.skipif(
    not DEBIAN.is_dir(), reason="needs the full set: apt-get install dataset-fashion-mnist"
)
def test_full_set_has_the_published_mean_and_deviation():
    data = load_fashion_mnist(DEBIAN.parent)
    assert len(data.train_images) == 60_000
    assert len(data.test_images) == 10_000
    # the pair in common use for this set
    assert (round(data.mean, 4), round(data.std, 4)) == (0.2860, 0.3530)


def idx(values: np.ndarray) -> bytes:
    return (
        bytes((0, 0, 8, values.ndim))
        + struct.pack(f">{values.ndim}I", *values.shape)
        + values.tobytes()
    )


def write_set(
    folder: Path, train: int = 20, test: int = 10, zipped: bool = False
) -> dict[str, np.ndarray]:
    """Four IDX files of random images, as the real ones are laid out."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for stem, count in (("train", train), ("t10k", test)):
        written[f"{stem}-images-idx3-ubyte"] = random.integers(
            0, 256, (count, 28, 28), dtype=np.uint8
        )
        written[f"{stem}-labels-idx1-ubyte"] = random.integers(0, 10, count, dtype=np.uint8)
    for name, values in written.items():
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(values)))
        else:
            (folder / name).write_bytes(idx(values))
    return written


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("place", [".", "raw", "FashionMNIST/raw", "fashion-mnist"])
def test_reads_plain_and_zipped_files_where_they_usually_lie(tmp_path, place, zipped):
    written = write_set(tmp_path / place, zipped=zipped)
    # another set under the same file names, not to be taken
    write_set(tmp_path / "MNIST/raw", train=30)
    data = load_fashion_mnist(str(tmp_path))
    pixels = (data.train_images[:, 0].double() * data.std + data.mean) * 255
    assert torch.allclose(
        pixels, torch.tensor(written["train-images-idx3-ubyte"]).double(), atol=1e-4, rtol=0
    )
    assert data.test_labels.tolist() == written["t10k-labels-idx1-ubyte"].tolist()


def test_another_set_beside_it_is_not_taken(tmp_path):
    write_set(tmp_path / "MNIST/raw")
    with pytest.raises(
        ArgumentError, match="`data_root` must be a folder with train-images-idx3-ubyte"
    ):
        load_fashion_mnist(tmp_path)


def header_of(*shape: int) -> bytes:
    return bytes((0, 0, 8, len(shape))) + struct.pack(f">{len(shape)}I", *shape)


IMAGES = idx(np.arange(20 * 784, dtype=np.uint32).astype(np.uint8).reshape(20, 28, 28))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "train-images-idx3-ubyte",
            b"",
            "must hold IDX files of 3 dimension(s), but is not, in train-images-idx3-ubyte",
        ),
        # a pickle
        ("train-images-idx3-ubyte", b"\x80\x04" + IMAGES, "must hold IDX files of 3 dimension(s)"),
        # floats
        (
            "train-images-idx3-ubyte",
            b"\0\0\x0d\3" + IMAGES[4:],
            "must hold IDX files of 3 dimension(s)",
        ),
        ("train-images-idx3-ubyte", IMAGES[:10], "must hold IDX files of 3 dimension(s)"),
        (
            "train-images-idx3-ubyte",
            IMAGES[:-1],
            "must hold the 15680 bytes that the header says, but is cut short at 15679",
        ),
        (
            "train-images-idx3-ubyte",
            IMAGES + b"\0",
            "must hold the 15680 bytes that the header says, but is longer",
        ),
        (
            "train-images-idx3-ubyte",
            header_of(2**32 - 1, 28, 28),
            "must hold at most 60000 images of 28 x 28",
        ),
        (
            "train-images-idx3-ubyte",
            header_of(1, 2**32 - 1, 2**32 - 1),
            "must hold at most 60000 images of 28 x 28",
        ),
        (
            "train-images-idx3-ubyte",
            header_of(0, 28, 28),
            "must hold train images, and one label for each",
        ),
        (
            "train-images-idx3-ubyte",
            header_of(20, 28, 28) + bytes(20 * 784),
            "must hold training images that differ",
        ),
        ("t10k-labels-idx1-ubyte", header_of(10)[:6], "must hold IDX files of 1 dimension(s)"),
        (
            "t10k-labels-idx1-ubyte",
            header_of(9) + bytes(9),
            "must hold test images, and one label for each, but is with 10 images and 9",
        ),
        (
            "t10k-labels-idx1-ubyte",
            header_of(10) + bytes(9) + b"\x0a",
            "`test_labels` must be int64 from 0 to 9",
        ),
    ],
)
def test_hostile_files_end_in_one_sentence(tmp_path, name, content, sentence):
    write_set(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArgumentError, match=re.escape(sentence)):
        load_fashion_mnist(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [lambda whole: whole[:-40], lambda whole: b"no gzip", lambda whole: whole[:30] + whole[31:]],
)
def test_hostile_zips_end_in_one_sentence(tmp_path, damage):
    write_set(tmp_path, zipped=True)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        ArgumentError, match=r"`data_root` must hold .*, but is .*t10k-images-idx3-ubyte\.gz"
    ):
        load_fashion_mnist(tmp_path)


def test_a_zip_that_unpacks_to_more_than_its_header_says_is_not_unpacked(tmp_path):
    write_set(tmp_path, zipped=True)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(header_of(10, 28, 28) + bytes(50_000_000))
    )
    with pytest.raises(ArgumentError, match=r"but is longer in t10k-images-idx3-ubyte\.gz"):
        load_fashion_mnist(tmp_path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(
        ArgumentError, match=r"`data_root` must be a folder with .*\(no such folder\)"
    ):
        load_fashion_mnist(tmp_path / "nowhere")
    write_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(
        ArgumentError, match=r"must hold t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte\.gz"
    ):
        load_fashion_mnist(tmp_path)


def test_own_images_are_checked_too():
    images, labels = torch.zeros(3, 1, 4, 4), torch.tensor([0, 1, 1])
    ImageData(images, labels, images, labels, ("cat", "dog"), "drawn by hand")
    spoilt = images.clone()
    spoilt[1, 0, 2, 3] = float("nan")
    with pytest.raises(
        ArgumentError,
        match=(
            r"`test_images` must be finite, but is not, in 1 of 48 entries, first at \(1, 0, 2, 3\)"
        ),
    ):
        ImageData(images, labels, spoilt, labels, ("cat", "dog"), "drawn by hand")
    with pytest.raises(ArgumentError, match=r"`train_labels` must have shape \(3,\)"):
        ImageData(images, labels[:2], images, labels, ("cat", "dog"), "drawn by hand")
    with pytest.raises(ArgumentError, match="`train_labels` must be int64 from 0 to 0"):
        ImageData(images, labels, images, labels, ("cat",), "drawn by hand")
    with pytest.raises(ArgumentError, match="`train_images` must hold at least one number"):
        ImageData(images[:0], labels[:0], images, labels, ("cat", "dog"), "drawn by hand")
