"""What an operator declares of its rounding is in the bars of its spectrum and in the verdict."""

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.dissipation import diagnose
from qdescent.learning.curvature.finite_differences import finite_difference_hessian
from qdescent.learning.curvature.hessian import gauss_newton, hessian
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.linalg.operator import LinearOperator, as_operator
from qdescent.linalg.spectra.density import spectral_density


def test_what_an_operator_declares_goes_with_it():
    matrix = torch.diag(torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert as_operator(matrix).rounding is None
    operator = finite_difference_hessian(lambda x: matrix @ x, torch.zeros(2).double())
    assert operator.rounding == 10 * torch.finfo(torch.float64).eps ** (2 / 3)
    assert spectral_density(operator, steps=2, probes=2).rounding == operator.rounding
    assert spectral_density(matrix, steps=2, probes=2).rounding == 1e-13


def test_half_precision_is_in_the_bars_and_in_the_verdict():
    """Gauss-Newton is positive semi-definite: what seems to grow is bfloat16's."""
    torch.manual_seed(2)
    inputs, labels = torch.randn(8, 6), torch.randint(0, 3, (8,))
    layers = torch.nn.Linear(6, 12), torch.nn.Tanh(), torch.nn.Linear(12, 3)
    network = torch.nn.Sequential(*layers)
    space = ParameterSpace(network)
    task = Task(network, torch.nn.functional.cross_entropy, (inputs, labels))
    truth = torch.linalg.eigvalsh(gauss_newton(task, space).to_dense().double())
    half = gauss_newton(task, space, precision=torch.bfloat16)
    assert half.rounding == 0.0625
    found = spectral_density(half, steps=40, probes=8)
    for (value, reach), true in ((found.lambda_min, truth[0]), (found.lambda_max, truth[-1])):
        assert abs(value - float(true)) <= reach
    assert "stand still to within rounding" in diagnose(found, 0.1).reason


@pytest.mark.parametrize(("dtype", "part"), [(torch.float64, 1e-4), (torch.float32, 0.1)])
def test_a_small_part_that_is_not_symmetric_shows(dtype, part):
    """It moves the largest Ritz value by more than its residual says."""
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(40, 40, generator=draw, dtype=torch.float64)
    matrix = torch.diag(torch.linspace(-1, 3, 40, dtype=torch.float64)) + part * noise.triu(1)
    operator = LinearOperator((40, 40), lambda block: matrix.to(dtype) @ block, dtype=dtype)
    with pytest.raises(ArgumentError, match="Argument `operator` must be symmetric"):
        spectral_density(operator, steps=20, probes=2)
    even = (matrix + matrix.T).to(dtype) / 2
    spectral_density(LinearOperator((40, 40), lambda block: even @ block, dtype=dtype), 20, 2)


def test_the_bars_of_single_precision_hold_the_eigenvalue():
    """Residuals of a converged pair are far below what float32 products leave on it."""
    missed = 0
    for seed in range(6):
        torch.manual_seed(seed)
        inputs, labels = torch.randn(64, 4), torch.randint(0, 3, (64,))
        layers = torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)
        network, loss = torch.nn.Sequential(*layers), torch.nn.functional.cross_entropy
        task = Task(network, loss, (inputs, labels))
        found = spectral_density(hessian(task, ParameterSpace(network)), steps=40, probes=4)
        task = Task(network.double(), loss, (inputs.double(), labels))
        truth = torch.linalg.eigvalsh(hessian(task, ParameterSpace(network)).to_dense())
        added = found.rounding * float(found.nodes.abs().max())
        for value, reach in (found.lambda_min, found.lambda_max):
            off = float((truth - value).abs().min())
            assert off <= reach < 1e-4
            missed += off > reach - added
    assert missed  # planted: the residuals alone do not hold it
