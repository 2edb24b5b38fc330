"""A trained network of 7 million weights, or of 103 million, for the benchmarks that ask what
training does.

    python benchmarks/trained_resnet.py CHECKPOINT    # 3 epochs, seed 0; goes on where it was
    python benchmarks/trained_resnet.py CHECKPOINT --epochs 4 --seed 1 --data-root DIRECTORY
    python benchmarks/trained_resnet.py CHECKPOINT --large    # 103M: 2 passes over 4,000 images

The smooth ResNet-18 on all of Fashion-MNIST: 470 steps an epoch, about 7 minutes on one quiet core.
The state is saved after each epoch, outside of the tree; a killed run loses the epoch that it was
in.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy

import qdescent as qd
from qdescent.learning.datasets import ImageData
from qdescent.training.descent import DenseState

WIDTHS = (48, 96, 208, 400)
LARGE_WIDTHS = (192, 384, 768, 1_536)
LARGE = {"images": 4_000, "tested": 2_000, "batch": 32, "learning_rate": 0.001}
DENSITY = 0.1
BATCH = 128


def restore(checkpoint: Path) -> DenseState | None:
    """The state that was saved, or None."""
    if not checkpoint.exists():
        return None
    with safe_open(checkpoint, "pt") as stream:
        told = json.loads(stream.metadata()["told"])
    return DenseState(
        told["epoch"], load_file(checkpoint), tuple(told["loss"]), tuple(told["accuracy"])
    )


def save(state: DenseState, checkpoint: Path) -> None:
    """The state after an epoch, in one step."""
    told = {"epoch": state.epoch, "loss": state.loss, "accuracy": state.test_accuracy}
    partial = checkpoint.with_suffix(".partial")
    tensors = {name: tensor.contiguous() for name, tensor in state.tensors.items()}
    save_file(tensors, partial, metadata={"told": json.dumps(told)})
    partial.replace(checkpoint)


def first_images(data: ImageData, images: int, tested: int) -> ImageData:
    """The first `images` to train on, and the first `tested` to judge by: the order of the set is
    random.
    """
    return replace(
        data,
        train_images=data.train_images[:images],
        train_labels=data.train_labels[:images],
        test_images=data.test_images[:tested],
        test_labels=data.test_labels[:tested],
        source=f"{data.source}, the first {images:,} and {tested:,}",
    )


def trained_problem(checkpoint: Path, data_root: str | None = None):
    """Task (one batch), the weights kept by one-shot magnitude pruning, and the dense training."""
    state = restore(checkpoint)
    if state is None:
        raise SystemExit(f"No state in {checkpoint}: train it first (trained_resnet.py).")
    named = {"weight": {}, "buffer": {}, "momentum": {}}
    for name, tensor in state.tensors.items():
        kind, _, short = name.partition("/")
        named[kind][short] = tensor
    widths = tuple(len(named["weight"][f"stage{k}_1.first.weight"]) for k in (1, 2, 3, 4))
    network = qd.networks.resnet18(widths, classes=10, channels=1)
    network.load_state_dict(named["weight"] | named["buffer"])
    data = qd.datasets.load_fashion_mnist(data_root)
    order = torch.randperm(len(data.train_images), generator=torch.Generator().manual_seed(0))
    chosen = order[:BATCH]
    network.eval()
    task = qd.Task(network, cross_entropy, (data.train_images[chosen], data.train_labels[chosen]))
    space = qd.ParameterSpace(network, qd.magnitude_mask(network, DENSITY))
    return task, space, state


def main() -> None:
    """Train, an epoch at a time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-root")
    given = parser.parse_args()
    torch.set_num_threads(1)
    widths = LARGE_WIDTHS if given.large else WIDTHS
    network = qd.networks.resnet18(widths, classes=10, channels=1, seed=given.seed)
    data = qd.datasets.load_fashion_mnist(given.data_root)
    if given.large:
        data = first_images(data, LARGE["images"], LARGE["tested"])
    start = time.perf_counter()

    def keep(state: DenseState) -> None:
        save(state, given.checkpoint)
        told = f"loss {state.loss[-1]:.4f}, test accuracy {state.test_accuracy[-1]:.4f}"
        print(f"epoch {state.epoch}: {told}, {time.perf_counter() - start:.0f} s", flush=True)

    qd.train_dense(
        network,
        cross_entropy,
        data,
        epochs=given.epochs or (2 if given.large else 3),
        batch=LARGE["batch"] if given.large else BATCH,
        learning_rate=LARGE["learning_rate"] if given.large else 0.1,
        weight_decay=2e-4,
        seed=given.seed,
        state=restore(given.checkpoint),
        on_epoch=keep,
    )


if __name__ == "__main__":
    main()
