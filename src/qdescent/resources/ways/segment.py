"""The ways without a linear system: a segment fast-forwarded by polynomials of H, and gradient
flow by unitary evolutions.

    u_1(T) = sum_{t<T} y^t F_0,   y = F_1 = c + a s,   |s| <= 1 on the encoding
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.fft import dct

from qdescent._arrays import Floats
from qdescent._evidence import Evidence, derived
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.last_state import chebyshev_history, linear_combination_of_simulations
from qdescent.resources.ways.way import SEGMENT, Way

FAST_FORWARD, FLOW, CHEBYSHEV = "fast_forward", "gradient_flow", "chebyshev_history"
SUBNORMALISATION = 0.98  # of a circuit's polynomials, as solvers/ has it
SHIFTS = 8  # between 0 and the largest eigenvalue that are tried
_POINTS = 64  # of a cosine transform; doubled until the last quarter is rounding
_EXACT_STEPS = 10**6  # beyond, the degree is that of the bound on the tail
NODES_SHARE = 16  # of the tolerance: what each polynomial of a node may miss
_FEW, _STEPS_LIMIT = 1e-3, 1e15
_LEAST_SCALE = 1e-12  # of a map that is a number
_TINY = 2e-15  # a Chebyshev coefficient below it is rounding


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
class SegmentPolynomial:
    """sum_{t<T} (c + a s)^t, cut.

    Args:
        shift, scale: c, a.
        degree: d.
        supremum: on [-1, 1]: of the whole series, as all its coefficients are positive.
    """

    shift: float
    scale: float
    degree: int
    supremum: float


@lru_cache(maxsize=4096)
def segment_polynomial(
    steps: int, shift: float, scale: float, tolerance: float
) -> SegmentPolynomial:
    """The least degree at which the dropped Chebyshev coefficients add up to the tolerance.

    Args:
        steps: T.
        shift: c.
        scale: a.
        tolerance: absolute.

    Cost: a cosine transform of some d points. Beyond 10^6 steps d is the bound
        sqrt(2 T v ln(2 p(1)/tolerance)), v = a/(c + a): the coefficients are the chances of a
        random walk of T steps of variance v.

    Example:
        >>> [segment_polynomial(T, 0.0, 1.0, 1e-3 * T).degree for T in (100, 400, 1600)]
        [27, 55, 110]
    """
    return segment_polynomials(steps, (shift,), (scale,), tolerance)[0]


def segment_polynomials(
    steps: int, shifts: Sequence[float], scales: Sequence[float], tolerance: float
) -> list[SegmentPolynomial]:
    """`segment_polynomial` of several shifts, with their transforms at once."""
    both = list(zip(shifts, scales, strict=True))
    c, a = np.array(shifts)[:, None], np.array(scales)[:, None]
    suprema = _sums((c + a)[:, 0], steps)
    degrees = np.full(len(both), steps)  # where a sum overflows
    open_ = np.flatnonzero(np.isfinite(suprema))
    if steps > _EXACT_STEPS:
        for i in open_:
            variance = both[i][1] / sum(both[i])
            reach = math.sqrt(2 * steps * variance * math.log(2 * suprema[i] / tolerance))
            degrees[i] = max(1, min(math.ceil(reach), steps - 1))
        open_ = open_[:0]
    points = _POINTS
    while len(open_):
        found = np.abs(dct(_sums(c[open_] + a[open_] * _cosines(points), steps), type=2) / points)
        found[:, 0] /= 2
        rounding = _TINY * suprema[open_]
        done = found[:, 3 * points // 4 :].max(axis=1) <= rounding
        done |= points >= 2 * steps
        tails = np.cumsum(found[done, ::-1], axis=1)[:, ::-1]
        kept = tails > np.maximum(tolerance, rounding[done] * math.sqrt(points))[:, None]
        # 0 ... the last that is kept: the tails fall
        degrees[open_[done]] = np.clip(kept.sum(axis=1) - 1, 1, steps - 1 or 1)
        open_, points = open_[~done], 2 * points
    return [
        SegmentPolynomial(*each, int(degree), float(supremum))
        for each, degree, supremum in zip(both, degrees, suprema, strict=True)
    ]


@lru_cache(maxsize=64)
def _cosines(points: int) -> Floats:
    found: Floats = np.cos(np.pi * (np.arange(points) + 0.5) / points)
    return found


def _sums(y: Floats, steps: int) -> Floats:
    """sum_{t<T} y^t = (y^T - 1)/(y - 1), for any T."""
    with np.errstate(all="ignore"):
        grown = np.sign(y) ** (steps % 2) * np.exp(steps * np.log(np.abs(y)))
        ratio = (grown - 1) / (y - 1)
    near = np.abs(y - 1) * min(steps, _STEPS_LIMIT) < _FEW
    e = steps * (y - 1)  # T (1 + (T-1)(y-1)/2 + ...)
    return np.where(near, steps * (1 + e / 2 + e * e / 6), ratio)


def planned(spec: RoundSpec) -> tuple[SegmentPolynomial, float]:
    """u_1's polynomial with the shift of least degree times supremum, alpha being `alpha_over_norm`
    ||F_1 - c||; and what it may miss.
    """
    # half is left to a circuit; at order 2 a half of the rest is the nodes'
    share = spec.epsilon / (2 if spec.order == 1 else 4)
    return _planned(spec.steps, *_window(spec), spec.alpha_over_norm, share)


@lru_cache(maxsize=2**12)  # of a sweep, where most inputs leave it alone
def _planned(
    steps: int, low: float, high: float, alpha: float, share: float
) -> tuple[SegmentPolynomial, float]:
    tolerance = share * (steps * _least_mean(low, high, steps))
    centre = (low + high) / 2
    shifts = {0.0, max(0.0, centre), *(k / SHIFTS * high for k in range(SHIFTS + 1) if high > 0)}
    tried = sorted(shifts)
    scales = [alpha * max(abs(low - shift), abs(high - shift)) or _LEAST_SCALE for shift in tried]
    found = segment_polynomials(steps, tried, scales, tolerance)
    return min(found, key=lambda each: each.degree * each.supremum), tolerance


def _window(spec: RoundSpec) -> tuple[float, float]:
    """Least and largest eigenvalue of F_1 = 1 - eta H."""
    assert spec.learning_rate is not None
    assert spec.lambda_min is not None
    assert spec.lambda_max is not None
    return 1 - spec.learning_rate * spec.lambda_max, 1 - spec.learning_rate * spec.lambda_min


def _least_mean(low: float, high: float, steps: int) -> float:
    """min (1/T) |sum_t y^t| over the window; half of the mean's least where it vanishes."""
    found = np.abs(_sums(np.linspace(low, high, 129), steps)) / steps
    return max(float(found.min()), 1 / (2 * steps))


def _fast_forward(spec: RoundSpec) -> Way:
    found, tolerance = planned(spec)
    _, high = _window(spec)
    order = 2 if spec.order > 1 else 1
    # ||u_T|| / ||F_0||, as of a gradient along the flattest directions that do not grow
    length = float(_sums(np.array([min(high, 1.0)]), spec.steps)[0])
    attenuation = found.supremum / SUBNORMALISATION
    coupling = 0.0
    if order == 2 and spec.norms is not None and spec.norms.higher:
        coupling = spec.alpha_over_norm * spec.norms.constant * spec.norms.higher[0]
        attenuation += coupling * second_supremum(found, spec.steps) / SUBNORMALISATION**3
    success = min(1.0, (length / attenuation) ** 2) if math.isfinite(attenuation) else 0.0
    queries = found.degree
    if order == 2:  # inner and outer polynomials of all nodes, as precise as u_1 and more
        nodes = segment_polynomial(spec.steps, found.shift, found.scale, tolerance / NODES_SHARE)
        queries = 2 * nodes.degree + 1 + nodes.degree
    known = derived(Evidence.MODELLED, spec.spectrum_evidence)
    shape = "d" if order == 1 else "2 d_B + 1 + d_A of the nodes, u_1's"
    return Way(
        name=FAST_FORWARD,
        title=f"fast-forwarded, order {order}",
        encoding=SEGMENT,
        queries=float(queries) if success > 0 else math.inf,
        preparations=float(order),
        couplings=order - 1,
        success=success,
        counted=True,
        evidence=known,
        source=f"{shape}, d = {found.degree} of sum y^t, y = {found.shift:.4g} +"
        f" {found.scale:.4g} s on {spec.spectrum_source}; alpha/norm {spec.alpha_over_norm:g}",
        success_source="(||u_T|| / suprema)^2, u_T = T F_0 on the flattest modes that do not grow"
        + ("" if order == 1 or coupling else "; F_2's share left out: no norms"),
    )


def second_supremum(found: SegmentPolynomial, steps: int) -> float:
    """sum_t y^{T-1-t} (sum_{t'<t} y^t')^2 at y = c + a: what all nodes' polynomials add up to."""
    y = found.shift + found.scale
    if abs(y - 1) * steps < _FEW:
        return steps**3 / 3
    with np.errstate(all="ignore"):
        G = found.supremum
        last = float(np.exp((steps - 1) * np.log(y))) if y > 0 else 0.0
        return float(last * G - 2 * steps * last + G) / (y - 1) ** 2


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
