"""A user's project for the tests of `qdescent spectrum`: a module, images, and one small
measurement run to its end.
"""

import sys

import numpy as np
import pytest

from qdescent.experiment.spectrum.pipeline import run_spectrum
from qdescent.experiment.spectrum.settings import SpectrumSettings

MODULE = """
import numpy as np
import torch
from torch import nn

def build_network(norm=False, width=4):
    torch.manual_seed(0)
    middle = [nn.BatchNorm1d(width)] if norm else []
    return nn.Sequential(
        nn.Linear(3, width), *middle, nn.GELU(), nn.Dropout(0.5), nn.Linear(width, 2)
    )

def load_batch():
    g = torch.Generator().manual_seed(1)
    return torch.randn(10, 3, generator=g), torch.randint(0, 2, (10,), generator=g)

def diagonal():  # with `axes` and `saddle`: H = diag(2 s_i^2 y_i / 4)
    network = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, 0.0, 2.0, 3.0]]))
    return network

def axes():
    labels = torch.tensor([[1.0], [1.0], [1.0], [-1.0]])
    return torch.diag(torch.tensor([2.0, 9.0, 4.0, 2.0])), labels

def wide():
    return nn.Linear(40, 1, bias=False)

def spread():  # with `wide` and mse: H has forty eigenvalues from 1 to 2
    return torch.diag((20 * torch.linspace(1, 2, 40)).sqrt()), torch.zeros(40, 1)

def saddle(outputs, targets):
    return (targets * outputs**2).mean()

# by numpy: no Taylor rule knows the value, and autograd cannot differentiate the gradient
def hidden(marked=False):
    class Tanh(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return torch.from_numpy(np.tanh(x.detach().numpy()))
        @staticmethod
        def backward(context, g):
            (x,) = context.saved_tensors
            return torch.from_numpy((g * (1 - x.tanh() ** 2)).detach().numpy())
    if marked:
        Tanh.backward = staticmethod(torch.autograd.function.once_differentiable(Tanh.backward))
    class Network(nn.Linear):
        def forward(self, x):
            return Tanh.apply(super().forward(x))
    torch.manual_seed(0)
    return Network(3, 2)

def open_twin():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.Tanh())

def curve():
    x, _ = load_batch()
    return x, torch.cat([3 + x[:, :1], x[:, 1:2]], 1)

def fitted():
    network = nn.Linear(3, 2)
    with torch.no_grad():
        network.weight.copy_(torch.eye(2, 3)); network.bias.copy_(torch.tensor([3.0, 0.0]))
    return network
"""
SMALL = SpectrumSettings(
    "qdescent.learning.networks.small_cnn:fashion_cnn", "images.npz",
    arguments=("widths=(2, 3, 3)", "hidden=6"),
    density=0.4, learning_rate=0.5, batch=6, batches=2, steps=14, probes=2, horizon=12,
)  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working directory with the user's module and some images."""
    (tmp_path / "my_project.py").write_text(MODULE)
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "images.npz",
        images=rng.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        labels=np.arange(20) % 10,
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_project", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


@pytest.fixture(scope="session")
def small():
    """A network with two convolutions on two batches of random images."""
    return SMALL


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """(record, directory) of that measurement, run to its end."""
    directory = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        rng = np.random.default_rng(0)
        np.savez(
            "images.npz",
            images=rng.integers(0, 256, (20, 28, 28), dtype=np.uint8),
            labels=np.arange(20) % 10,
        )
        return run_spectrum(SMALL, directory / "o"), directory / "o"
