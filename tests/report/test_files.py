"""The safetensors files that we write are those of the format's own library; a full disk is an
OSError with the file's name.
"""

import errno
import os
import stat

import pytest
import torch
from safetensors.torch import load, save

from qdescent._checks import ArgumentError
from qdescent.report import files

TENSORS = {
    "float64": torch.randn(3, dtype=torch.float64),
    "transposed": torch.arange(6.0).view(2, 3).T,
    "bfloat16": torch.ones(5, dtype=torch.bfloat16),
    "scalar": torch.tensor(7),
    "bool": torch.tensor([True, False, True]),
    "empty": torch.empty(0, 3),
    "with space and ü": torch.arange(3, dtype=torch.int8),
}


def test_the_library_reads_and_writes_the_same_file(tmp_path):
    content = files.write_weights(tmp_path / "w.safetensors", TENSORS, {"a": "b"}).read_bytes()
    found = load(content)
    assert found.keys() == TENSORS.keys()
    assert all(
        torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype
        for name, tensor in TENSORS.items()
    )
    path = tmp_path / "theirs.safetensors"
    path.write_bytes(save({name: tensor.contiguous() for name, tensor in TENSORS.items()}))
    assert all(
        torch.equal(tensor, TENSORS[name]) for name, tensor in files.read_weights(path).items()
    )
    assert len(path.read_bytes()) == pytest.approx(len(content), abs=60)


def test_a_type_that_the_format_lacks_is_refused(tmp_path):
    with pytest.raises(
        ArgumentError, match="`tensors` must hold real numbers, but is torch.complex64 at 'z'"
    ):
        files.write_weights(tmp_path / "w.safetensors", {"z": torch.ones(2, dtype=torch.complex64)})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_names_the_file_and_keeps_the_old_one(tmp_path, monkeypatch):
    path = files.write_document(tmp_path / "page.html", "old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device.*page.html"):
        files.write_document(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_temporary_name_cannot_be_foretold_nor_be_a_trap(tmp_path, monkeypatch):
    names = []
    original = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (names.append(a.name), original(a, b)))
    for _ in range(2):
        files.write_document(tmp_path / "a", "text")
    assert len(set(names)) == 2
    assert all(files.TEMPORARY.fullmatch(name) for name in names)
    monkeypatch.setattr(files.secrets, "token_hex", lambda n: "0" * 16)
    (tmp_path / "treasure").write_text("gold")
    (tmp_path / ".a.0000000000000000.tmp").symlink_to(tmp_path / "treasure")
    with pytest.raises(FileExistsError):
        files.write_document(tmp_path / "a", "new")
    assert (tmp_path / "treasure").read_text() == "gold"


def test_what_a_kill_left_is_removed_and_nothing_else(tmp_path):
    for name in (".a.0123456789abcdef.tmp", ".mine.tmp", "b.tmp", ".a.0123456789ABCDEF.tmp"):
        (tmp_path / name).touch()
    files.remove_temporaries(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".a.0123456789ABCDEF.tmp",
        ".mine.tmp",
        "b.tmp",
    ]


@pytest.mark.parametrize("link", [False, True])
def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path, link):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = pipe
    if link:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    for write in (
        lambda: files.write_weights(path, {"w": torch.ones(1)}),
        lambda: files.write_document(path, "text"),
        lambda: files.write_arrays(path, {"w": torch.ones(1)}),
    ):
        with pytest.raises(
            ArgumentError, match="`path` must be a file to write, but is .*, a pipe"
        ):
            write()
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert path.is_symlink() is link
    assert len(list(tmp_path.iterdir())) == 1 + link
