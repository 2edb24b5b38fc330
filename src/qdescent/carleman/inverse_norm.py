"""The norm of the inverse of a majorant's history matrix, by convolutions over the steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from qdescent._arrays import Complexes, Floats

PRECISE = 1.01  # how far the bound on the largest singular value may lie above what was seen of it
MOST_ROUNDS = 200
UNDER = 1 - 1e-9  # of a Rayleigh quotient: below what rounding makes of it
# of the largest entry: an entry that is smaller may be raised, and rounding stays far below it
FLOOR = 1e-9
FFT_ROUNDING = 1e-13  # of the largest entry: above the error of a convolution by transforms
Kernel = list[tuple[int, int, Complexes]]  # target, source, transform


def transformed(entries: Floats) -> Complexes:
    """The transform over the steps of a block's entry, (T + 1,), long enough to convolve with."""
    found: Complexes = rfft(entries, _length(len(entries) - 1))
    return found


def _length(steps: int) -> int:
    return next_fast_len(2 * steps + 1, real=True)


def inverse_norm_bound(
    kernel: Kernel, steps: int, words: int, padding: int, dull: Callable[[float], bool]
) -> float:
    """A bound on ||M^^-1||: of a matrix B >= 0 and any x > 0 the largest (B x)_i / x_i bounds the
    spectral radius from above.

    B = M^^-T M^^-1, M^^-1 a convolution with the blocks over the steps, and a sum over the copies
    of the end.

    Args:
        kernel: of the blocks, as `transformed` has them.
        steps, words, padding: T, words of a block, p.
        dull: says of a Rayleigh quotient's root, which is never above the norm, whether the norm is
            of no interest; then infinity is returned.
    """
    length = _length(steps)

    def convolved_blocks(x: Floats, across: bool) -> Floats:
        turned = rfft(x, length)
        image = np.zeros_like(turned)
        for row, column, entry in kernel:
            target, source = (column, row) if across else (row, column)
            image[target] += entry * turned[source]
        return _from_above(irfft(image, length)[:, : steps + 1])

    def solve(x: Floats) -> Floats:
        z = x.copy()
        z[:, : steps + 1] = convolved_blocks(x[:, : steps + 1], across=False)
        z[:, steps:] = np.cumsum(z[:, steps:], axis=1)
        return z

    def solve_transposed(x: Floats) -> Floats:
        y = x.copy()
        y[:, steps:] = np.cumsum(x[:, steps:][:, ::-1], axis=1)[:, ::-1]
        y[:, : steps + 1] = convolved_blocks(y[:, steps::-1], across=True)[:, ::-1]
        return y

    x = np.ones((words, steps + padding + 1))
    best = np.inf
    for _ in range(MOST_ROUNDS):
        image = solve_transposed(solve(x))
        best = min(best, float((image / x).max()))
        seen = float((image * x).sum() / (x * x).sum())
        if dull(seen**0.5 * UNDER):
            return np.inf
        if best <= PRECISE**2 * seen or not np.isfinite(seen):
            break
        x = np.maximum(image / image.max(), FLOOR)
    return best**0.5


def convolved(kernel: Floats, sequence: Floats) -> Floats:
    """sum_d kernel_d sequence_{t-d}, of non-negative numbers, from above."""
    if not sequence.any():
        return np.zeros(len(sequence))
    length = next_fast_len(len(kernel) + len(sequence) - 1, real=True)
    found = irfft(rfft(kernel, length) * rfft(sequence, length), length)
    return _from_above(found[: len(sequence)])


def _from_above(found: Floats) -> Floats:
    return np.maximum(found, 0.0) + FFT_ROUNDING * found.max()
