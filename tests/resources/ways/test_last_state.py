"""Cost models of the ways to a last state: their growth under doubling, limits, and sentences."""

import math

import pytest

import qdescent as qd
from qdescent._evidence import Evidence
from qdescent.resources.ways.last_state import (
    LastStateCost,
    chebyshev_history,
    linear_combination_of_simulations,
    low_su,
    time_marching,
)


def test_low_su_separates_preparations_from_queries():
    assert low_su(200.0, 1e-3, 0.01).preparations == pytest.approx(10.0)
    assert low_su(200.0, 1e-3, 0.01).preparations == low_su(900.0, 1e-9, 0.01).preparations
    assert low_su(400.0, 1e-3, 0.01).queries == pytest.approx(2 * low_su(200.0, 1e-3, 0.01).queries)
    # by hand: l = ln 100, kappa l (ln l + ln 1000)
    level = 4.605170185988092
    assert low_su(7.0, 1e-3, 0.01).queries == pytest.approx(
        7 * level * (1.5271796258 + 6.9077552790), rel=1e-9
    )
    # p = 1: nothing is to be amplified, and what is left is kappa ln(1/eps)
    assert low_su(7.0, 1e-3, 1.0).queries == pytest.approx(7 * math.log(1000))
    # the worst right-hand side, p = 1/kappa^2: kappa preparations, as for every earlier solver
    assert low_su(50.0, 1e-3, 1 / 2500).preparations == pytest.approx(50.0)


@pytest.mark.parametrize("steps", [32.0, 256.0, 4096.0])
def test_exponents_of_the_number_of_steps(steps):
    log_ratio = lambda f: math.log2(f(2 * steps).queries / f(steps).queries)  # noqa: E731
    # the logarithm adds ln 2 / ln(T/eps)
    marching = log_ratio(lambda T: time_marching(1.0, T, 1e-3, 3.0))
    assert 2.0 < marching < 2.0 + 1 / math.log(steps / 1e-3)
    assert log_ratio(lambda T: chebyshev_history(1.0, T, 1e-3, 1.0, 0.3)) == pytest.approx(0.5)
    flow = log_ratio(lambda T: linear_combination_of_simulations(10.0, 0.1 * T, 1e-3, 2.0))
    assert flow == pytest.approx(1.0)


def test_leading_terms_by_hand():
    marched = time_marching(1.5, 50, 1e-3, 2.0)
    assert marched.queries == pytest.approx(2 * 1.5 * 2500 * math.log(75_000))
    flow = linear_combination_of_simulations(12.0, 0.4, 1e-3, 1.2)
    assert flow.queries == pytest.approx(1.2 * 4.8 * math.log(1000))
    assert (marched.preparations, flow.preparations) == (2.0, 1.2)
    degree = math.sqrt(2 * 100 * math.log(2000))
    level = math.log(20)
    assert chebyshev_history(1.5, 100, 1e-3, 3.0, 0.05).queries == pytest.approx(
        1.5 * 3 * degree * level * (math.log(level) + math.log(1000))
    )


def test_few_steps_have_no_more_blocks_than_steps():
    dense = low_su(4.0, 1e-12, 0.5)
    assert chebyshev_history(1.0, 4, 1e-12, 1.0, 0.5).queries == pytest.approx(dense.queries)


def test_more_of_what_makes_it_hard_is_never_cheaper():
    base = time_marching(1.5, 50, 1e-3, 2.0).queries
    assert time_marching(3.0, 50, 1e-3, 2.0).queries > 2 * base
    assert time_marching(1.5, 50, 1e-6, 2.0).queries > base
    assert time_marching(1.5, 50, 1e-3, 4.0).queries == pytest.approx(2 * base)
    assert chebyshev_history(1.0, 50, 1e-3, 10.0, 0.5).queries == pytest.approx(
        10 * chebyshev_history(1.0, 50, 1e-3, 1.0, 0.5).queries
    )


def test_rows_say_that_they_are_models_and_whose():
    for cost in (
        low_su(9.0, 0.1, 0.5),
        time_marching(1.0, 9, 0.1, 1.0),
        linear_combination_of_simulations(3.0, 1.0, 0.1, 1.0),
        chebyshev_history(1.0, 9, 0.1, 1.0, 0.5),
    ):
        queries, preparations = cost.rows("model")
        assert (queries.value, preparations.value) == (cost.queries, cost.preparations)
        assert {queries.evidence, preparations.evidence} == {Evidence.MODELLED}
        assert "arXiv:" in queries.source
        assert "constants put at 1" in queries.source


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: low_su(0.5, 1e-3, 0.5), "kappa"),
        (lambda: low_su(5.0, 1.0, 0.5), "epsilon"),
        (lambda: low_su(5.0, 1e-3, 0.0), "success"),
        (lambda: low_su(float("nan"), 1e-3, 0.5), "kappa"),
        (lambda: time_marching(0.9, 5, 1e-3, 1.0), "alpha"),
        (lambda: time_marching(1.0, 0, 1e-3, 1.0), "steps"),
        (lambda: time_marching(1.0, 5, 1e-3, 0.5), "decay"),
        (lambda: linear_combination_of_simulations(1.0, 0.0, 1e-3, 1.0), "time"),
        (lambda: chebyshev_history(1.0, 5, 1e-3, 0.5, 0.5), "condition"),
        (lambda: LastStateCost("", 1.0, 1.0, "s"), "name"),
        (lambda: LastStateCost("a", 1.0, 0.5, "s"), "preparations"),
    ],
)
def test_bad_input_is_one_sentence(call, name):
    with pytest.raises(qd.ArgumentError, match=f"`{name}`"):
        call()
