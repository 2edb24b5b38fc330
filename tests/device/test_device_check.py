"""The script for whoever has a GPU, rehearsed where there is none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "tools" / "device_check.sh"


def run(*arguments, out):
    environment = {**os.environ, "PYTHON": sys.executable, "OUT": str(out), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        ["bash", SCRIPT, *arguments], env=environment, capture_output=True, text=True
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so_in_one_line(tmp_path):
    ended = run(out=tmp_path)
    assert ended.returncode == 3
    assert ended.stderr == "device check: no CUDA device on this machine (--cpu rehearses it)\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_rehearsal(tmp_path):
    ended = run("--cpu", out=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads((tmp_path / "rehearsal.json").read_text())
    steps = ["tests", "spectrum_7M", "spectrum_103M", "series_step", "circuit", "nccl"]
    assert list(found["steps"]) == steps
    assert {step["status"] for step in found["steps"].values()} == {"ok"}
    assert {"python", "torch", "numpy"} <= found["versions"].keys()
    for name in steps[1:]:
        assert 0 <= found["steps"][name]["difference"] <= found["steps"][name]["allowed"]
