"""What does a segment cost when its steps are not taken, and how far is it from true descent?

    python benchmarks/fast_forward.py --checkpoint C          # error and cost, 7M, pruned
    python benchmarks/fast_forward.py --checkpoint C --speed  # wall time beside descent, one run
    python benchmarks/fast_forward.py --large                 # 103M, batch 8: memory

C is made by trained_resnet.py. Batch 128, a tenth of the weights kept (n about 7e5), fp32. Errors
are distances to plain descent on the same batch, relative to its displacement.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import torch
from protocol import environment, interleave, own_peak, ratios, save
from torch.nn.functional import cross_entropy
from trained_resnet import DENSITY, trained_problem

import qdescent as qd
from qdescent.training.descent import displacements

# (eta, T): a segment that order 2 describes to 1 %, one that it describes to 10 %, at two rates,
# and one of a thousand small steps
SEGMENTS = ((0.02, 9), (0.02, 20), (0.005, 36), (0.005, 80), (4e-4, 1000))
SPEED_OF = (0.005, 80)
# wanted distance to the series form: a tenth of what order 2 itself is off by at 36 steps
TOLERANCE = {9: 1e-3, 20: 8e-3, 36: 1e-3, 80: 8e-3, 1000: 8e-3}
TARGET_GRADIENTS = 25


def distance(found: torch.Tensor, truth: torch.Tensor) -> float:
    """||found - truth|| / ||truth||."""
    norm = torch.linalg.vector_norm
    return float(norm(found.double() - truth.double()) / norm(truth.double()))


def true_displacement(task, space, eta: float, steps: int) -> torch.Tensor:
    """u_T by T gradients."""
    walk = displacements(task, space, space.theta, eta)
    return next(itertools.islice(walk, steps - 1, None))[1]


def accuracy(checkpoint: Path, data_root: str | None) -> None:
    """Each segment: descent, series form, fast-forward."""
    task, space, state = trained_problem(checkpoint, data_root)
    rows = []
    for eta, steps in SEGMENTS:
        taken = steps <= SPEED_OF[1]  # a thousand steps of descent would show nothing new
        truth = true_displacement(task, space, eta, steps) if taken else None
        row = {"learning_rate": eta, "steps": steps}
        for order in (1, 2):
            found = qd.fast_forward(
                task, space, steps, eta, order=order, tolerance=TOLERANCE[steps]
            )
            row[f"order {order}"] = {
                "error": distance(found.value, truth) if taken else None,
                "gradients": found.gradients,
                "dimension": found.dimension,
                "nodes": found.nodes,
                "estimate": found.error,
                "status": found.status.name,
            }
            if taken and order == 2:  # order 1 is the same polynomial by other means
                series = qd.series_descent(task, space, order, steps, eta, check=False)
                row[f"order {order}"]["series_error"] = distance(series.value, truth)
        print(row, flush=True)
        rows.append(row)
        _keep(rows, space, state)


def _keep(rows: list[dict], space: qd.ParameterSpace, state) -> None:
    """What is known so far."""
    content = {
        "question": (
            "Distance to plain descent and cost in gradients of a fast-forwarded segment: 7M smooth"
            f" ResNet-18, trained, density {DENSITY}, batch 128, fp32"
        ),
        "weights": space.n,
        "epochs": state.epoch,
        "test_accuracy_before_pruning": state.test_accuracy[-1],
        "segments": rows,
        "target": {"gradients at T = 80": TARGET_GRADIENTS, "error over the series' own": 1.1},
        "environment": environment(),
    }
    save("fast_forward", content)


def speed(checkpoint: Path, data_root: str | None) -> None:
    """Seconds of 80 steps of descent and of the same segment without them."""
    task, space, _ = trained_problem(checkpoint, data_root)
    eta, steps = SPEED_OF
    contenders = {
        "gradient": lambda: task.loss_and_gradient(space, space.theta),
        "descent": lambda: true_displacement(task, space, eta, steps),
        "fast_forward": lambda: qd.fast_forward(
            task, space, steps, eta, order=2, tolerance=TOLERANCE[steps]
        ),
    }
    seconds = interleave(contenders)
    content = {
        "question": f"Seconds of {steps} steps at eta = {eta}: plain descent, and fast-forwarded",
        "weights": space.n,
        "seconds": seconds,
        "ratio_to_gradient": ratios(seconds, "gradient"),
        "ratio_to_descent": ratios(seconds, "descent"),
        "environment": environment(),
    }
    save("fast_forward_speed", content)


def large(steps: int = 80, eta: float = 0.005) -> None:
    """A segment at 103 million weights (untrained: memory does not depend on what they know)."""
    start = time.perf_counter()
    generator = torch.Generator().manual_seed(0)
    network = qd.networks.resnet18((192, 384, 784, 1552)).eval()
    images = torch.randn(8, 3, 32, 32, generator=generator)
    labels = torch.randint(0, 100, (8,), generator=generator)
    task = qd.Task(network, cross_entropy, (images, labels))
    space = qd.ParameterSpace(network)
    before = own_peak()
    found = qd.fast_forward(task, space, steps, eta, order=2, tolerance=8e-3, dimension=12)
    content = {
        "question": f"Memory of {steps} fast-forwarded steps at 103M weights, batch 8, all kept",
        "weights": space.n,
        "peak_bytes": own_peak(),
        "peak_bytes_with_the_network": before,
        "target_bytes": 8 * 2**30,
        "gradients": found.gradients,
        "dimension": found.dimension,
        "nodes": found.nodes,
        "status": found.status.name,
        "finite": bool(torch.isfinite(found.value).all()),
        "seconds": time.perf_counter() - start,
        "environment": environment(),
    }
    print({key: value for key, value in content.items() if key != "environment"})
    save("fast_forward_103M", content)


def main() -> None:
    """One of the three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--data-root")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--large", action="store_true")
    given = parser.parse_args()
    if given.large:
        large()
    elif given.checkpoint is None:
        parser.error("--checkpoint: trained_resnet.py makes one")
    else:
        (speed if given.speed else accuracy)(given.checkpoint, given.data_root)


if __name__ == "__main__":
    main()
