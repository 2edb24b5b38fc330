"""What users have at hand comes in as it is, or is refused in one sentence."""

import numpy as np
import pytest
import scipy.sparse as sparse
import torch

import qdescent as qd
from qdescent._checks import ArgumentError
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.polynomial_field import PolynomialField
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.tensors import number_tensor

A = [[2.0, 1.0], [1.0, 3.0]]
T = torch.tensor(A)
TAKEN = {
    "array": np.array(A),
    "big-endian": np.array(A, dtype=">f8"),
    "extended": np.array(A, dtype=np.longdouble),
    "unsigned": np.array(A, dtype=np.uint16),
    "unsigned long long": np.array(A, dtype=np.ulonglong),
    "long long": np.array(A, dtype=np.longlong),
    "memory of numbers": memoryview(np.array(A)),
    "fortran": np.asfortranarray(A),
    "list": A,
    "integers": [[2, 1], [1, 3]],
    "int64": T.long(),
    "half": T.half(),
    "bfloat16": T.bfloat16(),
    "rows": T.to_sparse_csr(),
    "columns": T.to_sparse_csc(),
    "coordinates": T.to_sparse(),
    "scipy rows": sparse.csr_array(A),
    "scipy diagonals": sparse.dia_array(np.array(A)),
    "repeated": sparse.coo_array(([1, 1, 1, 3, 1], ([0, 0, 0, 1, 1], [0, 0, 1, 1, 0]))),
    "graph": torch.tensor(A, requires_grad=True) * 1,
    "negated view": torch.imag(1j * T),
}


pytestmark = pytest.mark.filterwarnings("ignore")  # torch: CSR is in beta, quantisation moves


@pytest.mark.parametrize("name", TAKEN)
def test_taken_as_it_is(name):
    system = LinearSystem(TAKEN[name], np.ones(2, dtype=np.int32))
    assert system.matrix.to_dense().tolist() == A
    assert system.matrix.dtype in (torch.float32, torch.float64)
    assert system.matrix.layout in (torch.strided, torch.sparse_coo)
    assert not system.matrix.requires_grad
    assert PolynomialMap([[0, 1], TAKEN[name]])(np.array([1, 1])).tolist() == [3.0, 5.0]
    assert PolynomialField([np.array([0.0, 1.0]), TAKEN[name]])([1.0, 1.0]).tolist() == [3.0, 5.0]


REFUSED = {
    "booleans": (np.array([[True, False], [False, True]]), "hold numbers"),
    "text": ("abc", "be a tensor, a NumPy array"),
    "nothing": (None, "be a tensor, a NumPy array"),
    "ragged": ([[1.0], [1.0, 2.0]], "be a tensor, a NumPy array"),
    "objects": (np.array([[None, 1], [2, 3]]), "be a tensor, a NumPy array"),
    "dates": (np.array([[1, 2], [3, 4]], dtype="M8[s]"), "be a tensor, a NumPy array"),
    "infinite": ([[np.inf, 1.0], [1.0, 1.0]], "be finite"),
    "beyond float64": (np.array(A, dtype=np.longdouble) * np.longdouble("1e400"), "be finite"),
    "beyond its digits": (np.array(A, dtype=np.longdouble) / 3, "hold numbers that float64 holds"),
    "a list of large integers": ([[2**63, 0], [0, 1]], "hold integers below 2\\^53"),
    "raw memory": (bytearray(b"ab"), "be a tensor, a NumPy array"),
    "a view of raw memory": (memoryview(b"ab"), "be a tensor, a NumPy array"),
    "large integers": (np.array([[2**53 + 1, 0], [0, 1]]), "hold integers below 2\\^53"),
    "no values": (torch.zeros(2, 2, device="meta"), "hold numbers"),
    "quantised": (torch.quantize_per_tensor(T, 0.1, 0, torch.qint8), "hold numbers"),
    "nested": (torch.nested.nested_tensor([torch.ones(2), torch.ones(1)]), "be dense or sparse"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_sentence(name):
    given, must = REFUSED[name]
    with pytest.raises(ArgumentError, match=f"Argument `matrix` must {must}"):
        LinearSystem(given, [1.0, 1.0])
    with pytest.raises(ArgumentError, match=f"Argument `coefficients\\[1\\]` must {must}"):
        PolynomialMap([[0.0, 0.0], given])


def test_a_complex_number_is_kept_or_refused():
    turned = 1j * np.array(A)
    assert number_tensor("matrix", turned.astype(np.complex64)).dtype is torch.complex64
    assert LinearSystem(turned, [1.0, 1.0]).matrix.tolist() == turned.tolist()
    for make in (PolynomialMap, PolynomialField):
        with pytest.raises(
            ArgumentError, match=r"Argument `coefficients\[1\]` must hold real numbers"
        ):
            make([[0.0, 0.0], turned])
    with pytest.raises(ArgumentError, match="Argument `forcing` must hold real numbers"):
        PolynomialField([[0.0, 0.0], A], lambda t: 1j * np.ones(2))


def test_places_and_bounds():
    assert LinearSystem(A, [1, 1], [[1]]).answer_index.dtype is torch.int64
    for places in ([[2]], [[0.5]], [0], "x", [[True]]):
        with pytest.raises(
            ArgumentError, match=r"Argument `answer_index` must be indices in \[0, 2\)"
        ):
            LinearSystem(A, [1, 1], places)
    for places, first in (([[-1]], -1), ([[0], [7]], 7)):
        with pytest.raises(ArgumentError, match=rf"shape \({len(places)}, 1\), with {first} in it"):
            LinearSystem(A, [1, 1], places)
    for bound in (-1.0, 0.0, float("nan"), float("inf"), "2"):
        with pytest.raises(
            ArgumentError, match=r"Argument `inverse_norm_bound` must be in \(0, inf\)"
        ):
            LinearSystem(A, [1, 1], inverse_norm_bound=bound)
    with pytest.raises(
        ArgumentError, match="Argument `matrix` must be square, with at least one unknown"
    ):
        LinearSystem(np.zeros((0, 0)), np.zeros(0))


def test_masked_places_are_not_read_as_what_lies_under_the_mask():
    masked = np.ma.masked_array(np.eye(2), mask=[[0, 1], [0, 0]])
    with pytest.raises(ArgumentError, match="Argument `F` must be without masked places"):
        number_tensor("F", masked)
    assert number_tensor("F", masked.filled(0)).equal(torch.eye(2, dtype=torch.float64))
    assert number_tensor("F", np.ma.masked_array(np.eye(2))).equal(
        torch.eye(2, dtype=torch.float64)
    )


class Labelled(torch.Tensor):
    """A class of the user's own."""


@pytest.mark.parametrize("solver", [qd.Direct(), qd.QSVT(1e-3)])
def test_a_tensor_of_another_class_is_its_numbers(solver):
    matrix = (2 * torch.eye(3, dtype=torch.float64)).as_subclass(Labelled)
    rhs = torch.ones(3, dtype=torch.float64).as_subclass(Labelled)
    found = qd.solve(qd.LinearSystem(matrix, rhs), solver)
    assert type(found.value) is torch.Tensor
    assert found.value.tolist() == pytest.approx([0.5] * 3, rel=1e-3)
    assert qd.block_encode(matrix).alpha == pytest.approx(2.0)
