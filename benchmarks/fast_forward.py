"""What does a segment cost when its steps are not taken, and how far is it from true descent?

    python benchmarks/fast_forward.py --checkpoint C          # error and cost, 7M, pruned
    python benchmarks/fast_forward.py --checkpoint C --speed  # wall time beside descent, one run
    python benchmarks/fast_forward.py --large                 # 103M, batch 8, untrained: memory
    ... --checkpoint C --large --density .1 --truth           # 103M, batch 128, trained, pruned
    ... --device cuda --train 3 --data-root D                 # trained in place, on a GPU
    ... --device cuda --train 2 --data-root D --large --rate 5e-5  # 103M, batch 128: modes as fast
    # as 540 where those at 7M end at 12
    ... --keep FOLDER                                         # a stopped run goes on

C is made by trained_resnet.py. Batch 128, a tenth of the weights kept (n about 7e5), fp32. Errors
are distances to plain descent on the same batch, relative to its displacement.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from protocol import environment, interleave, now, on_gpu, own_peak, ratios, save
from torch.nn.functional import cross_entropy
from trained_resnet import BATCH, DENSITY, add_training, asked_problem

import qdescent as qd
from qdescent.learning.parallel.ranks import computing_on
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


def piece(
    folder: Path | None, name: str, work: Callable[[], tuple[torch.Tensor, dict]]
) -> tuple[torch.Tensor, dict]:
    """A displacement and what is told of it, with its seconds and the peak so far: worked out, or
    taken from the folder, where a run that was stopped left it.
    """
    path = folder / f"{name}.pt" if folder else None
    if path and path.exists():
        kept = torch.load(path, weights_only=True)
        return kept["value"], kept["told"]
    if on_gpu():
        torch.cuda.reset_peak_memory_stats()
    start, busy = now(), time.process_time()
    value, told = work()
    told |= {"seconds": now() - start, "processor seconds": time.process_time() - busy}
    told["peak_bytes"] = own_peak()
    print(name, told, flush=True)
    if path:
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save({"value": value, "told": told}, partial)
        partial.replace(path)
    return value, told


def descended(task, space, eta: float, steps: int) -> tuple[torch.Tensor, dict]:
    """Descent, as a piece."""
    return true_displacement(task, space, eta, steps), {"gradients": steps}


def forwarded(
    task, space, eta: float, steps: int, order: int, **asked
) -> tuple[torch.Tensor, dict]:
    """Fast-forward, as a piece."""
    found = qd.fast_forward(task, space, steps, eta, order=order, **asked)
    return found.value, {
        "gradients": found.gradients,
        "dimension": found.dimension,
        "nodes": found.nodes,
        "estimate": found.error,
        "status": found.status.name,
        "finite": bool(torch.isfinite(found.value).all()),
    }


def series(task, space, eta: float, steps: int, order: int) -> tuple[torch.Tensor, dict]:
    """The series form, as a piece."""
    return qd.series_descent(task, space, order, steps, eta, check=False).value, {}


def accuracy(given: argparse.Namespace) -> None:
    """Each segment: descent, series form, fast-forward."""
    task, space, state = asked_problem(given)
    rows = []
    for eta, steps in SEGMENTS:
        at = (task, space, eta, steps)

        def kept(name, work, *more, at=at, **asked):
            label = f"{space.n}-{at[2]:g}-{at[3]}-{name}"
            return piece(given.keep, label, partial(work, *at, *more, **asked))

        # on a CPU, a thousand steps of descent would take an hour
        taken = steps <= SPEED_OF[1] or on_gpu()
        row, truth = {"learning_rate": eta, "steps": steps}, None
        if taken:
            truth, row["descent"] = kept("descent", descended)
        for order in (1, 2):
            found, told = kept(f"order-{order}", forwarded, order, tolerance=TOLERANCE[steps])
            row[f"order {order}"] = told | {"error": distance(found, truth) if taken else None}
        if taken:  # order 1 is the same polynomial by other means
            whole, told = kept("series", series, 2)
            row["series form, order 2"] = told | {
                "error": distance(whole, truth),
                "distance of fast-forward to it": distance(found, whole),
            }
        rows.append(row)
        told = [each for each in row.values() if isinstance(each, dict)]
        content = {
            "question": (
                "Distance to plain descent and cost in gradients of a fast-forwarded segment: 7M"
                f" smooth ResNet-18, trained, density {DENSITY}, batch 128, fp32"
            ),
            "weights": space.n,
            "epochs": state.epoch,
            "test_accuracy_before_pruning": state.test_accuracy[-1],
            "segments": rows,
            "target": {"gradients at T = 80": TARGET_GRADIENTS, "error over the series' own": 1.1},
            "environment": environment(),
        }
        save("fast_forward", content)


def speed(given: argparse.Namespace) -> None:
    """Seconds of 80 steps of descent and of the same segment without them."""
    task, space, _ = asked_problem(given)
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


def large(given: argparse.Namespace) -> None:
    """A segment at 103 million weights, all of them or a share kept: memory, and where the network
    is trained the distance to descent. Untrained, the memory is that of a trained one.
    """
    if given.train or given.checkpoint:
        task, space, state = asked_problem(given, density=given.density)
        told_of = {"epochs": state.epoch, "test_accuracy": state.test_accuracy[-1]}
        del state  # as large as two networks
    else:
        generator = torch.Generator().manual_seed(0)
        network = qd.networks.resnet18((192, 384, 784, 1552)).eval().to(given.device)
        images = torch.randn(given.batch, 3, 32, 32, generator=generator).to(given.device)
        labels = torch.randint(0, 100, (given.batch,), generator=generator).to(given.device)
        task = qd.Task(network, cross_entropy, (images, labels))
        space, told_of = qd.ParameterSpace(network), {"epochs": 0}
    eta, before, rows = given.rate, own_peak(), []
    for steps in given.steps:
        row = {"steps": steps, "descent": None}
        at, truth, label = (task, space, eta, steps), None, f"{space.n}-{eta:g}-{steps}"
        if on_gpu() or given.truth:
            work = partial(descended, *at)
            truth, row["descent"] = piece(given.keep, f"{label}-descent", work)
        for order in given.orders:
            # a vector of all weights takes 400 MB
            asked = {"tolerance": 8e-3, "dimension": 12 if given.density == 1 else 40}
            work = partial(forwarded, *at, order, **asked)
            found, told = piece(given.keep, f"{label}-order-{order}", work)
            row[f"order {order}"] = told
            row[f"order {order}"]["error"] = None if truth is None else distance(found, truth)
        rows.append(row)
        content = {
            "question": (
                f"Memory and error of fast-forwarded segments at 103M weights, batch {given.batch},"
                f" {given.density:.0%} kept"
            ),
            "weights": space.n,
            "learning_rate": eta,
            "peak_bytes_with_the_network": before,
            "target_bytes": 8 * 2**30,
            **told_of,
            "segments": rows,
            "environment": environment(),
        }
        batch = "" if given.batch == BATCH or not known(given) else f"_batch_{given.batch}"
        save(f"fast_forward_103M{batch}", content)


def known(given: argparse.Namespace) -> bool:
    """Whether the network is a trained one."""
    return bool(given.checkpoint is not None or given.train)


def main() -> None:
    """One of the three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder of what is known, of one checkpoint")
    parser.add_argument("--batch", type=int, help="128; of an untrained network of 103M, 8")
    parser.add_argument("--rate", type=float, default=0.005, help="with --large")
    parser.add_argument("--steps", type=int, nargs="+", default=[80], help="with --large")
    parser.add_argument("--orders", type=int, nargs="+", default=[2], help="with --large")
    parser.add_argument("--density", type=float, default=1.0, help="share kept, with --large")
    parser.add_argument("--truth", action="store_true", help="descent beside it on a CPU, too")
    add_training(parser)
    given = parser.parse_args()
    given.batch = given.batch or (BATCH if known(given) else 8)
    if not known(given) and not given.large:
        parser.error("--checkpoint: trained_resnet.py makes one (or --train 3)")
    with computing_on(given.device):
        (large if given.large else speed if given.speed else accuracy)(given)


if __name__ == "__main__":
    main()
