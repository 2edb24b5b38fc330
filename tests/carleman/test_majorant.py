"""The scalar majorant bounds kappa of every history system: random maps, dense singular values,
planted smaller norms.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

import qdescent as qd
from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.carleman.majorant import history_kappa_bound, norms_of
from qdescent.linalg.map_norms import MapNorms


def kappa(f, order, steps, padding, scale=1.0, symmetric=False):
    """||M|| ||M^-1|| by dense singular values."""
    lift = carleman_linearize(f.rescaled(scale), order, symmetric=symmetric)
    system = history_system(lift, torch.full((f.size,), 0.1).double(), steps, padding)
    values = np.linalg.svd(system.matrix.to_dense().numpy(), compute_uv=False)
    return values[0] / values[-1]


def random_map(rng, kind):
    """Symmetric, triangular (not normal) or full F_1 of norm .5 to 1.05; F_0 and F_2 of any size
    below .3.
    """
    n = int(rng.integers(2, 5))
    F1 = rng.normal(size=(n, n))
    F1 = (F1 + F1.T) / 2 if kind == 0 else np.triu(F1) if kind == 1 else F1
    F1 *= rng.uniform(0.5, 1.05) / np.linalg.norm(F1, 2)
    F2 = rng.normal(size=(n, n * n)) * rng.uniform(0, 0.15)
    F0 = rng.normal(size=n) * rng.uniform(0, 0.3)
    return qd.PolynomialMap([torch.tensor(F0), torch.tensor(F1), torch.tensor(F2)])


def quotients(count, seed):
    rng = np.random.default_rng(seed)
    for k in range(count):
        f = random_map(rng, k % 3)
        order = int(rng.integers(1, 4))
        # 152 words of four letters at order 3: a dense matrix of 1,200 rows at four steps
        steps, padding = (
            int(rng.choice([4, 8] if f.size**order < 27 else [4])),
            int(rng.integers(4)),
        )
        scale = float(rng.choice([0.5, 1.0, 2.0]))
        bound = history_kappa_bound(norms_of(f, steps, order), order, steps, padding, scale)
        yield bound / kappa(f, order, steps, padding, scale)


def check(found):
    assert min(found) >= 1
    assert np.median(found) < 1.5
    assert np.quantile(found, 0.95) < 2
    assert max(found) < 3


def test_it_bounds_random_maps():
    check(list(quotients(40, seed=0)))


@pytest.mark.slow
def test_it_bounds_a_thousand_random_maps():
    check(list(quotients(1000, seed=1)))


def test_in_symmetric_coordinates_it_is_no_bound_without_a_factor():
    """Monomials of weight 1 are no isometric coordinates of the symmetric words: kappa may be up to
    3! as large, and it is larger than the bound on some maps.
    """
    rng, above = np.random.default_rng(5), 0
    for k in range(60):
        f = random_map(rng, k % 3)
        if f.size > 2:
            continue
        bound = history_kappa_bound(norms_of(f, 4, 3), 3, 4, 1, 2.0)
        full, symmetric = (kappa(f, 3, 4, 1, 2.0, symmetric=each) for each in (False, True))
        assert full <= bound
        assert symmetric <= 6 * full
        above += symmetric > bound
    assert above


def test_a_planted_smaller_norm_is_caught():
    """A diagonal map reaches its majorant: with a norm a tenth smaller it is no bound any more."""
    F2 = torch.zeros(2, 4).double()
    F2[0, 0] = 0.3
    f = qd.PolynomialMap(
        [torch.tensor([0.2, 0.0]).double(), torch.diag(torch.tensor([1.0, 0.5])).double(), F2]
    )
    norms, truth = norms_of(f), kappa(f, 2, 8, 2)
    assert truth <= history_kappa_bound(norms, 2, 8, 2) < 1.6 * truth
    for planted in (
        MapNorms(constant=norms.constant, linear=0.7, higher=norms.higher),
        MapNorms(constant=norms.constant, linear=norms.linear, higher=(0.0,)),
    ):
        assert history_kappa_bound(planted, 2, 8, 2) < truth


@pytest.mark.parametrize(("order", "steps", "padding"), [(1, 5, 0), (2, 6, 2), (3, 5, 3)])
def test_a_map_of_one_variable_is_its_own_majorant(order, steps, padding):
    coefficients = [[0.2], [[0.9]], [[0.3]], [[0.1]]]
    f = qd.PolynomialMap([torch.tensor(F).double() for F in coefficients])
    truth = kappa(f, order, steps, padding)
    assert truth <= history_kappa_bound(norms_of(f), order, steps, padding) < 1.1 * truth


def test_powers_of_a_matrix_that_is_not_normal_are_sharper():
    F1 = torch.tensor([[0.9, 0.8], [0.0, 0.9]]).double()
    f = qd.PolynomialMap([torch.tensor([0.1, 0.1]).double(), F1, 0.01 * torch.ones(2, 4).double()])
    plain = history_kappa_bound(norms_of(f), 2, 20)
    sharp = history_kappa_bound(norms_of(f, 20), 2, 20)
    assert kappa(f, 2, 20, 0) <= sharp < plain / 10


def test_units_decide_the_exponent():
    """A neutral mode: kappa grows as T^2 and T^3 as it stands, about as T in units of T ||F_0||."""
    norms = MapNorms(constant=0.1, linear=1.0, higher=(1e-4,))
    slopes = {}
    for order in (2, 3):
        for name, scale in (("unscaled", lambda T: 1.0), ("scaled", lambda T: 0.1 * T)):
            low, high = (history_kappa_bound(norms, order, T, T // 4, scale(T)) for T in (64, 128))
            slopes[order, name] = np.log2(high / low)
    assert slopes[2, "unscaled"] > 1.6
    assert slopes[3, "unscaled"] > 2.4
    assert slopes[2, "scaled"] < 1.15 > slopes[3, "scaled"]


def drifting():
    """A neutral mode that is hardly driven, beside a fast one that is."""
    F2 = 1e-3 * torch.tensor([[-1.0, 0.5, 0.5, 0.3], [0.5, 0.3, 0.3, 1.0]])
    return qd.PolynomialMap(
        [torch.tensor([1e-4, 0.02]).double(), torch.diag(torch.tensor([1.0, 0.6])).double(), F2]
    )


@pytest.mark.parametrize("order", [2, 3])
def test_where_f0_points_matters(order):
    """||F_0|| alone has a fast mode drift as if it were the neutral one."""
    f, T, p, scale = drifting(), 24, 6, 0.05
    norms, truth = norms_of(f, T), kappa(f, order, T, p, scale)
    blind = MapNorms(constant=norms.constant, linear=norms.linear, higher=norms.higher)
    bound = history_kappa_bound(norms, order, T, p, scale)
    assert truth <= bound < (1.6 if order == 2 else 2.4) * truth
    assert history_kappa_bound(blind, order, T, p, scale) > 2 * bound
    with pytest.raises(qd.ArgumentError, match="`drift` must begin with 0 and"):
        replace(norms, drift=tuple(0.5 * each for each in norms.drift))
    planted = replace(norms, drift=(*norms.drift[:2], *(0.0 for _ in norms.drift[2:])))
    assert history_kappa_bound(planted, order, T, p, 0.01) < kappa(f, order, T, p, 0.01)


@pytest.mark.parametrize("order", [2, 3])
def test_where_f2_points_matters(order):
    """Of a coupling that drives a fast mode alone, the neutral one gathers nothing."""
    F2 = torch.zeros(2, 4).double()
    F2[1, 3], F2[1, 0] = -0.14, 0.05
    f = qd.PolynomialMap(
        [torch.tensor([1e-3, 0.1]).double(), torch.diag(torch.tensor([1.0, 0.6])).double(), F2]
    )
    norms, T, p, scale = norms_of(f, 24, order), 24, 6, 2.0
    truth, bound = kappa(f, order, T, p, scale), history_kappa_bound(norms, order, T, p, scale)
    assert truth <= bound < 1.6 * truth
    assert history_kappa_bound(replace(norms, words=None), order, T, p, scale) > 2.5 * bound
    planted = replace(norms, words=tuple((0.0,) * 25 for _ in norms.words))
    assert history_kappa_bound(planted, order, T, p, 5.0) < kappa(f, order, T, p, 5.0)


def test_a_letter_has_of_a_word_what_the_carleman_matrix_says():
    """The blocks of A^t in one letter's rows, word by word, of the lifted matrix as it is."""
    rng = np.random.default_rng(7)
    n, order, steps = 2, 3, 5
    F = [rng.normal(size=shape) for shape in ((n,), (n, n), (n, n**2), (n, n**3))]
    f = qd.PolynomialMap([torch.tensor(each) for each in F])
    # letters (w, u): G_1 = [[1, 0], [F_0, F_1]], and F_2, F_3 on letters u alone
    m = n + 1
    G = [np.zeros((m, m**k)) for k in (1, 2, 3)]
    G[0][0, 0], G[0][1:, :1], G[0][1:, 1:] = 1, F[0][:, None], F[1]
    for k in (2, 3):
        letters = [i for i in np.ndindex(*(m,) * k) if all(i)]
        G[k - 1][1:, [np.ravel_multi_index(i, (m,) * k) for i in letters]] = F[k]
    row = [np.eye(m), np.zeros((m, m**2)), np.zeros((m, m**3))]
    for _ in range(steps):  # a letter's row of A^t times A, kept to three letters
        first, second, third = row
        double = np.kron(G[0], G[1]) + np.kron(G[1], G[0])
        row = [
            first @ G[0],
            first @ G[1] + second @ np.kron(G[0], G[0]),
            first @ G[2] + second @ double + third @ np.kron(np.kron(G[0], G[0]), G[0]),
        ]
    norms = norms_of(f, steps, order)
    for length in (2, 3):
        block = row[length - 1][1:].reshape(n, *(m,) * length)
        for word in np.ndindex(*(2,) * length):
            part = block[(slice(None), *(slice(1, None) if u else slice(0, 1) for u in word))]
            truth = np.linalg.norm(part.reshape(n, -1), 2)
            assert norms.of_word(word)[steps] == pytest.approx(truth, rel=1e-9)
            scaled = norms.scaled(0.5).of_word(word)[steps]
            assert scaled == pytest.approx(truth * 0.5 ** (sum(word) - 1), rel=1e-9)


def test_what_is_known_of_the_words_bounds_the_rest():
    rng = np.random.default_rng(3)
    f = random_map(rng, 2)
    whole, part = (norms_of(f, steps, 3) for steps in (12, 5))
    exact, less = (history_kappa_bound(norms, 3, 12, 2) for norms in (whole, part))
    assert kappa(f, 2, 12, 2) <= exact <= less <= history_kappa_bound(norms_of(f, 12), 3, 12, 2)
    short = norms_of(f, 12, 2)  # of longer words sums of products
    assert len(short.of_word((1, 1))) == 13
    assert len(short.of_word((1, 1, 0))) == 0
    assert exact <= history_kappa_bound(short, 3, 12, 2)


def test_of_a_large_map_or_one_that_diverges_less_is_known():
    wide = qd.PolynomialMap([torch.ones(41), torch.eye(41), torch.zeros(41, 41**2)])
    assert norms_of(wide, 2, 3).words is None
    wild = qd.PolynomialMap([torch.ones(1), torch.eye(1), 1e80 * torch.ones(1, 1).double()])
    assert 1 < len(norms_of(wild, 60, 3).of_word((1, 1, 1))) < 60


def test_what_is_known_of_the_drift_bounds_the_rest():
    f = drifting()
    whole, part = norms_of(f, 40), norms_of(f, 9)
    truth = whole.drift_bounds(40)
    u = torch.zeros(2).double()
    for t in range(41):
        assert truth[t] == pytest.approx(float(torch.linalg.vector_norm(u)), rel=1e-12)
        u = f.coefficients[0].to_dense()[:, 0] + f.coefficients[1].to_dense() @ u
    found = part.drift_bounds(40)
    assert np.allclose(found[:10], truth[:10], rtol=1e-12)
    assert (found >= truth * (1 - 1e-12)).all()
    assert found[40] < part.constant * 40 / 1.5  # the sum of ||F_1^s|| ||F_0||
    assert np.array_equal(part.scaled(0.5).drift_bounds(40), 2 * found)
    assert np.array_equal(part.drift_bounds(3), found[:4])


def test_ten_thousand_steps_are_no_matter():
    norms = MapNorms(constant=1e-5, linear=1.0, higher=(1e-6,))
    bound = history_kappa_bound(norms, 3, 10_000, 2_500, scale=0.1)
    assert np.isfinite(bound)
    assert bound > 4 * 2501 / np.pi  # the padding alone


def test_what_overflows_is_infinite():
    assert history_kappa_bound(MapNorms(constant=0.1, linear=50.0), 3, 1000) == np.inf


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"constant": -1.0, "linear": 1.0}, "`constant` must be in"),
        ({"constant": 1.0, "linear": float("nan")}, "`linear` must be in"),
        ({"constant": 1.0, "linear": 1.0, "higher": ("a",)}, "`higher` must be"),
        ({"constant": 1.0, "linear": 1.0, "powers": (1.0,)}, "`powers` must begin"),
        ({"constant": 1.0, "linear": 1.0, "drift": (0.0, -1.0)}, "`drift` must be in"),
        ({"constant": 1.0, "linear": 1.0, "words": ((1.0,),) * 5}, "`words` must hold norms"),
        ({"constant": 1.0, "linear": 1.0, "words": ((-1.0,),) * 4}, "`words` must be in"),
    ],
)
def test_refusals(given, sentence):
    with pytest.raises(qd.ArgumentError, match=sentence):
        MapNorms(**given)
