"""Readout: statistics against the closed forms, signs, seeds, and the cases at the edge."""

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.quantum.readout.coherent import read_out_coherently
from qdescent.quantum.readout.expected import expected_error
from qdescent.quantum.readout.tomography import read_out

DRAWS = 60


def signal(n=200, seed=0):
    """Entries of both signs, none of them near zero."""
    draw = np.random.default_rng(seed)
    return torch.as_tensor(draw.choice([-1.0, 1.0], n) * draw.uniform(0.5, 1.5, n))


def relative_errors(x, shots, seeds=DRAWS):
    return np.array(
        [float((read_out(x, shots, seed).vector - x).norm() / x.norm()) for seed in range(seeds)]
    )


def test_l2_error_agrees_with_the_formula_and_falls_as_one_over_sqrt_shots():
    x = signal()
    for shots in (10**5, 10**7):
        predicted = expected_error(x, shots).value
        rms = np.sqrt((relative_errors(x, shots) ** 2).mean())
        # 60 draws of a sum of 200 squares: 1 % of standard error
        assert rms == pytest.approx(predicted, rel=0.03)
        assert rms != pytest.approx(predicted * 1.41, rel=0.1)  # planted: half the shots


def test_error_bars_cover_and_the_norm_is_a_gamma_draw():
    x = signal()
    shots = 10**5
    found = [read_out(x, shots, seed) for seed in range(DRAWS)]
    pulls = torch.stack([(r.vector - x) / r.error for r in found])
    assert float(pulls.pow(2).mean()) == pytest.approx(1, abs=0.1)
    norms = np.array([r.norm for r in found]) / float(x.norm()) - 1
    assert norms.std() == pytest.approx(1 / (2 * np.sqrt(shots)), rel=0.3)
    assert abs(norms.mean()) < 4 * norms.std() / np.sqrt(DRAWS)
    assert found[0].norm_error == pytest.approx(found[0].norm / (2 * np.sqrt(shots)))
    assert found[0].total_shots == 2 * shots


def test_signs_of_tiny_entries_are_wrong_without_bias():
    n = 10_000
    x = torch.full((n,), 1.0, dtype=torch.float64)
    x[0] = 1e3
    shots = 10**6  # (x_i/||x||)^2 S is about 1
    wrong_up = float((read_out(-x, shots, 1).vector[1:] > 0).double().mean())
    wrong_down = float((read_out(x, shots, 1).vector[1:] < 0).double().mean())
    assert 0.001 < wrong_up < 0.3
    assert wrong_down == pytest.approx(wrong_up, abs=0.02)
    assert read_out(x, shots, 1).vector[0] == pytest.approx(1e3, rel=0.01)
    assert not (read_out(x, 10**10, 1).vector < 0).any()


def test_seeds():
    x = signal()
    torch.testing.assert_close(
        read_out(x, 1000, 3).vector, read_out(x, 1000, 3).vector, rtol=0, atol=0
    )
    assert not torch.equal(read_out(x, 1000, 3).vector, read_out(x, 1000, 4).vector)


def test_takes_a_solution_and_keeps_dtype():
    class Found:
        value = torch.tensor([9.0, 9.0])
        answer = torch.tensor([0.0, -2.0])

    readout = read_out(Found(), 10**6)
    assert readout.vector.dtype == torch.float32
    assert readout.vector.tolist() == pytest.approx([0.0, -2.0], rel=0.01)
    assert 0 < float(readout.error[0]) <= 2.1e-3  # unseen: as large as 1/sqrt(S) of the norm


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_extreme_scales(scale):
    x = scale * torch.tensor([1.0, -1.0], dtype=torch.float64)
    assert (read_out(x, 10**8).vector / scale).tolist() == pytest.approx([1.0, -1.0], rel=1e-3)


@pytest.mark.parametrize(
    "read", [lambda x: read_out(x, 100), lambda x: read_out_coherently(x, 0.1)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_norm_that_its_own_type_cannot_hold_is_refused(read, dtype):
    most = torch.finfo(dtype).max
    with pytest.raises(ArgumentError, match=r"`solution` must have a norm of at most"):
        read(torch.tensor([0.7 * most, 0.9 * most], dtype=dtype))


def test_zero_vector_needs_no_shots():
    readout = read_out(torch.zeros(5), 100)
    assert not readout.vector.any()
    assert (readout.norm, readout.shots, readout.total_shots) == (0.0, 0, 0)


def test_refusals():
    with pytest.raises(
        ArgumentError, match="Argument `solution` must be finite, but is not, in 1 of 2 entries"
    ):
        read_out(torch.tensor([1.0, float("nan")]), 10)
    with pytest.raises(
        ArgumentError, match="Argument `shots` must be an integer of at least 1, but is 0"
    ):
        read_out(torch.ones(2), 0)
    with pytest.raises(ArgumentError, match="Argument `solution` must hold a real vector"):
        read_out(torch.ones(2, dtype=torch.complex64), 10)


def heavy_tailed(n=400):
    """The quantiles of Student's distribution of two degrees of freedom: no variance."""
    p = np.random.default_rng(1).permutation((np.arange(n) + 0.5) / n)
    return torch.as_tensor((2 * p - 1) / np.sqrt(2 * p * (1 - p)))


PROFILES = {
    "dense": signal(400),
    "sparse": torch.where(torch.arange(400) % 20 == 0, signal(400), 0.0),
    "heavy-tailed": heavy_tailed(),
    "power law": signal(400) / torch.arange(1, 401) ** 0.7,
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("largest", [None, 40])
def test_error_bars_cover_over_200_seeds(profile, largest):
    """One standard error holds at least 64 of 100 entries, two hold 93; where counts are few, or
    some were chosen from others like them, more."""
    x = PROFILES[profile]
    within, planted, outside = [], [], []
    for seed in range(200):
        found = read_out(x, 20_000, seed, largest)
        pull = ((found.vector - x) / found.error).abs()
        read = found.vector != 0
        within.append([float((pull[read] < k).double().mean()) for k in (1, 2)])
        planted.append(float((pull[read] < 0.5).double().mean()))
        unread = (found.vector == 0) & (x != 0)
        outside.append(float((pull[unread] < 2).double().mean()) if unread.any() else 1.0)
    one, two = np.mean(within, 0)
    assert one > 0.64
    assert two > 0.93
    assert np.mean(outside) > 0.95
    assert not np.mean(planted) > 0.64  # bars half as long do not cover


@pytest.mark.parametrize("profile", PROFILES)
def test_missing_norm_is_estimated_without_bias(profile):
    x = PROFILES[profile]
    found = [read_out(x, 5_000, seed, largest=12) for seed in range(200)]
    chosen = [r.error * 0 + (r.vector != 0) for r in found]
    truth = np.array([float(x[c == 0].norm() / x.norm()) ** 2 for c in chosen])
    estimate = np.array([r.missing_share for r in found])
    error = np.array([2 * r.missing_norm * r.missing_norm_error / r.norm**2 for r in found])
    assert abs((estimate - truth).mean()) < 4 * (estimate - truth).std() / np.sqrt(200) + 1e-3
    assert (estimate - truth).std() == pytest.approx(error.mean(), rel=0.25)


def test_a_flat_vector_shows_who_chose_its_largest():
    """Of equal entries 12 of 400 hold 3 % whatever their counts say; the counts that chose them
    claim twice as much, and the entries come out as long as they are."""
    x = torch.ones(400, dtype=torch.float64)
    found = [read_out(x, 4_000, seed, largest=12) for seed in range(100)]
    shares = np.array([1 - r.missing_share for r in found])
    assert shares.mean() == pytest.approx(0.03, abs=4 * shares.std() / 10)
    naive = []
    for seed in range(100):
        counts = np.random.default_rng(seed).multinomial(4_000, np.full(400, 1 / 400))
        naive.append(np.sort(counts)[-12:].sum() / 4_000)
    assert np.mean(naive) > 0.05  # planted: the same counts choose and measure
    pulls = torch.cat([((r.vector - x) / r.error)[r.vector != 0] for r in found])
    assert float(pulls.square().mean()) < 1.2


def test_all_entries_as_largest_change_nothing():
    x = heavy_tailed()
    whole, same = read_out(x, 10**5, 3), read_out(x, 10**5, 3, largest=len(x))
    assert torch.equal(whole.vector, same.vector)
    assert torch.equal(whole.error, same.error)
    assert whole.missing_norm == same.missing_norm


def test_a_readout_is_right_about_its_own_error():
    for x in PROFILES.values():
        for shots, largest in ((500, None), (20_000, None), (20_000, 40)):
            found = [read_out(x, shots, seed, largest) for seed in range(30)]
            truth = np.sqrt(np.mean([float((r.vector - x).norm() / x.norm()) ** 2 for r in found]))
            stated = np.sqrt(np.mean([r.relative_error**2 for r in found]))
            assert 0.93 < stated / truth < 1.35


def test_the_largest_are_those_that_were_measured():
    x = torch.tensor([9.0, -0.1, 7.0, 0.2, -8.0, 0.0], dtype=torch.float64)
    found = read_out(x, 10**6, largest=3)
    assert (found.vector != 0).tolist() == [True, False, True, False, True, False]
    assert found.support == 3
    assert found.missing_norm == pytest.approx(float(x[[1, 3]].norm()), abs=0.1)
    by_loss = read_out(x, 10**6, loss=0.3)
    assert by_loss.support == 2


def test_rows_of_a_partial_download():
    found = read_out(heavy_tailed(), 10**4, largest=40)
    values = {row.name: row.value for row in found.rows}
    assert values["readout/shots"] == 20_000
    assert values["readout/entries"] == 40
    assert values["readout/entry_share"] == 0.1
    assert values["readout/missing_share"] == found.missing_share
    assert values["readout/reference_entries"] == 40
    assert values["readout/reference_toffoli_all"] == 10**4 * values["readout/reference_toffoli"]


def test_refusals_of_a_partial_download():
    x = torch.ones(5)
    with pytest.raises(ArgumentError, match="`largest` must be at most the number of entries, 5, "):
        read_out(x, 10, largest=6)
    with pytest.raises(ArgumentError, match="`largest` must be an integer of at least 1, but is 0"):
        read_out(x, 10, largest=0)
    with pytest.raises(ArgumentError, match=r"`loss` must be in \[0, 1\), but is 1.0"):
        read_out(x, 10, loss=1.0)
    with pytest.raises(ArgumentError, match="`loss` must be left out where `largest` is given"):
        read_out(x, 10, largest=2, loss=0.1)
    with pytest.raises(ArgumentError, match="`largest` must be at most"):
        read_out(torch.zeros(5), 10, largest=6)
