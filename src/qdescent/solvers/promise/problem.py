"""How every quantum solver begins and ends: a system of order one with alpha and kappa, an answer
that is judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from qdescent._arrays import Floats
from qdescent._checks import check_field, check_integer, check_interval
from qdescent._evidence import Evidence, Row
from qdescent.linalg.chebyshev_transforms import apply_odd_transform
from qdescent.linalg.linear_system import LinearSystem
from qdescent.rows import names
from qdescent.solvers.circuit import Circuit, check_circuit
from qdescent.solvers.encodings import EncodingPlan, MatrixEncoding
from qdescent.solvers.promise.conditioning import Conditioning, conditioning, scaled_operator
from qdescent.solvers.promise.judgement import (
    Answer,
    judged,
    settled,
    singular_outcome,
    wide_epsilon,
)
from qdescent.solvers.promise.limits import check_forecast
from qdescent.solvers.promise.unit_scale import UnitScale, unit_scale
from qdescent.solvers.solve import Solution


class Promises(Protocol):
    """The settings that every solver with a promised epsilon has; `QSVT` says what they mean."""

    @property
    def epsilon(self) -> float: ...
    @property
    def kappa(self) -> float | None: ...
    @property
    def circuit(self) -> Circuit | bool | None: ...
    @property
    def most_queries(self) -> int | None: ...


def check_promises(solver: Promises) -> None:
    """Check those settings, and keep `circuit=True` as `Circuit()`; for a solver's `__post_init__`.

    Raises:
        ArgumentError: epsilon outside (0, 1), kappa not above 1, a circuit that is none, a limit
            below 1.
    """
    check_field(solver, "epsilon", check_interval, "(0, 1)")
    if solver.kappa is not None:
        check_field(solver, "kappa", check_interval, "(1, inf)")
    object.__setattr__(solver, "circuit", check_circuit(solver.circuit))
    if solver.most_queries is not None:
        check_field(solver, "most_queries", check_integer, 1)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A linear system as a quantum solver takes it up.

    Args:
        unit: the system with entries of order one, and the way back.
        plan: how its matrix is encoded.
        known: alpha and kappa; a method is given none that is singular.
        asked: epsilon as it was set.
        epsilon: what of it is left, once Z is rounded to the system's own type.
        circuit: how a circuit is built; None where the polynomial is applied by products.
        most_queries: the setting.
    """

    unit: UnitScale
    plan: EncodingPlan
    known: Conditioning
    asked: float
    epsilon: float
    circuit: Circuit | None
    most_queries: int | None

    @property
    def system(self) -> LinearSystem:
        """M Z = B with entries of order one."""
        return self.unit.system

    @property
    def alpha(self) -> float:
        """The normalisation of the block-encoding."""
        return self.known.alpha

    @property
    def kappa(self) -> float:
        """alpha ||M^-1||, as it was given, declared, measured or estimated."""
        return self.known.kappa

    @property
    def rows(self) -> list[Row]:
        """alpha, kappa and epsilon."""
        asked = Row(names.EPSILON, self.asked, "1", Evidence.ASSUMED, "setting `epsilon`")
        return [*self.known.rows, asked]

    def check(self, queries: int, qubits: int = 0) -> None:
        """Refuse what takes more queries than one waits for, by its number.

        Args:
            queries: products, or calls of a circuit.
            qubits: of the circuit, once they are known.
        """
        is_circuit = self.circuit is not None
        check_forecast(self.most_queries, queries, self.kappa, circuit=is_circuit, qubits=qubits)

    def transformed(self, coefficients: Floats) -> tuple[Tensor, Row]:
        """p(A) B/alpha for an odd Chebyshev series p, A = M/alpha, and the row of its products."""
        operator, products = scaled_operator(self.system, self.alpha)
        start = self.system.rhs.to(operator.dtype)
        value = apply_odd_transform(coefficients, operator, start) / self.alpha
        source = "products with M or M^H, counted as made"
        return value, Row(names.QUERIES, products.total, "products", Evidence.EXACT, source)

    def settled(self, value: Tensor, bound: float) -> bool:
        """Whether a second solve would move Z by no more than its bound explains."""
        return settled(self.system, value, self.known, bound, self.asked)


def solved(
    system: LinearSystem,
    solver: Promises,
    encoding: MatrixEncoding,
    method: Callable[[Problem], Answer],
) -> Solution:
    """Solve M Z = B: the steps that are the same for every quantum solver.

    Args:
        system: as the user gave it.
        solver: its settings.
        encoding: of M.
        method: what the solver does; it is not called where M is singular to rounding.

    Returns:
        Solution: in the user's units, its status by what was looked at (`Status`).

    Raises:
        ArgumentError: no kappa for a large system of which no estimate settles, an epsilon that
            the system's type cannot hold, an answer that it cannot hold in these units.
    """
    problem = posed(system, solver, encoding)
    unit, known = problem.unit, problem.known
    if known.singular:
        return unit.restored(singular_outcome(problem.system))
    # The residual and a search for what refutes kappa say what may be promised of the answer.
    return unit.restored(judged(problem.system, known, method(problem), solver.epsilon))


def posed(system: LinearSystem, solver: Promises, encoding: MatrixEncoding) -> Problem:
    """The problem that a quantum solver takes up; arguments as for `solved`.

    Returns:
        Problem: its `known` says where M is singular to rounding, and there is none.
    """
    # Entries of order one: squares of 1e-170 are lost to float64.
    unit = unit_scale(system)
    epsilon = wide_epsilon(unit.system, solver.epsilon)
    # alpha by the encoding; with it kappa: given, declared, measured, or estimated.
    plan = encoding.plan(unit.system)
    known = conditioning(unit.system, solver.kappa, plan)
    return Problem(
        unit=unit,
        plan=plan,
        known=known,
        asked=solver.epsilon,
        epsilon=epsilon,
        circuit=check_circuit(solver.circuit),
        most_queries=solver.most_queries,
    )
