"""The largest weights, and masks from scores."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.learning.masks import Mask, full_mask
from qdescent.learning.pruning.magnitude import magnitude_mask
from qdescent.learning.pruning.scores import mask_from_scores


@pytest.fixture
def network():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 8), nn.Linear(8, 5))
    with torch.no_grad():
        net[1].weight.mul_(5)  # so that global and per-layer pruning differ
    return net


def kept(mask, name):
    return int(mask.keep[name].sum())


@pytest.mark.parametrize("density", [1e-9, 0.1, 0.25, 0.5, 1.0])
def test_global_magnitude_keeps_the_largest(network, density):
    mask = magnitude_mask(network, density)
    flat = np.concatenate([network[i].weight.detach().numpy().ravel() for i in (0, 1)])
    chosen = np.concatenate([mask.keep[f"{i}.weight"].numpy().ravel() for i in (0, 1)])
    count = max(1, round(density * 120))
    assert chosen.sum() == count
    assert set(np.flatnonzero(chosen)) == set(np.argsort(-np.abs(flat))[:count])
    assert kept(mask, "0.bias") == 8  # biases are not pruned
    assert (mask.kept, mask.total, mask.density) == (count + 13, 133, (count + 13) / 133)


def test_per_layer_keeps_the_same_share_of_each(network):
    mask = magnitude_mask(network, 0.25, scope="layer")
    assert (kept(mask, "0.weight"), kept(mask, "1.weight")) == (20, 10)
    everywhere = magnitude_mask(network, 0.25)
    assert kept(everywhere, "1.weight") > 15


def test_ties_are_broken_by_position():
    mask = mask_from_scores(nn.Linear(4, 1, bias=False), {"weight": torch.ones(1, 4)}, 0.5)
    assert mask.keep["weight"].tolist() == [[True, True, False, False]]


def test_full_mask(network):
    assert full_mask(network).density == 1.0


@pytest.mark.parametrize("density", [0, -0.1, 1.5, math.nan])
def test_density_outside_its_interval(network, density):
    with pytest.raises(ArgumentError, match=r"Argument `density` must be in \(0, 1\], but is"):
        magnitude_mask(network, density)


def test_errors(network):
    with pytest.raises(
        ArgumentError, match="Argument `mask` must keep at least one weight, but is empty."
    ):
        Mask({"w": torch.zeros(3, dtype=torch.bool)})
    with pytest.raises(
        ArgumentError,
        match=r"`keep\['w'\]` must be boolean \(\.bool\(\) makes .*\), but is of type torch",
    ):
        Mask({"w": torch.ones(3)})
    with pytest.raises(ArgumentError, match="Argument `scope` must be one of 'global', 'layer'"):
        magnitude_mask(network, scope="module")
    with pytest.raises(
        ArgumentError,
        match="Argument `network` must have a weight tensor of two or more dimensions",
    ):
        magnitude_mask(nn.LayerNorm(3))
    with torch.no_grad():
        network[0].weight[0, 0] = math.nan
    with pytest.raises(ArgumentError, match=r"Argument `weights\['0.weight'\]` must be finite"):
        magnitude_mask(network)
