"""Evolutions against the matrix exponential, and the bounds that they state."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from qdescent.linalg.chebyshev import chebyshev_value
from qdescent.linalg.jacobi_anger import jacobi_anger, jacobi_anger_order
from qdescent.quantum.algorithms.hamiltonian_simulation import (
    LEAK,
    SHORTFALL,
    evolution,
    product_error,
)
from qdescent.quantum.algorithms.phase_estimation import FourierTransform
from qdescent.quantum.encodings.coloured import SparseBlockEncoding
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.coloured import (
    controlled_hermitian_tables,
    matrix_tables,
)

MATRICES = {
    "real": np.array([[0.9, 0.2], [0.0, -0.5]]),
    "complex": np.array([[0.9j, 0.2], [0.1 - 0.3j, -0.5]]),
}


def encoding_of(matrix, bits=40):
    rows, columns = np.nonzero(matrix)
    return SparseBlockEncoding(
        controlled_hermitian_tables(rows, columns, matrix[rows, columns], len(matrix), bits)
    )


def columns_of(bloq, system_bits):
    """The whole columns of the circuit whose ancillas start in |0>, (2^s, ancillas, 2^s)."""
    rest = 2 ** (bloq.signature.n_qubits() - system_bits)
    identity = torch.eye(2**system_bits * rest, dtype=torch.complex128)[::rest]
    simulator = Simulator()
    return np.stack(
        [simulator.run(bloq, each).amplitudes.reshape(-1, rest).numpy() for each in identity],
        axis=2,
    )


def hamiltonian(encoding, matrix):
    """|1><1| (x) [[0, M], [M^H, 0]] over alpha, written out."""
    n = len(matrix)
    h = np.block([[np.zeros((n, n)), matrix], [matrix.conj().T, np.zeros((n, n))]])
    return np.kron(np.diag([0.0, 1.0]), h) / encoding.alpha


@pytest.mark.parametrize("time", [0.7, 2.8, 11.0])
@pytest.mark.parametrize("name", MATRICES)
def test_the_block_is_the_controlled_evolution(name, time):
    matrix = MATRICES[name]
    encoding = encoding_of(matrix)
    found = evolution(encoding, time, error=1e-9)
    columns = columns_of(found.bloq, encoding.system_bitsize)
    exact = expm(1j * time * hamiltonian(encoding, matrix))
    np.testing.assert_array_equal(exact[:4, :4], np.eye(4))  # the control is 0: nothing happens
    distance = np.linalg.norm(columns[:, 0] - exact, 2)
    assert distance <= found.error + time * encoding.epsilon / encoding.alpha + 1e-12
    leaked = np.linalg.norm(columns[:, 1:].reshape(-1, 8), 2)
    assert leaked <= found.leak
    assert leaked > found.leak / 100
    for planted in (-time, 1.1 * time):  # backwards, too long
        assert (
            np.linalg.norm(columns[:, 0] - expm(1j * planted * hamiltonian(encoding, matrix)), 2)
            > 0.05
        )
    conjugated = expm(1j * time * hamiltonian(encoding, matrix.conj()))
    assert name == "real" or np.linalg.norm(columns[:, 0] - conjugated, 2) > 0.05


@pytest.mark.parametrize("error", [1e-2, 1e-4])
def test_a_short_series_stays_within_its_bound(error):
    matrix = MATRICES["real"]
    encoding = encoding_of(matrix)
    found = evolution(encoding, 2.8, error)
    columns = columns_of(found.bloq, encoding.system_bitsize)
    distance = np.linalg.norm(columns[:, 0] - expm(2.8j * hamiltonian(encoding, matrix)), 2)
    assert found.error / 1000 < distance <= found.error
    assert found.bloq.solve.queries == jacobi_anger_order(2.8, error)


def test_without_amplification_half_is_missing():
    """Planted: the sum of cosine and sine taken for the evolution; and the phase i of the sine
    forgotten.
    """
    encoding = encoding_of(MATRICES["real"])
    found = evolution(encoding, 1.3, error=1e-9)
    exact = expm(1.3j * hamiltonian(encoding, MATRICES["real"]))
    block = columns_of(found.bloq.solve, encoding.system_bitsize)[:, 0]
    np.testing.assert_allclose(block, (1 - SHORTFALL) / 2 * exact, atol=1e-8)
    real = expm(-1.3j * hamiltonian(encoding, MATRICES["real"]))
    assert np.linalg.norm(2 * block - real, 2) > 0.1


def test_errors_of_a_product_add_and_leaks_multiply():
    encoding = encoding_of(MATRICES["real"])
    step = evolution(encoding, 1.3, error=1e-3)
    bound = product_error([step] * 4)
    assert bound == pytest.approx(4 * step.error + 8 * step.leak**2)
    state = np.zeros((8, 2 ** (step.bloq.signature.n_qubits() - 3)), dtype=complex)
    state[:, 0] = np.random.default_rng(0).normal(size=8)
    state /= np.linalg.norm(state)
    exact = expm(4 * 1.3j * hamiltonian(encoding, MATRICES["real"])) @ state[:, 0]
    amplitudes, simulator = torch.as_tensor(state.reshape(-1)), Simulator()
    for _ in range(4):
        amplitudes = simulator.run(step.bloq, amplitudes).amplitudes
    assert np.linalg.norm(amplitudes.reshape(8, -1)[:, 0].numpy() - exact) <= bound
    assert math.sqrt(3) < LEAK


@pytest.mark.parametrize(("time", "error"), [(0.3, 1e-3), (2.8, 1e-9), (40.0, 1e-6)])
def test_the_series_is_within_its_error_and_no_longer_than_needed(time, error):
    order, x = jacobi_anger_order(time, error), np.linspace(-1, 1, 2001)
    for degree, within in ((order, True), (order - 4, False)):
        if degree < 1:
            continue
        cosine, sine = jacobi_anger(time, degree)
        off = np.abs(
            chebyshev_value(cosine, x) + 1j * chebyshev_value(sine, x) - np.exp(1j * time * x)
        ).max()
        assert bool(off <= error) is within


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_the_fourier_transform(bits):
    size = 2**bits
    matrix = columns_of(FourierTransform(bits), bits)[:, 0]
    exact = np.exp(2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size) / math.sqrt(size)
    phase = matrix[0, 0] / exact[0, 0]
    assert abs(phase) == pytest.approx(1)
    np.testing.assert_allclose(matrix, phase * exact, atol=1e-13)
    assert bits == 1 or np.abs(matrix - phase * exact.conj()).max() > 0.1


def test_the_encoded_hamiltonian_is_hermitian_and_alpha_is_that_of_the_matrix():
    matrix = np.random.default_rng(1).normal(size=(4, 4)) * np.exp(1j * np.arange(16).reshape(4, 4))
    encoding = encoding_of(matrix, bits=6)
    block = columns_of(encoding, encoding.system_bitsize)[:, 0]
    np.testing.assert_allclose(block, block.conj().T, atol=1e-14)
    own = encoding.alpha
    rows, columns = np.nonzero(matrix)

    assert own == pytest.approx(
        matrix_tables(rows, columns, matrix[rows, columns], 4, 6).alpha, rel=1e-14
    )
