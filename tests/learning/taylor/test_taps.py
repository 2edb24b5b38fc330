"""A convolution by its taps beside PyTorch's."""

import pytest
import torch
import torch.nn.functional as F

from qdescent.learning.taylor.taps import taps_of

SHAPES = [  # rows and columns of inputs, kernel, stride, padding
    ((2, 2), (3, 3), (1, 1), (1, 1)),
    ((1, 1), (3, 3), (1, 1), (1, 1)),
    ((4, 4), (3, 3), (2, 2), (1, 1)),
    ((3, 5), (2, 4), (1, 2), (0, 3)),
    ((1, 7), (5, 1), (3, 2), (2, 0)),
    ((4, 4), (1, 1), (3, 3), (0, 0)),
    ((2, 2), (3, 3), (1, 1), (2, 2)),
]


@pytest.mark.parametrize(("inputs", "kernel", "stride", "padding"), SHAPES)
def test_taps_make_the_convolution_and_both_its_adjoints(inputs, kernel, stride, padding):
    x = torch.randn(3, 5, *inputs, dtype=torch.float64, requires_grad=True)
    w = torch.randn(4, 5, *kernel, dtype=torch.float64, requires_grad=True)
    y = F.conv2d(x, w, None, stride, padding)
    adjoint = torch.randn_like(y)
    of_x, of_w = torch.autograd.grad(y, (x, w), adjoint)
    taps = taps_of(inputs, kernel, stride, padding)
    x, w = x.detach(), w.detach()
    torch.testing.assert_close(taps.apply(x, w), y.detach(), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(taps.back(adjoint, w), of_x, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(taps.weigh(x, adjoint), of_w, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("inputs", "kernel", "stride", "padding"), SHAPES)
def test_the_share_is_that_of_ones_which_meet_ones(inputs, kernel, stride, padding):
    met = F.conv2d(torch.ones(1, 1, *inputs), torch.ones(1, 1, *kernel), None, stride, padding)
    taps = taps_of(inputs, kernel, stride, padding)
    assert taps.share == pytest.approx(float(met.mean()) / (kernel[0] * kernel[1]))


def test_beyond_sixteen_outputs_there_are_none():
    assert taps_of((4, 4), (3, 3), (1, 1), (1, 1)) is not None
    assert taps_of((4, 5), (3, 3), (1, 1), (1, 1)) is None
