"""Bounds on the condition number of the history system."""

from __future__ import annotations

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import argument_error, check_integer, check_interval

MOST_STEPS, MOST_WORK = 10_000_000, 10**11  # 80 MB; minutes


def geometric_kappa_bound(step_norm: float, steps: int, padding: int = 0) -> float:
    """kappa(M) <= (1 + a) sum_{d=0..T+p} max_j a^j for a lifted matrix with ||A^j|| <= a^j.

    j runs over the possible numbers of proper steps among d successive ones: max(0, d - p) <= j <=
    min(d, T).

    Args:
        step_norm: a, a bound on ||A||; 0: what is left is the shift of the padding.
        steps: T.
        padding: p.

    Returns:
        The bound: finite in T for a < 1 and p = 0, about 2 (T + p + 1) for a = 1, exponential for a
        > 1 (infinite where it overflows).

    References:
        From M^-1 = sum_d (shift (x) A)^d; design of the history system: Liu et al.,
        arXiv:2011.03185.

    Example:
        >>> geometric_kappa_bound(1.0, steps=4, padding=3)
        16.0
        >>> round(geometric_kappa_bound(0.5, steps=100), 6)
        3.0
    """
    step_norm = check_interval("step_norm", step_norm, "[0, inf)")
    steps = check_integer("steps", steps, 1, MOST_STEPS)
    return power_kappa_bound(
        step_norm ** torch.arange(steps + 1, dtype=torch.float64, device="cpu"), padding
    )


def power_kappa_bound(power_norms: Tensor, padding: int = 0) -> float:
    """kappa(M) <= (1 + max(||A||, 1 if p)) sum_{d=0..T+p} max_j ||A^j||, sharper where ||A^j|| <
    ||A||^j (momentum).

    Args:
        power_norms: bounds on ||A^j||, j = 0..T, (T + 1,).
        padding: p.

    Returns:
        The bound; j as in `geometric_kappa_bound`.

    Cost: (T + p) p comparisons.

    Example:
        >>> power_kappa_bound(torch.tensor([1.0, 0.5, 0.25]))
        2.625
    """
    padding = check_integer("padding", padding, 0)
    norms = check_tensor("power_norms", power_norms, finite=False).double()
    if norms.ndim != 1 or len(norms) < 2:
        raise argument_error(
            "power_norms", "have shape (T + 1,) with T at least 1", f"of shape {tuple(norms.shape)}"
        )
    if not bool((norms >= 0).all()):
        raise argument_error("power_norms", "be norms, at least 0", "negative or NaN in a place")
    if (len(norms) + padding) * padding > MOST_WORK:
        raise argument_error(
            "padding", f"leave (T + p) p below {MOST_WORK:.0e} comparisons", padding
        )
    outside = norms.new_full((padding,), -torch.inf)
    windows = torch.cat([outside, norms, outside]).unfold(0, padding + 1, 1)
    norm = 1 + max(float(norms[1]), 1.0 if padding else 0.0)
    return norm * float(windows.amax(1).sum())
