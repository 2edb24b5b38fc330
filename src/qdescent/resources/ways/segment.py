"""The ways without a linear system: a segment fast-forwarded by polynomials of H, and gradient
flow by unitary evolutions.

    u_1(T) = sum_{t<T} y^t F_0,   y = F_1 = c + a s,   |s| <= 1 on the encoding
"""

from __future__ import annotations

import math

import numpy as np

from qdescent._evidence import Evidence, derived
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.last_state import chebyshev_history, linear_combination_of_simulations
from qdescent.resources.ways.segment_plan import SegmentPlan, planned_on
from qdescent.resources.ways.segment_start import flattest, known_start
from qdescent.resources.ways.way import SEGMENT, Way

FAST_FORWARD, FLOW, CHEBYSHEV = "fast_forward", "gradient_flow", "chebyshev_history"
SHIFTS = 8  # between 0 and the largest eigenvalue that are tried
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
    return planned_on(
        tuple(encodings), spec.steps, order, window, spec.epsilon, start, coupling, _longer(spec)
    )


def _longer(spec: RoundSpec) -> float:
    """||u_1 + u_2|| over ||u_1|| at the end, where the displacements were measured."""
    if spec.order == 1 or spec.grams is None or not spec.grams[-1][0][0] > 0:
        return 1.0
    return math.sqrt(max(0.0, float(np.array(spec.grams[-1])[:2, :2].sum())) / spec.grams[-1][0][0])


def _window(spec: RoundSpec) -> tuple[float, float]:
    """Least and largest eigenvalue of F_1 = 1 - eta H."""
    assert spec.learning_rate is not None
    assert spec.lambda_min is not None
    assert spec.lambda_max is not None
    return 1 - spec.learning_rate * spec.lambda_max, 1 - spec.learning_rate * spec.lambda_min


def _fast_forward(spec: RoundSpec) -> Way:
    plan, order = planned(spec), 2 if spec.order > 1 else 1
    known = derived(Evidence.MODELLED, spec.spectrum_evidence)
    shape = "d" if order == 1 else "2 d_B + 1 + d_A of the nodes, u_1's"
    start = "u_T = T F_0 on the flattest modes that do not grow"
    if known_start(spec.norms, spec.steps, _window(spec)) is not None:
        start = "u_T and F_0 as the norms of each step's displacement have them"
    if plan.let_down:
        shape += ", let down beyond the spectrum"
    if plan.floor < 1:
        shape += f", of a start sharpened to {plan.floor:.3g}"
    if order > 1 and spec.grams is None:
        start += ", u_2's own length left out"
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
