"""The largest entries of a measured vector: which they are, and how many a loss of progress allows.

Both are decided by counts alone: what was not measured cannot choose.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdescent._array_checks import check_unmasked
from qdescent._checks import argument_error, check_integer, check_interval, shown
from qdescent._random import named_numpy_generator
from qdescent.quantum.readout.limits import MOST_SHOTS

Counts = NDArray[np.int64]


def choose_largest(counts: Any, loss: float, seed: int = 0) -> int:
    """The least m for which the m largest entries hold a share of at least 1 - loss of ||x||^2.

        m = min { m : sum of b over the m largest a  >=  (1 - loss) sum of b },   counts = a + b

    The shots are dealt at random to two halves a and b: one says which entries are the largest, the
    other, which knows nothing of that choice, how much they hold. Taken from the same counts the
    share would be too large, most of all in a flat vector, where the largest counts are largest by
    chance.

    To first order a step that lacks the share `loss` of ||u||^2 lacks as much of its progress: u is
    -eta times a sum of gradients, so that what entry i takes off the loss is proportional to u_i^2.

    Args:
        counts: shots that ended in each entry, (n,), integers.
        loss: share of ||x||^2 that may be left where it is, in [0, 1).
        seed: of the deal.

    Returns:
        int: m, at least 1; at most the number of entries that were seen, whatever the loss: an
            unseen entry has nothing to be read.

    Raises:
        ArgumentError: counts that are no counts, or all zero.

    Cost: O(n log n).

    Example:
        >>> choose_largest([0, 900_000, 90_000, 9_000, 1_000], loss=0.02)
        2
    """
    loss = check_interval("loss", loss, "[0, 1)")
    counted = _counts(counts)
    first = named_numpy_generator(seed, "halves").binomial(counted, 0.5)
    second = counted - first
    seen = int(np.count_nonzero(counted))
    if loss == 0:
        return seen
    # indices that both halves rank alike stand in the order of the whole
    order = np.lexsort((-counted, -first))
    held = np.cumsum(second[order])
    enough = int(np.searchsorted(held, (1 - loss) * held[-1] * (1 - 1e-12))) + 1
    return min(max(1, enough), seen)


def largest_counts(counts: Counts, largest: int, draw: np.random.Generator) -> NDArray[np.bool_]:
    """Where the m largest counts are, (n,); none that is zero, ties are broken by lot.

    Args:
        counts: shots that ended in each entry, (n,).
        largest: m.
        draw: the lot.
    """
    seen = counts > 0
    if largest >= np.count_nonzero(seen):
        return seen
    threshold = np.partition(counts, len(counts) - largest)[len(counts) - largest]
    chosen = counts > threshold
    tied = np.flatnonzero(counts == threshold)
    left = largest - int(np.count_nonzero(chosen))
    chosen[draw.choice(tied, left, replace=False)] = True
    return chosen


def chosen_too_large(
    chosen: Counts, left_out: int, signs: Counts, shots: int
) -> tuple[NDArray[np.bool_], float, float]:
    """Which of the chosen counts are too large by the choice itself, and by what factor.

    Among entries of nearly one size those are chosen whose counts came out high. Where some were
    left out within four standard errors of the least that was chosen (2 in sqrt c), those chosen
    within as much are measured anew by the sign shots: sum x^2 = 2 N/S - sum m^2.

    Args:
        chosen: counts of the magnitudes that are kept, (m,).
        left_out: the largest count of those that are not; 0: none was seen.
        signs: sign shots that ended in each of the chosen entries, whatever the flag said, (m,).
        shots: S.

    Returns:
        tuple: where among the chosen, (m,); the factor, 1 unless it is below 1 by more than its
            standard error; and that error, at most 1.
    """
    least = math.sqrt(chosen.min())
    if left_out == 0 or math.sqrt(left_out) < least - 2:
        return np.zeros(len(chosen), dtype=bool), 1.0, 0.0
    near = np.sqrt(chosen) <= least + 2
    counted, hits = float(chosen[near].sum()) / shots, float(signs[near].sum())
    held = 2 * hits / shots - counted * shots / float(chosen.sum())
    factor = math.sqrt(max(held, 0.0) / counted)
    error = math.sqrt(max(hits, 1.0)) / (shots * counted) / max(factor, 0.5)
    return near, factor if 1 - factor > error else 1.0, min(error, 1.0)


def check_largest(largest: int | None, entries: int) -> int:
    """m as given, or all entries.

    Raises:
        ArgumentError: less than 1, or more than there are.
    """
    if largest is None:
        return entries
    largest = check_integer("largest", largest, 1)
    if largest > entries:
        raise argument_error("largest", f"be at most the number of entries, {entries}", largest)
    return largest


def _counts(counts: Any) -> Counts:
    check_unmasked("counts", counts)
    try:
        given = counts.detach().cpu().numpy() if hasattr(counts, "detach") else np.asarray(counts)
    except Exception:  # ragged lists, and objects that make NumPy raise what they like
        given = np.asarray(None)
    must = "be counts of shots: integers of at least 0, shape (n,), at least one above 0"
    if given.ndim != 1 or given.dtype.kind not in "iu" or not given.size:
        raise argument_error("counts", must, shown(counts))
    if given.min() < 0 or given.max() > MOST_SHOTS or not given.any():
        fault = "negative at an index" if given.min() < 0 else "all zero or beyond 10^18"
        raise argument_error("counts", must, fault)
    if float(given.astype(np.float64).sum()) > 9e18:
        raise argument_error("counts", "have a sum that 63 bits hold", "larger together")
    return given.astype(np.int64)
