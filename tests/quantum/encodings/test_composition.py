"""Rules of composition on generic unequal parts: the block within the stated error, and wrong rules
rejected.
"""

import math

import attrs
import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.encodings.balanced import BalancedEncoding
from qdescent.quantum.encodings.coloured import SparseBlockEncoding
from qdescent.quantum.encodings.composition import Identity, block_diagonal
from qdescent.quantum.encodings.history import HistoryEncoding
from qdescent.quantum.encodings.lcu import weighted_sum
from qdescent.quantum.encodings.products import Product, Shift, TensorProduct
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.angles import AngleTable, rotation_tree
from qdescent.quantum.tables.balanced import balanced_matrix
from qdescent.quantum.tables.coloured import matrix_tables
from qdescent.quantum.tables.history import history_tables


def generic(size, seed, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=(size, size))


def entries_of(matrix):
    rows, columns = np.nonzero(matrix)
    return rows, columns, matrix[rows, columns]


def encoding_of(matrix, bits):
    return SparseBlockEncoding(matrix_tables(*entries_of(matrix), len(matrix), bits))


def encoded_block(encoding):
    """<0|U|0>, column by column."""
    simulator, ancilla = Simulator(), 2**encoding.ancilla_bitsize
    identity = torch.eye(2**encoding.system_bitsize * ancilla, dtype=torch.complex128)
    return torch.stack(
        [simulator.run(encoding, column).project(ancilla=0) for column in identity[::ancilla]],
        dim=1,
    ).numpy()


def error_of(encoding, target):
    return np.linalg.norm(target - encoding.alpha * encoded_block(encoding), 2)


A, B, C = generic(2, 0), generic(4, 1, 3.0), generic(2, 2, 0.8)
SHIFT = np.eye(4, k=-1)
UNLIKE = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [-0.5, 0.0, 0.0]])
PADDED = np.pad(UNLIKE, (0, 1))


MAP = PolynomialMap([torch.tensor(each, dtype=torch.float64) for each in ([0.3], [[0.8]], [[0.2]])])


def diagonal(*blocks):
    size = len(blocks[0])
    whole = np.zeros((size * len(blocks),) * 2)
    for i, each in enumerate(blocks):
        whole[i * size : (i + 1) * size, i * size : (i + 1) * size] = each
    return whole


def rules(bits):
    """name -> (encoding, the matrix that it must encode)."""
    a, b, c = (encoding_of(each, bits) for each in (A, B, C))
    inner = weighted_sum([0.3, 1.0], [c, Product((a, c))], bits)
    return {
        "tensor product": (TensorProduct((a, b)), np.kron(A, B)),
        "product": (Product((a, c)), A @ C),
        "product with an adjoint": (Product((a.adjoint(), c)), A.T @ C),
        "weighted sum": (
            weighted_sum([1.5, -0.7, 0.2], [a, c, Identity(1)], bits),
            1.5 * A - 0.7 * C + 0.2 * np.eye(2),
        ),
        "block diagonal": (
            block_diagonal([a, c, Identity(1)], bits),
            diagonal(A, C, np.eye(2), np.zeros((2, 2))),
        ),
        "shift": (Shift(2), SHIFT),
        "balanced weights": (BalancedEncoding(balanced_matrix(*entries_of(B), 4, bits)), B),
        "balanced weights, parts of unlike norm": (
            BalancedEncoding(balanced_matrix(*entries_of(UNLIKE), 3, bits)),
            PADDED,
        ),
        "sum with a history": (
            weighted_sum(
                [2.0, -0.5],
                [HistoryEncoding(history_tables(MAP, order=1, steps=1, bits=bits)), b],
                bits,
            ),
            2 * (np.eye(4) - np.kron(np.eye(2, k=-1), np.diag([0, 0.8]))) - 0.5 * B,
        ),
        "nested": (block_diagonal([inner, a], bits), diagonal(0.3 * C + A @ C, A)),
    }


@pytest.mark.parametrize("bits", [5, 18])
@pytest.mark.parametrize("name", rules(5))
def test_the_block_is_the_composed_matrix(name, bits):
    encoding, target = rules(bits)[name]
    for bloq, matrix in ((encoding, target), (encoding.adjoint(), target.T)):
        assert error_of(bloq, matrix) <= encoding.epsilon + 1e-13
    assert encoding.epsilon <= 60 * encoding.alpha * np.pi / 2**bits
    assert np.linalg.norm(target, 2) <= encoding.alpha + encoding.epsilon
    # planted: the wrong orientation
    assert error_of(encoding, target.T) > max(encoding.epsilon, 0.1)


@pytest.mark.parametrize("name", [*rules(5), "history"])
def test_a_control_switches_everything(name):
    history = HistoryEncoding(history_tables(MAP, order=2, steps=1, bits=6))
    encoding = history if name == "history" else rules(6)[name][0]
    for bloq in (encoding, encoding.adjoint()):
        n = 2 ** (encoding.system_bitsize + encoding.ancilla_bitsize)
        draw = np.random.default_rng(3)
        off, on = (
            torch.as_tensor(draw.normal(size=n) + 1j * draw.normal(size=n)) for _ in range(2)
        )
        # the promise is one for ancilla = 0
        off[torch.arange(n) % 2**encoding.ancilla_bitsize != 0] = 0
        found = Simulator().run(bloq.controlled(), torch.cat([off, on])).amplitudes
        torch.testing.assert_close(found[:n], off, rtol=0, atol=1e-12)
        torch.testing.assert_close(
            found[n:], Simulator().run(bloq, on).amplitudes, rtol=0, atol=1e-12
        )


def test_errors_composed_without_the_normalisations_are_rejected():
    """What two coarse factors of large alpha miss is above the sum of their errors."""
    parts = [encoding_of(generic(2, seed, 20.0), bits=6) for seed in (5, 6)]
    matrices = [generic(2, seed, 20.0) for seed in (5, 6)]
    planted = sum(part.epsilon for part in parts)
    for encoding, target in (
        (TensorProduct(tuple(parts)), np.kron(*matrices)),
        (Product(tuple(parts)), matrices[0] @ matrices[1]),
    ):
        error = error_of(encoding, target)
        assert planted < error <= encoding.epsilon
    total = weighted_sum([20.0, 30.0], parts, bits=20)
    error = error_of(total, 20 * matrices[0] + 30 * matrices[1])
    assert planted < error <= total.epsilon


def test_weights_prepared_without_the_square_root_are_rejected():
    terms = [encoding_of(each, 20) for each in (A, C)]
    target = 1.5 * A - 0.7 * C
    encoding = weighted_sum([1.5, -0.7], terms, bits=20)
    shares = np.array([1.5 * terms[0].alpha, 0.7 * terms[1].alpha])
    planted = attrs.evolve(encoding, tree=rotation_tree(shares, 20))
    assert error_of(planted, target) > 100 * encoding.epsilon
    assert error_of(planted, target) <= planted.epsilon  # and the stated error knows of it


def test_balanced_weights_have_the_norm_of_absolute_values():
    encoding = BalancedEncoding(balanced_matrix(*entries_of(B), 4, bits=16))
    assert math.isclose(encoding.alpha, np.linalg.norm(np.abs(B), 2), rel_tol=1e-9)
    assert encoding.alpha < 0.95 * encoding_of(B, 16).alpha
    assert encoding.ancilla_bitsize < encoding_of(B, 16).ancilla_bitsize


def test_exchanged_factors_and_parts_not_turned_down_are_rejected():
    a, b, c = (encoding_of(each, 20) for each in (A, B, C))
    assert error_of(TensorProduct((b, a)), np.kron(A, B)) > 0.1
    assert error_of(Product((c, a)), A @ C) > 0.1
    encoding = block_diagonal([a, c], bits=20)
    planted = attrs.evolve(encoding, turn=AngleTable(np.zeros(2, dtype=np.int64), 20))
    assert error_of(planted, diagonal(A, C)) > 100 * encoding.epsilon
    assert error_of(planted, diagonal(A, C)) <= planted.epsilon


def test_history_matrix_by_the_rules_alone():
    """M = I - S (x) A, S the shift of four steps: the package's explicit matrix."""
    A = torch.tensor([[0.7, -0.1], [0.2, 0.5]], dtype=torch.float64)
    f = PolynomialMap([torch.tensor([0.1, 0.2], dtype=torch.float64), A])
    system = history_system(carleman_linearize(f, order=1), torch.zeros(2), steps=3)
    step = encoding_of(A.numpy(), 20)
    encoding = weighted_sum([1.0, -1.0], [Identity(3), TensorProduct((Shift(2), step))], bits=20)
    assert error_of(encoding, system.matrix.to_dense().numpy()) <= encoding.epsilon < 1e-4
    assert math.isclose(encoding.alpha, 1 + step.alpha)


def test_refusals():
    a, b = encoding_of(A, 6), encoding_of(B, 6)
    with pytest.raises(
        ArgumentError,
        match=(
            r"Argument `terms` must be at least one, all of the same system size, but is of sizes"
            r" \[1, 2\]"
        ),
    ):
        weighted_sum([1.0, 1.0], [a, b], bits=6)
    with pytest.raises(
        ArgumentError,
        match="Argument `weights` must be 2 numbers, one for each term, but is 1 of them",
    ):
        weighted_sum([1.0], [a, a], bits=6)
    with pytest.raises(ArgumentError, match="Argument `weights` must hold real numbers"):
        weighted_sum([1.0, 1j], [a, a], bits=6)
    with pytest.raises(
        ArgumentError, match="Argument `factors` must be at least one, all of the same system size"
    ):
        Product((a, b))
    with pytest.raises(
        ArgumentError, match="Argument `parts` must be at least one, all of the same system size"
    ):
        block_diagonal([], bits=6)
