"""The network that the package brings along."""

import torch
from torch import nn

from qdescent.learning.networks.small_cnn import fashion_cnn, multiply_adds, with_weights


def test_shape_and_count():
    network = fashion_cnn((2, 3, 4), hidden=5, classes=7)
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 7)
    expected = (9 * 2 + 2) + (2 * 9 * 3 + 3) + (3 * 9 * 4 + 4) + (64 * 5 + 5) + (5 * 7 + 7)
    assert sum(w.numel() for w in network.parameters()) == expected


def test_seed_decides_and_global_state_stays():
    before = torch.random.get_rng_state()
    one, same, other = (
        torch.cat([w.flatten() for w in fashion_cnn(seed=s).parameters()]) for s in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_weights_are_drawn_by_name_and_not_by_order():
    def built(*names):
        with torch.device("meta"):
            network = nn.ModuleDict({name: nn.Linear(3, 2) for name in names})
        return with_weights(network, seed=0)

    one, other = built("a", "b"), built("b", "a")
    assert torch.equal(one["a"].weight, other["a"].weight)
    assert not torch.equal(one["a"].weight, one["b"].weight)


def test_multiply_adds_by_hand():
    network = fashion_cnn((2, 3, 4), hidden=5, classes=7)
    expected = 9 * 2 * 14 * 14 + 2 * 9 * 3 * 7 * 7 + 3 * 9 * 4 * 4 * 4 + 64 * 5 + 5 * 7
    assert multiply_adds(network, torch.zeros(1, 1, 28, 28)) == expected


def test_nothing_with_a_kink_and_no_batchnorm():
    kinds = {type(module) for module in fashion_cnn().modules()}
    assert kinds == {nn.Sequential, nn.Conv2d, nn.GELU, nn.Flatten, nn.Linear}
