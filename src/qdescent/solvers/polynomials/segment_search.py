"""The plan of a segment that takes the fewest queries until it succeeds: which c, which sharper
start, which points in time.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from qdescent._arrays import Floats
from qdescent._checks import argument_error
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.algorithms.bounded_polynomials import bounded
from qdescent.quantum.algorithms.node_polynomials import NodeSums, choose_nodes, weighed
from qdescent.quantum.algorithms.rounds import runs_needed
from qdescent.quantum.algorithms.sharpening import WORTH, cheapest_place, floor_at, is_wasted
from qdescent.quantum.tables.balanced import PAIRS_UP_TO
from qdescent.quantum.tables.perron import absolute_norm
from qdescent.solvers.encodings import MatrixEncoding
from qdescent.solvers.polynomials.matrix_route import apply_plan
from qdescent.solvers.polynomials.segment_parts import (
    LARGEST_DENSE,
    best_shift,
    coupling_of,
    extremes,
    least_mean,
    letters_of,
    linear_part,
    points_of,
)
from qdescent.solvers.polynomials.segment_plan import SegmentPlan
from qdescent.solvers.polynomials.sharpened_start import sharpened

MOST_GROWTH = 1e6  # of a mode: beyond it the polynomials' suprema are all that is left
MOST_ATTENUATION = 1e100  # beyond, one run in 1e200 succeeds, and amplitudes round to nothing


def plan_segment(
    f: PolynomialMap,
    steps: int,
    order: int,
    epsilon: float,
    nodes: int | None,
    encoding: MatrixEncoding,
) -> SegmentPlan:
    """The polynomials for u_T within epsilon of it, half of which is left to a circuit.

    Args:
        f: F_1 symmetric.
        steps: T.
        order: 1 or 2.
        epsilon: relative.
        nodes: R; None: as many as epsilon asks for.
        encoding: of F_1 - c.

    Raises:
        ArgumentError: F_1 not symmetric, F_0 = 0, a mode that grows beyond 1e6.
    """
    step, start, length = linear_part(f)
    window = extremes(step)
    if max(abs(y) for y in window) > MOST_GROWTH ** (1 / steps):
        largest = max(window, key=abs)
        must = (
            f"keep every mode's growth within {MOST_GROWTH:.0e} (take fewer steps or a smaller"
            " learning rate)"
        )
        raise argument_error("steps", must, f"{steps} steps with an eigenvalue {largest:.6g}")
    # of more weights the largest eigenvalue is seen from inside: nothing may end there
    ends = (None,) if len(start) > LARGEST_DENSE else (None, window)
    asked = _Asked(step, start, length, window, steps, f, order, epsilon, nodes, encoding)
    plans = list[_Priced]()
    for end in ends:
        with suppress(OverflowError):
            plans.append(_planned(asked, end))
        tops = (priced.plan.shift + priced.plan.alpha for priced in plans)
        beyond = max(tops, default=math.inf) - window[1]
        if not is_wasted(steps, beyond):
            break
    if not plans:
        must = "leave polynomials of F_1 within floats (its moduli allow too much: take fewer)"
        raise argument_error("steps", must, steps)
    return min(plans, key=lambda priced: priced.cost).plan


@dataclass(frozen=True, eq=False)
class _Asked:
    """A map and what is wanted of it."""

    step: sparse.csr_array
    start: Floats
    length: float
    window: tuple[float, float]
    steps: int
    f: PolynomialMap
    order: int
    epsilon: float
    nodes: int | None
    encoding: MatrixEncoding


@dataclass(frozen=True, eq=False)
class _Priced:
    """A plan; whether it misses epsilon, and its queries until success."""

    plan: SegmentPlan
    cost: tuple[bool, float]


def _priced(plan: SegmentPlan, epsilon: float, length: float) -> _Priced:
    """Repeated, or amplified, whichever takes fewer queries; `length` is ||u_T|| over ||F_0||."""
    probability = min(1.0, length / plan.attenuation) ** 2
    cost = plan.queries * runs_needed(probability)
    return _Priced(plan, (plan.error > epsilon * plan.least, cost))


def _planned(asked: _Asked, end: tuple[float, float] | None) -> _Priced:
    """The plan whose polynomials are bounded beyond the window `end`, or cut series (None): of the
    start as it is, and where much of p is not in it, of the best sharper one.

    Raises:
        OverflowError: polynomials, or what they take from the amplitudes, are beyond floats.
    """
    step, steps, window = asked.step, asked.steps, asked.window
    least = steps * least_mean(window, steps)
    coupling = None
    if asked.order > 1 and asked.f.degree > 1 and steps > 1:
        coupling = coupling_of(asked.f, asked.length)
    half, ones = asked.epsilon / 2 * least, np.ones(steps)
    allowed = half if coupling is None else half / 2
    shift, encoded, first = best_shift(
        step, asked.start, asked.encoding, lambda c, a: bounded(ones, c, a, half, end)
    )
    matrix = sparse.csr_array(step - shift * sparse.eye_array(len(asked.start)))
    start = sharpened(matrix, encoded.alpha, asked.start, 1.0)
    plan = SegmentPlan(
        steps, asked.length, start, window, shift, encoded, matrix, first, (), (), 0,
        coupling, 0.0, least, first.error, True,
    )  # fmt: skip
    sums = None
    if coupling is not None:
        size = float(sparse.linalg.norm(coupling))
        points = points_of(step, window)
        count, rule, missed = choose_nodes(steps, points, allowed / 2 / size, asked.nodes)
        by_letters = len(asked.start) > PAIRS_UP_TO
        norm = absolute_norm(letters_of(coupling) if by_letters else abs(coupling)).alpha
        resolved = missed * size <= allowed / 2
        plan = replace(
            plan, nodes=count, coupling_norm=norm, by_letters=by_letters, resolved=resolved,
            error=missed * size,
        )  # fmt: skip
        sums = NodeSums(
            rule, steps, shift, encoded.alpha, points, end, allowed, allowed / 2 / min(norm, size)
        )

    def at(place: int) -> SegmentPlan:
        floor = floor_at(place)
        start = sharpened(matrix, encoded.alpha, asked.start, floor)
        if sums is None:
            p = bounded(ones, shift, encoded.alpha, allowed / start.length, end, floor)
            return replace(plan, start=start, first=p, error=start.length * p.error)
        shares = weighed(start.length, start.overlap, norm)
        found = sums.cheapest(floor, start.length, start.queries, shares)
        error = plan.error + start.length * found.first.error + found.off * min(norm, size)
        return replace(
            plan, start=start, first=found.first, inner=found.inner, outer=found.outer, error=error
        )

    plain = at(0)
    if plain.attenuation >= MOST_ATTENUATION:
        raise OverflowError
    applied = apply_plan(plain)
    length = float(np.linalg.norm(applied.value))
    if plain.first.norm < WORTH * applied.first_length:
        return _priced(plain, asked.epsilon, length)
    return cheapest_place(lambda place: _priced(at(place), asked.epsilon, length))
