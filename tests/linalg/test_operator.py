"""Operators against the matrices they stand for."""

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.operator import LinearOperator, as_operator


def random(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layout", [torch.strided, torch.sparse_coo, torch.sparse_csr])
@pytest.mark.filterwarnings("ignore:Sparse")
def test_any_layout_is_its_matrix(layout):
    M = random(3, 5)
    A = as_operator(M if layout == torch.strided else M.to_sparse(layout=layout))
    torch.testing.assert_close(A.to_dense(), M)
    torch.testing.assert_close(A.H.to_dense(), M.T)
    torch.testing.assert_close(A @ M.T[:, 0], M @ M.T[:, 0])
    assert A.H.shape == (5, 3)


@pytest.mark.parametrize("sparse", [False, True])
def test_adjoint_identity_of_a_complex_matrix(sparse):
    M = random(4, 3, dtype=torch.complex128)
    A = as_operator(M.to_sparse() if sparse else M)
    x, y = random(3, dtype=torch.complex128), random(4, dtype=torch.complex128)
    torch.testing.assert_close(torch.vdot(y, A @ x), torch.vdot(A.H @ y, x))
    wrong = M.T @ y  # transposed, not conjugated
    assert abs(torch.vdot(y, A @ x) - torch.vdot(wrong, x)) > 0.1


def test_operators_pass_through():
    A = as_operator(torch.eye(2))
    assert as_operator(A) is A


def test_errors():
    A = LinearOperator((2, 3), lambda x: x[:2])
    with pytest.raises(
        ArgumentError,
        match=r"Argument `x` must have shape \(3,\) or \(3, k\), but is of shape \(2,\).",
    ):
        A @ torch.ones(2)
    with pytest.raises(ArgumentError, match="Argument `operator` must declare its adjoint"):
        _ = A.H
    for bad in (torch.ones(3), [[1.0]]):
        with pytest.raises(
            ArgumentError,
            match=r"Argument `matrix` must be a LinearOperator or a tensor of shape \(m, n\)",
        ):
            as_operator(bad)


@pytest.mark.parametrize(
    ("declared", "returned", "fine"),
    [
        (torch.float64, torch.float32, False),
        (torch.float32, torch.bfloat16, False),
        (torch.float32, torch.float64, True),
        (torch.float64, torch.complex128, False),
        (torch.complex64, torch.float64, True),
        (torch.float64, torch.int64, False),
    ],
)
def test_products_have_the_digits_that_their_operator_declares(declared, returned, fine):
    A = LinearOperator((2, 2), lambda x: torch.ones(2, x.shape[1], dtype=returned), dtype=declared)
    if fine:
        assert (A @ torch.ones(2)).dtype == declared
    else:
        with pytest.raises(ArgumentError, match="`apply` must return vectors of the operator's"):
            A @ torch.ones(2)
