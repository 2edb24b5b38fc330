"""How long does one wait for a help text, for imports, and for `qdescent spectrum` beyond its
measurement?

    python benchmarks/start_up.py

Processor seconds of fresh processes, interleaved, medians of five after one that compiles the byte
code (an installer does that once): help texts and argument errors, `import torch`, `import
qdescent`, all public names, and a spectrum of 1,700 weights; beyond its measurement is what its
process takes less the stages that run.json times. Torch's own start is part of it.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from protocol import environment, save

ROUNDS = 5
TIMED = (
    "import resource, time; {work};"
    " used = resource.getrusage(resource.RUSAGE_SELF);"
    " print('took', used.ru_utime + used.ru_stime)"
)
MODULE = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 64), nn.GELU(), nn.Linear(64, 5))

def batch():
    draws = torch.Generator().manual_seed(1)
    return torch.randn(64, 20, generator=draws), torch.randint(0, 5, (64,), generator=draws)
"""
IMPORTS = {
    "nothing": "pass",
    "torch": "import torch",
    "qdescent": "import qdescent",
    "torch and qdescent": "import torch, qdescent",
    "torch and all names": (
        "import torch, qdescent as qd; [getattr(qd, name) for name in qd.__all__]"
    ),
}
COMMANDS = {  # what is typed, and how it ends
    "qdescent --help": 0,
    "qdescent run --help": 0,
    "qdescent run --density 1.5": 2,
    "qdescent spectrum nowhere.py:network": 2,
    "qdescent circuit map.npz --loader none": 2,
}
SPECTRUM = (
    "time.perf_counter = time.process_time;"  # what the stages are timed by
    " from qdescent.cli import app; app(['spectrum', 'subject:network', '--data', 'subject:batch',"
    " '--out', {out!r}], standalone_mode=False)"
)


def surroundings(folder):
    """The variables of a fresh process."""
    kept = {name: value for name, value in os.environ.items() if "DONTWRITE" not in name}
    return kept | {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "OMP_NUM_THREADS": "1"}


def answered(command, ends, folder):
    """Processor seconds of a command line, interpreter and all."""
    call = [sys.executable, "-m", *command.split()]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = subprocess.run(call, cwd=folder, env=surroundings(folder), capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert found.returncode == ends, found.stderr.decode()
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def took(work, folder):
    """Processor seconds of a fresh process that does this."""
    kept = surroundings(folder)
    call = [sys.executable, "-c", TIMED.format(work=work)]
    found = subprocess.run(call, cwd=folder, env=kept, check=True, capture_output=True, text=True)
    line = next(line for line in found.stdout.splitlines() if line.startswith("took"))
    return float(line.removeprefix("took"))


def spectrum(folder, round_):
    """Processor seconds, and those of the timed stages."""
    out = folder / f"spectrum-{round_}"
    cpu = took(SPECTRUM.format(out=str(out)), folder)
    stages = json.loads((out / "run.json").read_text())["timings"]
    return cpu, sum(stages.values())


def spread(values):
    """Median, least, most."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def measured(folder):
    """Every command, import and the spectrum, one after the other, round by round."""
    commands = {command: [] for command in COMMANDS}
    imports = {name: [] for name in IMPORTS}
    cpus, stages = [], []
    for round_ in range(ROUNDS + 1):
        for command, ends in COMMANDS.items():
            cpu = answered(command, ends, folder)
            if round_:
                commands[command].append(cpu)
        for name, work in IMPORTS.items():
            cpu = took(work, folder)
            if round_:
                imports[name].append(cpu)
        cpu, timed = spectrum(folder, round_)
        if round_:
            cpus.append(cpu)
            stages.append(timed)
        print(f"round {round_}/{ROUNDS}: {cpu:.2f} s, of which measured {timed:.2f}", flush=True)
    torch = imports["torch"]
    return {
        "commands": {command: spread(values) for command, values in commands.items()},
        "imports": {name: spread(values) for name, values in imports.items()},
        "beyond_torch": {
            name: spread([a - b for a, b in zip(values, torch, strict=True)])
            for name, values in imports.items()
        },
        "spectrum": {
            "cpu": spread(cpus),
            "timed_stages": spread(stages),
            "beyond_measurement": spread([a - b for a, b in zip(cpus, stages, strict=True)]),
            "beyond_measurement_and_torch": spread(
                [a - b - c for a, b, c in zip(cpus, stages, torch, strict=True)]
            ),
        },
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        Path(name, "subject.py").write_text(MODULE)
        content = {
            "question": "Processor seconds of help texts, errors, imports, and a spectrum",
            **measured(Path(name)),
            "environment": environment("plotly", "rich", "click"),
        }
    save("start_up", content)
