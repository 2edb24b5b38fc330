"""What is measured: images, a network trained densely, and what pruning leaves of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from qdescent._array_checks import check_shape
from qdescent._checks import argument_error
from qdescent._evidence import Evidence, Row
from qdescent._random import named_generator
from qdescent.experiment.reproduce.settings import ReproduceSettings
from qdescent.experiment.train.dense import dense_training
from qdescent.experiment.workspace import Workspace
from qdescent.learning.datasets import ImageData, load_cifar100, load_fashion_mnist
from qdescent.learning.masks import Mask
from qdescent.learning.networks.resnet import resnet, resnet18
from qdescent.learning.networks.small_cnn import fashion_cnn
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.task import Task
from qdescent.reading.tensors import read_weights
from qdescent.rows import names
from qdescent.training.descent import accuracy


@dataclass(frozen=True)
class Subject:
    """A network after pruning, and the batch that spectra and segments see.

    Args:
        network: the dense network, in evaluation mode.
        space: the kept weights; `space.theta` is the point right after pruning.
        task: the loss on the batch that is measured.
        data: all images.
        smooth: whether its loss has a Taylor series.
    """

    network: nn.Module = field(repr=False)
    space: ParameterSpace = field(repr=False)
    task: Task = field(repr=False)
    data: ImageData
    smooth: bool

    def mask(self, settings: ReproduceSettings, kind: str, density: float) -> Mask:
        """What another criterion or density keeps."""
        draws = named_generator(settings.seed, "random mask")
        return MASKS[kind](self.network, self.task, density, draws)

    def batch(self, seed: int, name: str, place: int, size: int) -> Task:
        """Another batch of training images."""
        return self.task.with_data(batch_of(self.data, seed, name, place, size))


def batch_of(data: ImageData, seed: int, name: str, place: int, size: int) -> tuple[Tensor, Tensor]:
    """Training images and labels, drawn without repetition by a generator of this name."""
    order = torch.randperm(
        len(data.train_images), generator=named_generator(seed, name, place), device="cpu"
    )
    chosen = order[:size]
    return data.train_images[chosen], data.train_labels[chosen]


def load_images(settings: ReproduceSettings) -> ImageData:
    """The images that the settings name.

    Raises:
        ArgumentError: files that are missing or damaged; more images asked for than there are.
    """
    if settings.data == "cifar-100":
        if not settings.data_root:
            must = "be given where data is cifar-100 (--data-root, its archive or its folder)"
            raise argument_error("data_root", must, "missing")
        data = load_cifar100(settings.data_root)
    else:
        data = load_fashion_mnist(settings.data_root or None)
    counts = {}
    for name, there in (("images", len(data.train_images)), ("tested", len(data.test_images))):
        wanted = getattr(settings, name)
        if wanted > there:
            raise argument_error(name, f"be at most {there}, the images that there are", wanted)
        counts[name] = wanted or there
    for name in ("batch", "tune_batch"):
        if getattr(settings, name) > counts["images"]:
            must = f"be at most the number of training images, {counts['images']}"
            raise argument_error(name, must, getattr(settings, name))
    first, tested = slice(0, counts["images"]), slice(0, counts["tested"])
    return replace(
        data,
        train_images=data.train_images[first],
        train_labels=data.train_labels[first],
        test_images=data.test_images[tested],
        test_labels=data.test_labels[tested],
    )


def new_network(settings: ReproduceSettings, data: ImageData) -> nn.Module:
    """The network before training."""
    channels, classes = int(data.train_images.shape[1]), len(data.classes)
    if settings.network == "cnn":
        first, second, third = settings.channels
        return fashion_cnn((first, second, third), classes=classes, seed=settings.seed)
    if settings.network == "resnet18":
        return resnet18(settings.channels, classes, channels, settings.smooth, settings.seed)
    width = settings.channels[0]
    return resnet(settings.depth, width, classes, channels, settings.smooth, settings.seed)


def train_and_prune(
    workspace: Workspace[ReproduceSettings], data: ImageData, device: torch.device
) -> tuple[Subject, list[Row]]:
    """Dense training, epoch by epoch resumable, or the one that was made before; then pruning."""
    settings, progress = workspace.settings, workspace.progress
    # drawn on the CPU, so that a seed means the same weights and batches everywhere
    network = new_network(settings, data).to(device)
    data = data.to(device)
    if settings.trained:
        _trained_before(settings, network)
    elif settings.epochs:
        dense_training(
            workspace,
            network,
            cross_entropy,
            data,
            settings.epochs,
            settings.seed,
            batch=settings.dense_batch,
            learning_rate=settings.dense_rate,
            weight_decay=settings.dense_decay,
        )
    network.eval()
    images = batch_of(data, settings.seed, "measured batch", 0, settings.batch)
    task = Task(network, cross_entropy, images)
    draws = named_generator(settings.seed, "random mask")
    criterion = MASKS[settings.prune_by]
    mask = criterion(network, task, settings.density, draws)
    space = ParameterSpace(network, mask)
    subject = Subject(network, space, task, data, settings.smooth)
    every = ParameterSpace(network)
    test = data.test_images, data.test_labels
    before = accuracy(task, every, every.theta, *test)
    after = accuracy(task, space, space.theta, *test)
    progress.start("Pruning", 1)
    progress.advance()
    progress.finish(f"test accuracy {100 * before:.1f} % before, {100 * after:.1f} % after")
    on_test = f"share of {len(data.test_images)} test images labelled correctly"
    kept = f"n, entries of the mask: {criterion.keeps}, and all biases and scales"
    rows = [
        Row(names.TRAIN_IMAGES, len(data.train_images), "images", Evidence.EXACT, data.source),
        Row(names.TEST_IMAGES, len(data.test_images), "images", Evidence.EXACT, data.source),
        Row(names.NETWORK_PARAMETERS, mask.total, "weights", Evidence.EXACT, "P, all weights"),
        Row(names.NETWORK_KEPT, mask.kept, "weights", Evidence.EXACT, kept),
        Row(names.NETWORK_DENSITY, mask.density, "1", Evidence.EXACT, "n / P"),
        Row(names.DENSE_ACCURACY, before, "1", Evidence.EXACT, f"{on_test}, before pruning"),
        Row("pruned/test_accuracy", after, "1", Evidence.EXACT, f"{on_test}, right after pruning"),
        Row(
            "dense/epochs",
            settings.epochs,
            "epochs",
            Evidence.EXACT,
            "passes over the training images before pruning, setting `epochs`",
        ),
    ]
    return subject, rows


def _trained_before(settings: ReproduceSettings, network: nn.Module) -> None:
    """Weights and buffers from a checkpoint, put into the network."""
    held = read_weights("trained", Path(settings.trained))
    wanted = network.state_dict()
    buffers = dict(network.named_buffers())
    found = {}
    for name, tensor in wanted.items():
        place = f"{'buffer' if name in buffers else 'weight'}/{name}"
        if place not in held:
            must = "hold the weights of the network that the settings name"
            raise argument_error("trained", must, f"without {place!r}")
        found[name] = check_shape(f"trained[{place!r}]", held[place], tuple(tensor.shape))
    network.load_state_dict(found)
