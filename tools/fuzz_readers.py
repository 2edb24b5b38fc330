"""Every reader of the package, given bytes: each ends in a result or in one sentence (an ArgumentError), or the input is kept.

    python tools/fuzz_readers.py --seconds 600              every reader in turn, its share of the time
    python tools/fuzz_readers.py --seconds 60 --readers map toml --folder /tmp/fuzz

atheris, where it is installed (`pip install -e '.[fuzz]'`), guides the bytes by the code that they reach; elsewhere valid
files and earlier finds are mutated blindly. What failed lies in FOLDER/failures, the counts of all calls in
FOLDER/counts.json. An input that takes more than 10 seconds or 2 GiB is a failure, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.experiment.map_file import load_map
from qdescent.experiment.settings import load_settings
from qdescent.experiment.sources import load_data, load_mask, load_weights
from qdescent.experiment.spectrum_settings import resumed_spectrum
from qdescent.experiment.workspace import resume_workspace
from qdescent.learning.datasets import read_idx
from qdescent.report.files import read_weights
from qdescent.report.record import read_record
from qdescent.report.state import load_state

SECONDS, MEMORY, LONGEST = 10, 2 << 30, 1_500  # what an input may take; characters of a sentence
CASES = Path(__file__).parents[1] / "tests" / "reading" / "cases"


def small_network() -> nn.Module:
    """Of the shapes that the kept cases were made for."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


def _in(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _weights(folder: Path, name: str, content: bytes) -> None:
    load_weights(small_network(), _in(folder, name, content))


def _shard(folder: Path, content: bytes) -> None:
    path = _in(folder, "hf/model.safetensors.index.json", content)
    if not (path.parent / "a.safetensors").exists():
        (path.parent / "a.safetensors").write_bytes(save(small_network().state_dict()))
    load_weights(small_network(), path.parent)


# Each takes an empty folder and the bytes of its file; a file stands where the reader looks for it.
READERS: dict[str, Callable[[Path, bytes], object]] = {
    "toml": lambda folder, content: load_settings(_in(folder, "c.toml", content), {}),
    "map": lambda folder, content: load_map(_in(folder, "m.npz", content)),
    "data": lambda folder, content: load_data(str(_in(folder, "d.npz", content)), 4),
    "images": lambda folder, content: load_data(str(_in(folder, "set/ant/x.png", content).parents[1]), 4),
    "checkpoint": lambda folder, content: _weights(folder, "w.pt", content),
    "weights": lambda folder, content: _weights(folder, "w.safetensors", content),
    "mask": lambda folder, content: load_mask(small_network(), _in(folder, "k.safetensors", content), None),
    "index": _shard,
    "idx": lambda folder, content: read_idx(_in(folder, "t-idx3-ubyte", content), 3),
    "gzip": lambda folder, content: read_idx(_in(folder, "t-idx3-ubyte.gz", content), 3),
    "read_weights": lambda folder, content: read_weights(_in(folder, "r.safetensors", content)),
    "state": lambda folder, content: load_state(_in(folder, "state/s.safetensors", content).parents[1], "s"),
    "resume": lambda folder, content: resume_workspace(_in(folder, "state/settings.safetensors", content).parents[1]),
    "resume_spectrum": lambda folder, content: resumed_spectrum(
        _in(folder, "state/spectrum-settings.safetensors", content).parents[1], {}
    ),
    "record": lambda folder, content: read_record(_in(folder, "run.json", content)),
}


def outcome(reader: str, folder: Path, content: bytes) -> str:
    """ "result", or the sentence of an ArgumentError; anything else is raised.

    Raises:
        AssertionError: a sentence that is too long, of more than one line, or holds control characters.
    """
    try:
        READERS[reader](folder, content)
    except ArgumentError as error:
        sentence = str(error)
        assert re.match(r"Argument `[^`]+` must .*, but is .*\.$", sentence), f"no sentence: {sentence!r}"
        assert sentence.isprintable(), f"control characters: {sentence!r}"
        assert len(sentence) <= LONGEST, f"{len(sentence)} characters: {sentence[:200]!r}"
        return sentence
    return "result"
