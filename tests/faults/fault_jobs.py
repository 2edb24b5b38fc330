"""The jobs that are killed: as small as they can be, called as the command line calls them, and
what they leave behind.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from qdescent import cli

RUN_FLAGS = """--epochs 2 --width 1 --train-images 32 --batch 8 --segment 1 --rounds 2
    --shots 100 --probes 2 --lanczos-steps 9 --circuit-weights 1 --circuit-order 1 --circuit-steps 1
    --circuit-padding 0 --circuit-epsilon 0.1 --sparsity 3"""
SPECTRUM_FLAGS = "--steps 10 --probes 2 --rows 6 --deflate 2 --batch 8"
TRAIN_FLAGS = """--epochs 1 --batch 2 --held-out 0.25 --density 0.5 --segment 1 --rounds 3
    --shots 100"""
CIRCUIT_FLAGS = "--steps 1 --padding 0 --epsilon 0.1"
NETWORK = ["tiny_project:network", "--data", "tiny_project:data"]
MODULE = """
import torch

def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 2))

def data():
    g = torch.Generator().manual_seed(1)
    return torch.randn(8, 2, generator=g), torch.randint(0, 2, (8,), generator=g)
"""
MAP = {"F0": np.array([0.5]), "F1": np.array([[0.5]])}


def command(*words: object) -> Callable[[], None]:
    """The command line with these words, called in this process."""

    def work() -> None:
        sys.argv = ["qdescent", *map(str, words)]
        cli.main()

    return work


def begin(job: str, out: Path | None) -> Callable[[], None]:
    """The command that begins a job; None: in the next directory that is free."""
    words = {
        "run": ["run", *RUN_FLAGS.split()],
        "spectrum": ["spectrum", *NETWORK, *SPECTRUM_FLAGS.split()],
        "train": ["train", *NETWORK, *TRAIN_FLAGS.split()],
        "circuit": ["circuit", "map.npz", *CIRCUIT_FLAGS.split()],
    }
    return command(*words[job], *(["--out", out] if out else []))


def resume(job: str, out: Path) -> Callable[[], None]:
    """The command that goes on with it."""
    words = {"run": ["run"], "spectrum": ["spectrum", *NETWORK], "train": ["train", *NETWORK]}[job]
    return command(*words, "--resume", "--out", out)


def left(out: Path) -> dict[str, object]:
    """Everything in a whole directory that is the same in every undisturbed run: no clock, no name
    of the directory.
    """
    found: dict[str, object] = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if name == "run.json":
            content = json.loads(path.read_text())
            found[name] = {key: content[key] for key in content if key not in ("timings", "name")}
        elif path.suffix == ".html":  # the pages show the clock and the name
            found[name] = path.stat().st_size > 1000
        else:
            found[name] = path.read_bytes() if path.is_file() else "folder"
    return found
