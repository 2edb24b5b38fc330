"""The linear solve by phase estimation (Harrow, Hassidim, Lloyd): as the matrix polynomial of its circuit, or as that circuit."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct, irfft, rfft

from qdescent._checks import argument_error, check_integer, check_interval
from qdescent._evidence import Evidence, Row
from qdescent.linalg.chebyshev import apply_odd_transform
from qdescent.linalg.jacobi_anger import jacobi_anger_order
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.loading import DEFAULT_LOADER, Loader
from qdescent.solvers.circuit_rows import circuit_rows, enough_angle_bits, row_values
from qdescent.solvers.conditioning import Conditioning, conditioning, judged, row, scaled_operator, singular_outcome
from qdescent.solvers.solve import Solution

Floats = NDArray[np.float64]

MOST_CLOCK_BITS = 13  # 2^13 clock values: degree near 23,000, seconds; HHL is here for small instances
TURN = 0.9 * math.pi  # tau: the eigenvalue 1 stays a twentieth of a turn away from -1, so that no estimate wraps around
PEAK = 4 / 3 * math.sqrt(2 / 3)  # max g/kappa: g turns over smoothly just below 1/kappa, or the error would fall with K only
SERIES_ERROR = 1e-9  # of each e^{i H 2^j tau}: far below epsilon, for half a dozen orders more
TRUNCATED = 1e-14  # of the largest Chebyshev coefficient: rounding


@dataclass(frozen=True)
class PhaseEstimationInverse:
    """The function that phase estimation puts in the place of 1/x: f(x) = 2 sum_m s_m sin(m tau x).

    Args:
        sines: s_1, ..., s_{K-1}, shape (K - 1,), K = 2^clock bits.
        coefficients: the same as an odd Chebyshev series on [-1, 1], shape (degree + 1,).
        error: a bound on |x f(x) - 1| on [1/kappa, 1].
    """

    sines: Floats = field(repr=False)
    coefficients: Floats = field(repr=False)
    error: float

    @property
    def degree(self) -> int:
        """The degree of the series, close to K tau."""
        return len(self.coefficients) - 1


def rotated(estimate: Floats, kappa: float) -> Floats:
    """g at positive estimates of an eigenvalue: 1/x beyond 1/kappa, 2 kappa^2 x - kappa^4 x^3 below; it is odd."""
    scaled = kappa * estimate
    return np.where(scaled >= 1, 1 / estimate, kappa * (2 * scaled - scaled**3))


def clock_window(size: int) -> Floats:
    """The amplitudes of the clock: sqrt(2/K) sin(pi (t + 1/2)/K), shape (K,)."""
    return math.sqrt(2 / size) * np.sin(math.pi * (np.arange(size) + 0.5) / size)


def evolution_queries(clock_bits: int) -> int:
    """Queries of the circuit: forth and back, 3 sequences (amplification) of `jacobi_anger_order` for each bit of the clock.

    Example:
        >>> evolution_queries(4)
        648
    """
    return 6 * sum(jacobi_anger_order(2**j * TURN, SERIES_ERROR) for j in range(clock_bits))


def phase_estimation_inverse(kappa: float, clock_bits: int) -> PhaseEstimationInverse:
    """What HHL computes of an eigenvalue x: the mean of g over the outcomes of phase estimation.

        f(x) = sum_k |a_k(x)|^2 g(x_k),  a_k(x) = (sqrt2/K) sum_t sin(pi (t + 1/2)/K) e^{i t (tau x - 2 pi k/K)},
        x_k = 2 pi k/(K tau),  k = -K/2 .. K/2 - 1,  g(x) = 1/x beyond 1/kappa and 2 kappa^2 x - kappa^4 x^3 below.

    The clock is uncomputed, so that its outcomes add as probabilities: f is a Fourier series in tau x whose coefficients are
    those of g times the autocorrelation of the clock's sine window.

    Args:
        kappa: above 1; the rotation of the flag has the amplitude g/(1.09 kappa), 1.09 kappa being max g.
        clock_bits: of the clock register.

    Cost: O(K^2).

    References:
        Harrow, Hassidim, Lloyd, arXiv:0811.3171, equation 3 and appendix A (window), here with a cubic g below 1/kappa.

    Example:
        >>> f = phase_estimation_inverse(5.0, clock_bits=7)
        >>> f.degree, f.error < 0.0025
        (409, True)
    """
    check_interval("kappa", kappa, "(1, inf)")
    size = 2 ** check_integer("clock_bits", clock_bits, 2)
    estimate = 2 * math.pi * np.arange(1, size // 2) / (size * TURN)  # k > 0; g is odd, and 0 at k = -K/2
    g = rotated(estimate, kappa)
    correlation = irfft(np.abs(rfft(clock_window(size), 2 * size)) ** 2, 2 * size)[1:size]
    odd = np.zeros(size)
    odd[1 : size // 2], odd[size // 2 + 1 :] = g, -g[::-1]
    spectrum = -np.fft.fft(odd).imag / size  # (1/K) sum_k g_k sin(2 pi m k/K)
    sines = correlation * spectrum[1:size]

    most = 2 * math.ceil(0.55 * size * TURN) + 60  # beyond K tau by a tenth and 60: the series has ended
    x = np.cos(np.pi * (np.arange(most) + 0.5) / most)
    coefficients = dct(_sine_series(sines, x), type=2) / most
    coefficients[::2] = 0
    kept = np.flatnonzero(np.abs(coefficients) > TRUNCATED * np.abs(coefficients).max())[-1] + 1
    dropped = float(np.abs(coefficients[kept:]).sum())
    # x f - 1 is a polynomial in x^2 of degree (d + 1)/2: its values at 2 (d + 1) Chebyshev points of [1/kappa^2, 1] bound it.
    degree, points = kept // 2, 2 * kept
    square = (1 + kappa**-2) / 2 + (1 - kappa**-2) / 2 * np.cos(np.pi * (np.arange(points) + 0.5) / points)
    left = np.abs(np.sqrt(square) * _sine_series(sines, np.sqrt(square)) - 1).max()
    error = float(left) / math.cos(math.pi * degree / (2 * points)) + dropped
    return PhaseEstimationInverse(sines, coefficients[:kept], error)


@dataclass(frozen=True)
class HHL:
    """Z = M^-1 B by phase estimation of H = [[0, A], [A^H, 0]], A = M/alpha, and a rotation by 1/(1.09 kappa x).

    It is the method that the paper names. Its error falls with the square of the clock's size, so that small instances and
    modest epsilon are its range; `KernelReflection` and `QSVT` pay the logarithm of 1/epsilon instead.

    Args:
        epsilon: the promised ||Z - M^-1 B|| / ||M^-1 B||; 1e-2 takes a clock of about 15 kappa values.
        kappa: as for `QSVT`.
        clock_bits: of the phase estimation, 13 at most; None takes the fewest that keep the error below epsilon.
        circuit: run the circuit (evolutions from the block-encoding, Fourier transforms, rotation, post-selection) on a state
            vector; half of epsilon is then the clock's. Its queries grow as the clock's size: 6 bits take a minute.
        angle_bits: bits of a loaded angle of the circuit; None takes enough for epsilon.
        loader: of the circuit's tables; it changes gates and logical qubits, not the answer. QROM: fewest qubits.

    Raises:
        ArgumentError: epsilon outside (0, 1), kappa not above 1, clock bits not in 2 to 13, fewer than 3 angle bits.

    Example:
        >>> M = torch.tensor([[1.0, -1 / 3], [-1 / 3, 1.0]], dtype=torch.float64)
        >>> found = HHL(epsilon=1e-3).solve(LinearSystem(M, torch.tensor([1.0, 0.0], dtype=torch.float64)))
        >>> [round(z, 2) for z in found.value.tolist()], found.status.name
        ([1.12, 0.37], 'SOLVED')
    """

    epsilon: float = 1e-2
    kappa: float | None = None
    clock_bits: int | None = None
    circuit: bool = False
    angle_bits: int | None = None
    loader: Loader = DEFAULT_LOADER

    def __post_init__(self) -> None:
        check_interval("epsilon", self.epsilon, "(0, 1)")
        if self.kappa is not None:
            check_interval("kappa", self.kappa, "(1, inf)")
        if self.clock_bits is not None and check_integer("clock_bits", self.clock_bits, 2) > MOST_CLOCK_BITS:
            raise argument_error("clock_bits", f"be at most {MOST_CLOCK_BITS}", self.clock_bits)
        if self.angle_bits is not None:
            check_integer("angle_bits", self.angle_bits, 3)

    def solve(self, system: LinearSystem) -> Solution:
        """Solve M Z = B.

        Returns:
            Solution: SINGULAR where ||M^-1|| was measured and is infinite to rounding, INACCURATE where the residual exceeds
                what the clock leaves on [1/kappa, 1] (kappa was too small), else SOLVED.

        Raises:
            ArgumentError: no kappa for a system too large to measure it, a clock too small for epsilon, or angle bits too few.

        Cost: about K tau products with M or M^H, K = 2^clock bits; on a machine twice the clock's evolution, repeated.

        References:
            Harrow, Hassidim, Lloyd, arXiv:0811.3171.
        """
        known = conditioning(system, self.kappa, coloured=self.circuit)
        if known.singular:
            return singular_outcome(system)
        if self.circuit:
            return self._run(system, known)
        alpha, kappa = known.alpha, known.kappa
        inverse, bits = self._clock(kappa, self.epsilon)
        operator, products = scaled_operator(system, alpha)
        value = apply_odd_transform(inverse.coefficients, operator, system.rhs.to(operator.dtype)) / alpha
        lengths = [float(torch.linalg.vector_norm(v)) for v in (value, system.rhs)]
        success = (alpha * lengths[0] / (PEAK * kappa * lengths[1])) ** 2
        exact, modelled = Evidence.EXACT, Evidence.MODELLED
        expected = "2 x sum over the clock of 3 orders of e^{i H 2^j tau} (Jacobi-Anger), over the success probability"
        cost: list[Row] = [
            row("degree", inverse.degree, "1", exact, "Chebyshev series of what phase estimation computes"),
            row("queries", products.total, "products", exact, "products with M or M^H, counted as made"),
            row("clock_bits", bits, "qubits", exact, "fewest for epsilon" if self.clock_bits is None else "setting `clock_bits`"),
            row("success_probability", success, "1", exact, "||f(A) b||^2/(1.09 kappa ||b||)^2, before amplification"),
            row("expected_queries", evolution_queries(bits) / success, "calls", modelled, expected),
            *known.rows,
            row("epsilon", self.epsilon, "1", Evidence.ASSUMED, "setting `epsilon`"),
        ]
        values = row_values(cost)
        bound = inverse.error + 4 * torch.finfo(value.dtype).eps * inverse.degree * kappa
        return judged(system, value, bound=bound, allowed=bound, cost=cost, values=values)

    def _run(self, system: LinearSystem, known: Conditioning) -> Solution:
        """The circuit; its clock is laid out for the singular values of what the quantised angles encode."""
        # Qualtran takes seconds to import: only a solve that runs a circuit pays for it.
        from qdescent.solvers.hhl_circuit import build_phase_estimation, hermitian_tables, run_phase_estimation

        kappa, share = known.kappa, self.epsilon / 2
        _, clock = self._clock(kappa, share)
        more = math.ceil(PEAK * (2 * clock + 1))  # the window twice and the rotation
        enough = enough_angle_bits(kappa, known.colours, 2 * system.size, share, phases=system.is_complex, more=more)
        bits = self.angle_bits or enough
        tables = hermitian_tables(system, bits)
        encoding = tables.error / tables.alpha
        too_few = argument_error("angle_bits", f"be large enough for epsilon = {self.epsilon:g} at kappa = {kappa:.4g}", bits)
        if kappa * encoding >= 1:
            raise too_few
        least = kappa / (1 - kappa * encoding)  # 1/kappa may have sunk by the encoding's error
        inverse = phase_estimation_inverse(least, clock)
        circuit = build_phase_estimation(system, tables, least, clock, self.loader)
        left_over = inverse.error + PEAK * least * circuit.error
        perturbed = kappa * (encoding + circuit.rhs_error) / (1 - kappa * encoding)
        bound = perturbed + left_over * (1 + perturbed)
        if bound > self.epsilon:
            raise too_few
        run = run_phase_estimation(system, circuit, self.epsilon)
        scale = float(torch.linalg.vector_norm(run.value) / torch.linalg.vector_norm(system.rhs))
        allowed = tables.error * scale + circuit.rhs_error + left_over
        exact = Evidence.EXACT
        declared = evolution_queries(clock)
        chosen = "fewest for epsilon/2" if self.clock_bits is None else "setting `clock_bits`"
        cost = [
            row("queries", run.forward_queries + run.adjoint_queries, "calls", exact, "counted while simulating"),
            row("declared_queries", declared, "calls", exact, "2 x sum over the clock of 3 orders of e^{i H 2^j tau}"),
            row("clock_bits", clock, "qubits", exact, chosen),
            row("expected_queries", declared / run.success_probability, "calls", exact, "queries over the success probability"),
            row("evolution_error", circuit.error, "1", Evidence.BOUNDED, "series, amplification, window and rotation together"),
            *known.rows,
            row("epsilon", self.epsilon, "1", Evidence.ASSUMED, "setting `epsilon`"),
            *circuit_rows(
                system, run, run.value, bits=bits, loader=self.loader, encoding_error=tables.error, certificate=circuit.certificate
            ),
        ]
        value = run.value.to(torch.promote_types(system.matrix.dtype, system.rhs.dtype))
        values = row_values(cost)
        return judged(system, value, bound=bound, allowed=allowed, cost=cost, values=values, circuit=run.bloq)

    def _clock(self, kappa: float, allowed: float) -> tuple[PhaseEstimationInverse, int]:
        least = max(2, math.floor(math.log2(kappa)))  # a clock coarser than 1/kappa cannot tell 1/kappa from 0
        for bits in range(least, MOST_CLOCK_BITS + 1) if self.clock_bits is None else [self.clock_bits]:
            inverse = phase_estimation_inverse(kappa, bits)
            if inverse.error <= allowed:
                return inverse, bits
        name, actual = ("epsilon", self.epsilon) if self.clock_bits is None else ("clock_bits", self.clock_bits)
        if least > MOST_CLOCK_BITS:
            raise argument_error("kappa", f"be below 2^{MOST_CLOCK_BITS + 1} for phase estimation", kappa)
        least_error = f"what {bits} clock bits allow at kappa = {kappa:.4g}: {inverse.error * self.epsilon / allowed:.2g}"
        must = f"be at least {least_error}" if name == "epsilon" else f"be enough for epsilon = {self.epsilon:g} ({least_error})"
        raise argument_error(name, must, actual)


def _sine_series(sines: Floats, x: Floats) -> Floats:
    """2 sum_m s_m sin(m tau x) by Clenshaw's recurrence."""
    twice_cosine = 2 * np.cos(TURN * x)
    now, after = np.zeros_like(x), np.zeros_like(x)
    for s in sines[::-1].tolist():
        now, after = s + twice_cosine * now - after, now
    return 2 * np.sin(TURN * x) * now
