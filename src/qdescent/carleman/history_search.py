"""The unit and the padding of fewest queries, among those that are tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qdescent._arrays import Floats
from qdescent.carleman.majorant import Majorant

FINEST = 2**0.125  # two units this close differ by less than a per cent in queries
FAILED = float("inf")


@dataclass(frozen=True, eq=False)
class HistorySearch:
    """Queries by unit and padding; units relative to the one that the majorant was made in.

    Args:
        bound: the majorant.
        weights: squared norms of z_t by the number of letters u, (T + 1, N).
        end: ||u_T||^2.
        queries: of one solve, from kappa; not decreasing.
        exponent: of the probability: 1/2 where amplitude amplification repeats, 1 where measuring.
        fixed: the padding; None: the best.
        largest: padding that is tried.

    What is dearer than the best so far is left as soon as a Rayleigh quotient shows it: nothing
    that is found depends on it.
    """

    bound: Majorant
    weights: Floats
    end: float
    queries: Callable[[float], float]
    exponent: float
    fixed: int | None
    largest: int

    @cached_property
    def _kappas(self) -> dict[tuple[float, int], float]:
        return {}

    @cached_property
    def _found(self) -> dict[float, tuple[float, int]]:
        return {}

    def probability(self, unit: float, copies: int) -> float:
        letters = 2.0 * np.arange(1, self.weights.shape[1] + 1)
        states = (self.weights / unit**letters).sum(1)
        end = self.end / unit**2
        return float((copies + 1) * end / (states[:-1].sum() + (copies + 1) * states[-1]))

    def total(self, unit: float, copies: int, beat: float = FAILED) -> float:
        """Queries until u_T is found; infinite where they are seen to be more than `beat`."""
        share = self.probability(unit, copies) ** self.exponent
        if (unit, copies) in self._kappas:
            kappa = self._kappas[unit, copies]
        else:
            kappa = self.bound.kappa(copies, unit, lambda least: self.queries(least) / share > beat)
            if math.isfinite(kappa):
                self._kappas[unit, copies] = kappa
        return self.queries(kappa) / share if math.isfinite(kappa) else FAILED

    def best(self, units: Sequence[float]) -> float:
        """The unit of fewest queries, the first of equal ones."""
        beat = min((self._found[unit][0] for unit in units if unit in self._found), default=FAILED)
        found, least = units[0], FAILED
        for unit in units:
            here = self.least(unit, beat)[0]
            if here < least:
                found, least = unit, here
            beat = min(beat, here)
        return found

    def refined(self, unit: float) -> float:
        """The best of the units around, an eighth of an octave apart."""
        step = 2**0.5
        while step >= FINEST:
            unit, step = self.best((unit / step, unit, unit * step)), step**0.5
        return unit

    def walked(self, unit: float) -> float:
        """Octave by octave from a unit, for as long as it needs fewer queries."""
        while True:
            near = self.best((unit, unit / 2, unit * 2))
            if near == unit:
                return unit
            unit = near

    def least(self, unit: float, beat: float = FAILED) -> tuple[float, int]:
        """(queries, p) at the best padding: on powers of two, then by halves of the distance.

        Infinite where no padding needs fewer queries than `beat`: kappa without copies is the
        least, and no number of them finds the end more often than `_most_found`.
        """
        if unit in self._found:
            return self._found[unit]
        if self.fixed is not None:
            best = (self.total(unit, self.fixed, beat), self.fixed)
        else:
            best = self._padded(unit, beat)
        if math.isfinite(best[0]) or beat == FAILED:
            self._found[unit] = best
        return best

    def _padded(self, unit: float, beat: float) -> tuple[float, int]:
        most = self.largest
        share = self.probability(unit, 0) / self._most_found(unit)
        first = self.total(unit, 0, beat / share**self.exponent)
        best, rises = (first, 0), 0
        if not math.isfinite(first):
            return best
        for p in (2**k for k in range(most.bit_length())):
            here = self.total(unit, p, best[0]), p
            rises = 0 if here <= best else rises + 1
            best = min(best, here)
            if rises > 2:  # further copies cost more than they find
                break
        reach = best[1] // 2
        while reach:
            near = [p for p in (best[1] - reach, best[1] + reach) if 0 <= p <= most]
            best = min([best, *((self.total(unit, p, best[0]), p) for p in near)])
            reach //= 2
        return best

    def _most_found(self, unit: float) -> float:
        """The probability of ever more copies."""
        letters = 2.0 * np.arange(1, self.weights.shape[1] + 1)
        end = float((self.weights[-1] / unit**letters).sum())
        return self.end / unit**2 / end
