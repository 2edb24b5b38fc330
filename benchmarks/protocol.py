"""How every benchmark here is run: contenders interleaved, medians of five, JSON with the
environment.

The machines are noisy: quote the ratios, which are taken round by round, not the seconds. Once
something runs on a GPU, clocks wait for it, peaks are of its memory, and results end in "_gpu".
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


def on_gpu() -> bool:
    """Whether this process computes on a GPU."""
    return torch.cuda.is_initialized()


def now() -> float:
    """Seconds, once a GPU has done what it was given."""
    if on_gpu():
        torch.cuda.synchronize()
    return time.perf_counter()


def add_device(parser: argparse.ArgumentParser) -> None:
    """The option --device."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")


def interleave(
    contenders: Mapping[str, Callable[[], Any]],
    rounds: int = 5,
    clock: Callable[[], float] = now,
) -> dict[str, list[float]]:
    """Seconds of each contender in each round; one uncounted warm-up round first. On one thread
    `time.process_time` counts the processor's own, whoever else is at work.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, work in contenders.items():
            start = clock()
            work()
            took = clock() - start
            if round_:
                seconds[name].append(took)
            print(f"round {round_}/{rounds}  {name:<32} {took:8.2f} s", flush=True)
    return seconds


def ratios(seconds: Mapping[str, list[float]], to: str) -> dict[str, dict[str, float]]:
    """Each contender's time over that of `to`, round by round: median, least, largest."""
    table = {}
    for name, values in seconds.items():
        quotients = [a / b for a, b in zip(values, seconds[to], strict=True)]
        table[name] = {
            "median": statistics.median(quotients),
            "min": min(quotients),
            "max": max(quotients),
        }
    return table


def peak_memory(script: str, *arguments: str) -> int:
    """Largest resident memory in bytes of `python script arguments`, by the operating system's
    account of that process.
    """
    code = (
        "import resource, subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]],"
        " check=True);print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    call = [sys.executable, "-c", code, script, *arguments]
    lines = subprocess.run(call, check=True, capture_output=True, text=True).stdout.splitlines()
    return 1024 * int(lines[-1].split()[1])


def environment(*packages: str) -> dict[str, Any]:
    """What the numbers depend on."""
    versions = {}
    for package in ("torch", "numpy", "scipy", *packages):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    model = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "processor": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if on_gpu() else "cpu",
        "load_average": round(os.getloadavg()[0], 2),
        "versions": versions,
    }


def save(name: str, content: Mapping[str, Any]) -> None:
    """Write `results/<name>.json`, or `<name>_gpu.json`."""
    name += "_gpu" if on_gpu() else ""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    print(f"wrote benchmarks/results/{name}.json")


def own_peak() -> int:
    """Largest resident memory of this process so far, in bytes; of a GPU's, what was allocated."""
    if on_gpu():
        return torch.cuda.max_memory_allocated()
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
