"""Bounds on kappa of the history system against the singular values of the system itself."""

import math

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.bounds import geometric_kappa_bound, power_kappa_bound


def kappa(C, steps, padding):
    """Of I - sum_t |t+1><t| (x) C, with identities for padding."""
    k, blocks = len(C), steps + padding + 1
    M = np.eye(blocks * k)
    for t in range(steps + padding):
        M[(t + 1) * k : (t + 2) * k, t * k : (t + 1) * k] = -C if t < steps else -np.eye(k)
    s = np.linalg.svd(M, compute_uv=False)
    return s[0] / s[-1]


def heavy_ball(eta_lambda, beta):
    return np.array([[1 - eta_lambda, beta], [-eta_lambda, beta]])


def power_norms(C, steps):
    return torch.tensor([np.linalg.norm(np.linalg.matrix_power(C, t), 2) for t in range(steps + 1)])


@pytest.mark.parametrize("eta_lambda", [-0.05, 0.0, 0.1, 1.0, 3.5])
@pytest.mark.parametrize("padding", [0, 5, 20])
def test_power_bound_holds_for_momentum_where_the_spectral_radius_fails(eta_lambda, padding):
    C, T = heavy_ball(eta_lambda, 0.9), 15
    found = power_kappa_bound(power_norms(C, T), padding)
    true = kappa(C, T, padding)
    assert true <= found * (1 + 1e-12)
    assert found < 4 * true
    by_norm = geometric_kappa_bound(float(np.linalg.norm(C, 2)), T, padding)
    assert found <= by_norm * (1 + 1e-12)


def test_the_spectral_radius_of_momentum_is_no_bound():
    C = heavy_ball(3.5, 0.9)
    radius = float(np.abs(np.linalg.eigvals(C)).max())
    assert kappa(C, 15, 0) > geometric_kappa_bound(radius, 15)  # planted: rejected


@pytest.mark.parametrize("a", [0.3, 1.0, 1.2])
@pytest.mark.parametrize("padding", [0, 1, 7, 40])
def test_both_bounds_agree_on_powers(a, padding):
    powers = torch.tensor([a**j for j in range(13)], dtype=torch.float64)
    assert power_kappa_bound(powers, padding) == pytest.approx(
        geometric_kappa_bound(a, 12, padding), rel=1e-13
    )


def test_overflow_is_infinite():
    assert geometric_kappa_bound(1e3, 400) == math.inf
    assert power_kappa_bound(torch.tensor([1.0, math.inf]), 3) == math.inf


def test_errors():
    with pytest.raises(
        ArgumentError, match=r"Argument `power_norms` must have shape \(T \+ 1,\) with T at least 1"
    ):
        power_kappa_bound(torch.ones(1))
    with pytest.raises(
        ArgumentError, match="Argument `padding` must be an integer of at least 0, but is -1."
    ):
        power_kappa_bound(torch.ones(3), -1)
    with pytest.raises(ArgumentError, match="Argument `steps` must be an integer of at least 1"):
        geometric_kappa_bound(0.5, 0)
