"""The error that a readout is to be expected to have, of any vector: dense, sparse, heavy-tailed.

In units of its shots an entry is one number, lambda = S x_i^2 / ||x||^2, the counts that it
expects, and its error is one function of it. So a vector is taken to a histogram over lambda.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import chndtr, gammaln
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._arrays import Floats
from qdescent._checks import argument_error, check_integer, check_interval, shown
from qdescent._evidence import Evidence, Row
from qdescent.quantum.readout.largest import check_largest
from qdescent.quantum.readout.limits import LEAST_EPSILON, MOST_SHOTS
from qdescent.rows import names

# Above so many expected counts an entry's error is its limit 1/4 to a part in a thousand; entries
# on both sides of a threshold that high are told apart by their counts.
WELL_SEEN = 200.0
MOST_EXPECTED = 2 * WELL_SEEN  # the table goes further: no threshold below WELL_SEEN reaches it
LEAST_EXPECTED = 1e-12


def expected_error(vector: Any, shots: int, largest: int | None = None) -> Row:
    """The relative l2 error to be expected of a readout: the root of the mean square.

        E ||read - x||^2 / ||x||^2 = (1/S) sum_i e(S p_i),   p_i = x_i^2 / ||x||^2,

        e(L) = sum_c Poisson(c; L) [ R (sqrt c - sqrt L)^2 + W (sqrt c + sqrt L)^2 + (1-R-W) L ],

    where R and W are the chances that the sign shots say the right sign and the wrong one: with
    plus ~ Poisson((sqrt L + sqrt c)^2/4) and minus ~ Poisson((sqrt L - sqrt c)^2/4), R = P(plus >
    minus), W = P(plus < minus); a tie reads 0. The norm is in it: the fixed number of shots takes
    away what its own scatter brings, from some five shots on. Of fewer it is too small, for the
    mean square of the norm that is read is S/(S - 1) times its own: twice at two shots, and at one
    it does not exist.

    An entry that is seen often has e = 1/4, one that is hardly seen e = 1.36 L: it adds no more
    than it holds. So k entries of one size cost sqrt(k/(4 S)) once S is well above k, and zeros
    cost nothing: sqrt(n/(4 S)) would be sqrt(n/k) times too large.

    With `largest` = m the counts that are not among the m largest are left out, and add L.

    Args:
        vector: x, (n,), or anything with `.answer` or `.value`; of a `Readout` its own vector.
            `torch.ones(k)` stands for k entries of one size.
        shots: S for the magnitudes; as many again go to the signs.
        largest: m; None: all.

    Raises:
        ArgumentError: as `read_out`; a vector that is zero.

    Cost: O(n log n).

    Example:
        >>> import torch
        >>> round(expected_error(torch.ones(400), shots=10**6).value, 5)  # sqrt(400 / 4e6) = .01
        0.01
        >>> sparse = torch.zeros(40_000)
        >>> sparse[:400] = 1
        >>> round(expected_error(sparse, shots=10**6).value, 5)
        0.01
    """
    shots = check_integer("shots", shots, 1, MOST_SHOTS)
    shares = _shares(vector)
    m = check_largest(largest, len(shares))
    return Row(
        "readout/expected_l2_error",
        math.sqrt(_mean_square(shares, shots, m)),
        "1",
        Evidence.MODELLED,
        "sqrt of the sum of e(S p_i)/S: magnitudes and signs by their counts"
        + ("" if m == len(shares) else f", all but the {m} largest left out"),
    )


def expected_part(state: Tensor, part: int, shots: int, largest: int | None = None) -> float:
    """The same of the first entries of a state alone, relative to their own norm: of the
    displacement where a velocity is read with it.

    The shots that end in a part are the same Poisson counts, S ||u||^2 / ||state||^2 in all.

    Args:
        state: (n,).
        part: how many of its entries.
        shots, largest: of the whole state.
    """
    x = state.double().abs().cpu().numpy()
    if not x[:part].any():
        return 0.0
    if part == len(x):
        return float(expected_error(state, shots, largest).number)
    share = float((x[:part] / x.max()) @ (x[:part] / x.max()) / ((x / x.max()) @ (x / x.max())))
    m = check_largest(largest, len(x))
    inside = int(np.count_nonzero(np.argsort(-x, kind="stable")[:m] < part)) if largest else part
    if inside == 0:
        return 1.0
    return float(expected_error(state[:part], max(1, round(shots * share)), inside).number)


def shots_for(vector: Any, epsilon: float, largest: int | None = None) -> Row:
    """Post-selected shots, for magnitudes and signs together, for which `expected_error` of this
    vector is epsilon.

    Args:
        vector, largest: as for `expected_error`.
        epsilon: relative l2 error, in (0, 1).

    Raises:
        ArgumentError: epsilon is not reached by any number of shots, as what `largest` leaves out
            is longer.

    Example:
        >>> import torch
        >>> shots_for(torch.ones(400), 1e-2).value
        2000000
    """
    epsilon = check_interval("epsilon", epsilon, "(0, 1)")
    if epsilon < LEAST_EPSILON:
        raise argument_error("epsilon", f"be at least {LEAST_EPSILON:g}", epsilon)
    shares = _shares(vector)
    m = check_largest(largest, len(shares))
    left_out = math.sqrt(max(0.0, float(shares[m:].sum())))
    if _mean_square(shares, MOST_SHOTS, m) > epsilon**2:
        if left_out < epsilon:
            raise argument_error("epsilon", f"be one that {MOST_SHOTS:g} shots reach", epsilon)
        must = f"be above {left_out:.3g}, what {m} entries leave out (read more of them)"
        raise argument_error("epsilon", must, epsilon)
    low, high = 1, MOST_SHOTS
    while low < high:  # the error falls with the shots
        middle = (low + high) // 2
        if _mean_square(shares, middle, m) > epsilon**2:
            low = middle + 1
        else:
            high = middle
    return Row(
        names.READOUT_SHOTS,
        2 * low,
        "shots",
        Evidence.MODELLED,
        "the fewest whose expected error is epsilon: magnitudes, and as many for signs",
    )


def vector_of(name: str, solution: Any) -> Tensor:
    """The real vector (n,) that was given as argument `name`, or that a solution holds, dense.

    Raises:
        ArgumentError: complex, of another shape, not finite.
    """
    source = getattr(solution, "answer", getattr(solution, "value", solution))
    source = getattr(source, "vector", source)
    if not isinstance(source, Tensor) or source.ndim != 1 or source.is_complex():
        raise argument_error(name, "hold a real vector of shape (n,)", shown(source))
    return check_tensor(name, source, (None,), sparse=True).to_dense()


def length_of(name: str, source: Tensor) -> float:
    """||x||_2, without overflow or underflow on the way.

    Raises:
        ArgumentError: it is as large as the numbers of its own type, or larger: what is read of it,
            with its noise, could not be returned.
    """
    x = source.cpu().double().numpy()
    scale = float(np.abs(x).max(initial=0))
    length = scale * float(np.linalg.norm(x / scale)) if scale else 0.0
    most = float(torch.finfo(source.dtype).max) / 16
    if not length <= most:
        raise argument_error(name, f"have a norm of at most {most:.1e}", f"of norm {length:.1e}")
    return length


def _shares(vector: Any) -> Floats:
    """p_i from the largest to the smallest."""
    x = np.abs(vector_of("vector", vector).cpu().double().numpy())
    if not x.any():
        raise argument_error("vector", "not be zero", "zero")
    shares = (x / x.max()) ** 2
    sorted_shares: Floats = np.sort(shares / shares.sum())[::-1]
    return sorted_shares


def _mean_square(shares: Floats, shots: int, largest: int) -> float:
    """E ||read - x||^2 / ||x||^2; the shares fall."""
    expected = shares * shots
    sure = int(np.searchsorted(-expected, -MOST_EXPECTED))
    if largest <= sure or expected[largest - 1] > WELL_SEEN:
        return (0.25 * largest + float(expected[largest:].sum())) / shots
    table = _table()
    # The rest as a histogram over the table's lambda; each entry is dealt to its two neighbours.
    rest = expected[sure:]
    faint = float(rest[rest < LEAST_EXPECTED].sum())
    size, first = len(table.log_expected), table.log_expected[0]
    position = np.log(np.maximum(rest, LEAST_EXPECTED)) - first
    position *= (size - 1) / (table.log_expected[-1] - first)
    low = np.minimum(position.astype(np.int64), size - 2)
    upper = position - low
    entries = np.zeros(size)
    entries += np.bincount(low, 1 - upper, size) + np.bincount(low + 1, upper, size)
    kept = _kept(entries, table, largest - sure)
    each = (table.chance * (kept * table.error + (1 - kept) * table.expected[:, None])).sum(1)
    return (0.25 * sure + float(entries @ each) + faint) / shots


class _Table(NamedTuple):
    """e by the counts: lambda by rows, counts from 0 by columns."""

    expected: Floats
    log_expected: Floats
    chance: Floats  # Poisson(c; lambda)
    error: Floats  # of an entry of lambda that was counted c times, its sign measured


@cache
def _table() -> _Table:
    log_expected = np.linspace(math.log(LEAST_EXPECTED), math.log(MOST_EXPECTED), 300)
    expected = np.exp(log_expected)
    most = int(MOST_EXPECTED + 10 * math.sqrt(MOST_EXPECTED))
    counts = np.arange(most + 1)
    amplitude, measured = np.sqrt(expected)[:, None], np.sqrt(counts)[None]
    chance = np.exp(
        counts[None] * log_expected[:, None] - expected[:, None] - gammaln(counts + 1)[None]
    )
    plus, minus = (amplitude + measured) ** 2 / 4, (amplitude - measured) ** 2 / 4
    # of Skellam's difference, by the non-central chi-square distribution; beyond, exp(-60) is 0
    wrong, right = np.zeros_like(plus), np.ones_like(plus)
    doubtful = (np.minimum(amplitude, measured) ** 2 < 60) & (chance > 1e-20)
    wrong[doubtful] = chndtr(2 * minus[doubtful], 2, 2 * plus[doubtful])
    right[doubtful] = chndtr(2 * plus[doubtful], 2, 2 * minus[doubtful])
    wrong[:, 0] = right[:, 0] = 0  # unseen: nothing to give a sign to
    error = (
        right * (measured - amplitude) ** 2
        + wrong * (measured + amplitude) ** 2
        + (1 - right - wrong) * amplitude**2
    )
    return _Table(expected, log_expected, chance, error)


def _kept(entries: Floats, table: _Table, largest: int) -> Floats:
    """The chance that a count is among the m largest: 1 above a threshold, 0 below, and at it what
    makes them m.
    """
    by_count = entries @ table.chance  # entries to be expected at each count
    above = np.cumsum(by_count[::-1])[::-1]  # ... at it or more
    kept = np.zeros(len(by_count))
    threshold = max(1, int(np.count_nonzero(above >= largest)) - 1) if above[1] > largest else 1
    kept[threshold + 1 :] = 1
    higher = float(above[threshold + 1]) if threshold + 1 < len(above) else 0.0
    kept[threshold] = min(1.0, (largest - higher) / max(float(by_count[threshold]), 1e-300))
    return kept
