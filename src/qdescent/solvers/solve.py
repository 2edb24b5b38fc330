"""One verb for every solver: `solve(system, solver) -> Solution`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_field,
    check_instance,
    check_interval,
    check_methods,
    shown,
)
from qdescent.linalg.linear_system import LinearSystem
from qdescent.rows.collection import Rows


class Status(StrEnum):
    """How a solve ended; the text says what to try next.

    SOLVED: within the bound, by a kappa that singular values measured (up to 2048 unknowns) or by
    a bound that rests on nothing given. SOLVED_IF_KAPPA_IS_RIGHT: the same by a kappa that was
    given, declared or estimated, which neither the residual nor a second solve, nor a search for a
    vector that M shrinks by more, refutes. KAPPA_REFUTED: one of these showed it to be too small.
    INACCURATE: the residual, or what a second solve changes, is more than kappa explains.
    SINGULAR: ||M^-1|| was measured, and is infinite to rounding. NOT_CONVERGED and UNBOUNDED:
    iterative classical solvers alone.
    """

    SOLVED = "solved within the stated bound"
    SOLVED_IF_KAPPA_IS_RIGHT = (
        "solved within the stated bound if kappa is right: nothing that was looked at refutes it"
    )
    KAPPA_REFUTED = (
        "kappa is too small, a vector that M shrinks by more refutes it: give at least"
        " `kappa_at_least`"
    )
    INACCURATE = (
        "the error may exceed what was asked for, see `bound`: a larger kappa or a smaller epsilon"
        " helps a solver that has them, a better conditioned matrix or more digits helps all"
    )
    SINGULAR = "the matrix is singular to rounding: shorten the horizon or check the map"
    NOT_CONVERGED = "the iteration limit was reached: raise it, or use Direct()"
    UNBOUNDED = (
        "the residual is within the tolerance, but nothing bounds the error: declare"
        " `inverse_norm_bound`, or use Direct()"
    )


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver found.

    Args:
        value: Z, shape (D,).
        answer: u in R^n, taken out of Z where the system says it sits.
        residual: ||M Z - B|| / ||B||, measured on the returned value.
        bound: promise for ||Z - M^-1 B|| / ||M^-1 B||; infinite where nothing is. Where the status
            says so it holds if kappa is right: a kappa that was given, declared or estimated, and
            that neither singular values nor a search for a vector that M shrinks by more have
            refuted.
        status: outcome of the solve.
        cost: price of the solve (queries, degree, qubits, gates), as rows with evidence:
            `cost["queries"]` is one of them, `cost.number("queries")` its number. Empty where
            nothing was spent.
        circuit: the Qualtran bloq that was run; None where no circuit was.
        system: as `solve` was given it.
    """

    value: Tensor = field(repr=False)
    answer: Tensor
    residual: float
    bound: float
    status: Status
    cost: Rows = field(repr=False)
    circuit: Any = field(default=None, repr=False)
    system: LinearSystem | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_tensor("value", self.value, (None,), "complex", finite=False)
        check_tensor("answer", self.answer, (None,), "complex", finite=False)
        check_field(self, "residual", check_interval, "[0, inf]")
        check_field(self, "bound", check_interval, "[0, inf]")
        check_instance("status", self.status, Status)
        check_instance("cost", self.cost, Rows)
        check_instance("system", self.system, LinearSystem, optional=True)

    @property
    def solved(self) -> bool:
        """Whether the bound is promised, if need be on the condition that the status names."""
        return self.status in (Status.SOLVED, Status.SOLVED_IF_KAPPA_IS_RIGHT)


class Solver(Protocol):
    """A frozen object with its own settings; it solves any `LinearSystem`."""

    def solve(self, system: LinearSystem) -> Solution:
        """Solve M Z = B."""
        ...


def solve(system: LinearSystem, solver: Solver) -> Solution:
    """Solve M Z = B by `solver`.

    Args:
        system: the matrix, the right-hand side, and where the answer sits.
        solver: any object with such a method, as `Direct()` and `QSVT(epsilon=...)` are.

    Returns:
        Solution: failure is a value, see `Solution.status`.

    Raises:
        ArgumentError: no solver, or one that returns something else.

    Example:
        >>> import torch
        >>> from qdescent.solvers.classical import Direct
        >>> M = torch.tensor([[1.0, -1 / 3], [-1 / 3, 1.0]], dtype=torch.float64)
        >>> found = solve(LinearSystem(M, torch.tensor([1.0, 0.0], dtype=torch.float64)), Direct())
        >>> [round(x, 6) for x in found.value.tolist()]
        [1.125, 0.375]
    """
    check_instance("system", system, LinearSystem)
    check_methods("solver", solver, ("solve",), "a solver, such as Direct() or QSVT(epsilon=1e-4)")
    found = solver.solve(system)
    if not isinstance(found, Solution):
        raise argument_error("solver", "return a Solution", f"one that returns {shown(found)}")
    return replace(found, system=system)
