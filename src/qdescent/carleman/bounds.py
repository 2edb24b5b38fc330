"""Bounds on the condition number of the history system."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._arrays import Floats
from qdescent._checks import argument_error, check_integer, check_interval
from qdescent.linalg.map_norms import MapNorms

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


def history_floor(norms: MapNorms, order: int, steps: int) -> tuple[float, float] | None:
    """kappa_0 and P_0 of which every unit gamma and every padding p have

        queries(kappa) / sqrt(P) >= queries(kappa_0) / sqrt(P_0),

    kappa as `history_kappa_bound` has it and P as `best_history` without displacements, for every
    number of queries that grows at least in proportion to kappa. None where more than the norms
    of F_k are known (powers, drift, words).

    The majorant's inverse holds, in every unit and with every padding, the Toeplitz matrices of the
    blocks of as many letters u: of a^d (words of one) and a^{N d} (words of N), a = ||F_1||; let L
    be the larger of their norms, so that kappa >= kappa_0 = (1 + a) L. It also holds gamma G, what
    a letter has of two, d steps before: ||F_2|| sum a^{d-1-s} a^{2s}. And P is at most 1/(W_1 + W_2
    (d_T/gamma)^2), W_m = sum_j C(j, m). Up to gamma = L/||G|| that is P_0 or less; from there on
    kappa >= (1 + a) gamma ||G||, and kappa/sqrt(P) grows with gamma.

    Args:
        norms: norms of the map's coefficients.
        order: N.
        steps: T.

    Example:
        >>> from qdescent.carleman.best_history import best_history
        >>> norms = MapNorms(constant=0.1, linear=1.0, higher=(1e-4,))
        >>> kappa, found = history_floor(norms, 2, 64)
        >>> best_history(norms, 2, 64).queries / (kappa * found**-0.5) < 5
        True
    """
    if norms.powers is not None or norms.drift is not None or norms.words is not None:
        return None
    with np.errstate(all="ignore"):
        powers = norms.power_bounds(steps)
        longest = _toeplitz_norm(powers if order == 1 else powers**order)
        least = max(_toeplitz_norm(powers), longest)
        ratio = 0.0  # (d_T / gamma)^2 at the unit where both bounds on kappa are alike
        if order > 1 and norms.higher and norms.higher[0] > 0:
            # two letters d steps before: sum a^{d-1-s} a^{2s} = a^{d-1} (1 + a + ... + a^{d-1})
            pairs = norms.higher[0] * powers[:-1] * np.cumsum(powers[:-1])
            drift = norms.constant * float(powers[:-1].sum())
            ratio = (drift * _toeplitz_norm(np.concatenate([[0.0], pairs])) / least) ** 2
        ones, twos = (sum(math.comb(j, m) for j in range(m, order + 1)) for m in (1, 2))
        kappa, found = (1 + norms.linear) * least, 1 / (ones + twos * ratio)
    return (kappa, found) if math.isfinite(kappa) and found > 0 else None


def _toeplitz_norm(entries: Floats) -> float:
    """At most the norm of the lower triangular Toeplitz matrix of such a first column: what it
    makes of its first unit vector, and of all ones.
    """
    sums = np.cumsum(entries)
    return max(float(np.linalg.norm(entries)), float(np.linalg.norm(sums)) / len(entries) ** 0.5)
