"""The linear solve by a polynomial for 1/x: a matrix polynomial at any size, or a circuit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from qdescent._evidence import Evidence, Row
from qdescent.linalg.chebyshev import (
    InversePolynomial,
    filter_value,
    inverse_degree,
    minimax_inverse,
)
from qdescent.linalg.linear_system import LinearSystem
from qdescent.rows import names
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.circuits.rows import circuit_rows
from qdescent.solvers.encodings import DEFAULT_ENCODING, MatrixEncoding, check_encoding
from qdescent.solvers.promise.judgement import Answer, product_rounding
from qdescent.solvers.promise.problem import Problem, check_promises, posed, solved
from qdescent.solvers.solve import Solution

if TYPE_CHECKING:
    from qdescent.quantum.encodings.protocol import BlockEncoding
    from qdescent.quantum.simulator.forecast import Forecast
    from qdescent.solvers.circuits.qsvt import SolveCircuit
    from qdescent.solvers.circuits.simulation import Fitted


@dataclass(frozen=True)
class QSVT:
    """Z = M^-1 B by the minimax odd polynomial for 1/x on [1/kappa, 1], kappa = alpha ||M^-1||.

    Half of epsilon goes to the polynomial, half to the quantised angles of the circuit.

    Args:
        epsilon: the promised ||Z - M^-1 B|| / ||M^-1 B||; 1e-4 keeps it below the shot noise of
            10^6 shots.
        kappa: alpha ||M^-1||, or an upper bound on it; None takes the system's declared
            `inverse_norm_bound`, and without one the singular values (up to 2048 unknowns) or an
            estimate from below (`estimated_kappa`). One that is too small is refuted where singular
            values (up to 512 unknowns) or a few products can show it; else the status says that the
            promise holds if kappa is right.
        circuit: True, or a `Circuit(...)` that says how it is built, runs the circuit
            (block-encoding, QSVT, post-selection) on a state vector instead of the matrix
            polynomial.
        encoding: block-encoding of M, which sets alpha with or without a circuit: `BalancedEntries`
            (least alpha of the entries alone), `ColouredEntries`, or `ComposedHistory` from the
            maps that made a history (fewest gates).
        most_queries: the most that a solve may take; None takes 1,000,000 products, or 20,000 calls
            of a circuit (of 16 qubits; each more halves it). Beyond it a solve is refused with its
            number before it starts.

    Raises:
        ArgumentError: epsilon outside (0, 1), kappa not above 1, an encoding without a plan.

    Example:
        >>> M = torch.tensor([[1.0, -1 / 3], [-1 / 3, 1.0]], dtype=torch.float64)
        >>> found = QSVT(epsilon=1e-8).solve(
        ...     LinearSystem(M, torch.tensor([1.0, 0.0], dtype=torch.float64))
        ... )
        >>> [round(z, 6) for z in found.value.tolist()], found.status.name
        ([1.125, 0.375], 'SOLVED')
    """

    epsilon: float = 1e-4
    kappa: float | None = None
    circuit: Circuit | bool | None = None
    encoding: MatrixEncoding = DEFAULT_ENCODING
    most_queries: int | None = None

    def __post_init__(self) -> None:
        check_promises(self)
        check_encoding(self.encoding)

    def forecast(self, kappa: float) -> int:
        """The queries that a solve at this kappa takes, before amplification.

        Example:
            >>> QSVT(epsilon=1e-4).forecast(kappa=100.0)
            1059
        """
        return inverse_degree(kappa, self.epsilon / 2)

    def solve(self, system: LinearSystem) -> Solution:
        """Solve M Z = B.

        Returns:
            Solution: `Status` says how it ended; SINGULAR, KAPPA_REFUTED and INACCURATE are no
                answers.

        Raises:
            ArgumentError: no kappa for a large system of which no estimate settles; of a circuit,
                angle bits too few for epsilon.

        Cost: degree close to kappa ln(4/epsilon), as many products with M or M^H; amplified, (2r +
            1) times as many calls.

        References:
            Gilyen, Su, Low, Wiebe, arXiv:1806.01838, theorem 41; Childs, Kothari, Somma,
            arXiv:1511.02306.
        """
        return solved(system, self, self.encoding, self._answer)

    def _answer(self, problem: Problem) -> Answer:
        problem.check(self.forecast(problem.kappa))
        polynomial = minimax_inverse(problem.kappa, problem.epsilon / 2)
        if problem.circuit is None:
            return _by_products(problem, polynomial)
        return _by_circuit(problem, problem.circuit, polynomial)


def expected_simulation(solver: QSVT, system: LinearSystem) -> Forecast | None:
    """What the simulation of a solve's circuit would take, without amplification: the circuit is
    built for that, and not run; None where M is singular to rounding.

    Args:
        solver: with its settings.
        system: M Z = B.

    Raises:
        ArgumentError: as for `solve`, but for the limit of seconds.
    """
    # Qualtran takes seconds to import: only who asks about a circuit pays for it.
    from qdescent.solvers.circuits.simulation import expected

    problem = posed(system, solver, solver.encoding)
    if problem.known.singular:
        return None
    problem.check(solver.forecast(problem.kappa))
    polynomial = minimax_inverse(problem.kappa, problem.epsilon / 2)
    circuit = _fitted(problem, problem.circuit or Circuit(), polynomial).circuit
    return expected(circuit.bloq, problem.system.matrix.device)


def _degree(polynomial: InversePolynomial) -> Row:
    source = "minimax polynomial for 1/x, closed form"
    return Row(names.DEGREE, polynomial.degree, "1", Evidence.EXACT, source)


def _by_products(problem: Problem, polynomial: InversePolynomial) -> Answer:
    """The polynomial of the matrix itself; half of epsilon is left to rounding."""
    rounding = product_rounding(polynomial.degree, problem.kappa, problem.epsilon, share=0.5)
    value, queries = problem.transformed(polynomial.coefficients)
    bound = polynomial.error + rounding
    return Answer(
        value=value,
        bound=bound,
        allowed=bound,
        trusted=problem.settled(value, bound),
        cost=[_degree(polynomial), queries, *problem.rows],
        circuit=None,
    )


def _by_circuit(problem: Problem, settings: Circuit, polynomial: InversePolynomial) -> Answer:
    """The polynomial of a block-encoding; half of epsilon is left to quantised angles."""
    # Qualtran takes seconds to import: only a solve that runs a circuit pays for it.
    from qdescent.solvers.circuits.amplified import run_amplified
    from qdescent.solvers.circuits.qsvt import run_circuit
    from qdescent.solvers.circuits.simulation import simulated

    system, found = problem.system, _fitted(problem, settings, polynomial)
    circuit = found.circuit
    # The state vector, post-selected; amplified, if wanted, from that run's success probability.
    run, cost = simulated(
        problem,
        settings,
        circuit.bloq,
        polynomial.degree,
        lambda simulator: run_circuit(system, circuit, problem.asked, simulator),
        lambda bare, simulator: run_amplified(system, circuit, bare, simulator),
    )
    exact = Evidence.EXACT
    if settings.amplify:
        declared = (2 * run.rounds + 1) * polynomial.degree
        source = "(2 rounds + 1) x degree"
        cost.append(Row(names.DECLARED_QUERIES, declared, "calls", exact, source))
    # The residual that is allowed: the matrix is off by the encoding's error, B by its angles'.
    length = float(torch.linalg.vector_norm(run.value)) / system.rhs_norm
    allowed = circuit.encoding.epsilon * length + circuit.rhs_error + found.left_over
    return Answer(
        value=run.value,
        bound=found.bound,
        allowed=allowed,
        trusted=problem.settled(run.value, found.bound),
        cost=[
            _degree(polynomial),
            *problem.rows,
            *cost,
            Row(names.QUERIES, run.queries, "calls", exact, "counted while simulating"),
            *circuit_rows(
                system,
                run,
                run.value,
                bits=found.bits,
                loader=settings.loader,
                encoding_error=circuit.encoding.epsilon,
                certificate=circuit.certificate,
            ),
        ],
        circuit=run.bloq,
    )


def _fitted(
    problem: Problem, settings: Circuit, polynomial: InversePolynomial
) -> Fitted[SolveCircuit]:
    """The circuit, its angles with as many bits as the derived bound asks for."""
    from qdescent.solvers.circuits.qsvt import build_circuit
    from qdescent.solvers.circuits.simulation import Fitted, first_encoding, fitted

    def build(encoding: BlockEncoding) -> Fitted[SolveCircuit]:
        circuit = build_circuit(problem.system, polynomial, encoding)
        bound, left_over = _circuit_bound(circuit, polynomial, problem.kappa)
        return Fitted(circuit=circuit, bits=encoding.angle_bits, bound=bound, left_over=left_over)

    encoding = first_encoding(problem, settings, problem.plan, share=problem.epsilon)
    return fitted(problem, settings, problem.plan, encoding, build)


def _circuit_bound(
    circuit: SolveCircuit, polynomial: InversePolynomial, kappa: float
) -> tuple[float, float]:
    """(||Z - M^-1 B||/||M^-1 B||, what the polynomial and its angles leave of the residual).

    With relative errors e of the encoding (over alpha) and r of |B>, ||B|| <= alpha ||Z||: first
    the perturbed exact system, kappa (e + r)/(1 - kappa e), then the polynomial on top of it, on
    singular values that may have sunk to 1/kappa - e.
    """
    encoding = circuit.encoding.epsilon / circuit.encoding.alpha
    if kappa * encoding >= 1:
        return math.inf, math.inf
    left_over = (
        float(filter_value(kappa, polynomial.degree + 1, 1 / kappa - encoding))
        + circuit.certificate / circuit.scale
    )
    perturbed = kappa * (encoding + circuit.rhs_error) / (1 - kappa * encoding)
    return perturbed + left_over * (1 + perturbed), left_over
