"""Spectral densities of operators with planted eigenvalues, and the honesty of the error bars."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.dissipation import diagnose
from qdescent.linalg.operator import LinearOperator, as_operator
from qdescent.linalg.spectra.deflation import extreme_eigenpairs
from qdescent.linalg.spectra.density import spectral_density
from qdescent.linalg.spectra.spectrum import Spectrum


def planted(values, seed=0, dtype=torch.float64):
    """A dense symmetric matrix with these eigenvalues in a random basis."""
    values = torch.as_tensor(values, dtype=torch.float64)
    n = len(values)
    Q = torch.linalg.qr(
        torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    )[0]
    A = (Q * values) @ Q.T
    return ((A + A.T) / 2).to(dtype)


def test_the_density_integrates_to_one():
    spectrum = spectral_density(
        torch.diag(torch.linspace(1, 5, 50, dtype=torch.float64)), steps=20, probes=4
    )
    np.testing.assert_allclose(spectrum.weights.sum(1), 1, atol=1e-6)
    assert spectrum.mass(0.9, 5.1)[0] == pytest.approx(1, abs=1e-12)
    assert spectrum.integrate(torch.ones_like)[0] == pytest.approx(1, abs=1e-12)
    # Rademacher probes see a diagonal's trace exactly
    assert spectrum.trace[0] == pytest.approx(150, rel=1e-12)
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
    """|estimate - truth| < 2 bars in 91 % of the cases (t distribution, 7 degrees of freedom): 50
    to 60 of 60 within 3 sigma.
    """
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
    with pytest.raises(
        ArgumentError, match="Argument `probes` must be an integer of at least 1, but is 0."
    ):
        spectral_density(torch.eye(3), probes=0)
    with pytest.raises(ArgumentError, match="Argument `steps` must be an integer of at least 1"):
        spectral_density(torch.eye(3), steps=0)
    with pytest.raises(ArgumentError, match="Argument `operator` must be square"):
        spectral_density(torch.ones(3, 2))
    with pytest.raises(ArgumentError, match="Argument `operator` must give finite products"):
        spectral_density(LinearOperator((3, 3), lambda x: x / 0, dtype=torch.float32))


# A spectrum like a pruned network's: a narrow bulk around zero, a few outliers on either side.
BULK = 0.02 * torch.randn(184, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
OUTLIERS = torch.tensor([-0.5, -0.4, -0.3, -0.2, *np.linspace(0.3, 3, 12)], dtype=torch.float64)
NETWORK = torch.cat([BULK, OUTLIERS])
EDGES = [-1.0, -0.45, -0.1, -0.02, -0.005, 0.0, 0.003, 0.02, 0.1, 1.0, 2.9, 5.0]


def own_measure(basis, vectors):
    """Each probe's spectral measure: (n, probes), columns of sum 1."""
    return ((basis.T @ vectors) / vectors.norm(dim=0)) ** 2


@pytest.fixture(scope="module")
def network():
    basis = torch.linalg.qr(
        torch.randn(200, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    )[0]
    return (basis * NETWORK) @ basis.T, basis


def assert_bracketed(spectrum, measure):
    for x in EDGES:
        inside = NETWORK.le(x).double() @ measure
        for p in range(measure.shape[1]):
            alone = Spectrum(
                spectrum.nodes[[p]], spectrum.weights[[p]], spectrum.residuals[[p]], spectrum.size
            )
            (least, _), (most, _) = alone.mass_bounds(-np.inf, x)
            assert least - 1e-12 <= float(inside[p])
            assert float(inside[p]) <= most + 1e-12
            assert least - 1e-12 <= alone.mass(-np.inf, x)[0] <= most + 1e-12


@pytest.mark.parametrize("steps", [4, 12, 40, 90])  # 90: ghosts of every outlier
def test_mass_bounds_hold_for_each_probes_own_measure(network, steps):
    A, basis = network
    V = torch.randn(200, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    spectrum = spectral_density(A, steps=steps, vectors=V)
    assert_bracketed(spectrum, own_measure(basis, V))
    widths = [most[0] - least[0] for least, most in (spectrum.mass_bounds(-9, x) for x in EDGES)]
    assert max(widths) < {4: 1.0, 12: 0.95, 40: 0.35, 90: 0.15}[steps]
    if steps == 90:
        # in a gap: exact
        assert spectrum.mass_bounds(-9, -0.1)[1][0] - spectrum.mass_bounds(-9, -0.1)[0][0] < 1e-12


def test_wrong_bounds_are_rejected(network):
    A, basis = network
    V = torch.randn(200, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    right = spectral_density(A, steps=12, vectors=V)
    # the next moment forgotten: as if the Krylov space ended here
    with pytest.raises(AssertionError):
        assert_bracketed(
            Spectrum(right.nodes, right.weights, 1e-9 * right.residuals, 200), own_measure(basis, V)
        )
    with pytest.raises(AssertionError):  # taken too small
        assert_bracketed(
            Spectrum(right.nodes, right.weights, 0.1 * right.residuals, 200), own_measure(basis, V)
        )
    with pytest.raises(AssertionError):
        assert_bracketed(right, own_measure(basis, V.roll(1, dims=1)))


def test_bounds_of_an_interval(network):
    A, basis = network
    V = torch.randn(200, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    spectrum, measure = spectral_density(A, steps=30, vectors=V), own_measure(basis, V)
    for low, high in [(-0.01, 0.01), (-0.6, 0.0), (0.1, 4.0), (-0.45, -0.45), (-np.inf, np.inf)]:
        inside = float(((NETWORK.ge(low) & NETWORK.le(high)).double() @ measure).mean())
        (least, _), (most, _) = spectrum.mass_bounds(low, high)
        assert 0 <= least <= inside + 1e-12
        assert inside <= most + 1e-12
    assert spectrum.mass_bounds(-np.inf, np.inf) == ((1.0, 0.0), (1.0, 0.0))
    with pytest.raises(
        ArgumentError, match=r"Argument `low` must be at most high = 0.0, but is 1."
    ):
        spectrum.mass_bounds(1.0, 0.0)


def test_an_edge_in_a_bulk_has_an_honest_error_and_a_smooth_estimate(network):
    """The plain standard error misses the bias of a node on the wrong side; the middle of the
    bounds halves the error at least.
    """
    A, _ = network
    truth = float((NETWORK < 0).double().mean())
    plain, honest, sharp, smooth = 0, 0, [], []
    for seed in range(40):
        spectrum = spectral_density(A, steps=16, seed=seed)
        mean, error = spectrum.mass(-np.inf, 0.0)
        plain += abs(mean - truth) < 2 * spectrum.integrate(lambda x: (x <= 0).double())[1]
        honest += abs(mean - truth) < 2 * error
        sharp.append(mean - truth)
        smooth.append(spectrum.smooth_mass(-np.inf, 0.0)[0] - truth)
    assert plain < 34  # of 40: under 85 %
    assert honest >= 38
    assert np.std(smooth) + abs(np.mean(smooth)) < 0.5 * (np.std(sharp) + abs(np.mean(sharp)))


COVERED = {
    "trace": lambda x: x,
    "tr A^2": torch.square,
    "mass": lambda x: (x < 0).double(),
    "E(20)": lambda x: (1 - x / 2) ** 20,
}


def coverage(A, values, figures, probes, steps, **settings):
    """Of 200 seeds, for each figure: how many 95 % intervals, and how many plain bars of 1.96
    standard errors, hold the truth.
    """
    truth = {name: float(f(values).mean()) for name, f in figures.items()}
    A = replace(as_operator(A), steady=True)  # a matrix: nothing to look at 200 times
    hits = {name: [0, 0] for name in figures}
    for seed in range(200):
        spectrum = spectral_density(A, steps=steps, probes=probes, seed=seed, **settings)
        for name, f in figures.items():
            low, high = spectrum.interval(f)
            mean, error = spectrum.integrate(f)
            hits[name][0] += low <= truth[name] <= high
            hits[name][1] += abs(mean - truth[name]) <= 1.96 * error
    return hits


def test_intervals_cover_the_truth_in_90_to_99_percent_of_200_seeds():
    values = torch.linspace(-1, 3, 100, dtype=torch.float64) + 0.02
    for student, normal in coverage(planted(values), values, COVERED, probes=3, steps=12).values():
        assert 180 <= student <= 198
        assert normal < 180  # the normal quantile under-covers with few probes: rejected


def test_one_heavy_eigenvector_makes_bars_too_short_and_deflation_mends_them():
    values = torch.tensor(np.r_[np.linspace(-1, 3, 36), [8.0, 9.0, 11.0, 20.0]])
    A, square = planted(values), {"tr A^2": torch.square}
    # skewed: see the docstring of `interval`
    assert coverage(A, values, square, probes=8, steps=2)["tr A^2"][0] < 180
    pairs = extreme_eigenpairs(A, 8, steps=40)
    assert 180 <= coverage(A, values, square, probes=8, steps=2, deflate=pairs)["tr A^2"][0] <= 198


def test_intervals_need_two_probes():
    spectrum = spectral_density(torch.eye(4), steps=2, probes=1)
    assert spectrum.interval(torch.square) == (-np.inf, np.inf)
    with pytest.raises(ArgumentError, match=r"Argument `level` must be in \(0, 1\), but is 95."):
        spectrum.interval(torch.square, 95)


@pytest.mark.parametrize(
    ("values", "rank"),
    [
        ([1.0] * 20, 20),
        ([2.0] * 5 + [-2.0] * 5 + [0.0] * 30, 10),
        ([3.0] + [0.0] * 19, 1),
        ([0.0] * 8, 0),
    ],
)
def test_effective_rank_of_flat_spectra_is_the_rank(values, rank):
    spectrum = spectral_density(
        torch.diag(torch.tensor(values, dtype=torch.float64)), steps=4, probes=3
    )
    assert spectrum.effective_rank == pytest.approx((rank, 0), abs=1e-6)


def test_effective_rank_by_entropy(network):
    p = NETWORK.abs().numpy() / float(NETWORK.abs().sum())
    truth = np.exp(-(p * np.log(p)).sum())
    spectrum = spectral_density(network[0], steps=60, probes=40)
    found, error = spectrum.effective_rank
    assert abs(found - truth) < 4 * error < 0.2 * truth
    participation = float(NETWORK.abs().sum() ** 2 / (NETWORK**2).sum())
    assert abs(found - participation) > 4 * error  # another definition is another number
    many = np.array(
        [spectral_density(network[0], steps=60, probes=8, seed=s).effective_rank for s in range(20)]
    )
    # the jackknife's error is the scatter over seeds
    assert 0.6 < many[:, 1].mean() / many[:, 0].std() < 1.6
    assert np.isnan(spectral_density(network[0], steps=10, probes=1).effective_rank[1])


def test_clusters_count_outliers_and_no_ghosts(network):
    spectrum = spectral_density(network[0], steps=90, probes=8)
    found = [cluster for cluster in spectrum.clusters() if abs(cluster.value) > 0.15]
    np.testing.assert_allclose([cluster.value for cluster in found], OUTLIERS.numpy(), atol=1e-6)
    nodes = int(((spectrum.nodes.abs() > 0.15) & (spectrum.weights > 0)).sum())
    assert nodes > 8 * len(OUTLIERS) + 20  # more Ritz values than outliers x probes: ghosts
    assert sum(cluster.nodes for cluster in found) > 8 * len(OUTLIERS)
    total, bar = (
        sum(c.multiplicity[0] for c in found),
        sum(c.multiplicity[1] ** 2 for c in found) ** 0.5,
    )
    assert abs(total - len(OUTLIERS)) < 4 * bar
    assert found[0].multiplicity[1] > 0


def test_clusters_of_repeated_eigenvalues():
    found = spectral_density(
        planted([-3.0] * 4 + [0.0] * 50 + [7.0] * 6), steps=8, probes=60
    ).clusters()
    np.testing.assert_allclose([cluster.value for cluster in found], [-3, 0, 7], atol=1e-10)
    for cluster, count in zip(found, (4, 50, 6), strict=True):
        assert abs(cluster.multiplicity[0] - count) < 4 * cluster.multiplicity[1]
    assert len(spectral_density(torch.zeros(5, 5), steps=2).clusters()) == 1


def test_density_is_for_drawing(network):
    spectrum = spectral_density(network[0], steps=40)
    grid = torch.linspace(-2, 5, 7001, dtype=torch.float64)
    density, error = spectrum.density(grid, width=0.05)
    assert float(torch.trapezoid(density, grid)) == pytest.approx(1, abs=1e-9)
    assert density.shape == error.shape == (7001,)
    bells = torch.exp(-((grid[:, None] - NETWORK) ** 2) / (2 * 0.05**2)).mean(1) / (
        0.05 * (2 * torch.pi) ** 0.5
    )
    peak = int(bells.argmax())
    assert abs(float(density[peak] - bells[peak])) < 4 * float(error[peak])
    # the default, 1/100 of the range, is narrower here
    assert float(spectrum.density(grid)[0].max()) > float(density.max())
    with pytest.raises(ArgumentError, match="Argument `width` must be in"):
        spectrum.density(grid, 0.0)


@pytest.mark.parametrize("exponent", [665, 990, -665, -1000])
@pytest.mark.parametrize("deflate", [0, 2])
def test_scales_whose_squares_overflow_or_vanish_change_no_digit(exponent, deflate):
    """A spectrum times a power of two: every figure is the same figure times that power."""
    generator = torch.Generator().manual_seed(5)
    A = torch.randn(30, 30, dtype=torch.float64, generator=generator)
    A, s = A + A.T, 2.0**exponent
    one = spectral_density(A, steps=12, probes=3, deflate=deflate)
    scaled = spectral_density(A * s, steps=12, probes=3, deflate=deflate)
    assert torch.equal(scaled.nodes, one.nodes * s)
    assert torch.equal(scaled.weights, one.weights)
    assert torch.equal(scaled.residuals, one.residuals * s)
    assert scaled.trace == tuple(s * x for x in one.trace)
    assert scaled.interval(lambda x: x) == tuple(s * x for x in one.interval(lambda x: x))
    assert scaled.mass_bounds(-3 * s, 2 * s) == one.mass_bounds(-3, 2)
    assert scaled.effective_rank == pytest.approx(one.effective_rank)
    assert [c.value for c in scaled.clusters()] == [s * c.value for c in one.clusters()]
    found = diagnose(scaled, learning_rate=0.1, momentum=0.9, weight_decay=0.01)
    assert bool(found.divergent_factors.isfinite().all())
    assert found.verdict == ("not dissipative" if exponent > 0 else "not seen to diverge")


@pytest.mark.parametrize("scale", [1e200, 1e300, 1e-200, 1e-310])
def test_two_eigenvalues_at_any_scale(scale):
    A = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64) * scale
    found = spectral_density(A, steps=2, probes=4)
    assert found.lambda_min[0] / scale == pytest.approx(1, rel=1e-12)
    assert found.lambda_max[0] / scale == pytest.approx(3, rel=1e-12)


def test_a_probe_without_a_used_place_is_refused():
    nodes, weights = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 0.5]])
    for residuals in ([[math.inf, math.inf]], [[math.inf, math.inf], [0.0, 0.0]]):
        count = len(residuals)
        with pytest.raises(ArgumentError, match="`residuals` must be finite in a place of each"):
            Spectrum(
                nodes.repeat(count, 1), weights.repeat(count, 1), torch.tensor(residuals), size=10
            )


def test_start_vectors_that_are_one_are_no_two_probes():
    A = torch.diag(torch.linspace(0.5, 1, 100, dtype=torch.float64))
    A[3, 90] = A[90, 3] = 0.7
    one = torch.ones(100, 1, dtype=torch.float64)
    apart = torch.sign(torch.randn(100, 3, dtype=torch.float64, generator=torch.manual_seed(0)))
    for vectors, columns in (
        (one.expand(100, 8), "0 and 1"),
        (torch.cat([apart, -3 * apart[:, 1:2]], 1), "1 and 3"),
    ):
        with pytest.raises(ArgumentError, match=f"`vectors` must have .*{columns} alike"):
            spectral_density(A, steps=5, vectors=vectors)
    spectral_density(A, steps=5, vectors=apart)
    spectral_density(A.float(), steps=5, vectors=1e30 * apart.float())  # whatever the scale
    with pytest.raises(ArgumentError, match="no zero column"):
        spectral_density(A, steps=5, vectors=apart * torch.tensor([1.0, 0.0, 1.0]))
    # of two entries half of all random signs are alike
    spectral_density(torch.eye(2), steps=2, vectors=torch.ones(2, 3))
