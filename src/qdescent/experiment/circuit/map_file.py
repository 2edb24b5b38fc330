"""The map of `qdescent circuit`, read from an npz file: F0, F1, F2, ..., u0, and h where they are
those of a differential equation; what is not one of these is refused.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from qdescent._checks import ArgumentError, argument_error, shown
from qdescent.experiment.run.instance import INSTANCE_FILE
from qdescent.linalg.polynomial_field import PolynomialField
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.reading.npz import open_npz
from qdescent.reading.regular import named

MUST = f"be a directory of `qdescent run` (with {INSTANCE_FILE}) or an npz of F0, F1, ..."
HOLDS = (
    "hold F0 (n,), F1 (n, n), F2 (n, n^2), ... and if wanted u0 (n,), and h for an equation, real"
    " numbers each"
)
START, STEP = "u0", "h"
# a Carleman order as high has 2^13 unknowns of one variable, beyond any simulation
MOST_DEGREE = 12
MOST_ENTRIES = 1 << 25  # of all coefficients; in double precision a quarter of a GiB
COEFFICIENT = re.compile(r"F(0|[1-9][0-9]{0,8})")


def load_map(source: Path) -> tuple[PolynomialMap, Tensor]:
    """The map u -> F_0 + F_1 u + F_2 (u (x) u) + ... and its start u_0.

    With `h` in the file the coefficients are those of du/dt = F_0 + F_1 u + ..., and the map is one
    Euler step of length h, u -> u + h (F_0 + F_1 u + ...). A coefficient that is not in the file is
    zero, and so is a missing u0; at least one F_k with k >= 1 must be there, and every name must be
    one of F0, F1, ..., u0 and h.

    Args:
        source: an npz file, or a directory of `qdescent run`.

    Raises:
        ArgumentError: no such file, an unknown name (the nearest known one is named), a shape that
            does not fit, complex numbers, NaN, a degree above 12.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "map.npz"
        >>> np.savez(path, F0=[0.1], F2=[[0.5]])
        >>> f, start = load_map(path)
        >>> [F.to_dense().tolist() for F in f.coefficients], start.tolist()
        ([[[0.1]], [[0.0]], [[0.5]]], [0.0])
        >>> np.savez(path, F1=[[-1.0]], F2=[[0.5]], h=0.1)  # du/dt = -u + u^2/2
        >>> [F.to_dense().tolist() for F in load_map(path)[0].coefficients]
        [[[0.0]], [[0.9]], [[0.05]]]
    """
    path = source / INSTANCE_FILE if os.path.isdir(source) else source
    with open_npz("source", path, MUST) as arrays:
        given = {}
        for name in arrays.members:
            _check_name(name, list(arrays.members), path)
        for name in arrays.members:
            given[name] = _real(name, arrays[name], path)
    step = _step(given.pop(STEP), path) if STEP in given else None
    degree = max((int(name[1:]) for name in given if name != START), default=0)
    if degree == 0:
        raise argument_error("source", HOLDS, f"{named(path)}, which holds {arrays.listed}")
    least = min(given, key=lambda name: (name == START, int(name[1:])))  # sets n
    n = len(given[least])
    if (
        n == 0
        or n**degree > MOST_ENTRIES
        or sum(array.size for array in given.values()) > MOST_ENTRIES
    ):
        sizes = ", ".join(f"{name} {array.shape}" for name, array in given.items())
        must = f"hold at least one and at most {MOST_ENTRIES:,} numbers"
        raise argument_error("source", must, f"{named(path)} with {sizes}")
    for name, array in given.items():
        columns = () if name == START else (n ** int(name[1:]),)
        flat = name in ("F0", START) and array.shape == (n,)
        if not flat and array.shape != (n, *columns):
            wanted = (n,) if name in ("F0", START) else (n, *columns)
            shapes = (
                f"{named(path)}, whose {name} has shape {array.shape} where {least} asks for"
                f" {wanted}"
            )
            raise argument_error("source", HOLDS, shapes)
    constant = (
        torch.from_numpy(given["F0"])
        if "F0" in given
        else torch.zeros(n, dtype=torch.float64, device="cpu")
    )
    others = [
        torch.from_numpy(given[f"F{k}"]) if f"F{k}" in given else _zero(n, k)
        for k in range(1, degree + 1)
    ]
    start = (
        torch.from_numpy(given[START])
        if START in given
        else torch.zeros(n, dtype=torch.float64, device="cpu")
    )
    if step is not None:
        try:
            return PolynomialField([constant, *others]).euler_map(step), start
        except ArgumentError:  # finite numbers times a finite step that are not
            must = "hold an equation whose Euler step is finite"
            raise argument_error("source", must, f"{named(path)} with h = {step:g}") from None
    return PolynomialMap([constant, *others]), start


def _step(array: np.ndarray, path: Path) -> float:
    """The length of a step: one number above 0."""
    if array.size != 1 or float(array.item()) <= 0:
        held = array.item() if array.size == 1 else f"of shape {array.shape}"
        raise argument_error(
            "source", "hold a step h above 0, one number", f"{named(path)}, whose h is {held}"
        )
    return float(array.item())


def _zero(n: int, degree: int) -> Tensor:
    """F_k = 0, without the memory of n^k numbers."""
    nowhere, nothing = (
        torch.zeros((2, 0), dtype=torch.int64, device="cpu"),
        torch.zeros(0, dtype=torch.float64, device="cpu"),
    )
    return torch.sparse_coo_tensor(
        nowhere, nothing, (n, n**degree), check_invariants=True, device=nothing.device
    )


def _check_name(name: str, names: list[str], path: Path) -> None:
    """Refuse what is neither a coefficient nor the start, with the nearest name that is."""
    match = COEFFICIENT.fullmatch(name)
    if match and int(match[1]) > MOST_DEGREE:
        must = f"hold coefficients up to F{MOST_DEGREE}"
        raise argument_error("source", must, f"{named(path)}, which holds {name}")
    if not match and name not in (START, STEP):
        known = [*(f"F{k}" for k in range(MOST_DEGREE + 1)), START, STEP]
        folded = {word.casefold(): word for word in known}
        near = folded.get(name.casefold()) or next(
            iter(difflib.get_close_matches(name[:40], known, n=1)), ""
        )
        hint = f" (did you mean {near!r}?)" if near and near not in names else ""
        raise argument_error("source", HOLDS, f"{named(path)}, which holds {shown(name)}{hint}")


def _real(name: str, array: np.ndarray, path: Path) -> np.ndarray:
    """The array in double precision; imaginary parts and truth values are refused, not cast."""
    if array.dtype.kind not in "iuf":
        what = {"c": "complex numbers", "b": "truth values"}[array.dtype.kind]
        raise argument_error("source", HOLDS, f"{named(path)}, whose {name} holds {what}")
    if not np.isfinite(array).all():
        wrong = int((~np.isfinite(array)).sum())
        found = f"{named(path)}, whose {name} has {wrong} of {array.size} NaN or infinite"
        raise argument_error("source", "hold finite numbers", found)
    if array.size > MOST_ENTRIES:
        must = f"hold at most {MOST_ENTRIES:,} numbers"
        raise argument_error(
            "source", must, f"{named(path)}, whose {name} has {math.prod(array.shape):,}"
        )
    if array.ndim == 0 and name != STEP:
        raise argument_error(
            "source",
            HOLDS,
            f"{named(path)}, whose {name} is a single number (write it as an array)",
        )
    return array.astype(np.float64)
