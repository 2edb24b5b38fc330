"""Budgets: closed forms, published constants, the way back, and draws that they must cover."""

import math

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence
from qdescent.quantum.readout.budget import (
    coherent_calls,
    coherent_error,
    sampling_error,
    shots_needed,
)
from qdescent.quantum.readout.coherent import read_out_coherently
from qdescent.quantum.readout.tomography import read_out


def test_rows_are_modelled_and_those_of_the_facts():
    assert shots_needed(745_000, 1e-2).value == 2 * 1_862_500_000
    assert coherent_calls(745_000, 1e-2).value == 74_500_000
    assert coherent_calls(10_000, 0.1, "linf").value == 100  # 1/eps^2
    assert coherent_calls(4, 0.001, "linf").value == 2_000  # sqrt k/eps
    rows = (shots_needed(4, 0.1), coherent_calls(4, 0.1), sampling_error(4, 100))
    assert {row.evidence for row in rows} == {Evidence.MODELLED}


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_there_and_back(norm):
    for kept, epsilon in ((1, 0.5), (400, 1e-2), (10**6, 1e-4)):
        shots = shots_needed(kept, epsilon, norm).value
        assert sampling_error(kept, shots, norm).value == pytest.approx(epsilon, rel=1e-3)
        assert sampling_error(kept, shots, norm).value <= epsilon * (1 + 1e-9)
        calls = coherent_calls(kept, epsilon, norm).value
        assert coherent_error(kept, calls, norm).value == pytest.approx(epsilon, rel=1e-3)


def hard_vectors(k=300):
    """Flat, and with entries near the size at which signs are lost."""
    draw = np.random.default_rng(2)
    signs = torch.as_tensor(draw.choice([-1.0, 1.0], k))
    spread = signs * torch.linspace(0.01, 1, k, dtype=torch.float64)
    one = torch.cat([torch.tensor([1.0], dtype=torch.float64), 0.08 * signs[1:]])
    return [signs, spread, one]


def test_largest_error_stays_within_its_budget_and_half_of_it_is_too_little():
    epsilon, failure = 0.1, 0.1
    shots = shots_needed(300, epsilon, "linf", failure).value // 2
    small = int(math.log(2 * 300 / failure) / (2 * epsilon**2) / 4)  # planted: magnitudes, eps/2
    for x in hard_vectors():
        errors = [
            [float((read_out(x, S, seed).vector - x).abs().max() / x.norm()) for seed in range(60)]
            for S in (shots, small)
        ]
        assert np.mean(np.array(errors[0]) > epsilon) < 2 * failure
        assert np.mean(np.array(errors[1]) > epsilon) > 3 * failure


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_coherent_errors_have_the_promised_size(norm):
    x, epsilon = hard_vectors()[1], 0.01
    found = [read_out_coherently(x, epsilon, norm, seed) for seed in range(200)]
    off = torch.stack([r.vector - x for r in found]) / x.norm()
    if norm == "l2":
        assert float(off.norm(dim=1).square().mean().sqrt()) == pytest.approx(epsilon, rel=0.05)
    else:
        assert float((off.abs().amax(1) > epsilon).double().mean()) < 0.03
        assert float(off.abs().amax(1).mean()) > 0.5 * epsilon
    pulls = torch.stack([(r.vector - x) / r.error for r in found])
    assert float(pulls.square().mean()) == pytest.approx(1, abs=0.1)
    assert found[0].calls == coherent_calls(300, epsilon, norm).value
    assert found[0].total_shots == 0
    assert {row.name for row in found[0].rows} >= {"readout/calls", "readout/entries"}


def test_a_coherent_partial_download():
    x = hard_vectors()[1]
    order = x.abs().argsort(descending=True)
    found = [read_out_coherently(x, 0.01, "l2", seed, largest=100) for seed in range(100)]
    assert all(int((r.vector != 0).sum()) == 100 == r.support for r in found)
    truth = float(x[order[100:]].norm())
    missing = np.array([r.missing_norm for r in found])
    assert missing.mean() == pytest.approx(truth, rel=0.02)
    assert missing.std() < 2 * found[0].missing_norm_error


def test_refusals():
    with pytest.raises(ArgumentError, match="`norm` must be one of 'l2', 'linf', but is 'l1'"):
        shots_needed(4, 0.1, "l1")
    with pytest.raises(ArgumentError, match=r"`epsilon` must be in \(0, 1\), but is 0"):
        coherent_calls(4, 0)
    with pytest.raises(ArgumentError, match="`shots` must be an integer of at least 2, but is 1"):
        sampling_error(4, 1)
    with pytest.raises(ArgumentError, match="`largest` must be at most the number of entries, 3"):
        read_out_coherently(torch.ones(3), 0.1, largest=4)
