"""The unit and the padding of a history system, chosen together for the fewest queries."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._arrays import Floats
from qdescent._checks import (
    argument_error,
    check_boolean,
    check_callable,
    check_field,
    check_instance,
    check_integer,
    check_interval,
)
from qdescent._evidence import Evidence, Row
from qdescent.carleman.history_search import FAILED, HistorySearch
from qdescent.carleman.majorant import ORDER_LIMIT, history_kappa_bound, majorant
from qdescent.carleman.reachable import check_path, check_terms
from qdescent.carleman.state_norms import letter_weights
from qdescent.linalg.map_norms import MOST_STEPS, MapNorms
from qdescent.linalg.polynomial_terms import check_scale

# units from 1/64 to 64 of the largest displacement: beyond, one degree of words drowns the others
OCTAVES = 6
LARGEST_FACTOR = 16  # p up to 16 T, as of `best_padding`


@dataclass(frozen=True)
class HistoryChoice:
    """The unit and padding that need the fewest queries, and what they cost.

    Args:
        scale: gamma, for `carleman_linearize`.
        padding: p, for `history_system`.
        kappa_bound: `history_kappa_bound` with both.
        probability: chance of finding u_T in one solve, in these units.
        queries: expected queries until it is found.
        unscaled_kappa_bound, unscaled_queries: the same in units of 1, at the best padding there;
            infinite where the bound overflows.
        amplified: True where the success was boosted by amplitude amplification.
        measured: True where the displacements, and with them the probability, were given; otherwise
            they are a model.
    """

    scale: float
    padding: int
    kappa_bound: float
    probability: float
    queries: float
    unscaled_kappa_bound: float
    unscaled_queries: float
    amplified: bool
    measured: bool

    def __post_init__(self) -> None:
        check_field(self, "scale", check_scale)
        check_field(self, "padding", check_integer, 0)
        check_field(self, "probability", check_interval, "(0, 1.000001]")
        for name in ("kappa_bound", "queries"):
            check_field(self, name, check_interval, "(0, inf)")
        for name in ("unscaled_kappa_bound", "unscaled_queries"):
            check_field(self, name, check_interval, "(0, inf]")
        check_field(self, "amplified", check_boolean)
        check_field(self, "measured", check_boolean)

    def rows(self) -> list[Row]:
        """The figures with their evidence."""
        rule = "queries(kappa) / " + ("sqrt(probability)" if self.amplified else "probability")
        bound = "history_kappa_bound of the norms that were given"
        found = "(p+1) ||u_T||^2 / ||Z||^2 in units of gamma, " + (
            "from the displacements that were given"
            if self.measured
            else "u_t = F_1^t u_0 + sum F_1^s F_0 taken at its largest norm"
        )
        facts: list[tuple[str, float, str, Evidence, str]] = [
            ("scale", self.scale, "1", Evidence.MODELLED, f"gamma of the least {rule}"),
            ("padding", self.padding, "steps", Evidence.MODELLED, f"p of the least {rule}"),
            ("kappa_bound", self.kappa_bound, "1", Evidence.BOUNDED, bound),
            ("probability", self.probability, "1", Evidence.MODELLED, found),
            ("queries", self.queries, "queries", Evidence.MODELLED, rule),
            (
                "unscaled_kappa_bound",
                self.unscaled_kappa_bound,
                "1",
                Evidence.BOUNDED,
                f"{bound}, gamma = 1, at its best padding",
            ),
            (
                "unscaled_queries",
                self.unscaled_queries,
                "queries",
                Evidence.MODELLED,
                f"{rule}, gamma = 1, at its best padding",
            ),
        ]
        return [
            Row(f"history/{name}", value, unit, evidence, source)
            for name, value, unit, evidence, source in facts
            if value != FAILED
        ]


def best_history(
    norms: MapNorms,
    order: int,
    steps: int,
    *,
    path: Tensor | None = None,
    grams: Tensor | None = None,
    start: float = 0.0,
    queries: Callable[[float], float] = float,
    amplified: bool = True,
    scale: float | None = None,
    padding: int | None = None,
    largest: int | None = None,
) -> HistoryChoice:
    """The unit gamma and the padding p that minimise queries(kappa) / sqrt(P), or / P.

    kappa is `history_kappa_bound` in units of gamma, and P the probability of finding u_T in the
    state of that system: with displacements d_t = ||u_t|| a word with m letters u has the norm
    (d_t/gamma)^m, so that

        P = (p+1) (d_T/gamma)^2 / (sum_{t<T} ||z_t||^2 + (p+1) ||z_T||^2),
        ||z_t||^2 = sum_{j<=N} ((1 + (d_t/gamma)^2)^j - 1).

    A large unit makes P large and couples the degrees by gamma ||F_2||; a small one by
    ||F_0||/gamma. Both are one matrix up to a change of basis, D^-1 M D with D = gamma^m, so that
    the majorant's blocks are computed once.

    Args:
        norms: norms of the map's coefficients.
        order: N.
        steps: T.
        path: ||u_t||, t = 0..T, (T + 1,), where they are known; at most what the norms allow.
        grams: <u_k, u_l> of the order-N series terms at t = 1..T, (T, N, N), from u_0 = 0: then P
            is that of the truncated history itself. At most one of both; without either u_t is
            taken as large as ||F_1^d||, ||F_0|| and `start` allow at order 1.
        start: ||u_0||, 0 right after an upload; for that model only.
        queries: queries of one solve, from kappa; not decreasing.
        amplified: amplitude amplification repeats 1/sqrt(P) times, measuring until it succeeds 1/P
            times.
        scale: a unit that is fixed; None: the best.
        padding: a padding that is fixed; None: the best.
        largest: the largest padding that is tried; None: 16 T.

    Returns:
        HistoryChoice: the least found, on units an eighth of an octave apart.

    Raises:
        ArgumentError: nothing moves (norms, path and start are 0), displacements that the norms
            exclude, or kappa overflows in every unit.

    Cost: some hundred passes of `history_kappa_bound` without its first part: .3 s at T = 20, N =
        2; 10 s at T = 10^4, N = 3.

    References:
        docs/mathematics.md, "Units"; Costa, Schleich, Morales, Berry, arXiv:2312.09518, rescale
        against a cost exponential in N.

    Example:
        >>> norms = MapNorms(constant=0.1, linear=1.0, higher=(1e-4,))
        >>> found = best_history(norms, order=2, steps=64)
        >>> found.queries < found.unscaled_queries / 5
        True
    """
    check_instance("norms", norms, MapNorms)
    order = check_integer("order", order, 1, ORDER_LIMIT)
    steps = check_integer("steps", steps, 1, MOST_STEPS)
    check_callable("queries", queries, "a function of kappa")
    amplified = check_boolean("amplified", amplified)
    # 1. The model in units of its own size, the middle of the range that is searched.
    weights, ends = _state_weights(norms, order, steps, path, grams, start)
    middle, most = float(np.sqrt(ends.max())), LARGEST_FACTOR * steps
    search = HistorySearch(
        majorant(norms.scaled(middle), order, steps),
        weights / middle ** (2 * np.arange(1.0, order + 1)),
        float(ends[-1]) / middle**2,
        lambda kappa: check_interval("queries", queries(kappa), "(0, inf]"),
        0.5 if amplified else 1.0,
        None if padding is None else check_integer("padding", padding, 0, MOST_STEPS),
        most if largest is None else check_integer("largest", largest, 0, most),
    )
    # 2. The unit of fewest queries, each with its best padding: octave by octave, then refined.
    if scale is None and order == 1:
        scale = 1.0  # words of one letter: nothing depends on the unit
    total = FAILED
    if not search.bound.overflows:
        if scale is None:
            unit = search.refined(search.best([2.0**k for k in range(-OCTAVES, OCTAVES + 1)]))
            # Where the model's displacements explode, the best unit is far below the largest.
            if search.least(1 / middle)[0] < search.least(unit)[0]:
                unit = search.refined(search.walked(1 / middle))
        else:
            unit = check_scale("scale", scale, order) / middle
        total, copies = search.least(unit)
    if not math.isfinite(total):
        must = "leave kappa finite in some unit: the history diverges (fewer steps help)"
        raise argument_error("steps", must, f"{steps}")
    # 3. The same in units of 1, to compare with.
    plain, plain_copies = search.least(1 / middle)
    gamma = scale if scale is not None else unit * middle
    return HistoryChoice(
        scale=gamma,
        padding=copies,
        kappa_bound=history_kappa_bound(norms, order, steps, copies, gamma),
        probability=search.probability(unit, copies),
        queries=total,
        unscaled_kappa_bound=search.bound.kappa(plain_copies, 1 / middle),
        unscaled_queries=plain,
        amplified=amplified,
        measured=path is not None or grams is not None,
    )


def _state_weights(
    norms: MapNorms,
    order: int,
    steps: int,
    path: Tensor | None,
    grams: Tensor | None,
    start: float,
) -> tuple[Floats, Floats]:
    """Squared norms of z_t by the number of letters u, (T + 1, N), in units of 1; and ||u_t||^2."""
    if path is not None and grams is not None:
        raise argument_error("grams", "be left out where `path` is given", "given, too")
    if grams is not None:
        given = check_tensor("grams", grams, (steps, order, order)).double().cpu()
        check_terms(norms, given)
        later = np.array([letter_weights(gram) for gram in given])
        ends = np.maximum(given.sum((1, 2)).numpy(), 0.0)
        weights = np.concatenate([np.zeros((1, order)), np.maximum(later, 0.0)])
        ends = np.concatenate([[0.0], ends])
    else:
        if path is None:
            begin = check_interval("start", start, "[0, inf)")
            with np.errstate(all="ignore"):  # what overflows is refused below
                lengths = begin * norms.power_bounds(steps) + norms.drift_bounds(steps)
        else:
            lengths = check_tensor("path", path, (steps + 1,)).double().cpu().numpy()
            if (lengths < 0).any():
                raise argument_error("path", "be norms, at least 0", "negative in a place")
            check_path(norms, lengths)
        words = [sum(math.comb(j, m) for j in range(m, order + 1)) for m in range(1, order + 1)]
        with np.errstate(all="ignore"):
            ends = lengths**2
            weights = np.array(words) * ends[:, None] ** np.arange(1, order + 1)
    if not (np.isfinite(weights).all() and ends[-1] > 0):
        name = "path" if path is not None else "grams" if grams is not None else "norms"
        must = "be of a displacement that is finite at every step and above 0 at the end"
        raise argument_error(name, must, f"of one that ends at {float(ends[-1]) ** 0.5:g}")
    return weights, ends
