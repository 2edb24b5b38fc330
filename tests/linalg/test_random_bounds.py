"""Promises that fail with a stated probability, against closed forms and many draws."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2

import qdescent as qd
from qdescent.linalg.operator import as_operator
from qdescent.linalg.spectra.lanczos import lanczos
from qdescent.linalg.spectra.random_bounds import chain_factor, lanczos_extremes


@pytest.mark.parametrize("samples", [1, 4, 12, 32])
def test_a_single_factor_is_chernoffs_bound_of_the_chi_square(samples):
    c = chain_factor(1, samples, 0.01)
    assert (c * math.exp(1 - c)) ** (samples / 2) == pytest.approx(0.01, rel=1e-2)
    assert chi2.cdf(c * samples, samples) < 0.01  # the exact probability


@pytest.mark.parametrize("factors", [1, 2, 3, 5])
def test_the_worst_chain_fails_as_rarely_as_promised(factors):
    draws = np.random.default_rng(factors).normal(size=(200_000, 8, factors))
    means = np.prod(draws**2, axis=2).mean(1)
    c = chain_factor(factors, 8, 0.05)
    assert np.mean(means <= c) < 0.05
    assert np.mean(means <= 4 * c) > 0.05  # nor is it far off: the planted smaller correction


def test_a_chain_of_matrices_concentrates_better_than_the_worst():
    rng = np.random.default_rng(0)
    F = rng.normal(size=(6, 6, 6))
    F = sum(
        np.transpose(F, p)
        for p in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    )
    G = np.einsum("iab,jab->ij", F, F)
    a, b, x = rng.normal(size=(3, 20_000, 6))
    inner = np.einsum("iab,sa,sb->si", F, b, x, optimize=True)
    chain = np.einsum("iab,sa,sb->si", F, a, inner, optimize=True)
    values = (chain**2).sum(1)
    assert values.mean() == pytest.approx(np.trace(G @ G), rel=0.1)
    means = values.reshape(-1, 8).mean(1)
    assert np.mean(means <= chain_factor(3, 8, 0.05) * np.trace(G @ G)) < 0.05


@pytest.mark.parametrize("steps", [10, 20])
def test_the_extremes_hold_the_spectrum_as_often_as_promised(steps):
    """One eigenvalue far out is found at once; ends that decay are the hard case."""
    n, failure, outside, trials = 400, 0.2, 0, 200
    values = torch.cos(math.pi * (torch.arange(n, dtype=torch.float64) + 0.5) / n)
    operator = as_operator(torch.diag(values))
    draws = torch.Generator().manual_seed(0)
    state = lanczos(operator, torch.randn(n, trials, generator=draws, dtype=torch.float64), steps)
    short = 0
    for alpha, beta in zip(state.alpha, state.beta, strict=True):
        T = torch.diag(alpha) + torch.diag(beta[:-1], 1) + torch.diag(beta[:-1], -1)
        ends = torch.linalg.eigvalsh(T)
        low, high = lanczos_extremes(float(ends[0]), float(ends[-1]), steps, n, failure)
        outside += not (low <= float(values.min()) and float(values.max()) <= high)
        short += float(ends[-1]) < float(values.max()) - 1e-4
    assert outside <= failure * trials
    assert short > trials / 2  # the Ritz values themselves are no bound


def test_too_few_steps_say_nothing():
    assert lanczos_extremes(-1.0, 1.0, 2, 10**6, 0.01) == (-math.inf, math.inf)
    assert lanczos_extremes(-1.0, 1.0, 3, 3, 0.01) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: lanczos_extremes(1.0, 0.0, 9, 9, 0.1), "`lowest` must be at most"),
        (lambda: lanczos_extremes(0.0, 1.0, 9, 99, 1.0), "`failure` must be in"),
        (lambda: chain_factor(0, 1, 0.1), "`factors` must be"),
        (lambda: chain_factor(1, 1, 0.0), "`failure` must be in"),
    ],
)
def test_refusals(call, sentence):
    with pytest.raises(qd.ArgumentError, match=sentence):
        call()
