"""Bounds on the condition number of the history system."""

from __future__ import annotations

from qdescent._checks import check_integer, check_interval


def history_kappa_bound(step_norm: float, steps: int, padding: int = 0) -> float:
    """kappa(M) <= (1 + a) sum_{d=0..T+p} max_j a^j for a lifted matrix with ||A^j|| <= a^j.

    j runs over the possible numbers of proper steps among d successive ones: max(0, d - p) <= j <= min(d, T).

    Args:
        step_norm: a, a bound on ||A||.
        steps: T.
        padding: p.

    Returns:
        The bound: finite in T for a < 1 and p = 0, about 2 (T + p + 1) for a = 1, exponential for a > 1.

    References:
        From M^-1 = sum_d (shift (x) A)^d; design of the history system: Liu et al., arXiv:2011.03185, section 4.

    Example:
        >>> history_kappa_bound(1.0, steps=4, padding=3)
        16.0
        >>> round(history_kappa_bound(0.5, steps=100), 6)
        3.0
    """
    check_interval("step_norm", step_norm, "(0, inf)")
    check_integer("steps", steps, 1)
    check_integer("padding", padding, 0)
    powers = [step_norm**j for j in range(steps + 1)]
    norm = 1 + max(step_norm, 1.0 if padding else 0.0)
    return norm * sum(max(powers[max(0, d - padding) : min(d, steps) + 1]) for d in range(steps + padding + 1))
