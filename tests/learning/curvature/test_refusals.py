"""What cannot be measured says so in one sentence, and outputs of any form have a Gauss-Newton
matrix.
"""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.parametrizations import spectral_norm

from qdescent._checks import ArgumentError
from qdescent.learning.curvature.hessian import gauss_newton, hessian
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.solvers.series import series_descent

X, Y = (
    torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).double(),
    torch.tensor([0, 1, 1, 0]),
)


class Wrapped(nn.Module):
    """Outputs in a form of their own."""

    def __init__(self, inner, form):
        super().__init__()
        self.inner, self.form = inner, form

    def forward(self, x):
        return self.form(self.inner(x))


def test_outputs_of_any_form_have_a_gauss_newton_matrix():
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    space = ParameterSpace(inner)
    right = gauss_newton(Task(inner, cross_entropy, (X, Y)), space).to_dense()
    forms = {
        "dict": (
            lambda z: {"logits": z, "size": 2},
            lambda out, y: cross_entropy(out["logits"], y),
        ),
        "tuple": (
            lambda z: (z[:, :1], z[:, 1:]),
            lambda out, y: cross_entropy(torch.cat(out, 1), y),
        ),
    }
    for form, loss in forms.values():
        network = Wrapped(inner, form)
        ours = gauss_newton(Task(network, loss, (X, Y)), ParameterSpace(network)).to_dense()
        torch.testing.assert_close(ours, right, rtol=1e-12, atol=1e-14)


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(3, 4).bfloat16(), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x.bfloat16())).float())


@pytest.mark.parametrize("build", [hessian, gauss_newton])
def test_half_precision_is_refused_with_its_cure(build):
    for network, x in ((Mixed(), X.float()), (nn.Linear(3, 2).bfloat16(), X.bfloat16())):
        task, space = Task(network, cross_entropy, (x, Y)), ParameterSpace(network)
        with pytest.raises(
            ArgumentError,
            match=r"`network` must have weights of one type.*network\.float\(\).*bfloat16",
        ):
            build(task, space)


def test_a_parametrization_has_a_series_too():
    torch.manual_seed(0)
    network = (
        nn.Sequential(spectral_norm(nn.Linear(3, 4)), nn.Tanh(), nn.Linear(4, 2)).double().eval()
    )
    task, space = Task(network, cross_entropy, (X, Y)), ParameterSpace(network)
    ours, slow = (
        series_descent(task, space, order=2, steps=2, learning_rate=0.1, method=method).terms
        for method in ("auto", "jvp")
    )
    torch.testing.assert_close(ours, slow, rtol=1e-10, atol=1e-14)
    hessian(task, space)


def test_sparse_gradients_are_refused_with_their_cure():
    network = nn.Sequential(nn.Embedding(5, 3, sparse=True), nn.Flatten(), nn.Linear(6, 2)).double()
    task = Task(network, cross_entropy, (torch.randint(5, (4, 2)), Y))
    with pytest.raises(
        ArgumentError,
        match=r"`network` must have dense gradients \(nn.Embedding without sparse=True\)",
    ):
        hessian(task, ParameterSpace(network))
