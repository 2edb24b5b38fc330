"""HHL: what its circuit does, state by state, is the function that the solver applies; its error,
and its outcomes.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from arguments.fine import COUNT, PROMISED
from solvers.conformance import Conformance

from qdescent._checks import ArgumentError
from qdescent.linalg.chebyshev import chebyshev_value
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.algorithms.amplification import AmplitudeAmplification
from qdescent.quantum.algorithms.hhl_inverse import (
    PEAK,
    TURN,
    evolution_queries,
    phase_estimation_inverse,
)
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.circuits.hhl import (
    build_phase_estimation,
    run_amplified_phase_estimation,
    run_phase_estimation,
)
from qdescent.solvers.encodings import ColouredEntries
from qdescent.solvers.hhl import HHL
from qdescent.solvers.qsvt import QSVT
from qdescent.solvers.solve import Status

F64, C128 = torch.float64, torch.complex128
CONFORMANCE = {
    "HHL": Conformance(
        solver=HHL(1e-2),
        error=1e-2,
        circuits={"HHL": HHL(0.1, circuit=True)},
        fine={**PROMISED, "clock_bits": (*COUNT, "None")},
        forecast=("int64(2)", "tensor(2)"),
    )
}


def phase_estimation_circuit(A, b, kappa, bits):
    """The textbook circuit on (clock, system) amplitudes: window, controlled evolutions, QFT,
    rotation by g/kappa, and back.
    """
    size, n = 2**bits, len(A)
    hamiltonian = np.block([[np.zeros((n, n)), A], [A.conj().T, np.zeros((n, n))]])
    eigenvalue, vectors = np.linalg.eigh(hamiltonian)
    evolution = vectors @ np.diag(np.exp(1j * TURN * eigenvalue)) @ vectors.conj().T
    window = math.sqrt(2 / size) * np.sin(math.pi * (np.arange(size) + 0.5) / size)
    state = np.kron(window[:, None], np.concatenate([b, np.zeros(n)])[None, :]).astype(complex)
    for t in range(size):
        state[t] = np.linalg.matrix_power(evolution, t) @ state[t]
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size) / math.sqrt(
        size
    )
    state = fourier @ state
    k = np.where(np.arange(size) < size // 2, np.arange(size), np.arange(size) - size)
    estimate = 2 * math.pi * k / (size * TURN)
    g = np.array(
        [1 / x if abs(x) >= 1 / kappa else 2 * kappa**2 * x - kappa**4 * x**3 for x in estimate]
    )
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
    solution = (
        Vh.conj().T @ (chebyshev_value(inverse.coefficients, S) * (W.conj().T @ b)) / (PEAK * kappa)
    )
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
    # a Chebyshev series of e^{i time x} ends there
    assert time < inverse.degree < time + 10 * time ** (1 / 3)


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
        assert (
            phase.cost.number("queries")
            == phase.cost.number("degree")
            > polynomial.cost.number("degree")
        )
        assert phase.cost.number("expected_queries") > 4 * phase.cost.number("degree")
    assert phase.cost.number("degree") > 10 * polynomial.cost.number("degree")
    exact = matrix.diagonal().reciprocal()
    success = float(exact.norm()) ** 2 / 10 / (PEAK * phase.cost.number("kappa")) ** 2
    assert phase.cost.number("success_probability") == pytest.approx(success, rel=1e-2)


def of_size(size, dtype):
    """Well conditioned, not symmetric."""
    draw = np.random.default_rng(size)
    matrix = draw.normal(size=(size, size)) + (
        1j * draw.normal(size=(size, size)) if dtype is C128 else 0
    )
    return torch.as_tensor(matrix / np.linalg.norm(matrix, 2) + 3 * np.eye(size)).to(dtype)


@pytest.mark.parametrize(("size", "dtype", "bits"), [(1, F64, 4), (2, C128, 4)])
def test_the_circuit_is_the_function(size, dtype, bits):
    """The simulated circuit, from block-encodings to the post-selected flag, against the matrix
    polynomial; counted on the way.
    """
    matrix = of_size(size, dtype)
    system = LinearSystem(matrix, matrix @ torch.arange(1, size + 1).to(dtype))
    circuit = HHL(0.9, clock_bits=bits, circuit=Circuit(angle_bits=40)).solve(system)
    emulated = HHL(0.9, clock_bits=bits).solve(system)
    assert circuit.status is emulated.status is Status.SOLVED
    assert circuit.value.dtype == dtype
    off = float((circuit.value - emulated.value).norm() / emulated.value.norm())
    assert off < 1e-6
    assert off <= 1.1 * PEAK * circuit.cost.number("kappa") * circuit.cost.number("evolution_error")
    assert circuit.cost.number("success_probability") == pytest.approx(
        emulated.cost.number("success_probability"), rel=1e-6
    )
    declared = evolution_queries(bits)
    assert circuit.cost.number("queries") == circuit.cost.number("declared_queries") == declared
    assert circuit.cost.number("expected_queries") == pytest.approx(
        emulated.cost.number("expected_queries"), rel=1e-6
    )
    # planted: the function of a coarser clock, of another kappa, and of the conjugated matrix, are
    # others
    assert (
        HHL(0.99, clock_bits=bits, kappa=1.3 * circuit.cost.number("kappa")).solve(system).value
        - circuit.value
    ).norm() > 1e-3
    if dtype is C128:
        assert (torch.linalg.solve(matrix.conj(), system.rhs) - circuit.value).norm() > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize(("size", "dtype", "bits"), [(4, F64, 5), (3, C128, 5), (2, F64, 6)])
def test_larger_circuits_are_the_function(size, dtype, bits):
    matrix = of_size(size, dtype)
    system = LinearSystem(matrix, matrix @ torch.arange(1, size + 1).to(dtype))
    circuit = HHL(0.9, clock_bits=bits, circuit=Circuit(angle_bits=40)).solve(system)
    emulated = HHL(0.9, clock_bits=bits).solve(system)
    assert (circuit.value - emulated.value).norm() / emulated.value.norm() < 1e-6
    assert circuit.cost.number("queries") == evolution_queries(bits)


@pytest.mark.slow
def test_an_amplified_solve():
    matrix = of_size(2, F64)
    system = LinearSystem(matrix, torch.ones(2, dtype=F64))
    bare, sure = (
        HHL(0.9, clock_bits=4, circuit=Circuit(amplify=amplify)).solve(system)
        for amplify in (False, True)
    )
    assert sure.status is Status.SOLVED
    assert (sure.value - bare.value).norm() / bare.value.norm() < 1e-8
    assert sure.cost.number("success_probability") > 1 - 1e-8
    solves = 2 * sure.cost.number("amplification_rounds") + 1
    assert (
        sure.cost.number("queries")
        == sure.cost.number("declared_queries")
        == solves * bare.cost.number("queries")
    )


@pytest.mark.slow
def test_kappa_too_small_is_an_outcome_of_the_circuit():
    matrix = torch.diag(torch.tensor([1.0, 0.1], dtype=F64))
    found = HHL(0.8, kappa=1.5, clock_bits=4, circuit=True).solve(
        LinearSystem(matrix, torch.tensor([0.1, 1.0], dtype=F64))
    )
    assert (found.value - torch.tensor([0.1, 10.0], dtype=F64)).norm() > 8
    assert found.status is Status.KAPPA_REFUTED


def test_the_circuit_keeps_its_promise():
    """Clock and angle bits chosen by the solver: 4 bits for kappa 2 and epsilon/2 = .25."""
    system = LinearSystem(
        torch.tensor([[1.0, -1 / 3], [-1 / 3, 1.0]], dtype=F64), torch.tensor([1.0, 0.0], dtype=F64)
    )
    found = HHL(0.5, circuit=True).solve(system)
    exact = torch.tensor([1.125, 0.375], dtype=F64)
    assert found.status is Status.SOLVED
    assert (found.value - exact).norm() / exact.norm() <= found.bound <= 0.5
    assert found.cost.number("clock_bits") == 4
    assert 0 < found.cost.number("evolution_error") < 0.1
    few = r"Argument `angle_bits` must be large enough for epsilon = 0\.5 at kappa = 2, but is 4"
    with pytest.raises(ArgumentError, match=few):
        HHL(0.5, circuit=Circuit(angle_bits=4)).solve(system)


def test_a_wrong_uncomputation_is_seen(monkeypatch):
    """Planted: the evolutions run forward a second time in the place of backwards."""
    system = LinearSystem(of_size(1, F64), torch.ones(1, dtype=F64))
    circuit = build_phase_estimation(
        system, ColouredEntries().plan(system).hermitian.encode(30), kappa=1.01, clock_bits=3
    )
    right = run_phase_estimation(system, circuit, 0.5).value
    inverse = phase_estimation_inverse(1.01, 3)
    assert float(right) == pytest.approx(
        chebyshev_value(inverse.coefficients, 1.0) / float(system.matrix), rel=1e-6
    )
    monkeypatch.setattr(AmplitudeAmplification, "adjoint", lambda self: self)
    assert float((run_phase_estimation(system, circuit, 0.5).value / right - 1).abs()) > 0.1


def test_amplified_phase_estimation_gives_the_same_value_for_certain():
    system = LinearSystem(of_size(1, C128), torch.ones(1, dtype=C128))
    circuit = build_phase_estimation(
        system, ColouredEntries().plan(system).hermitian.encode(30), kappa=1.01, clock_bits=3
    )
    bare = run_phase_estimation(system, circuit, 0.5)
    sure = run_amplified_phase_estimation(system, circuit, bare)
    assert sure.rounds >= 1
    assert bare.success_probability < 0.9 < 1 - 1e-8 < sure.success_probability
    torch.testing.assert_close(sure.value, bare.value, rtol=1e-8, atol=0)
    queries = [run.forward_queries + run.adjoint_queries for run in (bare, sure)]
    assert queries == [evolution_queries(3), (2 * sure.rounds + 1) * evolution_queries(3)]


def test_outcomes():
    matrix = torch.eye(8, dtype=F64) + torch.diag(torch.full((7,), 1.5, dtype=F64), 1)
    b = torch.ones(8, dtype=F64)
    assert HHL(0.05, kappa=8.0).solve(LinearSystem(matrix, b)).status is Status.KAPPA_REFUTED
    assert HHL().solve(LinearSystem(torch.ones(2, 2, dtype=F64), b[:2])).status is Status.SINGULAR
    with pytest.raises(
        ArgumentError,
        match="Argument `epsilon` must be at least what 13 clock bits allow at kappa = 50",
    ):
        HHL(1e-6, kappa=50.0).solve(LinearSystem(matrix, b))
    with pytest.raises(
        ArgumentError,
        match=r"Argument `clock_bits` must be enough for epsilon = 0\.01 \(what 5 clock bits allow",
    ):
        HHL(1e-2, clock_bits=5, kappa=20.0).solve(LinearSystem(matrix, b))
    with pytest.raises(
        ArgumentError,
        match=r"Argument `kappa` must be below 2\^14 for phase estimation, but is 100000",
    ):
        HHL(0.1, kappa=1e5).solve(LinearSystem(matrix, b))
    with pytest.raises(
        ArgumentError, match="Argument `clock_bits` must be an integer of at most 13, but is 20"
    ):
        HHL(clock_bits=20)
    with pytest.raises(ArgumentError, match=r"Argument `epsilon` must be in \(0, 1\), but is 1"):
        HHL(epsilon=1)
