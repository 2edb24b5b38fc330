"""How many queries one linear-system solve takes, by theorem and by measured constant.

Everywhere `kappa` means alpha ||M^-1||, with alpha the block-encoding's scale, and `epsilon` the l2
error of the normalised solution. Every formula calls the state preparation of B twice a query.
"""

from __future__ import annotations

import math
from functools import lru_cache

from qdescent._checks import check_instance, check_interval
from qdescent._evidence import Evidence, Row, derived
from qdescent.linalg.chebyshev import inverse_degree
from qdescent.quantum.algorithms.hhl_inverse import (
    TURN,
    evolution_queries,
    phase_estimation_inverse,
)
from qdescent.rows.collection import Rows

LARGEST_COUNTED = (
    1e100  # beyond it the degree's leading term serves: no machine takes a share of it
)
COSTA_PROVEN = 2305.0  # alpha_c of Costa et al. as proven
# alpha_c as numerics on random matrices found it: Costa, An, Babbush, Berry, arXiv:2312.07690
COSTA_MEASURED = 1.84


def dalzell_queries(kappa: float, epsilon: float) -> float:
    """Queries of Dalzell's solver, norm unknown: 56 kappa + 1.05 kappa ln(1/eps).

    Args:
        kappa: alpha ||M^-1||, at least 1.
        epsilon: l2 error of the normalised solution, in (0, 1).

    Returns:
        Queries, without the o(kappa) term.

    References:
        Dalzell, "A shortcut to an optimal quantum linear system solver", arXiv:2406.12086,
        abstract.

    Example:
        >>> round(dalzell_queries(1e3, 1e-3))
        63253
    """
    _check(kappa, epsilon)
    return 56 * kappa + 1.05 * kappa * math.log(1 / epsilon)


def kernel_reflection_queries(kappa: float, epsilon: float) -> float:
    """Queries of one kernel reflection, for a known norm of the solution: kappa ln(2 sqrt 2 / eps).

    Args and Returns as in `dalzell_queries`; same reference.

    Example:
        >>> round(kernel_reflection_queries(1e3, 1e-3))
        7947
    """
    _check(kappa, epsilon)
    return kappa * math.log(2 * math.sqrt(2) / epsilon)


def jennings_queries(kappa: float, epsilon: float) -> float:
    """Queries proven by Jennings et al., Theorem 1: Q* / (.39 - .204 eps), with

        Q* = (1741 e/500) sqrt(kappa^2+1) [(133/125 + 4/(25 kappa^{1/3})) pi ln(2 kappa+3) + 1]
             + (351/50) ln^2(2 kappa+3) [ln(451 ln^2(2 kappa+3)/eps) + 1] + kappa ln(32/eps).

    Args:
        kappa: alpha ||M^-1|| (so that the theorem's own alpha is 1), at least sqrt 12.
        epsilon: l2 error of the normalised solution, in (0, .24].

    Raises:
        ArgumentError: outside the theorem's range.

    References:
        Jennings, Lostaglio, Pallister, Sornborger, Subasi, arXiv:2305.11352, Theorem 1.

    Example:
        >>> round(jennings_queries(1e3, 1e-3), -4)
        700000.0
    """
    kappa = check_interval("kappa", kappa, f"[{math.sqrt(12)}, inf)")
    epsilon = check_interval("epsilon", epsilon, "(0, 0.24]")
    log = math.log(2 * kappa + 3)
    walk = (
        (1741 * math.e / 500)
        * math.hypot(kappa, 1)
        * ((133 / 125 + 4 / (25 * kappa ** (1 / 3))) * math.pi * log + 1)
    )
    filtering = (351 / 50) * log**2 * (math.log(451 * log**2 / epsilon) + 1) + kappa * math.log(
        32 / epsilon
    )
    return (walk + filtering) / (0.39 - 0.204 * epsilon)


def costa_queries(kappa: float, epsilon: float, constant: float = COSTA_MEASURED) -> float:
    """Walk steps of the discrete adiabatic solver and its filter: constant kappa + kappa ln(2/eps).

    Args:
        kappa, epsilon: as in `dalzell_queries`.
        constant: alpha_c; measured by default because the proven one is known to be loose by three
            orders.

    References:
        Costa et al., PRX Quantum 3, 040303 (2022), arXiv:2111.08152; constants as quoted by
        Dalzell.

    Example:
        >>> round(costa_queries(1e3, 1e-3))
        9441
    """
    _check(kappa, epsilon)
    constant = check_interval("constant", constant, "(0, inf)")
    return constant * kappa + kappa * math.log(2 / epsilon)


def counted_kernel_queries(kappa: float, epsilon: float) -> int:
    """Queries of one reflection as `KernelReflection` makes it, norm known: the degree of a kernel
    filter of error eps/4.

    Close to kappa ln(8/eps): ln(2 sqrt 2) kappa more than the leading term, which leaves epsilon to
    the amplitudes alone.

    Args:
        kappa, epsilon: as in `dalzell_queries`, kappa above 1.

    Example:
        >>> counted_kernel_queries(1e3, 1e-3)
        8988
    """
    _check(kappa, epsilon)
    if kappa > LARGEST_COUNTED:
        return math.ceil(kappa * math.log(8 / epsilon))
    return inverse_degree(kappa, epsilon / 4) + 1


COUNTED_CLOCK = 7  # bits of a clock up to which its error is computed; beyond, by its law
# the error is .5 to 2.25 (kappa/K)^2: K above .7 kappa/sqrt(error), and from 1.5 on it serves
LEAST_CLOCK, CLOCK_LAW = 0.7, 1.5
# an order of e^{i t H} beyond so many bits: t + 9.2 (t/2)^{1/3}, within a per cent of the sum
LARGE_CLOCK, EDGE = 10, 9.2


@lru_cache(maxsize=4096)
def phase_estimation_queries(kappa: float, epsilon: float) -> float:
    """Queries of one run of `HHL`'s circuit, before repetition: 6 sum_j r(2^j tau) over the bits of
    the fewest that leave half of epsilon.

    Args:
        kappa, epsilon: as in `dalzell_queries`; kappa above 1.

    Returns:
        Queries to [[0, M], [M^H, 0]]; infinite beyond what a float holds.

    Example:
        >>> phase_estimation_queries(5.0, 1e-1), f"{phase_estimation_queries(1e4, 1e-3):.3g}"
        (1086.0, '1.78e+07')
    """
    _check(kappa, epsilon)
    allowed = epsilon / 2
    wanted = math.log2(kappa) - math.log2(allowed) / 2
    least = math.floor(wanted + math.log2(LEAST_CLOCK))
    bits = max(2, math.floor(math.log2(kappa)), least)
    while bits <= COUNTED_CLOCK:
        if phase_estimation_inverse(kappa, bits).error <= allowed:
            return float(evolution_queries(bits))
        bits += 1
    bits = max(bits, math.ceil(wanted + math.log2(CLOCK_LAW)))
    counted = min(bits, LARGE_CLOCK)
    total = float(evolution_queries(counted))
    try:
        for j in range(counted, bits):
            time = math.ldexp(TURN, j)
            total += 6 * (time + EDGE * (time / 2) ** (1 / 3))
    except OverflowError:
        return math.inf
    return total


def query_rows(kappa: float, epsilon: float, kappa_evidence: Evidence) -> Rows:
    """What other solvers would take at the same kappa: each constant, proven or measured, in a row
    of its own.

    Args:
        kappa, epsilon: as in `dalzell_queries`.
        kappa_evidence: how kappa is known; a theorem is a bound where kappa is exact or a bound
            itself, else a model.

    Returns:
        Rows: "queries_norm_known", ...; that of Jennings et al. only inside its theorem's range.

    Example:
        >>> query_rows(2.0, 0.1, Evidence.EXACT).names[-2:]
        ('queries_costa_proven', 'queries_costa_measured')
    """
    check_instance("kappa_evidence", kappa_evidence, Evidence)
    proven = derived(Evidence.BOUNDED, kappa_evidence)
    models: list[tuple[str, float, Evidence, str]] = [
        (
            "norm_known",
            kernel_reflection_queries(kappa, epsilon),
            Evidence.MODELLED,
            "one kernel reflection, arXiv:2406.12086, leading term kappa ln(2 sqrt 2/eps)",
        ),
        (
            "costa_proven",
            costa_queries(kappa, epsilon, COSTA_PROVEN),
            proven,
            (
                "discrete adiabatic, arXiv:2111.08152, proven constant 2305 (quoted from a"
                " summary), with filter"
            ),
        ),
        (
            "costa_measured",
            costa_queries(kappa, epsilon, COSTA_MEASURED),
            Evidence.MODELLED,
            (
                "discrete adiabatic, arXiv:2312.07690, constant 1.84 measured on random matrices,"
                " with filter"
            ),
        ),
    ]
    if kappa > 1:
        source = (
            "one kernel reflection as this package makes it, filter error eps/4: degree in closed"
            " form, counted in its runs"
        )
        models.insert(
            1, ("norm_known_counted", counted_kernel_queries(kappa, epsilon), proven, source)
        )
    if kappa >= math.sqrt(12) and epsilon <= 0.24:  # the theorem's range
        models.append(
            (
                "jennings",
                jennings_queries(kappa, epsilon),
                proven,
                "discrete adiabatic, arXiv:2305.11352, Theorem 1",
            )
        )
    return Rows(
        Row(f"queries_{name}", value, "queries a solve", kind, source)
        for name, value, kind, source in models
    )


def _check(kappa: float, epsilon: float) -> None:
    kappa = check_interval("kappa", kappa, "[1, inf)")
    epsilon = check_interval("epsilon", epsilon, "(0, 1)")
