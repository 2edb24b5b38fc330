"""What a Jet answers besides series: refusals with the name of what has no rule, questions of
shape, extreme arguments.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.learning.taylor.gradient_series import propagate
from qdescent.learning.taylor.jet import INSTEAD, RULES, Jet
from qdescent.learning.taylor.tape import Tape

LABELS = torch.tensor([1, 0, 3])


def random(seed, *shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def jet_of(x):
    """A Jet at x, for what is refused or asked before anything runs."""
    tape = Tape(1)
    return Jet(tape, tape.leaf(x))


def test_large_logits_do_not_overflow():
    found = propagate(
        lambda x: F.cross_entropy(x, LABELS), [1e4 * random(1, 3, 4), random(2, 3, 4)]
    )
    assert all(bool(torch.isfinite(c).all()) for c in found)


def test_saturated_activations_stay_finite():
    ends, one = (
        torch.tensor([-800.0, -40.0, 0.0, 40.0, 800.0], dtype=torch.float64),
        torch.ones(5).double(),
    )
    for function in (torch.tanh, torch.sigmoid, F.silu, F.gelu, F.softplus):
        assert all(
            bool(torch.isfinite(c).all()) for c in propagate(function, [ends, one, one, one])
        ), function


@pytest.mark.parametrize(
    ("module", "use"),
    [
        (nn.ReLU(), "'relu' .use GELU"), (nn.MaxPool2d(2), "'max_pool2d' .use mean pooling"),
        (nn.LeakyReLU(), "'leaky_relu' .use GELU"),
        (nn.Hardtanh(), "'hardtanh'"), (nn.ELU(), "'elu'"),
        (nn.BatchNorm2d(2).double().train(), "'batch_norm' in training mode"),
        (nn.Hardswish(), "'hardswish' .use GELU"), (nn.ReLU6(), "'hardtanh'"),
        (nn.Hardsigmoid(), "'hardsigmoid'"),
    ],
)  # fmt: skip
def test_an_operation_without_a_rule_is_named(module, use):
    with pytest.raises(
        ArgumentError,
        match=f"Argument `network` must be made of operations that have a Taylor rule.*using {use}",
    ):
        module(jet_of(random(1, 1, 2, 4, 4)))


def test_every_advice_is_for_an_operation_without_a_rule():
    assert not set(INSTEAD) & set(RULES)


def test_shape_questions_are_answered():
    x = jet_of(random(1, 3, 4))
    assert (x.shape, x.size(), x.size(1), x.dim(), x.ndim, x.numel(), len(x)) == (
        (3, 4),
        (3, 4),
        4,
        2,
        2,
        12,
        3,
    )
    assert (x[1:, 0].shape, x.T.shape, x.mT.shape) == ((2,), (4, 3), (4, 3))
    with pytest.raises(AttributeError, match="using 'nonsense'"):
        _ = x.nonsense
    assert not hasattr(x, "relu")


def test_a_jet_is_no_index():
    with pytest.raises(ArgumentError, match="using '__getitem__'"):
        random(1, 3)[(jet_of(random(2, 3)),)]
