"""The tail estimate against closed forms, and the true truncation error of random networks."""

import functools
import math

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.solvers.series import SeriesSteps
from qdescent.training.descent import displacements
from qdescent.training.tail_estimate import estimate_tail


def random_task(seed, activation=None):
    """A network of about 40 weights under cross-entropy or mean squared error."""
    g = torch.Generator().manual_seed(seed)
    activation = activation or (nn.GELU, nn.SiLU, nn.Tanh, nn.Softplus)[seed % 4]
    network = nn.Sequential(nn.Linear(3, 5), activation(), nn.Linear(5, 3)).double()
    with torch.no_grad():
        for w in network.parameters():
            w.copy_(0.7 * torch.randn(w.shape, generator=g, dtype=torch.float64))
    x = torch.randn(12, 3, generator=g, dtype=torch.float64)
    if seed % 2:
        return Task(
            network, nn.functional.cross_entropy, (x, torch.randint(0, 3, (12,), generator=g))
        )
    return Task(
        network, nn.functional.mse_loss, (x, torch.randn(12, 3, generator=g, dtype=torch.float64))
    )


def walk(task, eta, order, steps):
    """After each step: the terms and true descent."""
    space = ParameterSpace(task.network)
    series, truth = (
        SeriesSteps(task, space, space.theta, order, eta),
        displacements(task, space, space.theta, eta),
    )
    for _ in range(steps):
        yield next(series), next(truth)[1]


def relative(x, y):
    return float((x - y).norm() / y.norm())


def geometric(r, count):
    """u_1 = e, u_k = r^k e: the series whose majorant is itself."""
    return torch.tensor([[1.0]] + [[r**k] for k in range(2, count + 1)], dtype=torch.float64)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("known", [2, 4, 6])
def test_a_geometric_tail_is_summed_exactly(order, known):
    r, terms = 0.4, geometric(0.4, max(known, order))
    tail = estimate_tail(terms @ terms.T, order)
    whole, cut = 1 + r**2 / (1 - r), float(geometric(r, order).sum())
    assert tail.growth == pytest.approx(r, rel=1e-14)
    assert tail.error == pytest.approx((whole - cut) / float(terms.sum()), rel=1e-13)


def test_terms_grow_with_one_more_power_of_time_than_their_order():
    for seed in range(4):
        sizes = [next_to_last(random_task(seed), eta) for eta in (1e-3, 5e-4)]
        for k, (long, short) in enumerate(zip(*sizes, strict=True), start=1):
            assert long / short == pytest.approx(2 ** (k if k == 1 else k + 1), rel=0.02)


def next_to_last(task, eta):
    *_, (terms, _) = walk(task, eta, order=4, steps=6)
    return terms.norm(dim=1).tolist()


@functools.cache
def seen():
    """(gram of five terms, true error of order 1..4) of random networks, after each step."""
    return [
        (terms @ terms.T, [relative(terms[:order].sum(0), truth) for order in (1, 2, 3, 4)])
        for seed in range(24)
        for terms, truth in walk(random_task(seed), 0.1, 5, 12)
    ]


def quotients(estimate, order, known):
    """Estimate over true error wherever that lies between rounding and a tenth."""
    return sorted(
        estimate(gram[:known, :known], order) / errors[order - 1]
        for gram, errors in seen()
        if 1e-9 < errors[order - 1] < 0.1
    )


def within(found, low, high):
    return sum(low < each < high for each in found) / len(found)


def extrapolated(gram, order):
    return estimate_tail(gram, order).error


@pytest.mark.parametrize("order", [2, 3, 4])
def test_the_estimate_is_near_the_true_error(order):
    found = quotients(extrapolated, order, order)
    assert len(found) > 200
    assert within(found, 0.05, 100) == 1
    assert within(found, 0.4, 20) > 0.9
    assert 1 < found[len(found) // 2] < 2.5


@pytest.mark.parametrize("order", [1, 2, 3])
def test_with_the_next_term_known_it_is_nearer(order):
    found = quotients(extrapolated, order, order + 1)
    assert within(found, 0.45, 60) == 1
    assert within(found, 0.85, 10) > 0.95
    assert 1 < found[len(found) // 2] < 2


def test_a_geometric_series_through_the_last_two_terms_is_far_off():
    # the wrong variant: ||u_N|| q / (1 - q), q = ||u_N|| / ||u_{N-1}||
    def through_two(gram, order):
        q = float(gram[-1, -1] / gram[-2, -2]) ** 0.5
        return float(gram[-1, -1]) ** 0.5 * q / (1 - q) / float(gram.sum()) ** 0.5

    found = quotients(through_two, 2, 2)
    assert within(found, 0.4, 20) < 0.5
    assert found[len(found) // 2] < 0.5


def test_the_last_term_alone_is_the_error_of_the_order_below():
    def last_term(gram, order):
        return float(gram[-1, -1] / gram.sum()) ** 0.5

    assert quotients(last_term, 2, 2)[len(quotients(last_term, 2, 2)) // 2] > 4  # pessimistic
    below = quotients(last_term, 1, 2)
    assert 0.9 < below[len(below) // 2] < 1.2


def test_what_cannot_be_told_is_not_told():
    alone = estimate_tail([[1.0]], 1)
    assert math.isinf(alone.error)
    assert math.isnan(alone.growth)
    beyond = estimate_tail([[1.0, 0.0], [0.0, 1.21]], 2)
    assert math.isinf(beyond.error)
    assert beyond.growth == pytest.approx(1.1**0.5)
    assert not beyond.known
    overflown = estimate_tail([[1.0, math.nan], [math.nan, 1.0]], 2)
    assert math.isinf(overflown.error)
    assert math.isinf(overflown.growth)


def test_nothing_left_out_is_zero(regression):
    for terms, _ in walk(regression.task, 0.1, order=3, steps=5):
        assert estimate_tail(terms @ terms.T, 1).error < 1e-12  # a quadratic loss
    assert estimate_tail(torch.zeros(3, 3), 2).error == 0  # a stationary pivot


def test_a_unit_of_weight_does_not_matter():
    terms = torch.randn(
        4, 9, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    ) * torch.tensor([[1.0], [0.1], [0.02], [0.001]])
    a, b = (estimate_tail((s * terms) @ (s * terms).T, 3) for s in (1.0, 1e-9))
    assert a.error == pytest.approx(b.error, rel=1e-12)


def test_errors():
    with pytest.raises(
        ArgumentError, match="Argument `order` must be at most the number of terms, 2, but is 3"
    ):
        estimate_tail(torch.eye(2), 3)
    with pytest.raises(ArgumentError, match="Argument `order` must be an integer of at least 1"):
        estimate_tail(torch.eye(2), 0)


@pytest.mark.parametrize(
    "gram", [[[1.0, 3.0], [3.0, 0.01]], [[1.0, 0.05], [0.0, 0.01]], [[1.0, -0.2], [-0.2, 0.01]]]
)
def test_numbers_that_are_no_inner_products(gram):
    with pytest.raises(ArgumentError, match="Argument `gram` must hold inner products"):
        estimate_tail(torch.tensor(gram), 2)
    single = torch.randn(4, 10**5, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [[1.0], [1e-2], [1e-4], [1e-6]]
    )
    assert estimate_tail(single @ single.T, 3).known  # in single precision, as it comes
