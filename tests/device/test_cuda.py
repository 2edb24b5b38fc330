"""The same numbers on a GPU as on the CPU. QDESCENT_TEST_DEVICE=cpu rehearses these tests where
there is none.
"""

import os

import pytest
import torch
from torch import nn
from torch.func import functional_call

import qdescent as qd
from qdescent.linalg.spectra.deflation import extreme_eigenpairs

DEVICE = os.environ.get("QDESCENT_TEST_DEVICE", "cuda")
missing = DEVICE == "cuda" and not torch.cuda.is_available()
pytestmark = pytest.mark.skipif(missing, reason="no CUDA device on this machine")


def problem(device):
    """A GELU network of 43 weights, float64, made on the CPU and carried over."""
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(
        nn.Linear(3, 6), nn.GELU(), nn.Linear(6, 2), nn.Tanh(), nn.Linear(2, 1)
    ).double()
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    inputs, targets = (torch.randn(8, n, generator=generator, dtype=torch.float64) for n in (3, 1))
    task = qd.Task(
        network.to(device), nn.functional.mse_loss, (inputs.to(device), targets.to(device))
    )
    return task, qd.ParameterSpace(task.network)


def test_products_equal_a_dense_hessian_made_on_the_cpu():
    task, space = problem(DEVICE)
    twin, _ = problem("cpu")

    def loss(theta):
        weights, start = {}, 0
        for name, weight in twin.network.named_parameters():
            weights[name] = theta[start : start + weight.numel()].view(weight.shape)
            start += weight.numel()
        return twin.loss(functional_call(twin.network, weights, (twin.data[0],)), twin.data[1])

    dense = torch.func.hessian(loss)(
        torch.cat([w.detach().flatten() for w in twin.network.parameters()])
    )
    for method in ("taylor", "double-backward"):
        found = qd.hessian(task, space, method=method).to_dense()
        assert found.device.type == DEVICE
        assert torch.allclose(found.cpu(), dense, rtol=0, atol=1e-12)
    assert not torch.allclose(
        qd.gauss_newton(task, space).to_dense().cpu(), dense, rtol=0, atol=1e-6
    )


def test_spectrum_and_rows():
    here, there = (qd.hessian(*problem(device)) for device in (DEVICE, "cpu"))
    found, truth = (qd.spectral_density(each, steps=12, probes=3) for each in (here, there))
    assert torch.allclose(found.nodes, truth.nodes, rtol=0, atol=1e-9)
    assert torch.equal(qd.row_sparsity(here, rows=9).above, qd.row_sparsity(there, rows=9).above)


def test_extreme_eigenpairs_of_float32():
    """Two passes of one recurrence: on a GPU whose products do not repeat nothing would be left."""
    spectra = []
    for device in (DEVICE, "cpu"):
        network = qd.networks.fashion_cnn((2, 4, 4)).to(device).eval()
        generator = torch.Generator().manual_seed(3)
        images = torch.randn(32, 1, 28, 28, generator=generator)
        labels = torch.randint(0, 10, (32,), generator=generator)
        task = qd.Task(network, nn.functional.cross_entropy, (images.to(device), labels.to(device)))
        space = qd.ParameterSpace(network)
        spectra.append(extreme_eigenpairs(qd.hessian(task, space), 4).values)
    assert len(spectra[0]) == 4
    assert torch.allclose(*spectra, rtol=1e-3)


def test_series_step():
    found, truth = (
        qd.series_descent(*problem(device), order=3, steps=4, learning_rate=0.05)
        for device in (DEVICE, "cpu")
    )
    assert found.terms.device.type == DEVICE
    assert torch.allclose(found.terms.cpu(), truth.terms, rtol=0, atol=1e-13)


def test_a_point_of_the_cpu_is_carried_over():
    task, space = problem(DEVICE)
    point = torch.linspace(-1, 1, space.n, dtype=torch.float64)
    assert space.point(point).device.type == DEVICE
    twin, same = problem("cpu")
    gap = abs(float(task.loss_at(space, space.point(point))) - float(twin.loss_at(same, point)))
    assert gap < 1e-12
    with pytest.raises(qd.ArgumentError, match="Argument `x` must be on the operator's device"):
        _ = qd.hessian(task, space) @ torch.ones(
            space.n, dtype=torch.float64, device="cpu" if DEVICE == "cuda" else "meta"
        )


def test_the_history_of_a_map_is_the_same_system():
    coefficients = [torch.ones(2), torch.diag(torch.tensor([1.0, 0.5])), 0.1 * torch.ones(2, 4)]
    f = qd.PolynomialMap([F.double() for F in coefficients])
    there = qd.PolynomialMap([F.to(DEVICE) for F in f.coefficients])
    start = torch.zeros(2, dtype=torch.float64)
    own, other = (qd.history_system(each, start, 4, order=2) for each in (f, there))
    assert own.choice == other.choice
    assert torch.equal(own.matrix.to_dense(), other.matrix.to_dense().cpu())


class Recurrent(nn.Module):
    """The next of a few tokens."""

    def __init__(self, kind):
        super().__init__()
        self.table = nn.Embedding(20, 6)
        self.cells = kind(6, 6, 2, batch_first=True)
        self.head = nn.Linear(6, 20)

    def forward(self, tokens):
        return self.head(self.cells(self.table(tokens))[0]).transpose(1, 2)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_layers_have_a_gradient_in_evaluation_mode(kind):
    found = []
    for device in (DEVICE, "cpu"):
        torch.manual_seed(0)
        network = Recurrent(kind).double().eval().to(device)
        tokens = torch.arange(18, device=device).reshape(2, 9) % 20
        data = tokens[:, :-1], tokens[:, 1:]
        task = qd.Task(network, nn.functional.cross_entropy, data)
        space = qd.ParameterSpace(network)
        found.append(task.loss_and_gradient(space, space.theta)[1].cpu())
    assert torch.allclose(*found, rtol=0, atol=1e-13)
