"""Readout with the solve run coherently, forth and back: its price, and errors of its size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from qdescent._checks import check_choice
from qdescent._random import named_numpy_generator
from qdescent.quantum.readout.budget import NORMS, check_epsilon, coherent_calls
from qdescent.quantum.readout.expected import length_of, vector_of
from qdescent.quantum.readout.largest import check_largest
from qdescent.quantum.readout.tomography import Readout, nothing_read


def read_out_coherently(
    solution: Any, epsilon: float, norm: str = "l2", seed: int = 0, largest: int | None = None
) -> Readout:
    """Emulate the readout by a solve that can be run coherently: errors of the promised size.

    The algorithm itself is not run: its promise is. Each entry gets a normal error of standard
    deviation

        l2:    epsilon ||x|| / sqrt n                   so that ||read - x|| is close to epsilon,
        linf:  epsilon ||x|| / sqrt(2 ln(200 n))        so that all stay below it in 99 of 100,

    and so does the norm. Signs come with the entries. With `largest` = m the entries that were read
    as the m largest are returned; the norm that is missing is what the estimates leave of ||x||.

    Args:
        solution: a tensor (n,), or anything with `.answer` or else `.value`.
        epsilon: the error, relative to ||x||, in (0, 1).
        norm: in which it is measured: "l2" or "linf".
        seed: of the errors.
        largest: m; None: all.

    Returns:
        Readout: `calls` says how often the solve or its inverse was called; it has no shots.

    Raises:
        ArgumentError: as `read_out`.

    References:
        van Apeldoorn, Cornelissen, Gilyén, Nannicini, arXiv:2207.08800.

    Example:
        >>> x = torch.tensor([3.0, -4.0], dtype=torch.float64)
        >>> found = read_out_coherently(x, 1e-3)
        >>> [round(value, 1) for value in found.vector.tolist()], found.calls
        ([3.0, -4.0], 2000)
    """
    epsilon = check_epsilon(epsilon)
    norm = check_choice("norm", norm, NORMS)
    source = vector_of("solution", solution)
    x = source.cpu().double().numpy()
    n = len(x)
    m = check_largest(largest, n)
    length = length_of("solution", source)
    if length == 0:
        return nothing_read(source)
    draw = named_numpy_generator(seed, "coherent readout")
    width = epsilon / (math.sqrt(n) if norm == "l2" else math.sqrt(2 * math.log(200 * n)))
    estimate = x / length + width * draw.standard_normal(n)
    found = length * (1 + width * draw.standard_normal())
    kept = np.zeros(n, dtype=bool)
    kept[np.argpartition(-np.abs(estimate), m - 1)[:m]] = True
    # sum of squares of what was kept, less what their errors add to it
    read = float((estimate[kept] ** 2).sum()) - m * width**2
    share = max(0.0, 1 - read) if m < n else 0.0
    share_error = 2 * width * math.sqrt(max(read, width**2)) if m < n else 0.0
    missing = found * math.sqrt(share)
    return Readout(
        vector=torch.as_tensor(np.where(kept, found * estimate, 0.0), device="cpu").to(source),
        error=torch.as_tensor(
            np.where(kept, found * width, np.abs(found * estimate) + found * width), device="cpu"
        ).to(source),
        norm=found,
        norm_error=found * width,
        shots=0,
        support=m,
        missing_norm=missing,
        missing_norm_error=found * min(share_error / (2 * math.sqrt(share)), math.sqrt(share_error))
        if share
        else found * math.sqrt(share_error),
        calls=int(coherent_calls(n, epsilon, norm).number),
    )
