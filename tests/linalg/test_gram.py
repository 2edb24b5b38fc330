"""Gauss rules over time steps against closed forms and sums."""

import numpy as np
import pytest

from qdescent.linalg.gram import gauss_rule, gram_rule, interpolate


def test_two_nodes_of_twenty_steps():
    rule = gram_rule(20, 2)
    np.testing.assert_allclose(rule.nodes, [9.5 - 5.766281, 9.5 + 5.766281], atol=1e-6)
    np.testing.assert_allclose(rule.weights, [10, 10], rtol=1e-12)


@pytest.mark.parametrize(("steps", "nodes"), [(1, 1), (7, 3), (20, 5), (100, 8)])
def test_exact_to_degree_2r_minus_1_and_not_beyond(steps, nodes):
    rule, t = gram_rule(steps, nodes), np.arange(steps)
    for degree in range(2 * nodes):
        x, y = t / steps, rule.nodes / steps
        assert np.sum(x**degree) == pytest.approx(rule.weights @ y**degree, rel=1e-12)
    if nodes < steps:
        degree = 2 * nodes
        missed = np.sum(x**degree) - rule.weights @ y**degree
        assert abs(missed) > 1e-9 * np.sum(x**degree)  # planted: one degree too many


@pytest.mark.parametrize("power", [0, 1, 2, 3])
def test_a_measure_on_the_steps_is_exact_to_degree_2r_minus_1_and_not_beyond(power):
    t = np.arange(40)
    measure = (t / 40.0) ** power
    for nodes in (1, 2, 5):
        rule = gauss_rule(measure, nodes)
        x, y = t / 40, rule.nodes / 40
        for degree in range(2 * nodes):
            exact = np.sum(measure * x**degree)
            assert exact == pytest.approx(rule.weights @ y**degree, rel=1e-12)
        missed = np.sum(measure * x ** (2 * nodes)) - rule.weights @ y ** (2 * nodes)
        assert abs(missed) > 1e-9 * np.sum(measure)  # planted: one degree too many
        weighed = measure > 0
        through = rule.interpolation @ y ** (nodes - 1)
        np.testing.assert_allclose(through[weighed], x[weighed] ** (nodes - 1), atol=1e-12)
    alike = gram_rule(40, 5)
    same = np.allclose(gauss_rule(measure, 5).nodes, alike.nodes, atol=1e-9)
    assert same == (power == 0)  # a measure that weighs all alike is the closed form's


def test_a_measure_has_no_more_nodes_than_steps_that_weigh():
    measure = np.array([0.0, 2.0, 0.0, 1.0, 4.0])
    rule = gauss_rule(measure, 9)
    np.testing.assert_allclose(rule.nodes, [1, 3, 4], atol=1e-12)
    np.testing.assert_allclose(rule.weights, [2, 1, 4], atol=1e-12)
    np.testing.assert_allclose(rule.interpolation[[1, 3, 4]], np.eye(3), atol=1e-12)


def test_the_interpolant_goes_through_the_nodes_and_all_steps_are_nodes_in_the_end():
    rule, t = gram_rule(9, 9), np.arange(9.0)
    np.testing.assert_allclose(rule.nodes, t, atol=1e-12)
    np.testing.assert_allclose(rule.interpolation, np.eye(9), atol=1e-10)
    few = gram_rule(30, 4)
    cubic = lambda x: 1 - 2 * x + 0.3 * x**2 - 0.01 * x**3  # noqa: E731
    np.testing.assert_allclose(
        few.interpolation @ cubic(few.nodes), cubic(np.arange(30)), atol=1e-9
    )


def test_interpolation_in_time_is_exact_at_steps_and_close_between():
    t = np.arange(31)
    values = np.stack([0.95**t, np.cos(0.1 * t)], axis=1)
    np.testing.assert_array_equal(interpolate(values, np.array([4.0, 30.0])), values[[4, 30]])
    at = np.array([0.3, 12.7, 29.5])
    truth = np.stack([0.95**at, np.cos(0.1 * at)], axis=1)
    np.testing.assert_allclose(interpolate(values, at), truth, atol=1e-12)
    assert np.abs(interpolate(values, at, points=2) - truth).max() > 1e-5  # planted: linear


@pytest.mark.parametrize(("steps", "nodes"), [(0, 1), (3, 0), (3, 4), (3.5, 2)])
def test_refusals(steps, nodes):
    with pytest.raises(ValueError, match="Argument `(steps|nodes)` must be"):
        gram_rule(steps, nodes)
