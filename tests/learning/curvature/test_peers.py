"""Products against another package's, where it is installed (`pip install -e '.[peers]'`)."""

import pytest
import torch
from torch import nn

import qdescent as qd


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton"])
def test_products_agree_with_curvlinops(kind):
    peer = pytest.importorskip("curvlinops")
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(4 * 36, 5)
    ).double()
    data = torch.randn(12, 1, 8, 8, dtype=torch.float64), torch.randint(0, 5, (12,))
    space = qd.ParameterSpace(network)
    ours = getattr(qd, kind)(qd.Task(network, nn.functional.cross_entropy, data), space)
    operator = {"hessian": peer.HessianLinearOperator, "gauss_newton": peer.GGNLinearOperator}[kind]
    theirs = operator(network, nn.CrossEntropyLoss(), list(network.parameters()), [data])
    v = torch.randn(space.n, dtype=torch.float64)
    assert torch.linalg.vector_norm(ours @ v - theirs @ v) <= 1e-6 * torch.linalg.vector_norm(
        theirs @ v
    )
