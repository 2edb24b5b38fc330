"""How many copies of its end a history system should carry."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_boolean,
    check_callable,
    check_field,
    check_integer,
    check_interval,
    plain_number,
)
from qdescent._evidence import Evidence, Row
from qdescent.linalg.map_norms import ROUNDING

LARGEST_FACTOR = (
    # p up to 16 T: between equal states the end is then found with probability 16/17, and more
    # copies change little
    16
)


MOST_COPIES = 100_000  # the search takes (T + p) p comparisons


@dataclass(frozen=True)
class PaddingChoice:
    """The padding that needs the fewest queries, and what it costs.

    Args:
        padding: p.
        queries: expected queries until the end of the history is found.
        kappa: the bound on the condition number of the history system with this p.
        probability: chance of finding the answer in one solve.
        bare_queries: the same as `queries` for p = 0.
        amplified: True where amplitude amplification boosted the success.
    """

    padding: int
    queries: float
    kappa: float
    probability: float
    bare_queries: float
    amplified: bool

    def __post_init__(self) -> None:
        check_field(self, "padding", check_integer, 0)
        for name in ("queries", "kappa", "bare_queries"):
            check_field(self, name, check_interval, "(0, inf)")
        check_field(self, "probability", check_interval, "(0, 1.000001]")
        check_field(self, "amplified", check_boolean)

    def rows(self) -> list[Row]:
        """The figures with their evidence."""
        rule = "queries(kappa) / " + ("sqrt(probability)" if self.amplified else "probability")
        chain = "power_kappa_bound: (1 + max(||A||, 1 if p)) sum_d max_j ||A^j||"
        return [
            Row("padding/copies", self.padding, "1", Evidence.MODELLED, f"least {rule} over p"),
            Row("padding/queries", self.queries, "queries", Evidence.MODELLED, rule),
            Row(
                "padding/queries without",
                self.bare_queries,
                "queries",
                Evidence.MODELLED,
                rule + ", p = 0",
            ),
            Row("padding/kappa", self.kappa, "1", Evidence.BOUNDED, chain),
            Row(
                "padding/probability",
                self.probability,
                "1",
                Evidence.EXACT,
                "(p+1) ||u_T||^2 / ||Z||^2 from the given norms",
            ),
        ]


def best_padding(
    power_norms: Tensor | float,
    state_norms: Tensor,
    queries: Callable[[float], float] = float,
    amplified: bool = True,
    answer_norm: float | None = None,
    largest: int | None = None,
) -> PaddingChoice:
    """The padding p that minimises queries(kappa(p)) / sqrt(probability(p)), or / probability(p).

    kappa(p) is `power_kappa_bound`; probability(p) = (p+1) ||u_T||^2 / (sum_{t<T} ||z_t||^2 + (p+1)
    ||z_T||^2). Copies help a slow contraction, whose kappa is large anyway, and harm a fast one.

    Args:
        power_norms: bounds on ||A^j||, j = 0..T, (T + 1,); or one number a for ||A^j|| <= a^j.
        state_norms: ||z_t||, t = 0..T, (T + 1,), the last not zero.
        queries: queries of one solve as a function of kappa; not decreasing. The default is kappa
            itself, to which optimal solvers are proportional.
        amplified: amplitude amplification repeats 1/sqrt(probability) times, measuring until it
            succeeds 1/probability times. The default is what a solver that can be run backwards, as
            all of `resources.queries` can, would use. The circuit (`quantum.amplification`) counts
            2r + 1 solves, r = ceil(pi/(4 asin sqrt(probability)) - 1/2): pi/2 times this model for
            small probabilities, at most 3 times.
        answer_norm: ||u_T||, the part of z_T that is the answer. None: all of z_T.
        largest: the largest p that is tried. None: 16 T.

    Returns:
        PaddingChoice. The search ends early where kappa(p) alone already costs more than the best p
        did with its repetitions.

    Raises:
        ArgumentError: shapes that do not fit, ||z_T|| = 0, or nothing finite to compare.

    Cost: (T + p) p comparisons.

    Example:
        >>> [best_padding(growth, torch.ones(129)).padding for growth in (0.65, 0.988)]
        [0, 39]
    """
    z = check_tensor("state_norms", state_norms, finite=False).double()
    if (
        z.ndim != 1
        or len(z) < 2
        or not bool((z >= 0).all())
        or not bool(z.isfinite().all())
        or z[-1] == 0
    ):
        raise argument_error(
            "state_norms", "be T + 1 >= 2 finite norms, the last above zero", state_norms
        )
    check_callable("queries", queries, "a function of kappa")
    amplified = check_boolean("amplified", amplified)
    steps = len(z) - 1
    power_norms = plain_number(power_norms)
    if not isinstance(power_norms, Tensor):
        power_norms = check_interval("power_norms", power_norms, "(0, inf)") ** torch.arange(
            steps + 1, dtype=torch.float64, device="cpu"
        )
    else:
        power_norms = check_tensor("power_norms", power_norms, finite=False)
        if not bool((power_norms >= 0).all()):
            raise argument_error(
                "power_norms", "be norms, at least 0", "negative or NaN in a place"
            )
        if not float(power_norms.flatten()[0]) >= 1 - ROUNDING:
            must = "begin with at least 1, the norm of A^0 = 1"
            raise argument_error("power_norms", must, float(power_norms.flatten()[0]))
    if power_norms.shape != z.shape:
        raise argument_error(
            "power_norms",
            f"have shape ({steps + 1},), as `state_norms` has",
            f"of shape {tuple(power_norms.shape)}",
        )
    end = float(z[-1])
    answer = (
        end if answer_norm is None else check_interval("answer_norm", answer_norm, f"(0, {end!r}]")
    )
    most = LARGEST_FACTOR * steps
    largest = (
        most if largest is None else check_integer("largest", largest, 0, max(most, MOST_COPIES))
    )

    scale = float(z.max())  # squares of the norms themselves could overflow
    before, end, answer = (
        float(((z[:-1] / scale) ** 2).sum()),
        (end / scale) ** 2,
        (answer / scale) ** 2,
    )
    if answer == 0:
        raise argument_error(
            "answer_norm", "have a share of the state that a float can hold", answer_norm
        )
    exponent = 0.5 if amplified else 1.0
    best: PaddingChoice | None = None
    bare = math.inf
    # the largest power norm among p + 1 successive ones: the terms of power_kappa_bound
    windows = power_norms.double()
    for p in range(largest + 1):
        if p:
            outside = windows.new_full((1,), -torch.inf)
            windows = torch.maximum(torch.cat([windows, outside]), torch.cat([outside, windows]))
        kappa = (1 + max(float(power_norms[1]), 1.0 if p else 0.0)) * float(windows.sum())
        if not math.isfinite(kappa):
            break  # it does not fall with p
        probability = (p + 1) * answer / (before + (p + 1) * end)
        one = check_interval("queries", queries(kappa), "(0, inf]")
        total = one / probability**exponent
        bare = total if p == 0 else bare
        if best is None or total < best.queries:
            best = PaddingChoice(p, total, kappa, probability, bare, amplified)
        # the probability of infinitely many copies
        elif one * (end / answer) ** exponent >= best.queries:
            break
    if best is None:
        raise argument_error(
            "power_norms", "leave kappa finite", "of infinite sum: the history diverges"
        )
    return best
