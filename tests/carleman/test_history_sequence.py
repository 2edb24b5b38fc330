"""A block of its own for every step: SGD, and Euler steps of an equation; declared facts against
measured ones.
"""

import math

import numpy as np
import pytest
import scipy.sparse as sparse
import torch
from scipy.sparse.linalg import svds

from qdescent._checks import ArgumentError
from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.carleman.state_norms import end_probability
from qdescent.learning.gradient_map import gradient_map
from qdescent.learning.parameters import ParameterSpace
from qdescent.linalg.polynomial_field import PolynomialField
from qdescent.linalg.polynomial_map import PolynomialMap


def solve(system):
    return torch.linalg.solve(system.matrix.to_dense(), system.rhs)


@pytest.fixture
def batches(seventeen):
    """Four weights, and three batches of two samples."""
    space = ParameterSpace(seventeen.task.network)
    space = space.restrict(space.theta, torch.tensor([1, 4, 9, 15]))
    inputs, targets = seventeen.task.data
    return space, [
        seventeen.task.with_data((inputs[i : i + 2], targets[i : i + 2])) for i in (0, 2, 4)
    ]


def test_sgd_is_stepping_through_its_batches(batches):
    space, tasks = batches
    maps = [gradient_map(task, space, 0.2, degree=3) for task in tasks]
    lifts = [carleman_linearize(f, 3) for f in maps]
    zero = torch.zeros(space.n, dtype=torch.float64)
    system = history_system(lifts, zero, padding=2)
    Z = solve(system)
    z, u, path = lifts[0].lift(zero), zero, [zero]
    for lift, f in zip(lifts, maps, strict=True):
        z, u = lift.step(z), f(u)
        path.append(lift.project(z))
    torch.testing.assert_close(system.trajectory(Z), torch.stack(path), rtol=1e-12, atol=1e-14)
    assert float((system.extract(Z) - u).norm() / u.norm()) < 0.02  # true SGD, without truncation
    assert (system.steps, system.padding) == (3, 2)
    shuffled = history_system(lifts[::-1], zero, padding=2)
    assert float((shuffled.extract(solve(shuffled)) - system.extract(Z)).norm() / u.norm()) > 1e-3
    fixed = history_system(lifts[0], zero, 3, 2)  # one batch taken for all
    assert float((fixed.extract(solve(fixed)) - system.extract(Z)).norm() / u.norm()) > 1e-2


def test_euler_steps_of_a_forced_equation():
    field = PolynomialField(
        [torch.zeros(1), torch.tensor([[-1.0]]), torch.tensor([[0.3]])],
        lambda t: torch.tensor([0.2 * math.cos(3 * t)]),
    )
    lift = carleman_linearize(field, 3, "plain")
    u0 = torch.tensor([0.4], dtype=torch.float64)
    system = history_system([lift.euler_step(0.05, 0.05 * t) for t in range(20)], u0)
    torch.testing.assert_close(
        system.trajectory(solve(system)), lift.integrate(u0, 0.05, 20), rtol=1e-11, atol=1e-13
    )


def random_sequence(seed, size, steps, n=2, order=2, form="homogenised"):
    rng = np.random.default_rng(seed)
    maps = [
        PolynomialMap(
            [
                torch.from_numpy(size * rng.standard_normal((n, n**k)) / n ** (k / 2))
                for k in range(3)
            ]
        )
        for _ in range(steps)
    ]
    return [carleman_linearize(f, order, form) for f in maps]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("padding", [0, 1, 6])
@pytest.mark.parametrize("size", [0.3, 0.8])
def test_declared_facts_are_the_measured_ones(seed, padding, size):
    lifts = random_sequence(seed, size, steps=5)
    system = history_system(lifts, torch.ones(2), padding=padding)
    dense = system.matrix.to_dense()
    s = torch.linalg.svdvals(dense)
    norm, inverse = float(s[0]), float(1 / s[-1])
    assert norm <= system.norm_bound * (1 + 1e-12) < 2 * norm
    assert inverse <= system.inverse_norm_bound * (1 + 1e-12) < 6 * inverse
    assert norm * inverse <= system.kappa_bound * (1 + 1e-12)
    assert system.sparsity == max(int((dense != 0).sum(0).max()), int((dense != 0).sum(1).max()))
    Z = solve(system)
    measured = float((Z**2 / (Z @ Z)).view(-1, system.block)[5:, :2].sum())
    assert system.success_probability == pytest.approx(measured, rel=1e-10)
    assert system.end_probability(Z) == pytest.approx(measured, rel=1e-10)


def test_bounds_of_the_first_block_alone_are_violated():
    """The planted wrong variant: one step taken for all of them."""
    lifts = random_sequence(0, 0.2, steps=4)
    wild = random_sequence(1, 2.0, steps=2)
    system = history_system([*lifts, *wild], torch.ones(2))
    first = history_system(lifts[0], torch.ones(2), 6)
    s = torch.linalg.svdvals(system.matrix.to_dense())
    assert float(s[0]) > first.norm_bound
    assert float(1 / s[-1]) > first.inverse_norm_bound
    assert float(s[0] / s[-1]) <= system.kappa_bound


def test_the_same_lift_again_and_again_is_gradient_descent(random_step):
    lift = carleman_linearize(random_step(2, 2, seed=0), 2)
    one, many = (
        history_system(lift, torch.ones(2), 4, 2),
        history_system([lift] * 4, torch.ones(2), padding=2),
    )
    torch.testing.assert_close(one.matrix.to_dense(), many.matrix.to_dense())
    assert (one.norm_bound, one.inverse_norm_bound) == (many.norm_bound, many.inverse_norm_bound)


def test_compressed_coordinates_serve_as_well(random_step):
    f, u0 = random_step(2, 2, seed=3), torch.tensor([0.2, -0.4], dtype=torch.float64)
    ends = []
    for symmetric in (False, True):
        system = history_system(carleman_linearize(f, 3, symmetric=symmetric), u0, 5, 1)
        ends.append(system.extract(solve(system)))
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-14)


def test_above_the_dense_limit_the_norm_is_bounded_by_rows_and_columns(random_step):
    large = carleman_linearize(random_step(5, 2, seed=3), 4, "plain")
    assert large.dimension == 780
    system = history_system(large, torch.ones(5), 2)
    assert system.inverse_norm_bound is None
    assert system.kappa_bound is None
    rows, columns, values = (part.numpy() for part in system.entries())
    M = sparse.csr_array((values, (rows, columns)), shape=(system.size, system.size))
    norm, step = (
        float(svds(each, k=1, return_singular_vectors=False, rng=0)[0]) for each in (M, large.rows)
    )
    assert norm <= system.norm_bound
    degrees = [int(np.diff(each.indptr).max()) for each in (large.rows, large.rows.tocsc())]
    # by Cauchy-Schwarz, row by row
    assert system.norm_bound <= 1 + (degrees[0] * degrees[1]) ** 0.25 * step


def test_end_probability_by_hand():
    assert end_probability(3.0, [4.0, 5.0], 1) == pytest.approx(2 * 9 / (16 + 2 * 25))
    assert end_probability(3.0, [4.0, 5.0], 0) == pytest.approx(9 / (16 + 25))


def test_errors(random_step):
    lift, other = (carleman_linearize(random_step(2, 2, seed=0), order) for order in (1, 2))
    u0 = torch.ones(2)
    with pytest.raises(
        ArgumentError,
        match="Argument `steps` must be given where one map serves every step, but is None.",
    ):
        history_system(lift, u0)
    with pytest.raises(
        ArgumentError,
        match="`f` must hold one map or one lift for each of the steps, but is 2 for 3 steps.",
    ):
        history_system([lift, lift], u0, 3)
    with pytest.raises(
        ArgumentError,
        match="Argument `f` must have the same n, order, form, coordinates and scale at every",
    ):
        history_system([lift, other], u0)
    with pytest.raises(
        ArgumentError, match="Argument `f` must hold one map or one lift for each of the steps"
    ):
        history_system([], u0)
