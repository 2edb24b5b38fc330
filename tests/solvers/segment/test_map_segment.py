"""A segment of an explicit map by polynomials of F_1: equal to its steps, to the series form and to
explicit Carleman.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sparse
import torch
from scipy.sparse.linalg import eigsh
from torch.nn.functional import mse_loss

import qdescent as qd
from qdescent._evidence import Evidence
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.quantum.algorithms import bounded_polynomials, node_polynomials, sharpening
from qdescent.quantum.algorithms.bounded_polynomials import Shape
from qdescent.quantum.algorithms.power_sums import PowerSums, powers
from qdescent.solvers.encodings import ColouredEntries
from qdescent.solvers.polynomials import (
    segment_parts,
    segment_plan,
    segment_search,
)
from qdescent.solvers.polynomials.matrix_route import apply_plan
from qdescent.solvers.segment.map_segment import SegmentStatus, fast_forward_map


def random_map(n, seed, eta=0.3, size=0.05, negative=0.05):
    """Gradient descent on a random cubic: H with a few negative modes, F_2 symmetric."""
    rng = np.random.default_rng(seed)
    h = rng.standard_normal((n, n))
    h = h @ h.T / n - negative * np.eye(n)
    f2 = rng.standard_normal((n, n, n)) * size
    f2 = sum(f2.transpose(p) for p in itertools.permutations(range(3))) / 6
    f0 = rng.standard_normal(n) * size
    return qd.PolynomialMap([f0, np.eye(n) - eta * h, f2.reshape(n, n * n)])


def family():
    """Almost dissipative: one neutral mode, one that is damped."""
    return qd.PolynomialMap(
        [[0.1, 0.1], [[1.0, 0.0], [0.0, 0.6]], [[0.0] * 4, [0.02, 0.0, 0.0, 0.0]]]
    )


def by_steps(f, steps, order):
    """The homogenised order-N solution, step by step."""
    f0, f1, *higher = (F.to_dense().double() for F in f.coefficients[:3])
    f2 = higher[0] if higher else torch.zeros(f.size, f.size**2, dtype=torch.float64)
    first, second = (torch.zeros(f.size, dtype=torch.float64) for _ in range(2))
    for _ in range(steps):
        first, second = f0[:, 0] + f1 @ first, f1 @ second + f2 @ torch.kron(first, first)
    return first + second if order == 2 else first


def distance(found, exact):
    return float((found - exact).norm() / exact.norm())


@pytest.mark.parametrize("epsilon", [1e-2, 1e-4, 1e-7])
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 30])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_equals_the_steps_within_the_bound(n, order, steps, epsilon):
    f = random_map(n, seed=n)
    found = fast_forward_map(f, steps, order, epsilon)
    off = distance(found.value, by_steps(f, steps, order))
    assert off <= found.bound + 1e-12
    assert found.bound <= epsilon
    assert found.status is SegmentStatus.REACHED
    assert found.cost.number("queries") == found.cost.number("declared_queries")


@pytest.mark.parametrize(
    "f",
    [
        random_map(3, 5, eta=1.1, negative=0.0),  # negative eigenvalues of F_1
        random_map(3, 6, eta=0.05, negative=0.6),  # divergent modes
        family(),
        qd.PolynomialMap([[1.0, 2.0], -0.5 * np.eye(2), np.zeros((2, 4))]),
        qd.PolynomialMap([[1e-170, 2e-170], [[0.9, 0.1], [0.1, 0.5]], 1e150 * np.ones((2, 4))]),
        qd.PolynomialMap([[1e150, 2e150], [[0.9, 0.1], [0.1, 0.5]], 1e-153 * np.ones((2, 4))]),
    ],
    ids=["negative", "divergent", "family", "one eigenvalue", "tiny", "huge"],
)
@pytest.mark.parametrize("order", [1, 2])
def test_equals_the_steps_of_odd_maps(f, order):
    found, exact = fast_forward_map(f, 12, order, 1e-6), by_steps(f, 12, order)
    scale = float(exact.abs().max())
    assert distance(found.value / scale, exact / scale) <= found.bound + 1e-12 <= 2e-6


def test_equals_series_descent_and_explicit_carleman_on_a_network():
    network = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Tanh()).double()
    network[0].weight.data.fill_(0.4)
    network[0].bias.data.fill_(-0.2)
    data = torch.tensor([[0.5], [-1.0]]).double(), torch.tensor([[0.7], [0.1]]).double()
    task, space = qd.Task(network, mse_loss, data), qd.ParameterSpace(network)
    f = qd.gradient_map(task, space, 0.2, degree=2)
    for order in (1, 2):
        lift = carleman_linearize(f, order=order)
        z = lift.lift(torch.zeros(2).double())
        for _ in range(12):
            z = lift.step(z)
        series = qd.series_descent(task, space, order, 12, 0.2)
        found = fast_forward_map(f, 12, order, 1e-10, nodes=12)
        assert distance(found.value, lift.project(z)) < 1e-9
        assert distance(found.value, series.value) < 1e-9
    errors = [
        distance(fast_forward_map(f, 12, 2, 1e-9, nodes=nodes).value, series.value)
        for nodes in (1, 2, 3, 4)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-2 * errors[0]


def test_queries_grow_as_the_root_of_the_steps():
    """The almost dissipative family, from T = 16 to 1,024; the history's grow as T at least."""
    steps = [16, 32, 64, 128, 256, 512, 1024]
    queries = [fast_forward_map(family(), T, 1, 1e-4).cost.number("queries") for T in steps]
    slope = np.polyfit(np.log(steps), np.log(queries), 1)[0]
    assert 0.4 <= slope <= 0.6


def test_the_cost_does_not_grow_with_the_steps_at_a_given_time():
    queries = [
        fast_forward_map(random_map(3, 2, eta=8 / T), T, 1, 1e-4).cost.number("queries")
        for T in (400, 4000, 40_000)
    ]
    assert max(queries) <= 1.2 * min(queries)


def test_planted_faults_are_rejected(monkeypatch):
    f = random_map(2, 3)
    exact = by_steps(f, 20, 2)
    right = segment_search.plan_segment(f, 20, 2, 1e-6, None, ColouredEntries())
    assert distance(torch.from_numpy(right.length * apply_plan(right).value), exact) < 1e-6

    # alpha left out: the polynomials see another matrix
    unscaled = segment_plan.SegmentPlan(**{**right.__dict__, "matrix": right.matrix * right.alpha})
    assert distance(torch.from_numpy(right.length * apply_plan(unscaled).value), exact) > 1e-2

    # node weights off by one: step t's weight on y^{T-t}
    rule = node_polynomials.gram_rule

    def shifted(steps, nodes):
        made = rule(steps, nodes)
        return type(made)(made.nodes, made.weights, np.roll(made.interpolation, 1, axis=0))

    monkeypatch.setattr(node_polynomials, "gram_rule", shifted)
    wrong = segment_search.plan_segment(f, 20, 2, 1e-6, 5, ColouredEntries())
    off = distance(torch.from_numpy(wrong.length * apply_plan(wrong).value), exact)
    assert off > 1e-4
    assert not wrong.resolved
    assert wrong.error / np.linalg.norm(exact / wrong.length) > 1e-4  # and the plan knows it


def test_statuses():
    few = fast_forward_map(family(), 40, 2, 1e-6, nodes=1)
    assert few.status is SegmentStatus.UNRESOLVED
    assert few.bound > distance(few.value, by_steps(family(), 40, 2)) > 1e-3
    # eta beyond 2/lambda: an eigenvalue of F_1 below -1
    beyond = qd.PolynomialMap([[1.0, 1.0], [[-1.2, 0.0], [0.0, 0.9]], np.zeros((2, 4))])
    found = fast_forward_map(beyond, 30, 1)
    assert found.status is SegmentStatus.UNSTABLE
    assert distance(found.value, by_steps(beyond, 30, 1)) < 1e-4
    divergent = qd.PolynomialMap([[1.0, 1.0], [[1.1, 0.0], [0.0, 0.9]], np.zeros((2, 4))])
    assert fast_forward_map(divergent, 40, 1).status is SegmentStatus.UNSTABLE
    # T even and an eigenvalue -1: there u vanishes, the rest is still right
    zero = qd.PolynomialMap([[1.0, 1.0], [[-1.0, 0.0], [0.0, 0.9]], np.zeros((2, 4))])
    assert distance(fast_forward_map(zero, 30, 1).value, by_steps(zero, 30, 1)) < 1e-4


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"steps": 0}, "`steps` must be an integer"),
        ({"order": 3}, "`order` must be 1 or 2"),
        ({"epsilon": 0.0}, "`epsilon` must be in"),
        ({"epsilon": 1e-12}, "`epsilon` must be at least 1e-10"),
        ({"nodes": 21}, "`nodes` must be at most 20"),
        ({"f": [family()] * 20}, "`f` must be one PolynomialMap .maps that change"),
        ({"f": family().with_momentum(0.5)}, "`f` must have a symmetric F_1"),
        ({"f": qd.PolynomialMap([[0.0], [[0.5]]])}, "`f` must have an F_0 other than zero"),
        ({"f": qd.PolynomialMap([[1.0], [[0.0]]])}, "`f` must have an F_1 other than zero"),
        ({"f": qd.PolynomialMap([[1.0], [[3.0]]])}, "`steps` must keep every mode's growth"),
        ({"f": None}, "`f` must be a PolynomialMap"),
        ({"encoding": "balanced"}, "`encoding` must be"),
    ],
)
def test_refusals(changed, sentence):
    with pytest.raises(qd.ArgumentError, match=sentence):
        fast_forward_map(**{"f": family(), "steps": 20, **changed})


def test_the_degree_is_least_without_a_shift_only_where_none_helps():
    plan = segment_search.plan_segment(family(), 100, 1, 1e-4, None, ColouredEntries())
    assert plan.shift == pytest.approx(0.8)
    assert plan.alpha == pytest.approx(0.2)
    assert plan.outer_degree < 41 / 2  # of c = 0
    assert math.isclose(plan.growth, 1.0)


def test_single_precision_and_other_encodings():
    f = random_map(3, 8)
    single = qd.PolynomialMap([F.float() for F in f.coefficients])
    found = fast_forward_map(single, 10, 2, 1e-3)
    assert found.value.dtype is torch.float32
    assert distance(found.value.double(), by_steps(f, 10, 2)) < 1e-3
    coloured = fast_forward_map(f, 10, 2, 1e-5, encoding=ColouredEntries())
    assert distance(coloured.value, by_steps(f, 10, 2)) < 1e-5


def test_a_sampled_error_is_no_bound():
    def evidence(n, order):
        found = fast_forward_map(random_map(n, seed=n), steps=12, order=order)
        return found.cost["bound"].evidence

    assert evidence(3, 2) == evidence(20, 1) == Evidence.BOUNDED
    assert evidence(20, 2) == Evidence.MODELLED


def frustrated(n, seed, size=0.01):
    """An F_1 whose moduli have a larger norm than 1, its largest eigenvalue: signs that no change
    of the coordinates' signs removes.
    """
    rng = np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.normal(size=(n, n)))[0]
    third = rng.normal(size=(n, n, n))
    third = sum(np.transpose(third, order) for order in itertools.permutations(range(3))) * size / 6
    linear = vectors @ np.diag(np.linspace(1.0, 0.2, n)) @ vectors.T
    return qd.PolynomialMap([0.02 * rng.normal(size=n), linear, third.reshape(n, n * n)])


@pytest.mark.parametrize(
    ("order", "gain"), [(1, 1e3), pytest.param(2, 1e5, marks=pytest.mark.slow)]
)
def test_moduli_that_no_eigenvalue_has_are_let_down(order, gain, monkeypatch):
    """c + alpha = 1.054: (c + alpha)^256 is 7e5, and a cut series pays for it in success."""
    f, T = frustrated(4, seed=2), 256
    found = fast_forward_map(f, T, order, 1e-4)
    assert found.status is SegmentStatus.REACHED
    assert distance(found.value, by_steps(f, T, order)) <= found.bound <= 1e-4
    assert found.cost.number("queries") == found.cost.number("declared_queries")
    amplified = found.cost.number("amplified_queries")
    monkeypatch.setattr(sharpening, "WASTED", math.inf)
    plain = fast_forward_map(f, T, order, 1e-4)
    assert distance(plain.value, found.value) <= 2e-4
    assert plain.cost.number("amplified_queries") > gain * amplified


def test_both_ends_are_let_down():
    """c + alpha = 1.45 and eigenvalues at either end: a cut series succeeds once in 1e33."""
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    linear = vectors @ np.diag(np.linspace(1, -0.95, 6)) @ vectors.T
    f = qd.PolynomialMap([0.02 * rng.normal(size=6), linear])
    found = fast_forward_map(f, 128, 1, 1e-4)
    assert found.status is SegmentStatus.REACHED
    assert distance(found.value, by_steps(f, 128, 1)) <= found.bound <= 1e-4
    assert found.cost.number("success_probability") > 1e-3


def test_powers_beyond_every_float_are_refused():
    """1.4^4000: no series of it, and a step so steep that none can be had."""
    f = frustrated(16, seed=0)
    with pytest.raises(qd.ArgumentError, match="Argument `steps` must leave polynomials of F_1"):
        fast_forward_map(f, 4000, 1)


@pytest.mark.parametrize(
    ("matrix", "rhs", "answer"),
    [
        ([[1, -1 / 3], [-1 / 3, 1]], [1, 0], [1.125, 0.375]),
        (
            [[0.78, -0.01, -0.16, -0.1], [-0.01, 0.57, -0.03, 0.08],
             [-0.16, -0.03, 0.69, -0.15], [-0.1, 0.08, -0.15, 0.88]],
            [1, 1, 1, 1],
            None,
        ),
    ],
    ids=["arXiv:1302.1210", "four"],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_long_segment_solves_a_published_system(matrix, rhs, answer, dtype):
    """u <- u - eta (M u - b) ends at M^-1 b: the systems that every linear solver is held to."""
    M, b = torch.tensor(matrix, dtype=dtype), torch.tensor(rhs, dtype=dtype)
    f = qd.PolynomialMap([0.9 * b, torch.eye(len(b), dtype=dtype) - 0.9 * M])
    found = fast_forward_map(f, 60, 1, 1e-6)
    exact = torch.linalg.solve(M.double(), b.double())
    assert found.status is SegmentStatus.REACHED
    assert found.value.dtype == dtype
    assert distance(found.value.double(), exact) < 3e-6
    if answer is not None:
        assert exact.tolist() == pytest.approx(answer)
    assert found.cost.number("queries") < 60  # the planted cost of taking the steps


def turned_away(slow=0.04, coupling=0.05):
    """A mode that hardly shrinks, in which F_0 has little, beside a fast one that has the rest."""
    return qd.PolynomialMap(
        [
            [math.sqrt(1 - slow**2), slow],
            [[0.68, 0.0], [0.0, 0.997]],
            [[-coupling, 0.01, 0.01, 0.0], [0.01, 0.0, 0.0, 0.02]],
        ]
    )


def until_success(cost):
    """Repeated, or amplified, whichever takes fewer queries."""
    return min(cost.number("expected_queries"), cost.number("amplified_queries"))


@pytest.mark.parametrize(("order", "gain"), [(1, 2.5), (2, 5)])
@pytest.mark.parametrize("steps", [20, 64])
def test_a_start_is_sharpened_where_the_slow_modes_are_hardly_in_it(
    order, gain, steps, monkeypatch
):
    f = turned_away()
    found = fast_forward_map(f, steps, order, 1e-4)
    assert found.status is SegmentStatus.REACHED
    assert distance(found.value, by_steps(f, steps, order)) <= found.bound <= 1e-4
    assert found.cost.number("start_queries") > 1
    assert found.cost.number("queries") == found.cost.number("declared_queries")
    monkeypatch.setattr(segment_search, "WORTH", math.inf)
    plain = fast_forward_map(f, steps, order, 1e-4)
    assert plain.cost.number("start_queries") == 0
    assert distance(plain.value, found.value) <= 2e-4
    assert until_success(plain.cost) > gain * until_success(found.cost)


@pytest.mark.parametrize("case", ["order 1", "order 2", "order 2, let down"])
def test_no_start_of_another_sharpness_takes_fewer_queries(case, monkeypatch):
    """Against all floors of the grid, and halves alone, which take a seventh more at order 1."""
    f, order, prices = turned_away(), int(case[6]), []
    if "let down" in case:
        f = frustrated(3, seed=2)

    def every_place(at):
        plans = [at(place) for place in range(24)]
        prices.append(min(plan.cost for plan in plans))
        return min(plans, key=lambda plan: plan.cost)

    found = until_success(fast_forward_map(f, 20, order, 1e-4).cost)
    with monkeypatch.context() as patch:
        patch.setattr(segment_search, "cheapest_place", every_place)
        least = until_success(fast_forward_map(f, 20, order, 1e-4).cost)
    assert prices
    assert not any(missed for missed, _ in prices)
    assert found <= 1.02 * least
    if order == 1:
        monkeypatch.setattr(sharpening, "HALVING", 1)
        assert until_success(fast_forward_map(f, 20, 1, 1e-4).cost) > 1.1 * least


def neutral(share, size=0.02):
    """diag(1, 0.6): so much of F_0 in the mode that does not shrink."""
    start = size * np.array([share, math.sqrt(1 - share**2)])
    return qd.PolynomialMap([start, np.diag([1.0, 0.6])])


def test_until_success_the_queries_grow_as_what_no_method_avoids():
    """T over ||u_T||/||F_0|| is by how much the share of the neutral mode must be raised: half of
    it is a bound from below for whoever asks a block-encoding. Where both modes have their share it
    does not grow, and the root of T is left.
    """
    steps = np.array([16, 32, 64, 128, 256, 512, 1024])
    cases = (0.005, 0, 0.7, 0.8), (0.7, 0, 0.4, 0.6), (0.005, 12, 0.4, 0.6)
    for share, first, low, high in cases:
        f, values = neutral(share), []
        u = f.iterate(torch.zeros(2, dtype=torch.float64), first)[-1]  # taken classically
        for T in steps.tolist():
            found = fast_forward_map(f.recentred(u), T, 1, 1e-3)
            assert distance(u + found.value, by_steps(f, first + T, 1)) < 1e-3
            values.append(until_success(found.cost))
            if not first:
                raised = T * 0.02 / float(found.value.norm())
                assert values[-1] >= (raised - 1e-3 / share - 1) / 2
        assert low <= np.polyfit(np.log(steps), np.log(values), 1)[0] <= high


def test_until_success_the_queries_grow_as_the_steps_and_hardly_faster():
    """A neutral mode with little of the gradient: 1.4 at order 1 and above 2 at order 2 before."""
    slopes, steps = [], [32, 64, 128, 256, 512]
    coupling = 0.01 * np.array([[-1.0, -0.5, -0.5, 0.3], [-0.5, 0.3, 0.3, 1.0]])
    f = qd.PolynomialMap([[1e-4, 0.02], [[1.0, 0.0], [0.0, 0.6]], coupling])
    for order in (1, 2):
        values = [until_success(fast_forward_map(f, T, order, 1e-3).cost) for T in steps]
        slopes.append(np.polyfit(np.log(steps), np.log(values), 1)[0])
    assert slopes[0] < 0.85
    assert slopes[1] < 1.2


@pytest.mark.parametrize("floor", [0.5, 0.03, 0.001])
def test_a_quotient_is_one(floor):
    """q/g against its values, and the bound on it in the window."""
    weights = np.arange(1.0, 61)
    sums = PowerSums(weights[None], 0.7, 0.3)
    found = bounded_polynomials.cut_series(sums, np.zeros(1), floor)[0].coefficients
    s = np.linspace(-1, 1, 501)
    y = 0.7 + 0.3 * s
    exact = sum(w * y**t for t, w in enumerate(weights)) / (1 - (1 - floor) * (1 - s) / 2)
    np.testing.assert_allclose(
        np.polynomial.chebyshev.chebval(s, found), exact, atol=1e-13 * np.abs(exact).max() / floor
    )
    window = (0.5, 0.98)
    inside = np.abs(exact[(y >= window[0]) & (y <= window[1])]).max()
    bound = bounded_polynomials.largest(sums, Shape(window, floor))[0]
    assert inside <= bound <= 2 * inside
    # planted: the divisor of another floor
    wrong = bounded_polynomials.cut_series(sums, np.zeros(1), floor / 2)[0]
    assert not np.allclose(wrong(s), exact)


def test_the_sum_of_powers_in_closed_form():
    """Near 1, beyond it, and of negative y, against sums of fractions."""
    y = np.array([-1.001, -0.5, 0.0, 0.3, 1 - 1e-9, 1.0, 1 + 1e-12, 1.0005])
    exact = [float(sum(Fraction(each) ** t for t in range(300))) for each in y]
    found = powers(np.ones((1, 300)), y)[0]
    np.testing.assert_allclose(found, exact, rtol=1e-14)


def test_the_ends_of_many_eigenvalues_hold_them():
    """More weights than are taken apart: rows of zeros make an eigenvalue 1 of many vectors, at
    which a solver for one of them does not converge.
    """
    n = 2_100
    A = sparse.random(n, n, 1e-3, random_state=0)
    A = (A + A.T) / abs(A + A.T).sum(1).max()
    step = sparse.csr_array(sparse.eye(n) - 0.3 * A @ A.T)
    low, high = segment_parts.extremes(step)
    assert (abs(A).sum(1) == 0).any()  # there F_1 is 1
    exact = eigsh(2 * sparse.eye(n) - step, k=1, which="LA", return_eigenvectors=False)[0]
    assert 2 - exact - 1e-5 <= low <= 2 - exact + 1e-12
    assert 1 - 1e-12 <= high <= 1 + 1e-5


@pytest.mark.parametrize("a", [-0.999, -0.9999])
@pytest.mark.parametrize("epsilon", [1e-4, 1e-6])
def test_terms_that_cancel_are_taken_more_closely(a, epsilon):
    """Of an even T (1 - a^T)/(1 - a) is small beside its terms; a plan's epsilon is relative to
    these.
    """
    f = qd.PolynomialMap([[0.1, 0.1], [[a, 0.0], [0.0, a]]])
    found = fast_forward_map(f, 20, order=1, epsilon=epsilon)
    exact = float(sum(Fraction(a) ** t for t in range(20))) * 0.1
    assert found.status is SegmentStatus.REACHED
    assert (
        distance(found.value, torch.full((2,), exact, dtype=torch.float64))
        <= found.bound
        <= epsilon
    )
    plain = apply_plan(segment_search.plan_segment(f, 20, 1, epsilon, None, ColouredEntries()))
    assert plain.queries < found.cost.number("queries")


def test_what_cancels_wholly_says_so_and_a_step_more_leaves_more():
    f = qd.PolynomialMap([[0.1, 0.1], [[-1.0, 0.0], [0.0, -1.0]]])
    gone = fast_forward_map(f, 20, order=1, epsilon=1e-6)
    assert gone.status is SegmentStatus.CANCELLED
    assert gone.bound == np.inf
    assert fast_forward_map(f, 21, order=1, epsilon=1e-6).status is SegmentStatus.REACHED
