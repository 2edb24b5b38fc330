"""Chebyshev polynomials of an operator, applied to a vector by their recurrence, never formed."""

from __future__ import annotations

from numpy.typing import ArrayLike
from torch import Tensor

from qdescent._array_checks import check_array, check_tensor
from qdescent._checks import argument_error, check_instance
from qdescent.linalg.operator import LinearOperator


def apply_odd_transform(
    coefficients: ArrayLike, operator: LinearOperator, vector: Tensor
) -> Tensor:
    """The singular-value transform V p(S) W^H b of A = W S V^H, by the Chebyshev recurrence on
    products with A and A^H.

        t_0 = b,  t_1 = A^H b,  t_{j+1} = 2 A t_j - t_{j-1} (j odd),  2 A^H t_j - t_{j-1} (j even).

    With p(x) = 1/x this is A^-1 b: an odd polynomial takes left singular vectors to right ones.

    Args:
        coefficients: Chebyshev coefficients of the odd polynomial p, shape (degree + 1,); even ones
            are not read.
        operator: A, shape (m, n), with ||A|| <= 1 and an adjoint.
        vector: b, shape (m,).

    Returns:
        Tensor: shape (n,).

    Raises:
        ArgumentError: the operator has no adjoint.

    Cost: `degree` products with A or A^H, three vectors.

    Example:
        >>> import torch
        >>> from qdescent.linalg.operator import as_operator
        >>> A = as_operator(torch.tensor([[0.0, 0.5], [1.0, 0.0]]))
        >>> apply_odd_transform([0.0, 1.0], A, torch.tensor([2.0, 3.0])).tolist()  # p(x) = x: A^H b
        [3.0, 1.0]
    """
    values = check_array("coefficients", coefficients, (None,)).tolist()
    vector = _start(operator, vector, 0)
    if len(values) % 2:
        raise argument_error(
            "coefficients", "end with an odd degree", f"of degree {len(values) - 1}"
        )
    return _recurrence(values, operator.H, operator, vector)


def apply_even_transform(
    coefficients: ArrayLike, operator: LinearOperator, vector: Tensor
) -> Tensor:
    """The singular-value transform V p(S) V^H v of A = W S V^H by an even polynomial, p(0) v on
    what A takes to zero.

    Args:
        coefficients: Chebyshev coefficients of the even polynomial p, shape (degree + 1,); odd ones
            are not read.
        operator: A, shape (m, n), with ||A|| <= 1 and an adjoint.
        vector: v, shape (n,).

    Returns:
        Tensor: shape (n,).

    Raises:
        ArgumentError: an odd degree, or an operator without adjoint.

    Cost: `degree` products with A or A^H, three vectors.

    Example:
        >>> import torch
        >>> from qdescent.linalg.operator import as_operator
        >>> A = as_operator(torch.tensor([[0.0, 0.5], [1.0, 0.0]]))
        >>> # p(x) = 2 x^2 - 1
        >>> apply_even_transform([0.0, 0.0, 1.0], A, torch.tensor([1.0, 1.0])).tolist()
        [1.0, -0.5]
    """
    values = check_array("coefficients", coefficients, (None,)).tolist()
    vector = _start(operator, vector, 1)
    if len(values) % 2 == 0:
        raise argument_error(
            "coefficients", "end with an even degree", f"of degree {len(values) - 1}"
        )
    return _recurrence(values, operator, operator.H, vector)


def _recurrence(
    values: list[float], forward: LinearOperator, backward: LinearOperator, vector: Tensor
) -> Tensor:
    """sum_j c_j t_j over the j of the last one's parity: t_0 = v, t_1 = F v, t_{j+1} = 2 (B or F)
    t_j - t_{j-1}, F B F ...

    The vectors held are s_j t_j with signs s = 1, 1, -1, -1, ...: then a step is one addition in
    place.
    """
    parity = (len(values) - 1) % 2
    if len(values) == 1:
        return values[0] * vector
    before, now = vector.clone(), (forward @ vector).clone()  # an operator may return its argument
    total = values[parity] * (now if parity else before)
    for j in range(2, len(values)):
        product = (forward if j % 2 else backward) @ now
        before, now = now, before.add_(product, alpha=2 if j % 2 else -2)
        if j % 2 == parity:
            total.add_(now, alpha=values[j] if j % 4 < 2 else -values[j])
    return total


def _start(operator: LinearOperator, vector: Tensor, side: int) -> Tensor:
    """The vector in the operator's type, once both are looked at."""
    check_instance("operator", operator, LinearOperator)
    kind = "complex" if operator.dtype.is_complex else "real"
    return check_tensor("vector", vector, (operator.shape[side],), kind).to(operator.dtype)
