"""Problems whose answers are known without this package: closed forms and small networks with dense
float64 twins.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import nn
from torch.func import functional_call

from qdescent.learning.task import Task
from qdescent.linalg.polynomial_map import PolynomialMap

# The same examples for everybody: what is found by chance is not this change's fault.
# `--hypothesis-profile=default` explores.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")
torch.set_num_threads(1)  # the problems are tiny: more threads would only wait for each other


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """Layers that a test makes begin at the same weights for everybody, in any order of tests."""
    torch.manual_seed(0)


@dataclass(frozen=True)
class DenseTwin:
    """A task next to plain functions of one flat vector of *all* weights, built without
    `ParameterSpace`.
    """

    task: Task

    @property
    def theta(self) -> torch.Tensor:
        return torch.cat([w.detach().flatten() for w in self.task.network.parameters()])

    def loss(self, theta: torch.Tensor) -> torch.Tensor:
        weights, start = {}, 0
        for name, w in self.task.network.named_parameters():
            weights[name] = theta[start : start + w.numel()].reshape(w.shape)
            start += w.numel()
        return self.task.loss(
            functional_call(self.task.network, weights, (self.task.data[0],)), self.task.data[1]
        )

    def gradient(self, theta: torch.Tensor) -> torch.Tensor:
        return torch.func.jacrev(self.loss)(theta)

    def hessian(self, theta: torch.Tensor) -> torch.Tensor:
        """Forward over reverse, where the package runs reverse over reverse."""
        return torch.func.jacfwd(torch.func.jacrev(self.loss))(theta)

    def descend(self, theta: torch.Tensor, learning_rate: float, steps: int) -> torch.Tensor:
        for _ in range(steps):
            theta = theta - learning_rate * self.gradient(theta)
        return theta


def _f64(values: list) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _fill(network: nn.Module, seed: int, size: float = 0.5) -> nn.Module:
    network = network.double()
    with torch.no_grad():
        for i, w in enumerate(network.parameters()):
            w.copy_(size * _random(1000 * seed + i, *w.shape))
    return network


@pytest.fixture
def seventeen() -> DenseTwin:
    """A GELU network of 17 weights with a mean squared error that has a gradient at its pivot."""
    network = _fill(nn.Sequential(nn.Linear(2, 3), nn.GELU(), nn.Linear(3, 2)), seed=1)
    return DenseTwin(Task(network, nn.functional.mse_loss, (_random(2, 6, 2), _random(3, 6, 2))))


@pytest.fixture
def small_conv() -> DenseTwin:
    """A GELU CNN of 73 weights under cross-entropy."""
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.GELU(), nn.Conv2d(2, 2, 3, stride=2, padding=1),
        nn.GELU(), nn.Flatten(),
        nn.Linear(2 * 2 * 2, 3, bias=False),
    )  # fmt: skip
    labels = torch.tensor([0, 1, 2, 1, 0])
    return DenseTwin(
        Task(_fill(network, seed=5), nn.functional.cross_entropy, (_random(6, 5, 1, 8, 8), labels))
    )


@pytest.fixture
def regression() -> DenseTwin:
    """Linear regression without bias; H = (2/5) X^T X, eigenvalues in `oracles.md`."""
    X = torch.tensor(
        [[1, 2, 0, -1], [0, 1, 1, 2], [3, 0, -2, 1], [1, -1, 1, 0], [2, 1, 0, 1]],
        dtype=torch.float64,
    )
    return DenseTwin(
        Task(
            _fill(nn.Linear(4, 1, bias=False), seed=7),
            nn.functional.mse_loss,
            (X, _random(8, 5, 1)),
        )
    )


@pytest.fixture
def quadratic_step() -> PolynomialMap:
    """Gradient descent on a quadratic loss with curvature diag(1, .5), eta = .5 and pull (1, 1):
    u_T = (1 - .5^T, 2 - 2 .75^T).
    """
    return PolynomialMap([_f64([0.5, 0.5]), torch.diag(_f64([0.5, 0.75]))])


@pytest.fixture
def logistic_step() -> PolynomialMap:
    """x <- .9 x + .1 x^2."""
    return PolynomialMap([_f64([0.0]), _f64([[0.9]]), _f64([[0.1]])])


@pytest.fixture
def random_step():
    """A contraction-like random map (n, degree, seed) -> PolynomialMap with every F_k dense, not
    symmetric, and F_0 not zero.
    """

    def make(n: int, degree: int, seed: int, size: float = 0.3) -> PolynomialMap:
        rng = np.random.default_rng(seed)
        shapes = [(n, n**k) for k in range(degree + 1)]
        return PolynomialMap(
            [torch.from_numpy(size * rng.standard_normal(s) / s[1] ** 0.5) for s in shapes]
        )

    return make


@pytest.fixture
def dense():
    """loss_of({name: tensor}) -> a scalar, and the parameters: gradient (n,) and Hessian (n, n) by
    rows of plain autograd.
    """
    return _dense


def _dense(loss_of, parameters):
    leaves = {name: w.detach().double().requires_grad_() for name, w in parameters.items()}

    def flat(parts):
        pairs = zip(parts, leaves.values(), strict=True)
        return torch.cat(
            [(torch.zeros_like(w) if part is None else part).reshape(-1) for part, w in pairs]
        )

    options = {"allow_unused": True}
    gradient = flat(
        torch.autograd.grad(loss_of(leaves), list(leaves.values()), create_graph=True, **options)
    )
    rows = [
        (
            flat(
                torch.autograd.grad(g, list(leaves.values()), retain_graph=True, **options)
            ).detach()
            if g.requires_grad
            else torch.zeros(len(gradient), dtype=torch.float64)
        )
        for g in gradient
    ]
    return gradient.detach(), torch.stack(rows)
