"""The linear solve by a polynomial for 1/x: a matrix polynomial at any size, or a circuit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from qdescent._checks import check_interval
from qdescent._evidence import Evidence, Row
from qdescent.linalg.chebyshev import (
    InversePolynomial,
    filter_value,
    inverse_degree,
    minimax_inverse,
)
from qdescent.linalg.chebyshev_transforms import apply_odd_transform
from qdescent.linalg.linear_system import LinearSystem
from qdescent.rows import names
from qdescent.solvers.circuit import Circuit, check_circuit
from qdescent.solvers.circuit_rows import amplification_rows, circuit_rows
from qdescent.solvers.encodings import (
    DEFAULT_ENCODING,
    MatrixEncoding,
    check_encoding,
    more_bits,
    quantised,
)
from qdescent.solvers.promise.conditioning import conditioning, scaled_operator
from qdescent.solvers.promise.judgement import (
    judged,
    product_rounding,
    settled,
    singular_outcome,
    wide_epsilon,
)
from qdescent.solvers.promise.limits import check_forecast, check_limit
from qdescent.solvers.promise.unit_scale import unit_scale
from qdescent.solvers.solve import Solution

if TYPE_CHECKING:
    from qdescent.solvers.circuits.qsvt import SolveCircuit


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
        check_interval("epsilon", self.epsilon, "(0, 1)")
        if self.kappa is not None:
            check_interval("kappa", self.kappa, "(1, inf)")
        object.__setattr__(self, "circuit", check_circuit(self.circuit))
        check_encoding(self.encoding)
        check_limit(self.most_queries)

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
            Solution: SINGULAR where ||M^-1|| was measured and is infinite to rounding;
                KAPPA_REFUTED where kappa was shown to be too small; INACCURATE where the residual,
                or a second look at Z, is off by more than kappa explains; SOLVED where kappa was
                measured, else SOLVED_IF_KAPPA_IS_RIGHT.

        Raises:
            ArgumentError: no kappa for a large system of which no estimate settles; of a circuit,
                angle bits too few for epsilon.

        Cost: degree close to kappa ln(4/epsilon), as many products with M or M^H; amplified, (2r +
            1) times as many calls.

        References:
            Gilyen, Su, Low, Wiebe, arXiv:1806.01838, theorem 41; Childs, Kothari, Somma,
            arXiv:1511.02306.
        """
        unit = unit_scale(system)
        return unit.restored(self._solve(unit.system))

    def _solve(self, system: LinearSystem) -> Solution:
        epsilon = wide_epsilon(system, self.epsilon)
        plan = self.encoding.plan(system)
        known = conditioning(system, self.kappa, plan)
        if known.singular:
            return singular_outcome(system)
        alpha, kappa = known.alpha, known.kappa
        self._check(self.forecast(kappa), kappa)
        polynomial = minimax_inverse(kappa, epsilon / 2)
        cost = [
            Row(
                names.DEGREE,
                polynomial.degree,
                "1",
                Evidence.EXACT,
                "minimax polynomial for 1/x, closed form",
            ),
            *known.rows,
            Row(names.EPSILON, self.epsilon, "1", Evidence.ASSUMED, "setting `epsilon`"),
        ]
        built = check_circuit(self.circuit)
        if built is None:
            rounding = product_rounding(polynomial.degree, kappa, epsilon, share=0.5)
            operator, products = scaled_operator(system, alpha)
            value = (
                apply_odd_transform(
                    polynomial.coefficients, operator, system.rhs.to(operator.dtype)
                )
                / alpha
            )
            cost.insert(
                1,
                Row(
                    names.QUERIES,
                    products.total,
                    "products",
                    Evidence.EXACT,
                    "products with M or M^H, counted as made",
                ),
            )
            bound = polynomial.error + rounding
            trusted = settled(system, value, known, bound, self.epsilon)
            promise = {"epsilon": self.epsilon, "bound": bound, "allowed": bound}
            return judged(system, known, value, **promise, cost=cost, trusted=trusted)

        # Qualtran takes seconds to import: only a solve that runs a circuit pays for it.
        from qdescent.solvers.circuits.amplified import amplified_runs, run_amplified
        from qdescent.solvers.circuits.qsvt import build_circuit, run_circuit

        if built.angle_bits is None:
            encoding = quantised(
                plan, kappa, epsilon, complex_rhs=system.is_complex, loader=built.loader
            )
        else:
            encoding = plan.encode(built.angle_bits, built.loader)
        while True:
            bits = encoding.angle_bits
            circuit = build_circuit(system, polynomial, encoding)
            bound, left_over = _circuit_bound(circuit, polynomial, kappa)
            if bound <= epsilon:
                break
            bits = more_bits(built.angle_bits, bits, self.epsilon, kappa, bound)
            encoding = plan.encode(bits, built.loader)
        qubits = circuit.bloq.signature.n_qubits()
        self._check(polynomial.degree, kappa, qubits)
        run = run_circuit(system, circuit, self.epsilon)
        if built.amplify:
            bare = run.success_probability
            self._check(amplified_runs(bare) * polynomial.degree, kappa, qubits)
            run = run_amplified(system, circuit, run)
            cost += amplification_rows(bare, run.rounds)
            declared = (2 * run.rounds + 1) * polynomial.degree
            cost.append(
                Row(
                    names.DECLARED_QUERIES,
                    declared,
                    "calls",
                    Evidence.EXACT,
                    "(2 rounds + 1) x degree",
                )
            )
        scale = float(torch.linalg.vector_norm(run.value)) / system.rhs_norm
        allowed = circuit.encoding.epsilon * scale + circuit.rhs_error + left_over
        cost.append(
            Row(
                names.QUERIES,
                run.forward_queries + run.adjoint_queries,
                "calls",
                Evidence.EXACT,
                "counted while simulating",
            )
        )
        cost += circuit_rows(
            system,
            run,
            run.value,
            bits=bits,
            loader=built.loader,
            encoding_error=circuit.encoding.epsilon,
            certificate=circuit.certificate,
        )
        trusted = settled(system, run.value, known, bound, self.epsilon)
        promise = {"epsilon": self.epsilon, "bound": bound, "allowed": allowed}
        return judged(
            system,
            known,
            run.value,
            **promise,
            cost=cost,
            trusted=trusted,
            circuit=run.bloq,
        )

    def _check(self, queries: int, kappa: float, qubits: int = 0) -> None:
        check_forecast(self.most_queries, queries, kappa, circuit=bool(self.circuit), qubits=qubits)


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
