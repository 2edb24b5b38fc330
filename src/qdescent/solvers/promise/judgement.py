"""What a quantum solver may promise of its answer: by the residual, an a-posteriori check (a
second solve), and a search for what refutes kappa.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent._evidence import Evidence, Row, derived
from qdescent.linalg.chebyshev import minimax_inverse
from qdescent.linalg.chebyshev_transforms import apply_odd_transform
from qdescent.linalg.linear_system import LinearSystem
from qdescent.rows import names
from qdescent.rows.collection import Rows
from qdescent.rows.numbers import at_least
from qdescent.solvers.promise.conditioning import Conditioning, scaled_operator
from qdescent.solvers.promise.refutation import refuting_kappa
from qdescent.solvers.solve import Solution, Status

CHECK_ERROR = 0.1  # of the inverse in the a-posteriori check: it need not be a good one
# of 864 solves with kappa .2 to .8 of the truth none passed below .05, nor above with a q that
# reaches further
CRUDE, FAR = 0.05, 5


def wide_epsilon(system: LinearSystem, epsilon: float) -> float:
    """What of epsilon is left to a solve in double precision, when Z is rounded to the system's own
    type at the end.

    Raises:
        ArgumentError: an epsilon below twice the rounding of Z's type.

    Example:
        >>> wide_epsilon(LinearSystem([[1.0]], [1.0]), 1e-4)
        0.0001
    """
    rounding = returned_rounding(system)
    least = 2 * float(torch.finfo(system.dtype).eps)
    if least > epsilon:
        must = f"be at least {at_least(least)} for an answer in {system.dtype}"
        must += " (give M or B in double precision)" if rounding else ""
        raise argument_error("epsilon", must, f"{epsilon:.3g}")
    return epsilon - rounding


def returned_rounding(system: LinearSystem) -> float:
    """The relative error of Z, computed in double precision, in the system's own type."""
    kind = system.dtype
    return 0.0 if kind in (torch.float64, torch.complex128) else float(torch.finfo(kind).eps)


def product_rounding(degree: int, kappa: float, epsilon: float, share: float) -> float:
    """What the rounding of `degree` products in double precision adds to the relative error of Z, 4
    eps degree kappa.

    Args:
        degree, kappa: of the polynomial.
        epsilon: what was asked for.
        share: of it that rounding may take.

    Raises:
        ArgumentError: an epsilon below what remains.

    Example:
        >>> product_rounding(degree=101, kappa=10.0, epsilon=1e-4, share=0.5) < 1e-12
        True
    """
    rounding = 4 * torch.finfo(torch.float64).eps * degree * kappa
    if rounding > share * epsilon:
        must = (
            f"be at least {at_least(rounding / share)} at kappa = {kappa:.4g}: less is lost in"
            " the rounding of float64"
        )
        raise argument_error("epsilon", must, f"{epsilon:.3g}")
    return rounding


def settled(
    system: LinearSystem, value: Tensor, known: Conditioning, bound: float, epsilon: float
) -> bool:
    """Whether a second solve, of error .1, would move Z by no more than its bound explains:
    ||q(M)(B - M Z)|| <= 1.1 d ||Z||.

    Classical, as the residual is. Where kappa is right Z is off by at most bound ||M^-1 B||, d =
    bound/(1 - bound) of ||Z||, and q(M) M changes that by a factor of at most 1.1. A singular value
    below 1/kappa, which the residual weighs by its own smallness, shows here with what it does to
    Z; for a crude epsilon, whose bound would hide it, q reaches down to 1/(5 kappa).

    Args:
        system, value: what was solved, and Z.
        known: alpha and kappa.
        bound: on ||Z - M^-1 B||/||M^-1 B||, where kappa is right.
        epsilon: what was asked for.

    Cost: 3 kappa products; 15 kappa for epsilon above .05.

    Example:
        >>> system = LinearSystem(torch.diag(torch.tensor([1.0, 0.01])), torch.tensor([1.0, 0.01]))
        >>> known = Conditioning(alpha=1.0, kappa=100.0, singular_values=None, rows=Rows())
        >>> # residuals 0, .005
        >>> [
        ...     settled(system, torch.tensor([1.0, z]), known, bound=1e-3, epsilon=1e-3)
        ...     for z in (1.0, 0.5)
        ... ]
        [True, False]
    """
    if bound >= 1:
        return False
    operator, _ = scaled_operator(system, known.alpha)
    value = value.to(operator.dtype)
    left = system.rhs.to(operator.dtype) / known.alpha - operator @ value
    reach = FAR if epsilon > CRUDE else 1
    correction = apply_odd_transform(
        minimax_inverse(reach * known.kappa, CHECK_ERROR).coefficients, operator, left
    )
    lengths = [float(torch.linalg.vector_norm(v)) for v in (correction, value)]
    return lengths[0] <= (1 + CHECK_ERROR) * bound / (1 - bound) * lengths[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What a solver's method found, before it is judged.

    Args:
        value: Z in double precision.
        bound: on ||Z - M^-1 B||/||M^-1 B||, where kappa is right; before Z is rounded to the
            system's own type.
        allowed: on the residual, where kappa is right.
        trusted: False where the method itself saw that its bound does not hold.
        cost: what it took.
        circuit: the bloq that was run; None where no circuit was.
    """

    value: Tensor = field(repr=False)
    bound: float
    allowed: float
    trusted: bool
    cost: Sequence[Row] = field(repr=False)
    circuit: Any = field(repr=False)


def judged(system: LinearSystem, known: Conditioning, answer: Answer, epsilon: float) -> Solution:
    """A solution, held against the residual that its method may leave if kappa is right, and
    against what may refute kappa.

    Args:
        system, known: what was solved, and its alpha and kappa.
        answer: what the method found.
        epsilon: what was asked for.

    Cost: that of `refuting_kappa` where a kappa was not measured.
    """
    value, trusted = answer.value, answer.trusted
    returned = value.to(system.dtype)
    bound = answer.bound + returned_rounding(system)
    residual = system.residual(value)
    accurate = (
        trusted
        and bound <= epsilon * (1 + 1e-9)
        and residual <= answer.allowed * (1 + 1e-6) + 1e-12
    )
    # What proves kappa too small: the singular values where they were measured, else a vector that
    # M shrinks by more.
    needed = known.needed if known.refuted else None
    if known.needed is None:
        operator, _ = scaled_operator(system, known.alpha)
        wide = value.to(operator.dtype)
        left = system.rhs.to(operator.dtype) / known.alpha - operator @ wide
        needed = refuting_kappa(operator, wide, left, known.kappa)
    condition = ""
    if needed is not None or not trusted:
        bound = math.inf  # it was derived from what was seen to be untrue
    if needed is not None:
        status, condition = Status.KAPPA_REFUTED, "none: kappa is refuted"
    elif not accurate:
        status = Status.INACCURATE
    elif known.needed is not None:
        status = Status.SOLVED
    else:
        status, condition = Status.SOLVED_IF_KAPPA_IS_RIGHT, "if kappa is right"
    source = ", ".join(
        [
            "relative error of Z: polynomial, angles (certified), preparation, rounding",
            *([condition] * bool(condition)),
        ]
    )
    # a theorem's bound at a kappa that was given or estimated is a model
    kind = derived(Evidence.BOUNDED, known.rows[names.KAPPA].evidence)
    rows = [*answer.cost, Row(names.BOUND, bound, "1", kind, source)]
    if needed is not None:
        rows.append(refuted_row(needed))
    residual = residual if returned.dtype == value.dtype else system.residual(returned)
    return Solution(
        returned, system.extract(returned), residual, bound, status, Rows(rows), answer.circuit
    )


def refuted_row(needed: float) -> Row:
    """The kappa that a vector proves to be needed, as a row."""
    source = "alpha over what M shrinks a vector to, which was found"
    return Row(names.KAPPA_AT_LEAST, needed, "1", Evidence.MEASURED, source)


def singular_outcome(system: LinearSystem) -> Solution:
    """What is returned for a matrix singular to rounding: no value, and a status that says so."""
    zero = torch.zeros_like(system.rhs)
    return Solution(zero, system.extract(zero), 1.0, math.inf, Status.SINGULAR, Rows())
