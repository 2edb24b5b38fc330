"""Displacements that are given: those of a map pass by its own norms, longer ones do not."""

import numpy as np
import pytest
import torch

import qdescent as qd
from qdescent.carleman.majorant import norms_of
from qdescent.carleman.reachable import check_path, check_terms


def wild_map(seed, n=3):
    """Far from normal, with a cubic term; and its terms u_1, u_2 along the way, T = 9."""
    draws = np.random.default_rng(seed)
    F0, F1, F2, F3 = (
        torch.from_numpy(draws.normal(size=(n, n**k)) * 0.3 ** (k + 1)) for k in range(4)
    )
    F1 = torch.triu(F1 * 8) * draws.uniform(0.2, 1)
    f = qd.PolynomialMap([F0[:, 0], F1, F2, F3])
    u1, u2, grams = torch.zeros(n).double(), torch.zeros(n).double(), []
    for _ in range(9):
        u1, u2 = F0[:, 0] + F1 @ u1, F1 @ u2 + F2 @ torch.kron(u1, u1)
        terms = torch.stack([u1, u2])
        grams.append(terms @ terms.T)
    start = torch.from_numpy(draws.normal(size=n)) * 0.1 * (seed % 2)
    path = torch.linalg.vector_norm(f.iterate(start, 9), dim=1).numpy()
    return f, path, torch.stack(grams)


@pytest.mark.parametrize("seed", range(20))
def test_what_a_map_does_its_norms_allow(seed):
    f, path, grams = wild_map(seed)
    for norms in (norms_of(f), norms_of(f, 9), norms_of(f, 4, 2)):
        check_path(norms, path)
        check_terms(norms, grams)


def test_what_a_map_with_one_variable_does_is_all_that_its_norms_allow():
    f = qd.PolynomialMap([torch.tensor([[0.1]]), torch.tensor([[0.9]]), torch.tensor([[0.2]])])
    path = torch.linalg.vector_norm(f.iterate(torch.zeros(1), 6).double(), dim=1).numpy()
    check_path(norms_of(f), path)
    for t in range(1, 7):
        longer = path.copy()
        longer[t] *= 1.02
        with pytest.raises(qd.ArgumentError, match=rf"in \|\|u\|\| at t = {t}, of at most"):
            check_path(norms_of(f), longer)


def test_what_is_known_of_powers_and_drift_counts():
    """Each step is allowed by ||F_1||, all of them together are not."""
    norms = qd.MapNorms(constant=0.0, linear=2.0, powers=(1.0, 2.0, 0.5), drift=(0.0, 0.0))
    with pytest.raises(qd.ArgumentError, match="at t = 2, of at most 0.5"):
        check_path(norms, np.array([1.0, 2.0, 4.0]))
    check_path(norms, np.array([1.0, 2.0, 0.5]))


def test_a_term_that_is_too_long_is_named():
    norms = qd.MapNorms(constant=0.1, linear=1.0, higher=(0.5,))
    lengths = torch.tensor([[0.1, 0.0], [0.2, 0.005]], dtype=torch.float64)
    grams = torch.stack([torch.diag(each**2) for each in lengths])
    check_terms(norms, grams)
    grams[1, 1, 1] *= 4
    with pytest.raises(qd.ArgumentError, match=r"`grams`.*0.01 in \|\|u_2\|\| at t = 2"):
        check_terms(norms, grams)
