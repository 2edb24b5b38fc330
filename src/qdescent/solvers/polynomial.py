"""The linear solve by a polynomial for 1/x: as a matrix polynomial at any size, or as a circuit (`circuit=True`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from qdescent._checks import argument_error, check_integer, check_interval
from qdescent._evidence import Evidence, Row
from qdescent.linalg.chebyshev import InversePolynomial, apply_odd_transform, minimax_inverse
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.operator import LinearOperator
from qdescent.quantum.access import Floats, Ints, colour_entries, colour_weights, matrix_entries
from qdescent.solvers.solve import Solution, Status

if TYPE_CHECKING:
    from qdescent.solvers.circuit import CircuitRun, SolveCircuit

LARGEST_SVD = 2048  # singular values of 2048 x 2048 take a few seconds
MOST_COLOURED = 2_000_000  # entries that the first-fit colouring handles in a few seconds
SHORTEST_INTERVAL = 1.01  # kappa of an orthogonal matrix is 1; a polynomial needs an interval [1/kappa, 1] of some length


@dataclass(frozen=True)
class QSVT:
    """Z = M^-1 B by the minimax odd polynomial for 1/x on [1/kappa, 1], kappa = alpha ||M^-1||.

    Half of epsilon goes to the polynomial, half to the quantised angles of the circuit.

    Args:
        epsilon: the promised ||Z - M^-1 B|| / ||M^-1 B||; 1e-4 keeps it below the shot noise of 10^6 shots.
        kappa: alpha ||M^-1||, or an upper bound on it; None takes the system's declared `inverse_norm_bound`, and without one
            measures ||M^-1|| by the singular values (up to 2048 unknowns). A value that is too small shows in the residual.
        circuit: run the circuit (block-encoding, QSVT, post-selection) on a state vector instead of the matrix polynomial.
        angle_bits: bits of a loaded angle; None takes the fewest for which the derived error stays below epsilon/2.

    Raises:
        ArgumentError: epsilon outside (0, 1), kappa not above 1, fewer than 3 angle bits.

    Example:
        >>> M = torch.tensor([[1.0, -1 / 3], [-1 / 3, 1.0]], dtype=torch.float64)
        >>> found = QSVT(epsilon=1e-8).solve(LinearSystem(M, torch.tensor([1.0, 0.0], dtype=torch.float64)))
        >>> [round(z, 6) for z in found.value.tolist()], found.status.name
        ([1.125, 0.375], 'SOLVED')
    """

    epsilon: float = 1e-4
    kappa: float | None = None
    circuit: bool = False
    angle_bits: int | None = None

    def __post_init__(self) -> None:
        check_interval("epsilon", self.epsilon, "(0, 1)")
        if self.kappa is not None:
            check_interval("kappa", self.kappa, "(1, inf)")
        if self.angle_bits is not None:
            check_integer("angle_bits", self.angle_bits, 3)

    def solve(self, system: LinearSystem) -> Solution:
        """Solve M Z = B.

        Returns:
            Solution: SINGULAR where ||M^-1|| was measured and is infinite to rounding, INACCURATE where the residual
                exceeds what the polynomial leaves on [1/kappa, 1] (kappa was too small), else SOLVED.

        Raises:
            ArgumentError: no kappa for a system too large to measure it, complex entries, or angle bits too few for epsilon.

        Cost: degree close to kappa ln(4/epsilon), as many products with M or M^T.

        References:
            Gilyen, Su, Low, Wiebe, arXiv:1806.01838, theorem 41; Childs, Kothari, Somma, arXiv:1511.02306.
        """
        rows, columns, entries = matrix_entries(system)
        alpha, used_colours, alpha_source = _normalisation(rows, columns, entries, always_coloured=self.circuit)
        singular_values = self._singular_values(system)
        if singular_values is not None and bool(
            singular_values[-1] <= system.size * torch.finfo(singular_values.dtype).eps * singular_values[0]
        ):
            zero = torch.zeros_like(system.rhs)
            return Solution(zero, system.extract(zero), 1.0, math.inf, Status.SINGULAR)
        kappa, kappa_row = self._condition(system, alpha, singular_values)
        polynomial = minimax_inverse(kappa, self.epsilon / 2)
        values = {"degree": polynomial.degree, "queries": polynomial.degree, "alpha": alpha, "kappa": kappa}
        values |= {"epsilon": self.epsilon, "sup_polynomial": polynomial.supremum}
        rows_out = [
            _row("degree", polynomial.degree, "1", Evidence.EXACT, "minimax polynomial for 1/x, closed form"),
            _row("alpha", alpha, "1", Evidence.EXACT, alpha_source),
            kappa_row,
            _row("epsilon", self.epsilon, "1", Evidence.ASSUMED, "setting `epsilon`"),
        ]
        if singular_values is not None:
            values["alpha_over_norm"] = alpha / float(singular_values[0])
            source = "alpha over the largest singular value"
            rows_out.append(_row("alpha_over_norm", values["alpha_over_norm"], "1", Evidence.EXACT, source))
        if not self.circuit:
            source = "one product with M or M^T per degree"
            rows_out.insert(1, _row("queries", polynomial.degree, "products", Evidence.EXACT, source))
            value = _matrix_polynomial(system, polynomial, alpha)
            bound = polynomial.error + 4 * torch.finfo(value.dtype).eps * polynomial.degree * kappa
            return _judged(system, value, bound, allowed=bound, cost=rows_out, values=values)

        # Qualtran takes seconds to import: only a solve that runs a circuit pays for it.
        from qdescent.solvers.circuit import build_circuit, run_circuit

        bits = self.angle_bits or _enough_angle_bits(kappa, used_colours, system.size, self.epsilon)
        circuit = build_circuit(system, polynomial, bits)
        bound, left_over = _circuit_bound(circuit, polynomial, kappa)
        if bound > self.epsilon:
            need = f"be large enough for epsilon = {self.epsilon:g} at kappa = {kappa:.4g}"
            raise argument_error("angle_bits", need, f"{bits}, which allows {bound:.2g}")
        run = run_circuit(system, circuit, self.epsilon)
        scale = float(torch.linalg.vector_norm(run.value) / torch.linalg.vector_norm(system.rhs))
        allowed = polynomial.error + circuit.encoding.epsilon * scale + circuit.rhs_error + left_over
        more_rows, more_values = _circuit_facts(system, circuit, run, bits)
        return _judged(system, run.value.to(system.rhs), bound, allowed, rows_out + more_rows, values | more_values)

    def _singular_values(self, system: LinearSystem) -> Tensor | None:
        declared = self.kappa is not None or system.inverse_norm_bound is not None
        if system.size > (LARGEST_SVD if not declared else LARGEST_SVD // 4):  # with kappa known they only serve a row
            return None
        matrix = system.matrix.to_dense() if system.matrix.layout != torch.strided else system.matrix
        return torch.linalg.svdvals(matrix)

    def _condition(self, system: LinearSystem, alpha: float, singular_values: Tensor | None) -> tuple[float, Row]:
        if self.kappa is not None:
            return self.kappa, _row("kappa", self.kappa, "1", Evidence.ASSUMED, "setting `kappa`")
        if system.inverse_norm_bound is not None:
            kappa = max(alpha * system.inverse_norm_bound, SHORTEST_INTERVAL)
            return kappa, _row("kappa", kappa, "1", Evidence.BOUNDED, "alpha times the declared bound on ||M^-1||")
        if singular_values is None:
            must = f"be given for more than {LARGEST_SVD} unknowns (or the system must declare `inverse_norm_bound`)"
            raise argument_error("kappa", must, None)
        kappa = max(alpha / float(singular_values[-1]), SHORTEST_INTERVAL)
        return kappa, _row("kappa", kappa, "1", Evidence.EXACT, "alpha over the smallest singular value")


def _row(name: str, value: float, unit: str, evidence: Evidence, source: str) -> Row:
    return Row(f"solver/{name}", value, unit, evidence, source)


def _normalisation(rows: Ints, columns: Ints, entries: Floats, always_coloured: bool) -> tuple[float, int, str]:
    """alpha of the circuit's block-encoding and its colours; for very many entries a bound that needs no colouring."""
    if always_coloured or len(entries) <= MOST_COLOURED:
        weights = colour_weights(entries, colour_entries(rows, columns, entries))
        return float(weights.sum()), len(weights), "sum over the colours of max |D_c|"
    i, j, size = torch.as_tensor(rows), torch.as_tensor(columns), torch.as_tensor(entries).abs()
    row_sum = torch.zeros(int(i.max()) + 1, dtype=size.dtype).index_add_(0, i, size).max()
    column_sum = torch.zeros(int(j.max()) + 1, dtype=size.dtype).index_add_(0, j, size).max()
    return float((row_sum * column_sum).sqrt()), 0, "sqrt(||M||_1 ||M||_inf), at least ||M||_2"


def _matrix_polynomial(system: LinearSystem, polynomial: InversePolynomial, alpha: float) -> Tensor:
    """(1/alpha) V q(S/alpha) W^T B on sparse products, without any factorisation."""
    matrix = system.matrix.coalesce() if system.matrix.is_sparse else system.matrix
    scaled = matrix / alpha
    transposed = scaled.transpose(0, 1).coalesce() if scaled.is_sparse else scaled.mT
    operator = LinearOperator(
        (system.size, system.size), lambda x: scaled @ x, lambda x: transposed @ x, scaled.dtype, scaled.device
    )
    return apply_odd_transform(polynomial.coefficients, operator, system.rhs) / alpha


def _enough_angle_bits(kappa: float, colours: int, size: int, epsilon: float) -> int:
    """Bits for which kappa (error of the encoding/alpha + error of |B>) < epsilon/2 whatever the entries.

    Each half angle is off by at most pi/2^b; 2 k levels of colour rotations and one of entries stand in the encoding, s in |B>.
    """
    levels = 2 * max(1, (colours - 1).bit_length()) + 1 + max(1, (size - 1).bit_length())
    return math.ceil(math.log2(2.5 * math.pi * kappa * levels / epsilon))  # 2.5 > 2: second-order terms


def _circuit_bound(circuit: SolveCircuit, polynomial: InversePolynomial, kappa: float) -> tuple[float, float]:
    """(||Z - M^-1 B||/||M^-1 B||, what the angles' certificate leaves of the residual).

    With relative errors e of the encoding (over alpha) and r of |B>, ||B|| <= alpha ||Z||: first the perturbed exact system,
    kappa (e + r)/(1 - kappa e), then the polynomial on top of it.
    """
    certificate = circuit.certificate / circuit.scale
    encoding = circuit.encoding.epsilon / circuit.encoding.alpha
    if kappa * encoding >= 1:
        return math.inf, certificate
    perturbed = kappa * (encoding + circuit.rhs_error) / (1 - kappa * encoding)
    return perturbed + (polynomial.error + certificate) * (1 + perturbed), certificate


def _judged(
    system: LinearSystem, value: Tensor, bound: float, allowed: float, cost: list[Row], values: dict[str, float]
) -> Solution:
    """A solution whose residual is held against what the polynomial may leave: |1 - x q(x)| on every singular value."""
    residual = system.residual(value)
    accurate = residual <= allowed * (1 + 1e-6) + 1e-12
    status = Status.SOLVED if accurate else Status.INACCURATE
    return Solution(value, system.extract(value), residual, bound, status, tuple(cost), values)


def _circuit_facts(system: LinearSystem, circuit: SolveCircuit, run: CircuitRun, bits: int) -> tuple[list[Row], dict[str, float]]:
    weights = run.value**2
    places = torch.arange(system.size) if system.answer_index is None else system.answer_index.unique()
    answer = float(weights[places].sum() / weights.sum())
    counted = "counted over the call graph by Qualtran"
    synthesis = (
        f"{counted}; AND and Toffoli 4 T, a rotation {run.t_per_rotation:.1f} T = 1.149 log2(1/{run.rotation_error:.1e}) + 9.2"
        " (arXiv:2203.10064)"
    )
    exact, modelled = Evidence.EXACT, Evidence.MODELLED
    facts: list[tuple[str, float, str, Evidence, str]] = [
        ("queries", run.forward_queries + run.adjoint_queries, "calls", exact, "counted while simulating"),
        ("forward_queries", run.forward_queries, "calls", exact, "calls of U counted while simulating"),
        ("adjoint_queries", run.adjoint_queries, "calls", exact, "calls of U-dagger counted while simulating"),
        ("qubits", run.simulated_qubits, "qubits", exact, "held by the simulated state vector"),
        ("logical_qubits", run.logical_qubits, "qubits", exact, f"{counted}, with loaded angles and work qubits"),
        ("success_probability", run.success_probability, "1", exact, "norm of the post-selected state"),
        ("answer_probability", answer, "1", exact, "weight of the answer's copies in the post-selected state"),
        ("t_gates", run.t_gates, "T gates", modelled, synthesis),
        ("rotations", run.gates.rotation, "rotations", exact, counted),
        ("and_gates", run.gates.and_bloq, "AND gates", exact, counted),
        ("angle_bits", bits, "bits", exact, "bits of every loaded angle"),
        ("encoding_error", circuit.encoding.epsilon, "1", Evidence.BOUNDED, "sum over the colours of the largest angle error"),
        ("angle_certificate", circuit.certificate, "1", Evidence.MEASURED, "polynomial rebuilt at random points"),
        ("state_vector_bytes", run.state_vector_bytes, "bytes", exact, "complex128 amplitudes"),
    ]
    return [_row(*fact) for fact in facts], {fact[0]: fact[1] for fact in facts}
