"""Are the kernels no slower than in an earlier commit?

    python benchmarks/against.py
    python benchmarks/against.py --commit v0.2.0

Both trees, this one and a worktree of the commit, work in a process of their own; kernels are
called by public names that both have, one after the other in each round: a round uncounted, then
five. The committed result is against the last commit before the rooms were named (48e2326), on a
machine that others used, too: processor seconds, and their ratios round by round.
"""

import argparse
import inspect
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).parents[1]
ROUNDS = 5
LEAST = 0.5  # seconds of a contender in a round, so that a clock's grain is nothing


def batch(*shape):
    """Inputs of that shape and labels of five classes."""
    draws = torch.Generator().manual_seed(1)
    return torch.randn(*shape, generator=draws), torch.randint(0, 5, shape[:1], generator=draws)


def small(qd, width=32):
    """A task of a GELU network, and the space of all its weights."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(12, width), nn.GELU(), nn.Linear(width, 5))
    task = qd.Task(network, nn.functional.cross_entropy, batch(64, 12))
    return task, qd.ParameterSpace(network)


def hessian_of_images(qd):
    """A product with the Hessian of the embedded convolutional network."""
    images = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(2))
    network = qd.networks.fashion_cnn() if hasattr(qd, "networks") else qd.fashion_cnn()
    task = qd.Task(network, nn.functional.cross_entropy, (images, batch(64, 1)[1]))
    operator = qd.hessian(task, qd.ParameterSpace(network))
    v = torch.ones(operator.shape[0])
    return lambda: (operator @ v).norm()


def spectrum(qd):
    """Lanczos quadrature of a Hessian: 4 probes, 32 steps."""
    operator = qd.hessian(*small(qd))
    return lambda: qd.spectral_density(operator, 32, 4).nodes[0][0]


def series(qd):
    """Descent as a series of order 3, 8 steps, without what a later version checks of it."""
    return _series(qd, {"check": False})


def series_as_given(qd):
    """The same as a user calls it; checked against differences of the gradient where it can be."""
    return _series(qd, {})


def _series(qd, options):
    task, space = small(qd)
    known = inspect.signature(qd.series_descent).parameters
    given = {name: value for name, value in options.items() if name in known}
    descent = partial(qd.series_descent, task, space, order=3, steps=8, learning_rate=0.1, **given)
    return lambda: descent().value.norm()


def history(qd):
    """The gradient map of 17 weights, its lifting, and a history solved by the direct solver."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    data = torch.randn(8, 2, dtype=torch.float64), torch.randn(8, 1, dtype=torch.float64)
    task, space = qd.Task(network, nn.functional.mse_loss, data), qd.ParameterSpace(network)

    def work():
        lift = qd.carleman_linearize(qd.gradient_map(task, space, 0.1, degree=2), 2)
        start = torch.zeros(17, dtype=torch.float64)
        return qd.solve(qd.history_system(lift, start, 6), qd.Direct()).value.norm()

    return work


def well_conditioned(qd, size):
    """A system near the identity, neither symmetric nor normal."""
    draws = torch.Generator().manual_seed(3)
    matrix = torch.eye(size).double() + 0.2 / size**0.5 * torch.randn(
        size, size, dtype=torch.float64, generator=draws
    )
    return qd.LinearSystem(matrix, torch.ones(size, dtype=torch.float64))


def polynomial(qd):
    """QSVT's polynomial applied by products, 200 unknowns."""
    system = well_conditioned(qd, 200)
    return lambda: qd.solve(system, qd.QSVT(1e-6)).value.norm()


def coloured(qd):
    """The encoding that both have by default: entries by colours."""
    return {"encoding": qd.ColouredEntries()} if hasattr(qd, "ColouredEntries") else {}


def circuit(qd):
    """The same as gates on a state vector, 8 unknowns."""
    system = well_conditioned(qd, 8)
    solver = qd.QSVT(1e-3, circuit=True, **coloured(qd))
    return lambda: qd.solve(system, solver).value.norm()


def reflection(qd):
    """Kernel reflection as gates on a state vector, 8 unknowns."""
    system = well_conditioned(qd, 8)
    solver = qd.KernelReflection(1e-3, circuit=True, **coloured(qd))
    return lambda: qd.solve(system, solver).value.norm()


def readout(qd):
    """A vector of a million entries from 10^6 shots."""
    vector = torch.randn(10**6, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    return lambda: qd.read_out(vector, 10**6).vector.norm()


TIMED = (
    hessian_of_images,
    spectrum,
    series,
    series_as_given,
    history,
    polynomial,
    circuit,
    reflection,
    readout,
)
KERNELS = {work.__name__: work for work in TIMED}


def worker():
    """Answer names of kernels by the processor seconds of a call, and what it found."""
    import qdescent

    torch.set_num_threads(1)
    ready, often = {}, {}
    for name in map(str.strip, sys.stdin):
        if name not in ready:
            ready[name] = KERNELS[name](qdescent)
            ready[name]()  # what is prepared once
            start = time.process_time()
            ready[name]()
            often[name] = max(1, round(LEAST / max(time.process_time() - start, 1e-4)))
        start = time.process_time()
        for _ in range(often[name]):
            found = ready[name]()
        print(json.dumps([(time.process_time() - start) / often[name], float(found)]), flush=True)


def started(tree):
    """A worker on the package of that tree."""
    surroundings = os.environ | {"PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, __file__, "--worker"],
        env=surroundings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def asked(process, name):
    """Seconds and result of a kernel."""
    process.stdin.write(name + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def compared(trees):
    """Each kernel in each tree, interleaved: seconds, and this tree's over the other's."""
    workers = [started(tree) for tree in trees]
    table = {}
    for name, kernel in KERNELS.items():
        rounds = [[asked(each, name) for each in workers] for _ in range(ROUNDS + 1)][1:]
        (now, same), (then, before) = rounds[0]
        assert abs(same - before) <= 1e-3 * abs(before), (name, same, before)
        now, then = ([each[k][0] for each in rounds] for k in (0, 1))
        quotients = [a / b for a, b in zip(now, then, strict=True)]
        table[name] = {
            "what": kernel.__doc__,
            "seconds": statistics.median(now),
            "seconds_before": statistics.median(then),
            "ratio": statistics.median(quotients),
            "ratio_min": min(quotients),
            "ratio_max": max(quotients),
        }
        print(f"{name:<20} {table[name]['ratio']:.2f}", flush=True)
    for each in workers:
        each.stdin.close()
        each.wait()
    return table


def main():
    """Compare with a commit, and save the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--commit", default="48e2326")
    parser.add_argument("--worker", action="store_true")
    options = parser.parse_args()
    if options.worker:
        return worker()
    from protocol import environment, save

    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) / "before"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", str(there), options.commit], check=True)
        try:
            table = compared([ROOT, there])
        finally:
            subprocess.run([*git, "remove", "--force", str(there)], check=True)
    content = {
        "question": "Seconds of kernels, and their ratio to an earlier commit's",
        "commit": options.commit,
        "kernels": table,
        "environment": environment(),
    }
    return save("against", content)


if __name__ == "__main__":
    main()
