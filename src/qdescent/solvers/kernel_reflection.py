"""The linear solve by one reflection about a kernel (Dalzell 2024): as a matrix polynomial at any
size, or as circuits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from qdescent._checks import check_field, check_integer, check_interval
from qdescent._evidence import Evidence, Row
from qdescent.linalg.chebyshev import KernelFilter, kernel_filter
from qdescent.linalg.linear_system import LinearSystem
from qdescent.rows import names
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.encodings import DEFAULT_ENCODING, MatrixEncoding, check_encoding
from qdescent.solvers.kernel_projection import (
    NormSearch,
    project_on_kernel,
    reflection_degree,
    search_norm,
    search_steps,
)
from qdescent.solvers.kernel_routes import Circuits, MatrixPolynomials, Reflection, Route
from qdescent.solvers.promise.judgement import CRUDE, Answer
from qdescent.solvers.promise.problem import Problem, check_promises, solved
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
        epsilon, kappa, encoding, most_queries: as for `QSVT`.
        norm: ||M^-1 B|| where it is known, even roughly; None searches for it.
        search_shots: measurements of each projection in the search; 64 place N within about 13 %,
            which costs nothing later.
        circuit: True, or a `Circuit(...)` that says how they are built, runs circuits
            (block-encoding of G, QSVT, post-selection) on a state vector instead of matrix
            polynomials. Amplified is the last reflection: it is at .9 already where t fits, so that
            this pays where no repetition is possible, inside of a larger circuit.
        seed: seed of the emulated measurements.

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
        check_promises(self)
        check_encoding(self.encoding)
        if self.norm is not None:
            check_field(self, "norm", check_interval, "(0, inf)")
        check_field(self, "search_shots", check_integer, 1)
        check_field(self, "seed", check_integer, 0)

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

    def solve(self, system: LinearSystem) -> Solution:
        """Solve M Z = B.

        Returns:
            Solution: `Status` says how it ended; SINGULAR, KAPPA_REFUTED and INACCURATE are no
                answers.

        Raises:
            ArgumentError: no kappa for a large system of which no estimate settles; of circuits,
                angle bits too few.

        Cost: degree products with M or M^H for the reflection, and as many of a filter of error .1
            for each step of the search.

        References:
            Dalzell, "A shortcut to an optimal quantum linear system solver", arXiv:2406.12086.
        """
        return solved(system, self, self.encoding, self._answer)

    def _answer(self, problem: Problem) -> Answer:
        problem.check(forecast := self.forecast(problem.kappa))
        route: Route = (
            MatrixPolynomials(problem)
            if problem.circuit is None
            else Circuits(problem, problem.circuit, forecast)
        )
        # Two filters: a coarse one for the search and the a-posteriori check, a fine one for y.
        coarse = kernel_filter(problem.kappa, SEARCH_ERROR)
        fine = kernel_filter(problem.kappa, problem.epsilon / route.share)
        search = self._searched(problem, route, coarse)
        tried = _reflected(problem, route, search.estimate, fine)
        bare = tried[-1]
        found = route.amplified(bare, fine)
        queries = route.queries  # what follows is a check
        drift = _drift(route, found, coarse)
        # x = t y_1/y_e, in the system's units
        y, length, alpha = found.state, problem.system.rhs_norm, problem.alpha
        value = (length / alpha * found.estimate) * y[:-1] / y[-1]
        norm = found.estimate * length / alpha
        errors = found.errors
        trusted = (
            errors.relative <= problem.epsilon and drift <= (1 + coarse.error) * errors.outside
        )
        if self.epsilon > CRUDE:  # there a projection of error .1 sees less than a far solve
            trusted = trusted and problem.settled(value, errors.relative)
        made = len(tried) - 1 + found.runs
        cost = [
            *_counts(route, search, len(tried), made, queries, coarse, fine),
            Row("kernel_drift", drift, "1", Evidence.EXACT, _DRIFT),
            Row(names.NORM_ESTIMATE, norm, "1", Evidence.EXACT, "t in units of ||Z||"),
            _expected(search, made, found, coarse, fine),
            *problem.rows,
            *found.amplification,
            *route.facts(found, value),
        ]
        return Answer(
            value=value,
            bound=errors.relative,
            allowed=errors.residual,
            trusted=trusted,
            cost=cost,
            circuit=None if found.circuit is None else found.circuit[1].bloq,
        )

    def _searched(self, problem: Problem, route: Route, coarse: KernelFilter) -> NormSearch:
        """t: from the norm that was given, or by measured projections."""
        norm, kappa = problem.unit.shrunk(self.norm), problem.kappa
        if norm is None:
            return search_norm(
                lambda t: route.success(t, coarse), kappa, self.search_shots, self.seed
            )
        estimate = problem.alpha * norm / problem.system.rhs_norm
        return NormSearch(estimate=min(max(estimate, 1.0), kappa), steps=0, shots=0)


def _reflected(
    problem: Problem, route: Route, estimate: float, fine: KernelFilter
) -> list[Reflection]:
    """Reflections, each at the t that the one before shows, until one fits; the last is taken."""
    tried: list[Reflection] = []
    while True:
        found = route.reflect(estimate, fine)
        tried.append(found)
        fits = found.errors.relative <= problem.epsilon and found.success >= LEAST_SUCCESS
        better = found.better_estimate(problem.kappa)
        # the same t would give the same again
        if fits or len(tried) == MOST_REFLECTIONS or abs(better - estimate) < 1e-3 * estimate:
            return tried
        estimate = better


def _drift(route: Route, found: Reflection, coarse: KernelFilter) -> float:
    """||R y - y|| of a second projection, classical as the residual is.

    Where kappa is right, y lies in the kernel but for `outside`; a singular value of G below
    1/kappa, that the filter has kept in part, is damped again.
    """
    wide = found.state.to(route.operator.dtype)
    again = project_on_kernel(route.operator, route.b, found.estimate, coarse, start=wide)
    return float(torch.linalg.vector_norm(again - wide))


_DRIFT = "||R y - y|| of a second projection, classical: above the filter's error, kappa is wrong"


def _counts(
    route: Route,
    search: NormSearch,
    reflections: int,
    made: int,
    queries: int,
    coarse: KernelFilter,
    fine: KernelFilter,
) -> list[Row]:
    """What was made, and what was declared: `made` counts the runs of an amplification, too."""
    exact, declared = Evidence.EXACT, search.steps * coarse.degree + made * fine.degree
    degree = f"kernel filter of error epsilon/{route.share}, closed form"
    counted = "counted as made: search and reflection"
    formula = (
        "steps x search degree + reflections x degree, and (2 rounds + 1) x degree if amplified"
    )
    bisection = "bisection of ln t on emulated measurements"
    search_degree = f"kernel filter of error {SEARCH_ERROR:g}"
    again = "1, and one more where the first t was far off"
    return [
        Row(names.DEGREE, fine.degree, "1", exact, degree),
        Row(names.QUERIES, queries, route.unit, exact, counted),
        Row(names.DECLARED_QUERIES, declared, route.unit, exact, formula),
        Row("search_steps", search.steps, "projections", exact, bisection),
        Row("search_degree", coarse.degree, "1", exact, search_degree),
        Row(names.REFLECTIONS, reflections, "reflections", exact, again),
    ]


def _expected(
    search: NormSearch, made: int, found: Reflection, coarse: KernelFilter, fine: KernelFilter
) -> Row:
    """Calls on a machine: every shot of the search, and the reflection until it succeeds."""
    repeated = made if found.amplification else made / max(found.chance, 1e-300)
    calls = search.shots * coarse.degree + repeated * fine.degree
    source = "shots x search degree + reflections x degree / success"
    return Row(names.EXPECTED_QUERIES, calls, "calls", Evidence.MODELLED, source)
