"""Every reader of the package as a function of bytes, with valid files to start from."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from old_pickle import old_pickle
from PIL import Image
from safetensors.torch import save
from states import state, trained
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.experiment.circuit.map_file import load_map
from qdescent.experiment.data_sources import load_data
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.setting import load_settings
from qdescent.experiment.sources import load_mask, load_weights
from qdescent.experiment.spectrum.beginning import resumed_spectrum
from qdescent.experiment.spectrum.settings import SpectrumSettings
from qdescent.experiment.train.dense import restored_descent
from qdescent.experiment.train.rounds import restored_rounds
from qdescent.experiment.train.settings import TrainSettings
from qdescent.experiment.workspace import resume_workspace
from qdescent.learning.datasets import read_idx
from qdescent.learning.parameters import ParameterSpace
from qdescent.reading.cifar_files import dictionary
from qdescent.report.files import read_weights
from qdescent.report.record import read_record
from qdescent.report.state import State, load_state, whole

LONGEST = 1_500  # characters of a sentence
FRESH = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
CASES = Path(__file__).parents[2] / "tests" / "reading" / "cases"
SENTENCE = re.compile(r"Argument `[^`]+` must .*, but is .*\.$")


def new_network() -> nn.Module:
    """Of the shapes that the kept cases were made for."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


@cache
def small_network() -> nn.Module:
    """One for all files: it has the weights of the last that was taken."""
    return new_network()


def _in(folder: Path, name: str, content: bytes) -> Path:
    """The file of that name with this content; by the system's own calls, as a million are made."""
    path = folder / name
    try:
        descriptor = os.open(path, FRESH)
    except FileNotFoundError:
        path.parent.mkdir(parents=True)
        descriptor = os.open(path, FRESH)
    try:
        if content:
            os.write(descriptor, content)
    finally:
        os.close(descriptor)
    return path


def _weights(folder: Path, name: str, content: bytes) -> None:
    load_weights(small_network(), _in(folder, name, content))


def _index(folder: Path, content: bytes) -> None:
    path = _in(folder, "hf/model.safetensors.index.json", content)
    if not (path.parent / "a.safetensors").exists():
        (path.parent / "a.safetensors").write_bytes(save(small_network().state_dict()))
    load_weights(small_network(), path.parent)


def _mask(folder: Path, content: bytes) -> None:
    load_mask(small_network(), _in(folder, "k.safetensors", content))


def _stage(folder: Path, stage: str, content: bytes, restored: Callable[[State], object]) -> None:
    """A stage of a training as its job takes it apart."""
    directory = _in(folder, f"g/state/{stage}.safetensors", content).parents[1]
    saved = load_state(directory, stage)
    if saved:
        with whole(directory, stage):
            restored(saved)


def _dense(folder: Path, content: bytes) -> None:
    _stage(folder, "dense", content, lambda saved: restored_descent(saved, small_network(), 3))


@cache
def _space() -> ParameterSpace:
    return ParameterSpace(small_network())


def _rounds(folder: Path, content: bytes) -> None:
    _stage(folder, "rounds", content, lambda saved: restored_rounds(saved, _space()))


# Each takes a folder and the bytes of its file, which is put where the reader looks for it.
READERS: dict[str, Callable[[Path, bytes], object]] = {
    "toml": lambda folder, content: load_settings(Settings, _in(folder, "c.toml", content), {}),
    "map": lambda folder, content: load_map(_in(folder, "m.npz", content)),
    "data": lambda folder, content: load_data(str(_in(folder, "d.npz", content)), 4),
    "images": lambda folder, content: load_data(
        str(_in(folder, "set/ant/x.png", content).parents[1]), 4
    ),
    "checkpoint": lambda folder, content: _weights(folder, "w.pt", content),
    "weights": lambda folder, content: _weights(folder, "w.safetensors", content),
    "mask": _mask,
    "index": _index,
    "idx": lambda folder, content: read_idx(_in(folder, "t-idx3-ubyte", content), 3),
    "gzip": lambda folder, content: read_idx(_in(folder, "t-idx3-ubyte.gz", content), 3),
    "read_weights": lambda folder, content: read_weights(_in(folder, "r.safetensors", content)),
    "state": lambda folder, content: load_state(
        _in(folder, "s/state/s.safetensors", content).parents[1], "s"
    ),
    "resume": lambda folder, content: resume_workspace(
        _in(folder, "r/state/settings.safetensors", content).parents[1], Settings
    ),
    "resume_spectrum": lambda folder, content: resumed_spectrum(
        _in(folder, "t/state/spectrum-settings.safetensors", content).parents[1], {"network": "a:b"}
    ),
    "resume_train": lambda folder, content: resume_workspace(
        _in(folder, "v/state/settings.safetensors", content).parents[1], TrainSettings
    ),
    "dense": _dense,
    "rounds": _rounds,
    "pickle": lambda folder, content: dictionary(
        "data_root", _in(folder, "train", content), content
    ),
    "record": lambda folder, content: read_record(_in(folder, "run.json", content)),
}


def outcome(reader: str, folder: Path, content: bytes) -> str:
    """ "result", or the sentence of an ArgumentError; anything else is raised.

    Raises:
        AssertionError: a sentence that is too long, of more than one line, or holds control
            characters.
    """
    try:
        READERS[reader](folder, content)
    except ArgumentError as error:
        sentence = str(error)
        assert SENTENCE.match(sentence), f"no sentence: {sentence!r}"
        assert sentence.isprintable(), f"control characters: {sentence!r}"
        assert len(sentence) <= LONGEST, f"{len(sentence)} characters: {sentence[:200]!r}"
        return sentence
    return "result"


@cache
def seeds(reader: str) -> tuple[bytes, ...]:
    """Valid files of a reader, and the cases that were kept for it."""
    kept = [
        case.read_bytes() for case in sorted(CASES.iterdir()) if case.name.split("-")[1] == reader
    ]
    # the valid ones more often than each of those
    return (*_valid(reader) * 4, *(content for content in kept if len(content) <= 2_000))


def _valid(reader: str) -> list[bytes]:
    own = new_network().state_dict()
    match reader:
        case "toml":
            whole = "".join(
                f"{key} = {json.dumps(value)}\n" for key, value in Settings().to_json().items()
            )
            return [
                whole.encode(),
                b'density = 0.5\n[a.b]\nc = [1, {d = "x"}]\n',
                b"seed = 0x1F\ntolerance = inf\n",
            ]
        case "map":
            arrays = {
                "F0": np.array([0.1, 0.2]),
                "F1": np.eye(2),
                "F2": np.ones((2, 4)) / 8,
                "u0": np.ones(2),
            }
            return [
                _npz(np.savez, **arrays),
                _npz(np.savez_compressed, **arrays),
                _npz(np.savez, F0=[1], F3=[[2]]),
            ]
        case "data":
            pair = {"inputs": np.ones((6, 4), dtype=np.float32), "targets": np.arange(6) % 2}
            bytewise = {
                "images": np.zeros((3, 2, 2), dtype=np.uint8),
                "labels": np.zeros(3, dtype=">i4"),
            }
            return [
                _npz(np.savez, **pair),
                _npz(np.savez_compressed, **pair),
                _npz(np.savez, **bytewise),
            ]
        case "images":
            return _images()
        case "checkpoint":
            nested = {
                "epoch": 3,
                "state_dict": {f"module.{key}": value for key, value in own.items()},
            }
            one = {"0.bias": nn.Parameter(torch.ones(3))}  # a third of the time of all four
            return [
                _saved(own),
                _saved(nested),
                _saved(own, False),
                *(_saved(one), _saved({"model": one}), _saved(one, False)) * 2,
            ]
        case "weights" | "read_weights":
            masks = {"0.weight_mask": torch.ones(3, 4), "0.weight_orig": own["0.weight"]}
            return [
                save(own),
                save({key: value.to(torch.bfloat16) for key, value in own.items()}),
                save({key: value for key, value in own.items() if key != "0.weight"} | masks),
            ]
        case "mask":
            return [
                save({"2.weight": torch.tensor([[1, 0, 0], [0, 1, 0]])}),
                save({"0.bias": torch.ones(3)}),
            ]
        case "index":
            places = dict.fromkeys(own, "a.safetensors")
            return [json.dumps({"metadata": {"total_size": 92}, "weight_map": places}).encode()]
        case "idx":
            return [_idx(2), _idx(0)]
        case "gzip":
            return [gzip.compress(_idx(2)), gzip.compress(_idx(1)) + gzip.compress(b"")]
        case "state":
            return [state("s", {"a": torch.ones(3)}, {"b": 1}), state("s", {}, {})]
        case "pickle":
            images = np.arange(12, dtype=np.uint8).reshape(2, 6)
            return [
                old_pickle({"data": images, "fine_labels": [3, 5], "batch_label": "1 of 1"}),
                old_pickle({"fine_label_names": ["apple", "ray"]}),
            ]
        case "resume":
            return [state("settings", {}, Settings().to_json())]
        case "resume_spectrum":
            settings = {**vars(SpectrumSettings("a:b", "c.npz")), "arguments": []}
            return [state("spectrum-settings", {}, {"settings": settings, "fingerprint": "x"})]
        case "resume_train":
            settings = TrainSettings("a:b", "c.npz").to_json()
            return [state("settings", {}, settings)]
        case "dense" | "rounds":
            return [trained(new_network())[reader]]
        case _:
            row = {
                "name": "a/b",
                "value": [1.0, 2.0],
                "unit": "1",
                "evidence": "exact",
                "source": "x",
                "error": None,
            }
            whole = {
                "format": "qdescent-run/1",
                "name": "n",
                "seed": 0,
                "config": {},
                "versions": {},
                "timings": {},
            }
            return [json.dumps({**whole, "rows": [row]}).encode()]


def _npz(write: Callable[..., None], **arrays: object) -> bytes:
    stream = io.BytesIO()
    write(stream, **arrays)
    return stream.getvalue()


def _saved(content: object, zipped: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def _images() -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    found = []
    colour, grey = Image.fromarray(pixels), Image.fromarray(pixels[..., 0])
    for image, kind, options in (
        (colour, "PNG", {}),
        (grey, "PNG", {}),
        (Image.fromarray(pixels[..., 0].astype(np.uint16) * 257), "PNG", {}),
        (colour.convert("P"), "PNG", {"transparency": 0}),
        (grey.convert("LA"), "PNG", {}),
        (grey.convert("1"), "PNG", {}),
        (colour, "JPEG", {}),
        (colour, "JPEG", {"progressive": True}),
        (colour.convert("CMYK"), "JPEG", {}),
    ):
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        found.append(stream.getvalue())
    return found


def _idx(count: int) -> bytes:
    return bytes((0, 0, 8, 3)) + struct.pack(">3I", count, 28, 28) + bytes(count * 784)
