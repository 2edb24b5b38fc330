"""The mathematics of kernel reflection: a linear system as the kernel of a matrix, and one
reflection about that kernel.

For singular values of A in [1/kappa, 1], ||b|| = 1 and an estimate t in [1, kappa] of the norm
N = ||A^-1 b||:

    A_t = diag(A, 1/t),   b_t = (b, 1)/sqrt2,   G = (I - b_t b_t^H) A_t.

The kernel of G is k = (A^-1 b, t)/sqrt(N^2 + t^2), its other singular values are at least 1/kappa.
The last basis vector e has c = <k|e> = t/sqrt(N^2 + t^2), and the reflection 2 k k^H - I takes it
to (2 c sqrt(1 - c^2) x/||x||, 2 c^2 - 1): to the solution alone if t = N. The projector k k^H is
the even polynomial R(G) of a kernel filter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qdescent._checks import check_integer, check_interval
from qdescent._random import named_numpy_generator
from qdescent.linalg.chebyshev import KernelFilter, inverse_degree
from qdescent.linalg.chebyshev_transforms import apply_even_transform
from qdescent.linalg.operator import LinearOperator

# of a projection's success: t is then within a factor 2 of N; a few dozen shots see both outcomes
SEEN = (0.2, 0.8)
# a t above N costs less than one below: at 1.2 N the reflection still succeeds with .97, at N/1.2
# the bound is worse
SAFETY = 1.2


def kernel_operator(operator: LinearOperator, rhs: Tensor, estimate: float) -> LinearOperator:
    """G = (I - b_t b_t^H) diag(A, 1/t), matrix-free.

    Args:
        operator: A, shape (D, D), ||A|| <= 1, with an adjoint.
        rhs: b, shape (D,), ||b|| = 1.
        estimate: t, at least 1.

    Returns:
        LinearOperator: shape (D + 1, D + 1); a product costs one with A or A^H.

    Example:
        >>> from qdescent.linalg.operator import as_operator
        >>> A, b = torch.diag(torch.tensor([0.5, 1.0])), torch.tensor([0.6, 0.8])
        >>> G = kernel_operator(as_operator(A), b, estimate=1.4)
        >>> (G @ torch.tensor([1.2, 0.8, 1.4])).abs().max().item() < 1e-6  # (A^-1 b, t)
        True
    """
    adjoint = operator.H
    b_t = torch.cat((rhs, torch.ones_like(rhs[:1])))[:, None] / math.sqrt(2)

    def forward(v: Tensor) -> Tensor:
        v = torch.cat((operator @ v[:-1], v[-1:] / estimate))
        return v.addmm_(b_t, b_t.mH @ v, alpha=-1)

    def backward(v: Tensor) -> Tensor:
        v = torch.addmm(v, b_t, b_t.mH @ v, alpha=-1)
        return torch.cat((adjoint @ v[:-1], v[-1:] / estimate))

    size = operator.shape[0] + 1
    return LinearOperator((size, size), forward, backward, operator.dtype, operator.device)


def project_on_kernel(
    operator: LinearOperator,
    rhs: Tensor,
    estimate: float,
    kernel: KernelFilter,
    start: Tensor | None = None,
) -> Tensor:
    """R(G) e, close to k <k|e>; 2 R(G) e - e is the reflected state.

    Args:
        operator, rhs, estimate: as in `kernel_operator`.
        kernel: the filter R.
        start: another vector in the place of e, shape (D + 1,); R(G) y = y tells that y lies in the
            kernel.

    Returns:
        Tensor: shape (D + 1,).

    Cost: `kernel.degree` products with A or A^H, three vectors.
    """
    if start is None:
        start = torch.zeros(len(rhs) + 1, dtype=operator.dtype, device=operator.device)
        start[-1] = 1
    return apply_even_transform(
        kernel.coefficients, kernel_operator(operator, rhs, estimate), start
    )


def least_overlap(weight: float, error: float) -> float:
    """The least c = <k|e> that explains w = <e|R(G) e> = c^2 + delta, |delta| <= eta (1 - c^2), eta
    the filter's error.
    """
    return math.sqrt(max(weight - error, 0.0) / (1 - error))


def projection_error(overlap: float, error: float) -> tuple[float, float]:
    """What a filter of error eta does to x' = t y_1/y_e, (y_1, y_e) = R(G) e, where the singular
    values are in [1/kappa, 1].

        f = 1/c^2 - 1,   ||x' - x||/||x|| <= (eta/c + eta f)/(1 - eta f),
        ||A x' - b|| <= sqrt(2 f) eta t/(c (1 - eta f)).

    R(G) e = c k + w with w orthogonal to k, ||w|| <= eta sqrt(1 - c^2): y_1 = c sqrt(1 - c^2)
    x/||x|| + w_1, y_e = c^2 + w_e,
    |w_e| <= eta (1 - c^2), ||G w|| <= ||w||.

    Args:
        overlap: c.
        error: eta.

    Returns:
        (the relative error of x', the residual over t); both infinite where nothing is promised.

    Example:
        >>> relative, residual = projection_error(overlap=0.5**0.5, error=1e-3)  # t = N
        >>> round(relative, 5), round(residual, 5)
        (0.00242, 0.002)
    """
    if overlap <= 0 or error * (spread := 1 / overlap**2 - 1) >= 1:
        return math.inf, math.inf
    left = 1 - error * spread
    return error * (1 / overlap + spread) / left, math.sqrt(2 * spread) * error / (overlap * left)


@dataclass(frozen=True, kw_only=True)
class NormSearch:
    """What the search for t found.

    Args:
        estimate: t, close to 1.2 N.
        steps: projections tried, each at its own t.
        shots: measurements of all of them together.
    """

    estimate: float
    steps: int
    shots: int


def search_norm(
    success: Callable[[float], float], kappa: float, shots: int, seed: int
) -> NormSearch:
    """Find t close to N = ||A^-1 b|| in [1, kappa] by bisection of ln t on measured projections.

    The projection of e succeeds with probability p = t^2/(t^2 + N^2): a share of successes in [.2,
    .8] gives N = t sqrt(1/p - 1), any other says on which side of t it lies.

    Args:
        success: the probability at a given t.
        kappa: the right end of the interval.
        shots: measurements a step; the estimate is off by about 1/sqrt(shots).
        seed: of the emulated measurements.

    Cost: at most about log2(ln kappa) steps.

    References:
        Dalzell, arXiv:2406.12086 (O(log log kappa) kernel projections; its O(kappa) path with the
        constant 56 is another).

    Example:
        >>> found = search_norm(lambda t: t**2 / (t**2 + 40.0**2), kappa=1e3, shots=10_000, seed=0)
        >>> 45 < found.estimate < 51, found.steps
        (True, 1)
    """
    kappa = check_interval("kappa", kappa, "(1, inf)")
    shots = check_integer("shots", shots, 1)
    low, high, steps = 1.0, kappa, 0
    while True:
        # Measure the projection at the middle of ln t, by a binomial draw of its probability.
        t = math.sqrt(low * high)
        draws = named_numpy_generator(seed, "kernel-reflection", steps)
        hits = draws.binomial(shots, min(1.0, success(t)))
        # one outcome alone bounds the other by half a shot
        share = min(max(hits / shots, 0.5 / shots), 1 - 0.5 / shots)
        steps += 1
        # Both outcomes were seen, or the interval is short: p = t^2/(t^2 + N^2) gives N.
        if SEEN[0] <= share <= SEEN[1] or high <= 4 * low:
            estimate = SAFETY * t * math.sqrt(1 / share - 1)
            return NormSearch(
                estimate=min(max(estimate, 1.0), kappa), steps=steps, shots=steps * shots
            )
        # Else the outcome says on which side of t the norm lies.
        low, high = (low, t) if share > SEEN[1] else (t, high)


def search_steps(kappa: float) -> int:
    """The most steps of `search_norm`: as many halvings as bring ln kappa below ln 4, and one.

    Example:
        >>> search_steps(100.0), search_steps(2.0)
        (3, 1)
    """
    return 1 + max(0, math.ceil(math.log2(math.log(kappa) / math.log(4))))


def reflection_degree(kappa: float, error: float) -> int:
    """Products with A or A^H of one filter, 2 l: close to kappa ln(2/error).

    Example:
        >>> reflection_degree(100.0, 1e-4)
        992
    """
    return inverse_degree(kappa, error) + 1
