"""An interpreter of OpenQASM 3 in plain NumPy, for the few words that are exported: an independent
reader of the text.
"""

import math
import re

import numpy as np
import pytest

FLIPS = {"x": 0, "cx": 1, "ccx": 2}  # number of controls


def run_openqasm(text, state):
    """Run a program on `state`, over the declared registers but `work`, which starts in |0>.

    Returns:
        array: amplitudes in the order of the declarations, work last; shape (2^registers, 2^work).
    """
    lines = text.splitlines()
    assert lines[:2] == ["OPENQASM 3.0;", 'include "stdgates.inc";']
    places, work = {}, 0
    for bits, name in re.findall(r"^qubit\[(\d+)\] (\w+);$", text, re.MULTILINE):
        work = int(bits) if name == "work" else 0
        for index in range(int(bits)):
            places[f"{name}[{index}]"] = len(places)
    full = np.zeros((len(state), 2**work), dtype=complex)
    full[:, 0] = state
    block = full.reshape((2,) * len(places))
    for line in lines[2:]:
        if line.startswith(("//", "qubit")):
            continue
        name, angle, operands = re.fullmatch(r"(\w+)(?:\((.*)\))? (.*);", line).groups()
        axes = [places[operand] for operand in operands.split(", ")]
        assert len(set(axes)) == len(axes)
        if name in FLIPS:
            on = [slice(None)] * block.ndim
            for axis in axes[:-1]:
                on[axis] = 1
            assert len(axes) == FLIPS[name] + 1
            one, zero = ((*on[: axes[-1]], value, *on[axes[-1] + 1 :]) for value in (1, 0))
            block[one], block[zero] = block[zero].copy(), block[one].copy()
        elif name == "swap":
            block = np.swapaxes(block, *axes)
        elif name == "cswap":
            block = np.moveaxis(block, axes, range(3)).copy()
            block[1] = np.swapaxes(block[1], 0, 1).copy()
            block = np.moveaxis(block, range(3), axes)
        else:
            block = np.moveaxis(
                np.tensordot(matrix(name, angle), block, axes=(1, axes[0])), 0, axes[0]
            )
    return np.ascontiguousarray(block).reshape(full.shape)


def matrix(name, angle):
    """The single-qubit gates by their definitions in the language."""
    if name in ("z", "s", "sdg"):
        return np.diag([1, {"z": -1, "s": 1j, "sdg": -1j}[name]])
    if name == "h":
        return np.array([[1, 1], [1, -1]]) / math.sqrt(2)
    half = float(angle) / 2
    if name == "ry":
        return np.array([[math.cos(half), -math.sin(half)], [math.sin(half), math.cos(half)]])
    assert name == "rz"
    return np.diag([np.exp(-1j * half), np.exp(1j * half)])


@pytest.fixture(scope="session")
def openqasm():
    """The interpreter."""
    return run_openqasm
