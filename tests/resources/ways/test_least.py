"""Marching is at its best in its own unit."""

import random

import pytest
from scipy.optimize import minimize_scalar

from qdescent.linalg.map_norms import MapNorms
from qdescent.resources.ways.history import least_step_norm, step_norm


def some_norms(draws):
    return MapNorms(
        constant=10 ** draws.uniform(-3, 1),
        linear=draws.choice((1.0, draws.uniform(0.3, 1.5))),
        higher=(10 ** draws.uniform(-4, 2),),
    )


@pytest.mark.parametrize("order", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_the_least_norm_of_a_step_is_that_of_the_best_unit(order):
    """Against the valley that SciPy finds, each unit with a majorant of its own."""
    draws = random.Random(1)
    for _ in range(9):
        norms = some_norms(draws)

        def length(unit, norms=norms):
            return step_norm(norms, order, 10**unit)

        near = min(range(-6, 7), key=length)
        valley = minimize_scalar(length, bounds=(near - 1, near + 1), method="bounded").fun
        found = least_step_norm(norms, order)
        assert found == pytest.approx(valley, rel=1e-5)
        assert order == 1 or found < 0.9 * length(-6)  # another unit is refused


def test_without_a_second_coefficient_ever_larger_units_decouple_the_degrees():
    assert least_step_norm(MapNorms(constant=0.1, linear=1.0), 2) == pytest.approx(1.0)
