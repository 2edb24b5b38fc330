"""Marching at its best is no slower than in any unit."""

import random
from dataclasses import replace

import pytest

from qdescent.linalg.map_norms import MapNorms
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.history import history_ways, marching_at_best, step_norm

SPEC = RoundSpec(
    n=100, parameters=1000, order=2, steps=9, sparsity=5, batch=5, forward_macs=1000,
    norms=MapNorms(constant=0.1, linear=1.0, higher=(1e-3,)),
)  # fmt: skip


@pytest.mark.parametrize("order", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_marching_at_its_best_is_below_marching_in_any_unit(order):
    draws, near = random.Random(1), 0
    for _ in range(40):
        norms = MapNorms(
            constant=10 ** draws.uniform(-3, 1),
            linear=draws.choice((1.0, draws.uniform(0.3, 1.5))),
            higher=(10 ** draws.uniform(-4, 2),),
        )
        (best,) = marching_at_best(replace(SPEC, order=order, norms=norms))
        least = min(step_norm(norms, order, 10 ** draws.uniform(-4, 4)) for _ in range(9))
        assert best.preparations <= max(1.0, least) ** SPEC.steps * (1 + 1e-9)
        near += max(1.0, least) < 1.1 * best.preparations ** (1 / SPEC.steps)
    assert near > 15  # a floor a tenth higher would be refused


def test_a_searched_history_is_marched_no_better():
    marched = {way.name: way for way in history_ways(SPEC)}["time_marching"]
    (best,) = marching_at_best(SPEC)
    assert best.queries <= marched.queries
