"""The linear solve by phase estimation (Harrow, Hassidim, Lloyd): as the matrix polynomial of its
circuit, or as that circuit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from qdescent._checks import argument_error, check_field, check_integer, check_interval
from qdescent._evidence import Evidence, Row
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.algorithms.hhl_inverse import (
    PEAK,
    PhaseEstimationInverse,
    evolution_queries,
    phase_estimation_inverse,
)
from qdescent.rows import names
from qdescent.rows.numbers import at_least
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.circuits.rows import circuit_rows
from qdescent.solvers.encodings import (
    ColouredEntries,
    MatrixEncoding,
    check_encoding,
)
from qdescent.solvers.promise.judgement import Answer, product_rounding
from qdescent.solvers.promise.problem import Problem, check_promises, solved
from qdescent.solvers.solve import Solution

if TYPE_CHECKING:
    from qdescent.quantum.encodings.protocol import BlockEncoding
    from qdescent.solvers.circuits.hhl import PhaseEstimationCircuit
    from qdescent.solvers.circuits.simulation import Fitted

# 2^13 clock values: degree near 23,000, seconds; HHL is here for small instances
MOST_CLOCK_BITS = 13
HERMITIAN_ENTRIES = ColouredEntries()  # one query a step, where the default takes two
ROUNDED = 0.01  # of epsilon, left to rounding; the clock takes the rest


@dataclass(frozen=True)
class HHL:
    """Z = M^-1 B by phase estimation of H = [[0, A], [A^H, 0]], A = M/alpha, and a rotation by
    1/(1.09 kappa x).

    It is the method that the paper names. Its error falls with the square of the clock's size, so
    that small instances and modest epsilon are its range; `KernelReflection` and `QSVT` pay the
    logarithm of 1/epsilon instead.

    Args:
        epsilon: the promised ||Z - M^-1 B|| / ||M^-1 B||; 1e-2 takes a clock of about 15 kappa
            values.
        kappa, most_queries: as for `QSVT`.
        clock_bits: bits of the phase estimation, 13 at most; None takes the fewest that keep the
            error below epsilon.
        circuit: True, or a `Circuit(...)` that says how it is built, runs the circuit (evolutions
            from the block-encoding, Fourier transforms, rotation, post-selection) on a state
            vector; half of epsilon is then the clock's. Its queries grow as the clock's size: 6
            bits take ten seconds.
        encoding: one that has a plan. Coloured entries table H itself, one query a step; of any
            other a step queries the encoding of M and its inverse, which is how a composed history
            keeps its small tables.

    Raises:
        ArgumentError: epsilon outside (0, 1), kappa not above 1, clock bits not in 2 to 13.

    Example:
        >>> M = torch.tensor([[1.0, -1 / 3], [-1 / 3, 1.0]], dtype=torch.float64)
        >>> found = HHL(epsilon=1e-3).solve(
        ...     LinearSystem(M, torch.tensor([1.0, 0.0], dtype=torch.float64))
        ... )
        >>> [round(z, 2) for z in found.value.tolist()], found.status.name
        ([1.12, 0.37], 'SOLVED')
    """

    epsilon: float = 1e-2
    kappa: float | None = None
    clock_bits: int | None = None
    circuit: Circuit | bool | None = None
    most_queries: int | None = None
    encoding: MatrixEncoding = HERMITIAN_ENTRIES

    def __post_init__(self) -> None:
        check_promises(self)
        check_encoding(self.encoding)
        if self.clock_bits is not None:
            check_field(self, "clock_bits", check_integer, 2, MOST_CLOCK_BITS)

    def forecast(self, kappa: float) -> int:
        """The queries that a solve at this kappa takes, before amplification.

        Example:
            >>> HHL(epsilon=1e-2).forecast(100.0), HHL(epsilon=1e-2, circuit=True).forecast(100.0)
            (5899, 37566)
        """
        kappa = check_interval("kappa", kappa, "(1, inf)")
        if self.circuit:
            return evolution_queries(self._clock(kappa, self.epsilon / 2)[1])
        return self._clock(kappa, (1 - ROUNDED) * self.epsilon)[0].degree

    def solve(self, system: LinearSystem) -> Solution:
        """Solve M Z = B.

        Returns:
            Solution: `Status` says how it ended; SINGULAR, KAPPA_REFUTED and INACCURATE are no
                answers.

        Raises:
            ArgumentError: no kappa for a large system of which no estimate settles, a clock too
                small for epsilon, or angle bits too few.

        Cost: about K tau products with M or M^H, K = 2^clock bits; on a machine twice the clock's
            evolution, repeated.

        References:
            Harrow, Hassidim, Lloyd, arXiv:0811.3171.
        """
        return solved(system, self, self.encoding, self._answer)

    def _answer(self, problem: Problem) -> Answer:
        if problem.circuit is None:
            return self._by_products(problem)
        return self._by_circuit(problem, problem.circuit)

    def _by_products(self, problem: Problem) -> Answer:
        """The polynomial that the circuit would apply, of the matrix itself."""
        alpha, kappa = problem.alpha, problem.kappa
        inverse, bits = self._clock(kappa, (1 - ROUNDED) * problem.epsilon)
        problem.check(inverse.degree)
        rounding = product_rounding(inverse.degree, kappa, problem.epsilon, ROUNDED)
        value, queries = problem.transformed(inverse.coefficients)
        # What the circuit would succeed with: the flag's amplitude is g/(1.09 kappa).
        lengths = [float(torch.linalg.vector_norm(v)) for v in (value, problem.system.rhs)]
        success = (alpha * lengths[0] / (PEAK * kappa * lengths[1])) ** 2
        bound, exact = inverse.error + rounding, Evidence.EXACT
        degree = "Chebyshev series of what phase estimation computes"
        chance = "||f(A) b||^2/(1.09 kappa ||b||)^2, before amplification"
        expected = (
            "2 x sum over the clock of 3 orders of e^{i H 2^j tau} (Jacobi-Anger), over the success"
            " probability"
        )
        machine = evolution_queries(bits) / success
        return Answer(
            value=value,
            bound=bound,
            allowed=bound,
            trusted=problem.settled(value, bound),
            cost=[
                Row(names.DEGREE, inverse.degree, "1", exact, degree),
                queries,
                self._clock_row(bits, "epsilon"),
                Row(names.SUCCESS_PROBABILITY, success, "1", exact, chance),
                Row(names.EXPECTED_QUERIES, machine, "calls", Evidence.MODELLED, expected),
                *problem.rows,
            ],
            circuit=None,
        )

    def _by_circuit(self, problem: Problem, settings: Circuit) -> Answer:
        """The circuit; its clock is laid out for the singular values that the angles encode."""
        # A clock for half of epsilon; it sets the queries.
        _, clock = self._clock(problem.kappa, problem.epsilon / 2)
        queries = evolution_queries(clock)
        problem.check(queries)
        # Qualtran takes seconds to import: only a solve that runs a circuit pays for it.
        from qdescent.solvers.circuits.hhl import (
            run_amplified_phase_estimation,
            run_phase_estimation,
        )
        from qdescent.solvers.circuits.simulation import simulated

        system, found = problem.system, _fitted(self.encoding, problem, settings, clock)
        circuit = found.circuit
        # The state vector, post-selected; amplified, if wanted, from that run's probability.
        run, amplification = simulated(
            problem,
            settings,
            circuit.bloq,
            queries,
            lambda simulator: run_phase_estimation(system, circuit, problem.asked, simulator),
            lambda bare, simulator: run_amplified_phase_estimation(
                system, circuit, bare, simulator
            ),
        )
        # The residual that is allowed: the matrix is off by the encoding's error, B by its angles'.
        length = float(torch.linalg.vector_norm(run.value)) / system.rhs_norm
        allowed = circuit.encoding_error * length + circuit.rhs_error + found.left_over
        exact, declared = Evidence.EXACT, (2 * run.rounds + 1) * queries
        formula = "(2 r + 1) x 6 x sum of the orders of e^{i H 2^j tau}"
        machine = declared / run.success_probability
        expected = "queries over the success probability"
        parts = "series, amplification, window and rotation together"
        return Answer(
            value=run.value,
            bound=found.bound,
            allowed=allowed,
            trusted=problem.settled(run.value, found.bound),
            cost=[
                Row(names.QUERIES, run.queries, "calls", exact, "counted while simulating"),
                Row(names.DECLARED_QUERIES, declared, "calls", exact, formula),
                self._clock_row(clock, "epsilon/2"),
                Row(names.EXPECTED_QUERIES, machine, "calls", exact, expected),
                Row("evolution_error", circuit.error, "1", Evidence.BOUNDED, parts),
                *amplification,
                *problem.rows,
                *circuit_rows(
                    system,
                    run,
                    run.value,
                    bits=found.bits,
                    loader=settings.loader,
                    encoding_error=circuit.encoding_error,
                    certificate=circuit.certificate,
                ),
            ],
            circuit=run.bloq,
        )

    def _clock_row(self, bits: int, share: str) -> Row:
        chosen = f"fewest for {share}" if self.clock_bits is None else "setting `clock_bits`"
        return Row(names.CLOCK_BITS, bits, "qubits", Evidence.EXACT, chosen)

    def _clock(self, kappa: float, allowed: float) -> tuple[PhaseEstimationInverse, int]:
        # a clock coarser than 1/kappa cannot tell 1/kappa from 0
        least = max(2, math.floor(math.log2(kappa)))
        tried = range(least, MOST_CLOCK_BITS + 1) if self.clock_bits is None else [self.clock_bits]
        for bits in tried:
            inverse = phase_estimation_inverse(kappa, bits)
            if inverse.error <= allowed:
                return inverse, bits
        name = "epsilon" if self.clock_bits is None else "clock_bits"
        if least > MOST_CLOCK_BITS:
            raise argument_error(
                "kappa", f"be below 2^{MOST_CLOCK_BITS + 1} for phase estimation", kappa
            )
        least_error = (
            f"what {bits} clock bits allow at kappa = {kappa:.4g}:"
            f" {at_least(inverse.error * self.epsilon / allowed)}"
        )
        must = (
            f"be at least {least_error}"
            if name == "epsilon"
            else f"be enough for epsilon = {self.epsilon:g} ({least_error})"
        )
        raise argument_error(name, must, getattr(self, name))


def _fitted(
    matrix: MatrixEncoding, problem: Problem, settings: Circuit, clock: int
) -> Fitted[PhaseEstimationCircuit]:
    """The circuit whose angles, clock and evolutions together keep the error below epsilon.

    The encoding's error e lets 1/kappa sink to 1/kappa - e: the clock is laid out for that. First
    the perturbed exact system, kappa (e + r)/(1 - kappa e), then what the clock leaves of it.
    """
    from qdescent.solvers.circuits.hhl import build_phase_estimation
    from qdescent.solvers.circuits.simulation import Fitted, first_encoding, fitted

    system, kappa = problem.system, problem.kappa

    def build(encoding: BlockEncoding) -> Fitted[PhaseEstimationCircuit] | None:
        off = encoding.epsilon / encoding.alpha
        if kappa * off >= 1:
            return None
        least = kappa / (1 - kappa * off)
        inverse = phase_estimation_inverse(least, clock)
        circuit = build_phase_estimation(system, encoding, least, clock)
        left_over = inverse.error + PEAK * least * circuit.error
        perturbed = kappa * (off + circuit.rhs_error) / (1 - kappa * off)
        bound, bits = perturbed + left_over * (1 + perturbed), encoding.angle_bits
        return Fitted(circuit=circuit, bits=bits, bound=bound, left_over=left_over)

    more = math.ceil(PEAK * (2 * clock + 1))  # the window twice and the rotation
    plan = problem.plan.hermitian  # its circuit needs an encoding that is Hermitian to the last bit
    first = first_encoding(problem, settings, plan, share=problem.epsilon / 2, more=more)
    return fitted(problem, settings, plan, first, build)
