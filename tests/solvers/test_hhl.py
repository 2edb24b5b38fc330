"""HHL: what its circuit does, state by state, is the function that the solver applies; its error, and its outcomes."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.chebyshev import chebyshev_value
from qdescent.linalg.linear_system import LinearSystem
from qdescent.solvers.hhl import HHL, PEAK, TURN, phase_estimation_inverse
from qdescent.solvers.polynomial import QSVT
from qdescent.solvers.solve import Status

F64 = torch.float64


def phase_estimation_circuit(A, b, kappa, bits):
    """The textbook circuit on (clock, system) amplitudes: window, controlled evolutions, QFT, rotation by g/kappa, and back."""
    size, n = 2**bits, len(A)
    hamiltonian = np.block([[np.zeros((n, n)), A], [A.conj().T, np.zeros((n, n))]])
    eigenvalue, vectors = np.linalg.eigh(hamiltonian)
    evolution = vectors @ np.diag(np.exp(1j * TURN * eigenvalue)) @ vectors.conj().T
    window = math.sqrt(2 / size) * np.sin(math.pi * (np.arange(size) + 0.5) / size)
    state = np.kron(window[:, None], np.concatenate([b, np.zeros(n)])[None, :]).astype(complex)
    for t in range(size):
        state[t] = np.linalg.matrix_power(evolution, t) @ state[t]
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size) / math.sqrt(size)
    state = fourier @ state
    k = np.where(np.arange(size) < size // 2, np.arange(size), np.arange(size) - size)
    estimate = 2 * math.pi * k / (size * TURN)
    g = np.array([1 / x if abs(x) >= 1 / kappa else 2 * kappa**2 * x - kappa**4 * x**3 for x in estimate])
    g[size // 2] = 0
    state = fourier.conj().T @ (state * (g / (PEAK * kappa))[:, None])  # the flag's |1>
    for t in range(size):
        state[t] = np.linalg.matrix_power(evolution.conj().T, t) @ state[t]
    return window @ state  # the clock found as it was prepared


@pytest.mark.parametrize("bits", [3, 5, 6])
def test_the_function_is_the_circuit(bits):
    draw = np.random.default_rng(bits)
    A = draw.normal(size=(3, 3)) + 1j * draw.normal(size=(3, 3))
    A /= np.linalg.norm(A, 2)
    b = draw.normal(size=3) + 1j * draw.normal(size=3)
    kappa = 4.0
    inverse = phase_estimation_inverse(kappa, bits)
    W, S, Vh = np.linalg.svd(A)
    solution = Vh.conj().T @ (chebyshev_value(inverse.coefficients, S) * (W.conj().T @ b)) / (PEAK * kappa)
    circuit = phase_estimation_circuit(A, b, kappa, bits)
    np.testing.assert_allclose(circuit, np.concatenate([np.zeros(3), solution]), atol=1e-12)
    planted = phase_estimation_circuit(A.conj(), b, kappa, bits)  # another matrix
    assert np.abs(planted - circuit).max() > 1e-2


@pytest.mark.parametrize(("kappa", "bits"), [(2.0, 4), (5.0, 7), (30.0, 9)])
def test_the_stated_error_holds_everywhere_on_the_interval(kappa, bits):
    inverse = phase_estimation_inverse(kappa, bits)
    x = np.linspace(1 / kappa, 1, 40_001)
    true = np.abs(x * chebyshev_value(inverse.coefficients, x) - 1).max()
    assert true <= inverse.error <= 1.1 * true
    time = 2**bits * TURN
    assert time < inverse.degree < time + 10 * time ** (1 / 3)  # a Chebyshev series of e^{i time x} ends there


def test_the_error_falls_with_the_square_of_the_clock():
    errors = [phase_estimation_inverse(20.0, bits).error for bits in (9, 10, 11, 12)]
    ratios = [a / b for a, b in pairwise(errors)]
    assert ratios == pytest.approx([4, 4, 4], rel=0.15)


def test_queries_grow_faster_than_those_of_the_polynomial():
    matrix = torch.diag(torch.linspace(0.1, 1, 10, dtype=F64))
    system = LinearSystem(matrix, torch.ones(10, dtype=F64))
    for epsilon in (1e-1, 1e-2, 1e-3):
        phase, polynomial = HHL(epsilon).solve(system), QSVT(epsilon).solve(system)
        assert phase.status is polynomial.status is Status.SOLVED
        assert phase.values["queries"] == phase.values["degree"] > polynomial.values["degree"]
        assert phase.values["expected_queries"] > 4 * phase.values["degree"]
    assert phase.values["degree"] > 10 * polynomial.values["degree"]
    exact = matrix.diagonal().reciprocal()
    success = float(exact.norm()) ** 2 / 10 / (PEAK * phase.values["kappa"]) ** 2
    assert phase.values["success_probability"] == pytest.approx(success, rel=1e-2)


def test_outcomes():
    matrix = torch.eye(8, dtype=F64) + torch.diag(torch.full((7,), 1.5, dtype=F64), 1)
    b = torch.ones(8, dtype=F64)
    assert HHL(0.05, kappa=8.0).solve(LinearSystem(matrix, b)).status is Status.INACCURATE
    assert HHL().solve(LinearSystem(torch.ones(2, 2, dtype=F64), b[:2])).status is Status.SINGULAR
    with pytest.raises(ArgumentError, match="Argument `epsilon` must be at least what 13 clock bits allow at kappa = 50"):
        HHL(1e-6, kappa=50.0).solve(LinearSystem(matrix, b))
    with pytest.raises(ArgumentError, match=r"Argument `clock_bits` must be enough for epsilon = 0\.01 \(what 5 clock bits allow"):
        HHL(1e-2, clock_bits=5, kappa=20.0).solve(LinearSystem(matrix, b))
    with pytest.raises(ArgumentError, match=r"Argument `kappa` must be below 2\^14 for phase estimation, but is 100000"):
        HHL(0.1, kappa=1e5).solve(LinearSystem(matrix, b))
    with pytest.raises(ArgumentError, match="Argument `clock_bits` must be at most 13, but is 20"):
        HHL(clock_bits=20)
    with pytest.raises(ArgumentError, match=r"Argument `epsilon` must be in \(0, 1\), but is 1"):
        HHL(epsilon=1)
