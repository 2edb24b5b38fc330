"""Readout: what measuring a solution gives back, with signs and error bars, at any size."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._arrays import Floats
from qdescent._checks import argument_error, check_integer, check_interval
from qdescent._evidence import Evidence, Row
from qdescent._random import named_numpy_generator
from qdescent.quantum.readout.expected import length_of, vector_of
from qdescent.quantum.readout.largest import (
    check_largest,
    choose_largest,
    chosen_too_large,
    largest_counts,
)
from qdescent.quantum.readout.limits import MOST_SHOTS
from qdescent.quantum.readout.reference import reference_rows
from qdescent.rows import names


@dataclass(frozen=True, kw_only=True, eq=False)
class Readout:
    """An estimate of x in R^n from measurements of |x> = x/||x||.

    Args:
        vector: the estimate, with signs, shape (n,); 0 where nothing was read.
        error: one standard error of each entry, shape (n,); it holds the shot noise, the norm's,
            and the doubt about the sign. Of an entry that was left out, the size it was seen with;
            of one never seen, the 1/sqrt(S) it may have.
        norm: the estimate of ||x||.
        norm_error: one standard error of it.
        shots: post-selected shots spent on magnitudes, and as many again on signs; 0 for the zero
            vector and for a coherent readout.
        support: entries that were read: of those seen, the `largest`.
        missing_norm: length of what was not read, estimated from sign shots, which had no part in
            choosing; 0 where everything was read.
        missing_norm_error: one standard error of it.
        calls: number of calls of the solve and its inverse of a coherent readout; else 0.
    """

    vector: Tensor
    error: Tensor = field(repr=False)
    norm: float
    norm_error: float
    shots: int
    support: int
    missing_norm: float
    missing_norm_error: float
    calls: int

    def __post_init__(self) -> None:
        vector = check_tensor("vector", self.vector, (None,))
        if not bool((check_tensor("error", self.error, tuple(vector.shape)) >= 0).all()):
            raise argument_error("error", "be standard errors, at least 0", "negative at an index")
        for name in ("norm", "norm_error", "missing_norm", "missing_norm_error"):
            object.__setattr__(self, name, check_interval(name, getattr(self, name), "[0, inf)"))
        for name in ("shots", "calls"):
            object.__setattr__(self, name, check_integer(name, getattr(self, name), 0))
        support = check_integer("support", self.support, 0, len(vector))
        object.__setattr__(self, "support", support)

    @property
    def total_shots(self) -> int:
        """Shots for magnitudes and signs together."""
        return 2 * self.shots

    @property
    def missing_share(self) -> float:
        """Share of ||x||^2 that was not read, estimated."""
        return min(1.0, (self.missing_norm / self.norm) ** 2) if self.norm else 0.0

    @property
    def relative_error(self) -> float:
        """||read - x|| / ||x||, estimated from counts alone: the bars of what was read, and what is
        missing. On dense, sparse and heavy-tailed vectors .95 to 1.3 times the truth (tests).
        """
        if not self.norm:
            return 0.0
        read = self.vector != 0
        bars = float((self.error[read].double() / self.norm).square().sum())
        return math.sqrt(bars + self.missing_share)

    @property
    def rows(self) -> tuple[Row, ...]:
        """Shots, what was read and what is missing, and the price of the signs' reference state."""
        n, measured = len(self.vector), Evidence.MEASURED
        error = 0.0
        if self.norm:
            error = 2 * self.missing_norm * self.missing_norm_error / self.norm**2
        found = [
            Row(names.READ_ENTRIES, self.support, "entries", measured, f"read, of {n}"),
            Row(
                names.READ_SHARE, self.support / n, "1", measured, "entries that were read, of all"
            ),
            Row(
                names.MISSING_SHARE,
                self.missing_share,
                "1",
                measured,
                "share of ||x||^2 that was not read, from sign shots outside what was",
                error,
            ),
        ]
        if self.calls:
            source = "of the solve and its inverse, arXiv:2207.08800"
            return (*found, Row("readout/calls", self.calls, "calls", Evidence.MODELLED, source))
        if not self.shots:
            return tuple(found)
        source = "post-selected, for magnitudes and signs together"
        return (
            Row(names.READOUT_SHOTS, self.total_shots, "shots", Evidence.EXACT, source),
            *found,
            *reference_rows(self.support, n, self.shots),
        )


def read_out(
    solution: Any,
    shots: int,
    seed: int = 0,
    largest: int | None = None,
    loss: float | None = None,
) -> Readout:
    """Emulate the measurement of a solution, or of its largest entries.

    Magnitudes: counts ~ Multinomial(S, x_i^2/||x||^2), m_i = sqrt(count_i/S). Signs: from (|0>x +
    |1>m)/sqrt2 with H on the flag, p(0,i) - p(1,i) = x_i m_i/||x||; a tie gives 0, so that no sign
    is favoured. Norm: it is known up to the success probability p of post-selection, and S
    successes take N trials, estimate S/N; for small p, N p ~ Gamma(S), so
    ||x||_hat = ||x|| sqrt(S/G). `expected_error` is the relative l2 error that is to be expected.

    The partial download: with `largest` = m the m largest counts are kept, the others read 0, which
    leaves their weights at the pivot. The reference state then holds these m alone, and the sign
    shots that end outside them, N of S, say what is missing: 2 N/S of ||x||^2. The counts that
    chose would make it too small; and where the sign shots show that the least of those chosen are
    too large by the choice itself, they are scaled back (`chosen_too_large`).

    Args:
        solution: a tensor (n,), or anything with `.answer` or else `.value`, such as a `Solution`.
        shots: S, post-selected shots for magnitudes; as many again go to signs.
        seed: seed of the draw; the same seed gives the same readout.
        largest: m; None: all that were seen.
        loss: share of ||x||^2 that may stay unread, from which m is chosen (`choose_largest`) in
            place of `largest`.

    Returns:
        Readout: on the dtype and device of the input. The zero vector is returned as such, without
            shots.

    Raises:
        ArgumentError: NaN or infinity, a complex or not one-dimensional vector, fewer than 1 shot,
            m > n, both m and a loss.

    Cost: O(n) whatever S: a binomial draw for each entry, and two for each that is read.

    References:
        Kerenidis, Prakash, arXiv:1812.03584, algorithm 4.1 (vector state tomography).

    Example:
        >>> found = read_out(torch.tensor([3.0, -4.0], dtype=torch.float64), shots=10**8)
        >>> [round(x, 2) for x in found.vector.tolist()]
        [3.0, -4.0]
        >>> x = torch.tensor([3.0, -4.0, 0.5], dtype=torch.float64)
        >>> found = read_out(x, shots=10**8, largest=2)
        >>> [round(x, 2) for x in found.vector.tolist()], round(found.missing_norm, 2)
        ([3.0, -4.0, 0.0], 0.5)
    """
    shots = check_integer("shots", shots, 1, MOST_SHOTS)
    source = vector_of("solution", solution)
    x = source.cpu().double().numpy()
    m = check_largest(largest, len(x))
    if loss is not None:
        loss = check_interval("loss", loss, "[0, 1)")
        if largest is not None:
            raise argument_error("loss", "be left out where `largest` is given", loss)
    length = length_of("solution", source)
    if length == 0:
        return nothing_read(source)
    state = x / length
    squares = state**2
    draw = named_numpy_generator(seed, "readout")
    counts = draw.multinomial(shots, _probabilities(squares))
    if loss is not None:
        m = choose_largest(counts, loss, seed)
    kept = largest_counts(counts, m, named_numpy_generator(seed, "ties"))
    # From here on only entries that are kept count: of the sign shots that end outside them nothing
    # but their number is looked at, so that these places are one outcome.
    at = np.flatnonzero(kept)
    counted, everything = counts[at], len(at) == len(x)
    reference = np.sqrt(counted / counted.sum())
    outside = 0.0 if everything else 2 * float(squares.sum(where=~kept))
    both = [outside], (state[at] + reference) ** 2, (state[at] - reference) ** 2
    ended = draw.multinomial(shots, _probabilities(np.concatenate(both)))
    plus, minus = ended[1:].reshape(2, -1)
    norm = length * math.sqrt(shots / draw.gamma(shots))
    # A magnitude has the standard error sqrt((1 - m^2)/(4S)), an unseen entry may be as large as
    # 1/sqrt(S); the norm adds m/(2 sqrt S); a sign that is wrong with probability q moves the entry
    # by 2m.
    magnitude, shot_noise = np.sqrt(counted / shots), np.full(len(at), 0.25 / shots)
    wrong = ndtr(-np.abs(plus - minus) / np.sqrt(np.maximum(plus + minus, 1)))
    left_out = 0 if everything else int(counts.max(where=~kept, initial=0))
    near, factor, factor_error = chosen_too_large(counted, left_out, plus + minus, shots)
    shot_noise[near] += (magnitude[near] * factor_error) ** 2
    magnitude[near] *= factor
    vector, error = np.zeros(len(x)), norm * np.sqrt(np.maximum(counts, 1) / shots)
    vector[at] = norm * np.sign(plus - minus) * magnitude
    error[at] = norm * np.sqrt(shot_noise + 4 * wrong * magnitude**2)
    missing, missing_error = _missing(int(ended[0]), shots, everything)
    return Readout(
        vector=torch.as_tensor(vector, device="cpu").to(source),
        error=torch.as_tensor(error, device="cpu").to(source),
        norm=norm,
        norm_error=norm / (2 * math.sqrt(shots)),
        shots=shots,
        support=len(at),
        missing_norm=norm * missing,
        missing_norm_error=norm * missing_error,
        calls=0,
    )


def nothing_read(source: Tensor) -> Readout:
    """The readout of a zero vector."""
    return Readout(
        vector=torch.zeros_like(source),
        error=torch.zeros_like(source),
        norm=0.0,
        norm_error=0.0,
        shots=0,
        support=0,
        missing_norm=0.0,
        missing_norm_error=0.0,
        calls=0,
    )


def _missing(outside: int, shots: int, everything: bool) -> tuple[float, float]:
    """sqrt(q) and its standard error, for a share q of ||x||^2 of which half shows in each shot."""
    if everything:
        return 0.0, 0.0
    share = min(1.0, 2 * outside / shots)
    # of a binomial count; of none at all, as of one
    error = 2 * math.sqrt(max(outside, 1) * (1 - min(outside, shots - 1) / shots)) / shots
    root = math.sqrt(share)
    return root, error / (2 * root) if root else math.sqrt(error)


def _probabilities(weights: Floats) -> Floats:
    return weights / weights.sum()
