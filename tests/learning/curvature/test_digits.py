"""Digits that a network drops inside are declared: steps by a remark, rounding in the bars."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qdescent.carleman.dissipation import diagnose
from qdescent.learning.curvature.hessian import gauss_newton, hessian
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.linalg.spectra.density import spectral_density

F64 = torch.float64


class Middle(nn.Module):
    """Two linear layers with a function between them."""

    def __init__(self, function, width):
        super().__init__()
        self.first, self.last, self.function = nn.Linear(3, width), nn.Linear(width, 2), function

    def forward(self, x):
        return self.last(self.function(self.first(x)))


def task_of(function, dtype, seed=0, width=20, samples=64):
    torch.manual_seed(seed)
    network = Middle(function, width).to(dtype)
    x, y = torch.randn(samples, 3, dtype=dtype), torch.randn(samples, 2, dtype=dtype)
    return Task(network, F.mse_loss, (x, y)), ParameterSpace(network)


STEPS = {
    "seven bits": lambda z: torch.round(z * 127) / 127,
    "two bits": lambda z: torch.round(z * 4) / 4,
    "in place": lambda z: (z * 100).trunc_() / 100,
    "integers": lambda z: (z * 127).to(torch.int32).to(z.dtype) / 127,
    "binary": torch.sign,
    "threshold": lambda z: (z > 0).to(z.dtype),
}
KINKS = {
    "smooth": torch.tanh,
    "ReLU": F.relu,
    "ReLU by hand": lambda z: z * (z > 0),
    "two pieces": lambda z: torch.where(z > 0.1, z, 0.01 * z + 0.099),
    "absolute value": lambda z: z * torch.sign(z),
    "a period": lambda z: torch.cos(2 * torch.pi * torch.frac(z)),
    "steep": lambda z: torch.sin(30 * z) * (z.abs() < 9),
}


@pytest.mark.parametrize("build", [hessian, gauss_newton])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("name", STEPS)
def test_steps_inside_a_network_are_remarked(name, dtype, build):
    """Their derivative is 0: the curvature of what stands before them is missing."""
    H = build(*task_of(STEPS[name], dtype))
    assert "makes steps of what depends on its weights" in H.remark
    assert not bool((H @ torch.ones(H.shape[1], dtype=dtype))[:80].any())  # of the first layer
    assert diagnose(spectral_density(H, steps=8, probes=2), 0.1).reasons[-1] == H.remark


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("name", KINKS)
def test_kinks_and_what_is_smooth_are_not(name, dtype):
    for seed in range(3):
        assert "steps" not in hessian(*task_of(KINKS[name], dtype, seed)).remark


def test_steps_of_the_data_alone_are_not():
    torch.manual_seed(0)

    class Binned(nn.Module):
        def __init__(self):
            super().__init__()
            self.rows, self.last = nn.Embedding(9, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.last(torch.tanh(self.rows((x.clamp(-2, 2) * 2).round().long() + 4)))

    network = Binned()
    task = Task(network, F.cross_entropy, (torch.randn(30), torch.randint(2, (30,))))
    assert hessian(task, ParameterSpace(network)).remark == ""


def scatter(out, target):
    return ((out + 1e4 - (out + 1e4).mean()) ** 2).mean()


def both(loss, seed, function=torch.tanh):
    """Spectra by float32 and by float64, and the first one's operator."""
    task, space = task_of(function, torch.float32, seed, width=4, samples=20)
    network, (x, y) = task.network, task.data
    found = hessian(Task(network, loss, (x, y)), space)
    spectrum = spectral_density(found, steps=26, probes=8)
    network.double()
    right = hessian(Task(network, loss, (x.double(), y.double())), ParameterSpace(network))
    return found, spectrum, spectral_density(right, steps=26, probes=8)


@pytest.mark.parametrize("seed", range(3))
def test_rounding_inside_a_loss_is_in_the_bars(seed):
    """Numbers near 1e4 of which the scatter alone counts: products are off by a ten-thousandth."""
    H, found, right = both(scatter, seed)
    assert 1e-5 < H.rounding < 1e-2
    for name in ("lambda_min", "lambda_max"):
        (value, bar), (truth, _) = getattr(found, name), getattr(right, name)
        assert abs(value - truth) <= bar
        # planted: the bars of the type alone
        own = bar - (H.rounding - 8 * torch.finfo(torch.float32).eps) * float(
            found.nodes.abs().max()
        )
        if name == "lambda_min":
            assert abs(value - truth) > 4 * own


@pytest.mark.parametrize("function", [torch.tanh, F.relu, F.gelu])
def test_products_of_ordinary_networks_have_the_rounding_of_their_type(function):
    assert both(F.mse_loss, 0, function)[0].rounding is None
