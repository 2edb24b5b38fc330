"""Cross-entropy against weights of classes that need not add up to 1."""

import pytest
import torch
import torch.nn.functional as F
from torch.func import jvp

from qdescent.learning.taylor.gradient_series import propagate

WEIGHTS = torch.tensor([[0.2, 0.9, 0.4], [2.0, 0.0, 1.0]], dtype=torch.float64)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_weights_that_do_not_add_up_to_one(smoothing):
    generator = torch.Generator().manual_seed(3)
    c = [torch.randn(2, 3, dtype=torch.float64, generator=generator) for _ in range(3)]

    def loss(x):
        return F.cross_entropy(x, WEIGHTS, label_smoothing=smoothing)

    def along(eps):
        return loss(c[0] + eps * (c[1] + eps * c[2]))

    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    value, first = jvp(along, (zero,), (one,))
    second = jvp(lambda eps: jvp(along, (eps,), (one,))[1], (zero,), (one,))[1] / 2
    ours = propagate(loss, c)
    for mine, truth in zip(ours, (value, first, second), strict=True):
        assert float(abs(mine - truth)) < 1e-12
    wrong = propagate(lambda x: x.logsumexp(1).mean() - (x * WEIGHTS).sum(1).mean(), c)  # as if each row added up to 1
    assert float(abs(wrong[1] - first)) > 1e-2
