"""How many entries a loss of progress allows, decided by counts alone."""

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent._random import named_numpy_generator
from qdescent.quantum.readout.largest import choose_largest, largest_counts


def counts_of(p, shots, seed):
    return np.random.default_rng(seed).multinomial(shots, p / p.sum())


@pytest.mark.parametrize("loss", [0.5, 0.1, 0.01])
def test_the_share_that_is_read_is_what_was_asked_for(loss):
    p = np.arange(1, 2001) ** -1.2
    p /= p.sum()
    needed = int(np.searchsorted(np.cumsum(p), 1 - loss)) + 1
    chosen = [choose_largest(counts_of(p, 10**6, s), loss, s) for s in range(20)]
    assert np.mean(chosen) == pytest.approx(needed, rel=0.1)
    shares = [
        p[largest_counts(counts_of(p, 10**6, s), m, named_numpy_generator(s, "t"))].sum()
        for s, m in enumerate(chosen)
    ]
    assert min(shares) > 1 - loss - 0.005


def test_the_counts_that_choose_may_not_judge():
    """A flat vector: half of it lies in half of its entries, though the larger half of its counts
    holds far more of them."""
    p = np.ones(2000)
    chosen = np.mean([choose_largest(counts_of(p, 10_000, s), 0.5, s) for s in range(20)])
    assert chosen == pytest.approx(1000, rel=0.05)
    counts = np.sort(counts_of(p, 10_000, 0))[::-1]
    planted = int(np.searchsorted(np.cumsum(counts), 5_000)) + 1
    assert planted < 750


def test_only_what_was_seen_is_chosen():
    assert choose_largest([5, 0, 0, 1], 0.0) == 2
    assert choose_largest(torch.tensor([0, 7, 0]), 0.0) == 1
    draw = named_numpy_generator(0, "ties")
    assert largest_counts(np.array([0, 3, 0, 0]), 3, draw).tolist() == [False, True, False, False]


def test_ties_are_broken_by_lot():
    counts = np.full(50, 4)
    found = sum(
        largest_counts(counts, 10, named_numpy_generator(s, "t")).astype(int) for s in range(400)
    )
    assert found.sum() == 4000
    assert found.max() < 130
    assert found.min() > 40


def test_refusals():
    for counts, fault in (
        ([0, 0], "all zero"),
        ([1, -1], "negative at an index"),
        ([0.5, 1.0], "counts of shots"),
        ([[1]], "counts of shots"),
    ):
        with pytest.raises(ArgumentError, match=fault):
            choose_largest(counts, 0.1)
    with pytest.raises(ArgumentError, match=r"`loss` must be in \[0, 1\), but is 1"):
        choose_largest([1, 2], 1)
