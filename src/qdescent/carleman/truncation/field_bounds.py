"""What a truncated Carleman linearisation of u' = F_0 + F_1 u + F_2 (u (x) u) may lose: closed
forms in four numbers.

All of them compare the field with one equation for a number. Let m = mu(F_1), or any number above
it, f_k = ||F_k||, and let e_j = u^(x)j - z_j be the error in block j of the plain form. From mu(F_1
(+) ... (+) F_1) <= j m and the product norm,

    d||e_j||/dt <= j (f_0 ||e_{j-1}|| + m ||e_j|| + f_2 ||e_{j+1}||),           (*)
    e_0 = 0,   ||e_{N+1}|| := ||u||^{N+1}.

(*) is cooperative (its off-diagonal entries are not negative), so whatever satisfies it with >= and
starts at or above zero stays above ||e_j||. Any norm with ||x (x) y|| = ||x|| ||y|| will do: l_1,
l_2, l_inf, or ||S u||_2 (`norms.field_coordinates`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_boolean,
    check_field,
    check_integer,
    check_interval,
)
from qdescent.carleman.truncation.norms import coefficient_norm, log_norm
from qdescent.linalg.polynomial_terms import checked_terms
from qdescent.linalg.tensors import real_tensor

MOST_ORDER = 1_000_000  # far beyond what any bound distinguishes
# ||F_1 F_1^T - F_1^T F_1|| / ||F_1||^2 below which F_1 counts as normal: rounding, no more
NORMAL_TOLERANCE = 1e-10


@dataclass(frozen=True)
class FieldNorms:
    """The numbers of a quadratic field that its bounds need, in one norm.

    Args:
        start: ||u_0||.
        forcing: ||F_0|| (for a forcing in time, its largest value).
        rate: mu(F_1), the log-norm.
        linear: ||F_1||.
        quadratic: ||F_2||.
        abscissa: Re lambda_1, the largest real part of an eigenvalue of F_1; mu(F_1) where F_1 is
            normal and the norm l_2.
        normal: whether F_1 F_1^T = F_1^T F_1.
    """

    start: float
    forcing: float
    rate: float
    linear: float
    quadratic: float
    abscissa: float
    normal: bool

    def __post_init__(self) -> None:
        for name in ("start", "forcing", "linear", "quadratic"):
            check_field(self, name, check_interval, "[0, inf]")
        check_field(self, "rate", check_interval, "[-inf, inf]")
        check_field(self, "abscissa", check_interval, "[-inf, inf]")
        check_field(self, "normal", check_boolean)


def field_norms(coefficients: Sequence[Tensor], u0: Tensor, p: float = 2.0) -> FieldNorms:
    """The norms of F_0, F_1, F_2 and u_0.

    Args:
        coefficients: [F_0, F_1] or [F_0, F_1, F_2], (n,) or (n, 1), (n, n), (n, n^2), dense or
            sparse COO.
        u0: (n,).
        p: the norm, 1, 2 or inf.

    Raises:
        ArgumentError: a degree above 2.

    Example:
        >>> F = [
        ...     torch.zeros(2),
        ...     torch.tensor([[-3.0, 0.0], [0.0, -1.0]]),
        ...     torch.tensor([[0.0, 0, 0, 1], [0, 0.5, 0, 0]]),
        ... ]
        >>> norms = field_norms(F, torch.tensor([0.3, 0.4]))
        >>> round(norms.start, 6), norms.rate, norms.linear, norms.quadratic, norms.normal
        (0.5, -1.0, 3.0, 1.0, True)
    """
    coefficients = checked_terms(coefficients)
    if len(coefficients) > 3:
        raise argument_error(
            "coefficients", "be F_0, F_1 and at most F_2", f"{len(coefficients)} of them"
        )
    u0 = check_tensor("u0", real_tensor("u0", u0), (len(coefficients[1]),))
    F1 = coefficients[1].to_dense().double()
    linear = coefficient_norm(F1, p)
    commutator = coefficient_norm(F1 @ F1.T - F1.T @ F1)
    return FieldNorms(
        start=float(torch.linalg.vector_norm(u0.double(), p)),
        forcing=float(torch.linalg.vector_norm(coefficients[0].to_dense().double().flatten(), p)),
        rate=log_norm(F1, p),
        linear=linear,
        quadratic=coefficient_norm(coefficients[2], p) if len(coefficients) > 2 else 0.0,
        abscissa=float(torch.linalg.eigvals(F1).real.max()),
        normal=commutator <= NORMAL_TOLERANCE * coefficient_norm(F1) ** 2,
    )


def liu_number(
    start_norm: float, rate: float, quadratic_norm: float, forcing_norm: float = 0.0
) -> float:
    """R = (||u_0|| ||F_2|| + ||F_0||/||u_0||) / |rate|: what drives against what dissipates.

    Args:
        start_norm: ||u_0||.
        rate: Re lambda_1 of a normal F_1, or mu(F_1) of any; below zero.
        quadratic_norm: ||F_2||.
        forcing_norm: ||F_0||, its largest value over time.

    Returns:
        R; the linearisation converges for R < 1, no quantum algorithm is efficient in general for R
        >= sqrt 2. Infinite for
        ||u_0|| = 0 with a forcing: then ask `rescaled_number`.

    References:
        Liu et al., PNAS 118, e2026805118 (2021), arXiv:2011.03185 (definition of R); with mu:
        Krovi, arXiv:2202.01054.

    Example:
        >>> liu_number(0.5, -2.0, 1.0, forcing_norm=0.25)
        0.5
    """
    _check(start_norm, quadratic_norm, forcing_norm)
    rate = check_interval("rate", rate, "(-inf, 0)")
    pull = 0.0 if forcing_norm == 0 else forcing_norm / start_norm if start_norm > 0 else math.inf
    return (start_norm * quadratic_norm + pull) / -rate


def rescaled_number(
    start_norm: float, rate: float, quadratic_norm: float, forcing_norm: float = 0.0
) -> tuple[float, float]:
    """The least R-number that a rescaling u -> u/gamma leaves, and that gamma.

    R_gamma = (gamma ||F_2|| + ||F_0||/gamma) / |rate| over gamma >= ||u_0||, best at gamma =
    max(||u_0||, sqrt(||F_0||/||F_2||)). R_gamma < 1 makes the ball ||u|| < gamma trap the solution
    (there d||u||/dt <= |rate| gamma (R_gamma - 1) on its surface), and `forced_error_bound`
    converges exactly where some gamma gives R_gamma < 1. It is `liu_number` where ||u_0|| is the
    larger, and stays finite for u_0 = 0, the state right after an upload.

    Returns:
        (R_gamma, gamma); gamma is infinite, and R_gamma zero, for ||F_2|| = 0.

    References:
        Rescaling: Liu et al., arXiv:2011.03185; Costa et al., arXiv:2312.09518. The optimal gamma:
            derived here.

    Example:
        >>> rescaled_number(0.0, -4.0, 1.0, forcing_norm=1.0)
        (0.5, 1.0)
    """
    _check(start_norm, quadratic_norm, forcing_norm)
    rate = check_interval("rate", rate, "(-inf, 0)")
    if quadratic_norm == 0:
        return 0.0, math.inf
    gamma = max(start_norm, math.sqrt(forcing_norm / quadratic_norm))
    return (0.0 if gamma == 0 else (gamma * quadratic_norm + forcing_norm / gamma) / -rate), gamma


def liu_error_bound(
    start_norm: float, rate: float, quadratic_norm: float, order: int, time: float
) -> float:
    """||u(t) - u_N(t)|| <= ||u_0|| R^N (1 - e^{rate t})^N, without forcing and for R = ||u_0||
    ||F_2||/|rate| < 1.

    Args:
        start_norm: ||u_0||.
        rate: Re lambda_1 of a normal F_1, or mu(F_1) of any; below zero.
        quadratic_norm: ||F_2||.
        order: N.
        time: t.

    Raises:
        ArgumentError: R >= 1.

    References:
        Liu et al., arXiv:2011.03185 (truncation error without forcing, normal F_1); with mu(F_1) it
        follows from `comparison_error_bound`, which is never larger: e^{rate t} <= 1 - q for R < 1.

    Example:
        >>> # true error of the logistic equation: .0053674
        >>> round(liu_error_bound(1.0, -1.0, 0.5, order=4, time=1.0), 6)
        0.009979
    """
    R = liu_number(start_norm, rate, quadratic_norm)
    order = check_integer("order", order, 1, MOST_ORDER)
    time = check_interval("time", time, "[0, inf)")
    if R >= 1:
        raise argument_error(
            "start_norm",
            "leave R = ||u_0|| ||F_2|| / |rate| below 1",
            f"{start_norm!r}: R = {R:.6g}",
        )
    return start_norm * (R * -math.expm1(rate * time)) ** order


def comparison_time(start_norm: float, rate: float, quadratic_norm: float) -> float:
    """The time up to which `comparison_error_bound` is finite, and goes to zero with N: ln(1 +
    rate/(||u_0|| ||F_2||)) / rate.

    Args:
        start_norm: ||u_0||.
        rate: mu(F_1) gives the a-priori time, ||F_1|| the (shorter) power-series time; any sign.
        quadratic_norm: ||F_2||.

    Returns:
        The time, infinite for R <= 1 (rate below zero).

    References:
        Forets and Pouly, "Explicit error bounds for Carleman linearization", arXiv:1711.02552,
        Theorems 4.2 and 4.3.

    Example:
        >>> round(comparison_time(0.1, 1.0, 3.2), 10)  # ln 4.125
        1.4170660198
    """
    _check(start_norm, quadratic_norm)
    rate = check_interval("rate", rate, "(-inf, inf)")
    growth = start_norm * quadratic_norm
    if growth == 0 or rate + growth <= 0:
        return math.inf
    return 1 / growth if rate == 0 else math.log1p(rate / growth) / rate


def comparison_error_bound(
    start_norm: float, rate: float, quadratic_norm: float, order: int, time: float
) -> float:
    """||u(t) - u_N(t)|| <= ||u_0|| e^{rate t} q^N / (1 - q), q = ||u_0|| ||F_2|| (e^{rate t} -
    1)/rate, without forcing.

    Proof: with f_0 = 0, (*) of this module is an equation for the logistic v' = rate v + ||F_2||
    v^2, v(0) = ||u_0||, which bounds
    ||u||; the bound is its own truncation error v - v_N, a geometric tail.

    Args:
        start_norm: ||u_0||.
        rate: mu(F_1) or anything above it (||F_1||: the power-series bound), of any sign.
        quadratic_norm: ||F_2||.
        order: N.
        time: t.

    Returns:
        The bound; infinite from `comparison_time` on.

    References:
        rate = ||F_1||: Forets and Pouly, arXiv:1711.02552, Theorem 4.3. rate = mu(F_1) < 0: the
        condition of Krovi, arXiv:2202.01054. The proof above covers both.

    Example:
        >>> # the logistic equation itself: no loss
        >>> round(comparison_error_bound(1.0, -1.0, 0.5, order=4, time=1.0), 9)
        0.005367442
    """
    _check(start_norm, quadratic_norm)
    rate = check_interval("rate", rate, "(-inf, inf)")
    order = check_integer("order", order, 1, MOST_ORDER)
    time = check_interval("time", time, "[0, inf)")
    if time >= comparison_time(start_norm, rate, quadratic_norm):
        return math.inf
    try:
        q = start_norm * quadratic_norm * (time if rate == 0 else math.expm1(rate * time) / rate)
        return start_norm * math.exp(rate * time) * q**order / (1 - q) if q < 1 else math.inf
    # without a quadratic part the truncation is exact, however far the solution goes
    except OverflowError:
        return math.inf if quadratic_norm > 0 else 0.0


def forced_error_bound(
    start_norm: float, rate: float, quadratic_norm: float, forcing_norm: float, order: int
) -> float:
    """||u(t) - u_N(t)|| <= V^{N+1} (r_+ - r_-) / (r_+^{N+1} - r_-^{N+1}) at all times, in the plain
    form with forcing.

    r_- < r_+ are the roots of ||F_2|| r^2 + rate r + ||F_0|| and V = max(||u_0||, r_-) < r_+.
    Proof: v' = ||F_0|| + rate v +
    ||F_2|| v^2 moves from ||u_0|| < r_+ towards r_- without turning, so ||u|| <= V; and the numbers
    h_j = V^{N+1} (r_+^j - r_-^j) / (r_+^{N+1} - r_-^{N+1}) make the right side of (*) zero, with
    h_0 = 0 and h_{N+1} = V^{N+1}: they stay above ||e_j||. Without forcing the bound is ||u_0||
    R^N.

    Args:
        start_norm: ||u_0||, may be zero.
        rate: mu(F_1) < 0.
        quadratic_norm: ||F_2||.
        forcing_norm: ||F_0||, its largest value over time.
        order: N.

    Returns:
        The bound; infinite where no gamma brings `rescaled_number` below 1.

    References:
        Extends the truncation error of Liu et al., arXiv:2011.03185, to a forcing; derived here.

    Example:
        >>> forced_error_bound(0.5, -1.0, 1.0, 0.0, order=3)  # ||u_0|| R^3
        0.0625
        >>> round(forced_error_bound(0.0, -2.5, 1.0, 1.0, order=3), 6)  # roots .5 and 2
        0.005882
    """
    _check(start_norm, quadratic_norm, forcing_norm)
    rate = check_interval("rate", rate, "(-inf, 0)")
    order = check_integer("order", order, 1, MOST_ORDER)
    if quadratic_norm == 0:
        return 0.0
    discriminant = rate * rate - 4 * quadratic_norm * forcing_norm
    if discriminant <= 0:
        return math.inf
    upper = (-rate + math.sqrt(discriminant)) / (2 * quadratic_norm)
    lower = forcing_norm / (quadratic_norm * upper)  # by the product of the roots: no cancellation
    V = max(start_norm, lower)
    if upper <= V:
        return math.inf
    share = lower / upper
    return V * (V / upper) ** order * (1 - share) / (1 - share ** (order + 1))


def _check(start_norm: float, quadratic_norm: float, forcing_norm: float = 0.0) -> None:
    start_norm = check_interval("start_norm", start_norm, "[0, inf)")
    quadratic_norm = check_interval("quadratic_norm", quadratic_norm, "[0, inf)")
    forcing_norm = check_interval("forcing_norm", forcing_norm, "[0, inf)")
