"""The reflection about the kernel by two routes: a matrix polynomial, or simulated circuits."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent._evidence import Evidence, Row
from qdescent.linalg.chebyshev import KernelFilter, filter_value
from qdescent.linalg.linear_system import LinearSystem
from qdescent.rows import names
from qdescent.rows.numbers import at_least
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.circuit_rows import circuit_rows
from qdescent.solvers.encodings import EncodingPlan, quantised
from qdescent.solvers.kernel_projection import least_overlap, project_on_kernel, projection_error
from qdescent.solvers.promise.conditioning import Conditioning, scaled_operator
from qdescent.solvers.promise.judgement import product_rounding
from qdescent.solvers.promise.limits import check_forecast


class Asked(Protocol):
    """What the circuits need of the solver that asks for them."""

    @property
    def epsilon(self) -> float: ...
    def forecast(self, kappa: float) -> int: ...
    @property
    def most_queries(self) -> int | None: ...


class MatrixPolynomials:
    """R(G) e by products with M/alpha."""

    share = 4  # of epsilon: x is then within epsilon for every t above .7 N
    unit = "products"
    bloq = None

    def __init__(self, system: LinearSystem, known: Conditioning, epsilon: float) -> None:
        self.kappa, self.epsilon = known.kappa, epsilon
        self.operator, self.products = scaled_operator(system, known.alpha)
        self.b = system.rhs.to(self.operator.dtype) / system.rhs_norm

    @property
    def queries(self) -> int:
        return self.products.total

    def reflect(self, t: float, kernel: KernelFilter) -> Tensor:
        return project_on_kernel(self.operator, self.b, t, kernel)

    def success(self, t: float, kernel: KernelFilter) -> float:
        return float(torch.linalg.vector_norm(self.reflect(t, kernel))) ** 2

    def chance(self, success: float) -> float:
        """Of the last reflection, as a circuit without subnormalisation would have it."""
        return success

    def errors(self, weight: float, t: float, kernel: KernelFilter) -> tuple[float, float, float]:
        """Bounds on the relative error, the residual, and what of y lies outside the kernel."""
        c = least_overlap(weight, kernel.error)
        relative, residual = projection_error(c, kernel.error)
        rounding = product_rounding(kernel.degree, self.kappa, self.epsilon, share=1 / self.share)
        return (
            relative + rounding,
            t * residual + rounding,
            kernel.error * math.sqrt(1 - c * c) + rounding,
        )

    def facts(self, value: Tensor, success: float) -> list[Row]:
        source = "weight of the reflected state outside the last basis vector"
        return [Row(names.SUCCESS_PROBABILITY, success, "1", Evidence.EXACT, source)]


class Circuits:
    """R(G) e from simulated circuits; what they hold is perturbed by the quantised angles."""

    share = 8  # of epsilon; as much again is left to the angles
    unit = "calls"

    def __init__(
        self,
        system: LinearSystem,
        known: Conditioning,
        solver: Asked,
        built: Circuit,
        plan: EncodingPlan,
        epsilon: float,
    ) -> None:
        self.system, self.known, self.solver, self.epsilon = system, known, solver, epsilon
        self.built = built
        # t's own row and the reading of two amplitudes cost 2.8 times what they cost the
        # polynomial: a quarter of epsilon
        share = epsilon / 4
        if built.angle_bits is None:
            self.encoding = quantised(
                plan,
                known.kappa,
                share,
                complex_rhs=system.is_complex,
                more=1,
                setting=solver.epsilon,
                loader=built.loader,
            )
        else:
            self.encoding = plan.encode(built.angle_bits, built.loader)
        self.bits = self.encoding.angle_bits
        self.operator, _ = scaled_operator(system, known.alpha)  # for the check alone
        self.b = system.rhs.to(self.operator.dtype) / system.rhs_norm
        self.queries = 0

    @property
    def bloq(self) -> Any:
        """The circuit that was run last."""
        return self.run.bloq

    def reflect(self, t: float, kernel: KernelFilter) -> Tensor:
        return self._run(t, kernel, reflects=True)

    def success(self, t: float, kernel: KernelFilter) -> float:
        """The circuit's own probability is .98^2 of this, made good by 4 % more shots."""
        return float(torch.linalg.vector_norm(self._run(t, kernel, reflects=False))) ** 2

    def _run(self, t: float, kernel: KernelFilter, *, reflects: bool) -> Tensor:
        # Qualtran takes seconds to import: only a solve that runs a circuit pays for it.
        from qdescent.solvers.circuits.kernel_reflection import (
            build_kernel_circuit,
            run_kernel_circuit,
        )

        self.circuit = build_kernel_circuit(
            self.system, self.encoding, t, kernel, reflects=reflects
        )
        if not self.queries:  # the first of all: now its qubits are known
            solver, kappa = self.solver, self.known.kappa
            check_forecast(
                solver.most_queries,
                solver.forecast(kappa),
                kappa,
                circuit=True,
                qubits=self.circuit.bloq.signature.n_qubits(),
            )
        self.run = run_kernel_circuit(self.system, self.circuit, self.solver.epsilon)
        self.queries += self.run.forward_queries + self.run.adjoint_queries
        return self.run.value

    def amplify(self) -> Tensor:
        """The last reflection again, under amplitude amplification."""
        from qdescent.solvers.circuits.amplified import run_amplified

        self.run = run_amplified(self.system, self.circuit, self.run)
        self.queries += self.run.forward_queries + self.run.adjoint_queries
        return self.run.value

    def errors(self, weight: float, t: float, kernel: KernelFilter) -> tuple[float, float, float]:
        """The filter's part as for the matrix polynomial, on singular values that may have sunk by
        e, and the angles' part.

        A_t k = b_t and (A_t + E) k' = b_t + d give ||k' - k|| <= rho ||k'||, rho = kappa (e + r): x
        moves by rho/s + rho/c.
        """
        e, r = self.circuit.encoding.epsilon / self.known.alpha, self.circuit.rhs_error
        found = self._errors(weight, t, kernel, e, r)
        if (
            found[0] > self.epsilon >= self._errors(weight, t, kernel, 0.0, 0.0)[0]
            and self.built.angle_bits is not None
        ):
            need = (
                f"be large enough for epsilon = {self.solver.epsilon:g} at kappa ="
                f" {self.known.kappa:.4g}"
            )
            raise argument_error(
                "angle_bits", need, f"{self.bits}, which allows {at_least(found[0])}"
            )
        return found

    def _errors(
        self, weight: float, t: float, kernel: KernelFilter, e: float, r: float
    ) -> tuple[float, float, float]:
        kappa, certificate = self.known.kappa, self.circuit.certificate / 2
        if kappa * e >= 1 or t * e + 2 * r >= 1:
            return math.inf, math.inf, math.inf
        eta = (float(filter_value(kappa, kernel.degree, 1 / kappa - e)) + certificate) / (
            1 - certificate
        )
        c = least_overlap(weight - certificate, eta)
        relative, residual = projection_error(c, eta)
        s = math.sqrt(max(0.0, 1 - min(1.0, (weight + eta) / (1 - certificate))))
        rho = kappa * (e + r)
        if math.isinf(relative) or s == 0 or rho >= c:
            return math.inf, math.inf, math.inf
        moved = rho * (1 / s + 1 / c) / (1 - rho / c)
        length = t * math.sqrt(1 / c**2 - 1) * (1 + relative)  # of x
        bound = (moved + relative) / (1 - moved) if moved < 1 else math.inf
        left_over = (t * residual + e * (length + t) + 4 * r) / (1 - t * e - 2 * r)
        return bound, left_over, eta * math.sqrt(1 - c * c) + rho

    def chance(self, success: float) -> float:
        """Of the last reflection."""
        return self.run.success_probability

    def facts(self, value: Tensor, success: float) -> list[Row]:
        return circuit_rows(
            self.system,
            self.run,
            value,
            bits=self.bits,
            loader=self.built.loader,
            encoding_error=self.circuit.encoding.epsilon,
            certificate=self.circuit.certificate,
        )
