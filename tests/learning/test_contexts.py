"""What surrounds a call changes no number: `no_grad`, `inference_mode`, and what was made in it."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from qdescent import ArgumentError, ParameterSpace, Task, gauss_newton, hessian, spectral_density

F64 = torch.float64


def made():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    data = torch.randn(8, 3, dtype=F64), torch.randint(2, (8,))
    return Task(network, cross_entropy, data), ParameterSpace(network)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    "build",
    [
        lambda task, space: hessian(task, space, method="taylor"),
        lambda task, space: hessian(task, space, method="double-backward"),
        lambda task, space: hessian([task, task], space),
        gauss_newton,
    ],
)
def test_products_are_the_same_in_any_context(context, build):
    task, space = made()
    operator, eye = build(task, space), torch.eye(space.n, dtype=F64)
    plain = operator @ eye
    with context():
        inside = operator @ torch.eye(space.n, dtype=F64)
        assert float(spectral_density(operator, 3, 1).lambda_max[0]) > 0
    assert torch.allclose(inside, plain, rtol=1e-12, atol=1e-14)
    if context is torch.no_grad:
        with context():
            again = build(task, space) @ eye
        assert torch.allclose(again, plain, rtol=1e-12, atol=1e-14)
    else:
        with context(), pytest.raises(ArgumentError, match="outside of `torch.inference_mode`"):
            build(task, space)


def test_a_point_that_was_made_in_inference_mode_is_a_point():
    task, space = made()
    with torch.inference_mode():
        theta = space.theta.clone()
    eye = torch.eye(space.n, dtype=F64)
    for build in (hessian, gauss_newton):
        assert torch.equal(build(task, space, theta) @ eye, build(task, space) @ eye)


def test_networks_of_another_type_inside_and_without_weights_are_told():
    class Rounded(nn.Linear):
        def forward(self, x):
            scale, zero = torch.full((2,), 1e-3), torch.zeros(2, dtype=torch.int32)
            return torch.fake_quantize_per_channel_affine(
                super().forward(x), scale, zero, 1, -99, 99
            )

    data = torch.randn(8, 3), torch.randint(2, (8,))
    task = Task(Rounded(3, 2), cross_entropy, data)
    with pytest.raises(ArgumentError, match="`network` must run in float64, too.*check=False"):
        hessian(task, ParameterSpace(task.network))
    with pytest.raises(ArgumentError, match="`network` must have weights that are parameters"):
        Task(nn.Tanh(), cross_entropy, data)
