"""The linear solve by one reflection about a kernel (Dalzell 2024): as a matrix polynomial at any
size, or as circuits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from qdescent._checks import check_integer, check_interval
from qdescent._evidence import Evidence, Row
from qdescent.linalg.chebyshev import kernel_filter
from qdescent.linalg.linear_system import LinearSystem
from qdescent.rows import names
from qdescent.solvers.circuit import Circuit, check_circuit
from qdescent.solvers.circuit_rows import amplification_rows
from qdescent.solvers.encodings import DEFAULT_ENCODING, MatrixEncoding, check_encoding
from qdescent.solvers.kernel_projection import (
    NormSearch,
    project_on_kernel,
    reflection_degree,
    search_norm,
    search_steps,
)
from qdescent.solvers.kernel_routes import Circuits, MatrixPolynomials
from qdescent.solvers.promise.conditioning import conditioning
from qdescent.solvers.promise.judgement import (
    CRUDE,
    judged,
    settled,
    singular_outcome,
    wide_epsilon,
)
from qdescent.solvers.promise.limits import check_forecast, check_limit
from qdescent.solvers.promise.unit_scale import unit_scale
from qdescent.solvers.solve import Solution

# of the search's filter: it moves a probability by .1^2 at most, below what a hundred shots see
SEARCH_ERROR = 0.1
# below it another reflection, at the t that this one shows, costs no more than repeating this one
LEAST_SUCCESS = 0.5
MOST_REFLECTIONS = 2  # a first t that was far off is put right by what its own reflection shows


@dataclass(frozen=True)
class KernelReflection:
    """Z = M^-1 B from the kernel of G = (I - b_t b_t^H) diag(A, 1/t).

    Here A = M/alpha and b_t = (B/||B||, 1)/sqrt2.

    With t close to N = ||A^-1 B||/||B|| a reflection about the kernel takes the last basis vector
    to the solution; the reflection is an even polynomial of G of degree close to kappa
    ln(8/epsilon). Where N is not known it is searched for in [1, kappa] by measured projections,
    O(log log kappa) of them.

    Args:
        epsilon: the promised ||Z - M^-1 B|| / ||M^-1 B||; 1e-4 keeps it below the shot noise of
            10^6 shots.
        kappa: alpha ||M^-1||, or an upper bound on it; None takes the system's declared
            `inverse_norm_bound`, and without one the singular values (up to 2048 unknowns) or an
            estimate from below (`estimated_kappa`). One that is too small is refuted where singular
            values (up to 512 unknowns) or a few products can show it; else the status says that the
            promise holds if kappa is right.
        norm: ||M^-1 B|| where it is known, even roughly; None searches for it.
        search_shots: measurements of each projection in the search; 64 place N within about 13 %,
            which costs nothing later.
        circuit: True, or a `Circuit(...)` that says how they are built, runs circuits
            (block-encoding of G, QSVT, post-selection) on a state vector instead of matrix
            polynomials. Amplified is the last reflection: it is at .9 already where t fits, so that
            this pays where no repetition is possible, inside of a larger circuit.
        seed: seed of the emulated measurements.
        encoding: block-encoding of M, as for `QSVT`.
        most_queries: as for `QSVT`.

    Raises:
        ArgumentError: epsilon outside (0, 1), kappa not above 1, a norm that is not positive, less
            than 1 shot, an encoding without a plan.

    Example:
        >>> M = torch.tensor([[1.0, -1 / 3], [-1 / 3, 1.0]], dtype=torch.float64)
        >>> found = KernelReflection(epsilon=1e-8).solve(
        ...     LinearSystem(M, torch.tensor([1.0, 0.0], dtype=torch.float64))
        ... )
        >>> [round(z, 6) for z in found.value.tolist()], found.status.name
        ([1.125, 0.375], 'SOLVED')
    """

    epsilon: float = 1e-4
    kappa: float | None = None
    norm: float | None = None
    search_shots: int = 64
    circuit: Circuit | bool | None = None
    seed: int = 0
    encoding: MatrixEncoding = DEFAULT_ENCODING
    most_queries: int | None = None

    def __post_init__(self) -> None:
        check_interval("epsilon", self.epsilon, "(0, 1)")
        if self.kappa is not None:
            check_interval("kappa", self.kappa, "(1, inf)")
        if self.norm is not None:
            check_interval("norm", self.norm, "(0, inf)")
        check_integer("search_shots", self.search_shots, 1)
        check_integer("seed", self.seed, 0)
        object.__setattr__(self, "circuit", check_circuit(self.circuit))
        check_encoding(self.encoding)
        check_limit(self.most_queries)

    def forecast(self, kappa: float) -> int:
        """The most queries that a solve at this kappa takes before amplification.

        Example:
            >>> KernelReflection(epsilon=1e-4).forecast(kappa=100.0)
            3160
        """
        kappa = check_interval("kappa", kappa, "(1, inf)")
        share = Circuits.share if self.circuit else MatrixPolynomials.share
        search = (
            0
            if self.norm is not None
            else search_steps(kappa) * reflection_degree(kappa, SEARCH_ERROR)
        )
        return search + MOST_REFLECTIONS * reflection_degree(kappa, self.epsilon / share)

    def _check(self, queries: int, kappa: float, qubits: int = 0) -> None:
        """Refuse a solve of more queries, or qubits, than one waits for."""
        check_forecast(self.most_queries, queries, kappa, circuit=bool(self.circuit), qubits=qubits)

    def solve(self, system: LinearSystem) -> Solution:
        """Solve M Z = B.

        Returns:
            Solution: SINGULAR where ||M^-1|| was measured and is infinite to rounding;
                KAPPA_REFUTED where kappa was shown to be too small; INACCURATE where the residual,
                or a second projection of the state, differs by more than kappa explains; SOLVED
                where kappa was measured, else SOLVED_IF_KAPPA_IS_RIGHT.

        Raises:
            ArgumentError: no kappa for a large system of which no estimate settles; of circuits,
                angle bits too few.

        Cost: degree products with M or M^H for the reflection, and as many of a filter of error .1
            for each step of the search.

        References:
            Dalzell, "A shortcut to an optimal quantum linear system solver", arXiv:2406.12086.
        """
        unit = unit_scale(system)
        return unit.restored(self._solve(unit.system, unit.shrunk(self.norm)))

    def _solve(self, system: LinearSystem, norm: float | None) -> Solution:
        epsilon = wide_epsilon(system, self.epsilon)
        plan = self.encoding.plan(system)
        known = conditioning(system, self.kappa, plan)
        if known.singular:
            return singular_outcome(system)
        self._check(self.forecast(known.kappa), known.kappa)
        built = check_circuit(self.circuit)
        route = (
            MatrixPolynomials(system, known, epsilon)
            if built is None
            else Circuits(system, known, self, built, plan, epsilon)
        )
        alpha, kappa = known.alpha, known.kappa
        coarse, fine = (
            kernel_filter(kappa, SEARCH_ERROR),
            kernel_filter(kappa, epsilon / route.share),
        )
        length = system.rhs_norm
        if norm is None:
            search = search_norm(
                lambda t: route.success(t, coarse), kappa, self.search_shots, self.seed
            )
        else:
            search = NormSearch(min(max(alpha * norm / length, 1.0), kappa), steps=0, shots=0)
        t = search.guess
        reflections = 0
        while True:
            y = route.reflect(t, fine)
            reflections += 1
            weight = float(y[-1].real)  # <e|R(G) e> is real: R(G) is Hermitian
            bound, residual, outside = route.errors(weight, t, fine)
            success = min(1.0, float(torch.linalg.vector_norm(2 * y[:-1])) ** 2)
            better = (
                min(max(t * math.sqrt(max(1 / weight - 1, 0.0)), 1.0), kappa)
                if weight > 0
                else kappa
            )
            fits = bound <= epsilon and success >= LEAST_SUCCESS
            # the same t would give the same again
            if fits or reflections == MOST_REFLECTIONS or abs(better - t) < 1e-3 * t:
                break
            t = better

        made = reflections
        amplified: list[Row] = []
        if isinstance(route, Circuits) and route.built.amplify:
            from qdescent.solvers.circuits.amplified import amplified_runs

            bare = route.run.success_probability
            self._check(amplified_runs(bare) * fine.degree, kappa, route.run.simulated_qubits)
            y = route.amplify()
            made += 2 * route.run.rounds + 1
            amplified = amplification_rows(bare, route.run.rounds)

        # A second look at y, classical as the residual is: where kappa is right, y lies in the
        # kernel but for `outside`; a singular value of G below 1/kappa, that the filter has kept in
        # part, is damped again.
        queries = route.queries
        wide = y.to(route.operator.dtype)
        drift = float(
            torch.linalg.vector_norm(
                project_on_kernel(route.operator, route.b, t, coarse, start=wide) - wide
            )
        )
        trusted = bound <= epsilon and drift <= (1 + coarse.error) * outside

        value = (length / alpha * t) * y[:-1] / y[-1]
        exact = Evidence.EXACT
        declared = search.steps * coarse.degree + made * fine.degree
        machine = (
            search.shots * coarse.degree
            + (made if amplified else made / max(route.chance(success), 1e-300)) * fine.degree
        )
        cost = [
            Row(
                names.DEGREE,
                fine.degree,
                "1",
                exact,
                f"kernel filter of error epsilon/{route.share}, closed form",
            ),
            Row(
                names.QUERIES, queries, route.unit, exact, "counted as made: search and reflection"
            ),
            Row(
                names.DECLARED_QUERIES,
                declared,
                route.unit,
                exact,
                "steps x search degree + reflections x degree, and (2 rounds + 1) x degree if"
                " amplified",
            ),
            Row(
                "search_steps",
                search.steps,
                "projections",
                exact,
                "bisection of ln t on emulated measurements",
            ),
            Row(
                "search_degree",
                coarse.degree,
                "1",
                exact,
                f"kernel filter of error {SEARCH_ERROR:g}",
            ),
            Row(
                names.REFLECTIONS,
                reflections,
                "reflections",
                exact,
                "1, and one more where the first t was far off",
            ),
            Row(
                "kernel_drift",
                drift,
                "1",
                exact,
                "||R y - y|| of a second projection, classical: above the filter's error, kappa is"
                " wrong",
            ),
            Row(names.NORM_GUESS, t * length / alpha, "1", exact, "t in units of ||Z||"),
            Row(
                names.EXPECTED_QUERIES,
                machine,
                "calls",
                Evidence.MODELLED,
                "shots x search degree + reflections x degree / success",
            ),
            *known.rows,
            Row(names.EPSILON, self.epsilon, "1", Evidence.ASSUMED, "setting `epsilon`"),
            *amplified,
            *route.facts(value, success),
        ]
        if self.epsilon > CRUDE:  # there a projection of error .1 sees less than a far solve
            trusted = trusted and settled(system, value, known, bound, self.epsilon)
        promise = {"epsilon": self.epsilon, "bound": bound, "allowed": residual}
        return judged(
            system,
            known,
            value,
            **promise,
            cost=cost,
            trusted=trusted,
            circuit=route.bloq,
        )
