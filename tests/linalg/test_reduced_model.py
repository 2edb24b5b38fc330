"""The Galerkin model of a symmetric operator against the dense matrix."""

import numpy as np
import pytest
import torch

from qdescent.linalg.operator import as_operator
from qdescent.linalg.reduced_model import ReducedModel, heavy_ball


@pytest.fixture
def matrix():
    generator = torch.Generator().manual_seed(1)
    A = torch.randn(30, 30, generator=generator, dtype=torch.float64)
    return (A + A.T) / 2


def grown(matrix, steps):
    """Two vectors, then directions of the frontier by turns."""
    model = ReducedModel(as_operator(matrix))
    generator = torch.Generator().manual_seed(2)
    for _ in range(2):
        assert model.add(torch.randn(len(matrix), generator=generator, dtype=torch.float64))
    for k in range(steps):
        model.grow(np.eye(len(model.leaving))[k % len(model.leaving)])
    return model


def test_the_images_are_what_the_model_says(matrix):
    model = grown(matrix, 5)
    W = torch.stack(model._basis, dim=1)
    F = torch.stack(model._frontier, dim=1)
    whole = torch.cat([W, F], dim=1)
    assert torch.allclose(whole.T @ whole, torch.eye(whole.shape[1]).double(), atol=1e-13)
    A, C = torch.from_numpy(model.matrix), torch.from_numpy(model.leaving)
    assert torch.allclose(matrix @ W, W @ A + F @ C, atol=1e-12)
    assert not torch.allclose(matrix @ W, W @ A, atol=1e-3)  # planted: nothing leaves
    assert model.products == model.dimension == 7


def test_a_krylov_space_is_lanczos(matrix):
    model = ReducedModel(as_operator(matrix))
    model.add(torch.ones(30, dtype=torch.float64))
    for _ in range(6):
        assert len(model.leaving) == 1
        model.grow(np.ones(1))
    beside = np.abs(np.diag(model.matrix, 1))
    assert np.abs(np.triu(model.matrix, 2)).max() < 1e-12 < beside.min()
    power = [torch.ones(30, dtype=torch.float64)]
    for _ in range(6):
        power.append(matrix @ power[-1])
    moments = [float(power[0] @ p) for p in power]
    seen = [30 * np.linalg.matrix_power(model.matrix, k)[0, 0] for k in range(7)]
    np.testing.assert_allclose(seen, moments, rtol=1e-10)


def test_what_lies_in_the_space_adds_nothing(matrix):
    model = grown(matrix, 3)
    known = model.combine(np.arange(1.0, 6.0))
    assert not model.add(known)
    assert not model.add(torch.zeros(30, dtype=torch.float64))
    assert model.products == 5


def test_an_invariant_space_has_no_frontier():
    model = ReducedModel(as_operator(torch.diag(torch.arange(1.0, 5.0)).double()))
    model.add(torch.tensor([0.0, 1.0, 0.0, 0.0]).double())
    assert model.leaving.shape == (0, 1)
    assert model.matrix.item() == 2.0


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_heavy_ball_is_the_loop(momentum):
    values, rng = np.array([-0.3, 0.0, 2.0, 11.0]), np.random.default_rng(0)
    sources, v = rng.normal(size=(25, 4)), rng.normal(size=4)
    c, velocity, path = np.zeros(4), v, [np.zeros(4)]
    for a in sources:
        velocity = momentum * velocity + values * c + a
        c = c - 0.1 * velocity
        path.append(c)
    found, end = heavy_ball(values, sources, 0.1, momentum, v)
    np.testing.assert_allclose(found, path, atol=1e-12)
    np.testing.assert_allclose(end, velocity, atol=1e-11)
