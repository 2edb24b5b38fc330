"""The examples run as they stand, at a reduced size."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_first_pass_in_python():
    call = [sys.executable, str(EXAMPLES / "first_pass.py"), "--small"]
    result = subprocess.run(call, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr
    circuit, direct = (line for line in result.stdout.splitlines() if "u_T" in line)
    values = [[float(x) for x in line[line.index("[") + 1 : line.index("]")].split(",")] for line in (circuit, direct)]
    gap = max(abs(a - b) for a, b in zip(*values, strict=True))
    assert gap < 1e-3 * max(abs(b) for b in values[1])
    assert len((EXAMPLES / "first_pass.py").read_text().splitlines()) < 60
