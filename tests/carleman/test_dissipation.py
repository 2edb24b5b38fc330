"""Dissipation on spectra that are known."""

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.dissipation import diagnose, step_factor
from qdescent.linalg.spectrum import spectral_density


def spectrum_of(values, probes=2, **settings):
    values = torch.as_tensor(values, dtype=torch.float64)
    return spectral_density(torch.diag(values), steps=settings.pop("steps", len(values)), probes=probes, **settings)


def shares(found):
    return [found.dissipative[0], found.neutral[0], found.divergent[0]]


def test_shares_of_a_known_spectrum():
    """eta = 1: factors .5, .9 (dissipative), 1 (neutral), 1.2 and 1.5 (divergent)."""
    found = diagnose(spectrum_of([0.5, 0.1, 0.0, -0.2, 2.5]), learning_rate=1.0, horizon=10)
    np.testing.assert_allclose(shares(found), [0.4, 0.2, 0.4], atol=1e-12)
    assert sum(shares(found)) == pytest.approx(1, abs=1e-12)
    assert found.growth == pytest.approx(1.5**10, rel=1e-10)
    with pytest.raises(AssertionError):  # the neutral mode counted as dissipative
        np.testing.assert_allclose(shares(found), [0.6, 0.0, 0.4], atol=1e-12)


def test_the_proxy_is_the_mean_of_powers():
    values = np.array([0.5, 0.1, 0.0, -0.2, 2.5])
    found = diagnose(spectrum_of(values), learning_rate=1.0, horizon=12)
    powers = np.abs(1 - values)[None] ** np.arange(13)[:, None]
    np.testing.assert_allclose(found.proxy, powers.mean(1), rtol=1e-10)
    np.testing.assert_allclose(found.proxy_divergent, powers[:, 3:].sum(1) / 5, rtol=1e-10)
    np.testing.assert_allclose(found.proxy_dissipative, powers[:, :2].sum(1) / 5, rtol=1e-10)
    np.testing.assert_allclose(found.proxy_neutral, powers[:, 2] / 5, rtol=1e-10)
    assert found.proxy[0] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9, 0.99])
def test_step_factor_by_numpy_roots(momentum):
    eigenvalues = np.concatenate([np.linspace(-3, 25, 141), [0.0]])
    truth = [np.abs(np.roots([1, -(1 + momentum - 0.2 * x), momentum])).max() for x in eigenvalues]
    ours = step_factor(torch.from_numpy(eigenvalues), 0.2, momentum)
    np.testing.assert_allclose(ours, truth, rtol=1e-7)  # a double root is known to sqrt(eps)
    if momentum:
        assert np.abs(np.abs(1 - 0.2 * eigenvalues) - truth).max() > 0.1  # plain descent, taken for heavy ball


def test_momentum_rescues_and_moves_the_edge():
    """Heavy ball is stable up to lambda = 2 (1 + beta)/eta."""
    spectrum = spectrum_of([1.0, 3.0, 3.9])
    assert diagnose(spectrum, 1.0, horizon=50).verdict == "not dissipative"
    assert diagnose(spectrum, 1.0, momentum=0.96, horizon=500).verdict == "fully dissipative"


@pytest.mark.parametrize(
    ("values", "horizon", "verdict"),
    [
        ([0.5, 1.0, 1.9], 20, "fully dissipative"),
        ([0.5, 1.0, 0.0], 20, "almost dissipative"),  # neutral
        ([0.5, 1.0, -0.1], 20, "almost dissipative"),  # 1.1^20 = 6.7
        ([0.5, 1.0, -0.1], 30, "not dissipative"),  # 1.1^30 = 17
        ([0.5, 2.5], 20, "not dissipative"),
        ([0.01], 2, "fully dissipative"),  # shrinks by 2 %
        ([1e-5], 2, "almost dissipative"),  # indistinguishable from neutral
    ],
)
def test_verdicts(values, horizon, verdict):
    found = diagnose(spectrum_of(values), learning_rate=1.0, horizon=horizon)
    assert found.verdict == verdict
    assert str(horizon) in found.reason
    if verdict == "fully dissipative":
        assert found.dissipative[0] == pytest.approx(1)


def test_the_proxy_is_exact_for_even_t_within_the_degree():
    n, k, eta = 30, 6, 0.9
    M = np.random.default_rng(0).standard_normal((n, n))
    A = (M + M.T) / np.sqrt(n)
    V = torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = diagnose(spectral_density(torch.from_numpy(A), steps=k, vectors=V), learning_rate=eta, horizon=16)
    v = (V / V.norm(dim=0)).numpy()

    def truth(t):
        return np.einsum("ip,ij,jp->p", v, np.linalg.matrix_power(np.eye(n) - eta * A, t), v).mean()

    for t in range(0, 2 * k, 2):  # t <= 2k - 1
        assert float(found.proxy[t]) == pytest.approx(truth(t), rel=1e-11)
    assert abs(float(found.proxy[16]) - truth(16)) > 1e-5 * truth(16)  # beyond the degree it is an estimate
    assert abs(float(found.proxy[5]) - truth(5)) > 1e-5  # odd t: |.| is no polynomial


def test_error_bars_come_from_probes():
    M = np.random.default_rng(1).standard_normal((40, 40))
    A = torch.from_numpy((M + M.T) / 20)
    truth = np.mean((1 - 0.5 * np.linalg.eigvalsh(A)) ** 2)
    found = diagnose(spectral_density(A, steps=10, probes=16), learning_rate=0.5, horizon=4)
    assert 0 < abs(float(found.proxy[2]) - truth) < 4 * float(found.proxy_error[2])
    assert float(found.proxy_error[0]) < 1e-12
    assert found.divergent[1] > 0


def test_errors():
    spectrum = spectrum_of([1.0, 2.0])
    with pytest.raises(ArgumentError, match=r"Argument `learning_rate` must be in \(0, inf\), but is 0."):
        diagnose(spectrum, 0)
    with pytest.raises(ArgumentError, match=r"Argument `momentum` must be in \[0, 1\), but is 1.0."):
        diagnose(spectrum, 0.1, momentum=1.0)
    with pytest.raises(ArgumentError, match="Argument `horizon` must be an integer of at least 1"):
        diagnose(spectrum, 0.1, horizon=0)
