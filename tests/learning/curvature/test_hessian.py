"""The Hessian against closed forms and a dense float64 twin."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from qdescent._checks import ArgumentError
from qdescent.learning.curvature.hessian import gauss_newton, hessian
from qdescent.learning.masks import Mask
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.task import Task
from qdescent.linalg.spectra.density import spectral_density

PLAIN = [1.075250163494, 2.4, 2.868773288345, 7.655976548160]
MASKED = [1.171607879792, 2.662280806775, 7.366111313433]


def assert_same(ours, truth):
    assert ours.shape == truth.shape
    assert float((ours - truth).norm()) < 1e-13 * float(truth.norm())


def flat(mask):
    return torch.cat([keep.flatten() for keep in mask.keep.values()])


def test_linear_regression_rows(regression):
    network = regression.task.network
    H = hessian(regression.task, ParameterSpace(network)).to_dense()
    np.testing.assert_allclose(torch.linalg.eigvalsh(H), PLAIN, atol=6e-13)
    assert float(H.trace()) == pytest.approx(14, rel=1e-14)
    mask = Mask({"weight": torch.tensor([[True, False, True, True]])})
    space = ParameterSpace(network, mask)
    masked = hessian(regression.task, space)
    np.testing.assert_allclose(torch.linalg.eigvalsh(masked.to_dense()), MASKED, atol=6e-13)
    spectrum = spectral_density(masked, steps=3, probes=4)
    np.testing.assert_allclose(spectrum.nodes, [MASKED] * 4, atol=6e-13)
    assert spectrum.lambda_max[0] == pytest.approx(MASKED[-1], abs=6e-13)
    # the unmasked matrix has other eigenvalues on these coordinates
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(PLAIN[1:], MASKED, atol=6e-13)


def test_softmax_closed_form():
    x = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    layer = nn.Linear(4, 3, bias=False).double()
    task = Task(layer, cross_entropy, (x, torch.tensor([0, 1, 2, 0, 1, 2, 2])))
    p = (x @ layer.weight.detach().T).softmax(1).numpy()
    per_sample = [
        np.kron(np.diag(q) - np.outer(q, q), np.outer(s, s))
        for q, s in zip(p, x.numpy(), strict=True)
    ]
    truth = torch.from_numpy(np.mean(per_sample, axis=0))
    H = hessian(task, ParameterSpace(layer)).to_dense()
    assert_same(H, truth)
    swapped = np.mean(
        [
            np.kron(np.outer(s, s), np.diag(q) - np.outer(q, q))
            for q, s in zip(p, x.numpy(), strict=True)
        ],
        0,
    )
    with pytest.raises(AssertionError):  # weights flattened column-major
        assert_same(H, torch.from_numpy(swapped))


@pytest.mark.parametrize("name", ["seventeen", "small_conv"])
@pytest.mark.parametrize("density", [1.0, 0.4])
def test_dense_twin(name, density, request):
    twin = request.getfixturevalue(name)
    mask = MASKS["random"](twin.task.network, density=density)
    keep = flat(mask)
    space = ParameterSpace(twin.task.network, mask)
    dense = twin.hessian(twin.theta * keep)
    H = hessian(twin.task, space)
    truth = dense[keep][:, keep]
    assert_same(H.to_dense(), truth)
    block = torch.randn(space.n, 3, dtype=torch.float64)
    assert_same(H @ block, truth @ block)
    assert_same(H @ block[:, 0], truth @ block[:, 0])
    assert_same(H.to_dense(), H.to_dense().T)
    assert_same(H.H @ block, H @ block)
    if density < 1:
        # masked vectors, but pruned weights still alive in the loss
        with pytest.raises(AssertionError):
            assert_same(H.to_dense(), twin.hessian(twin.theta)[keep][:, keep])
        with pytest.raises(AssertionError):  # masked on one side only
            assert_same(H.to_dense(), dense[keep][:, : space.n])


def test_at_another_point_and_restricted(seventeen):
    space = ParameterSpace(seventeen.task.network)
    theta = seventeen.theta + 0.1
    truth = seventeen.hessian(theta)
    assert_same(hessian(seventeen.task, space, theta).to_dense(), truth)
    places = torch.tensor([1, 4, 16])
    small = space.restrict(theta, places)
    assert_same(hessian(seventeen.task, small).to_dense(), truth[places][:, places])


def test_single_precision(small_conv):
    truth = small_conv.hessian(small_conv.theta)
    network = small_conv.task.network.float()
    task = Task(network, cross_entropy, (small_conv.task.data[0].float(), small_conv.task.data[1]))
    H = hessian(task, ParameterSpace(network))
    assert H.dtype == torch.float32
    assert float((H.to_dense().double() - truth).norm()) < 1e-5 * float(truth.norm())


def test_the_network_keeps_its_weights_and_has_no_gradients(seventeen):
    before = seventeen.theta
    hessian(seventeen.task, ParameterSpace(seventeen.task.network)).to_dense()
    assert torch.equal(before, seventeen.theta)
    assert all(w.grad is None for w in seventeen.task.network.parameters())


def test_frozen_batchnorm_is_symmetric():
    torch.manual_seed(0)
    network = (
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
        .double()
        .eval()
    )
    task = Task(
        network,
        cross_entropy,
        (torch.randn(6, 3, dtype=torch.float64), torch.tensor([0, 1, 0, 1, 1, 0])),
    )
    H = hessian(task, ParameterSpace(network)).to_dense()
    assert_same(H, H.T)


def test_errors(seventeen):
    space = ParameterSpace(seventeen.task.network)
    with pytest.raises(
        ArgumentError,
        match=r"Argument `x` must have shape \(17,\) or \(17, k\), but is of shape \(16,\).",
    ):
        hessian(seventeen.task, space) @ torch.ones(16)
    with pytest.raises(ArgumentError, match=r"must have shape \(17,\), but is of shape \(3,\)"):
        hessian(seventeen.task, space, torch.ones(3))
    wide = nn.Linear(1000, 1000)  # large enough to be checked on a few samples first
    task = Task(wide, mse_loss, (torch.zeros(64, 1000), torch.zeros(64, 1000)))
    for curvature in (hessian, gauss_newton):
        for space in (None, "x", wide, ParameterSpace):
            with pytest.raises(ArgumentError, match="`space` must be a ParameterSpace"):
                curvature(task, space)
