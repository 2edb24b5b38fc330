"""Draws the class-balanced Fashion-MNIST subset that comes with the package.

    python tools/make_fashion_subset.py FOLDER_WITH_THE_FOUR_IDX_FILES

500 training and 100 test images of each class, drawn without replacement by a fixed seed, in an
order in which every ten consecutive images hold each class once, so that any first 10 k of them are
balanced. The result is the same file each time on one version of zlib; its arrays are the same
everywhere (tests/learning/test_datasets.py holds the checksum).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from qdescent._random import named_numpy_generator
from qdescent.learning.datasets import read_idx

SEED = 0
TARGET = Path(__file__).parents[1] / "src/qdescent/learning/data/fashion_mnist_subset.npz"


def draw(labels: np.ndarray, per_class: int, part: str) -> np.ndarray:
    """The places of `per_class` images of each class, (10 * per_class,), classes in turn."""
    random = named_numpy_generator(SEED, "fashion subset", part)
    chosen = [
        random.choice(np.flatnonzero(labels == c), per_class, replace=False) for c in range(10)
    ]
    return np.stack(chosen, axis=1).ravel()


def main(folder: Path) -> None:
    arrays = {}
    for part, stem, per_class in (("train", "train", 500), ("test", "t10k", 100)):
        labels = read_idx(folder / f"{stem}-labels-idx1-ubyte.gz", 1)
        places = draw(labels, per_class, part)
        arrays[f"{part}_images"] = read_idx(folder / f"{stem}-images-idx3-ubyte.gz", 3)[places]
        arrays[f"{part}_labels"] = labels[places]
    TARGET.parent.mkdir(exist_ok=True)
    np.savez_compressed(TARGET, **arrays)
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
