"""A matrix of one's own as a block-encoding: the block against the matrix, whatever its shape,
form and scale; the counted cost against the gates; one sentence for what cannot be encoded.
"""

import attrs
import numpy as np
import pytest
import scipy.sparse as sparse
import torch
from qualtran.bloqs.block_encoding import Product
from qualtran.resource_counting import QECGatesCost, get_cost_value

import qdescent as qd
from qdescent._checks import ArgumentError
from qdescent.quantum.inspect.qasm import gate_list
from qdescent.quantum.simulator.state_vector import Simulator

DRAW = np.random.default_rng(7)


def block(bloq):
    """<0|U|0>, column by column."""
    rest = 2**bloq.ancilla_bitsize
    basis = torch.eye(rest * 2**bloq.system_bitsize, dtype=torch.complex128)[::rest]
    simulator = Simulator()
    columns = [simulator.run(bloq, column).project(ancilla=0) for column in basis]
    return torch.stack(columns, dim=1).numpy()


def corner(matrix, size):
    """The matrix in the first rows and columns of a larger one of zeros."""
    whole = np.zeros((size, size), dtype=complex)
    whole[: matrix.shape[0], : matrix.shape[1]] = matrix
    return whole


def relative_error(bloq, matrix, scale=1.0):
    """||A - alpha <0|U|0>||_2/alpha, the matrix given in units of `scale`."""
    encoded = block(bloq)
    alpha = bloq.alpha / scale
    return np.linalg.norm(corner(matrix, len(encoded)) / alpha - encoded, 2)


def drawn(shape, *, is_complex=False):
    entries = DRAW.normal(size=shape) * (DRAW.random(shape) < 0.7)
    entries.flat[0] = 1.0
    return entries + 1j * DRAW.normal(size=shape) if is_complex else entries


SHAPES = [(1, 1), (2, 2), (1, 4), (5, 1), (3, 5), (4, 3), (6, 6)]


@pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_block_is_the_matrix(shape, is_complex):
    matrix = drawn(shape, is_complex=is_complex)
    for encoding in (qd.BalancedEntries(), qd.ColouredEntries()):
        bloq = qd.block_encode(matrix, 1e-4, encoding=encoding)
        assert 2**bloq.system_bitsize == max(2, 2 ** (max(shape) - 1).bit_length())
        for one, target in ((bloq, matrix), (bloq.adjoint(), matrix.conj().T)):
            assert relative_error(one, target) <= bloq.epsilon / bloq.alpha + 1e-14
        assert bloq.epsilon <= 1e-4 * bloq.alpha
        assert np.linalg.norm(matrix, 2) <= bloq.alpha + bloq.epsilon
    # planted: another matrix is told from this one
    assert relative_error(bloq, matrix + 0.01 * np.abs(matrix).max()) > 2e-4


def test_alpha_is_the_norm_of_absolute_values_or_the_sum_of_the_colours():
    matrix = drawn((5, 4))
    expected = np.linalg.norm(np.abs(matrix), 2)
    assert qd.block_encode(matrix, 0.1).alpha == pytest.approx(expected, rel=1e-9)
    diagonal = np.diag([3.0, -1.0, 2.0])
    assert qd.block_encode(diagonal, 0.1, encoding=qd.ColouredEntries()).alpha == 3.0


@pytest.mark.parametrize("scale", [1e-299, 1e-30, 1e30, 1e299])
def test_any_scale(scale):
    matrix = drawn((3, 2))
    bloq = qd.block_encode(scale * matrix, 1e-3)
    assert relative_error(bloq, matrix, scale) <= bloq.epsilon / bloq.alpha + 1e-14 <= 2e-3


def forms():
    matrix = np.array([[0.0, 1.5, 0.0], [-2.0, 0.0, 0.5]])
    tensor = torch.from_numpy(matrix)
    return {
        "lists": (matrix.tolist(), matrix),
        "Fortran": (np.asfortranarray(matrix), matrix),
        "float16": (matrix.astype(np.float16), matrix),
        "bfloat16": (tensor.bfloat16(), matrix),
        "integers": ((2 * matrix).astype(np.int32), 2 * matrix),
        "complex64": ((1j * matrix).astype(np.complex64), 1j * matrix),
        "complex, but real": (matrix.astype(complex), matrix),
        "CSR": (sparse.csr_array(matrix), matrix),
        "CSC matrix": (sparse.csc_matrix(matrix), matrix),
        "twice the same place": (
            sparse.coo_array(([1.0, 0.5, -2.0, 0.5], ([0, 0, 1, 1], [1, 1, 0, 2])), shape=(2, 3)),
            matrix,
        ),
        "stored zeros": (
            sparse.csr_array(([0.0, 1.5, -2.0, 0.5], ([0, 0, 1, 1], [0, 1, 0, 2])), shape=(2, 3)),
            matrix,
        ),
        "torch CSR": (tensor.to_sparse_csr(), matrix),
        "torch COO": (tensor.to_sparse_coo(), matrix),
        "with a gradient": (tensor.clone().requires_grad_(), matrix),
        "transposed view": (tensor.t(), matrix.T),
    }


@pytest.mark.parametrize("name", forms())
def test_every_form_is_the_same_matrix(name):
    given, matrix = forms()[name]
    bloq = qd.block_encode(given, 1e-3)
    assert relative_error(bloq, matrix) <= bloq.epsilon / bloq.alpha + 1e-14
    if name not in ("integers", "complex64", "transposed view"):
        assert bloq == qd.block_encode(matrix, 1e-3)  # a table for a table


@pytest.mark.parametrize("loader", [qd.QROMLoader(), qd.QROAMLoader()], ids=str)
@pytest.mark.parametrize("encoding", [qd.BalancedEntries(), qd.ColouredEntries()], ids=str)
def test_the_counted_cost_is_that_of_the_gates(encoding, loader):
    bloq = qd.block_encode(
        drawn((3, 4), is_complex=True), angle_bits=5, encoding=encoding, loader=loader
    )
    counted, gates = get_cost_value(bloq, QECGatesCost()), gate_list(bloq).counts
    assert gates["ccx"] == 2 * counted.and_bloq + counted.toffoli  # an And and its inverse
    assert gates.get("cswap", 0) == counted.cswap
    assert counted.rotation <= gates.get("ry", 0) + gates.get("rz", 0)
    assert attrs.evolve(bloq, loader=qd.BucketBrigade()) != bloq


def test_it_works_in_qualtran_and_in_a_solver():
    first, second = drawn((2, 4)), drawn((4, 3))
    one, other = (qd.block_encode(each, 1e-5) for each in (first, second))
    product = Product((one, other))
    found = product.alpha * block(product)
    allowed = one.epsilon * other.alpha + other.epsilon * one.alpha
    assert np.linalg.norm(found - corner(first @ second, 4), 2) <= allowed


def test_bits_and_epsilon():
    with pytest.raises(ArgumentError, match="`epsilon` must be at least"):
        qd.block_encode(drawn((3, 3)), epsilon=1e-320)
    assert qd.block_encode(np.eye(2), epsilon=1e-320).epsilon <= 1e-300  # exact at any angle
    matrix = drawn((3, 3))
    few = qd.block_encode(matrix, angle_bits=5)
    assert few.angle_bits == 5
    assert relative_error(few, matrix) <= few.epsilon / few.alpha
    assert qd.block_encode(matrix).epsilon <= 1e-6 * few.alpha
    fine, coarse = (qd.block_encode(matrix, epsilon) for epsilon in (1e-9, 1e-2))
    assert fine.angle_bits > coarse.angle_bits
    with pytest.raises(
        ArgumentError, match="Argument `angle_bits` must be large enough for epsilon = 1e-06, but"
    ):
        qd.block_encode(matrix, 1e-6, angle_bits=5)
    with pytest.raises(ArgumentError, match="Argument `epsilon` must be at least .* 45 bits allow"):
        qd.block_encode(matrix, 1e-15)


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        (np.zeros((2, 3)), "have a non-zero entry, but is zero"),
        (sparse.csr_array((2, 2)), "have a non-zero entry, but is zero"),
        (
            np.ones(3),
            r"have two axes, with at least one row and one column.*\(3,\)",
        ),
        (np.ones((2, 2, 2)), r"have two axes.*but is of shape \(2, 2, 2\)"),
        (np.ones((0, 3)), r"have two axes.*but is of shape \(0, 3\)"),
        ([[1.0, np.nan]], "be finite"),
        ([[1.0, np.inf]], "be finite"),
        ([[True, False]], "hold numbers"),
        ("a text", "be a tensor, a NumPy array"),
        (None, "be a tensor, a NumPy array"),
        ([[1.0, 2.0], [3.0]], "be a tensor, a NumPy array"),
        ([[1e-310]], r"have its largest entry in \[1e-300, 1e\+300\], but is one whose largest"),
        ([[1e305]], r"have its largest entry in \[1e-300, 1e\+300\], but is one whose largest"),
        (np.ones((1, 10**5)), "leave tables of at most 4,194,304 entries"),
        (sparse.eye_array(2**23).tocsr(), "leave tables of at most 4,194,304 entries"),
        (qd.BalancedEntries(), "be a tensor, a NumPy array"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_refusals(matrix, sentence):
    with pytest.raises(ArgumentError, match=f"Argument `matrix` must {sentence}"):
        qd.block_encode(matrix)


def test_an_encoding_of_something_else_is_refused():
    f = qd.PolynomialMap([torch.tensor([0.1]), torch.tensor([[0.5]])])
    with pytest.raises(ArgumentError, match="Argument `encoding` must encode 3 unknowns"):
        qd.block_encode(np.eye(3), encoding=qd.ComposedHistory(f, order=1, steps=1))
    with pytest.raises(ArgumentError, match="Argument `loader` must be a loader such as QROM"):
        qd.block_encode(np.eye(3), loader=qd.QROMLoader)


def test_a_full_matrix_of_two_hundred_columns_takes_seconds():
    matrix = DRAW.normal(size=(200, 200))
    bloq = qd.block_encode(matrix, 1e-2)
    assert (bloq.system_bitsize, bloq.ancilla_bitsize) == (8, 8)
    assert np.linalg.norm(matrix, 2) < np.linalg.norm(np.abs(matrix), 2) <= bloq.alpha
