"""A trained network of 7 million weights, or of 103 million, for the benchmarks that ask what
training does.

    python benchmarks/trained_resnet.py CHECKPOINT    # 3 epochs, seed 0; goes on where it was
    python benchmarks/trained_resnet.py CHECKPOINT --epochs 4 --seed 1 --data-root DIRECTORY
    python benchmarks/trained_resnet.py CHECKPOINT --large    # 103M: 2 passes over 4,000 images
    python benchmarks/trained_resnet.py CHECKPOINT --device cuda    # some seconds an epoch

The smooth ResNet-18 on all of Fashion-MNIST: 470 steps an epoch, about 7 minutes on one quiet core.
The state is saved after each epoch, outside of the tree; a killed run loses the epoch that it was
in.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from protocol import add_device, now
from torch import nn
from torch.nn.functional import cross_entropy

import qdescent as qd
from qdescent.learning.datasets import ImageData
from qdescent.learning.parallel.ranks import computing_on
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
    # where a network is trained in place nothing is read: a bare machine with a GPU has torch alone
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(checkpoint, "pt") as stream:
        told = json.loads(stream.metadata()["told"])
    return DenseState(
        told["epoch"], load_file(checkpoint), tuple(told["loss"]), tuple(told["accuracy"])
    )


def save(state: DenseState, checkpoint: Path) -> None:
    """The state after an epoch, in one step."""
    from safetensors.torch import save_file

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


def trained(
    checkpoint: Path | None,
    data: ImageData,
    epochs: int = 0,
    large: bool = False,
    seed: int = 0,
    keep: Callable[[DenseState], None] | None = None,
) -> tuple[nn.Module, DenseState]:
    """The network on the data's device and its dense training: what the checkpoint holds, and on
    from there (or from the start) for so many epochs in all.
    """
    state = restore(checkpoint) if checkpoint else None
    if state is None and not epochs:
        raise SystemExit(f"No state in {checkpoint}: train it first (trained_resnet.py).")
    widths = LARGE_WIDTHS if large else WIDTHS
    if state is not None:
        widths = tuple(len(state.tensors[f"weight/stage{k}_1.first.weight"]) for k in (1, 2, 3, 4))
    device = data.train_images.device
    network = qd.networks.resnet18(widths, classes=10, channels=1, seed=seed).to(device)
    if state is not None and state.epoch >= epochs:
        named = {kind: {} for kind in ("weight", "buffer", "momentum")}
        for name, tensor in state.tensors.items():
            kind, _, short = name.partition("/")
            named[kind][short] = tensor
        network.load_state_dict(named["weight"] | named["buffer"])
        return network.eval(), state
    state = qd.train_dense(
        network,
        cross_entropy,
        first_images(data, LARGE["images"], LARGE["tested"]) if large else data,
        epochs=epochs,
        batch=LARGE["batch"] if large else BATCH,
        learning_rate=LARGE["learning_rate"] if large else 0.1,
        weight_decay=2e-4,
        seed=seed,
        state=state,
        on_epoch=keep,
    )
    network.zero_grad()  # a gradient's memory
    return network.eval(), state


def trained_problem(
    checkpoint: Path | None,
    data_root: str | None = None,
    device: str = "cpu",
    epochs: int = 0,
    large: bool = False,
    seed: int = 0,
    batch: int = BATCH,
    density: float = DENSITY,
):
    """Task (one batch), the weights kept by one-shot magnitude pruning, and the dense training,
    which is done here where the checkpoint (if any) holds fewer epochs.
    """
    data = qd.datasets.load_fashion_mnist(data_root).to(device)
    network, state = trained(checkpoint, data, epochs, large, seed)
    order = torch.randperm(len(data.train_images), generator=torch.Generator().manual_seed(0))
    chosen = order[:batch]
    task = qd.Task(network, cross_entropy, (data.train_images[chosen], data.train_labels[chosen]))
    space = qd.ParameterSpace(network, qd.magnitude_mask(network, density))
    return task, space, state


def asked_problem(given: argparse.Namespace, density: float = DENSITY):
    """The same, as the command line asked for it."""
    return trained_problem(
        given.checkpoint,
        given.data_root,
        given.device,
        given.train,
        given.large,
        batch=given.batch,
        density=density,
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    """The options of `trained_problem`."""
    add_device(parser)
    parser.add_argument("--data-root")
    parser.add_argument("--train", type=int, default=0, metavar="EPOCHS", help="here, in place")
    parser.add_argument("--large", action="store_true", help="103 million weights")


def main() -> None:
    """Train, an epoch at a time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-root")
    add_device(parser)
    given = parser.parse_args()
    torch.set_num_threads(1)
    epochs = given.epochs or (2 if given.large else 3)

    def keep(state: DenseState) -> None:
        save(state, given.checkpoint)
        told = f"loss {state.loss[-1]:.4f}, test accuracy {state.test_accuracy[-1]:.4f}"
        print(f"epoch {state.epoch}: {told}, {now() - start:.0f} s", flush=True)

    with computing_on(given.device) as device:
        data = qd.datasets.load_fashion_mnist(given.data_root).to(device)
        start = now()
        trained(given.checkpoint, data, epochs, given.large, given.seed, keep)


if __name__ == "__main__":
    main()
