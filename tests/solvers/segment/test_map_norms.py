"""The norms of a network's map against dense unfoldings, and how often the bounds hold."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import qdescent as qd
from qdescent.carleman.majorant import history_kappa_bound, norms_of
from qdescent.carleman.truncation.norms import coefficient_norm
from qdescent.learning.descent.sgd import SGD
from qdescent.learning.mean_series import MeanSeries
from qdescent.linalg.map_norms import MapNorms, momentum_powers
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.solvers.segment.drift import drift_bounds
from qdescent.solvers.segment.map_norms import _contraction

ETA = 0.3


@pytest.fixture
def dense(seventeen):
    space = qd.ParameterSpace(seventeen.task.network)
    return seventeen.task, space, qd.gradient_map(seventeen.task, space, ETA, degree=3)


def test_contractions_are_those_of_the_dense_derivatives(dense):
    task, space, f = dense
    series = MeanSeries([task], space, space.theta, 3)
    draws = torch.Generator().manual_seed(0)
    vectors = [
        (10.0 ** (4 - 3 * k)) * torch.randn(space.n, generator=draws, dtype=torch.float64)
        for k in range(3)
    ]
    for k in (2, 3):
        found = _contraction(series, k, vectors[:k], lambda: None)
        word = vectors[0]
        for v in vectors[1:k]:
            word = torch.kron(word, v)
        torch.testing.assert_close(-ETA * found, f.coefficients[k] @ word, rtol=1e-9, atol=1e-9)


def test_the_chain_of_three_has_the_fourth_powers_sum(dense):
    """E ||M M' x||^2 = tr G^2, exactly: over all unit vectors in the place of normal ones."""
    _, space, f = dense
    F2 = f.coefficients[2].reshape(space.n, space.n, space.n)
    G = f.coefficients[2] @ f.coefficients[2].T
    chains = torch.einsum("iaj,jbk->iabk", F2, F2)
    assert float((chains**2).sum()) == pytest.approx(float((G @ G).trace()), rel=1e-10)
    assert float((G @ G).trace()) ** 0.25 >= coefficient_norm(f.coefficients[2])


def test_they_bound_the_dense_norms_and_not_by_much(dense):
    task, space, f = dense
    truth = norms_of(f)
    for seed in range(3):
        found = qd.map_norms(task, space, ETA, degree=3, samples=16, seed=seed, check=False)
        assert found.constant == pytest.approx(truth.constant, rel=1e-12)
        assert truth.linear * (1 - 1e-12) <= found.linear <= truth.linear * 1.3
        for norm, least in zip(found.higher, truth.higher, strict=True):
            assert least <= norm < 8 * least
        assert found.evidence is qd.Evidence.BOUNDED
        assert found.failure == 0.01
    # the planted smaller norm: what is seen without the factor is no bound
    seen = [
        qd.map_norms(task, space, ETA, samples=1, seed=seed, check=False, vectors=0).seen[0]
        for seed in range(20)
    ]
    assert min(seen) < truth.higher[0]


def test_kappa_of_the_real_history_is_below_the_bound(dense):
    task, space, _ = dense
    small = space.restrict(space.theta, torch.tensor([1, 9]))
    f = qd.gradient_map(task, small, ETA, degree=2)
    norms = qd.map_norms(task, small, ETA, degree=2)
    best = qd.best_history(norms, 2, 6)
    lift = qd.carleman_linearize(f, 2, scale=best.scale)
    system = qd.history_system(lift, torch.zeros(2).double(), 6, best.padding)
    kappa = float(torch.linalg.cond(system.matrix.to_dense()))
    assert kappa <= best.kappa_bound < 10 * kappa


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_momentum_and_weight_decay(dense, momentum):
    task, space, f = dense
    decay, steps, n = 0.02, 12, space.n
    F0, F1, *higher = (F.to_dense() for F in f.coefficients)
    F0 = F0 - ETA * decay * space.theta[:, None]
    F1 = F1 - ETA * decay * torch.eye(n, dtype=F1.dtype)
    whole = PolynomialMap([F0, F1, *higher])
    if momentum:
        whole = whole.with_momentum(momentum)
    truth = norms_of(whole, steps)
    found = qd.map_norms(
        task, space, ETA, 2, momentum=momentum, weight_decay=decay, steps=steps, samples=16
    )
    assert found.constant == pytest.approx(truth.constant, rel=1e-12)
    assert truth.higher[0] <= found.higher[0] < 8 * truth.higher[0]
    powers = found.power_bounds(steps)
    assert np.all(powers >= np.array(truth.powers) * (1 - 1e-12))
    assert np.all(powers <= 1.3 ** np.arange(steps + 1) * np.array(truth.powers))
    if momentum:
        assert found.linear**steps > 1.5 * powers[-1]  # the norm's own powers would say more


@pytest.mark.parametrize("momentum", [0.0, 0.6])
@pytest.mark.parametrize("decay", [0.0, 0.02])
def test_the_drift_is_that_of_the_dense_map(dense, momentum, decay):
    task, space, f = dense
    steps, n = 15, space.n
    F0, F1 = (F.to_dense() for F in f.coefficients[:2])
    F0 = F0 - ETA * decay * space.theta[:, None]
    whole = PolynomialMap([F0, F1 - ETA * decay * torch.eye(n, dtype=F1.dtype)])
    if momentum:
        whole = whole.with_momentum(momentum)
    truth = np.array(norms_of(whole, steps).drift)
    rule = {"momentum": momentum, "weight_decay": decay, "steps": steps, "samples": 1}
    rule |= {"check": False}
    for vectors, most in ((16, 1.02), (2, 3.0)):  # two vectors see less, and say so
        found = np.array(qd.map_norms(task, space, ETA, 1, vectors=vectors, **rule).drift)
        assert np.all(found >= truth * (1 - 1e-9))
        assert np.all(found <= most * truth + 1e-12)
    blind = qd.map_norms(task, space, ETA, 1, vectors=0, **rule)
    assert blind.drift is None
    assert blind.drift_bounds(steps)[-1] > 1.3 * found[-1]
    # planted: what leaves the space is forgotten
    series = MeanSeries([task], space, space.theta, 1)
    powers = np.zeros(steps + 1)
    bare, taken = drift_bounds(series, space.theta, SGD(ETA, momentum, decay), steps, powers, 1)
    assert np.any(np.array(bare) < truth * (1 - 1e-3))
    assert taken == 1


def test_a_spectrum_of_few_values_is_seen_whole():
    """H = 1 on eight weights: Lanczos ends after one step, and knows everything."""
    network = nn.Linear(8, 1, bias=False).double()
    data = 2 * torch.eye(8).double(), torch.ones(8, 1).double()
    task = qd.Task(network, nn.functional.mse_loss, data)
    found = qd.map_norms(task, qd.ParameterSpace(network), ETA, 1)
    assert found.extremes == pytest.approx((1.0, 1.0))
    assert found.linear == pytest.approx(1 - ETA)
    assert found.drift[-1] == pytest.approx(found.constant / ETA)


def test_a_drift_that_diverges_ends_where_it_overflows(dense):
    task, space, _ = dense
    found = qd.map_norms(task, space, 1e3, 1, samples=1, check=False)
    assert 1 < len(found.drift) < 1000
    assert found.drift[-1] < 1e100
    assert [row.name for row in found.rows()] == ["norms/F_0", "norms/F_1", "norms/drift"]


def test_powers_of_momentum_are_tight_and_enough():
    low, high, beta, steps = -0.4, 5.0, 0.8, 40
    found = momentum_powers(low, high, ETA, beta, steps)
    dense = np.linspace(low, high, 3001)
    blocks = np.array([[[1 - ETA * x, beta], [-ETA * x, beta]] for x in dense])
    power = np.broadcast_to(np.eye(2), blocks.shape)
    for d in range(steps + 1):
        truth = np.linalg.norm(power, 2, axis=(1, 2)).max()
        assert truth * (1 - 1e-12) <= found[d] <= 1.025 * truth
        power = blocks @ power


def test_the_extremes_of_a_given_spectrum_are_measured(dense):
    task, space, f = dense
    spectrum = qd.spectral_density(qd.hessian(task, space), steps=17, probes=2)
    found = qd.map_norms(task, space, ETA, spectrum=spectrum)
    assert found.linear == pytest.approx(norms_of(f).linear, rel=1e-6)
    assert found.evidence is qd.Evidence.MEASURED
    assert {row.evidence for row in found.rows() if row.name == "norms/F_1"} == {
        qd.Evidence.MEASURED
    }


def test_several_batches_are_their_mean(seventeen):
    x, y = seventeen.task.data
    space = qd.ParameterSpace(seventeen.task.network)
    parts = [seventeen.task.with_data((x[i : i + 3], y[i : i + 3])) for i in (0, 3)]
    both, whole = (
        qd.map_norms(each, space, ETA, samples=2, check=False) for each in (parts, seventeen.task)
    )
    assert both.constant == pytest.approx(whole.constant, rel=1e-10)
    assert both.higher[0] == pytest.approx(whole.higher[0], rel=1e-8)


def test_single_precision_sees_the_same(seventeen):
    space = qd.ParameterSpace(seventeen.task.network)
    exact = qd.map_norms(seventeen.task, space, ETA, degree=3, samples=4)
    x, y = seventeen.task.data
    network = seventeen.task.network.float()
    task = qd.Task(network, nn.functional.mse_loss, (x.float(), y.float()))
    single = qd.map_norms(task, qd.ParameterSpace(network), ETA, degree=3, samples=4)
    np.testing.assert_allclose(single.higher, exact.higher, rtol=1e-3)
    assert single.linear == pytest.approx(exact.linear, rel=1e-4)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"learning_rate": 0.0}, "`learning_rate` must be in"),
        ({"degree": 7}, "`degree` must be an integer of at most 6"),
        ({"momentum": 1.0}, "`momentum` must be in"),
        ({"steps": 30_000}, "`steps` must be an integer of at most 20000"),
        ({"products": 2}, "`products` must be enough Lanczos steps"),
        ({"failure": 0.0}, "`failure` must be in"),
        ({"samples": 0}, "`samples` must be"),
        ({"task": []}, "`task` must be a task or several of them"),
    ],
)
def test_refusals(dense, given, sentence):
    task, space, _ = dense
    with pytest.raises(qd.ArgumentError, match=sentence):
        qd.map_norms(**{"task": task, "space": space, "learning_rate": ETA, "check": False} | given)


def test_a_spectrum_of_another_network_is_refused(dense):
    task, space, _ = dense
    other = qd.spectral_density(torch.eye(3).double(), steps=2)
    with pytest.raises(qd.ArgumentError, match="`spectrum` must be of 17 weights"):
        qd.map_norms(task, space, ETA, spectrum=other)


def test_map_norms_are_map_norms(dense):
    task, space, _ = dense
    found = qd.map_norms(task, space, ETA, samples=1, check=False)
    assert isinstance(found, MapNorms)
    assert math.isfinite(history_kappa_bound(found, 2, 5))
