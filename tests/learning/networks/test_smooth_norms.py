"""The elementary norms against PyTorch's own, which no code of ours touches."""

import pytest
import torch
from torch import nn

from qdescent.learning.networks.smooth_norms import SmoothGroupNorm, SmoothLayerNorm


def random(seed, *shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def with_random_weights(norm):
    norm = norm.double()
    with torch.no_grad():
        norm.weight.copy_(random(1, *norm.weight.shape))
        norm.bias.copy_(random(2, *norm.bias.shape))
    return norm


def test_layer_norm_is_pytorchs():
    ours, theirs = with_random_weights(SmoothLayerNorm(6)), with_random_weights(nn.LayerNorm(6))
    x = 3 + 2 * random(3, 4, 5, 6)
    assert torch.allclose(ours(x), theirs(x), rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(48, 3), (400, 25), (784, 49), (1552, 97), (238, 17), (64, 4), (17, 1), (2, 1), (1, 1)],
)
def test_group_norm_is_pytorchs(channels, groups):
    ours, theirs = (
        with_random_weights(SmoothGroupNorm(channels)),
        with_random_weights(nn.GroupNorm(groups, channels)),
    )
    assert ours.groups == groups
    x = 3 + 2 * random(3, 2, channels, 3, 2)
    assert torch.allclose(ours(x), theirs(x), rtol=0, atol=1e-13)
    if groups > 1:
        wrong = with_random_weights(nn.GroupNorm(1, channels))
        assert not torch.allclose(ours(x), wrong(x), rtol=0, atol=1e-3)


def test_a_constant_input_has_finite_derivatives():
    x = torch.ones(1, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    y = SmoothGroupNorm(2).double()(x)
    (first,) = torch.autograd.grad(y[0, 0, 0, 0], x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    assert float(y.detach().abs().max()) < 1e-12
    assert bool(first.isfinite().all() & second.isfinite().all())
