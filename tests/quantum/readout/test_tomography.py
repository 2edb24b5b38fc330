"""Readout: statistics against the closed forms, signs, seeds, and the cases at the edge."""

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence
from qdescent.quantum.readout.tomography import (
    coherent_calls,
    expected_error,
    read_out,
    shots_needed,
)

DRAWS = 60


def signal(n=200, seed=0):
    """Entries of both signs, none of them near zero."""
    draw = np.random.default_rng(seed)
    return torch.as_tensor(draw.choice([-1.0, 1.0], n) * draw.uniform(0.5, 1.5, n))


def relative_errors(x, shots, seeds=DRAWS):
    return np.array(
        [float((read_out(x, shots, seed).vector - x).norm() / x.norm()) for seed in range(seeds)]
    )


def test_l2_error_agrees_with_the_formula_and_falls_as_one_over_sqrt_shots():
    x = signal()
    for shots in (10**5, 10**7):
        predicted = expected_error(len(x), shots).value
        rms = np.sqrt((relative_errors(x, shots) ** 2).mean())
        # 60 draws of a sum of 200 squares: 1 % of standard error
        assert rms == pytest.approx(predicted, rel=0.03)
        assert rms != pytest.approx(predicted * 1.41, rel=0.1)  # planted: half the shots


def test_error_bars_cover_and_the_norm_is_a_gamma_draw():
    x = signal()
    shots = 10**5
    found = [read_out(x, shots, seed) for seed in range(DRAWS)]
    pulls = torch.stack([(r.vector - x) / r.error for r in found])
    assert float(pulls.pow(2).mean()) == pytest.approx(1, abs=0.1)
    norms = np.array([r.norm for r in found]) / float(x.norm()) - 1
    assert norms.std() == pytest.approx(1 / (2 * np.sqrt(shots)), rel=0.3)
    assert abs(norms.mean()) < 4 * norms.std() / np.sqrt(DRAWS)
    assert found[0].norm_error == pytest.approx(found[0].norm / (2 * np.sqrt(shots)))
    assert found[0].total_shots == 2 * shots


def test_signs_of_tiny_entries_are_wrong_without_bias():
    n = 10_000
    x = torch.full((n,), 1.0, dtype=torch.float64)
    x[0] = 1e3
    shots = 10**6  # (x_i/||x||)^2 S is about 1
    wrong_up = float((read_out(-x, shots, 1).vector[1:] > 0).double().mean())
    wrong_down = float((read_out(x, shots, 1).vector[1:] < 0).double().mean())
    assert 0.001 < wrong_up < 0.3
    assert wrong_down == pytest.approx(wrong_up, abs=0.02)
    assert read_out(x, shots, 1).vector[0] == pytest.approx(1e3, rel=0.01)
    assert not (read_out(x, 10**10, 1).vector < 0).any()


def test_seeds():
    x = signal()
    torch.testing.assert_close(
        read_out(x, 1000, 3).vector, read_out(x, 1000, 3).vector, rtol=0, atol=0
    )
    assert not torch.equal(read_out(x, 1000, 3).vector, read_out(x, 1000, 4).vector)


def test_takes_a_solution_and_keeps_dtype():
    class Found:
        value = torch.tensor([9.0, 9.0])
        answer = torch.tensor([0.0, -2.0])

    readout = read_out(Found(), 10**6)
    assert readout.vector.dtype == torch.float32
    assert readout.vector.tolist() == pytest.approx([0.0, -2.0], rel=0.01)
    assert 0 < float(readout.error[0]) <= 2.1e-3  # unseen: as large as 1/sqrt(S) of the norm


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_extreme_scales(scale):
    x = scale * torch.tensor([1.0, -1.0], dtype=torch.float64)
    assert (read_out(x, 10**8).vector / scale).tolist() == pytest.approx([1.0, -1.0], rel=1e-3)


def test_zero_vector_needs_no_shots():
    readout = read_out(torch.zeros(5), 100)
    assert not readout.vector.any()
    assert (readout.norm, readout.shots, readout.total_shots) == (0.0, 0, 0)


def test_rows_are_modelled():
    assert shots_needed(745_000, 1e-2).value == 2 * 1_862_500_000
    assert coherent_calls(745_000, 1e-2).value == 74_500_000
    assert {
        row.evidence for row in (expected_error(4, 4), shots_needed(4, 0.1), coherent_calls(4, 0.1))
    } == {Evidence.MODELLED}


def test_refusals():
    with pytest.raises(
        ArgumentError, match="Argument `solution` must be finite, but is not, in 1 of 2 places"
    ):
        read_out(torch.tensor([1.0, float("nan")]), 10)
    with pytest.raises(
        ArgumentError, match="Argument `shots` must be an integer of at least 1, but is 0"
    ):
        read_out(torch.ones(2), 0)
    with pytest.raises(ArgumentError, match="Argument `solution` must hold a real vector"):
        read_out(torch.ones(2, dtype=torch.complex64), 10)
