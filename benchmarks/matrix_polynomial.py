"""How fast is a matrix polynomial next to the bare sparse products that it needs?

    python benchmarks/matrix_polynomial.py            # 10^6 unknowns, degree 255
    python benchmarks/matrix_polynomial.py --smoke    # 10^4 unknowns, degree 31

The matrix is that of a history system: 50 blocks of 20,000, I on the diagonal and -A below it, A
with some four entries a row. Bare products: M and M^T in turn on one vector, nothing else, by SciPy
and by PyTorch (compressed rows, indices of 32 bits).
"""

import statistics
import sys

import numpy as np
import scipy.sparse as sparse
import torch
from protocol import environment, interleave, own_peak, ratios, save

from qdescent.linalg.chebyshev import chebyshev_value, minimax_inverse
from qdescent.linalg.chebyshev_transforms import apply_odd_transform
from qdescent.linalg.linear_system import LinearSystem
from qdescent.solvers.promise.conditioning import scaled_operator

BLOCKS = 50


def history_like(unknowns):
    """M in coordinates."""
    size = unknowns // BLOCKS
    step = 0.5 * sparse.eye(size) + 0.1 * sparse.random(
        size, size, density=3 / size, random_state=0
    )
    return (
        sparse.eye(unknowns) - sparse.kron(sparse.diags([np.ones(BLOCKS - 1)], [-1]), step)
    ).tocoo()


def coefficients_of(degree):
    """A polynomial for 1/x of this degree: what it is close to does not change the time."""
    kappa = 2.0
    while minimax_inverse(kappa, 1e-3).degree < degree:
        kappa *= 1.01
    return minimax_inverse(kappa, 1e-3).coefficients[: degree + 1]


def compressed(matrix):
    """A SciPy matrix as PyTorch's compressed rows, with its 32-bit indices."""
    parts = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    return torch.sparse_csr_tensor(*parts, matrix.shape, check_invariants=True)


def bare(forward, adjoint, vector, products):
    """Products in turn, as the recurrence needs them."""
    for j in range(products):
        vector = (forward if j % 2 else adjoint) @ vector
    return vector


def measure(unknowns, degree, rounds):
    """Interleaved times, and a check of the polynomial on one singular vector."""
    M = history_like(unknowns)
    bound = float(np.sqrt(abs(M).sum(0).max() * abs(M).sum(1).max()))
    places = torch.from_numpy(np.stack([M.row, M.col]))
    matrix = torch.sparse_coo_tensor(
        places, torch.from_numpy(M.data), M.shape, check_invariants=True
    )
    vector = torch.from_numpy(np.random.default_rng(0).normal(size=unknowns))
    operator, counted = scaled_operator(LinearSystem(matrix, vector), bound)
    coefficients = coefficients_of(degree)

    forward = (M / bound).tocsr()
    adjoint = forward.T.tocsr()
    rows = [compressed(each) for each in (forward, adjoint)]
    contenders = {
        "apply_odd_transform": lambda: apply_odd_transform(coefficients, operator, vector),
        "bare products, SciPy": lambda: bare(forward, adjoint, vector.numpy(), degree),
        "bare products, PyTorch": lambda: bare(*rows, vector, degree),
    }
    seconds = interleave(contenders, rounds)
    assert counted.total == degree * (rounds + 1)
    fastest = min(list(contenders)[1:], key=lambda name: statistics.median(seconds[name]))
    return {
        "unknowns": unknowns,
        "entries": int(M.nnz),
        "degree": degree,
        "seconds": seconds,
        "ratio_to_the_fastest_bare_products": ratios(seconds, fastest),
        "fastest_bare_products": fastest,
        "error_on_a_diagonal_matrix": check(coefficients),
        "peak_bytes": own_peak(),
    }


def check(coefficients):
    """The same routine on a sparse diagonal, where the answer is p of each entry."""
    x = np.linspace(-1, 1, 101)
    diagonal = torch.sparse_coo_tensor(
        torch.arange(101).repeat(2, 1), torch.from_numpy(x), (101, 101), check_invariants=True
    )
    ones = torch.ones(101, dtype=torch.float64)
    operator, _ = scaled_operator(LinearSystem(diagonal, ones), 1.0)
    expected = chebyshev_value(coefficients, x)
    return float(
        np.abs(apply_odd_transform(coefficients, operator, ones).numpy() - expected).max()
        / np.abs(expected).max()
    )


if __name__ == "__main__":
    smoke = "--smoke" in sys.argv
    content = {
        "question": (
            "Seconds of an odd matrix polynomial, next to as many bare sparse products (float64)"
        ),
        **(measure(10**4, 31, 1) if smoke else measure(10**6, 255, 5)),
        "environment": environment(),
    }
    if smoke:
        print(content)
    else:
        save("matrix_polynomial", content)
