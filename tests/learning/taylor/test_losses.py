"""Cross-entropy against weights of classes that need not add up to 1, and with weights of the
classes themselves.
"""

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
    # as if each row added up to 1
    wrong = propagate(lambda x: x.logsumexp(1).mean() - (x * WEIGHTS).sum(1).mean(), c)
    assert float(abs(wrong[1] - first)) > 1e-2


CLASSES = torch.tensor([0.5, 3.0, 1.0], dtype=torch.float64)
LABELS = torch.tensor([1, -100, 0, 1])


def series_of(loss, c):
    """Coefficients 0, 1, 2 of loss(c0 + eps c1 + eps^2 c2) by nested forward derivatives."""
    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)

    def along(eps):
        return loss(c[0] + eps * (c[1] + eps * c[2]))

    value, first = jvp(along, (zero,), (one,))
    return value, first, jvp(lambda eps: jvp(along, (eps,), (one,))[1], (zero,), (one,))[1] / 2


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_class_weights_count_in_the_sum_and_in_what_it_is_divided_by(reduction):
    generator = torch.Generator().manual_seed(5)
    c = [torch.randn(4, 3, dtype=torch.float64, generator=generator) for _ in range(3)]

    def loss(x, **weights):
        return F.cross_entropy(x, LABELS, reduction=reduction, **weights)

    truth = series_of(lambda x: loss(x, weight=CLASSES), c)
    for mine, right in zip(propagate(lambda x: loss(x, weight=CLASSES), c), truth, strict=True):
        assert float(abs(mine - right)) < 1e-12
    # planted: without the weights, and the weighted sum over the number of samples
    assert float(abs(propagate(loss, c)[1] - truth[1])) > 1e-2
    assert (
        float(
            abs(
                series_of(lambda x: F.cross_entropy(x, LABELS, CLASSES, reduction="sum") / 3, c)[1]
                - truth[1]
            )
        )
        > 1e-3
    )
