"""The error of a thinned Hessian against a twin written out entry by entry."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import qdescent as qd
from qdescent.solvers.segment import needed_sparsity as module
from qdescent.solvers.segment.needed_sparsity import (
    NeededSparsity,
    dense_hessian,
    needed_sparsity,
)

STEPS, RATE = 7, 0.3


@pytest.fixture(scope="module")
def problem():
    """A small smooth network of 21 weights in double precision."""
    generator = torch.Generator().manual_seed(3)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    inputs = torch.randn(16, 3, generator=generator, dtype=torch.float64)
    targets = torch.randn(16, 1, generator=generator, dtype=torch.float64)
    task = qd.Task(network, nn.functional.mse_loss, (inputs, targets))
    return task, qd.ParameterSpace(network), (inputs, targets)


def thinned(matrix, s):
    """Entry (i, j) stays where it is among the s largest of row i, or of row j."""
    keep = np.zeros(matrix.shape, bool)
    for i, row in enumerate(np.abs(matrix)):
        keep[i, np.argsort(row)[len(row) - s :]] = True
    return np.where(keep | keep.T, matrix, 0.0)


def first_order(matrix, gradient, steps=STEPS, eta=RATE):
    """-eta sum_t (I - eta H)^t g, by powers."""
    step = np.eye(len(matrix)) - eta * matrix
    return -eta * sum(np.linalg.matrix_power(step, t) @ gradient for t in range(steps))


def test_the_matrix_is_the_hessian(problem, monkeypatch):
    task, space, data = problem
    exact = torch.autograd.functional.hessian(lambda theta: _loss(task, data, theta), space.theta)
    whole = dense_hessian(task, space)
    assert torch.allclose(whole, exact, atol=1e-12)
    monkeypatch.setattr(module, "BLOCK", 5)
    in_blocks = dense_hessian(task, space)
    assert torch.equal(in_blocks, in_blocks.T)
    assert torch.allclose(in_blocks, exact, atol=1e-12)


def _loss(task, data, theta):
    """The loss as a function of the packed weights, by torch.func."""
    names = dict(task.network.named_parameters())
    sizes = [weight.numel() for weight in names.values()]
    parts = zip(names.items(), theta.split(sizes), strict=True)
    weights = {name: part.view_as(weight) for (name, weight), part in parts}
    inputs, targets = data
    return task.loss(torch.func.functional_call(task.network, weights, (inputs,)), targets)


@pytest.mark.parametrize("block", [4, 512])
def test_errors_at_order_one_are_those_of_the_twin(problem, monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
    task, space, _ = problem
    matrix = dense_hessian(task, space).numpy()
    gradient = task.loss_and_gradient(space, space.theta)[1].numpy()
    found = needed_sparsity(task, space, STEPS, RATE, entries=[0, 1, 2, 5, 13, 21])
    truth = first_order(matrix, gradient)
    for s, error, stored in zip(found.entries, found.errors, found.stored, strict=True):
        thin = thinned(matrix, int(s))
        off = np.linalg.norm(first_order(thin, gradient) - truth) / np.linalg.norm(truth)
        assert float(error) == pytest.approx(off, rel=1e-9, abs=1e-14)
        assert float(stored) == pytest.approx((thin != 0).sum() / 21)
    smallest = np.where(thinned(matrix, 5) == 0, matrix, 0.0)  # planted: the wrong entries
    wrong = np.linalg.norm(first_order(smallest, gradient) - truth) / np.linalg.norm(truth)
    assert abs(wrong - float(found.errors[3])) > 0.1 * wrong


def test_without_any_entry_the_segment_is_one_gradient(problem):
    task, space, _ = problem
    gradient = task.loss_and_gradient(space, space.theta)[1]
    found = needed_sparsity(task, space, STEPS, RATE, entries=[0])
    truth = qd.series_descent(task, space, 1, STEPS, RATE).value
    off = torch.linalg.vector_norm(-RATE * STEPS * gradient - truth)
    assert float(found.errors[0]) == pytest.approx(
        float(off / torch.linalg.vector_norm(truth)), rel=1e-9
    )


def test_order_two_is_the_series_form_where_nothing_is_dropped(problem):
    task, space, _ = problem
    matrix = dense_hessian(task, space)
    series = module.MeanSeries([task], space, space.theta, 2)
    found = module._segment(
        matrix, series.gradient, 6, RATE, lambda u: series([u, torch.zeros_like(u)])[1]
    )  # six steps: as many nodes as steps, so that the rule is exact
    assert torch.allclose(found, qd.series_descent(task, space, 2, 6, RATE).value, rtol=1e-10)
    first = needed_sparsity(task, space, STEPS, RATE, 1, entries=[2, 21])
    second = needed_sparsity(task, space, STEPS, RATE, 2, entries=[2, 21])
    assert float(second.errors[1]) == 0.0
    assert float(second.errors[0]) != pytest.approx(float(first.errors[0]), rel=1e-3)


def test_krylov_errors_fall_to_rounding_with_the_rank_of_what_is_driven(problem):
    task, space, _ = problem
    found = needed_sparsity(task, space, STEPS, RATE, entries=[0])
    assert found.krylov[-1] < 1e-12
    # A polynomial of degree T - 1 in H: T vectors hold it.
    assert len(found.krylov) <= STEPS
    matrix = dense_hessian(task, space).numpy()
    gradient = task.loss_and_gradient(space, space.theta)[1].numpy()
    basis, _ = np.linalg.qr(np.stack([gradient, matrix @ gradient], 1))
    inside = basis @ first_order(basis.T @ matrix @ basis, basis.T @ gradient)
    truth = first_order(matrix, gradient)
    off = np.linalg.norm(inside - truth) / np.linalg.norm(truth)
    assert float(found.krylov[1]) == pytest.approx(off, rel=1e-8)


def test_what_is_needed_is_where_the_error_stays_below():
    segment = {"size": 1000, "order": 1, "steps": 9, "learning_rate": 0.1}
    tried = {"krylov": torch.ones(1), **segment}
    found = NeededSparsity(
        entries=torch.tensor([0.0, 10.0, 100.0, 1000.0]),
        errors=torch.tensor([0.005, 0.1, 0.001, 0.0]),  # good at 0 by accident
        stored=torch.tensor([0.0, 12.0, 110.0, 1000.0]),
        **tried,
    )
    assert found.needed(0.01) == pytest.approx(10**1.5)
    assert found.needed(0.0005) == 1000.0  # between 100 and all: no line in log goes through 0
    assert found.needed(0.5) == 0.0
    never = NeededSparsity(
        entries=torch.tensor([1.0]), errors=torch.tensor([0.2]), stored=torch.ones(1), **tried
    )
    assert never.needed(0.1) == math.inf
    assert never.krylov_dimension(0.1) is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"steps": 0}, "steps"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": 1e200}, "finite"),
        ({"order": 3}, "order"),
        ({"entries": [22]}, "entries"),
        ({"entries": ["2"]}, "entries"),
        ({"matrix": torch.eye(3)}, "matrix"),
        ({"theta": torch.ones(2)}, "theta"),
        ({"on_rows": 3}, "on_rows"),
    ],
)
def test_bad_input_is_one_sentence(problem, changed, words):
    task, space, _ = problem
    with pytest.raises(qd.ArgumentError, match=words):
        needed_sparsity(task, space, **({"steps": 3, "learning_rate": 0.1} | changed))
    with pytest.raises(qd.ArgumentError, match="task"):
        needed_sparsity("task", space, 3, 0.1)


def test_too_many_weights_are_refused_before_memory_is_taken():
    network = nn.Linear(200, 100)
    task = qd.Task(network, nn.functional.mse_loss, (torch.ones(2, 200), torch.ones(2, 100)))
    with pytest.raises(qd.ArgumentError, match="at most 16384 weights"):
        needed_sparsity(task, qd.ParameterSpace(network), 3, 0.1)
