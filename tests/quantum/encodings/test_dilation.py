"""The dilation is [[0, M], [M^H, 0]] under a control, Hermitian to the last bit."""

import numpy as np
import pytest
import torch

from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.encodings.balanced import BalancedEncoding
from qdescent.quantum.encodings.dilation import HermitianDilation
from qdescent.quantum.encodings.history import HistoryEncoding
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.balanced import balanced_matrix
from qdescent.quantum.tables.history import history_tables

MATRIX = np.array([[1.0, -0.5j], [0.3, 0.8]])
REAL = np.array([[1.0, -0.5, 0.0], [0.3, 0.8, 0.2], [0.0, 0.0, -0.7]])


def balanced(matrix):
    rows, columns = np.nonzero(matrix)
    tables = balanced_matrix(rows, columns, matrix[rows, columns], len(matrix), 7)
    return BalancedEncoding(tables)


def history():
    f = PolynomialMap([torch.tensor([0.3]), torch.tensor([[0.8]])])
    return HistoryEncoding(history_tables(f, order=1, steps=1, bits=8))


def block(bloq):
    rest = 2**bloq.ancilla_bitsize
    basis = torch.eye(rest * 2**bloq.system_bitsize, dtype=torch.complex128)[::rest]
    return torch.stack([Simulator().run(bloq, e).project(ancilla=0) for e in basis], 1).numpy()


@pytest.mark.parametrize("inner", [balanced(MATRIX), balanced(REAL), history()], ids=str)
def test_the_block(inner):
    M = block(inner)
    size = len(M)
    H = np.zeros((4 * size, 4 * size), dtype=complex)
    H[2 * size : 3 * size, 3 * size :], H[3 * size :, 2 * size : 3 * size] = M, M.conj().T
    dilation = HermitianDilation(inner)
    found = block(dilation)
    np.testing.assert_allclose(found, H, atol=1e-13)
    # Hermitian to rounding, though its angles have 7 bits
    assert np.abs(found - found.conj().T).max() < 1e-14
    assert dilation.alpha == inner.alpha
    # beside the identity, as the evolution's last query asks for it
    beside = np.kron(np.diag([1.0, 0.0]), H) + np.kron(np.diag([0.0, 1.0]), np.eye(4 * size))
    np.testing.assert_allclose(block(dilation.augmented(1.0)), beside, atol=1e-13)
    assert dilation.augmented(1.0).ancilla_bitsize == dilation.ancilla_bitsize
    # planted: the halves exchanged
    assert np.abs(found - np.roll(np.roll(H, size, 0), size, 1)).max() > 0.1
