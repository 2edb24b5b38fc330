"""The linear solve by phase estimation (Harrow, Hassidim, Lloyd): as the matrix polynomial of its
circuit, or as that circuit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch

from qdescent._checks import argument_error, check_integer, check_interval
from qdescent._evidence import Evidence, Row
from qdescent.linalg.chebyshev_transforms import apply_odd_transform
from qdescent.linalg.linear_system import LinearSystem
from qdescent.rows import names
from qdescent.rows.numbers import at_least
from qdescent.solvers.circuit import Circuit, check_circuit
from qdescent.solvers.circuit_rows import amplification_rows, circuit_rows
from qdescent.solvers.encodings import (
    ColouredEntries,
    EncodingPlan,
    more_bits,
    quantised,
)
from qdescent.solvers.hhl_inverse import (
    PEAK,
    PhaseEstimationInverse,
    evolution_queries,
    phase_estimation_inverse,
)
from qdescent.solvers.promise.conditioning import Conditioning, conditioning, scaled_operator
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

# 2^13 clock values: degree near 23,000, seconds; HHL is here for small instances
MOST_CLOCK_BITS = 13
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
        kappa: as for `QSVT`.
        clock_bits: bits of the phase estimation, 13 at most; None takes the fewest that keep the
            error below epsilon.
        circuit: True, or a `Circuit(...)` that says how it is built, runs the circuit (evolutions
            from the block-encoding, Fourier transforms, rotation, post-selection) on a state
            vector; half of epsilon is then the clock's. Its queries grow as the clock's size: 6
            bits take ten seconds.
        most_queries: as for `QSVT`.

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

    def __post_init__(self) -> None:
        check_interval("epsilon", self.epsilon, "(0, 1)")
        if self.kappa is not None:
            check_interval("kappa", self.kappa, "(1, inf)")
        if (
            self.clock_bits is not None
            and check_integer("clock_bits", self.clock_bits, 2) > MOST_CLOCK_BITS
        ):
            raise argument_error("clock_bits", f"be at most {MOST_CLOCK_BITS}", self.clock_bits)
        object.__setattr__(self, "circuit", check_circuit(self.circuit))
        check_limit(self.most_queries)

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

    def _check(self, queries: int, kappa: float, qubits: int = 0) -> None:
        check_forecast(self.most_queries, queries, kappa, circuit=bool(self.circuit), qubits=qubits)

    def solve(self, system: LinearSystem) -> Solution:
        """Solve M Z = B.

        Returns:
            Solution: SINGULAR where ||M^-1|| was measured and is infinite to rounding;
                KAPPA_REFUTED where kappa was shown to be too small; INACCURATE where the residual,
                or a second look at Z, is off by more than kappa explains; SOLVED where kappa was
                measured, else SOLVED_IF_KAPPA_IS_RIGHT.

        Raises:
            ArgumentError: no kappa for a large system of which no estimate settles, a clock too
                small for epsilon, or angle bits too few.

        Cost: about K tau products with M or M^H, K = 2^clock bits; on a machine twice the clock's
            evolution, repeated.

        References:
            Harrow, Hassidim, Lloyd, arXiv:0811.3171.
        """
        unit = unit_scale(system)
        return unit.restored(self._solve(unit.system))

    def _solve(self, system: LinearSystem) -> Solution:
        epsilon = wide_epsilon(system, self.epsilon)
        # its circuit needs an encoding that is Hermitian as a circuit, too
        coloured = ColouredEntries().plan(system)
        known = conditioning(system, self.kappa, coloured)
        if known.singular:
            return singular_outcome(system)
        built = check_circuit(self.circuit)
        if built is not None:
            return self._run(system, known, coloured, epsilon, built)
        alpha, kappa = known.alpha, known.kappa
        inverse, bits = self._clock(kappa, (1 - ROUNDED) * epsilon)
        self._check(inverse.degree, kappa)
        rounding = product_rounding(inverse.degree, kappa, epsilon, ROUNDED)
        operator, products = scaled_operator(system, alpha)
        value = (
            apply_odd_transform(inverse.coefficients, operator, system.rhs.to(operator.dtype))
            / alpha
        )
        lengths = [float(torch.linalg.vector_norm(v)) for v in (value, system.rhs)]
        success = (alpha * lengths[0] / (PEAK * kappa * lengths[1])) ** 2
        exact, modelled = Evidence.EXACT, Evidence.MODELLED
        expected = (
            "2 x sum over the clock of 3 orders of e^{i H 2^j tau} (Jacobi-Anger), over the success"
            " probability"
        )
        cost: list[Row] = [
            Row(
                names.DEGREE,
                inverse.degree,
                "1",
                exact,
                "Chebyshev series of what phase estimation computes",
            ),
            Row(
                names.QUERIES,
                products.total,
                "products",
                exact,
                "products with M or M^H, counted as made",
            ),
            Row(
                "clock_bits",
                bits,
                "qubits",
                exact,
                "fewest for epsilon" if self.clock_bits is None else "setting `clock_bits`",
            ),
            Row(
                names.SUCCESS_PROBABILITY,
                success,
                "1",
                exact,
                "||f(A) b||^2/(1.09 kappa ||b||)^2, before amplification",
            ),
            Row(
                names.EXPECTED_QUERIES,
                evolution_queries(bits) / success,
                "calls",
                modelled,
                expected,
            ),
            *known.rows,
            Row(names.EPSILON, self.epsilon, "1", Evidence.ASSUMED, "setting `epsilon`"),
        ]
        bound = inverse.error + rounding
        trusted = settled(system, value, known, bound, self.epsilon)
        promise = {"epsilon": self.epsilon, "bound": bound, "allowed": bound}
        return judged(system, known, value, **promise, cost=cost, trusted=trusted)

    def _run(
        self,
        system: LinearSystem,
        known: Conditioning,
        coloured: EncodingPlan,
        epsilon: float,
        built: Circuit,
    ) -> Solution:
        """The circuit; its clock is laid out for the singular values that the angles encode."""
        kappa, share = known.kappa, epsilon / 2
        _, clock = self._clock(kappa, share)
        queries = evolution_queries(clock)
        self._check(queries, kappa)
        # Qualtran takes seconds to import: only a solve that runs a circuit pays for it.
        from qdescent.solvers.circuits.amplified import amplified_runs
        from qdescent.solvers.circuits.hhl import (
            build_phase_estimation,
            hermitian_encoding,
            run_amplified_phase_estimation,
            run_phase_estimation,
        )

        more = math.ceil(PEAK * (2 * clock + 1))  # the window twice and the rotation
        plan = EncodingPlan(coloured.alpha, coloured.source, partial(hermitian_encoding, system))
        if built.angle_bits is None:
            encoding = quantised(
                plan,
                kappa,
                share,
                complex_rhs=system.is_complex,
                more=more,
                setting=self.epsilon,
                loader=built.loader,
            )
        else:
            encoding = plan.encode(built.angle_bits, built.loader)
        while True:
            bits, bound = encoding.angle_bits, math.inf
            off = encoding.epsilon / encoding.alpha
            if kappa * off < 1:
                # 1/kappa may have sunk by the encoding's error
                least = kappa / (1 - kappa * off)
                inverse = phase_estimation_inverse(least, clock)
                circuit = build_phase_estimation(system, encoding, least, clock)
                left_over = inverse.error + PEAK * least * circuit.error
                perturbed = kappa * (off + circuit.rhs_error) / (1 - kappa * off)
                bound = perturbed + left_over * (1 + perturbed)
            if bound <= epsilon:
                break
            bits = more_bits(built.angle_bits, bits, self.epsilon, kappa, bound)
            encoding = plan.encode(bits, built.loader)
        qubits = circuit.bloq.signature.n_qubits()
        self._check(queries, kappa, qubits)
        run = run_phase_estimation(system, circuit, self.epsilon)
        amplification: list[Row] = []
        if built.amplify:
            bare = run.success_probability
            self._check(amplified_runs(bare) * queries, kappa, qubits)
            run = run_amplified_phase_estimation(system, circuit, run)
            amplification = amplification_rows(bare, run.rounds)
        scale = float(torch.linalg.vector_norm(run.value)) / system.rhs_norm
        allowed = encoding.epsilon * scale + circuit.rhs_error + left_over
        exact = Evidence.EXACT
        declared = (2 * run.rounds + 1) * queries
        chosen = "fewest for epsilon/2" if self.clock_bits is None else "setting `clock_bits`"
        cost = [
            Row(
                names.QUERIES,
                run.forward_queries + run.adjoint_queries,
                "calls",
                exact,
                "counted while simulating",
            ),
            Row(
                names.DECLARED_QUERIES,
                declared,
                "calls",
                exact,
                "(2 r + 1) x 6 x sum of the orders of e^{i H 2^j tau}",
            ),
            Row("clock_bits", clock, "qubits", exact, chosen),
            Row(
                names.EXPECTED_QUERIES,
                declared / run.success_probability,
                "calls",
                exact,
                "queries over the success probability",
            ),
            Row(
                "evolution_error",
                circuit.error,
                "1",
                Evidence.BOUNDED,
                "series, amplification, window and rotation together",
            ),
            *amplification,
            *known.rows,
            Row(names.EPSILON, self.epsilon, "1", Evidence.ASSUMED, "setting `epsilon`"),
            *circuit_rows(
                system,
                run,
                run.value,
                bits=bits,
                loader=built.loader,
                encoding_error=encoding.epsilon,
                certificate=circuit.certificate,
            ),
        ]
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
