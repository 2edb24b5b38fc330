"""Norms of coefficients and of linear flows, and the coordinates that make them small."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.carleman.truncation import norms
from qdescent.carleman.truncation.norms import (
    change_coordinates,
    coefficient_norm,
    field_coordinates,
    log_norm,
    map_coordinates,
)
from qdescent.linalg.polynomial_map import PolynomialMap


def random(seed, *shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("p", [1, 2, math.inf])
@pytest.mark.parametrize("shape", [(3, 1), (3, 9), (5, 5)])
def test_norm_equals_numpy_dense_and_sparse(p, shape):
    F = random(0, *shape)
    expected = np.linalg.norm(F.numpy(), p)
    assert coefficient_norm(F, p) == pytest.approx(expected, rel=1e-12)
    assert coefficient_norm(F.to_sparse_coo(), p) == pytest.approx(expected, rel=1e-12)
    assert coefficient_norm(1e-200 * F, p) == pytest.approx(1e-200 * expected, rel=1e-12)
    assert coefficient_norm(0 * F, p) == 0


def test_large_matrices_get_an_upper_bound(monkeypatch):
    F = random(1, 6, 36)
    exact = coefficient_norm(F)
    monkeypatch.setattr(norms, "GRAM_LIMIT", 5)
    assert exact < coefficient_norm(F) < 6 * exact


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_log_norm_is_the_derivative_of_the_norm_of_the_flow(p):
    for seed in range(5):
        F1, h = random(seed, 3, 3).numpy(), 1e-7
        slope = (np.linalg.norm(np.eye(3) + h * F1, p) - 1) / h
        mu = log_norm(torch.from_numpy(F1), p)
        assert mu == pytest.approx(slope, abs=1e-5)
        for t in (0.1, 1.0, 3.0):
            assert np.linalg.norm(scipy.linalg.expm(t * F1), p) <= math.exp(mu * t) * (1 + 1e-12)


@pytest.mark.parametrize("form", ["plain", "homogenised"])
def test_the_truncation_commutes_with_a_change_of_coordinates(form):
    n, S = 2, random(7, 2, 2) + 2 * torch.eye(2)
    F = [0.3 * random(k, n, n**k) for k in range(4)]
    G = change_coordinates(F, S)
    u0 = random(9, n)
    y = PolynomialMap(G)(S @ u0)
    torch.testing.assert_close(y, S @ PolynomialMap(F)(u0), rtol=1e-12, atol=1e-13)
    ends = []
    for coefficients, start in ((F, u0), (G, S @ u0)):
        lift = carleman_linearize(PolynomialMap(coefficients), 3, form)
        z = lift.lift(start)
        for _ in range(3):
            z = lift.step(z)
        ends.append(lift.project(z))
    torch.testing.assert_close(ends[1], S @ ends[0], rtol=1e-11, atol=1e-12)
    assert not torch.allclose(change_coordinates(F, S.T)[2], G[2])  # planted: the other side


@pytest.mark.parametrize("seed", range(8))
def test_adapted_coordinates_reach_their_target_and_never_shrink_a_vector(seed):
    F1 = random(seed, 4, 4)
    values = torch.linalg.eigvals(F1)
    radius, abscissa = float(values.abs().max()), float(values.real.max())
    S = map_coordinates(F1, 1.05 * radius)
    assert radius <= coefficient_norm(S @ F1 @ S.inverse()) * (1 + 1e-9)
    assert coefficient_norm(S @ F1 @ S.inverse()) < 1.05 * radius
    R = field_coordinates(F1, abscissa + 0.1)
    assert abscissa - 1e-9 <= log_norm(R @ F1 @ R.inverse()) < abscissa + 0.1
    for coordinates in (S, R):
        assert float(torch.linalg.svdvals(coordinates)[-1]) == pytest.approx(1, rel=1e-9)


def test_errors():
    with pytest.raises(ArgumentError, match="Argument `p` must be one of 1, 2, inf, but is 3."):
        coefficient_norm(torch.eye(2), 3)
    with pytest.raises(
        ArgumentError,
        match=(
            "Argument `rate` must be above the largest real part of an eigenvalue of F_1, 1, but is"
            " 0.5."
        ),
    ):
        field_coordinates(torch.eye(2), 0.5)
    with pytest.raises(
        ArgumentError,
        match="Argument `factor` must be above the spectral radius of F_1, 1, but is 1.0.",
    ):
        map_coordinates(torch.eye(2), 1.0)
