"""What is no regular file, claims more than it holds, or unpacks to far more, is refused before it
costs anything.
"""

import gzip
import io
import json
import os
import re
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.experiment.circuit.map_file import load_map
from qdescent.experiment.data_sources import in_precision, load_data
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.setting import load_settings
from qdescent.experiment.sources import load_mask, load_weights
from qdescent.learning.datasets import read_idx
from qdescent.reading import images, npz
from qdescent.reading.documents import read_json, read_toml
from qdescent.reading.regular import open_regular, read_bytes
from qdescent.report.files import read_weights


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


READERS = {
    "toml": lambda path: load_settings(Settings, path, {}),
    "map": load_map,
    "data": lambda path: load_data(str(path), 4),
    "weights": lambda path: load_weights(network(), path),
    "mask": lambda path: load_mask(network(), path),
    "idx": lambda path: read_idx(path, 3),
    "read_weights": read_weights,
}
ENDINGS = {"data": ".npz", "weights": ".safetensors"}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "a pipe"),
        (lambda path: os.symlink("/dev/zero", path), "a device"),
        (lambda path: os.symlink("/dev/null", path), "a device"),
        (lambda path: os.symlink(path, path), "cannot be read|where there is none|be an .npz file"),
        (lambda path: None, "where there is none"),
    ],
    ids=["pipe", "zero", "null", "circle", "none"],
)
def test_what_is_no_regular_file_is_named(reader, make, words, tmp_path):
    path = tmp_path / f"x{ENDINGS.get(reader, '')}"
    make(path)
    with pytest.raises(ArgumentError, match=words):
        READERS[reader](path)


@pytest.mark.parametrize(
    "reader", [name for name in READERS if name not in ("data", "weights", "map")]
)
def test_a_directory_is_named(reader, tmp_path):
    with pytest.raises(ArgumentError, match="a directory"):
        READERS[reader](tmp_path)


def test_names_that_no_file_can_have(tmp_path):
    for name in ("a\0b", "x" * 5000, "\udcff"):
        with pytest.raises(ArgumentError, match="must be a file, but is"):
            open_regular("weights", name)
        with pytest.raises(ArgumentError):
            load_data(name + ".npz", 4)


def test_outside_names_are_shown_harmless_and_short(tmp_path):
    evil = "\x1b[31m\u202e" + "y" * 3000
    save_file({evil: torch.ones(2)}, tmp_path / "w.safetensors")
    with pytest.raises(ArgumentError) as caught:
        load_weights(network(), tmp_path / "w.safetensors")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
    np.savez(tmp_path / "m.npz", **{evil: np.ones(2)})
    with pytest.raises(ArgumentError) as caught:
        load_map(tmp_path / "m.npz")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


def test_a_file_is_read_up_to_its_bound(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_bytes("x", path, 5) == b"12345"
    with pytest.raises(ArgumentError, match="larger than 4 bytes"):
        read_bytes("x", path, 4)


def npy(shape: str, descr: str = "<f8", body: bytes = b"") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def archive(path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)


@pytest.mark.parametrize(
    "member",
    [
        npy("(3000000000,)"),
        npy("(-1,)"),
        npy("(1e3,)"),
        npy("(True,)", body=bytes(8)),
        npy("(" + "1," * 40 + ")", body=bytes(8)),
        npy("(" + "9" * 5000 + ",)"),
        npy("(" * 3000),
        npy("(2,)", "|O", bytes(16)),
        npy("(2,)", "<U9", bytes(72)),
        npy("(1,)", "[('a', '<f8')]", bytes(8)),
        npy("(2,)", body=bytes(15)),
        npy("(2,)", body=bytes(17)),
        b"\x93NUMPY\x09\x00",
        b"",
    ],
    ids=range(14),
)
def test_headers_that_lie_cost_nothing(member, tmp_path):
    archive(tmp_path / "m.npz", {"F1.npy": member})
    with pytest.raises(ArgumentError, match="`source` must be a directory of `qdescent run`"):
        load_map(tmp_path / "m.npz")
    archive(tmp_path / "d.npz", {"inputs.npy": member, "targets.npy": npy("(1,)", body=bytes(8))})
    with pytest.raises(ArgumentError, match=r"`data` must be a whole \.npz file of numbers"):
        load_data(str(tmp_path / "d.npz"), 4)


def test_what_unpacks_to_a_thousand_times_its_size_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "ALWAYS", 1 << 20)
    np.savez_compressed(tmp_path / "d.npz", inputs=np.zeros(1 << 18), targets=np.zeros(1 << 18))
    with pytest.raises(ArgumentError, match="claims .* bytes where .* are left"):
        load_data(str(tmp_path / "d.npz"), 4)


def test_an_honest_file_unpacks_to_any_size_its_own_size_allows(tmp_path):
    np.savez_compressed(
        tmp_path / "d.npz", inputs=np.zeros((1000, 50)), targets=np.zeros(1000, dtype=int)
    )
    assert load_data(str(tmp_path / "d.npz"), 3)[0].shape == (3, 50)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_methods_of_packing_are_refused(method, tmp_path):
    archive(tmp_path / "m.npz", {"F1.npy": npy("(1,)", body=bytes(8))}, method)
    with pytest.raises(ArgumentError, match="packed by another method"):
        load_map(tmp_path / "m.npz")


def test_a_name_twice_is_refused(tmp_path):
    archive(
        tmp_path / "m.npz",
        {"F1.npy": npy("(1, 1)", body=bytes(8)), "F1": npy("(1, 1)", body=bytes(8))},
    )
    with pytest.raises(ArgumentError, match="holds 'F1' twice"):
        load_map(tmp_path / "m.npz")


def test_byte_orders_layouts_and_integers_are_read_as_numpy_reads_them(tmp_path):
    values = np.arange(6).reshape(2, 3)
    for array in (
        values.astype(">f8"),
        np.asfortranarray(values.astype(float)),
        values.astype(">i2"),
        values.astype("<u8"),
    ):
        np.savez(tmp_path / "d.npz", inputs=array.astype(array.dtype), targets=np.array([0, 1]))
        assert np.array_equal(load_data(str(tmp_path / "d.npz"), 4)[0].numpy(), values)


@pytest.mark.parametrize("filler", range(16))
def test_numbers_at_odd_places_of_a_file_are_read(filler, tmp_path):
    """PyTorch picks 16-byte numbers by instructions that end the process at such places."""
    header = f"{{'descr': '<c16', 'fortran_order': False, 'shape': (6,), }}{' ' * filler}\n"
    numbers = np.arange(6) * (1 + 2j)
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        size = len(header).to_bytes(2, "little")
        archive.writestr(
            "targets.npy", b"\x93NUMPY\1\0" + size + header.encode() + numbers.tobytes()
        )
        with archive.open("inputs.npy", "w") as file:
            np.save(file, np.ones((6, 4), np.float32))
    _, targets, _ = load_data(str(tmp_path / "d.npz"), 4)
    assert set(targets.tolist()) <= set(numbers.tolist())


@pytest.mark.parametrize("shape", [(2**40, 0), (0, 2**62), (2**31, 0, 4)])
def test_a_trillion_samples_of_nothing_are_refused(shape, tmp_path):
    np.savez(tmp_path / "d.npz", inputs=np.zeros((2, 3)), targets=np.empty(shape, np.uint8))
    with pytest.raises(
        ArgumentError, match="whose 'targets' has 0 bytes and a shape of .* not fit"
    ):
        load_data(str(tmp_path / "d.npz"), 4)


def test_imaginary_parts_of_targets_are_kept(tmp_path):
    numbers = np.arange(6) * (1 + 2j)
    np.savez(tmp_path / "d.npz", inputs=np.ones((6, 4)), targets=numbers)
    assert load_data(str(tmp_path / "d.npz"), 6)[1].tolist() == numbers.tolist()


def test_a_gzip_bomb_and_a_million_empty_members_end_at_once(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(
        gzip.compress(bytes((0, 0, 8, 3)) + struct.pack(">3I", 1, 28, 28) + bytes(50 << 20), 1)
    )
    with pytest.raises(ArgumentError, match="is longer"):
        read_idx(path, 3)
    path.write_bytes(gzip.compress(b"") * 1000)
    with pytest.raises(ArgumentError, match="more than 16 gzip archives"):
        read_idx(path, 3)


def picture(folder, content: bytes) -> str:
    (folder / "set" / "ant").mkdir(parents=True, exist_ok=True)
    (folder / "set" / "ant" / "x.png").write_bytes(content)
    return str(folder / "set")


def png(width: int, height: int, pixels: bytes, extra: bytes = b"") -> bytes:
    def chunk(kind: bytes, part: bytes) -> bytes:
        return (
            struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + extra
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (png(60_000, 60_000, bytes(100)), "cannot be read"),  # by Pillow's own bound
        (png(4097, 4097, bytes(100)), "of 4097 x 4097 pixels, more than"),
        (png(2**31 - 1, 2**31 - 1, b""), "must hold whole images"),
        (png(0, 5, b""), "must hold whole images"),
        (png(1, 1, bytes(2), struct.pack(">I", 0) * 2 * 100_000), "too many parts"),
        (b"P6\n1 1\n255\n\0\0\0", "neither PNG nor JPEG"),  # another format under this name
        (b"", r"\.png', which cannot be read \(neither"),
    ],
    ids=range(7),
)
def test_pictures_that_cost_too_much_or_are_none(content, words, tmp_path):
    pytest.importorskip("PIL.Image")
    with pytest.raises(ArgumentError, match=words):
        load_data(picture(tmp_path, content), 4)


def test_many_small_files_of_large_pictures_end_at_a_bound(tmp_path, monkeypatch):
    pytest.importorskip("PIL.Image")
    monkeypatch.setattr(images, "ALWAYS", 1 << 20)
    flat = png(512, 512, bytes(513 * 512))
    for place in range(20):
        picture(tmp_path, flat)
        (tmp_path / "set" / "ant" / "x.png").rename(tmp_path / "set" / "ant" / f"{place}.png")
    with pytest.raises(ArgumentError, match="unpacks to far more than the files hold"):
        load_data(str(tmp_path / "set"), 20)


def test_sixteen_bits_are_scaled_not_cut_off(tmp_path):
    image = pytest.importorskip("PIL.Image")
    stream = io.BytesIO()
    image.fromarray(np.array([[0, 257, 32896, 65535]], dtype=np.uint16)).save(stream, "PNG")
    inputs, _, _ = load_data(picture(tmp_path, stream.getvalue()), 4)
    # Pillow's own way gives 0, 255, 255, 255
    assert np.allclose(inputs.flatten().numpy() * 255, [0, 1, 128, 255])


def test_sixteen_bits_that_hold_more_than_eight_are_refused(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for values, fine in (([0, 256, 65280, 512], True), ([0, 300, 4095, 1], False)):
        stream = io.BytesIO()
        image.fromarray(np.array([values], dtype=np.uint16)).save(stream, "PNG")
        (tmp_path / str(fine)).mkdir()
        root = picture(tmp_path / str(fine), stream.getvalue())
        if fine:  # the lower half says nothing
            assert (load_data(root, 4)[0].flatten() * 255).round().tolist() == [0, 1, 255, 2]
        else:
            with pytest.raises(ArgumentError, match="8 bits a colour.*of 16 bits"):
                load_data(root, 4)


def test_integers_without_end_are_refused_at_once(tmp_path):
    path = tmp_path / "c.toml"
    for text in (
        "order = " + "9" * 4000,
        "density = " + "9" * 4000,
        "circuit_order = 3000000",
        "a" + ".a" * 3000 + " = 1",
    ):
        path.write_text(text)
        with pytest.raises(ArgumentError):
            load_settings(Settings, path, {})
    with pytest.raises(
        ArgumentError,
        match="`circuit_order` must leave .* at most 4096 unknowns, but is 3000000: inf of them",
    ):
        Settings(circuit_order=3_000_000)


HOLES = 1 << 34  # bytes, 16 GiB


def with_holes_weights(path):
    about = {"dtype": "F32", "shape": [HOLES // 4], "data_offsets": [0, HOLES]}
    header = json.dumps({"0.bias": about}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def with_holes_npz(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inputs.npy", b"x" * 100)


@pytest.mark.parametrize(
    ("reader", "make"),
    [("weights", with_holes_weights), ("read_weights", with_holes_weights),
     ("mask", with_holes_weights), ("data", with_holes_npz), ("map", with_holes_npz)],
)  # fmt: skip
def test_a_file_of_holes_is_not_taken_for_what_it_claims(reader, make, tmp_path):
    path = tmp_path / f"w{ENDINGS.get(reader, '.safetensors')}"
    make(path)
    os.truncate(path, path.stat().st_size + HOLES)
    if path.stat().st_blocks * 512 > HOLES // 64:
        pytest.skip("a file system without holes")
    with pytest.raises(ArgumentError, match="of whose 17,179,869,.* the disk holds .*has holes"):
        READERS[reader](path)


def test_a_file_with_few_holes_is_read(tmp_path):
    """Zeros at its end that were never written count as zeros."""
    about = {"dtype": "U8", "shape": [1 << 20], "data_offsets": [0, 1 << 20]}
    header = json.dumps({"a": about}).encode()
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\1")
    os.truncate(tmp_path / "w.safetensors", 8 + len(header) + (1 << 20))
    assert int(read_weights(tmp_path / "w.safetensors")["a"].sum()) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"rows": [1], "rows": []}', "'rows' stands twice in an object"),
        ('{"value": NaN}', "NaN is no number"),
        ('{"value": -Infinity}', "-Infinity is no number"),
        ('{"value": 1e999}', "1e999 is beyond float64"),
    ],
)
def test_json_is_that_of_the_standard(tmp_path, text, why):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ArgumentError, match=re.escape(f"which is not JSON ({why})")):
        read_json("path", tmp_path / "run.json", "be JSON")


def test_numbers_beyond_single_precision_are_told_as_such():
    inputs = torch.full((4, 2), 1e300, dtype=torch.float64)
    assert in_precision(inputs, torch.float64) is inputs
    with pytest.raises(ArgumentError, match=r"be within 3.4e\+38, the most that float32 holds"):
        in_precision(inputs, torch.float32)
    assert torch.isinf(in_precision(inputs * 1e10, torch.float32)).all()  # as they came


def test_a_mark_of_the_order_of_bytes_is_no_part_of_a_text(tmp_path):
    """As editors on Windows write it."""
    (tmp_path / "s.toml").write_bytes(b"\xef\xbb\xbforder = 2\n")
    assert read_toml("config", tmp_path / "s.toml") == {"order": 2}
    (tmp_path / "s.json").write_bytes(b'\xef\xbb\xbf{"order": 2}')
    assert read_json("path", tmp_path / "s.json", "be JSON") == {"order": 2}
