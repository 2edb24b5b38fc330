"""The ways without a linear system: a segment fast-forwarded by polynomials of H, and gradient
flow by unitary evolutions.

    u_1(T) = sum_{t<T} y^t F_0,   y = F_1 = c + a s,   |s| <= 1 on the encoding
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from qdescent._evidence import Evidence, derived
from qdescent.quantum.algorithms.sharpening import WASTED, WORTH, cheapest_place, floor_at
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.last_state import chebyshev_history, linear_combination_of_simulations
from qdescent.resources.ways.segment_polynomial import (
    SegmentPolynomial,
    Shape,
    geometric_sums,
    segment_polynomials,
    shaped_polynomial,
)
from qdescent.resources.ways.segment_start import SUBNORMALISATION, Start, flattest, known_start
from qdescent.resources.ways.way import SEGMENT, Way

FAST_FORWARD, FLOW, CHEBYSHEV = "fast_forward", "gradient_flow", "chebyshev_history"
SHIFTS = 8  # between 0 and the largest eigenvalue that are tried
NODES_SHARE = 16  # of the tolerance: what each polynomial of a node may miss, of any start
# of a known one: the product of three moves by so many times what each misses, twice (half of the
# tolerance is that of the nodes' number); and the most that one may miss, as circuits have it
MOVED, MOST_MISSED = 6.2, 1e-2
_FEW = 1e-3
_LEAST_SCALE = 1e-12  # of a map that is a number


def segment_ways(spec: RoundSpec) -> list[Way]:
    """Fast-forward of order 1 or 2; at order 1 also gradient flow and a history of Chebyshev
    polynomials. None of them without the interval of the spectrum, or with a batch a step.

    Example:
        >>> one = RoundSpec(
        ...     n=100, parameters=1000, order=1, steps=100, padding=0, kappa=200.0, sparsity=5,
        ...     batch=5, forward_macs=1000, learning_rate=0.1, lambda_min=0.0, lambda_max=2.0
        ... )
        >>> way = segment_ways(one)[0]
        >>> way.name, way.queries < 25
        ('fast_forward', True)
    """
    if spec.learning_rate is None or spec.fresh_batches:
        return []
    forwarded = _fast_forward(spec)
    return [forwarded, *(_by_evolution(spec) if spec.order == 1 else [])]


@dataclass(frozen=True)
class SegmentPlan:
    """What one run of a fast-forwarded segment takes.

    Args:
        first: u_1's polynomial, over g of a start that was sharpened.
        queries: of a run.
        preparations: of F_0.
        success: probability that a run gives u_T.
        floor: g at s = -1; 1: the start is as it was given.
    """

    first: SegmentPolynomial
    queries: int
    preparations: int
    success: float
    floor: float

    @property
    def cost(self) -> float:
        """Queries until success, amplified or repeated, whichever takes fewer."""
        if self.success <= 0:
            return math.inf
        angle = math.asin(math.sqrt(min(1.0, self.success)))
        return self.queries * min(1 / self.success, math.pi / (2 * angle))


def planned(spec: RoundSpec) -> SegmentPlan:
    """The segment as a circuit plans it: c of least degree times supremum, alpha being
    `alpha_over_norm` ||F_1 - c||. Where norms say what F_0 is made of, as of a map that is there,
    also polynomials that end with the spectrum where their series waste more than half, and a
    sharper start where much of them is unused.
    """
    window = low, high = _window(spec)
    start = known_start(spec.norms, spec.steps, window) or flattest(window)
    coupling = 0.0
    if spec.order > 1 and spec.norms is not None and spec.norms.higher:
        coupling = spec.alpha_over_norm * spec.norms.constant * spec.norms.higher[0]
    shifts = {0.0, max(0.0, (low + high) / 2)}
    shifts |= {k / SHIFTS * high for k in range(SHIFTS + 1) if high > 0}
    encodings = [
        (c, spec.alpha_over_norm * max(abs(low - c), abs(high - c)) or _LEAST_SCALE)
        for c in sorted(shifts)
    ]
    order = min(spec.order, 2)
    return planned_on(tuple(encodings), spec.steps, order, window, spec.epsilon, start, coupling)


@lru_cache(maxsize=2**12)  # of a sweep, where most inputs leave it alone
def planned_on(
    encodings: tuple[tuple[float, float], ...], steps: int, order: int,
    window: tuple[float, float], epsilon: float, start: Start, coupling: float,
) -> SegmentPlan:  # fmt: skip
    """The cheapest plan on one of these encodings.

    Args:
        encodings: c and a of each.
        steps, order: T, N.
        window: the least and the largest eigenvalue of F_1.
        epsilon: relative, of u_T.
        start: F_0 by modes.
        coupling: of ||F_0|| F_2, as it is normalised.
    """
    low, high = window
    # half is left to a circuit; at order 2 a half of the rest is the nodes'
    tolerance = epsilon / (2 * order) * (steps * _least_mean(low, high, steps))
    shifts, scales = zip(*encodings, strict=True)
    series = segment_polynomials(steps, shifts, scales, tolerance)
    best = min(series, key=lambda each: each.degree * each.supremum)
    largest = max(abs(low), abs(high))
    size, node = _sum_at(largest, steps), tolerance / NODES_SHARE
    if order == 2 and start.is_known:
        wanted = MOVED * coupling * second_supremum(largest, steps)
        node = size * min(MOST_MISSED, tolerance / wanted if wanted > 0 else MOST_MISSED)

    def at(found: SegmentPolynomial, end: tuple[float, float] | None, place: int) -> SegmentPlan:
        floor = floor_at(place)
        c, a = found.shift, found.scale
        begin = start.sharpened(c, a, floor)

        def made(missed: float, floor: float) -> SegmentPolynomial | None:
            return shaped_polynomial(steps, c, a, missed, Shape(end, floor))

        same = end is None and floor == 1
        first = found if same else made(tolerance / begin.length, floor)
        if first is None:
            return _IMPOSSIBLE
        attenuation = begin.length * first.supremum / SUBNORMALISATION
        queries, copies = begin.queries + first.degree, 1
        if order == 2:
            inner, outer = made(node / begin.length, floor), made(node, 1.0)
            if inner is None or outer is None:
                return _IMPOSSIBLE
            # a node of fewer steps is let down as far above its own modulus as one of all
            y = c + a if end is None else largest
            whole = _sum_at(y, steps)
            share = second_supremum(y, steps) * (outer.supremum / whole)
            share *= (begin.length * inner.supremum / whole) ** 2
            attenuation = attenuation / begin.overlap + coupling * share / SUBNORMALISATION**3
            queries = 2 * (begin.queries + inner.degree) + 1 + max(first.degree, outer.degree)
            copies = 2
        reached = start.length(geometric_sums(start.values, steps))
        success = min(1.0, (reached / attenuation) ** 2) if math.isfinite(attenuation) else 0.0
        return SegmentPlan(first, queries, copies * max(1, begin.queries), success, floor)

    ends: list[tuple[SegmentPolynomial, tuple[float, float] | None]] = [(best, None)]
    if start.is_known and best.supremum > WASTED * size:
        ends += [(each, window) for each in series if each.shift >= best.shift / 2]
    return min(
        (_sharpest(start, steps, partial(at, *each)) for each in ends), key=lambda plan: plan.cost
    )


_IMPOSSIBLE = SegmentPlan(SegmentPolynomial(0.0, 1.0, 1, math.inf), 1, 1, 0.0, 1.0)


def _sharpest(start: Start, steps: int, at: Callable[[int], SegmentPlan]) -> SegmentPlan:
    """The cheapest floor: halves as long as they help, then the roots between."""
    plain = at(0)
    reached = start.length(geometric_sums(start.values, steps))
    if not start.is_known or plain.success == 0 or plain.first.supremum < WORTH * reached:
        return plain
    return cheapest_place(at)


def _window(spec: RoundSpec) -> tuple[float, float]:
    """Least and largest eigenvalue of F_1 = 1 - eta H."""
    assert spec.learning_rate is not None
    assert spec.lambda_min is not None
    assert spec.lambda_max is not None
    return 1 - spec.learning_rate * spec.lambda_max, 1 - spec.learning_rate * spec.lambda_min


def _least_mean(low: float, high: float, steps: int) -> float:
    """min (1/T) |sum_t y^t| over the window; half of the mean's least where it vanishes."""
    found = np.abs(geometric_sums(np.linspace(low, high, 129), steps)) / steps
    return max(float(found.min()), 1 / (2 * steps))


def _fast_forward(spec: RoundSpec) -> Way:
    plan, order = planned(spec), 2 if spec.order > 1 else 1
    known = derived(Evidence.MODELLED, spec.spectrum_evidence)
    shape = "d" if order == 1 else "2 d_B + 1 + d_A of the nodes, u_1's"
    start = "u_T = T F_0 on the flattest modes that do not grow"
    if known_start(spec.norms, spec.steps, _window(spec)) is not None:
        start = "u_T and F_0 as the norms of each step's displacement have them"
    if plan.floor < 1:
        shape += f", of a start sharpened to {plan.floor:.3g}"
    coupled = order == 1 or (spec.norms is not None and spec.norms.higher)
    first = plan.first
    return Way(
        name=FAST_FORWARD,
        title=f"fast-forwarded, order {order}",
        encoding=SEGMENT,
        queries=float(plan.queries) if plan.success > 0 else math.inf,
        preparations=float(plan.preparations),
        couplings=order - 1,
        success=plan.success,
        counted=True,
        evidence=known,
        source=f"{shape}, d = {first.degree} of sum y^t, y = {first.shift:.4g} +"
        f" {first.scale:.4g} s on {spec.spectrum_source}; alpha/norm {spec.alpha_over_norm:g}",
        success_source=f"(||u_T|| / suprema)^2, {start}"
        + ("" if coupled else "; F_2's share left out: no norms"),
    )


def second_supremum(y: float, steps: int) -> float:
    """sum_t y^{T-1-t} (sum_{t'<t} y^t')^2: what all nodes' polynomials add up to where sum_t y^t is
    that of all steps.
    """
    if abs(y - 1) * steps < _FEW:
        return steps**3 / 3
    with np.errstate(all="ignore"):
        G = _sum_at(y, steps)
        last = float(np.exp((steps - 1) * np.log(y))) if y > 0 else 0.0
        return float(last * G - 2 * steps * last + G) / (y - 1) ** 2


def _sum_at(y: float, steps: int) -> float:
    return float(geometric_sums(np.array([y]), steps)[0])


def _by_evolution(spec: RoundSpec) -> list[Way]:
    assert spec.learning_rate is not None
    assert spec.lambda_min is not None
    assert spec.lambda_max is not None
    size = max(abs(spec.lambda_min), abs(spec.lambda_max), 1e-300)
    alpha, epsilon = spec.alpha_over_norm, spec.epsilon
    flow = linear_combination_of_simulations(
        alpha * size, spec.learning_rate * spec.steps, epsilon, 1.0
    )
    chebyshev = chebyshev_history(alpha, float(spec.steps), epsilon, 1.0, 1.0)
    grown = max(0.0, -spec.lambda_min * spec.learning_rate * spec.steps)
    ways = []
    for name, title, cost, lost in (
        (FLOW, "gradient flow by unitary evolutions", flow, math.exp(-2 * min(grown, 300.0))),
        (CHEBYSHEV, "history of Chebyshev polynomials", chebyshev, 1.0),
    ):
        ways.append(
            Way(
                name=name, title=title, encoding=SEGMENT, queries=cost.queries,
                preparations=cost.preparations, success=lost, counted=False,
                evidence=Evidence.MODELLED, source=cost.source,
                success_source="put at 1, less what the shift of a negative mode costs",
            )
        )  # fmt: skip
    return ways
