"""Which way to a Hessian product is the faster one, and does `method="auto"` take it?

    python benchmarks/product_ways.py              # one thread; about a minute

Networks of 51 to 7 million weights, each on batches of some sizes: a product by Taylor series and
one by double backward in turn, processor seconds, medians of fifteen rounds. "lost" is how many
times longer the way takes that `auto` chooses than the better one.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from protocol import environment, save
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import qdescent as qd
from qdescent.learning.curvature.hessian import hessian
from qdescent.learning.taylor.gradient_series import GradientSeries

ROUNDS = 15
WAYS = ("taylor", "double-backward")


def perceptron(*widths: int) -> nn.Module:
    """Linear layers with tanh between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def separable(channels: int) -> nn.Module:
    """Six blocks of depthwise convolutions between 1 x 1 ones."""
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, 2, 1), nn.GELU()]
    wide = 4 * channels
    for _ in range(6):
        layers += [nn.Conv2d(channels, wide, 1), nn.GELU()]
        layers += [nn.Conv2d(wide, wide, 3, 1, 1, groups=wide), nn.GELU()]
        layers += [nn.Conv2d(wide, channels, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def over_time(channels: int) -> nn.Module:
    """Three convolutions over one dimension."""
    layers: list[nn.Module] = []
    for inputs in (4, channels, channels):
        layers += [nn.Conv1d(inputs, channels, 5, 2, 2), nn.GELU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(channels, 10))


class Encoder(nn.Module):
    """A transformer's encoder over token ids."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, 0.0, activation="gelu", batch_first=True
        )
        self.embedding = nn.Embedding(50, width)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, tokens) -> (batch, 10)."""
        return self.head(self.encoder(self.embedding(ids)).mean(1))


class Recurrent(nn.Module):
    """The last output of a recurrent layer."""

    def __init__(self, layer: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.layer, self.head = layer(8, 32, batch_first=True), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, steps, 8) -> (batch, 10)."""
        return self.head(self.layer(x)[0][:, -1])


def cases() -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Name, network and inputs of each."""
    torch.manual_seed(0)
    for widths, batch in (
        ((4, 6, 10), 24),
        ((784, 100, 10), 64),
        ((784, 300, 100, 10), 256),
        ((*(64,) * 12, 10), 64),
        ((*(256,) * 8, 10), 256),
    ):
        name = f"perceptron of {len(widths) - 1} layers, {widths[1]} wide"
        yield f"{name}, batch {batch}", perceptron(*widths), torch.randn(batch, widths[0])
    small = qd.networks.fashion_cnn()
    for batch in (1, 8, 64, 256):
        yield f"CNN of the demo, batch {batch}", small, torch.randn(batch, 1, 28, 28)
    images = torch.randn(64, 3, 32, 32)
    residual = qd.networks.resnet(8, 8, smooth=True)
    for batch in (1, 4, 16):
        yield f"ResNet-8, 8 wide, batch {batch}", residual, images[:batch]
    yield "ResNet-20, 16 wide, batch 16", qd.networks.resnet(20, 16, smooth=True), images[:16]
    for batch in (2, 8):
        yield f"7M ResNet-18, batch {batch}", qd.networks.resnet18(), images[:batch]
    for batch in (1, 8):
        yield f"depthwise convolutions, batch {batch}", separable(16), images[:batch]
    for batch in (8, 64):
        x = torch.randn(batch, 4, 256)
        yield f"convolutions over time, batch {batch}", over_time(32), x
    yield "7M vision transformer, batch 4", qd.networks.vision_transformer(), images[:4]
    for width, depth, shape in ((16, 2, (8, 12)), (64, 4, (16, 24)), (256, 4, (8, 64))):
        name = f"encoder of {depth} layers, {width} wide, batch {shape[0]}"
        yield name, Encoder(width, depth), torch.randint(0, 50, shape)
    yield "GRU over 8 steps, batch 16", Recurrent(nn.GRU), torch.randn(16, 8, 8)
    yield "LSTM over 24 steps, batch 16", Recurrent(nn.LSTM), torch.randn(16, 24, 8)


def seconds_of(ways: list[Callable[[], object]]) -> list[float]:
    """Processor seconds of each, in turn; the first round does not count."""
    found: list[list[float]] = [[] for _ in ways]
    for round_ in range(ROUNDS + 1):
        for way, taken in zip(ways, found, strict=True):
            start = time.process_time()
            way()
            if round_:
                taken.append(time.process_time() - start)
    return [statistics.median(taken) for taken in found]


def main() -> None:
    """Print and save the table."""
    torch.set_num_threads(1)
    table = []
    for name, network, x in cases():
        network.eval()
        task = qd.Task(network, cross_entropy, (x, torch.randint(0, 10, (len(x),))))
        space = qd.ParameterSpace(network)
        products = [hessian(task, space, method=way, check=False) for way in WAYS]
        v = torch.randn(space.n)
        taylor, double = seconds_of([lambda H=H, v=v: H @ v for H in products])
        series = GradientSeries(task, space, space.theta, 1).beats_double_backward()
        row = {
            "network": name,
            "weights": space.n,
            "taylor_seconds": taylor,
            "double_backward_seconds": double,
            "taylor_over_double_backward": taylor / double,
            "auto": WAYS[not series],
            "lost": (taylor if series else double) / min(taylor, double),
        }
        print(
            f"{name:<44} {taylor / double:5.2f}  {row['auto']:<16} lost {row['lost']:.2f}",
            flush=True,
        )
        table.append(row)
    lost = [row["lost"] for row in table]
    content = {
        "question": "Which way to a Hessian product is faster, and does method='auto' take it?",
        "networks": table,
        "lost": {"median": statistics.median(lost), "max": max(lost)},
        "environment": environment(),
    }
    save("product_ways", content)


if __name__ == "__main__":
    main()
