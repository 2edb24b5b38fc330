"""A history made of maps: unit and padding of the fewest queries, the answer that of units of 1."""

import pytest
import torch

import qdescent as qd
from qdescent.carleman.majorant import history_kappa_bound, norms_of

F64 = torch.float64
ZERO = torch.zeros(2, dtype=F64)


def step(pull=1e-2, coupling=0.05, slow=1.0):
    """A neutral mode and a fast one, held by the quadratic term."""
    F2 = torch.tensor([[-1.0, 0.5, 0.0, 0.2], [0.0, 0.3, -0.4, 1.0]], dtype=F64)
    F0 = torch.tensor([pull, -pull], dtype=F64)
    return qd.PolynomialMap([F0, torch.diag(torch.tensor([slow, 0.6], dtype=F64)), coupling * F2])


def kappa(system):
    return float(torch.linalg.cond(system.matrix.to_dense()))


def answer(system):
    return qd.solve(system, qd.Direct()).answer


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_answer_is_that_of_units_of_1_and_takes_fewer_queries(order):
    f, T = step(pull=5.0, coupling=1e-4), 12  # u is far above 1
    system = qd.history_system(f, ZERO, T, order=order)
    plain = qd.history_system(qd.carleman_linearize(f, order), ZERO, T, system.padding)
    torch.testing.assert_close(answer(system), answer(plain), rtol=1e-12, atol=0)
    path = torch.linalg.vector_norm(f.iterate(ZERO, T), dim=1)
    chosen = qd.best_history(norms_of(f, T, order), order, T, path=path)
    assert system.choice == chosen
    assert (system.scale, system.padding) == (chosen.scale, chosen.padding)
    assert kappa(system) <= chosen.kappa_bound
    cost, other = (kappa(one) / one.success_probability**0.5 for one in (system, plain))
    assert cost < (1.001 if order == 1 else 0.5) * other


def test_what_is_given_stands_and_a_lift_keeps_its_own():
    f, T = step(), 6
    given = qd.history_system(f, ZERO, T, 3, order=2, scale=0.25)
    assert (given.scale, given.padding, given.choice.padding) == (0.25, 3, 3)
    assert qd.history_system(f, ZERO, T, order=2, largest=2).padding <= 2
    lift = qd.carleman_linearize(f, 2, scale=0.25)
    own = qd.history_system(lift, ZERO, T, 3)
    torch.testing.assert_close(own.matrix.to_dense(), given.matrix.to_dense(), rtol=0, atol=0)
    bare = qd.history_system(lift, ZERO, T)
    assert (bare.scale, bare.padding, bare.choice) == (0.25, 0, None)


def test_a_map_a_step_is_bounded_by_the_norms_of_all_of_them():
    maps = [step(slow=0.5), step(0.02, slow=1.2), *[step(coupling=0.4, slow=1.2)] * 2]
    system = qd.history_system(maps, ZERO, order=2)
    plain = qd.history_system([qd.carleman_linearize(f, 2) for f in maps], ZERO)
    torch.testing.assert_close(answer(system), answer(plain), rtol=1e-12, atol=0)
    chosen = system.choice
    assert kappa(system) <= chosen.kappa_bound
    # planted: the first map's norms for all
    first = history_kappa_bound(norms_of(maps[0]), 2, 4, chosen.padding, chosen.scale)
    assert first < kappa(system)
    moving = [f.with_momentum(0.5) for f in maps]
    start = torch.zeros(4, dtype=F64)
    end = start
    for f in moving:
        end = f(end)
    found = answer(qd.history_system(moving, start, order=3))
    assert float((found - end).norm() / end.norm()) < 1e-2  # order 3 of four steps


def test_a_map_that_diverges_keeps_units_of_1():
    wild = qd.PolynomialMap([torch.tensor([1.0]), torch.tensor([[3.0]]), torch.tensor([[4.0]])])
    system = qd.history_system(wild, torch.ones(1), 30, order=2)
    assert (system.scale, system.padding, system.choice) == (1.0, 0, None)


def test_refusals():
    f = step()
    lift = qd.carleman_linearize(f, 2)
    other = qd.PolynomialMap([torch.ones(3), torch.eye(3)])
    cases = [
        (lambda: qd.history_system(f, ZERO, 3), "`order` must be given with a map, but is None"),
        (lambda: qd.history_system(f, ZERO, order=2), "`steps` must be given where one map serves"),
        (lambda: qd.history_system(lift, ZERO, 3, order=2), "`order` must be left out with a lift"),
        (lambda: qd.history_system(lift, ZERO, 3, scale=2.0), "`scale` must be left out with a"),
        (lambda: qd.history_system(lift, ZERO, 3, largest=2), "`largest` must be left out with a"),
        (lambda: qd.history_system([f, lift], ZERO, order=2), "`f` must hold maps alone, or lifts"),
        (lambda: qd.history_system([f, other], ZERO, order=2), "`f` must have the same n at every"),
        (lambda: qd.history_system([], ZERO, order=2), "`f` must hold one map or one lift for"),
        (lambda: qd.history_system(f, torch.zeros(3), 3, order=2), "`u0` must have shape"),
        (lambda: qd.history_system(f, ZERO, 3, order=0), "`order` must be"),
        (lambda: qd.history_system(f, ZERO, 3, order=2, scale=0.0), "`scale` must be"),
    ]
    for call, sentence in cases:
        with pytest.raises(qd.ArgumentError, match=sentence):
            call()
    field = qd.PolynomialField([torch.zeros(1), torch.tensor([[-1.0]])])
    for equation, method in ((field, "euler_map"), (qd.carleman_linearize(field, 2), "euler_step")):
        with pytest.raises(qd.ArgumentError, match=rf"`{method}\(h\)` makes one"):
            qd.history_system(equation, torch.ones(1), 3)
    still = qd.PolynomialMap([torch.zeros(2), torch.eye(2)])
    with pytest.raises(qd.ArgumentError, match="`u0` must not be zero where the map has F_0 = 0"):
        qd.history_system(still, ZERO, 3, order=1)
