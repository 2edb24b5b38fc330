"""Spectral densities of operators whose eigenvalues are planted, and the honesty of the error bars."""

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.operator import LinearOperator, as_operator
from qdescent.linalg.spectrum import Spectrum, spectral_density


def planted(values, seed=0, dtype=torch.float64):
    """A dense symmetric matrix with these eigenvalues in a random basis."""
    values = torch.as_tensor(values, dtype=torch.float64)
    n = len(values)
    Q = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[0]
    A = (Q * values) @ Q.T
    return ((A + A.T) / 2).to(dtype)


def test_the_density_integrates_to_one():
    spectrum = spectral_density(torch.diag(torch.linspace(1, 5, 50, dtype=torch.float64)), steps=20, probes=4)
    np.testing.assert_allclose(spectrum.weights.sum(1), 1, atol=1e-6)
    assert spectrum.mass(0.9, 5.1)[0] == pytest.approx(1, abs=1e-12)
    assert spectrum.integrate(torch.ones_like)[0] == pytest.approx(1, abs=1e-12)
    assert spectrum.trace[0] == pytest.approx(150, rel=1e-12)  # Rademacher probes see a diagonal's trace exactly
    assert 1 <= spectrum.lambda_min[0] < 1.1
    assert 4.9 < spectrum.lambda_max[0] <= 5


@pytest.mark.parametrize("basis", ["diagonal", "random"])
def test_two_clusters_hold_half_the_mass_each(basis):
    values = torch.cat([torch.ones(30), 5 * torch.ones(30)]).double()
    A = torch.diag(values) if basis == "diagonal" else planted(values)
    spectrum = spectral_density(A, steps=10, probes=16)
    assert spectrum.nodes.shape[1] == 2  # two different eigenvalues: the Krylov space ends there
    for low, high in ((0.5, 1.5), (4.5, 5.5)):
        mean, error = spectrum.mass(low, high)
        assert mean == pytest.approx(0.5, abs=1e-12 if basis == "diagonal" else 4 * error)


def test_indefinite_and_low_rank():
    spectrum = spectral_density(planted([-3.0, -1.0, 7.0] + [0.0] * 37), steps=12, probes=64)
    assert spectrum.lambda_min[0] == pytest.approx(-3, abs=1e-10)
    assert spectrum.lambda_max[0] == pytest.approx(7, abs=1e-10)
    for (low, high), share in {(-9, -0.5): 2 / 40, (-0.5, 0.5): 37 / 40, (0.5, 9): 1 / 40}.items():
        mean, error = spectrum.mass(low, high)
        assert abs(mean - share) < 4 * error
        assert error < 0.02


def test_zero_operator():
    spectrum = spectral_density(torch.zeros(9, 9, dtype=torch.float64), steps=5, probes=3)
    assert spectrum.nodes.tolist() == [[0.0]] * 3
    assert spectrum.weights.tolist() == [[1.0]] * 3
    assert spectrum.trace == (0.0, 0.0)
    assert spectrum.lambda_max == (0.0, 0.0)


def assert_covers(errors_of):
    """|estimate - truth| < 2 bars in 91 % of the cases (t distribution, 7 degrees of freedom): 50 to 60 of 60 within 3 sigma."""
    A = planted(np.r_[np.linspace(-1, 3, 36), [8.0, 9.0, 11.0, 20.0]])
    truth = float((A @ A).trace()) / 40
    hits = 0
    for seed in range(60):
        spectrum = spectral_density(A, steps=3, probes=8, seed=seed)
        mean, error = errors_of(spectrum)
        hits += abs(mean - truth) < 2 * error
    assert 48 <= hits <= 60


def test_error_bars_cover_the_truth():
    assert_covers(lambda spectrum: spectrum.integrate(torch.square))


def test_a_bar_divided_twice_by_root_probes_is_rejected():
    def too_small(spectrum: Spectrum):
        mean, error = spectrum.integrate(torch.square)
        return mean, error / 8**0.5

    with pytest.raises(AssertionError):
        assert_covers(too_small)


def test_one_probe_has_no_bar():
    assert np.isnan(spectral_density(torch.eye(4), steps=2, probes=1).trace[1])


def test_seed_names_the_probes():
    A = planted(np.linspace(0, 1, 20))
    one, same, other = (spectral_density(A, steps=4, probes=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.nodes, same.nodes)
    assert torch.equal(one.weights, same.weights)
    assert not torch.equal(one.nodes, other.nodes)


def test_own_vectors_take_the_place_of_probes():
    A = torch.diag(torch.arange(1.0, 6.0, dtype=torch.float64))
    spectrum = spectral_density(A, steps=2, vectors=torch.ones(5, 1, dtype=torch.float64))
    np.testing.assert_allclose(spectrum.nodes[0], [3 - 2**0.5, 3 + 2**0.5], atol=1e-12)


def test_single_precision_and_operators():
    values = np.r_[np.linspace(-0.1, 1, 98), 10.0, 30.0]
    A = planted(values, dtype=torch.float32)
    spectrum = spectral_density(as_operator(A), steps=30, probes=4)
    assert spectrum.lambda_max[0] == pytest.approx(30, rel=1e-5)
    assert spectrum.lambda_min[0] == pytest.approx(-0.1, abs=2e-3)
    mean, error = spectrum.trace
    assert abs(mean - values.sum()) < 4 * error


def test_errors():
    with pytest.raises(ArgumentError, match="Argument `probes` must be an integer of at least 1, but is 0."):
        spectral_density(torch.eye(3), probes=0)
    with pytest.raises(ArgumentError, match="Argument `steps` must be an integer of at least 1"):
        spectral_density(torch.eye(3), steps=0)
    with pytest.raises(ArgumentError, match="Argument `operator` must be square"):
        spectral_density(torch.ones(3, 2))
    with pytest.raises(ArgumentError, match="Argument `operator product` must be finite"):
        spectral_density(LinearOperator((3, 3), lambda x: x / 0, dtype=torch.float32))
