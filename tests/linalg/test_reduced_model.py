"""The Galerkin model of a symmetric operator against the dense matrix."""

import numpy as np
import pytest
import torch

from qdescent.linalg.operator import as_operator
from qdescent.linalg.reduced_model import Recurrence, ReducedModel


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
    assert model.outside(known) < 1e-13 * float(known.norm())
    beyond = model.combine(np.zeros(5)) + torch.ones(30, dtype=torch.float64)
    within = float(np.linalg.norm(model.coordinates(beyond)))
    assert model.outside(beyond) == pytest.approx((30 - within**2) ** 0.5)


def test_an_invariant_space_has_no_frontier():
    model = ReducedModel(as_operator(torch.diag(torch.arange(1.0, 5.0)).double()))
    model.add(torch.tensor([0.0, 1.0, 0.0, 0.0]).double())
    assert model.leaving.shape == (0, 1)
    assert model.matrix.item() == 2.0


STEPS = {
    "plain": {},
    "heavy ball": {"momentum": 0.9},
    "dampened": {"momentum": 0.8, "gain": 0.7},
    "nesterov": {"momentum": 0.9, "along": 0.9, "aside": 1.0},
    "shrinking": {"momentum": 0.8, "gain": 0.7, "first_gain": 0.7, "shrink": 0.4},
    "all": {"momentum": 0.6, "gain": 0.7, "along": 0.6, "aside": 1.0, "shrink": 0.4},
}


def walked(values, sources, eta, v, pull, momentum=0.0, gain=1.0, first_gain=1.0, along=1.0,
           aside=0.0, shrink=0.0):  # fmt: skip
    """Step by step: displacements and velocities."""
    c, path, speeds = np.zeros_like(values), [np.zeros_like(values)], []
    for t, a in enumerate(sources):
        g = values * c + a
        v = momentum * v + (gain if t else first_gain) * g
        c = c - eta * (along * v + aside * g + shrink * c + pull)
        path.append(c)
        speeds.append(v)
    return np.array(path), np.array(speeds)


@pytest.mark.parametrize("step", STEPS)
def test_a_recurrence_is_the_loop(step):
    values, rng = np.array([-0.3, 0.0, 2.0, 11.0]), np.random.default_rng(0)
    sources, v, pull = rng.normal(size=(25, 4)), rng.normal(size=4), rng.normal(size=4)
    path, speeds = walked(values, sources, 0.1, v, pull, **STEPS[step])
    recurrence = Recurrence(0.1, **STEPS[step])
    found, end = recurrence.path(values, sources, v, pull)
    np.testing.assert_allclose(found, path, atol=1e-11)
    np.testing.assert_allclose(end, speeds[-1], atol=1e-10)
    between = recurrence.velocity(path[6], path[7], values * path[6] + sources[6], pull)
    np.testing.assert_allclose(between, speeds[6], atol=1e-11)
    for planted in STEPS:
        if planted != step:
            wrong = Recurrence(0.1, **STEPS[planted]).path(values, sources, v, pull)[0]
            assert np.abs(wrong - path).max() > 1e-2


@pytest.mark.parametrize("step", STEPS)
def test_its_factor_is_the_spectral_radius_of_a_step(step):
    values = np.concatenate([np.linspace(-3, 40, 60), [0.0]])
    found = Recurrence(0.1, **STEPS[step]).factor(torch.from_numpy(values))
    radii = []
    for value in values:
        # one step without sources, from (c, v) = (1, 0) and (0, 1), as the loop takes it
        given = {"momentum": 0.0, "gain": 1.0, "along": 1.0, "aside": 0.0, "shrink": 0.0}
        beta, w, p, q, s = (STEPS[step].get(name, value) for name, value in given.items())
        block = [
            [1 - 0.1 * ((p * w + q) * value + s), -0.1 * p * beta],
            [w * value, beta],
        ]
        radii.append(np.abs(np.linalg.eigvals(block)).max())
    np.testing.assert_allclose(found, radii, rtol=1e-6, atol=1e-8)
