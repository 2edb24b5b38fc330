"""The norms of a map's coefficients: all that a bound on its history system needs to know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qdescent._arrays import Floats
from qdescent._checks import (
    argument_error,
    check_field,
    check_integer,
    check_interval,
    check_numbers,
    check_sequence,
    shown,
)

MOST_STEPS = 10**6  # a pass of the majorant is then a matter of a second a word
ROUNDING = 1e-6  # relative, of norms that were computed in single precision
MOST_MOMENTUM_STEPS = 20_000  # the powers of as many 2 x 2 blocks: half a minute


@dataclass(frozen=True, kw_only=True)
class MapNorms:
    """The norms of a map's coefficients, which is all that its majorant knows.

    Args:
        constant: ||F_0||.
        linear: ||F_1||.
        higher: ||F_2||, ||F_3||, ..., spectral norms of the unfoldings n x n^k.
        powers: bounds on ||F_1^d||, d = 0, 1, ..., where they are known and sharper than ||F_1||^d
            (a matrix that is not normal, momentum); further ones follow from ||F_1^{a+b}|| <=
            ||F_1^a|| ||F_1^b||. None: ||F_1||^d.
        drift: bounds on ||sum_{s<t} F_1^s F_0||, t = 0, 1, ..., where they are known: a gradient
            that lies in modes that shrink moves far less than the sum of ||F_1^s|| ||F_0|| has it.
            None: that sum.
        words: norms of what a letter u, t = 0, 1, ... steps later, has of a word of letters w (what
            F_0 takes) and u now, where they are known: for ww, wu, uw, uu, www, ..., all words of
            two letters, of three, and so on. None: sums of products of the others.
    """

    constant: float
    linear: float
    higher: tuple[float, ...] = ()
    powers: tuple[float, ...] | None = None
    drift: tuple[float, ...] | None = None
    words: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        check_field(self, "constant", check_interval, "[0, inf)")
        check_field(self, "linear", check_interval, "[0, inf)")
        higher = check_numbers("higher", self.higher, "[0, inf)", "norms", empty=True)
        object.__setattr__(self, "higher", higher)
        for name in ("powers", "drift"):
            if getattr(self, name) is not None:
                check_field(self, name, check_numbers, "[0, inf)", "norms")
        if self.words is not None:
            rows = check_sequence("words", self.words, tuple, called="tuples")
            # 4, 12, 28, ...: a power of two, less the empty word's and the letters'
            if len(rows) < 4 or (len(rows) + 4) & (len(rows) + 3) or not all(rows):
                must = "hold norms for each word of 2, or of 2 to N letters"
                raise argument_error("words", must, shown(rows))
            words = tuple(check_numbers("words", row, "[0, inf)", "norms") for row in rows)
            object.__setattr__(self, "words", words)
        self._check_beginnings()

    def _check_beginnings(self) -> None:
        """What is known of every map: F_1^0 is the identity, and the first step is F_0."""
        powers, drift, least = self.powers, self.drift, 1 - ROUNDING
        if powers is not None and (
            len(powers) < 2 or powers[0] < least or powers[1] < least * self.linear
        ):
            must = "begin with ||F_1^0|| = 1 and ||F_1||, which is `linear`, or more"
            raise argument_error("powers", must, shown(powers))
        if drift is not None and len(drift) > 1 and drift[1] < least * self.constant:
            must = "begin with 0 and ||F_0||, which is `constant`, or more"
            raise argument_error("drift", must, shown(drift))

    def power_bounds(self, steps: int) -> Floats:
        """Bounds on ||F_1^d||, d = 0 ... T."""
        steps = check_integer("steps", steps, 0, MOST_STEPS)
        if self.powers is None:
            return self.linear ** np.arange(steps + 1.0)
        known = np.array(self.powers)
        last = len(known) - 1
        whole, rest = np.divmod(np.arange(steps + 1), last)
        return known[last] ** whole * known[rest]

    def drift_bounds(self, steps: int) -> Floats:
        """Bounds on ||sum_{s<t} F_1^s F_0||, t = 0 ... T: what is known, and from there on
        ||u(a + b)|| <= ||u(a)|| + ||F_1^a|| ||u(b)||.
        """
        powers = self.power_bounds(steps)
        bounds = self.constant * np.concatenate([[0.0], np.cumsum(powers[:-1])])
        if self.drift is None or len(self.drift) < 2:
            return bounds
        known = min(len(self.drift), steps + 1)
        bounds[:known] = np.minimum(bounds[:known], self.drift[:known])
        last = known - 1
        for begin in range(last, steps, last):
            here = bounds[begin : begin + last + 1]
            np.minimum(here, bounds[begin] + powers[begin] * bounds[: len(here)], out=here)
        return bounds

    def of_word(self, word: Sequence[int]) -> Floats:
        """The entry of `words` for one word, letters 0 for w and 1 for u; empty: not known."""
        letters = check_sequence("word", word, int, called="letters, 0 or 1")
        if not set(letters) <= {0, 1}:
            raise argument_error("word", "have the letters 0 and 1", shown(word))
        place = 2 ** len(letters) - 4 + sum(letter << i for i, letter in enumerate(letters[::-1]))
        if len(letters) < 2 or self.words is None or place >= len(self.words):
            return np.zeros(0)
        return np.array(self.words[place])

    def scaled(self, scale: float) -> MapNorms:
        """Those of the same map in u/gamma: ||F_k|| gamma^{k-1}."""
        scale = check_interval("scale", scale, "(0, inf)")
        if self.constant / scale == float("inf"):
            raise argument_error("scale", "leave ||F_0|| / scale finite", shown(scale))
        return MapNorms(
            constant=self.constant / scale,
            linear=self.linear,
            higher=tuple(norm * scale ** (k - 1) for k, norm in enumerate(self.higher, 2)),
            powers=self.powers,
            drift=None if self.drift is None else tuple(norm / scale for norm in self.drift),
            words=None
            if self.words is None
            else tuple(
                # the word of this place has as many letters u as place + 4 has ones after its first
                tuple(norm * scale ** (bin(place + 4).count("1") - 2) for norm in row)
                for place, row in enumerate(self.words)
            ),
        )


def descent_norms(
    gradient: float, extremes: Sequence[float], higher: Sequence[float], learning_rate: float
) -> MapNorms:
    """The norms of x - eta grad L(x) from those at eta = 1: ||F_0|| and ||F_k|| in proportion, and
    ||F_1|| = max |1 - eta lambda|.

    Args:
        gradient: ||F_0|| at eta = 1.
        extremes: ends of an interval that holds the Hessian's spectrum.
        higher: ||F_2||, ... at eta = 1.
        learning_rate: eta.

    Example:
        >>> descent_norms(2.0, (-1.0, 4.0), (3.0,), 0.5).linear
        1.5
    """
    return MapNorms(
        constant=learning_rate * gradient,
        linear=max(abs(1 - learning_rate * end) for end in extremes),
        higher=tuple(learning_rate * norm for norm in higher),
    )


def momentum_powers(
    low: float, high: float, learning_rate: float, momentum: float, steps: int
) -> tuple[float, ...]:
    """Bounds on ||F_1^d||, d = 0 ... T, of heavy-ball descent whose Hessian has its spectrum in
    [low, high].

    On an eigenvector of H the step is B(lambda) = [[1 - eta lambda, beta], [-eta lambda, beta]],
    and x^T B^d y is a polynomial in lambda of degree d for all x and y. On m Chebyshev nodes of an
    interval a polynomial of degree d < m shows its largest value up to the factor cos(pi d / 2m)
    (Ehlich and Zeller 1964): so does ||B^d||.

    Args:
        low, high: the interval.
        learning_rate: eta.
        momentum: beta.
        steps: T, up to 20,000.

    Cost: about 5 T^2 products of 2 x 2 matrices: 1 s at T = 2,000.

    Example:
        >>> [round(norm, 3) for norm in momentum_powers(0.0, 2.0, 0.1, 0.5, 3)]
        [1.0, 1.165, 1.283, 1.345]
    """
    low = check_interval("low", low, "(-inf, inf)")
    high = check_interval("high", high, f"[{low!r}, inf)")
    learning_rate = check_interval("learning_rate", learning_rate, "(0, inf)")
    momentum = check_interval("momentum", momentum, "[0, 1)")
    steps = check_integer("steps", steps, 1, MOST_MOMENTUM_STEPS)
    found, reach = [1.0], 1
    while len(found) <= steps:
        # a grid for d up to `reach`: the factor stays above cos(pi/16)
        nodes = 8 * reach
        angles = math.pi * (np.arange(nodes) + 0.5) / nodes
        x = learning_rate * ((low + high) / 2 + (high - low) / 2 * np.cos(angles))
        a, b, c, d = np.ones(nodes), np.zeros(nodes), np.zeros(nodes), np.ones(nodes)
        with np.errstate(all="ignore"):
            for power in range(1, min(reach, steps) + 1):
                a, c = (1 - x) * a + momentum * c, momentum * c - x * a
                b, d = (1 - x) * b + momentum * d, momentum * d - x * b
                if power < len(found):
                    continue
                # the larger singular value of [[a, b], [c, d]]
                norm = (np.hypot(a + d, b - c) + np.hypot(a - d, b + c)).max() / 2
                found.append(float(norm) / math.cos(math.pi * power / (2 * nodes)))
        reach *= 2
    return tuple(found)
