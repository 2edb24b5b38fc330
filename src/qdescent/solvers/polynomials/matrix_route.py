"""A planned segment by products with F_1, counted as made, and the chance of each stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from qdescent._arrays import Floats
from qdescent.solvers.polynomials.bounded_polynomials import BoundedPolynomial
from qdescent.solvers.polynomials.segment_plan import SUBNORMALISATION, SegmentPlan

Halves = tuple[Floats, Floats]


@dataclass(frozen=True)
class Applied:
    """What the polynomials made of F_0.

    Args:
        value: u_T/||F_0||, (n,).
        queries: products with the encoded matrices, of all branches at once.
        probability: that a run of the circuit succeeds.
        attempt: queries that a run takes on average, where it ends as soon as an ancilla is not 0.
    """

    value: Floats = field(repr=False)
    queries: int
    probability: float
    attempt: float


def apply_plan(plan: SegmentPlan) -> Applied:
    """u_T/||F_0||, as the circuit's branches make it: a product is one of all branches at once."""
    start = plan.start[:, None]
    if not plan.inner:
        halves, made = _transform(plan, [plan.first], start)
        x = (halves[0] + halves[1])[:, 0]
        probability = _kept(plan, x)
        return Applied(x, made, probability, float(made))
    copies = np.repeat(start, len(plan.inner), axis=1)
    left, made_left = _transform(plan, plan.inner, copies)
    right, made_right = _transform(plan, plan.inner, copies)
    sources = [[_couple(plan, a, b) for b in right] for a in left]
    total = np.hstack([start, sum(sources[i][k] for i in range(2) for k in range(2))])
    ends, made = _transform(plan, [plan.first, *plan.outer], total)
    x = (ends[0] + ends[1]).sum(1)
    probability = _kept(plan, x)
    stages = _stages(plan, left, sources)
    attempt = made_left + stages[0] * made_right + stages[1] + stages[2] * made
    return Applied(x, made_left + made_right + 1 + made, probability, attempt)


def _transform(
    plan: SegmentPlan, polynomials: Sequence[BoundedPolynomial], block: Floats
) -> tuple[Halves, int]:
    """The even and the odd part of each polynomial of A on its column, (n, R) each, and the
    products made.
    """
    degree = max(p.degree for p in polynomials)
    table = np.zeros((degree + 1, len(polynomials)))
    for column, p in enumerate(polynomials):
        table[: p.degree + 1, column] = p.coefficients
    before, now = block, plan.matrix @ block / plan.alpha
    halves = [table[0] * before, table[1] * now]
    for k in range(2, degree + 1):
        before, now = now, 2 / plan.alpha * (plan.matrix @ now) - before
        halves[k % 2] = halves[k % 2] + table[k] * now
    return (halves[0], halves[1]), degree


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
    return [float(weights[0] + weights[1:] @ each) for each in (once, once**2, coupled)]
