"""The history system against its blocks written out, and its declared bounds against measured
norms.
"""

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.bounds import geometric_kappa_bound
from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.carleman.state_norms import end_probability
from qdescent.linalg.polynomial_map import PolynomialMap


def dense_twin(lift, u0, steps, padding):
    A, b, D = lift.to_sparse().to_dense().numpy(), lift.offset.numpy(), lift.dimension
    M, B = np.eye((steps + padding + 1) * D), np.zeros((steps + padding + 1) * D)
    B[:D] = lift.lift(u0).numpy()
    for t in range(steps + padding):
        here, after = slice(t * D, (t + 1) * D), slice((t + 1) * D, (t + 2) * D)
        M[after, here] = -A if t < steps else -np.eye(D)
        B[after] = b if t < steps else 0
    return M, B


def solve(system):
    return torch.linalg.solve(system.matrix.to_dense(), system.rhs)


def norms(system):
    s = torch.linalg.svdvals(system.matrix.to_dense())
    return float(s[0]), float(1 / s[-1])


@pytest.mark.parametrize("form", ["plain", "homogenised"])
@pytest.mark.parametrize(("steps", "padding"), [(1, 0), (3, 0), (2, 1), (3, 4)])
def test_blocks(random_step, form, steps, padding):
    lift = carleman_linearize(random_step(2, 2, seed=0), 2, form)
    u0 = torch.tensor([0.3, -0.1], dtype=torch.float64)
    system = history_system(lift, u0, steps, padding)
    M, B = dense_twin(lift, u0, steps, padding)
    np.testing.assert_array_equal(system.matrix.to_dense(), M)
    np.testing.assert_array_equal(system.rhs, B)
    assert (system.steps, system.padding, system.block, system.variables) == (
        steps,
        padding,
        lift.dimension,
        2,
    )
    one_short, _ = dense_twin(lift, u0, steps - 1, padding + 1)  # a step taken for padding
    assert np.abs(M - one_short).max() > 0.1


@pytest.mark.parametrize("padding", [0, 3])
def test_solution_is_the_trajectory_and_copies_of_its_end(random_step, padding):
    lift = carleman_linearize(random_step(2, 3, seed=4), 3)
    u0 = torch.tensor([0.2, 0.1], dtype=torch.float64)
    system = history_system(lift, u0, 5, padding)
    Z = solve(system)
    z, path = lift.lift(u0), [u0]
    for _ in range(5):
        z = lift.step(z)
        path.append(lift.project(z))
    torch.testing.assert_close(system.trajectory(Z), torch.stack(path), rtol=1e-12, atol=1e-14)
    blocks = Z.view(-1, lift.dimension)
    assert len(blocks) == 6 + padding
    for copy in blocks[5:]:
        torch.testing.assert_close(copy, z, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(system.extract(Z), path[-1], rtol=1e-12, atol=1e-14)
    probabilities = (Z**2 / (Z @ Z)).view(-1, lift.dimension)
    assert system.end_probability(Z) == pytest.approx(float(probabilities[5:, :2].sum()), rel=1e-12)
    assert system.answer_index.shape == (padding + 1, 2)


@pytest.mark.parametrize("form", ["plain", "homogenised"])
@pytest.mark.parametrize("padding", [0, 8])
def test_published_row(quadratic_step, form, padding):
    system = history_system(
        carleman_linearize(quadratic_step, 1, form), torch.zeros(2), steps=8, padding=padding
    )
    np.testing.assert_allclose(
        system.extract(solve(system)), [0.99609375, 1.799774169922], atol=6e-13
    )


def test_padding_raises_the_probability_of_the_end(quadratic_step):
    lift = carleman_linearize(quadratic_step, 1)
    found = [history_system(lift, torch.zeros(2), 8, p) for p in (0, 8)]
    bare, padded = (system.end_probability(solve(system)) for system in found)
    assert bare < 0.3 < 0.6 < padded < 1


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("steps", "padding"), [(6, 0), (6, 6), (2, 5)])
def test_declared_bounds_hold(random_step, seed, steps, padding):
    f = random_step(2, 2, seed, size=0.3 + 0.15 * seed)  # from contraction to divergence
    system = history_system(carleman_linearize(f, 2), torch.ones(2), steps, padding)
    norm, inverse = norms(system)
    assert norm <= system.norm_bound * (1 + 1e-12)
    assert inverse <= system.inverse_norm_bound * (1 + 1e-12)
    assert system.norm_bound < 2 * norm  # and say something
    assert system.inverse_norm_bound < 6 * inverse
    a = float(torch.linalg.matrix_norm(carleman_linearize(f, 2).to_sparse().to_dense(), 2))
    assert norm * inverse <= geometric_kappa_bound(a, steps, padding) * (1 + 1e-12)
    assert system.norm_bound * system.inverse_norm_bound <= geometric_kappa_bound(
        a, steps, padding
    ) * (1 + 1e-12)


def scalar_history(a, steps, padding):
    f = PolynomialMap([torch.tensor([1.0]), torch.tensor([[a]])])
    return history_system(carleman_linearize(f, 1), torch.zeros(1), steps, padding)


@pytest.mark.parametrize("a", [0.3, 0.9, 1.0, 1.2])
@pytest.mark.parametrize(("steps", "padding"), [(1, 0), (20, 0), (20, 20), (3, 20)])
def test_kappa_bound_on_scalars_where_it_is_tightest(a, steps, padding):
    a = float(torch.tensor(a))  # as the map holds it
    norm, inverse = norms(scalar_history(a, steps, padding))
    assert norm * inverse <= geometric_kappa_bound(a, steps, padding) * (1 + 1e-12)


def test_a_bound_that_forgets_the_padding_is_violated():
    norm, inverse = norms(scalar_history(0.5, 5, 40))
    assert norm * inverse > geometric_kappa_bound(0.5, 5, 0)
    assert norm * inverse > 1.5 * sum(0.5**d for d in range(46))


def test_kappa_flattens_for_a_contraction_without_padding_and_grows_with_it(random_step):
    def kappa(steps, padding):
        norm, inverse = norms(history_system(lift, torch.ones(2), steps, padding))
        return norm * inverse

    lift = carleman_linearize(random_step(2, 2, seed=0), 2)
    assert kappa(40, 0) < 1.02 * kappa(20, 0)
    assert kappa(20, 40) > 1.5 * kappa(20, 20)


@pytest.mark.parametrize(
    ("a", "steps", "padding"), [(0.5, 4, 0), (0.5, 4, 3), (1.0, 4, 3), (2.0, 4, 3), (2.0, 1, 0)]
)
def test_bound_formula_written_out(a, steps, padding):
    """max over windows of d successive steps of the product of their norms, window by window."""
    factors = [a] * steps + [1.0] * padding
    total = 0.0
    for d in range(steps + padding + 1):
        total += max(float(np.prod(factors[s : s + d])) for s in range(steps + padding - d + 1))
    assert geometric_kappa_bound(a, steps, padding) == pytest.approx(
        (1 + max(factors)) * total, rel=1e-14
    )


def test_errors(logistic_step, quadratic_step):
    for form in ("plain", "homogenised"):
        with pytest.raises(
            ArgumentError, match="Argument `u0` must not be zero where the map has F_0 = 0"
        ):
            history_system(carleman_linearize(logistic_step, 2, form), torch.zeros(1), 3)
    lift = carleman_linearize(quadratic_step, 1)
    with pytest.raises(
        ArgumentError, match="Argument `steps` must be an integer of at least 1, but is 0."
    ):
        history_system(lift, torch.zeros(2), 0)
    with pytest.raises(
        ArgumentError, match="Argument `padding` must be an integer of at least 0, but is -1."
    ):
        history_system(lift, torch.zeros(2), 1, -1)
    with pytest.raises(ArgumentError, match=r"Argument `u0` must have shape \(2,\)"):
        history_system(lift, torch.zeros(3), 1)
    with pytest.raises(ArgumentError, match=r"Argument `step_norm` must be in \[0, inf\)"):
        geometric_kappa_bound(-1.0, 3)


@pytest.mark.parametrize("padding", [0, 3])
def test_a_step_of_norm_zero_leaves_the_shift_of_the_padding(padding):
    matrix = torch.eye(5 + padding, dtype=torch.float64)
    for t in range(5, 5 + padding):
        matrix[t, t - 1] = -1.0
    assert float(torch.linalg.cond(matrix, 2)) <= geometric_kappa_bound(0.0, 4, padding) * (
        1 + 1e-12
    )
    assert geometric_kappa_bound(0.0, 4) == 1.0


@pytest.mark.parametrize("start", [[0.2], (0.2,), np.array([0.2]), np.array([0.2], np.float32)])
def test_a_start_is_any_row_of_numbers(start):
    f = PolynomialMap([np.array([0.1]), np.array([[0.5]])])
    system = history_system(carleman_linearize(f, 1), start, steps=2)
    answer = system.extract(torch.linalg.solve(system.matrix.to_dense(), system.rhs))
    assert answer.tolist() == pytest.approx([0.1 + 0.5 * (0.1 + 0.5 * 0.2)], rel=1e-6)


@pytest.mark.parametrize("start", [0.2, [0.2, 0.3], [0.2j], [np.nan], "0.2", None, [[0.2]]])
def test_what_is_no_row_of_numbers_is_no_start(start):
    f = PolynomialMap([np.array([0.1]), np.array([[0.5]])])
    with pytest.raises(ArgumentError, match="Argument `u0` must"):
        history_system(carleman_linearize(f, 1), start, steps=2)


@pytest.mark.parametrize("unit", [1.0, 1e-160, 1e-200, 1e-300, 1e155])
def test_the_probability_of_the_end_has_no_units(unit):
    """u <- b + u/2 from 0: 0, b, 3b/2; with one copy more P = 2 (9/4) / (1 + 2 (9/4))."""
    f = PolynomialMap([np.array([unit]), np.array([[0.5]])])
    system = history_system(carleman_linearize(f, 1), [0.0], steps=2, padding=1)
    assert system.success_probability == pytest.approx(4.5 / 5.5)


def test_no_state_has_no_probability():
    with pytest.raises(ArgumentError, match="Argument `norms` must not be zero all together"):
        end_probability(0.0, [0.0, 0.0], 1)
