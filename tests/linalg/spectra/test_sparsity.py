"""Row sparsity on matrices whose rows are planted."""

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.operator import LinearOperator, as_operator
from qdescent.linalg.spectra.sparsity import row_sparsity


def banded(n, half, decay=1.0):
    places = torch.arange(n)
    distance = (places[:, None] - places).abs()
    return torch.where(distance <= half, decay ** distance.double(), 0.0)


def reference(A, tolerance, share):
    """By a loop over rows and entries."""
    above, carrying = [], []
    for row in np.abs(np.asarray(A, dtype=float)):
        above.append(sum(1 for x in row if x > 0 and x >= tolerance * row.max()))
        total, count = 0.0, 0
        for x in sorted(row, reverse=True):
            if total >= share * (row**2).sum() * (1 - 1e-12):
                break
            total, count = total + x * x, count + 1
        carrying.append(count)
    return above, carrying


def planted_random(n=60, entries=5):
    generator = torch.Generator().manual_seed(0)
    A = torch.zeros(n, n, dtype=torch.float64)
    for i in range(n):
        places = torch.randperm(n, generator=generator)[:entries]
        A[i, places] = torch.randn(entries, generator=generator, dtype=torch.float64)
    return A + A.T


@pytest.mark.parametrize(
    "A", [banded(50, 3), banded(40, 39, 0.5), planted_random(), torch.ones(30, 30).double()]
)
@pytest.mark.parametrize(("tolerance", "share"), [(1e-3, 0.99), (0.3, 0.5), (1.0, 1.0)])
def test_every_row_against_a_loop(A, tolerance, share):
    found = row_sparsity(A, rows=len(A), tolerance=tolerance, share=share)
    above, carrying = reference(A, tolerance, share)
    assert sorted(found.rows.tolist()) == list(range(len(A)))
    assert found.above.tolist() == [above[i] for i in found.rows.tolist()]
    assert found.carrying.tolist() == [carrying[i] for i in found.rows.tolist()]
    assert found.mean_above == (pytest.approx(np.mean(above)), 0.0)
    assert found.mean_carrying == (pytest.approx(np.mean(carrying)), 0.0)


def test_dense_and_sparse_are_told_apart():
    n = 400
    M = torch.randn(n, n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    dense, sparse = row_sparsity(M + M.T), row_sparsity(banded(n, 2))
    assert dense.mean_above[0] > 0.99 * n
    # a normal row: 99 % of the square in about 2/3 of the entries
    assert 0.5 * n < dense.mean_carrying[0] < 0.8 * n
    assert sparse.quantiles([0.5, 1.0]) == ([5.0, 5.0], [5.0, 5.0])


def test_a_cut_by_the_norm_instead_of_its_square_is_rejected():
    A = banded(40, 39, 0.5)
    by_norm = reference(A, 1e-3, 0.99**2)[1]
    with pytest.raises(AssertionError):
        assert row_sparsity(A, rows=40).carrying.sum() == sum(by_norm)


def test_standard_error_over_seeds():
    A = banded(200, 3)
    A[:40] = A[:, :40] = 1.0  # some rows full
    truth = np.mean(reference(A, 1e-3, 0.99)[0])
    found = np.array([row_sparsity(A, rows=50, seed=seed).mean_above for seed in range(60)])
    assert abs(found[:, 0].mean() - truth) < 4 * found[:, 0].std() / 60**0.5
    assert 0.75 < found[:, 1].mean() / found[:, 0].std() < 1.3
    without_correction = found[:, 1].mean() / (1 - 50 / 200) ** 0.5
    assert without_correction > found[:, 1].mean()


def test_operators_are_asked_in_blocks_and_in_their_own_precision():
    A, asked = planted_random().float(), []

    def apply(block):
        asked.append((block.shape[1], block.dtype))
        return A @ block

    found = row_sparsity(LinearOperator((60, 60), apply, dtype=torch.float32), rows=20)
    # one is asked for again, to see that it is the same
    assert asked == [*[(4, torch.float32)] * 5, (1, torch.float32)]
    same = row_sparsity(as_operator(A), rows=20)
    assert torch.equal(found.above, same.above)
    assert not torch.equal(found.rows, row_sparsity(A, rows=20, seed=1).rows)


def test_going_on_from_any_block():
    A, seen = planted_random(), []
    whole = row_sparsity(A, rows=10, on_rows=seen.append)
    assert [len(part.rows) for part in seen] == [4, 8, 10]
    for part in seen:
        asked = []
        again = row_sparsity(A, rows=10, state=part, on_rows=asked.append)
        assert len(asked) == 2 - [len(one.rows) for one in seen].index(len(part.rows))
        for name in ("rows", "above", "carrying"):
            assert torch.equal(getattr(again, name), getattr(whole, name))
    for other in ({"seed": 1}, {"share": 0.9}, {"rows": 3}):
        with pytest.raises(
            ArgumentError,
            match="Argument `state` must be of the same operator, rows, seed and thresholds",
        ):
            row_sparsity(A, **{"rows": 10, **other}, state=seen[0])


def test_rows_of_zeros_count_nothing():
    found = row_sparsity(torch.zeros(6, 6), rows=3)
    assert found.above.tolist() == found.carrying.tolist() == [0, 0, 0]


def test_tiny_rows_are_scaled():
    assert row_sparsity(1e-200 * banded(20, 1)).quantiles([0.5]) == ([3.0], [3.0])


def test_it_prints_readably():
    text = str(row_sparsity(banded(50, 3), rows=10))
    assert text.startswith("10 of 50 rows")
    assert "above 0.001 x largest" in text
    assert "carrying 99 %" in text


def test_errors():
    A = torch.eye(3)
    with pytest.raises(
        ArgumentError, match="Argument `rows` must be an integer of at least 1, but is 0."
    ):
        row_sparsity(A, rows=0)
    with pytest.raises(ArgumentError, match=r"Argument `tolerance` must be in \(0, 1\], but is 0."):
        row_sparsity(A, tolerance=0)
    with pytest.raises(ArgumentError, match=r"Argument `share` must be in \(0, 1\], but is 1.1."):
        row_sparsity(A, share=1.1)
    with pytest.raises(ArgumentError, match="Argument `operator` must be square"):
        row_sparsity(torch.ones(2, 3))
    with pytest.raises(ArgumentError, match="Argument `operator` must be finite"):
        row_sparsity(torch.full((3, 3), float("nan")))
