"""Quantum ways to the last state of T steps that do not read it out of a history, as cost models.

Their theorems are asymptotic. What stands here are the leading terms with constant 1, in favour of
the algorithm that is modelled: no circuit was counted, so every row is `modelled`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from qdescent._checks import check_field, check_interval, check_text
from qdescent._evidence import Evidence, Row


@dataclass(frozen=True)
class LastStateCost:
    """What one copy of the last state takes.

    Args:
        name: of the algorithm, as rows name it.
        queries: to the block-encoding of the matrix.
        preparations: of the initial state (or of the right-hand side).
        source: the theorem, what was put in for its constants, and what it leaves out.
    """

    name: str
    queries: float
    preparations: float
    source: str

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_field(self, "queries", check_interval, "[0, inf]")
        check_field(self, "preparations", check_interval, "[1, inf]")
        check_text("source", self.source)

    def rows(self, section: str) -> list[Row]:
        """Queries and preparations, as rows of a section.

        Example:
            >>> [row.name for row in low_su(100.0, 1e-3, 0.01).rows("model")]
            ['model/queries_low_su', 'model/preparations_low_su']
        """
        check_text("section", section)
        return [
            Row(f"{section}/{what}_{self.name}", value, unit, Evidence.MODELLED, self.source)
            for what, value, unit in (
                ("queries", self.queries, "queries a copy"),
                ("preparations", self.preparations, "state preparations a copy"),
            )
        ]


def low_su(kappa: float, epsilon: float, success: float) -> LastStateCost:
    """The linear solver with fewest state preparations: kappa l (ln l + ln(1/eps)) queries to the
    matrix, l = max(1, ln(1/p)), and 1/sqrt p preparations.

    Args:
        kappa: alpha ||M^-1||, at least 1.
        epsilon: of the normalised solution, in (0, 1).
        success: p = (||M^-1 b|| / (||M^-1|| ||b||))^2, in (0, 1]; for a history it is far above
            1/kappa^2, the worst case.

    References:
        Low and Su, arXiv:2410.18178, abstract: Theta(1/sqrt p), and O(kappa log(1/p) (log log(1/p)
        + log(1/eps))).

    Example:
        >>> found = low_su(1000.0, 1e-3, 1e-2)
        >>> round(found.queries), found.preparations
        (38844, 10.0)
    """
    kappa, epsilon = _kappa(kappa), _epsilon(epsilon)
    p = check_interval("success", success, "(0, 1]")
    level = max(1.0, math.log(1 / p))
    queries = kappa * level * (math.log(level) + math.log(1 / epsilon))
    source = (
        "Low and Su, arXiv:2410.18178: kappa l (ln l + ln(1/eps)), l = max(1, ln(1/p)), and"
        " 1/sqrt p; constants put at 1"
    )
    return LastStateCost("low_su", queries, p**-0.5, source)


def time_marching(alpha: float, steps: float, epsilon: float, decay: float) -> LastStateCost:
    """One step after the other, each amplified back uniformly: Q alpha T^2 ln(alpha T/eps) queries,
    Q preparations.

    Uniform amplification by alpha with the slack 1/T that T steps may take has degree
    alpha T ln(alpha T/eps).

    Args:
        alpha: of the step's block-encoding over its norm, at least 1.
        steps: T.
        epsilon: of the normalised state, in (0, 1).
        decay: Q = prod_t ||A_t|| ||z_0|| / ||z_T||, at least 1: what the state loses against the
            fastest growth that the norms allow.

    References:
        Fang, Lin, Tong, arXiv:2208.06941: O(alpha^2 T^2 Q log(1/eps)) for an ODE of norm alpha;
        uniform amplification: Gilyen et al., arXiv:1806.01838, theorem 30.

    Example:
        >>> round(time_marching(1.0, 100, 1e-3, 2.0).queries)
        230259
    """
    alpha = check_interval("alpha", alpha, "[1, inf)")
    steps, epsilon = _steps(steps), _epsilon(epsilon)
    decay = check_interval("decay", decay, "[1, inf)")
    queries = decay * alpha * steps**2 * math.log(alpha * steps / epsilon)
    source = (
        "time marching, Fang, Lin, Tong, arXiv:2208.06941: Q alpha T^2 ln(alpha T/eps), and Q;"
        " constants put at 1"
    )
    return LastStateCost("time_marching", queries, decay, source)


def linear_combination_of_simulations(
    alpha: float, time: float, epsilon: float, decay: float
) -> LastStateCost:
    """Gradient flow by unitary evolutions (LCHS): Q alpha tau ln(1/eps) queries, Q preparations.

    It solves du/dt = -(H u + g) for a time tau = eta T, not the descent, which is its Euler method:
    a mode differs by a factor of about 1 - (eta lambda)^2 T/2. It asks for H without negative
    modes (one shift by |lambda_min| costs a factor e^{tau |lambda_min|} in Q).

    Args:
        alpha: of the block-encoding of H.
        time: tau = eta T.
        epsilon: of the normalised state, in (0, 1).
        decay: Q = (||u_0|| + tau ||g||) / ||u(tau)||, at least 1.

    References:
        An, Liu, Lin, arXiv:2303.01029; An, Childs, Lin, arXiv:2312.03916; in all parameters:
        arXiv:2508.19238.

    Example:
        >>> round(linear_combination_of_simulations(12.0, 0.4, 1e-3, 1.2).queries, 1)
        39.8
    """
    alpha = check_interval("alpha", alpha, "(0, inf)")
    time, epsilon = check_interval("time", time, "(0, inf)"), _epsilon(epsilon)
    decay = check_interval("decay", decay, "[1, inf)")
    queries = decay * max(1.0, alpha * time) * math.log(1 / epsilon)
    source = (
        "LCHS, arXiv:2312.03916 and 2508.19238: Q alpha eta T ln(1/eps) for the gradient flow (not"
        " the descent) without negative modes, and Q; constants put at 1"
    )
    return LastStateCost("lchs", queries, decay, source)


def chebyshev_history(
    alpha: float, steps: float, epsilon: float, condition: float, success: float
) -> LastStateCost:
    """Powers of a matrix with real spectrum by a history of Chebyshev polynomials instead of steps:
    its linear system has d = sqrt(2 T ln(2/eps)) blocks where the usual one has T.

    Solved by the model of `low_su` at kappa = alpha kappa_S d; so the exponent of T is 1/2.

    Args:
        alpha: of the block-encoding of A over its norm, at least 1.
        steps: T.
        epsilon: of the normalised state, in (0, 1).
        condition: kappa_S of the eigenvectors of A, at least 1; 1 for a symmetric A.
        success: as in `low_su`, of the system with d blocks, in (0, 1].

    References:
        Low and Su, arXiv:2401.06240; degree: Sachdeva and Vishnoi, Foundations and Trends 9, 125
        (2014), theorem 3.3.

    Example:
        >>> small, large = (chebyshev_history(1.0, T, 1e-3, 1.0, 0.5).queries for T in (100, 400))
        >>> round(large / small, 1)
        2.0
    """
    alpha = check_interval("alpha", alpha, "[1, inf)")
    steps, epsilon = _steps(steps), _epsilon(epsilon)
    condition = check_interval("condition", condition, "[1, inf)")
    degree = min(steps, math.sqrt(2 * steps * math.log(2 / epsilon)))
    solved = low_su(max(1.0, alpha * condition * degree), epsilon, success)
    source = (
        "Chebyshev history, Low and Su, arXiv:2401.06240, d = sqrt(2 T ln(2/eps)) blocks, solved as"
        " in arXiv:2410.18178; real spectrum; constants put at 1"
    )
    return LastStateCost("chebyshev_history", solved.queries, solved.preparations, source)


def _kappa(kappa: float) -> float:
    return check_interval("kappa", kappa, "[1, inf)")


def _epsilon(epsilon: float) -> float:
    return check_interval("epsilon", epsilon, "(0, 1)")


def _steps(steps: float) -> float:
    return check_interval("steps", steps, "[1, inf)")
