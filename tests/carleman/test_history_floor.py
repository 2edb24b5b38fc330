"""What no history stays below: against the search, and histories of other units and paddings."""

import random

import numpy as np
import pytest

import qdescent as qd
from qdescent.carleman.bounds import history_floor
from qdescent.carleman.majorant import history_kappa_bound


def drawn():
    draws = random.Random(3)
    for _ in range(20):
        linear = draws.choice((1.0, draws.uniform(0.5, 1.3)))
        higher = tuple(10 ** draws.uniform(-5, 1) for _ in range(draws.choice((0, 1, 2))))
        norms = qd.MapNorms(constant=10 ** draws.uniform(-3, 0), linear=linear, higher=higher)
        yield norms, draws.choice((1, 2, 2, 3)), draws.choice((1, 4, 20))


def cost(norms, order, steps, scale, padding):
    """kappa and the chance of finding u_T, of the longest displacements that the norms allow."""
    lengths = norms.drift_bounds(steps) / scale
    states = sum((1 + lengths**2) ** j - 1 for j in range(1, order + 1))
    whole = states[:-1].sum() + (padding + 1) * states[-1]
    found = (padding + 1) * lengths[-1] ** 2 / whole
    return history_kappa_bound(norms, order, steps, padding, scale), found


def test_no_history_is_below_it():
    tried, tight = 0, []
    for norms, order, steps in drawn():
        kappa, found = history_floor(norms, order, steps)
        best = qd.best_history(norms, order, steps)
        assert kappa * found**-0.5 <= best.queries
        tight.append(best.queries / (kappa * found**-0.5))
        for scale in best.scale * np.array([0.1, 1.0, 10.0]):
            for padding in (0, steps):
                one, chance = cost(norms, order, steps, float(scale), padding)
                for queries in (lambda k: k, lambda k: k * np.log(k + 1), lambda k: k**2):
                    assert queries(kappa) * found**-0.5 <= queries(one) * chance**-0.5
                    tried += 1
    assert tried == 360
    assert np.median(tight) < 6  # so that a floor three times as high would be refused


def test_a_neutral_descent_without_coupling_is_near_its_floor():
    norms = qd.MapNorms(constant=0.1, linear=1.0, higher=(1e-9,))
    kappa, found = history_floor(norms, 2, 200)
    best = qd.best_history(norms, 2, 200)
    assert best.queries / 2.5 < kappa * found**-0.5 < best.queries


@pytest.mark.parametrize("known", ["powers", "drift", "words"])
def test_what_more_is_known_leaves_no_floor(known):
    more = {"powers": (1.0, 1.0), "drift": (0.0, 0.1), "words": ((1.0,),) * 4}
    norms = qd.MapNorms(constant=0.1, linear=1.0, higher=(1e-4,), **{known: more[known]})
    assert history_floor(norms, 2, 10) is None


def test_an_orbit_beyond_floats_has_no_floor():
    assert history_floor(qd.MapNorms(constant=1.0, linear=30.0), 1, 400) is None
