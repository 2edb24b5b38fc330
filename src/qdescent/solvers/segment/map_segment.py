"""A segment of an explicit map without its steps, as a quantum algorithm: polynomials of F_1 and
one use of F_2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_field,
    check_instance,
    check_integer,
    check_interval,
    check_methods,
)
from qdescent._evidence import Evidence, Row
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.algorithms.node_polynomials import MOST_NODES
from qdescent.quantum.algorithms.rounds import rounds_needed
from qdescent.rows import names
from qdescent.rows.collection import Rows
from qdescent.solvers.circuit import Circuit, check_circuit
from qdescent.solvers.encodings import DEFAULT_ENCODING, MatrixEncoding
from qdescent.solvers.polynomials.matrix_route import Applied, apply_plan
from qdescent.solvers.polynomials.segment_plan import SegmentPlan
from qdescent.solvers.polynomials.segment_search import plan_segment
from qdescent.solvers.segment.circuit_route import simulate

MOST_STEPS = 100_000  # powers of each eigenvalue are summed beforehand
LEAST_EPSILON = 1e-10  # below it the roundings of the polynomials are seen
WANTED_GROWTH = 10.0  # as for "almost dissipative"


class SegmentStatus(StrEnum):
    """How it ended; the text says what to try next."""

    REACHED = "within the stated bound of the order-N Carleman solution"
    UNRESOLVED = (
        "the error may exceed what was asked for: give more `nodes` (at order 2), or a smaller"
        " `epsilon`"
    )
    CANCELLED = (
        "the terms of u_T cancel, and of what is left nothing closer than `bound` is known: a step"
        " fewer or more may leave more"
    )
    UNSTABLE = (
        "a mode grows more than tenfold over the segment: take fewer steps or a smaller learning"
        " rate"
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class MapSegment:
    """u_T of the order-N Carleman linearisation, and what a quantum computer would take for it.

    Args:
        value: u_T, (n,).
        steps: T.
        order: N.
        nodes: R, the points in time that stand for all; 0 at order 1.
        bound: bound on the distance to the order-N Carleman solution, over its length; at order 2
            with more than 16 weights the nodes' part of it is sampled, and the row says "modelled".
        status: outcome of the solve.
        cost: price of the solve, as rows with evidence.
        circuit: the Qualtran bloq that was run; None where no circuit was.
        f: the map, as it was given.
    """

    value: Tensor = field(repr=False)
    steps: int
    order: int
    nodes: int
    bound: float
    status: SegmentStatus
    cost: Rows = field(repr=False)
    circuit: Any = field(default=None, repr=False)
    f: PolynomialMap | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_tensor("value", self.value, (None,))
        for name, least in (("steps", 1), ("order", 1), ("nodes", 0)):
            check_field(self, name, check_integer, least)
        check_field(self, "bound", check_interval, "[0, inf]")
        check_instance("status", self.status, SegmentStatus)
        check_instance("cost", self.cost, Rows)
        check_instance("f", self.f, PolynomialMap, optional=True)

    @property
    def answer(self) -> Tensor:
        """u_T: what `read_out` measures."""
        return self.value


def fast_forward_map(
    f: PolynomialMap,
    steps: int,
    order: int = 2,
    epsilon: float = 1e-4,
    nodes: int | None = None,
    encoding: MatrixEncoding = DEFAULT_ENCODING,
    circuit: Circuit | bool | None = None,
) -> MapSegment:
    """T steps of u <- F_0 + F_1 u + F_2 (u (x) u) + ... from u = 0, F_1 symmetric, without taking
    them and without a linear system.

        u_1 = sum_{t<T} F_1^t F_0,   u_2 = sum_t F_1^{T-1-t} F_2 (u_1(t) (x) u_1(t)).

    u_1 is a polynomial of F_1 on F_0. It is taken as one of (F_1 - c)/alpha, c from 0 to the middle
    of F_1's diagonal: its Chebyshev coefficients are then positive, so that it is bounded on all of
    [-1, 1] wherever it is cut, at a degree near sqrt(2 T alpha ln(2/epsilon)). In u_2 the sum over
    t is one over R Gauss nodes; all polynomials of all nodes go through the same 2 d + 1 + d'
    queries. Where F_0 has little in the modes that hardly shrink, which the polynomials favour, a
    g(s) = 1 - (1 - floor)(1 - s)/2 of one query, amplified on its own, turns F_0 first, and p/g
    takes p's place: not p, but one query is then repeated as often as p would fail.

    Args:
        f: the map; of `gradient_map` without momentum F_1 = 1 - eta H is symmetric.
        steps: T.
        order: N, 1 or 2; 1 where F_2 is zero.
        epsilon: the promised distance to the order-N Carleman solution, relative.
        nodes: R; None: as many as epsilon asks for.
        encoding: block-encoding of F_1 - c, entry by entry, as for `QSVT`; F_2's are balanced.
        circuit: True, or a `Circuit(...)`: block-encodings, multiplexed transforms and
            post-selection on a state vector; None: the same polynomials by products.

    Returns:
        MapSegment.

    Raises:
        ArgumentError: F_1 that is not symmetric, F_0 = 0, one map a step, a mode that grows beyond
            1e6.

    Cost: in queries to F_1, the degree of the polynomials; divided by the success probability until
        one run succeeds. Not the T of the steps, nor the condition number of a history.

    References:
        Sachdeva, Vishnoi, Faster algorithms via approximation theory (2014), section 3 (the cut
        series of a power); Gilyen, Su, Low, Wiebe, arXiv:1806.01838 (its use on a block-encoding).

    Example:
        >>> f = PolynomialMap([[0.5, 0.5], [[1.0, 0.0], [0.0, 0.6]]])
        >>> found = fast_forward_map(f, steps=40, epsilon=1e-6)
        >>> [round(u, 4) for u in found.value.tolist()], found.cost.number("queries")
        ([20.0, 1.25], 17)
    """
    settings = _checked(f, steps, order, epsilon, nodes)
    check_methods("encoding", encoding, ("plan",), "BalancedEntries() or ColouredEntries()")
    asked = check_circuit(circuit)
    plan = plan_segment(f, **settings, encoding=encoding)
    applied = apply_plan(plan)
    planned, known = settings["epsilon"], _known(plan, applied)
    if epsilon < known < math.inf and planned * epsilon / known > 2 * LEAST_EPSILON:
        # terms that cancel leave less than the plan's epsilon is relative to
        finer = settings | {"epsilon": planned * epsilon / known / 2}
        closer = plan_segment(f, **finer, encoding=encoding)
        if _known(closer, again := apply_plan(closer)) <= epsilon:
            plan, applied, planned = closer, again, finer["epsilon"]
    if asked is None:
        error, value, probability = plan.error, applied.value, applied.probability
        runs, bloq = 1, None
        counted = "products, counted as made (of a sharper start as often as it is amplified)"
        first = [Row(names.QUERIES, applied.queries, "products", Evidence.EXACT, counted)]
    else:
        run = simulate(plan, asked, planned)
        error, value, probability = plan.error + run.error, run.value, run.bare
        runs, bloq = run.runs, run.bloq
        first = list(run.rows)
    bound = _relative(error, float(np.linalg.norm(value)))
    attempt = applied.attempt
    rows = _plan_rows(plan, attempt, probability, runs, bound, settings["epsilon"])
    seen = {each.name for each in first}
    cost = [*first, *(each for each in rows if each.name not in seen)]
    return MapSegment(
        value=torch.from_numpy(plan.length * value).to(f.coefficients[0].dtype),
        steps=plan.steps,
        order=2 if plan.inner else 1,
        nodes=plan.nodes,
        bound=bound,
        status=_status(plan, bound, settings, _known(plan, applied)),
        cost=Rows(cost),
        circuit=bloq,
        f=f,
    )


def _checked(
    f: PolynomialMap, steps: int, order: int, epsilon: float, nodes: int | None
) -> dict[str, Any]:
    if isinstance(f, (list, tuple)):
        raise argument_error(
            "f",
            "be one PolynomialMap (maps that change from step to step have no polynomial:"
            " `history_system`)",
            f"{len(f)} of them",
        )
    check_instance("f", f, PolynomialMap)
    steps = check_integer("steps", steps, 1, MOST_STEPS)
    order = check_integer("order", order, 1)
    if order > 2:
        raise argument_error("order", "be 1 or 2 (from 3 on: `history_system`)", order)
    epsilon = check_interval("epsilon", epsilon, "(0, 1)")
    if epsilon < LEAST_EPSILON:
        raise argument_error("epsilon", f"be at least {LEAST_EPSILON:g}", epsilon)
    most = min(steps, MOST_NODES)
    if nodes is not None:
        nodes = check_integer("nodes", nodes, 1)
        if nodes > most:
            raise argument_error("nodes", f"be at most {most} for these steps", nodes)
    return {"steps": steps, "order": order, "epsilon": epsilon, "nodes": nodes}


def _relative(error: float, length: float) -> float:
    """||u - exact||/||exact||, from the distance and the length of u."""
    return float(error / (length - error)) if length > error else math.inf


def _known(plan: SegmentPlan, applied: Applied) -> float:
    """How close to the order-N solution the plan's polynomials are by themselves, relative."""
    return _relative(plan.error, float(np.linalg.norm(applied.value)))


def _status(
    plan: SegmentPlan, bound: float, settings: dict[str, Any], known: float
) -> SegmentStatus:
    if plan.growth > WANTED_GROWTH:
        return SegmentStatus.UNSTABLE
    if bound <= settings["epsilon"]:
        return SegmentStatus.REACHED
    given = plan.inner and settings["nodes"] is not None
    cancelled = known > settings["epsilon"] and not given
    return SegmentStatus.CANCELLED if cancelled else SegmentStatus.UNRESOLVED


def _plan_rows(
    plan: SegmentPlan, attempt: float, probability: float, runs: int, bound: float, epsilon: float
) -> list[Row]:
    """What a run takes, by the plan alone."""
    exact, modelled = Evidence.EXACT, Evidence.MODELLED
    grown = exact if plan.window_known else Evidence.MEASURED
    promised = Evidence.BOUNDED if plan.error_proven else modelled
    sampled = "" if plan.error_proven else " (sampled, of so many weights)"
    rounds = rounds_needed(min(1.0, probability))
    declared = "s + d" if not plan.inner else "2 s + 2 d_B + 1 + d_A"
    declared += ", of one run" if runs == 1 else f", times {runs} runs of the amplification"
    preparations = plan.copies * max(1, plan.start.queries)
    facts: list[tuple[str, float, str, Evidence, str]] = [
        (names.DECLARED_QUERIES, runs * plan.queries, "calls", exact, declared),
        (
            names.DEGREE,
            plan.outer_degree,
            "1",
            exact,
            "u_1's, and the nodes' outer ones",
        ),
        (
            "start_queries",
            plan.start.queries,
            "calls",
            exact,
            f"s, for each copy of F_0: 2r + 1 of an amplified g, at least {plan.start.floor:g}",
        ),
        ("inner_degree", plan.inner_degree, "1", exact, "of the nodes' inner polynomials"),
        ("nodes", plan.nodes, "1", exact, "Gauss nodes in time"),
        ("state_preparations", preparations, "preparations", exact, "of F_0, in one run"),
        ("shift", plan.shift, "1", exact, "c of F_1 - c: least degree times supremum"),
        (names.ALPHA, plan.alpha, "1", exact, plan.encoding.source),
        ("growth", plan.growth, "1", grown, "largest |eigenvalue of F_1|^T, 1 at least"),
        (
            names.SUCCESS_PROBABILITY,
            min(1.0, probability),
            "1",
            exact,
            "||u||^2 over the square of the sum of the polynomials' suprema",
        ),
        (
            names.EXPECTED_QUERIES,
            attempt / probability,
            "calls",
            modelled,
            "until a run succeeds, each ended where an ancilla is not 0",
        ),
        (
            "amplified_queries",
            (2 * rounds + 1) * plan.queries,
            "calls",
            modelled,
            "(2 rounds + 1) x declared queries: success for certain",
        ),
        (
            names.BOUND,
            bound,
            "1",
            promised,
            f"dropped coefficients, the nodes' error{sampled} and, of a circuit, its angles, over"
            " ||u||",
        ),
        (names.EPSILON, epsilon, "1", Evidence.ASSUMED, "argument `epsilon`"),
    ]
    return [Row(*fact) for fact in facts]
