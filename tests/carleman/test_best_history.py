"""The unit and the padding together: against a search on a grid, and explicit history systems."""

import math
import random
from functools import cache

import numpy as np
import pytest
import torch

import qdescent as qd
from qdescent.carleman.majorant import history_kappa_bound, norms_of

NORMS = qd.MapNorms(constant=0.1, linear=0.98, higher=(1e-3, 1e-4))


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


def probability(lengths, order, scale, padding):
    """By words: C(j, m) of j letters have m letters u."""
    words = [
        sum(
            math.comb(j, m) * (d / scale) ** (2 * m)
            for j in range(1, order + 1)
            for m in range(1, j + 1)
        )
        for d in lengths
    ]
    end = (lengths[-1] / scale) ** 2
    return (padding + 1) * end / (sum(words[:-1]) + (padding + 1) * words[-1])


@cache
def kappa_on_the_grid(order, padding, scale):
    return history_kappa_bound(NORMS, order, 12, padding, scale)


@pytest.mark.parametrize("amplified", [True, False])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_it_is_near_the_least_of_a_grid(order, amplified):
    T = 12
    lengths = [0.1 * (1 - 0.98**t) / 0.02 for t in range(T + 1)]  # of u' = .98 u + .1
    found = qd.best_history(NORMS, order, T, amplified=amplified)
    exponent = 0.5 if amplified else 1.0
    costs = {
        (g, p): kappa_on_the_grid(order, p, g) / probability(lengths, order, g, p) ** exponent
        for g in np.geomspace(0.02, 60, 25)
        for p in (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 48)
    }
    assert found.queries <= min(costs.values()) * 1.01
    here = found.scale, found.padding
    bound = history_kappa_bound(NORMS, order, T, found.padding, found.scale)
    assert found.kappa_bound == pytest.approx(bound, rel=0.02)
    assert found.probability == pytest.approx(probability(lengths, order, *here), rel=1e-9)
    total = found.kappa_bound / found.probability**exponent
    assert found.queries == pytest.approx(total, rel=0.02)
    plain = min(
        kappa_on_the_grid(order, p, 1.0) / probability(lengths, order, 1.0, p) ** exponent
        for p in range(60)
    )
    assert found.unscaled_queries == pytest.approx(plain, rel=0.03)


def quadratic():
    return qd.PolynomialMap(
        [f64([0.1, 0.05]), f64([[1.0, 0.02], [0.0, 0.7]]), 0.02 * torch.ones(2, 4).double()]
    )


@pytest.mark.parametrize("order", [1, 2, 3])
def test_its_probability_from_the_series_is_that_of_the_history_system(order):
    f, T, zero = quadratic(), 6, torch.zeros(2).double()
    u1, u2, u3 = zero, zero, zero
    F0, F1, F2 = (F.to_dense() for F in f.coefficients)
    grams = []
    for _ in range(T):  # the powers of eps of u = eps u_1 + eps^2 u_2 + ...
        mixed = torch.kron(u1, u2) + torch.kron(u2, u1)
        u1, u2, u3 = F0[:, 0] + F1 @ u1, F1 @ u2 + F2 @ torch.kron(u1, u1), F1 @ u3 + F2 @ mixed
        terms = torch.stack([u1, u2, u3])[:order]
        grams.append(terms @ terms.T)
    found = qd.best_history(norms_of(f, T), order, T, grams=torch.stack(grams))
    lift = qd.carleman_linearize(f, order, scale=found.scale)
    system = qd.history_system(lift, zero, T, found.padding)
    assert found.measured
    assert found.probability == pytest.approx(system.success_probability, rel=1e-9)
    kappa = float(torch.linalg.cond(system.matrix.to_dense()))
    assert kappa <= found.kappa_bound < 6 * kappa


def test_a_neutral_mode_costs_about_t_in_its_best_units():
    norms, costs = qd.MapNorms(constant=0.1, linear=1.0, higher=(1e-6,)), []
    for T in (32, 64, 128):
        found = qd.best_history(norms, 2, T)
        costs.append((found.queries, found.unscaled_queries))
        assert found.scale > 0.1 * T
    best, plain = np.log2(np.array(costs[1:]) / np.array(costs[:-1])).T
    assert max(best) < 1.1
    assert min(plain) > 2.5  # the planted answer that scale does not matter


def test_its_unit_is_near_the_best_one_where_f0_lies_in_a_fast_mode():
    """||F_0|| alone asks for a unit some times too large, which is worse than none."""
    F2 = 0.01 * f64([[-1.0, -0.5, -0.5, 0.3], [-0.5, 0.3, 0.3, 1.0]])
    f, order, T = qd.PolynomialMap([f64([5e-4, -0.02]), torch.diag(f64([1.0, 0.6])), F2]), 2, 48
    norms = norms_of(f, T)

    def cost(scale, padding):
        lift = qd.carleman_linearize(f, order, symmetric=True, scale=scale)
        system = qd.history_system(lift, torch.zeros(2).double(), T, padding)
        values = torch.linalg.svdvals(system.matrix.to_dense())
        return float(values[0] / values[-1]) / system.success_probability**0.5

    blind = qd.MapNorms(constant=norms.constant, linear=norms.linear, higher=norms.higher)
    found, other = qd.best_history(norms, order, T), qd.best_history(blind, order, T)
    truth = cost(found.scale, found.padding)
    around = [cost(found.scale * g, found.padding) for g in (0.25, 0.5, 2.0, 4.0)]
    assert truth < 1.05 * min(around)
    assert cost(other.scale, other.padding) > 1.1 * truth  # the planted wrong choice


def test_no_unit_is_worse_than_1_where_the_norms_explode():
    """A unit near the largest displacement of the model, 10^12 here, is the worst there is."""
    draws = random.Random(0)
    wild = [qd.MapNorms(constant=0.41, linear=5.97, higher=(10930.0,))]
    wild += [
        qd.MapNorms(
            constant=10 ** draws.uniform(-4, 3),
            linear=draws.uniform(0.2, 3),
            higher=tuple(10 ** draws.uniform(-4, 4) for _ in range(draws.choice((1, 2)))),
        )
        for _ in range(30)
    ]
    tried = 0
    for norms in wild:
        try:
            found = qd.best_history(norms, order=2, steps=9)
        except qd.ArgumentError:  # no unit leaves it finite
            continue
        assert found.queries <= found.unscaled_queries * (1 + 1e-9)
        tried += 1
    assert tried > 20


def test_what_is_given_stays():
    path = torch.linspace(0, 0.7, 9).double()
    for scale, padding in ((0.5, None), (None, 3), (2.0, 0)):
        found = qd.best_history(NORMS, 2, 8, path=path, scale=scale, padding=padding)
        assert scale in (None, found.scale)
        assert padding in (None, found.padding)
    free = qd.best_history(NORMS, 2, 8, path=path)
    assert free.queries <= found.queries


def test_the_longest_horizon_of_the_bound_is_no_matter():
    found = qd.best_history(qd.MapNorms(constant=1e-5, linear=1.0, higher=(1e-6,)), 2, 500)
    assert found.queries < 20 * 500


def test_rows_have_their_evidence():
    rows = {row.name: row for row in qd.best_history(NORMS, 2, 8).rows()}
    assert rows["history/kappa_bound"].evidence is qd.Evidence.BOUNDED
    assert rows["history/probability"].evidence is qd.Evidence.MODELLED


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"norms": qd.MapNorms(constant=0.0, linear=1.0)}, "`norms` must be of a displacement"),
        ({"path": torch.zeros(5).double()}, "`path` must be of a displacement"),
        ({"path": f64([0.0, 1, 2, 3, math.inf])}, "`path` must be finite"),
        ({"path": f64([0.0, -1, 2, 3, 4])}, "`path` must be norms"),
        ({"path": torch.ones(4).double()}, r"`path` must have shape \(5,\)"),
        (
            {"path": f64([0.0, 0.1, 0.1, 0, 1e6])},
            r"the norms allow.* is 1e\+06 in \|\|u\|\| at t = 4",
        ),
        ({"grams": 1e6 * torch.eye(2).expand(4, 2, 2)}, r"1000 in \|\|u_1\|\| at t = 1"),
        ({"grams": torch.ones(3, 2, 2)}, "`grams` must have shape"),
        ({"grams": torch.ones(4, 2, 2), "path": torch.ones(5)}, "`grams` must be left out"),
        ({"norms": qd.MapNorms(constant=1.0, linear=1e90)}, "must"),
        ({"scale": 0.0}, "`scale` must be"),
        ({"padding": -1}, "`padding` must be an integer"),
        ({"order": 7}, "`order` must be an integer of at most 6"),
    ],
)
def test_refusals(given, sentence):
    with pytest.raises(qd.ArgumentError, match=sentence):
        qd.best_history(**{"norms": NORMS, "order": 2, "steps": 4} | given)
