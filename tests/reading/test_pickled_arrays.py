"""Old pickles of arrays: the right values, or a sentence; no code is run."""

import os
import pickle
import random
import tarfile
from io import BytesIO

import numpy as np
import pytest

pytest.importorskip("PIL.Image")
import mutations
from old_pickle import old_pickle

from qdescent._checks import ArgumentError
from qdescent.learning.datasets import load_cifar100
from qdescent.reading import cifar_files
from qdescent.reading.pickled_arrays import PickleError, pickled_arrays

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 3072), dtype=np.uint8)
PARTS = {
    "train": old_pickle({"data": IMAGES, "fine_labels": [0, 1, 1], "batch_label": "x"}),
    "test": old_pickle({"data": IMAGES[:1], "fine_labels": [1]}),
    "meta": old_pickle({"fine_label_names": ["apple", "ray"]}),
}


RAN = "it-ran"  # a folder that only a stranger's code would make


class Evil:
    def __reduce__(self):
        return os.mkdir, (RAN,)


@pytest.fixture
def published(monkeypatch):
    """These small files in the place of the published ones."""
    sums = {
        name: (cifar_files.FILES[name][0], cifar_files.hashlib.md5(content).hexdigest())
        for name, content in PARTS.items()
    }
    monkeypatch.setattr(cifar_files, "FILES", sums)


def archive(folder, files):
    path = folder / cifar_files.ARCHIVE
    with tarfile.open(path, "w:gz") as made:
        for name, content in files.items():
            about = tarfile.TarInfo(f"{cifar_files.FOLDER}/{name}")
            about.size = len(content)
            made.addfile(about, BytesIO(content))
    return path


def test_an_old_pickle_gives_what_pickle_itself_gives():
    """The writer is right: Python's own reader takes it so."""
    content = PARTS["train"]
    theirs = pickle.loads(content, encoding="latin1")
    ours = pickled_arrays(content)
    assert ours.keys() == theirs.keys()
    assert np.array_equal(ours["data"], theirs["data"])
    assert np.array_equal(ours["data"], IMAGES)
    assert ours["fine_labels"] == theirs["fine_labels"] == [0, 1, 1]


def test_from_a_folder_and_from_an_archive(tmp_path, published):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name, content in PARTS.items():
        (folder / name).write_bytes(content)
    packed = tmp_path / "packed"
    packed.mkdir()
    path = archive(packed, {**PARTS, "file.txt~": b""})
    for root in (tmp_path, folder, packed, path):
        data = load_cifar100(root)
        assert data.train_images.shape == (3, 3, 32, 32)
        assert data.test_labels.tolist() == [1]
        assert data.classes == ("apple", "ray")
        pixels = data.train_images * data.std + data.mean
        assert np.allclose(255 * pixels.numpy(), IMAGES.reshape(3, 3, 32, 32), atol=1e-3)


@pytest.mark.parametrize("change", ["checksum", "missing", "cut", "nothing", "not-an-archive"])
def test_others_are_refused_in_a_sentence(tmp_path, published, change):
    files = dict(PARTS)
    if change == "checksum":
        files["train"] = files["train"].replace(b"fine_labels", b"fine_Labels")
    if change == "missing":
        del files["meta"]
    path = archive(tmp_path, files)
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    if change == "not-an-archive":
        path.write_bytes(b"nothing of the kind")
    if change == "nothing":
        path.unlink()
    with pytest.raises(ArgumentError, match="`data_root` must be .*CIFAR-100|cifar-100"):
        load_cifar100(path)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"data": Evil()}, protocol=2),
        pickle.dumps(Evil(), protocol=4),
        b"\x80\x02}q\x01",  # no end
        b"\x80\x02h\x05.",  # not in the memo
        b"\x80\x02(lp0\n.",  # protocol 0
        b"\x80\x02}q\x01(U\x01ah\x01u.",  # a dictionary in itself
        b"\x80\x02]q\x01h\x01a.",  # a list in itself
        old_pickle({"a": IMAGES}).replace(b"M\x00\x0c", b"M\x00\x0d").replace(b"K\x03J", b"K\x04J"),
        old_pickle({"a": IMAGES}).replace(b"U\x02u1", b"U\x02O8"),
        b"",
        b"." * 5,
    ],
)
def test_what_is_not_plain_is_refused(content):
    with pytest.raises(PickleError):
        pickled_arrays(content)
    assert not os.path.exists(RAN)


def test_changed_bytes_end_in_values_or_a_sentence():
    draw = random.Random(0)
    seeds = [old_pickle({"data": IMAGES[:2, :6], "fine_labels": [3, 5]}), PARTS["meta"]]
    ends = {"value": 0, "sentence": 0}
    for _ in range(1000):
        try:
            found = pickled_arrays(mutations.changed(draw.choice(seeds), draw))
            assert found is None or isinstance(found, (dict, list, str, bytes, int, np.ndarray))
            ends["value"] += 1
        except PickleError:
            ends["sentence"] += 1
    assert min(ends.values()) > 30
