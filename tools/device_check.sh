#!/usr/bin/env bash
# What only a GPU can show, in under six minutes on one H100 and from a bare checkout: the CUDA tests, a spectrum of 7 and of 103
# million weights, a series step, a circuit on the GPU against the CPU, NCCL with one process. JSON to $OUT, or to
# benchmarks/results/device/.
#
#   tools/device_check.sh          on a machine with a GPU
#   tools/device_check.sh --cpu    a rehearsal at a small size, anywhere
#
# PYTHON names an interpreter; otherwise the first of .venv/bin/python and python3 that imports SciPy and PyTorch with CUDA (--cpu:
# PyTorch) is taken; steps that need more (qualtran, pytest) are left out where it is not installed, and the JSON says so. Where
# there is none, .venv-device is made with the wheels of constraints.txt (PyTorch's default wheel has CUDA); without a network
# this ends with a line that says what is missing.
#
# Exit codes: 0 all is well, 1 a step failed, 3 no CUDA device, 4 no Python with what is needed.
set -u
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS="${OMP_NUM_THREADS:-8}"

cpu=no
for word in "$@"; do [ "$word" = --cpu ] && cpu=yes; done

fits() { # an interpreter that has what the check needs, the GPU included
  "$1" - "$cpu" <<'PYTHON' 2>/dev/null
import sys, torch, numpy, scipy
sys.exit(0 if sys.argv[1] == "yes" or torch.cuda.is_available() else 1)
PYTHON
}

if [ -n "${PYTHON:-}" ]; then
  exec "$PYTHON" tools/device_check.py "$@"
fi
for python in .venv/bin/python .venv-device/bin/python python3; do
  if command -v "$python" >/dev/null && fits "$python"; then
    exec "$python" tools/device_check.py "$@"
  fi
done

if [ "$cpu" = no ] && ! { command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; }; then
  echo "device check: no CUDA device on this machine (--cpu rehearses it)" >&2
  exit 3
fi

echo "device check: no Python here has PyTorch with CUDA and the package's dependencies; making .venv-device" >&2
if ! python3 -m venv --system-site-packages .venv-device ||
  ! .venv-device/bin/python -m pip install --quiet --no-compile -c constraints.txt -e '.' pytest pytest-timeout hypothesis; then
  missing=$(python3 - <<'PYTHON'
from importlib.util import find_spec
names = ("torch", "numpy", "scipy")
print(", ".join(name for name in names if find_spec(name) is None) or "nothing but a PyTorch with CUDA")
PYTHON
  )
  echo "device check: these cannot be installed (no network?), and python3 lacks them: $missing" >&2
  exit 4
fi
exec .venv-device/bin/python tools/device_check.py "$@"
