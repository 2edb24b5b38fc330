"""Why the constant monomials are moved to the right-hand side: kept as unknowns they make kappa
grow with T for a contraction.
"""

from pathlib import Path

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.linalg as linalg
import torch

from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.linalg.polynomial_map import PolynomialMap

ROOT = Path(__file__).parents[2]


def condition(matrix, steps):
    """sigma_max / sigma_min of the history matrix, by Lanczos with its factors: tenths of a second
    where all singular values of a thousand unknowns take one.
    """
    size = len(matrix)
    shift = sparse.diags_array([np.ones(steps)], offsets=[-1], shape=(steps + 1, steps + 1))
    M = sparse.eye_array(size * (steps + 1)) - sparse.kron(shift, sparse.csr_array(matrix.numpy()))
    M = sparse.csc_array(M)
    factors = linalg.splu(M)
    inverse = linalg.LinearOperator(
        M.shape, matvec=lambda x: factors.solve(factors.solve(x, trans="T")), dtype=float
    )
    ends = [
        linalg.eigsh(each, k=1, which="LM", v0=np.ones(len(M.indptr) - 1), tol=1e-12)[0][0]
        for each in (M.T @ M, inverse)
    ]
    return float(np.sqrt(ends[0] * ends[1]))


def test_kappa_of_a_contraction_levels_off_without_them_and_doubles_with_them():
    F1 = torch.diag(torch.tensor([0.8, 0.5], dtype=torch.float64))
    F2 = 0.05 * torch.ones(2, 4, dtype=torch.float64)
    lift = carleman_linearize(
        PolynomialMap([0.1 * torch.ones(2, dtype=torch.float64), F1, F2]), order=3
    )
    A = lift.to_sparse().to_dense()
    without = [condition(A, T) for T in (16, 32, 64)]
    kept = torch.block_diag(A, torch.ones(1, 1, dtype=torch.float64))
    kept[:-1, -1] = lift.offset  # the constant as one more unknown: w' = w
    with_them = [condition(kept, T) for T in (16, 32, 64)]
    text = " ".join((ROOT / "docs" / "mathematics.md").read_text(encoding="utf-8").split())
    assert ", ".join(f"{k:.1f}" for k in with_them) + "$ with them" in text
    assert "$" + ", ".join(f"{k:.1f}" for k in without) + "$ without" in text
    assert without[2] - without[1] < (without[1] - without[0]) / 1.9
    assert with_them[2] / with_them[1] > 1.9 < with_them[1] / with_them[0] + 0.1
    system = history_system(lift, torch.zeros(2), steps=16)
    assert abs(float(torch.linalg.cond(system.matrix.to_dense(), 2)) / without[0] - 1) < 1e-9
