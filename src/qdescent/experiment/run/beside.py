"""The segment of a small map by both ways, without circuits: fast-forwarded, and as a history by
kernel reflection.
"""

from __future__ import annotations

import torch

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row
from qdescent.carleman.history import history_system
from qdescent.experiment.run.settings import UNKNOWNS_LIMIT, history_unknowns
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.rows import names
from qdescent.solvers.kernel_reflection import KernelReflection
from qdescent.solvers.segment.map_segment import fast_forward_map
from qdescent.solvers.solve import solve


def both_ways(
    f: PolynomialMap, order: int, steps: int, padding: int, epsilon: float, section: str
) -> list[Row]:
    """Queries of one run and until success, of each way at the same epsilon.

    Args:
        f: the map, from u = 0.
        order, steps, padding: N, T, p (of the history).
        epsilon: of both.
        section: the rows' names start with it.

    Returns:
        list: of Row; none for a map that has no fast-forward, those of the history only where it
            can be solved.
    """
    ways = []
    try:
        found = fast_forward_map(f, steps, order, epsilon)
    except ArgumentError:
        return []
    ways.append(("fast_forward", found.cost, f"polynomials of a shifted F_1: {found.status}"))
    if history_unknowns(f.size, order, steps, padding) <= UNKNOWNS_LIMIT:
        start = torch.zeros(f.size, dtype=torch.float64, device="cpu")
        system = history_system(f, start, steps, padding, order=order)
        try:
            other = solve(system, KernelReflection(epsilon))
        except ArgumentError:  # a kappa that no one would wait for
            other = None
        if other is not None and names.QUERIES in other.cost:
            source = f"the history with {padding} further copies of the end: {other.status}"
            ways.append(("kernel_reflection", other.cost, source))
    rows = []
    for name, cost, source in ways:
        once, expected = cost.number(names.QUERIES), cost.number(names.EXPECTED_QUERIES)
        rows += [
            Row(f"{section}{name}_queries", once, "queries", Evidence.EXACT, source),
            Row(
                f"{section}{name}_expected_queries",
                expected,
                "queries",
                Evidence.MODELLED,
                f"until a run succeeds; {source}",
            ),
        ]
    return rows


def at_rate(f: PolynomialMap, factor: float) -> PolynomialMap:
    """Gradient descent at another learning rate: u + factor (f(u) - u).

    Example:
        >>> f = PolynomialMap([[0.5], [[0.8]]])
        >>> [round(float(F), 6) for F in at_rate(f, 0.1).coefficients]
        [0.05, 0.98]
    """
    coefficients = [factor * F.to_dense() for F in f.coefficients]
    eye = torch.eye(f.size, dtype=coefficients[1].dtype, device=coefficients[1].device)
    coefficients[1] = coefficients[1] + (1 - factor) * eye
    return PolynomialMap(coefficients)
