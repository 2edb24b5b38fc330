"""The best padding against a search over explicit history systems, and the two contractions of
docs/design.md.
"""

import math

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence
from qdescent.carleman.bounds import power_kappa_bound
from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.carleman.padding import best_padding
from qdescent.linalg.polynomial_map import PolynomialMap


def relaxation(radius, steps):
    """z' = radius z + 1 from zero: z_t = (1 - radius^t)/(1 - radius)."""
    return torch.tensor(
        [(1 - radius**t) / (1 - radius) for t in range(steps + 1)], dtype=torch.float64
    )


@pytest.mark.parametrize("amplified", [True, False])
@pytest.mark.parametrize("queries", [float, lambda kappa: kappa**2, lambda kappa: 56 * kappa + 7])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_least_of_all_paddings(seed, queries, amplified):
    rng = np.random.default_rng(seed)
    T = 9
    powers = torch.from_numpy(np.append(1.0, rng.uniform(0.1, 1.3, T)))
    states = torch.from_numpy(rng.uniform(0.1, 1.0, T + 1))
    answer = 0.7 * float(states[-1])
    found = best_padding(powers, states, queries, amplified, answer)
    costs = []
    for p in range(16 * T + 1):
        probability = (
            (p + 1) * answer**2 / float((states[:-1] ** 2).sum() + (p + 1) * states[-1] ** 2)
        )
        costs.append(
            queries(power_kappa_bound(powers, p)) / (probability**0.5 if amplified else probability)
        )
    assert found.padding == int(np.argmin(costs))
    assert found.queries == pytest.approx(min(costs), rel=1e-12)
    assert found.bare_queries == pytest.approx(costs[0], rel=1e-12)
    assert found.kappa == pytest.approx(power_kappa_bound(powers, found.padding), rel=1e-12)


def test_its_figures_are_those_of_the_history_system():
    f = PolynomialMap(
        [
            torch.tensor([0.3]).double(),
            torch.tensor([[0.9]]).double(),
            torch.tensor([[0.05]]).double(),
        ]
    )
    lift, T = carleman_linearize(f, 2), 8
    A, z = lift.to_sparse().to_dense(), [lift.lift(torch.zeros(1).double())]
    for _ in range(T):
        z.append(lift.step(z[-1]))
    powers = torch.stack(
        [torch.linalg.matrix_norm(torch.linalg.matrix_power(A, j), 2) for j in range(T + 1)]
    )
    found = best_padding(
        powers, torch.stack([one.norm() for one in z]), answer_norm=float(z[-1][:1].abs())
    )
    system = history_system(lift, torch.zeros(1).double(), T, found.padding)
    assert found.padding > 0
    assert found.kappa == pytest.approx(system.norm_bound * system.inverse_norm_bound, rel=1e-12)
    solution = torch.linalg.solve(system.matrix.to_dense(), system.rhs)
    assert found.probability == pytest.approx(system.end_probability(solution), rel=1e-9)


def test_a_fast_contraction_wants_none_and_a_slow_one_some():
    """The figures of docs/mathematics.md: T = 128, with amplitude amplification; p = T stands for
    "padding".
    """

    def with_copies(radius):
        z = relaxation(radius, 128)
        p, end = 128, float(z[-1]) ** 2
        probability = (p + 1) * end / (float((z[:-1] ** 2).sum()) + (p + 1) * end)
        return (
            power_kappa_bound(radius ** torch.arange(129, dtype=torch.float64), p)
            / probability**0.5
        )

    fast, slow = (best_padding(radius, relaxation(radius, 128)) for radius in (0.65, 0.988))
    assert (fast.padding, slow.padding) == (0, 30)
    found = fast.queries, with_copies(0.65), slow.bare_queries, slow.queries, with_copies(0.988)
    assert [round(queries) for queries in found] == [53, 367, 1018, 327, 469]
    for queries in (lambda kappa: kappa**2, lambda kappa: 56 * kappa):
        assert best_padding(0.65, relaxation(0.65, 128), queries).padding == 0
        assert best_padding(0.988, relaxation(0.988, 128), queries).padding > 0
    # without amplification the repetitions weigh double: then a few copies pay even for the fast
    # one
    assert 0 < best_padding(0.65, relaxation(0.65, 128), amplified=False).padding < 30


def test_the_search_ends_early_without_missing_the_best():
    z = relaxation(0.9, 30)
    calls = []
    found = best_padding(0.9, z, lambda kappa: calls.append(kappa) or kappa)
    assert found == best_padding(0.9, z, largest=480)
    assert len(calls) < 200 < 481
    assert best_padding(0.9, z, largest=1).padding == 1


def test_large_and_small_norms_do_not_overflow():
    ones = torch.ones(9, dtype=torch.float64)
    for scale in (1e-200, 1e200):
        assert best_padding(1.0, scale * ones) == best_padding(1.0, ones)


def test_rows_have_their_evidence():
    rows = {row.name: row for row in best_padding(0.9, relaxation(0.9, 20)).rows()}
    assert rows["padding/queries"].evidence is Evidence.MODELLED
    assert rows["padding/kappa"].evidence is Evidence.BOUNDED
    assert "sqrt(probability)" in rows["padding/queries"].source
    assert rows["padding/copies"].value == best_padding(0.9, relaxation(0.9, 20)).padding


def test_errors():
    ones = torch.ones(5)
    for bad in (torch.ones(1), torch.zeros(5), torch.tensor([1.0, math.nan, 1.0])):
        with pytest.raises(
            ArgumentError,
            match=r"Argument `state_norms` must be T \+ 1 >= 2 finite norms, the last above zero",
        ):
            best_padding(0.5, bad)
    with pytest.raises(
        ArgumentError, match=r"Argument `power_norms` must have shape \(5,\), as `state_norms` has"
    ):
        best_padding(torch.ones(4), ones)
    with pytest.raises(
        ArgumentError, match=r"Argument `answer_norm` must be in \(0, 1.0\], but is 2"
    ):
        best_padding(0.5, ones, answer_norm=2)
    with pytest.raises(ArgumentError, match="`power_norms` must begin with at least 1, the norm"):
        best_padding(torch.tensor([0.1, 0.5, 0.5]), torch.ones(3))
    with pytest.raises(ArgumentError, match="Argument `power_norms` must leave kappa finite"):
        best_padding(torch.tensor([1.0, math.inf, 1.0, 1.0, 1.0]), ones)
    with pytest.raises(ArgumentError, match="Argument `largest` must be an integer of at least 0"):
        best_padding(0.5, ones, largest=-1)
