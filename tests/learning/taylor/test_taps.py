"""A convolution by its taps beside PyTorch's."""

import pytest
import torch
import torch.nn.functional as F

from qdescent.learning.taylor.convolutions import Convolution
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


@pytest.mark.parametrize("stride", [2, (2, 1), 3])
@pytest.mark.parametrize("channels", [2, 4, 7, 8])
def test_a_strided_kernel_of_one_place_has_the_adjoint_of_its_inputs_taken_out(channels, stride):
    """oneDNN's own wrote beyond its memory here, and the process ended."""
    images = torch.randn(2, 2, channels, 14, 14)
    form = Convolution(images.shape[1:], torch.Size((5, channels, 1, 1)), stride, 0, 1, 1)
    kernel = torch.zeros(5, channels, 1, 1, dtype=torch.float64, requires_grad=True)
    adjoint = torch.randn(2, *F.conv2d(images[0].double(), kernel, None, stride).shape)
    for degree in (0, 1):
        pairs = [(images[i].double(), adjoint[degree - i].double()) for i in range(degree + 1)]
        sums = [(F.conv2d(x, kernel, None, stride) * y).sum() for x, y in pairs]
        (truth,) = torch.autograd.grad(sum(sums), kernel)
        for _ in range(20):
            found = form.weigh(images, adjoint, degree)
        torch.testing.assert_close(found.double(), truth, rtol=1e-5, atol=1e-5)
