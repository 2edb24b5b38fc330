"""Dissipation on spectra that are known."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qdescent._checks import ArgumentError
from qdescent.carleman.dissipation import diagnose
from qdescent.carleman.growth import step_factor, step_gain
from qdescent.linalg.spectra.density import spectral_density


def spectrum_of(values, probes=2, **settings):
    values = torch.as_tensor(values, dtype=torch.float64)
    return spectral_density(
        torch.diag(values), steps=settings.pop("steps", len(values)), probes=probes, **settings
    )


def shares(found):
    return [found.dissipative[0], found.neutral[0], found.divergent[0]]


def test_shares_of_a_known_spectrum():
    """eta = 1: factors .5, .9 (dissipative), 1 (neutral), 1.2 and 1.5 (divergent)."""
    found = diagnose(spectrum_of([0.5, 0.1, 0.0, -0.2, 2.5]), learning_rate=1.0, horizon=10)
    np.testing.assert_allclose(shares(found), [0.4, 0.2, 0.4], atol=1e-12)
    assert sum(shares(found)) == pytest.approx(1, abs=1e-12)
    assert found.growth == pytest.approx(1.5**10, rel=1e-10)
    with pytest.raises(AssertionError):  # the neutral mode counted as dissipative
        np.testing.assert_allclose(shares(found), [0.6, 0.0, 0.4], atol=1e-12)


def test_the_proxy_is_the_mean_of_powers():
    values = np.array([0.5, 0.1, 0.0, -0.2, 2.5])
    found = diagnose(spectrum_of(values), learning_rate=1.0, horizon=12)
    powers = np.abs(1 - values)[None] ** np.arange(13)[:, None]
    np.testing.assert_allclose(found.proxy, powers.mean(1), rtol=1e-10)
    np.testing.assert_allclose(found.proxy_divergent, powers[:, 3:].sum(1) / 5, rtol=1e-10)
    np.testing.assert_allclose(found.proxy_dissipative, powers[:, :2].sum(1) / 5, rtol=1e-10)
    np.testing.assert_allclose(found.proxy_neutral, powers[:, 2] / 5, rtol=1e-10)
    assert found.proxy[0] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9, 0.99])
def test_step_factor_by_numpy_roots(momentum):
    eigenvalues = np.concatenate([np.linspace(-3, 25, 141), [0.0]])
    truth = [np.abs(np.roots([1, -(1 + momentum - 0.2 * x), momentum])).max() for x in eigenvalues]
    ours = step_factor(torch.from_numpy(eigenvalues), 0.2, momentum)
    np.testing.assert_allclose(ours, truth, rtol=1e-7)  # a double root is known to sqrt(eps)
    if momentum:
        # plain descent, taken for heavy ball
        assert np.abs(np.abs(1 - 0.2 * eigenvalues) - truth).max() > 0.1


def test_momentum_rescues_and_moves_the_edge():
    """Heavy ball is stable up to lambda = 2 (1 + beta)/eta."""
    spectrum = spectrum_of([1.0, 3.0, 3.9])
    assert diagnose(spectrum, 1.0, horizon=50).verdict == "not dissipative"
    assert diagnose(spectrum, 1.0, momentum=0.96, horizon=500).verdict == "fully dissipative"


# one mode in twenty grows, by 1.1 a step: tenfold after 24 steps
FEW_SLOW = [*np.linspace(0.1, 1.9, 19), -0.1]


@pytest.mark.parametrize(
    ("values", "verdict", "because"),
    [
        ([0.5, 1.0, 1.9], "fully dissipative", "every mode shrinks, the slowest to 90 %"),
        ([0.01], "fully dissipative", "the slowest to 99 %"),
        ([1e-5], "fully dissipative", "the slowest to 1 - 1e-05"),
        ([0.5, 1.0, 0.0], "almost dissipative", "some stand still"),
        ([0.0], "almost dissipative", "some stand still"),
        (FEW_SLOW, "almost dissipative", "10-fold after 24 steps: few, slow"),
        ([*FEW_SLOW[:19], -0.13], "not dissipative", "after 19 steps; slow would be 20"),
        ([*FEW_SLOW[:17], -0.1, -0.1, -0.1], "not dissipative", "few would be at most 10 %"),
        ([*np.zeros(19), -0.1], "not dissipative", "what shrinks does not outweigh"),
        ([0.5, 2.5], "not dissipative", "10-fold after 6 steps"),
        ([-0.1, -0.1], "not dissipative", "100 % of them"),
        # the volume shrinks, yet 500 of 501 grow
        ([*np.full(500, -1e-3), 1.9], "not dissipative", "of them"),
        ([*np.full(500, -1e-5), 1.0], "not dissipative", "of them"),
    ],
)
@pytest.mark.parametrize("horizon", [1, 148, 149])
def test_verdicts_at_any_horizon(values, verdict, because, horizon):
    """Every eigenvalue known (exact spectra): the three cases of the paper."""
    steps = len(set(np.asarray(values).tolist()))
    found = diagnose(spectrum_of(values, steps=steps, probes=8), learning_rate=1.0, horizon=horizon)
    assert found.verdict == verdict
    assert because in found.reason


def test_standing_still_is_what_the_products_cannot_tell():
    """1e-6 a step shows in float64 and may be rounding in float32; so may 1e-14 in float64."""
    values = torch.tensor([1.0, 2.0, 5.0, -1e-6], dtype=torch.float64)
    found = diagnose(spectrum_of(values, probes=8), learning_rate=0.1)
    assert "the fastest by 1e-05 % a step, 10-fold after about 23,025,850 steps" in found.reason
    single = spectral_density(torch.diag(values).float(), steps=4, probes=8)
    assert "stand still to within rounding" in diagnose(single, learning_rate=0.1).reason
    values[-1] = -1e-14
    found = diagnose(spectrum_of(values, probes=8), learning_rate=0.1)
    assert "stand still to within rounding" in found.reason
    found = diagnose(spectrum_of([1.0, 2.0, 3.0], probes=8), learning_rate=1e-17)
    assert found.reason == "every mode shrinks, the slowest to 1 - 1e-17 a step"


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.floats(-0.3, 3.0), min_size=2, max_size=12),
    st.floats(1e-3, 1.0),
    st.sampled_from([0.0, 0.5, 0.9]),
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
)
def test_the_verdict_does_not_depend_on_the_horizon(values, rate, momentum, horizons):
    spectrum = spectrum_of(values, steps=3)
    one, other = (diagnose(spectrum, rate, momentum, horizon=T) for T in horizons)
    assert (one.verdict, one.reason, one.per_step) == (other.verdict, other.reason, other.per_step)
    grows = np.abs(
        np.array([np.roots([1, -(1 + momentum - rate * x), momentum]) for x in values])
    ).max(1)
    if grows.max() > 1 + 1e-4:  # the truth, beyond what rounding blurs
        assert one.verdict != "fully dissipative"
    if grows.min() > 1 + 1e-4:
        assert one.verdict in ("not dissipative", "not seen to diverge")


def test_almost_is_never_said_where_every_mode_grows():
    generator = torch.Generator().manual_seed(0)
    # of the growth a step: there is no rate so small that it excuses every mode
    for scale in (1e-4, 1e-2, 1.0):
        drawn = torch.randn(500, dtype=torch.float64, generator=generator)
        spectrum = spectral_density(torch.diag(-scale * (1 + 1e-3 * drawn)), steps=10, probes=4)
        assert {diagnose(spectrum, 0.1, horizon=T).verdict for T in (20, 240, 600)} == {
            "not dissipative"
        }


def hidden_mode(steps, lowest, weight=1e-2, n=500):
    """One mode grows by 1.05 a step (144-fold over 102 steps); the probes hold `weight` of what
    they should of it.
    """
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    values = np.concatenate([[-0.5], np.linspace(lowest, 10, n - 1)])
    probes = rng.standard_normal((n, 4))
    probes -= (1 - weight**0.5) * Q[:, :1] @ (Q[:, :1].T @ probes)
    return spectral_density(
        torch.from_numpy((Q * values) @ Q.T), steps=steps, vectors=torch.from_numpy(probes)
    )


@pytest.mark.parametrize("lowest", [0.02, 0.2])
def test_a_hidden_mode_is_never_fully_dissipative(lowest):
    verdicts = []
    for steps in (4, 5, 6, 8, 10, 12, 16, 24):
        found = diagnose(hidden_mode(steps, lowest), 0.1, horizon=102)
        verdicts.append(found.verdict)
        if steps == 6:
            modes = 500 * found.per_step.share[1][0]
            assert modes > 3  # the bound that the old verdict overlooked
            assert found.per_step.a_step[0] < 1  # for every mode that was seen shrinks
            assert f"up to {modes:.2g} of 500 modes" in found.reason
            assert "Lanczos steps or more instead of 6" in found.reasons[1]
    assert verdicts[0] == "not seen to diverge"
    assert verdicts[-1] == "almost dissipative"
    assert "fully dissipative" not in verdicts


def settled(spectrum):
    """The verdict after doing what the outlook asks for, at most four times."""
    steps = 6
    for _ in range(5):
        found = diagnose(spectrum(steps), 0.1, horizon=1)
        if found.verdict != "not seen to diverge":
            return found.verdict
        asked = int(found.per_step.outlook.split()[2])
        assert steps < asked <= 500
        steps = asked
    return None


def pair_mode(probes, seed=0, n=64, **given):
    """All modes shrink but (e_10 - e_50)/sqrt2, orthogonal to half of all random signs."""
    A = torch.diag(torch.linspace(0.5, 1, n, dtype=torch.float64))
    A[10, 10] = A[50, 50] = -2.0
    A[10, 50] = A[50, 10] = 3.0
    return diagnose(spectral_density(A, steps=n, probes=probes, seed=seed, **given), 0.1)


def test_few_probes_can_all_miss_a_mode_and_say_so():
    found = [pair_mode(1, seed) for seed in range(20)]
    missed = [each for each in found if each.verdict != "not dissipative"]
    assert 3 < len(missed) < 17  # each with a probability of 1/2
    assert {each.verdict for each in missed} == {"not seen to diverge"}
    assert "a probability of 1/2" in missed[0].reason
    assert "7 probes" in missed[0].per_step.outlook
    assert {pair_mode(7, seed).verdict for seed in range(20)} == {"not dissipative"}


def test_random_signs_show_what_is_promised():
    """|v.x| < 1/4 for at most half of all signs, whatever x: small supports by enumeration, equal
    entries besides.
    """
    rng = np.random.default_rng(0)
    for n in (2, 3, 4, 5, 8, 12):
        signs = np.array(np.meshgrid(*[[-1, 1]] * n)).reshape(n, -1)
        drawn = np.concatenate(
            [np.ones((1, n)), rng.standard_normal((200, n)), rng.exponential(size=(50, n)) ** 3]
        )
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        assert (np.abs(drawn @ signs) < 0.25).mean(1).max() <= 0.5
    assert (np.abs(np.array([1, -1]) / 2**0.5 @ np.array([[1, 1], [1, -1]])) < 0.25).mean() == 0.5


def test_start_vectors_of_ones_own_exclude_nothing():
    A = torch.diag(torch.cat([torch.linspace(0.5, 1, 63), torch.tensor([-5.0])]).double())
    blind = torch.ones(64, 16, dtype=torch.float64)
    blind[63] = 0
    found = diagnose(spectral_density(A, steps=64, vectors=blind), 0.1)
    assert found.verdict == "not seen to diverge"
    assert "orthogonal" in found.reason
    seen = diagnose(spectral_density(A[:3, :3], steps=3, vectors=blind[:3, :1]), 0.1)
    assert seen.verdict == "fully dissipative"  # three eigenvalues of three were seen


def test_few_is_not_settled_while_the_bound_allows_more():
    values = torch.cat([torch.linspace(0.05, 2, 352), -torch.linspace(0.0005, 0.04, 48)]).double()
    verdicts = []
    for steps in (20, 120):
        found = diagnose(spectral_density(torch.diag(values), steps=steps, probes=8), 0.1)
        verdicts.append(found.verdict)
        (least, _), (most, _) = found.per_step.share
        assert (found.verdict == "almost dissipative as far as seen") == (least <= 0.1 < most)
    assert verdicts == ["almost dissipative as far as seen", "not dissipative"]
    assert (
        "few is only what was seen"
        in diagnose(spectral_density(torch.diag(values), steps=20, probes=8), 0.1).reason
    )


def test_what_more_steps_settle():
    A = torch.diag(torch.linspace(0.02, 10, 500, dtype=torch.float64))
    assert settled(lambda steps: spectral_density(A, steps=steps, probes=8)) == "fully dissipative"
    assert settled(lambda steps: hidden_mode(steps, 0.02)) == "almost dissipative"
    at_zero = torch.diag(torch.cat([torch.zeros(20), torch.linspace(1, 10, 480)]).double())
    zeros = diagnose(spectral_density(at_zero, steps=12, probes=4), 0.1)
    assert zeros.verdict in ("almost dissipative", "not seen to diverge")


@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.9, 0.0), (0.0, 0.02), (0.9, 0.05)])
def test_growth_a_step_and_the_growing_share(momentum, decay):
    values = np.array([*np.linspace(0.1, 30, 30), -0.3, -0.2])
    found = diagnose(spectrum_of(values), 0.1, momentum, weight_decay=decay).per_step
    factors = np.array(
        [np.abs(np.roots([1, -(1 + momentum - 0.1 * (x + decay)), momentum])).max() for x in values]
    )
    assert found.a_step[0] == pytest.approx(factors.max(), rel=1e-9)
    assert found.a_step[1] < 1e-6
    assert found.steps_to_limit == pytest.approx(np.log(10) / np.log(factors.max()), rel=1e-6)
    assert [bound for bound, _ in found.share] == pytest.approx(
        2 * [np.mean(factors > 1)], abs=1e-9
    )
    assert found.first_step == pytest.approx(factors.mean() - 1, rel=1e-6)


def test_the_proxy_is_exact_for_even_t_within_the_degree():
    n, k, eta = 30, 6, 0.9
    M = np.random.default_rng(0).standard_normal((n, n))
    A = (M + M.T) / np.sqrt(n)
    V = torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = diagnose(
        spectral_density(torch.from_numpy(A), steps=k, vectors=V), learning_rate=eta, horizon=16
    )
    v = (V / V.norm(dim=0)).numpy()

    def truth(t):
        return np.einsum("ip,ij,jp->p", v, np.linalg.matrix_power(np.eye(n) - eta * A, t), v).mean()

    for t in range(0, 2 * k, 2):  # t <= 2k - 1
        assert float(found.proxy[t]) == pytest.approx(truth(t), rel=1e-11)
    # beyond the degree it is an estimate
    assert abs(float(found.proxy[16]) - truth(16)) > 1e-5 * truth(16)
    assert abs(float(found.proxy[5]) - truth(5)) > 1e-5  # odd t: |.| is no polynomial


def test_error_bars_come_from_probes():
    M = np.random.default_rng(1).standard_normal((40, 40))
    A = torch.from_numpy((M + M.T) / 20)
    truth = np.mean((1 - 0.5 * np.linalg.eigvalsh(A)) ** 2)
    found = diagnose(spectral_density(A, steps=10, probes=16), learning_rate=0.5, horizon=4)
    assert 0 < abs(float(found.proxy[2]) - truth) < 4 * float(found.proxy_error[2])
    assert float(found.proxy_error[0]) < 1e-12
    assert found.divergent[1] > 0


def test_errors():
    spectrum = spectrum_of([1.0, 2.0])
    with pytest.raises(
        ArgumentError, match=r"Argument `learning_rate` must be in \(0, inf\), but is 0."
    ):
        diagnose(spectrum, 0)
    with pytest.raises(
        ArgumentError, match=r"Argument `momentum` must be in \[0, 1\), but is 1.0."
    ):
        diagnose(spectrum, 0.1, momentum=1.0)
    with pytest.raises(ArgumentError, match="Argument `horizon` must be an integer of at least 1"):
        diagnose(spectrum, 0.1, horizon=0)
    with pytest.raises(
        ArgumentError, match=r"Argument `weight_decay` must be in \[0, inf\), but is -0.1."
    ):
        diagnose(spectrum, 0.1, weight_decay=-0.1)
    with pytest.raises(ArgumentError, match=r"Argument `factor` must be in \(1, inf\), but is 1."):
        diagnose(spectrum, 0.1).divergence_step(1)
    with pytest.raises(ArgumentError, match="Argument `order` must be an integer of at least 1"):
        diagnose(spectrum, 0.1).history_kappa(order=0)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_weight_decay_shifts_the_spectrum(momentum):
    values = np.array([0.5, 0.1, 0.0, -0.2, 2.5])
    with_decay = diagnose(spectrum_of(values), 1.0, momentum, horizon=12, weight_decay=0.3)
    shifted = diagnose(spectrum_of(values + 0.3), 1.0, momentum, horizon=12)
    np.testing.assert_allclose(with_decay.proxy, shifted.proxy, rtol=1e-9)
    np.testing.assert_allclose(with_decay.power_norms, shifted.power_norms, rtol=1e-9)
    assert shares(with_decay) == pytest.approx(shares(shifted), abs=1e-12)
    decoupled = np.abs((1 - values) * (1 - 0.3))  # AdamW's way: another map
    assert abs(float(with_decay.proxy[12]) - (decoupled**12).mean()) > 1e-3


def test_weight_decay_makes_zero_modes_weakly_dissipative():
    zero = spectrum_of([0.0, 1.0])
    assert diagnose(zero, 0.1, horizon=1000).verdict == "almost dissipative"
    assert diagnose(zero, 0.1, horizon=1000, weight_decay=2e-4).verdict == "fully dissipative"


@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.0, 0.02), (0.3, 0.0), (0.9, 0.05)])
def test_divergent_bounds_hold_and_the_errors_are_as_wide(momentum, decay):
    """Edges by counting factors of dense eigenvalues, with each probe's own measure."""
    rng = np.random.default_rng(0)
    values = np.concatenate([0.05 * rng.standard_normal(110), np.linspace(0.5, 30, 10)])
    Q = np.linalg.qr(rng.standard_normal((120, 120)))[0]
    V = rng.standard_normal((120, 4))
    measure = ((Q.T @ (V / np.linalg.norm(V, axis=0))) ** 2).mean(1)
    spectrum = spectral_density(
        torch.from_numpy((Q * values) @ Q.T), steps=20, vectors=torch.from_numpy(V)
    )
    found = diagnose(spectrum, 0.1, momentum, horizon=50, weight_decay=decay)
    factor = [
        np.abs(np.roots([1, -(1 + momentum - 0.1 * (x + decay)), momentum])).max() for x in values
    ]
    truth = measure[np.array(factor) > 1 + 0.01 / 50].sum()
    (least, _), (most, _) = found.divergent_bounds
    assert least - 1e-12 <= truth <= most + 1e-12
    assert 0 < most - least < 0.6
    assert least - 1e-12 <= found.divergent[0] <= most + 1e-12
    assert found.divergent[1] >= (most - least) / 12**0.5
    if momentum:  # the edges of plain descent are wrong ones
        plain = measure[np.abs(1 - 0.1 * (values + decay)) > 1 + 0.01 / 50].sum()
        assert plain != pytest.approx(truth, abs=1e-3)


def test_divergence_step():
    found = diagnose(spectrum_of([0.5, 0.1, 0.0, -0.2, -0.5]), learning_rate=1.0, horizon=10)
    growth = lambda t: (1.2**t + 1.5**t) / 2  # noqa: E731
    for factor in (1.5, 10.0, 1e6):
        t = int(found.divergence_step(factor))
        assert growth(t - 1) <= factor < growth(t)
    assert diagnose(spectrum_of([0.5, 0.1]), 1.0).divergence_step() == np.inf
    assert diagnose(spectrum_of([-1e4, 0.5]), 1.0).divergence_step() == 1


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_power_norms_by_numpy(momentum):
    values, eta, T = np.array([-0.1, 0.0, 0.3, 2.0, 17.0]), 0.2, 30
    found = diagnose(spectrum_of(values), eta, momentum, horizon=T).power_norms
    steps = [
        (
            np.array([[1 - eta * x, momentum], [-eta * x, momentum]])
            if momentum
            else np.array([[1 - eta * x]])
        )
        for x in values
    ]
    truth = [
        max(np.linalg.norm(np.linalg.matrix_power(C, t), 2) for C in steps) for t in range(T + 1)
    ]
    np.testing.assert_allclose(found, truth, rtol=1e-8)


def test_geometric_kappa_bounds_the_dense_system():
    values, T = np.array([0.2, 0.9, 1.5]), 8
    found = diagnose(spectrum_of(values), 1.0, momentum=0.4, horizon=T)
    C = np.kron(np.eye(3), [[1.0, 0.4], [0.0, 0.4]]) - np.kron(
        np.diag(values), [[1.0, 0.0], [1.0, 0.0]]
    )
    for order, padding in [(1, 0), (1, 6), (2, 0), (2, 6)]:
        A = (
            np.block([[C, np.zeros((6, 36))], [np.zeros((36, 6)), np.kron(C, C)]])
            if order == 2
            else C
        )
        k, blocks = len(A), T + padding + 1
        M = np.eye(k * blocks)
        for t in range(T + padding):
            M[(t + 1) * k : (t + 2) * k, t * k : (t + 1) * k] = -A if t < T else -np.eye(k)
        s = np.linalg.svd(M, compute_uv=False)
        assert s[0] / s[-1] <= found.history_kappa(padding, order) < 5 * s[0] / s[-1]
    assert found.history_kappa(padding=6) > found.history_kappa()


def test_parts_have_errors():
    M = np.random.default_rng(1).standard_normal((40, 40))
    found = diagnose(
        spectral_density(torch.from_numpy((M + M.T) / 20), steps=10, probes=8), 0.5, horizon=4
    )
    for name in ("dissipative", "neutral", "divergent"):
        error = getattr(found, f"proxy_{name}_error")
        assert error.shape == (5,)
        assert float(error[0]) <= getattr(found, name)[1] + 1e-15
    assert float(found.proxy_divergent_error[4]) > 0


def test_reasons_and_text():
    found = diagnose(spectrum_of([0.5, 0.1, 0.0, -0.2, 2.5]), learning_rate=1.0, horizon=10)
    assert len(found.reasons) >= 4
    assert found.reasons[0].lower() == found.reason.lower() + "."
    assert all(sentence.endswith(".") and sentence[0].isupper() for sentence in found.reasons)
    text = str(found)
    assert text.startswith("not dissipative; over 10 steps:")
    assert "between 40 and 40 %" in text
    assert "E(10)" in text
    assert all(sentence in text for sentence in found.reasons)
    assert "between 0 and 2;" in found.reasons[1]
    assert "No mode that was seen grows" in str(diagnose(spectrum_of([0.5, 1.0]), 1.0))
    assert "momentum is not normal" in str(diagnose(spectrum_of([0.5, 18.0]), 0.2, momentum=0.9))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("x", [-1e-15, -1e-12, -1e-6, -0.3, -50.0, -1e200, 1e-14, 0.3, 1.7, 4.5])
def test_the_gain_of_a_step_keeps_the_digits_of_eta_lambda(x, momentum):
    """|r| - 1 in 60 digits; from the factor as rounded, 1e-14 has two digits left."""
    with localcontext(prec=60):
        b, beta = 1 + Decimal(momentum) - Decimal(x), Decimal(momentum)
        inside = b * b - 4 * beta
        r = (abs(b) + inside.sqrt()) / 2 if inside >= 0 else beta.sqrt()
        right = float(r - 1)
    found = float(step_gain(torch.tensor(x, dtype=torch.float64), 1.0, momentum))
    assert found == pytest.approx(right, rel=4e-15, abs=0)
    factor = float(step_factor(torch.tensor(x, dtype=torch.float64), 1.0, momentum))
    assert factor == pytest.approx(1 + right, rel=4e-16 if abs(x) < 10 else 1e-14)


@pytest.mark.parametrize(("curvature", "rate"), [(-1e-12, 0.1), (-0.4, 1e-12), (-1e-13, 0.1)])
def test_slow_growth_reaches_its_limit_when_it_does(curvature, rate):
    ends = torch.tensor([curvature, 0.3, 1.0, 7.0], dtype=torch.float64)
    growth = diagnose(spectral_density(torch.diag(ends), steps=4, probes=8), rate).per_step
    right = math.log(10) / math.log1p(-rate * curvature)
    factor, error = growth.a_step
    assert abs(factor - 1 + rate * curvature) <= error
    if curvature == -0.4:  # the others are seen to what rounding leaves of the spectrum
        assert growth.steps_to_limit == pytest.approx(right, rel=1e-12)
