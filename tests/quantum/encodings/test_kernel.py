"""The block of the kernel encoding is G within the errors that its parts state, and its even
transform is the filter's.
"""

import math

import numpy as np
import pytest
import torch

from qdescent.linalg.chebyshev import chebyshev_value
from qdescent.quantum.algorithms.qsp_angles import qsp_angles
from qdescent.quantum.algorithms.qsvt import QSVTSequence, projector_phases
from qdescent.quantum.encodings.balanced import BalancedEncoding
from qdescent.quantum.encodings.coloured import SparseBlockEncoding
from qdescent.quantum.encodings.kernel import KernelEncoding, VectorFlip
from qdescent.quantum.gates.state_preparation import RealStatePreparation
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.angles import rotation_tree
from qdescent.quantum.tables.balanced import balanced_matrix
from qdescent.quantum.tables.coloured import matrix_tables

GUESS = 2.3


def instance(size, bits, seed=0, *, balanced=False):
    """(encoding, G/alpha written out densely, error that the parts state)."""
    draw = np.random.default_rng(seed)
    matrix = draw.normal(size=(size, size)) * (draw.random((size, size)) < 0.7) + 2 * np.eye(size)
    rows, columns = np.nonzero(matrix)
    entries = rows, columns, matrix[rows, columns], size, bits
    tables = (
        balanced_matrix(*entries).augmented(GUESS)
        if balanced
        else matrix_tables(*entries).augmented(GUESS)
    )
    side = 2 ** (tables.system_bits - 1)
    b = np.zeros(2 * side)
    b[:size] = draw.normal(size=size)
    b /= math.sqrt(2) * np.linalg.norm(b)
    b[side] = math.sqrt(0.5)
    tree = rotation_tree(b, bits)
    augmented = np.eye(2 * side) / GUESS
    augmented[:side, :side] = 0
    augmented[:size, :size] = matrix / tables.alpha
    error = tables.error / tables.alpha + np.linalg.norm(tree.prepared - b)
    augmented_encoding = BalancedEncoding(tables) if balanced else SparseBlockEncoding(tables)
    encoding = KernelEncoding(augmented_encoding, RealStatePreparation(tree))
    return encoding, (np.eye(2 * side) - np.outer(b, b)) @ augmented, error


def block(bloq, ancillas, **kept):
    simulator = Simulator()
    identity = torch.eye(2 ** (bloq.signature.n_qubits()), dtype=torch.complex128)[:: 2**ancillas]
    return torch.stack(
        [simulator.run(bloq, column).project(**kept) for column in identity], dim=1
    ).numpy()


@pytest.mark.parametrize("bits", [6, 18])
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("balanced", [False, True])
def test_the_block_is_the_kernel_matrix(size, bits, balanced):
    encoding, G, error = instance(size, bits, balanced=balanced)
    for bloq, target in ((encoding, G), (encoding.adjoint(), G.T)):
        found = block(bloq, bloq.ancilla_bitsize, ancilla=0)
        assert np.linalg.norm(found - target, 2) <= error + 1e-13
    # planted: the projector on the wrong side
    wrong = block(encoding.adjoint(), encoding.ancilla_bitsize, ancilla=0)
    assert np.linalg.norm(wrong - G, 2) > max(0.1, error)


def test_the_flip_marks_one_vector():
    b = rotation_tree(np.array([0.48, -0.6, 0.64]), bits=24)
    flip = VectorFlip(RealStatePreparation(b))
    projector = np.outer(b.prepared, b.prepared)
    np.testing.assert_allclose(block(flip, 1, mark=0), np.eye(4) - projector, atol=1e-14)
    np.testing.assert_allclose(block(flip, 1, mark=1), projector, atol=1e-14)


@pytest.mark.parametrize(
    "coefficients", [[0.3, 0, -0.5], [-0.2, 0, 0.1, 0, 0.6], [0.1, 0, 0.2, 0, 0.3, 0, -0.3]]
)
def test_an_even_polynomial_acts_on_the_right_singular_vectors(coefficients):
    encoding, _, _ = instance(3, 20, seed=4)
    sequence = QSVTSequence(encoding, projector_phases(qsp_angles(coefficients)))
    found = block(sequence, encoding.ancilla_bitsize + 1, ancilla=0, part=0)
    _, S, Vh = np.linalg.svd(block(encoding, encoding.ancilla_bitsize, ancilla=0))
    np.testing.assert_allclose(
        found,
        Vh.conj().T @ np.diag(chebyshev_value(coefficients, np.minimum(S, 1))) @ Vh,
        atol=1e-12,
    )
