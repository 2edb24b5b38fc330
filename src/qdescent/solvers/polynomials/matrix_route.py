"""A planned segment by products with F_1, counted as made, and the chance of each stage."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from qdescent._arrays import Floats
from qdescent.quantum.algorithms.sharpening import SUBNORMALISATION
from qdescent.solvers.polynomials.applied_polynomials import Halves, transform
from qdescent.solvers.polynomials.segment_plan import SegmentPlan


@dataclass(frozen=True, eq=False)
class Applied:
    """What the polynomials made of F_0.

    Args:
        value: u_T/||F_0||, (n,).
        queries: products with the encoded matrices, of all branches at once; those of a sharpened
            start as often as its amplification repeats them.
        probability: that a run of the circuit succeeds.
        attempt: queries that a run takes on average, where it ends as soon as an ancilla is not 0.
        first_length: ||u_1||/||F_0||.
    """

    value: Floats = field(repr=False)
    queries: int
    probability: float
    attempt: float
    first_length: float


def apply_plan(plan: SegmentPlan) -> Applied:
    """u_T/||F_0||, as the circuit's branches make it: a product is one of all branches at once."""
    matrix, alpha, length = plan.matrix, plan.alpha, plan.start.length
    start, prepared = plan.start.vector[:, None], plan.start.queries
    if not plan.inner:
        halves, made = transform(matrix, alpha, [plan.first], start)
        x = length * (halves[0] + halves[1])[:, 0]
        made += prepared
        return Applied(x, made, _kept(plan, x), float(made), float(np.linalg.norm(x)))
    copies = np.repeat(start, len(plan.inner), axis=1)
    left, made_left = transform(matrix, alpha, plan.inner, copies)
    right, made_right = transform(matrix, alpha, plan.inner, copies)
    sources = [[_couple(plan, a, b) for b in right] for a in left]
    pairs = sum(sources[i][k] for i in range(2) for k in range(2))
    total = np.hstack([length * start, length**2 * pairs])
    ends, made = transform(matrix, alpha, [plan.first, *plan.outer], total)
    terms = ends[0] + ends[1]
    x, first = terms.sum(1), float(np.linalg.norm(terms[:, 0]))
    probability = _kept(plan, x)
    stages = _stages(plan, left, sources)
    prepared *= plan.copies
    attempt = prepared + made_left + stages[0] * made_right + stages[1] + stages[2] * made
    return Applied(x, prepared + made_left + made_right + 1 + made, probability, attempt, first)


def _couple(plan: SegmentPlan, left: Floats, right: Floats) -> Floats:
    """F_2 (a (x) b) column by column."""
    assert plan.coupling is not None
    pairs = np.einsum("ij,kj->ikj", left, right).reshape(-1, left.shape[1])
    return np.asarray(plan.coupling @ pairs)


def _kept(plan: SegmentPlan, x: Floats) -> float:
    """||kept amplitudes||^2; above 0 unless u_T is."""
    return max(float(np.linalg.norm(x)) / plan.attenuation, math.sqrt(np.finfo(float).tiny)) ** 2


def _stages(plan: SegmentPlan, left: Halves, sources: list[list[Floats]]) -> list[float]:
    """The chance that all ancillas were 0 after both inner sequences and the coupling.

    The branches meet only at the end: until then each parity of each node is a state of its own,
    with the weight that the preparation gave it.
    """
    weights = plan.shares / plan.attenuation
    norms = np.array([p.norms for p in plan.inner])  # (nodes, 2)
    shares = norms / norms.sum(1, keepdims=True)
    scaled = SUBNORMALISATION / np.where(norms > 0, norms, math.inf)
    lengths = np.stack([(each**2).sum(0) for each in left], axis=1)
    once = (shares * scaled**2 * lengths).sum(1)
    coupled = sum(
        shares[:, i] * shares[:, k] * (scaled[:, i] * scaled[:, k] / plan.coupling_norm) ** 2
        * (sources[i][k] ** 2).sum(0)
        for i in range(2)
        for k in range(2)
    )  # fmt: skip
    kept = plan.start.overlap**2  # of u_1's second copy
    return [
        float(weights[0] * first + weights[1:] @ each)
        for first, each in ((1.0, once), (1.0, once**2), (kept, coupled))
    ]
