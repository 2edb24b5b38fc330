"""Why the constant monomials are moved to the right-hand side: kept as unknowns they make kappa
grow with T for a contraction.
"""

from pathlib import Path

import torch

from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.linalg.polynomial_map import PolynomialMap

ROOT = Path(__file__).parents[2]


def condition(matrix, steps):
    eye = torch.eye(steps + 1, dtype=torch.float64)
    shift = torch.diag(torch.ones(steps, dtype=torch.float64), -1)
    return float(
        torch.linalg.cond(
            torch.kron(eye, torch.eye(len(matrix), dtype=torch.float64))
            - torch.kron(shift, matrix),
            2,
        )
    )


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
