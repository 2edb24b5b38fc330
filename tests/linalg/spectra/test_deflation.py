"""Deflation against dense eigenpairs: what is found first leaves the sampled part without its
noise.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.operator import LinearOperator, as_operator
from qdescent.linalg.spectra.deflation import Eigenpairs, extreme_eigenpairs
from qdescent.linalg.spectra.density import spectral_density

N = 300
BULK = 0.02 * torch.randn(N - 12, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
OUTLIERS = torch.tensor([-0.5, -0.4, -0.3, -0.2, *np.linspace(0.4, 3, 8)], dtype=torch.float64)
VALUES = torch.cat([BULK, OUTLIERS])


@pytest.fixture(scope="module")
def matrix():
    basis = torch.linalg.qr(
        torch.randn(N, N, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    )[0]
    return (basis * VALUES) @ basis.T


def test_pairs_are_eigenpairs_of_both_ends(matrix):
    truth = torch.linalg.eigvalsh(matrix)
    for seed in range(5):
        found = extreme_eigenpairs(matrix, 8, seed=seed)
        torch.testing.assert_close(
            found.values, torch.cat([truth[:4], truth[-4:]]), rtol=1e-10, atol=1e-10
        )
        torch.testing.assert_close(
            found.vectors.T @ found.vectors, torch.eye(8).double(), rtol=0, atol=1e-12
        )
        residuals = (matrix @ found.vectors - found.vectors * found.values).norm(dim=0)
        torch.testing.assert_close(found.residuals, residuals, rtol=1e-6, atol=1e-14)
        assert float(residuals.max()) < 3e-3


def test_ghosts_are_no_further_pairs(matrix):
    """150 steps: every outlier has several Ritz values."""
    found = extreme_eigenpairs(matrix, 12, steps=150)
    assert float(found.values.diff().min()) > 1e-3
    assert (
        float((found.vectors.T @ found.vectors - torch.eye(len(found.values)).double()).abs().max())
        < 1e-12
    )
    np.testing.assert_allclose(found.values[:4], OUTLIERS[:4], atol=1e-10)
    np.testing.assert_allclose(found.values[-6:], OUTLIERS[-6:], atol=1e-10)


def test_an_end_that_has_too_few_leaves_its_share_to_the_other():
    """Two negative outliers, eight positive: not the innermost of the eight, which a count from
    below would reach third.
    """
    values = torch.cat([BULK, OUTLIERS[:2], OUTLIERS[4:]])
    # too few steps for the bulk's own end
    found = extreme_eigenpairs(torch.diag(values), 8, steps=20).values
    torch.testing.assert_close(found, torch.cat([OUTLIERS[:2], OUTLIERS[-6:]]), rtol=0, atol=1e-4)


def test_the_complement_is_symmetric_and_without_the_pairs(matrix):
    found = extreme_eigenpairs(matrix, 6)
    dense = found.complement(as_operator(matrix)).to_dense()
    torch.testing.assert_close(dense, dense.T, rtol=0, atol=1e-13)
    left = torch.linalg.eigvalsh(dense)
    assert float(left.min()) > -0.2 - 1e-6
    assert float(left.max()) < OUTLIERS[-4] + 1e-6


def errors_over_seeds(f, truth, make):
    return np.sqrt(np.mean([(make(seed).integrate(f)[0] - truth) ** 2 for seed in range(15)]))


FIGURES = {
    "negative mass": lambda x: (x < -0.1).double(),
    "trace": lambda x: x,
    "E(30)": lambda x: (1 - 0.5 * x).abs() ** 30,
}


@pytest.mark.parametrize("name", FIGURES)
def test_errors_fall(matrix, name):
    f = FIGURES[name]
    truth = float(f(VALUES).mean())
    pairs = extreme_eigenpairs(matrix, 12)
    plain = errors_over_seeds(
        f, truth, lambda seed: spectral_density(matrix, steps=24, probes=4, seed=seed)
    )
    deflated = errors_over_seeds(
        f,
        truth,
        lambda seed: spectral_density(matrix, steps=24, probes=4, seed=seed, deflate=pairs),
    )
    assert deflated < 0.2 * plain
    spectrum = spectral_density(matrix, steps=24, probes=4, deflate=pairs)
    # and the bars know it
    assert (
        spectrum.integrate(f)[1]
        < 0.2 * spectral_density(matrix, steps=24, probes=4).integrate(f)[1]
    )


def test_a_deflated_spectrum_is_a_spectrum(matrix):
    spectrum = spectral_density(matrix, steps=24, deflate=8)
    assert spectrum.deflated == 8
    np.testing.assert_allclose(spectrum.weights.sum(1), 1, atol=1e-12)
    assert spectrum.integrate(torch.ones_like) == pytest.approx((1, 0), abs=1e-12)
    assert spectrum.lambda_min[0] == pytest.approx(-0.5, abs=1e-10)
    assert spectrum.lambda_max[0] == pytest.approx(3, abs=1e-10)
    (least, _), (most, _) = spectrum.mass_bounds(-np.inf, -0.1)
    assert least == pytest.approx(4 / N, abs=1e-9)
    assert most == pytest.approx(4 / N, abs=1e-9)
    assert spectrum.mass_bounds(-np.inf, np.inf)[0][0] == pytest.approx(1, abs=1e-12)
    assert [round(c.value, 3) for c in spectrum.clusters() if c.value < -0.1] == [
        -0.5,
        -0.4,
        -0.3,
        -0.2,
    ]
    truth = float((VALUES < 0).double().mean())
    (least, _), (most, _) = spectrum.mass_bounds(-np.inf, 0.0)
    assert least < truth < most


def test_wrong_complements_are_rejected(matrix):
    """Start vectors that were not projected, or eigenpairs counted without taking them from the
    probes: the mass is wrong.
    """
    pairs = extreme_eigenpairs(matrix, 8)
    # counted, and seen by the probes again
    nothing = replace(pairs, vectors=torch.zeros_like(pairs.vectors))
    truth = float(FIGURES["trace"](VALUES).mean())
    f, bar = FIGURES["trace"], 5e-3
    right = spectral_density(matrix, steps=24, probes=16, deflate=pairs).integrate(f)[0]
    seen_again = spectral_density(matrix, steps=24, probes=16, deflate=nothing, check=False)
    twice = seen_again.integrate(f)[0]
    assert abs(right - truth) < bar
    assert abs(twice - truth) > bar


def test_single_precision_and_resume(matrix):
    A = as_operator(matrix.float())
    pairs = extreme_eigenpairs(A, 6)
    assert pairs.vectors.dtype == torch.float32
    np.testing.assert_allclose(pairs.values, torch.cat([OUTLIERS[:3], OUTLIERS[-3:]]), atol=1e-5)
    saved = []
    whole = spectral_density(A, steps=12, probes=3, deflate=pairs, on_step=saved.append)
    again = spectral_density(A, steps=12, probes=3, deflate=pairs, state=saved[4])
    assert torch.equal(whole.nodes, again.nodes)
    assert torch.equal(whole.weights, again.weights)


def test_two_passes_and_no_basis(matrix):
    """Products: 2 m - 1 of single vectors and one block of d."""
    columns = []

    def apply(x):
        columns.append(x.shape[1])
        return matrix @ x

    found = extreme_eigenpairs(LinearOperator((N, N), apply), 4, steps=30)
    assert columns == [1] * 59 + [len(found.values)]


def test_small_and_degenerate_operators():
    # one vector sees one of equal eigenvalues
    assert len(extreme_eigenpairs(torch.eye(5).double(), 3).values) == 1
    assert len(extreme_eigenpairs(torch.zeros(5, 5).double(), 2).values) == 1
    spectrum = spectral_density(
        torch.diag(torch.tensor([1.0, 2.0, 5.0]).double()), steps=5, deflate=2
    )
    assert spectrum.trace[0] == pytest.approx(8, abs=1e-10)


def test_errors(matrix):
    with pytest.raises(ArgumentError, match="Argument `count` must be below n = 300, but is 300."):
        extreme_eigenpairs(matrix, N)
    with pytest.raises(
        ArgumentError, match="Argument `count` must be an integer of at least 1, but is 0."
    ):
        extreme_eigenpairs(matrix, 0)
    with pytest.raises(
        ArgumentError, match="Argument `deflate` must be an integer of at least 0, but is -1."
    ):
        spectral_density(matrix, deflate=-1)
    with pytest.raises(ArgumentError, match=r"Argument `tolerance` must be in \(0, 1\)"):
        extreme_eigenpairs(matrix, 2, tolerance=0.0)


def test_products_that_differ_in_their_last_bits_lose_no_pair_in_silence(matrix):
    """As of a GPU whose convolutions sum in any order."""
    draws = torch.Generator().manual_seed(0)
    H = as_operator(matrix.float())

    def apply(block):
        product = H @ block
        return product * (1 + 1e-7 * torch.randn(product.shape, generator=draws))

    shaken = LinearOperator(H.shape, apply, apply, H.dtype, H.device)
    assert len(extreme_eigenpairs(H, 6).values) == 6
    with pytest.raises(ArgumentError, match="`operator` must give the same bits"):
        extreme_eigenpairs(shaken, 6)


def test_no_eigenvalue_outside_the_spectrum():
    """All eigenvalues far from 0, which the projected operator alone would have on the deflated
    vectors.
    """
    basis = torch.linalg.qr(
        torch.randn(300, 300, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    ).Q
    matrix = (basis * torch.linspace(5, 10, 300, dtype=torch.float64)) @ basis.T
    pairs = extreme_eigenpairs(matrix, 4)
    assert 5 < float(pairs.middle) < 10
    spectrum = spectral_density(matrix, steps=120, probes=2, deflate=pairs)
    assert spectrum.lambda_min[0] > 5 - 1e-6
    wrong = spectral_density(
        matrix, steps=120, probes=2, deflate=replace(pairs, middle=torch.zeros(()))
    )
    assert wrong.lambda_min[0] < 1


def test_bounds_on_the_mass_know_how_far_the_pairs_may_be_off():
    """Two eigenvalues at -.01 and +.01, taken for a mixture of their vectors: an edge at 0 must not
    be trusted.
    """
    values = torch.cat([torch.tensor([-0.01, 0.01]), torch.linspace(1, 2, 98)]).double()
    mixed = torch.zeros(100, 2).double()
    angle = torch.tensor(0.3).double()
    mixed[:2] = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    matrix, q = torch.diag(values), mixed[:, :1]
    rayleigh = (q.T @ matrix @ q)[0]
    off = Eigenpairs(
        rayleigh, q, torch.linalg.vector_norm(matrix @ q - q * rayleigh, dim=0), torch.tensor(1.5)
    )
    spectrum = spectral_density(matrix, steps=60, probes=2, deflate=off)
    for edge in (-0.009, 0.0, 0.009):  # the pair says -.0083, and the rest of the mixture +.0083
        (least, _), (most, _) = spectrum.mass_bounds(-np.inf, edge)
        assert least - 1e-6 <= float((values <= edge).double().mean()) <= most + 1e-6
    blind = replace(
        spectrum, residuals=torch.where(spectrum.residuals.isfinite(), 0.0, spectrum.residuals)
    )
    assert blind.mass_bounds(-np.inf, -0.009)[1][0] < 0.01 - 1e-6
