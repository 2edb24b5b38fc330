"""The steps of device_check.sh: what can only be seen on a GPU, as one JSON file.

    python tools/device_check.py [--cpu] [--out FOLDER]

Every step runs on the device and is held against an independent figure: the same on the CPU, or an
identity. `--cpu` rehearses all of them at a small size, the CPU in the place of the GPU.

Exit codes: 0 all is well, 1 a step failed, 3 no CUDA device, 4 a module that every step needs is
missing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ("torch", "numpy", "scipy")  # to compute anything
# imported, but no step here draws or opens a file
UNUSED = ("plotly", "plotly.graph_objects", "plotly.offline", "safetensors")
# a step without them is left out
BESIDES = {"circuit": ("qualtran", "attr"), "tests": ("pytest", "qualtran", "attr")}
NO_DEVICE, MISSING = 3, 4
TORCH_ERROR = 1e-3  # of float32 products against each other: sums of 10^5 terms in another order


def main() -> int:
    """Run all steps, write the JSON, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu", action="store_true", help="rehearse at a small size on the CPU")
    parser.add_argument(
        "--out", default=os.environ.get("OUT") or str(ROOT / "benchmarks/results/device")
    )
    parser.add_argument("--step", choices=["nccl"], help="(inner) one step, under torchrun")
    given = parser.parse_args()
    missing = absent(NEEDED)
    if missing:
        print(
            f"device check: this Python ({sys.executable}) cannot import {', '.join(missing)}",
            file=sys.stderr,
        )
        return MISSING
    stand_in()
    import torch

    if not given.cpu and not torch.cuda.is_available():
        print("device check: no CUDA device on this machine (--cpu rehearses it)", file=sys.stderr)
        return NO_DEVICE
    device = "cpu" if given.cpu else "cuda"
    if given.step == "nccl":
        return one_process(device)
    torch.backends.cudnn.allow_tf32 = False  # what is compared is arithmetic in float32
    steps = {
        "tests": lambda: tests(device),
        "spectrum_7M": lambda: spectrum(
            device, (2, 4, 4, 8) if given.cpu else (48, 96, 208, 400), against_cpu=True
        ),
        "spectrum_103M": lambda: spectrum(
            device, (4, 4, 8, 8) if given.cpu else (192, 384, 784, 1552), against_cpu=False
        ),
        "series_step": lambda: series_step(device, (1, 2, 2) if given.cpu else (16, 32, 64)),
        "circuit": lambda: circuit(device, 0.5 if given.cpu else 1e-2),
        "nccl": lambda: launched(given.cpu),
    }
    found = {name: timed(name, step) for name, step in steps.items()}
    path = write(Path(given.out), device, found)
    bad = [name for name, step in found.items() if step["status"] == "failed"]
    skipped = [name for name, step in found.items() if step["status"] == "skipped"]
    seconds = sum(step["seconds"] for step in found.values())
    notes = "".join(
        f"; {word}: {', '.join(names)}"
        for word, names in (("failed", bad), ("skipped", skipped))
        if names
    )
    well = len(found) - len(bad) - len(skipped)
    print(
        f"device check on {name_of(device)}: {well} of {len(found)} steps in {seconds:.0f}"
        f" s{notes}; {path}"
    )
    return 1 if bad else 0


def absent(modules: tuple[str, ...]) -> list[str]:
    """Those that cannot be imported."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


STOOD_IN: set[str] = set()


def stand_in() -> None:
    """Empty modules for those that the package imports and no step uses, where they are not
    installed.
    """
    STOOD_IN.update(absent(("plotly", "safetensors")))
    for name in UNUSED:
        if name.partition(".")[0] in STOOD_IN:
            sys.modules[name] = MagicMock(__spec__=None)


def timed(name: str, step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a step found, with its seconds; a failure is a result, too, and the others go on."""
    start = time.perf_counter()
    missing = absent(BESIDES.get(name, ()))
    try:
        found = (
            {"status": "skipped", "error": f"missing: {', '.join(missing)}"} if missing else step()
        )
        status = found.pop("status", "ok")
    except Exception as error:
        found, status = (
            {"error": " ".join(f"{type(error).__name__}: {error}".split())[:400]},
            "failed",
        )
    seconds = round(time.perf_counter() - start, 2)
    print(f"{name:<14} {status:<8} {seconds:7.1f} s  {json.dumps(found)[:200]}", flush=True)
    return {"status": status, "seconds": seconds, **found}


def tests(device: str) -> dict[str, Any]:
    """The tests that need a GPU."""
    chosen = ["tests/device", "tests/quantum/simulator"]
    call = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(ROOT),
        *chosen,
        "-k",
        "cuda",
    ]
    if absent(("pytest_timeout", "hypothesis")):
        call += ["--noconftest", "-c", os.devnull, "--import-mode=importlib"]
    environment = {**os.environ, "QDESCENT_TEST_DEVICE": device, "PYTHONPATH": searched()}
    done = subprocess.run(
        call,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600 if device == "cpu" else 150,
    )
    last = done.stdout.strip().splitlines()[-1:] or [done.stderr.strip()[-300:]]
    return {"status": "ok" if done.returncode == 0 else "failed", "pytest": last[0]}


def searched() -> str:
    """Where a child looks for modules: this checkout, then wherever this process does."""
    given = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join([str(ROOT / "src"), *([given] if given else [])])


def spectrum(device: str, widths: tuple[int, ...], *, against_cpu: bool) -> dict[str, Any]:
    """Lanczos on the Hessian of a pruned ResNet-18; the same few steps on the CPU, or v.Hw against
    w.Hv.
    """
    import torch

    import qdescent as qd
    from qdescent.learning.networks.resnet import resnet18

    generator = torch.Generator().manual_seed(0)
    batch = (
        torch.randn(8, 3, 32, 32, generator=generator),
        torch.randint(0, 100, (8,), generator=generator),
    )

    def operator(place: str) -> Any:
        network = resnet18(widths).eval()
        mask = qd.magnitude_mask(network, 0.1)
        task = qd.Task(
            network.to(place),
            torch.nn.functional.cross_entropy,
            tuple(part.to(place) for part in batch),
        )
        return qd.hessian(task, qd.ParameterSpace(task.network, mask))

    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    H = operator(device)
    found = qd.spectral_density(H, steps=8, probes=1)
    result: dict[str, Any] = {
        "kept": H.shape[0],
        "lambda_max": found.lambda_max[0],
        "lambda_min": found.lambda_min[0],
    }
    if device == "cuda":
        result["peak_bytes"] = torch.cuda.max_memory_allocated()
    if against_cpu:
        truth = qd.spectral_density(operator("cpu"), steps=8, probes=1)
        size = float(truth.nodes.abs().max())
        result["difference"] = float((found.nodes - truth.nodes).abs().max()) / size
    else:
        v, w = torch.randn(2, H.shape[0], generator=generator).to(device)
        one, other = float(v @ (H @ w)), float(w @ (H @ v))
        result["difference"] = abs(one - other) / max(abs(one), abs(other))
    return held(result, TORCH_ERROR)


def series_step(device: str, widths: tuple[int, ...]) -> dict[str, Any]:
    """Two steps of the order-2 series in float64, on the device and on the CPU."""
    import torch

    import qdescent as qd

    generator = torch.Generator().manual_seed(1)
    images, labels = (
        torch.randn(16, 1, 28, 28, generator=generator).double(),
        torch.randint(0, 10, (16,), generator=generator),
    )
    terms = []
    for place in (device, "cpu"):
        network = qd.networks.fashion_cnn(widths).double().eval().to(place)
        task = qd.Task(
            network, torch.nn.functional.cross_entropy, (images.to(place), labels.to(place))
        )
        terms.append(
            qd.series_descent(
                task, qd.ParameterSpace(network), order=2, steps=2, learning_rate=0.02
            ).terms.cpu()
        )
    return held(
        {
            "weights": terms[0].shape[1],
            "difference": float((terms[0] - terms[1]).norm() / terms[1].norm()),
        },
        1e-10,
    )


def circuit(device: str, epsilon: float) -> dict[str, Any]:
    """A QSVT circuit's state vector on the device and on the CPU, and its answer against a dense
    solve.
    """
    import torch

    import qdescent as qd
    from qdescent.quantum.simulator.state_vector import Simulator

    matrix = torch.eye(4, dtype=torch.float64) + 0.25 * torch.diag(
        torch.ones(3, dtype=torch.float64), 1
    )
    system = qd.LinearSystem(matrix, torch.tensor([1.0, -1.0, 0.5, 0.25], dtype=torch.float64))
    found = qd.solve(system, qd.QSVT(epsilon=epsilon, circuit=True))
    states = []
    seconds = {}
    for place in (device, "cpu"):
        start = time.perf_counter()
        states.append(Simulator(device=place).run(found.circuit).amplitudes.cpu())
        seconds[f"seconds_{place}"] = round(time.perf_counter() - start, 2)
    truth = torch.linalg.solve(system.matrix.to_dense(), system.rhs)
    off = float((found.answer - truth).norm() / truth.norm())
    if off > epsilon:
        raise ValueError(f"the circuit's answer is off by {off:.3g}, above epsilon = {epsilon:g}")
    result = {
        "amplitudes": len(states[0]),
        "difference": float((states[0] - states[1]).abs().max()),
        **seconds,
    }
    return held(result, 1e-12)


def launched(rehearsal: bool) -> dict[str, Any]:
    """`one_process` under torchrun: NCCL, or gloo in the rehearsal."""
    call = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node=1",
        "--master_port=0",
        "--rdzv_backend=c10d",
    ]
    call += [
        "--rdzv_endpoint=localhost:0",
        str(Path(__file__).resolve()),
        "--step",
        "nccl",
        *(["--cpu"] if rehearsal else []),
    ]
    environment = {**os.environ, "PYTHONPATH": searched()}
    done = subprocess.run(
        call, env=environment, capture_output=True, text=True, timeout=600 if rehearsal else 120
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"torchrun ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return held(json.loads(lines[-1]), 1e-10)


def one_process(device: str) -> int:
    """A collective by hand, and a product whose batches and vectors are shared out among the
    processes (one of them).
    """
    import torch
    import torch.distributed as dist

    import qdescent as qd
    from qdescent.learning.parallel.operators import data_parallel, sharded
    from qdescent.learning.parallel.ranks import joined

    with joined(device) as ranks:
        probe = torch.arange(4, dtype=torch.float64, device=ranks.device)
        dist.all_reduce(probe)
        generator = torch.Generator().manual_seed(2)
        network = (
            torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
            .double()
            .to(ranks.device)
        )
        batches = [
            tuple(torch.randn(5, n, generator=generator).double().to(ranks.device) for n in (4, 2))
            for _ in range(3)
        ]
        tasks = [qd.Task(network, torch.nn.functional.mse_loss, batch) for batch in batches]
        space = qd.ParameterSpace(network)
        shared = sharded(
            data_parallel(lambda mine: qd.hessian(mine, space), ranks.deal(tasks), space, ranks),
            ranks,
        )
        vector = torch.linspace(-1, 1, space.n, dtype=torch.float64, device=ranks.device)
        apart = (shared @ vector - qd.hessian(tasks, space) @ vector).norm() / vector.norm()
        reduced = float(
            (probe.cpu() - ranks.size * torch.arange(4, dtype=torch.float64)).abs().max()
        )
        print(
            json.dumps(
                {
                    "backend": dist.get_backend(),
                    "processes": ranks.size,
                    "difference": max(float(apart), reduced),
                }
            )
        )
    return 0


def held(result: dict[str, Any], allowed: float) -> dict[str, Any]:
    """The result with what its difference may be; NaN is not within anything."""
    return {
        "status": "ok" if result["difference"] <= allowed else "failed",
        **result,
        "allowed": allowed,
    }


def name_of(device: str) -> str:
    """The GPU's name, or the processor's."""
    import torch

    return (
        torch.cuda.get_device_name()
        if device == "cuda"
        else f"the CPU ({platform.machine()}), rehearsal"
    )


def write(folder: Path, device: str, steps: dict[str, Any]) -> Path:
    """The JSON: device, versions, and what every step found."""
    import torch

    versions = {
        "python": platform.python_version(),
        "cuda": torch.version.cuda or "none",
        "torch": torch.__version__,
    }
    for package in (*NEEDED[1:], "safetensors", "qualtran"):
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    content = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "device": name_of(device),
        "versions": versions,
        "not_installed_and_not_used": sorted(STOOD_IN),
        "seconds": round(sum(step["seconds"] for step in steps.values()), 1),
        "steps": steps,
    }
    folder.mkdir(parents=True, exist_ok=True)
    label = (
        "rehearsal"
        if device == "cpu"
        else "".join(c if c.isalnum() else "-" for c in torch.cuda.get_device_name()).lower()
    )
    path = folder / f"{label}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
