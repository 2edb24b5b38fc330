"""The reflection about the kernel by two routes: a matrix polynomial, or simulated circuits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent._evidence import Evidence, Row
from qdescent.linalg.chebyshev import KernelFilter, filter_value
from qdescent.linalg.operator import LinearOperator
from qdescent.rows import names
from qdescent.rows.numbers import at_least
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.circuits.rows import amplification_rows, circuit_rows
from qdescent.solvers.kernel_projection import least_overlap, project_on_kernel, projection_error
from qdescent.solvers.promise.conditioning import scaled_operator
from qdescent.solvers.promise.judgement import product_rounding
from qdescent.solvers.promise.problem import Problem

if TYPE_CHECKING:
    from qdescent.solvers.circuits.kernel_reflection import KernelCircuit
    from qdescent.solvers.circuits.run import CircuitRun


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Bounds on what a reflection promises, where kappa is right; infinite where it does nothing.

    Args:
        relative: of x.
        residual: of x.
        outside: the part of y that lies outside the kernel.
    """

    relative: float
    residual: float
    outside: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Reflection:
    """One reflection about the kernel, at one estimate t of the norm.

    Args:
        estimate: t.
        state: y = R(G) e, (D + 1,), e last; 2 y - e is the reflected state.
        errors: of x = t y_1/y_e.
        chance: that the circuit succeeds; of a matrix polynomial that of one without
            subnormalisation.
        runs: of the circuit that gave it, forth and back.
        amplification: rows of the amplification; none without.
        circuit: what was run, and its run; None where no circuit was.
    """

    estimate: float
    state: Tensor = field(repr=False)
    errors: Errors
    chance: float
    runs: int
    amplification: Sequence[Row]
    circuit: tuple[KernelCircuit, CircuitRun] | None = field(repr=False)

    @property
    def weight(self) -> float:
        """<e|R(G) e> = c^2, c = <k|e>; it is real, for R(G) is Hermitian."""
        return float(self.state[-1].real)

    @property
    def success(self) -> float:
        """The weight of the reflected state outside e, where x stands."""
        return _reflected_weight(self.state)

    def better_estimate(self, kappa: float) -> float:
        """N as this reflection shows it, c^2 = t^2/(t^2 + N^2), in [1, kappa]."""
        if self.weight <= 0:
            return kappa
        return min(max(self.estimate * math.sqrt(max(1 / self.weight - 1, 0.0)), 1.0), kappa)


class Route(Protocol):
    """How R(G) e comes about; all products or calls are counted as they are made.

    Attributes:
        share: the part of epsilon that the filter takes is epsilon/share.
        unit: of the queries.
        operator: A = M/alpha in double precision, for the a-posteriori check of the answer.
        b: B/||B|| in its type.
        queries: made so far.
    """

    share: int
    unit: str
    operator: LinearOperator
    b: Tensor

    @property
    def queries(self) -> int: ...

    def success(self, estimate: float, kernel: KernelFilter) -> float:
        """||R(G) e||^2, what a projection at this t succeeds with."""
        ...

    def reflect(self, estimate: float, kernel: KernelFilter) -> Reflection:
        """The reflection of e at this t."""
        ...

    def amplified(self, reflection: Reflection, kernel: KernelFilter) -> Reflection:
        """The same under amplitude amplification, where the settings ask for it."""
        ...

    def facts(self, reflection: Reflection, value: Tensor) -> list[Row]:
        """Rows of the reflection that was taken, and of its circuit."""
        ...


class MatrixPolynomials:
    """R(G) e by products with M/alpha."""

    share = 4  # x is then within epsilon for every t above .7 N
    unit = "products"

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.operator, self._products = scaled_operator(problem.system, problem.alpha)
        self.b = problem.system.rhs.to(self.operator.dtype) / problem.system.rhs_norm

    @property
    def queries(self) -> int:
        return self._products.total

    def _projected(self, estimate: float, kernel: KernelFilter) -> Tensor:
        return project_on_kernel(self.operator, self.b, estimate, kernel)

    def success(self, estimate: float, kernel: KernelFilter) -> float:
        return float(torch.linalg.vector_norm(self._projected(estimate, kernel))) ** 2

    def reflect(self, estimate: float, kernel: KernelFilter) -> Reflection:
        state = self._projected(estimate, kernel)
        # w = c^2 + delta, |delta| <= eta (1 - c^2): the least c that explains it bounds the error.
        c = least_overlap(float(state[-1].real), kernel.error)
        relative, residual = projection_error(c, kernel.error)
        kappa, epsilon = self._problem.kappa, self._problem.epsilon
        rounding = product_rounding(kernel.degree, kappa, epsilon, share=1 / self.share)
        return Reflection(
            estimate=estimate,
            state=state,
            errors=Errors(
                relative=relative + rounding,
                residual=estimate * residual + rounding,
                outside=kernel.error * math.sqrt(1 - c * c) + rounding,
            ),
            chance=_reflected_weight(state),
            runs=1,
            amplification=(),
            circuit=None,
        )

    def amplified(self, reflection: Reflection, kernel: KernelFilter) -> Reflection:
        return reflection  # there is nothing to amplify

    def facts(self, reflection: Reflection, value: Tensor) -> list[Row]:
        source = "weight of the reflected state outside the last basis vector"
        success = reflection.success
        return [Row(names.SUCCESS_PROBABILITY, success, "1", Evidence.EXACT, source)]


class Circuits:
    """R(G) e from simulated circuits; what they hold is perturbed by the quantised angles."""

    share = 8  # as much again is left to the angles
    unit = "calls"

    def __init__(self, problem: Problem, settings: Circuit, forecast: int) -> None:
        from qdescent.solvers.circuits.simulation import first_encoding

        self._problem, self._settings, self._forecast = problem, settings, forecast
        # t's own row and the reading of two amplitudes cost 2.8 times what they cost the
        # polynomial: a quarter of epsilon
        share = problem.epsilon / 4
        self._encoding = first_encoding(problem, settings, problem.plan, share=share, more=1)
        self.operator, _ = scaled_operator(problem.system, problem.alpha)
        self.b = problem.system.rhs.to(self.operator.dtype) / problem.system.rhs_norm
        self._queries = 0

    @property
    def queries(self) -> int:
        return self._queries

    def success(self, estimate: float, kernel: KernelFilter) -> float:
        """The circuit's own probability is .98^2 of this, made good by 4 % more shots."""
        _, run = self._run(estimate, kernel, reflects=False)
        return float(torch.linalg.vector_norm(run.value)) ** 2

    def reflect(self, estimate: float, kernel: KernelFilter) -> Reflection:
        circuit, run = self._run(estimate, kernel, reflects=True)
        return Reflection(
            estimate=estimate,
            state=run.value,
            errors=self._errors(circuit, float(run.value[-1].real), kernel),
            chance=run.success_probability,
            runs=1,
            amplification=(),
            circuit=(circuit, run),
        )

    def _run(
        self, estimate: float, kernel: KernelFilter, *, reflects: bool
    ) -> tuple[KernelCircuit, CircuitRun]:
        # Qualtran takes seconds to import: only a solve that runs a circuit pays for it.
        from qdescent.solvers.circuits.kernel_reflection import (
            build_kernel_circuit,
            run_kernel_circuit,
        )
        from qdescent.solvers.circuits.simulation import checked_simulator

        problem = self._problem
        circuit = build_kernel_circuit(
            problem.system, self._encoding, estimate, kernel, reflects=reflects
        )
        if not self._queries:  # the first of all: now its qubits are known
            problem.check(self._forecast, circuit.bloq.signature.n_qubits())
        simulator = checked_simulator(circuit.bloq, self._settings, problem.system.matrix.device)
        run = run_kernel_circuit(problem.system, circuit, problem.asked, simulator)
        self._queries += run.queries
        return circuit, run

    def amplified(self, reflection: Reflection, kernel: KernelFilter) -> Reflection:
        if reflection.circuit is None or not self._settings.amplify:
            return reflection
        from qdescent.solvers.circuits.amplified import run_amplified
        from qdescent.solvers.circuits.simulation import amplified_runs, checked_simulator

        circuit, bare = reflection.circuit
        probability = bare.success_probability
        runs, system = amplified_runs(probability), self._problem.system
        self._problem.check(runs * kernel.degree, bare.simulated_qubits)
        simulator = checked_simulator(circuit.bloq, self._settings, system.matrix.device, runs)
        run = run_amplified(system, circuit, bare, simulator)
        self._queries += run.queries
        return replace(
            reflection,
            state=run.value,
            chance=run.success_probability,
            runs=reflection.runs + amplified_runs(probability),
            amplification=amplification_rows(probability, run.rounds),
            circuit=(circuit, run),
        )

    def _errors(self, circuit: KernelCircuit, weight: float, kernel: KernelFilter) -> Errors:
        """The filter's part as for the matrix polynomial, on singular values that may have sunk by
        e, and the angles' part.
        """
        problem, bits = self._problem, self._settings.angle_bits
        e, r = circuit.encoding.epsilon / problem.alpha, circuit.rhs_error
        found = _perturbed_errors(problem.kappa, circuit, weight, kernel, e, r)
        exact = _perturbed_errors(problem.kappa, circuit, weight, kernel, 0.0, 0.0)
        # Bits that were set are to blame only where exact angles would do.
        if found.relative > problem.epsilon >= exact.relative and bits is not None:
            must = f"be large enough for epsilon = {problem.asked:g} at kappa = {problem.kappa:.4g}"
            allows = f"{bits}, which allows {at_least(found.relative)}"
            raise argument_error("angle_bits", must, allows)
        return found

    def facts(self, reflection: Reflection, value: Tensor) -> list[Row]:
        if reflection.circuit is None:
            return []
        circuit, run = reflection.circuit
        return circuit_rows(
            self._problem.system,
            run,
            value,
            bits=self._encoding.angle_bits,
            loader=self._settings.loader,
            encoding_error=circuit.encoding.epsilon,
            certificate=circuit.certificate,
        )


def _reflected_weight(state: Tensor) -> float:
    """||2 y - e||^2 without its last entry."""
    return min(1.0, float(torch.linalg.vector_norm(2 * state[:-1])) ** 2)


def _perturbed_errors(
    kappa: float, circuit: KernelCircuit, weight: float, kernel: KernelFilter, e: float, r: float
) -> Errors:
    """What a reflection promises whose matrix is off by e and whose b_t by r.

    A_t k = b_t and (A_t + E) k' = b_t + d give ||k' - k|| <= rho ||k'||, rho = kappa (e + r): x
    moves by rho/s + rho/c, s^2 = 1 - c^2.
    """
    nothing = Errors(relative=math.inf, residual=math.inf, outside=math.inf)
    t, certificate = circuit.norm_estimate, circuit.certificate / 2
    if kappa * e >= 1 or t * e + 2 * r >= 1:
        return nothing
    # eta: the filter's error where singular values have sunk to 1/kappa - e, and the angles'.
    sunk = float(filter_value(kappa, kernel.degree, 1 / kappa - e))
    eta = (sunk + certificate) / (1 - certificate)
    # The least c and the least s that explain the weight that was seen.
    c = least_overlap(weight - certificate, eta)
    relative, residual = projection_error(c, eta)
    s = math.sqrt(max(0.0, 1 - min(1.0, (weight + eta) / (1 - certificate))))
    # x of the perturbed kernel, and what reading t y_1/y_e adds to it.
    rho = kappa * (e + r)
    if math.isinf(relative) or s == 0 or rho >= c:
        return nothing
    moved = rho * (1 / s + 1 / c) / (1 - rho / c)
    bound = (moved + relative) / (1 - moved) if moved < 1 else math.inf
    # The residual of that x, in the system as it was given.
    length = t * math.sqrt(1 / c**2 - 1) * (1 + relative)  # of x
    left_over = (t * residual + e * (length + t) + 4 * r) / (1 - t * e - 2 * r)
    return Errors(relative=bound, residual=left_over, outside=eta * math.sqrt(1 - c * c) + rho)
