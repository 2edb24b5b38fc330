"""Bounds on a cumulative distribution of which a Lanczos run knows the first moments."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from qdescent.linalg.inner_product import power_of_two

# the corner, over the largest node, from which the Gauss rule is taken: the error is about 1e-8
ALL_BUT_A_NODE = 1e8


def cumulative_bounds(
    nodes: Tensor, weights: Tensor, residuals: Tensor, x: float
) -> tuple[float, float]:
    """At most mu(-inf, x), at least mu(-inf, x], for every measure mu of 1 with these moments.

    The Gauss rule of k nodes holds the moments 0 .. 2k - 1, the residuals the next one. The
    Gauss-Radau rule with a node at x, of k + 1 nodes, has all of them too; its weights left of x,
    and up to x, are the bounds, and no sharper ones exist.

    Args:
        nodes: theta of the Gauss rule, increasing, (k,).
        weights: its weights, (k,).
        residuals: |beta_k s_kj| of its nodes, (k,).
        x: the edge; may be infinite.

    Returns:
        (lower, upper); the Gauss rule's own share lies between them.

    References:
        Chebyshev-Markov-Stieltjes inequalities: Akhiezer, The Classical Moment Problem (1965),
        chapter 2; Golub and Meurant (2010), section 6.2, for the rule.

    Example:
        >>> nodes, weights = (
        ...     torch.tensor([-1.0, 1.0]).double() / 3**0.5,
        ...     torch.tensor([0.5, 0.5]).double(),
        ... )
        >>> residuals = torch.full((2,), (2 / 15) ** 0.5, dtype=torch.float64)
        >>> # dx/2 on [-1, 1]: 5 + 8 + 5
        >>> [round(18 * bound, 6) for bound in cumulative_bounds(nodes, weights, residuals, 0.0)]
        [5.0, 13.0]
    """
    if math.isinf(x):
        return (0.0, 0.0) if x < 0 else (1.0, 1.0)
    weights = weights / weights.sum()
    # float64 need not hold the squares below; a power of two changes no digit
    largest = torch.cat([nodes.abs(), residuals, nodes.new_tensor([abs(x)])]).max()
    unit = power_of_two(largest)
    nodes, residuals, x = nodes / unit, residuals / unit, x / float(unit)
    # The tridiagonal matrix and one row more, in the basis of its Ritz vectors: an arrow. The last
    # components of these alternate in sign where the first ones are positive. The corner is chosen
    # so that x is an eigenvalue.
    last = residuals * (-1.0) ** torch.arange(len(nodes), device="cpu")
    gaps = nodes - x
    scale = float(nodes.abs().max()) + abs(x) + float(residuals.max())
    corner = x + float((last**2 / gaps).sum()) if bool((gaps != 0).all()) else math.inf
    if not abs(corner) < ALL_BUT_A_NODE * scale:
        node = int(gaps.abs().argmin())
        return float(weights[:node].sum()), float(weights[: node + 1].sum())
    arrow = torch.diag(torch.cat([nodes, nodes.new_tensor([corner])]))
    arrow[-1, :-1] = arrow[:-1, -1] = last
    arrow[arrow.abs() < torch.finfo(arrow.dtype).tiny] = 0  # LAPACK fails at subnormal numbers
    radau = (torch.linalg.eigh(arrow).eigenvectors[:-1] * weights.sqrt()[:, None]).sum(0) ** 2
    left = int((gaps < 0).sum())  # the nodes interlace: x is the one after so many
    return float(radau[:left].sum()), float(radau[: left + 1].sum())
