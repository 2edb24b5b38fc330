"""How large the omitted terms of the series are, judged from the terms at hand.

The series starts at the pivot, u(0) = 0, so after t steps u_1 is of the order eta t and u_k, k >=
2, of the order (eta t)^(k+1): the driving term of u_k with the fewest factors is grad^(k+1) L
applied to u_1 k times, summed over t. Hence ||u_k|| / ||u_1|| goes with the k-th power of one
length, and not with the (k-1)-th, as a geometric series through u_1 and u_2 would have it: that one
judges the tail up to a hundred times too small at order 2 (measured).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from qdescent._array_checks import check_array, check_shape, check_tensor
from qdescent._checks import argument_error, check_integer, check_sequence
from qdescent._evidence import Evidence
from qdescent.linalg.inner_product import check_inner_products
from qdescent.training.tail import Tail

TAIL_EVIDENCE = Evidence.MODELLED
TAIL_SOURCE = (
    "the larger of two estimates: geometric majorant of the known series terms, extrapolated past"
    " the order; residuals of the true gradient at the end of each step, extrapolated and carried"
    " on; no bound"
)


def estimate_tail(gram: Tensor | Sequence[Sequence[float]], order: int) -> Tail:
    """The relative truncation error of order N, estimated from M >= N terms of the series.

    ( || sum_{N<k<=M} u_k || + ||u_1|| r^(M+1) / (1 - r) ) / || sum_{k<=M} u_k ||,  r =
    max_{2<=k<=M} (||u_k|| / ||u_1||)^(1/k): the terms past N that are known, and for the others the
    smallest geometric majorant of the known ones (Cauchy's). The estimate costs M^2 inner products
    and needs no run of true descent.

    It is an estimate, not a bound. Estimate over true error on five trained and pruned
    Fashion-MNIST networks, N = 2 and 3, where the true error was between 1e-7 and 0.1 (least,
    median, largest; benchmarks/tail_calibration.py): with M = N terms 0.79, 1.3, 6.1, from a
    carried velocity with momentum 0.9 only 0.11, 0.8, 2.2, with a fresh batch a step 0.54, 1.4, 26;
    with M = N + 1 terms 0.97, 1.1, 5.2; 0.63, 1.0, 3.6; 1.0, 1.1, 4.3.

    It cannot see what the known terms do not show: if the third derivative of the loss vanishes
    along u_1, then u_2 = 0, and at M = 2 the estimate is 0 whatever comes after. So no segment
    stands on it alone (`error_from_residual`). Rounding is not in it: in float32 the true error
    does not fall below about 1e-6.

    Args:
        gram: <u_k, u_l>, (M, M).
        order: N, at most M. N = M extrapolates alone; M = N + 1 measures the first omitted term
            besides.

    Returns:
        Tail.

    Raises:
        ArgumentError: `order` is below 1 or above M; numbers that are no inner products of M
            vectors, two by two.

    References:
        The root test as a radius of convergence for the step size of a Taylor integrator: Jorba and
        Zou, Experimental Mathematics 14, 99 (2005), section 3.

    Example:
        >>> # 1, r^2, r^3 with r = 0.1
        >>> terms = torch.tensor([[1.0], [0.01], [0.001]], dtype=torch.float64)
        >>> tail = estimate_tail(terms[:2] @ terms[:2].T, order=2)
        >>> f"{tail.growth:.2f} {tail.error:.5f}"  # r^3 / (1 - r) / 1.01
        '0.10 0.00110'
        >>> f"{estimate_tail(terms @ terms.T, order=2).error:.5f}"  # and with u_3 known
        '0.00110'
    """
    if not isinstance(gram, Tensor):
        rows = check_sequence("gram", gram, object, called="a square matrix of numbers")
        gram = torch.as_tensor(
            check_array("gram", rows, (len(rows), len(rows)), finite=False), device="cpu"
        )
    gram = check_tensor("gram", gram, (None, None), finite=False).double()
    check_shape("gram", gram, (len(gram), len(gram)))
    if bool((gram.diagonal() < 0).any()):
        raise argument_error("gram", "hold squares of norms on its diagonal", "negative there")
    count = len(gram)
    order = check_integer("order", order, 1)
    if order > count:
        raise argument_error("order", f"be at most the number of terms, {count}", order)
    if not bool(torch.isfinite(gram).all()):
        return Tail(math.inf, math.inf)
    check_inner_products("gram", gram)
    first, size = math.sqrt(gram[0, 0]), _norm_of_sum(gram)
    if not bool(gram.any()):  # the pivot is a stationary point: every term is zero
        return Tail(0.0, 0.0)
    if count == 1:
        return Tail(math.inf, math.nan)
    # a velocity or another batch has brought u_1 back to zero: nothing to compare with
    if first == 0:
        return Tail(math.inf, math.inf)
    growth = max((math.sqrt(gram[k - 1, k - 1]) / first) ** (1 / k) for k in range(2, count + 1))
    if growth >= 1 or size == 0:
        return Tail(math.inf, growth)
    omitted = _norm_of_sum(gram[order:, order:]) + first * growth ** (count + 1) / (1 - growth)
    return Tail(omitted / size, growth)


def _norm_of_sum(gram: Tensor) -> float:
    """||sum_k u_k|| from the inner products; rounding may leave a sum just below zero."""
    return math.sqrt(max(float(gram.sum()), 0.0))
