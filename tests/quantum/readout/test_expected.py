"""The expected error of a readout against draws, of vectors of every kind, and biased readouts."""

import math

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence
from qdescent._random import named_numpy_generator
from qdescent.quantum.readout.expected import expected_error, expected_part, shots_for
from qdescent.quantum.readout.tomography import read_out

DRAWS = 40


def vectors(n=2000):
    draw = np.random.default_rng(0)
    dense = torch.as_tensor(draw.standard_normal(n))
    sparse = torch.zeros(n, dtype=torch.float64)
    sparse[::100] = dense[::100]
    return {
        "dense": dense,
        "flat": dense.sign(),
        "sparse": sparse,
        "heavy-tailed": torch.as_tensor(draw.standard_cauchy(n)),
        "power law": dense.sign() / torch.arange(1, n + 1) ** 0.6,
    }


def root_mean_square(x, read):
    return math.sqrt(np.mean([float((read(s) - x).norm() / x.norm()) ** 2 for s in range(DRAWS)]))


@pytest.mark.parametrize("kind", vectors())
@pytest.mark.parametrize("shots", [200, 3_000, 100_000, 10**8])
@pytest.mark.parametrize("largest", [None, 100])
def test_expected_error_is_that_of_draws(kind, shots, largest):
    x = vectors()[kind]
    measured = root_mean_square(x, lambda seed: read_out(x, shots, seed, largest).vector)
    expected = expected_error(x, shots, largest)
    # 40 draws; what is scaled back because it was chosen (`chosen_too_large`) is a little better
    assert expected.value == pytest.approx(measured, rel=0.08)
    assert expected.evidence == Evidence.MODELLED


def test_zeros_cost_nothing():
    """The formula of a dense vector is sqrt(n/k) = 10 times too large for a sparse one."""
    x, shots = vectors()["sparse"], 10**6
    assert expected_error(x, shots).value == pytest.approx(math.sqrt(20 / (4 * shots)), rel=0.02)
    assert math.sqrt(len(x) / (4 * shots)) > 9 * expected_error(x, shots).value


def biased(x, shots, largest, kind):
    """A readout with a fault."""
    seeds = iter(range(1000))

    def read(seed):
        found = read_out(x, shots, seed, largest).vector
        if kind == "signs lost":
            return found.abs()
        if kind == "largest of another vector":
            other = torch.as_tensor(named_numpy_generator(next(seeds), "other").random(len(x)))
            whole = read_out(x, shots, seed).vector
            return torch.where(other >= other.sort().values[-largest], whole, 0.0)
        return found

    return read


@pytest.mark.parametrize("kind", ["signs lost", "largest of another vector", "none"])
@pytest.mark.parametrize("name", ["dense", "heavy-tailed", "power law"])
def test_a_biased_readout_is_caught(kind, name):
    x, shots, largest = vectors()[name], 10**6, 500
    ratio = root_mean_square(x, biased(x, shots, largest, kind))
    ratio /= expected_error(x, shots, largest).value
    assert (ratio > 1.5) == (kind != "none"), ratio


def test_a_part_of_a_state():
    u, v = vectors()["dense"], 3 * vectors()["power law"]
    state = torch.cat([u, v])
    for shots, largest in ((10**5, None), (10**5, 300)):
        read = [read_out(state, shots, s, largest).vector[: len(u)] for s in range(DRAWS)]
        measured = math.sqrt(np.mean([float((r - u).norm() / u.norm()) ** 2 for r in read]))
        assert expected_part(state, len(u), shots, largest) == pytest.approx(measured, rel=0.05)


def test_shots_and_error_are_each_others_inverse():
    for x in vectors().values():
        for epsilon, largest in ((0.3, None), (0.03, None), (0.98, 100)):
            row = shots_for(x, epsilon, largest)
            S = row.value // 2
            assert row.value == 2 * S
            assert expected_error(x, S, largest).value <= epsilon
            if S > 1:
                assert expected_error(x, S - 1, largest).value > epsilon


def test_refusals():
    with pytest.raises(ArgumentError, match="`vector` must not be zero"):
        expected_error(torch.zeros(3), 10)
    with pytest.raises(ArgumentError, match="`epsilon` must be above 0.707, what 2 entries leave"):
        shots_for(torch.ones(4), 0.5, largest=2)
    with pytest.raises(ArgumentError, match="`epsilon` must be one that 1e.18 shots reach"):
        shots_for(torch.ones(4), 1e-10, largest=4)
    with pytest.raises(ArgumentError, match="`largest` must be at most the number of entries, 4"):
        expected_error(torch.ones(4), 10, largest=5)
