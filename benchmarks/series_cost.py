"""What does a step of the series form cost, in gradients of the same network and batch?

    python benchmarks/series_cost.py           # speed: 7M ResNet-18, batch 32, orders 1 to 4
    python benchmarks/series_cost.py --memory  # peak memory by order, next to the gradient's
    python benchmarks/series_cost.py --large   # 103M, batch 8, order 2, 10 steps: memory and time

The smooth ResNet-18 on random images and labels: the cost does not depend on what the images show.
A step on a fixed batch is timed inside a segment, the values and adjoints of degree 0 being there;
they cost one gradient a segment.
"""

import itertools
import sys
import time

import torch
from protocol import environment, interleave, own_peak, peak_memory, ratios, save
from torch.nn.functional import cross_entropy

import qdescent as qd
from qdescent.learning.networks.resnet import resnet18
from qdescent.solvers.series import SeriesSteps, series_descent

ORDERS = (1, 2, 3, 4)
LEARNING_RATE = 0.001  # small enough that nothing overflows; the cost does not depend on it
TARGETS = {"order 1": 2.4, "order 2": 5.5, "order 3": 9.5, "order 4": 14.5}


def problem(widths=(48, 96, 208, 400), batch=32):
    """A smooth ResNet-18 and one batch."""
    generator = torch.Generator().manual_seed(0)
    network = resnet18(widths).eval()
    images = torch.randn(batch, 3, 32, 32, generator=generator)
    task = qd.Task(
        network, cross_entropy, (images, torch.randint(0, 100, (batch,), generator=generator))
    )
    return task, qd.ParameterSpace(network)


def speed():
    """Interleaved times of a step, as ratios to the gradient round by round."""
    task, space = problem()
    contenders = {"gradient": lambda: task.loss_and_gradient(space, space.theta)}
    for order in ORDERS:
        walk = SeriesSteps(task, space, space.theta, order, LEARNING_RATE)
        next(walk)
        contenders[f"order {order}"] = lambda walk=walk: next(walk)
    fresh = SeriesSteps(itertools.repeat(task), space, space.theta, 2, LEARNING_RATE)
    contenders["order 2, fresh batches"] = lambda: next(fresh)
    seconds = interleave(contenders)
    content = {
        "question": "Seconds of one series step: 7M smooth ResNet-18, batch 32, all weights, fp32",
        "weights": space.n,
        "seconds": seconds,
        "ratio_to_gradient": ratios(seconds, "gradient"),
        "target": TARGETS,
        "environment": environment(),
    }
    save("series_speed", content)


def memory():
    """Peak resident memory of one process a contender, above that of the process which only holds
    the network and the batch.
    """
    peaks = {
        name: peak_memory(__file__, "--one", name)
        for name in ("nothing", "gradient", *map(str, ORDERS))
    }
    above = {name: peak - peaks["nothing"] for name, peak in peaks.items() if name != "nothing"}
    for name, peak in above.items():
        print(
            f"{name:<10} {peak / 2**20:8.0f} MiB  {peak / above['gradient']:.2f} x the gradient's",
            flush=True,
        )
    content = {
        "question": (
            "Peak bytes above network and batch: 7M smooth ResNet-18, batch 32, fp32, three"
            " gradients or steps"
        ),
        "peak_bytes": peaks,
        "ratio_to_gradient": {name: peak / above["gradient"] for name, peak in above.items()},
        "target": {str(order): order + 2 for order in ORDERS},
        "environment": environment(),
    }
    save("series_memory", content)


def one(name):
    """The body of one memory measurement."""
    task, space = problem()
    if name == "gradient":
        for _ in range(3):
            task.loss_and_gradient(space, space.theta)
    elif name != "nothing":
        series_descent(task, space, int(name), 3, LEARNING_RATE)


def large(order=2, steps=10):
    """A segment at 103 million weights on this machine."""
    start = time.perf_counter()
    task, space = problem((192, 384, 784, 1552), batch=8)
    before, ticks = own_peak(), [time.perf_counter()]
    task.loss_and_gradient(space, space.theta)
    ticks.append(time.perf_counter())
    gradient_seconds, gradient_peak = ticks[1] - ticks[0], own_peak()
    walk = SeriesSteps(task, space, space.theta, order, LEARNING_RATE)
    for _ in range(steps):
        terms = next(walk)
        ticks.append(time.perf_counter())
    gaps = sorted(b - a for a, b in itertools.pairwise(ticks[2:]))
    content = {
        "question": (
            f"Can {steps} series steps of order {order} at 103M weights, batch 8, run on a small"
            " machine?"
        ),
        "weights": space.n,
        "steps": steps,
        "finite": bool(torch.isfinite(terms).all()),
        "peak_bytes": own_peak(),
        "peak_bytes_with_the_network": before,
        "peak_bytes_after_a_gradient": gradient_peak,
        "target_bytes": 12 * 2**30,
        "seconds": time.perf_counter() - start,
        "seconds_of_the_first_gradient": gradient_seconds,
        "median_seconds_a_step": gaps[len(gaps) // 2],
        "environment": environment(),
    }
    print({key: value for key, value in content.items() if key != "environment"})
    save("series_103M", content)


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(sys.argv[2])
    elif "--memory" in sys.argv:
        memory()
    elif "--large" in sys.argv:
        large()
    else:
        speed()
