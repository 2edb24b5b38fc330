"""Masks taken over from torch.nn.utils.prune, against a twin without prune whose weights are
multiplied by hand.
"""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

from qdescent._checks import ArgumentError
from qdescent.learning.curvature.hessian import hessian
from qdescent.learning.masks import Mask, full_mask
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.torch_prune import mask_from_prune


def random(seed, *shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def plain():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GELU(), nn.Flatten(), nn.Linear(8, 3)).double()
    with torch.no_grad():
        for i, w in enumerate(network.parameters()):
            w.copy_(random(i, *w.shape))
    return network


@pytest.fixture
def pruned(plain):
    network = copy.deepcopy(plain)
    prune.global_unstructured(
        [(network[0], "weight"), (network[3], "weight")], prune.L1Unstructured, amount=0.6
    )
    prune.random_unstructured(network[3], "bias", amount=1)
    return network


def names_before(mask):
    return {name.removesuffix("_orig"): keep for name, keep in mask.keep.items()}


def test_mask_and_counts(plain, pruned):
    mask = mask_from_prune(pruned)
    assert mask.total == sum(w.numel() for w in plain.parameters())
    assert mask.kept == mask.total - round(0.6 * (18 + 24)) - 1
    for name, keep in names_before(mask).items():
        module, kind = pruned[int(name[0])], name[2:]
        assert torch.equal(keep, getattr(module, f"{kind}_mask", torch.ones_like(keep)).bool())
    assert torch.equal(
        *(
            torch.cat([k.flatten() for k in m.keep.values()])
            for m in (mask_from_prune(plain), full_mask(plain))
        )
    )


def test_spectrum_of_the_kept_weights_equals_the_twin_without_prune(plain, pruned):
    data = random(7, 5, 1, 4, 4), torch.tensor([0, 1, 2, 1, 0])
    ours_mask = mask_from_prune(pruned)
    order = [name for name, _ in plain.named_parameters()]
    keep = names_before(ours_mask)
    ours = hessian(
        Task(pruned, F.cross_entropy, data), ParameterSpace(pruned, ours_mask)
    ).to_dense()
    twin_mask = Mask({name: keep[name] for name in order})
    truth = hessian(Task(plain, F.cross_entropy, data), ParameterSpace(plain, twin_mask)).to_dense()
    ours, truth = torch.linalg.eigvalsh(ours), torch.linalg.eigvalsh(truth)
    assert torch.allclose(ours, truth, rtol=0, atol=1e-12)
    unmasked = torch.linalg.eigvalsh(
        hessian(Task(plain, F.cross_entropy, data), ParameterSpace(plain)).to_dense()
    )
    assert float((unmasked[-5:] - truth[-5:]).abs().max()) > 1e-3


def test_a_pruned_network_at_the_root_and_one_used_twice():
    root = prune.l1_unstructured(nn.Linear(4, 1, bias=False), "weight", amount=3)
    assert mask_from_prune(root).keep["weight_orig"].sum() == 1
    twice = nn.Sequential(root, nn.Sequential(root))
    assert list(mask_from_prune(twice).keep) == ["0.weight_orig"]


def test_nothing_kept_is_refused():
    layer = prune.l1_unstructured(nn.Linear(4, 1, bias=False), "weight", amount=4)
    with pytest.raises(
        ArgumentError, match="Argument `mask` must keep at least one weight, but is empty."
    ):
        mask_from_prune(layer)


def test_the_effective_weights_are_put_back(pruned):
    data = random(7, 5, 1, 4, 4), torch.tensor([0, 1, 2, 1, 0])
    before = pruned[0].weight
    hessian(Task(pruned, F.cross_entropy, data), ParameterSpace(pruned)) @ torch.ones(
        21, dtype=torch.float64
    )
    assert pruned[0].weight is before
    pruned(data[0])  # planted: a plain call sets it anew
    assert pruned[0].weight is not before
