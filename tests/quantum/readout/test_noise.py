"""The closed form of depolarising noise against density matrices that suffer it query by query."""

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.quantum.readout.noise import depolarised, noisy_solution


def random_unitary(size, generator):
    return torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.complex128))[0]


def noisy_density(unitaries, rate):
    size = len(unitaries[0])
    rho = torch.zeros(size, size, dtype=torch.complex128)
    rho[0, 0] = 1
    for U in unitaries:
        rho = U @ rho @ U.mH
        rho = (1 - rate) * rho + rate * torch.eye(size, dtype=torch.complex128) / size
    return rho


@pytest.mark.parametrize("rate", [0.0, 1e-3, 0.2, 1.0])
def test_closed_form_is_the_density_matrix(rate):
    generator = torch.Generator().manual_seed(0)
    unitaries = [random_unitary(8, generator) for _ in range(7)]
    clean = noisy_density(unitaries, 0.0).diagonal().real
    truth = noisy_density(unitaries, rate).diagonal().real
    assert torch.allclose(depolarised(clean, 7, 3, rate), truth, atol=1e-14)
    # planted: one error chance for the whole circuit, and noise that forgets the ancillas
    if 0 < rate < 1:
        assert not torch.allclose(depolarised(clean, 1, 3, rate), truth, atol=1e-5)
        assert not torch.allclose(depolarised(clean, 7, 2, rate), truth, atol=1e-5)


def test_a_noisy_solution_keeps_signs_and_drowns_in_the_end():
    z = torch.tensor([3.0, -4.0, 0.0, 1e-3], dtype=torch.float64)
    errors = [
        float(torch.linalg.vector_norm(noisy_solution(z, 0.3, 99, 5, rate) - z))
        for rate in (0.0, 1e-6, 1e-4, 1e-2)
    ]
    assert errors[0] < 1e-12
    assert errors == sorted(errors)
    assert noisy_solution(z, 0.3, 99, 5, 1e-2)[1] < 0
    drowned = noisy_solution(z, 0.3, 99, 5, 1.0).abs()
    assert torch.allclose(drowned, drowned[0].expand(4))


def test_bad_input():
    with pytest.raises(ArgumentError, match=r"`rate` must be in \[0, 1\], but is 2"):
        depolarised(torch.ones(1), 1, 1, 2.0)


@pytest.mark.parametrize("scale", [2.0**600, 2.0**-600])
def test_a_solution_of_any_scale_is_read_alike(scale):
    z = torch.tensor([3.0, -4.0, 0.5], dtype=torch.float64)
    one = noisy_solution(z, 0.5, queries=9, qubits=4, rate=0.01)
    assert torch.equal(noisy_solution(scale * z, 0.5, queries=9, qubits=4, rate=0.01), scale * one)
